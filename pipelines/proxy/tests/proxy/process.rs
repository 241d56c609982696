//! The proxy as a process: killed and started again, followed by another one under load.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proxy::client::Client;
use proxy::table::Table;
use serde_json::json;

struct Process {
    child: Child,
    address: String,
}

impl Process {
    /// Cargo builds examples along with tests, beside them.
    fn start(folder: &Path, listen: &str, more: &[&str]) -> Self {
        let tests = std::env::current_exe().unwrap();
        let stand = tests.parent().unwrap().parent().unwrap().join("examples/stand");
        let mut command = Command::new(&stand);
        command.arg(listen).arg(folder).args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", stand.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, address }
    }
}

/// Answers everybody with its name, one request for each connection.
fn backend(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = name.len();
            let _gone =
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{name}");
        }
    });
    address
}

fn get(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_killed_proxy_goes_on_and_one_that_is_followed_refuses_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (blue, green) = (backend("blue"), backend("green"));
    let table = |weight: u64| -> Table {
        let colours = json!([
            { "name": "blue", "revision": "r1", "weight": 1_000 - weight, "backends": [blue] },
            { "name": "green", "revision": "r2", "weight": weight, "backends": [green] },
        ]);
        let routes = json!([{ "service": "shop", "path": "/", "colours": colours }]);
        serde_json::from_value(json!({ "generation": 0, "routes": routes })).unwrap()
    };
    let mut process = Process::start(folder.path(), "127.0.0.1:0", &[]);
    let (address, client) = (process.address.clone(), Client::at(folder.path().join("control.sock")));
    assert_eq!(client.replace(0, &table(0)).await, Ok(1));
    assert_eq!(client.replace(1, &table(1_000)).await, Ok(2));
    assert_eq!(get(&address).unwrap(), "green");
    // Killed, it is as it was once it is started again.
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    assert!(get(&address).is_err() && client.table().await.is_err());
    let mut process = Process::start(folder.path(), &address, &[]);
    assert_eq!((client.table().await.unwrap().generation, get(&address).unwrap().as_str()), (2, "green"));
    // A connection for each request, while one process follows the other.
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, done, address) = (Arc::clone(&stop), Arc::clone(&done), address.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let answer = get(&address);
                    assert!(matches!(answer.as_deref(), Ok("green")), "{answer:?}");
                    done.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let passed = done.load(Ordering::Acquire);
        while done.load(Ordering::Acquire) < passed + 50 {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client has failed");
            tokio::task::yield_now().await;
        }
        let next = Process::start(folder.path(), &address, &["own", "2", "take-over"]);
        assert!(process.child.wait().unwrap().success(), "the old one ends in order");
        process = next;
        assert_eq!(client.about().await.unwrap().pid, process.child.id());
    }
    stop.store(true, Ordering::Release);
    for client in clients {
        client.join().unwrap();
    }
    let stats = client.stats().await.unwrap();
    let green = stats.of("shop", "r2").unwrap();
    // What was in flight in an old process when it told its counters is not among them.
    assert!(green.errors == 0 && green.requests + 12 >= done.load(Ordering::Acquire), "{green:?}");
    drop(process.child.stdin.take());
    assert!(process.child.wait().unwrap().success());
    assert!(!folder.path().join("control.sock").exists());
}
