//! `pipe-agent forward PORT=ADDRESS:PORT…`: ports of services on the job's localhost.
//!
//! On GitHub's machines a service's port is mapped to the machine, and steps connect to `localhost:<port>`. Here a job's
//! container stands for the machine. One thread per direction of a connection: the kernel moves the bytes (`splice`), and
//! a database sees few connections. It says `ready` when all ports are open, and runs until it is killed.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
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

/// One port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forward {
    port: u16,
    to: SocketAddr,
}

impl Forward {
    fn parse(argument: &OsString) -> Option<Self> {
        let (port, to) = argument.to_str()?.split_once('=')?;
        Some(Self { port: port.parse().ok()?, to: to.parse().ok()? })
    }
}

pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let mut listeners = Vec::new();
    for argument in arguments {
        let Some(forward) = Forward::parse(argument) else {
            return complain(&format!("pipe-agent: {} is not PORT=ADDRESS:PORT", argument.display()), 2);
        };
        match TcpListener::bind((Ipv4Addr::LOCALHOST, forward.port)) {
            Ok(listener) => listeners.push((listener, forward.to)),
            Err(error) => return complain(&format!("port {} on localhost: {error}", forward.port), PORT_TAKEN),
        }
        // Where there is no IPv6, localhost means the other address alone.
        listeners
            .extend(TcpListener::bind((Ipv6Addr::LOCALHOST, forward.port)).ok().map(|listener| (listener, forward.to)));
    }
    let accepting: Vec<_> =
        listeners.into_iter().map(|(listener, to)| thread::spawn(move || accept(&listener, to))).collect();
    let mut stdout = io::stdout();
    if stdout.write_all(b"ready\n").and_then(|()| stdout.flush()).is_err() {
        return ExitCode::FAILURE;
    }
    for thread in accepting {
        // It does not end, and has nothing to tell.
        drop(thread.join());
    }
    ExitCode::SUCCESS
}

fn accept(listener: &TcpListener, to: SocketAddr) {
    loop {
        match listener.accept() {
            Ok((client, _)) => drop(thread::spawn(move || serve(client, to))),
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Both directions, until both are closed. A service that is not there closes the connection.
fn serve(client: TcpStream, to: SocketAddr) {
    let Ok(service) = TcpStream::connect_timeout(&to, CONNECT_TIMEOUT) else { return };
    // Small packets at once: that is what both ends would get without a forwarder.
    drop(client.set_nodelay(true).and_then(|()| service.set_nodelay(true)));
    let (client, service) = (Arc::new(client), Arc::new(service));
    let back = {
        let (client, service) = (Arc::clone(&client), Arc::clone(&service));
        thread::spawn(move || pass(&service, &client))
    };
    pass(&client, &service);
    drop(back.join());
}

/// Moves bytes until the end of `from`, and passes the end on.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    // A broken connection is an end as well.
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn arguments() {
        let check = |text: &str, expect: Option<(u16, &str)>| {
            let got = Forward::parse(&OsString::from(text));
            let expect = expect.map(|(port, to)| Forward { port, to: to.parse().unwrap() });
            assert_eq!(got, expect, "{text}");
        };
        check("5432=172.18.0.2:5433", Some((5432, "172.18.0.2:5433")));
        check("1=[fe80::1]:2", Some((1, "[fe80::1]:2")));
        check("5432", None);
        check("5432=db:5432", None);
        check("70000=1.2.3.4:5", None);
    }

    #[test]
    fn both_directions() {
        let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = service.local_addr().unwrap();
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = front.local_addr().unwrap();
        thread::spawn(move || accept(&front, to));
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
