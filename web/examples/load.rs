//! Durable acknowledgements per second: a server in a process of its own, signed pushes over many connections.
//!
//! `cargo run --release -p web --example load -- [CONNECTIONS] [SECONDS] [BODY BYTES]`. At the end the server is killed
//! with SIGKILL, and every delivery that was acknowledged has to be in its database. Parent and child share the machine.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::store::deliveries::{Deliveries, DeliveryFilter};
use engine::store::{Database, Options};
use hmac::{Hmac, Mac as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use web::{FrontDoor, FrontDoorOptions, Hook, HookError, HookSecrets, Rate, Server, ServerOptions};
use workflow::event::Forge;
use workflow::secret::Secret;

const SECRET: &str = "load";
const REPOSITORY: &str = "load/test";

#[derive(Debug)]
struct One;

#[async_trait]
impl HookSecrets for One {
    async fn find(&self, forge: Forge, repository: &str) -> Result<Option<Arc<Hook>>, HookError> {
        let hook = Hook { forge, repository: repository.to_owned(), secret: Secret::new(SECRET) };
        Ok(Some(Arc::new(hook)))
    }

    async fn some(&self, _: Forge, _: usize) -> Result<Vec<Arc<Hook>>, HookError> {
        Ok(Vec::new())
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, folder] = arguments.as_slice()
        && mode == "serve"
    {
        return serve(Path::new(folder)).await;
    }
    let number =
        |place: usize, default: u64| arguments.get(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    measure(number(0, 64), Duration::from_secs(number(1, 10)), number(2, 8_000), folder.path()).await;
}

async fn serve(folder: &Path) {
    let database = Database::open(&folder.join("pipe.db"), Options::SERVER).expect("a database");
    let options =
        FrontDoorOptions { rate: Rate { per_minute: u32::MAX, burst: u32::MAX }, ..FrontDoorOptions::default() };
    let door = FrontDoor::new(Deliveries::on(database), Arc::new(One), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let options = ServerOptions { connections_each_max: 1_000, ..ServerOptions::default() };
    Server::new(door.routes(), options).serve(listener, CancellationToken::new()).await;
}

async fn measure(connections: u64, time: Duration, body_bytes: u64, folder: &Path) {
    let program = std::env::current_exe().expect("this program");
    let mut server = Command::new(program).arg("serve").arg(folder).stdout(Stdio::piped()).spawn().expect("a child");
    let mut address = String::new();
    BufReader::new(server.stdout.take().expect("piped")).read_line(&mut address).expect("an address");
    let (begun, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..connections {
        clients.spawn(client(address.trim().to_owned(), Arc::clone(&count), begun + time, body_bytes));
    }
    let (mut times, mut acknowledged) = (Vec::new(), HashSet::new());
    for (each, ids) in clients.join_all().await {
        times.extend(each);
        acknowledged.extend(ids);
    }
    let seconds = begun.elapsed().as_secs_f64();
    server.kill().expect("killed");
    server.wait().expect("gone");
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1_000.0;
    println!("{connections} connections, bodies of {body_bytes} bytes, {seconds:.1} s");
    println!("{:.0} acknowledgements/s", times.len() as f64 / seconds);
    println!("p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), at(0.999), at(1.0));
    println!(
        "{} acknowledged, {} of them missing after SIGKILL",
        acknowledged.len(),
        missing(folder, acknowledged.clone()).await
    );
}

async fn client(address: String, count: Arc<AtomicU64>, end: Instant, body_bytes: u64) -> (Vec<Duration>, Vec<String>) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a TCP socket");
    let padding = "x".repeat(usize::try_from(body_bytes).unwrap_or(0).saturating_sub(300));
    let (mut times, mut ids, mut answer) = (Vec::new(), Vec::new(), vec![0; 4_096]);
    while Instant::now() < end {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"ref":"refs/heads/main","before":"{number:040x}","after":"{:040x}","repository":{{"full_name":"{REPOSITORY}"}},"sender":{{"login":"load"}},"text":"{padding}"}}"#,
            number + 1
        );
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = format!(
            "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n\
             X-GitHub-Delivery: {number}\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut length = 0;
        // The answer is small and ends with the JSON's brace.
        while length == 0 || answer[length - 1] != b'}' {
            let read = stream.read(&mut answer[length..]).await.expect("answered");
            assert!(read > 0, "the server closed the connection");
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer[..length]));
        times.push(begun.elapsed());
        ids.push(number.to_string());
    }
    (times, ids)
}

async fn missing(folder: &Path, mut acknowledged: HashSet<String>) -> usize {
    let database = Database::open(&folder.join("pipe.db"), Options::SERVER).expect("whole");
    let deliveries = Deliveries::on(database);
    let mut before = None;
    loop {
        let filter = DeliveryFilter { before, limit: 500, ..DeliveryFilter::default() };
        let list = deliveries.list(filter).await.expect("readable");
        for delivery in &list {
            acknowledged.remove(&delivery.guid);
        }
        before = list.last().map(|delivery| delivery.number);
        if before.is_none() {
            return acknowledged.len();
        }
    }
}
