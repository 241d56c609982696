//! `pipe-agent forward PORT=ADDRESS:PORT…`, `PORT=unix:PATH`: ports of services on the job's localhost.
//!
//! On GitHub's machines a service's port is mapped to the machine, and steps connect to `localhost:<port>`. Here a job's
//! container stands for the machine. One thread per direction of a connection, since a database sees few connections. It says `ready` when all ports are open, and runs until it is killed.
//!
//! What is behind a unix socket is whoever carries the job. For the port 0 a free one is taken, and `port N` says which. A
//! carrier that is gone for long takes the forwarder with it: otherwise an agent that nobody wants would wait for it.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::complain;

pub(crate) const VERB: &str = "forward";

/// Code where a port cannot be opened.
const PORT_TAKEN: u8 = 3;

/// How long a service may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After a failed accept, so that a full table of descriptors is not asked in a circle.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Moved at once. `io::copy` moves 8 KiB between sockets, which costs more in calls than the copies: artifacts have gigabytes.
const PART_BYTES: usize = 256 << 10;

/// Between two looks for a carrier behind a unix socket.
const CARRIER_EVERY: Duration = Duration::from_secs(10);

/// So many looks in vain: a minute, as an agent waits that nobody talks to.
const CARRIER_MISSED_MAX: u32 = 6;

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Forward {
    port: u16,
    to: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Address(SocketAddr),
    Socket(PathBuf),
}

impl Forward {
    fn parse(argument: &OsString) -> Option<Self> {
        let (port, to) = argument.to_str()?.split_once('=')?;
        let to = match to.strip_prefix("unix:") {
            Some(path) => Target::Socket(path.into()),
            None => Target::Address(to.parse().ok()?),
        };
        Some(Self { port: port.parse().ok()?, to })
    }
}

pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let mut listeners = Vec::new();
    let mut chosen = String::new();
    for argument in arguments {
        let Some(Forward { port, to }) = Forward::parse(argument) else {
            return complain(&format!("pipe-agent: {} is not PORT=ADDRESS:PORT", argument.display()), 2);
        };
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => listener,
            Err(error) => return complain(&format!("port {port} on localhost: {error}"), PORT_TAKEN),
        };
        let drawn = listener.local_addr().map_or(port, |address| address.port());
        if port == 0 {
            chosen.push_str(&format!("port {drawn}\n"));
        }
        if let Target::Socket(path) = &to {
            let path = path.clone();
            thread::spawn(move || watch(&path));
        }
        // Where there is no IPv6, localhost means the other address alone.
        let other = TcpListener::bind((Ipv6Addr::LOCALHOST, drawn));
        listeners.extend(other.ok().map(|listener| (listener, to.clone())));
        listeners.push((listener, to));
    }
    let accepting: Vec<_> =
        listeners.into_iter().map(|(listener, to)| thread::spawn(move || accept(&listener, &to))).collect();
    let mut stdout = io::stdout();
    if stdout.write_all(format!("{chosen}ready\n").as_bytes()).and_then(|()| stdout.flush()).is_err() {
        return ExitCode::FAILURE;
    }
    for thread in accepting {
        // It does not end, and has nothing to tell.
        drop(thread.join());
    }
    ExitCode::SUCCESS
}

/// Ends the process when nobody has listened behind a socket for a while.
fn watch(path: &std::path::Path) {
    let mut missed = 0;
    while missed < CARRIER_MISSED_MAX {
        thread::sleep(CARRIER_EVERY);
        missed = if UnixStream::connect(path).is_ok() { 0 } else { missed + 1 };
    }
    #[expect(clippy::exit, reason = "the threads that accept do not end by themselves")]
    std::process::exit(0);
}

fn accept(listener: &TcpListener, to: &Target) {
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                let to = to.clone();
                drop(thread::spawn(move || serve(client, &to)));
            }
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Both directions, until both are closed. A service that is not there closes the connection.
fn serve(client: TcpStream, to: &Target) {
    // Small packets at once: that is what both ends would get without a forwarder.
    drop(client.set_nodelay(true));
    match to {
        Target::Address(to) => {
            let Ok(service) = TcpStream::connect_timeout(to, CONNECT_TIMEOUT) else { return };
            drop(service.set_nodelay(true));
            both(client, service);
        }
        Target::Socket(path) => {
            let Ok(service) = UnixStream::connect(path) else { return };
            both(client, service);
        }
    }
}

/// A stream of which both directions are used at once.
trait Stream: Send + Sync + 'static {
    fn end(&self);
}

impl Stream for TcpStream {
    fn end(&self) {
        drop(self.shutdown(Shutdown::Write));
    }
}

impl Stream for UnixStream {
    fn end(&self) {
        drop(self.shutdown(Shutdown::Write));
    }
}

fn both<A: Stream, B: Stream>(client: A, service: B)
where
    for<'a> &'a A: io::Read + io::Write,
    for<'a> &'a B: io::Read + io::Write,
{
    let (client, service) = (Arc::new(client), Arc::new(service));
    let back = {
        let (client, service) = (Arc::clone(&client), Arc::clone(&service));
        thread::spawn(move || pass(&*service, &*client))
    };
    pass(&*client, &*service);
    drop(back.join());
}

/// Moves bytes until the end of `from`, and passes the end on.
fn pass<A: Stream, B: Stream>(from: &A, to: &B)
where
    for<'a> &'a A: io::Read,
    for<'a> &'a B: io::Write,
{
    let (mut reader, mut writer) = (from, to);
    let mut part = vec![0; PART_BYTES];
    loop {
        match reader.read(&mut part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A broken connection is an end as well.
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if writer.write_all(&part[..length]).is_err() {
                    break;
                }
            }
        }
    }
    to.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let check = |text: &str, expect: Option<(u16, &str)>| {
            let got = Forward::parse(&OsString::from(text));
            let expect = expect.map(|(port, to)| Forward {
                port,
                to: to
                    .strip_prefix("unix:")
                    .map_or_else(|| Target::Address(to.parse().unwrap()), |path| Target::Socket(path.into())),
            });
            assert_eq!(got, expect, "{text}");
        };
        check("5432=172.18.0.2:5433", Some((5432, "172.18.0.2:5433")));
        check("1=[fe80::1]:2", Some((1, "[fe80::1]:2")));
        check("0=unix:services.sock", Some((0, "unix:services.sock")));
        check("5432", None);
        check("5432=db:5432", None);
        check("70000=1.2.3.4:5", None);
    }

    #[test]
    fn both_directions() {
        let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = Target::Address(service.local_addr().unwrap());
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = front.local_addr().unwrap();
        thread::spawn(move || accept(&front, &to));
        let echo = thread::spawn(move || {
            let (mut stream, _) = service.accept().unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            stream.write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");
        echo.join().unwrap();
    }
}
