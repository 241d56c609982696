//! A server with a store in a folder of its own, and a client that sends exactly what it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use engine::store::deliveries::{Deliveries, Delivery, DeliveryFilter};
use engine::store::{Database, Options};
use hmac::{Hmac, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::{
    Drained, FrontDoor, FrontDoorOptions, Hook, HookError, HookSecrets, Rate, Server, ServerOptions, health_routes,
};
use workflow::event::Forge;
use workflow::secret::Secret;

/// Longer than anything that works takes, so that what does not work fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const REPOSITORY: &str = "octo/shop";

/// Secrets in memory.
#[derive(Debug, Default)]
pub(crate) struct Known(pub(crate) Vec<Arc<Hook>>);

impl Known {
    pub(crate) fn add(mut self, forge: Forge, repository: &str) -> Self {
        let secret = Secret::new(secret_of(repository));
        self.0.push(Arc::new(Hook { forge, repository: repository.to_owned(), secret }));
        self
    }
}

#[async_trait]
impl HookSecrets for Known {
    async fn find(&self, forge: Forge, repository: &str) -> Result<Option<Arc<Hook>>, HookError> {
        let is = |hook: &&Arc<Hook>| hook.forge == forge && hook.repository.eq_ignore_ascii_case(repository);
        Ok(self.0.iter().find(is).cloned())
    }

    async fn some(&self, forge: Forge, limit: usize) -> Result<Vec<Arc<Hook>>, HookError> {
        Ok(self.0.iter().filter(|hook| hook.forge == forge).take(limit).cloned().collect())
    }
}

pub(crate) fn secret_of(repository: &str) -> String {
    format!("the secret of {}", repository.to_ascii_lowercase())
}

/// What a server is started with.
pub(crate) struct Setup {
    pub(crate) known: Known,
    pub(crate) door: FrontDoorOptions,
    pub(crate) server: ServerOptions,
    pub(crate) more: Router,
}

impl Default for Setup {
    fn default() -> Self {
        let known = Forge::ALL.into_iter().fold(Known::default(), |known, forge| known.add(forge, REPOSITORY));
        let rate = Rate { per_minute: 60_000, burst: 10_000 };
        Self {
            known,
            door: FrontDoorOptions { rate, ..FrontDoorOptions::default() },
            server: ServerOptions::default(),
            more: Router::new(),
        }
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) deliveries: Deliveries,
    pub(crate) arrivals: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<Drained>,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start(setup: Setup) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), setup).await
    }

    pub(crate) async fn start_in(folder: tempfile::TempDir, setup: Setup) -> Self {
        let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
        let deliveries = Deliveries::on(database.clone());
        let door = FrontDoor::new(deliveries.clone(), Arc::new(setup.known), setup.door);
        let arrivals = door.arrivals();
        let routes = door.routes().merge(health_routes(database)).merge(setup.more);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(Server::new(routes, setup.server).serve(listener, stop.clone()));
        Self { address, deliveries, arrivals, stop, serving, folder }
    }

    /// Stops the server and starts another one on what it left.
    pub(crate) async fn restart(self, setup: Setup) -> Self {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.deliveries.database().close().await;
        Self::start_in(self.folder, setup).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads the answer, to the end of the connection.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // A server that refuses early may close before all is sent; its answer counts.
        drop(stream.write_all(bytes).await);
        Answer::read(&mut stream).await
    }

    pub(crate) async fn post(&self, request: &Post) -> Answer {
        self.send(&request.bytes()).await
    }

    pub(crate) async fn list(&self) -> Vec<Delivery> {
        self.deliveries.list(DeliveryFilter { limit: 500, ..DeliveryFilter::default() }).await.unwrap()
    }
}

/// A hook to send: right in every way until something is changed.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Post {
    /// A push to the test's repository, signed as GitHub does.
    pub(crate) fn push(guid: &str, branch: &str) -> Self {
        Self::github("push", guid, push_payload(REPOSITORY, branch).to_string().as_bytes())
    }

    pub(crate) fn github(event: &str, guid: &str, body: &[u8]) -> Self {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", guid),
            ("X-Hub-Signature-256", &signature(&secret_of(REPOSITORY), body)),
        ];
        Self {
            path: "/webhooks/github".into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: body.to_vec(),
        }
    }

    /// With another value of a header; without it if empty.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(crate) fn at(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Its head, with everything but the body's length.
    pub(crate) fn head(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("POST {} HTTP/1.1\r\nHost: pipe.test\r\nConnection: close\r\n{headers}", self.path)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}Content-Length: {}\r\n\r\n", self.head(), self.body.len()).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

pub(crate) fn push_payload(repository: &str, branch: &str) -> Json {
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "1".repeat(40),
        "after": "2".repeat(40),
        "repository": { "full_name": repository },
        "sender": { "login": "ada" },
    })
}

pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    format!("sha256={}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Everything until the server closes the connection.
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
        // A reset after the answer is how a connection ends whose body nobody wanted.
        drop(reading.await.expect("the server closes the connection"));
        Self::parse(&String::from_utf8(bytes).unwrap())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or(Json::Null)
    }

    pub(crate) fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.starts_with(&header.to_ascii_lowercase()))
    }
}
