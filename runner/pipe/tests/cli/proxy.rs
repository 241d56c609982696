//! `pipe proxy` as people run it: started, followed, stopped, killed, and what it says of what it cannot do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy::client::{About, Client};
use proxy::table::Table;
use serde_json::json;

use crate::world::World;

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Proxy {
    process: Child,
    about: About,
}

impl Proxy {
    fn start(world: &World, listen: &str, more: &[&str]) -> Self {
        let words = ["proxy", "--environment", "staging", "--folder", "state", "--listen", listen];
        let mut command = world.command(&[&words[..], more].concat());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let about = line.strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?}"));
        Self { process, about: serde_json::from_str(about).unwrap() }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    fn code(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().unwrap();
    }
}

/// Answers with its name; requests for `/held` once they are let go.
#[derive(Clone)]
struct Backend {
    address: SocketAddr,
    /// Requests that are held, and whether they may go.
    held: Arc<(Mutex<(usize, bool)>, Condvar)>,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self { address: listener.local_addr().unwrap(), held: Arc::default() };
        let serving = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let this = serving.clone();
                std::thread::spawn(move || this.answer(stream.unwrap()));
            }
        });
        this
    }

    fn answer(&self, mut stream: TcpStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<_> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        if head.first().is_some_and(|line| line.starts_with("GET /held ")) {
            let mut held = self.held.0.lock().unwrap();
            held.0 += 1;
            self.held.1.notify_all();
            drop(self.held.1.wait_while(held, |held| !held.1).unwrap());
        }
        let _gone = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nblue");
    }

    /// Waits until a request is held.
    fn holds(&self) {
        let waited = self.held.1.wait_timeout_while(self.held.0.lock().unwrap(), PATIENCE, |held| held.0 == 0);
        assert!(!waited.unwrap().1.timed_out());
    }

    fn let_go(&self) {
        self.held.0.lock().unwrap().1 = true;
        self.held.1.notify_all();
    }

    fn table(&self) -> Table {
        let colours = json!([{ "name": "blue", "revision": "r1", "weight": 1_000, "backends": [self.address] }]);
        let routes = json!([{ "service": "shop", "path": "/", "colours": colours }]);
        serde_json::from_value(json!({ "generation": 0, "routes": routes })).unwrap()
    }
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}

fn client(folder: &Path) -> Client {
    Client::at(folder.join("control.sock"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_followed_and_stopped() {
    let world = World::new(&[]);
    let folder = world.root().join("state");
    let (backend, client) = (Backend::start(), client(&folder));
    let mut proxy = Proxy::start(&world, "127.0.0.1:0", &["--test-listen", "127.0.0.1:0"]);
    let (address, test) = (proxy.about.listen, proxy.about.test_listen.unwrap().to_string());
    assert_eq!((proxy.about.environment.as_str(), proxy.about.pid), ("staging", proxy.process.id()));
    assert_eq!(get(address, "/").unwrap(), "no service has this path\n", "nothing is known yet");
    assert_eq!(client.replace(0, &backend.table()).await, Ok(1));
    let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let users = [(); 4].map(|()| {
        let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(get(address, "/").unwrap(), "blue");
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for _ in 0..3 {
        let passed = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < passed + 50 {
            assert!(!users.iter().any(std::thread::JoinHandle::is_finished), "a user was refused");
            tokio::task::yield_now().await;
        }
        let next = Proxy::start(&world, &address.to_string(), &["--test-listen", &test, "--take-over"]);
        assert_eq!(proxy.code(), Some(0), "the old one ends in order");
        assert_eq!((client.about().await.unwrap().pid, next.about.generation), (next.process.id(), 1));
        proxy = next;
    }
    stop.store(true, Ordering::Relaxed);
    users.into_iter().for_each(|user| user.join().unwrap());
    let told = world.output(&["proxy", "status", "--folder", "state"], "");
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains(&format!("staging on {address}, tests on {test}: generation 1")), "{told}");
    assert!(told.contains("shop") && told.contains("100.0 %"), "{told}");

    let held = std::thread::spawn(move || get(address, "/held"));
    backend.holds();
    proxy.signal(Signal::SIGTERM);
    // Connections are refused once it has stopped to accept; what is in flight is finished first.
    while TcpStream::connect(address).is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(proxy.process.try_wait().unwrap(), None);
    backend.let_go();
    assert_eq!(held.join().unwrap().unwrap(), "blue");
    assert_eq!(proxy.code(), Some(0));
    assert!(!folder.join("control.sock").exists() && folder.join("table.json").exists());
}

#[tokio::test]
async fn killed_and_started_again_it_has_its_table() {
    let world = World::new(&[]);
    let folder = world.root().join("state");
    let (backend, client) = (Backend::start(), client(&folder));
    let mut proxy = Proxy::start(&world, "127.0.0.1:0", &[]);
    let address = proxy.about.listen;
    for generation in 0..3 {
        assert_eq!(client.replace(generation, &backend.table()).await, Ok(generation + 1));
    }
    proxy.signal(Signal::SIGKILL);
    assert_eq!(proxy.code(), None);
    assert!(get(address, "/").is_err() && folder.join("control.sock").exists());
    let told = world.output(&["proxy", "status", "--folder", "state"], "");
    assert_eq!(told.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&told.stderr).contains("does it run?"), "{told:?}");
    // With nobody there, to take over is to start.
    let again = Proxy::start(&world, &address.to_string(), &["--take-over"]);
    assert_eq!((again.about.generation, get(address, "/").unwrap().as_str()), (3, "blue"));
}

/// What is wrong, how it ends, and what is said.
#[tokio::test]
async fn what_it_cannot_do() {
    let world = World::new(&[("file", "")]);
    let running = Proxy::start(&world, "127.0.0.1:0", &[]);
    let taken = running.about.listen.to_string();
    let check = |line: &str, code: i32, parts: &[&str]| {
        let words: Vec<_> = line.split(' ').collect();
        let output = world.output(&words, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{line}: {said}");
        for part in parts {
            assert!(said.contains(part), "{line}: {part}\n{said}");
        }
    };
    let with = |folder: &str, listen: &str| format!("proxy --environment staging --folder {folder} --listen {listen}");
    check(&with("other", &taken), 6, &["cannot listen on", &taken, "another program has this port", "`--listen`"]);
    assert!(!world.root().join("other/control.sock").exists(), "no name of a socket is left");
    check(&format!("{} --test-listen {taken}", with("other", "127.0.0.1:0")), 6, &["cannot listen on", &taken]);
    check(&with("other", "192.0.2.1:80"), 6, &["cannot listen on 192.0.2.1:80"]);
    check(&with("file/state", "127.0.0.1:0"), 6, &["file/state", "Not a directory"]);
    let pid = running.process.id().to_string();
    check(&with("state", "127.0.0.1:0"), 6, &["a proxy runs in state already", &pid, "`--take-over`"]);
    let moved = format!("{} --take-over", with("state", "127.0.0.1:1"));
    check(&moved, 6, &[&format!("listens on {taken}, not on 127.0.0.1:1"), "stop it first"]);
    assert_eq!(client(&world.root().join("state")).about().await.unwrap().pid, running.process.id(), "it goes on");
    world.write("torn/table.json", b"{\"format\":");
    check(&with("torn", "127.0.0.1:0"), 6, &["torn/table.json is not a whole table", "put back a copy"]);
    check("proxy --environment staging --listen 127.0.0.1:0", 2, &["--folder"]);
    check(&with("x", "8080"), 2, &["8080", "--listen"]);
    check(&format!("{} --metrics", with("x", "127.0.0.1:0")), 2, &["--test-listen"]);
    check(&format!("{} --threads 0", with("x", "127.0.0.1:0")), 2, &["--threads"]);
}
