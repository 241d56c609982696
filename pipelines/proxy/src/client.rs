//! How somebody else steers a running proxy: over its control socket, by the routes of `docs/proxy.md`.
//!
//! Each call is one connection. Nothing is repeated here but what met a process in the moment of its hand-over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HOST, IF_MATCH};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::event::Event;
use crate::stats::Stats;
use crate::table::Table;

/// How long an answer may take, beyond what the question itself waits for.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Attempts while one process hands over to another.
const ATTEMPTS_MAX: u32 = 20;
/// Between those.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Steers the proxy of one environment.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why a table does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// Somebody else was faster: read the table again and decide again.
    #[error("the table is now of generation {current}")]
    Conflict {
        /// The generation that stands.
        current: u64,
    },
    /// It makes no sense; what stood before stands.
    #[error("the proxy refuses the table: {0}")]
    Refused(String),
    /// It could not be written to disk; what stood before stands, also after a kill. Once there is room it may be asked again.
    #[error("the proxy cannot keep the table: {0}")]
    NotKept(String),
    /// No answer. The table may stand or not: read it.
    #[error("the proxy does not answer: {0}")]
    Unreachable(String),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody is there, or the connection broke.
    #[error("the proxy does not answer: {0}")]
    Unreachable(String),
    /// The answer is none that is understood.
    #[error("the proxy answers {0}")]
    Answer(String),
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// As in [`Stats`].
    pub process: String,
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The environment.
    pub environment: String,
    /// Where users' requests come in.
    pub listen: std::net::SocketAddr,
    /// Where tests' requests come in.
    pub test_listen: Option<std::net::SocketAddr>,
    /// Of the table.
    pub generation: u64,
}

/// How waiting for a colour's last request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Requests that are still being answered: 0 means drained.
    pub in_flight: u64,
}

impl Drained {
    /// Whether nothing is left.
    #[must_use]
    pub const fn is_drained(self) -> bool {
        self.in_flight == 0
    }
}

#[derive(Deserialize)]
struct Stands {
    generation: u64,
}

#[derive(Deserialize)]
struct Trouble {
    error: String,
}

#[derive(Deserialize)]
struct EventList {
    events: Vec<Event>,
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Client {
    /// Of the proxy whose folder has this socket (`<folder>/control.sock`). Connects to nothing yet.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Who answers.
    ///
    /// # Errors
    /// Nobody does.
    pub async fn about(&self) -> Result<About, AskError> {
        self.get("/about", ANSWER_TIME).await
    }

    /// The table that stands.
    ///
    /// # Errors
    /// No answer.
    pub async fn table(&self) -> Result<Table, AskError> {
        self.get("/table", ANSWER_TIME).await
    }

    /// Replaces the table if the one that stands is of generation `expected` (0: a new proxy's empty one). Gives the new
    /// generation, `expected + 1`; the one inside `table` is not looked at. Once this answers, the table is on disk and
    /// each request that begins from now on goes by it.
    ///
    /// # Errors
    /// Another table stands, this one is refused, or nobody answers.
    pub async fn replace(&self, expected: u64, table: &Table) -> Result<u64, ReplaceError> {
        let body = serde_json::to_vec(table).map_err(|error| ReplaceError::Refused(error.to_string()))?;
        let answer = self.ask(Method::PUT, "/table", Some(expected), body.into(), ANSWER_TIME).await;
        let answer = answer.map_err(|error| match error {
            AskError::Unreachable(reason) | AskError::Answer(reason) => ReplaceError::Unreachable(reason),
        })?;
        if answer.status == StatusCode::OK || answer.status == StatusCode::PRECONDITION_FAILED {
            let stands: Stands = serde_json::from_slice(&answer.body)
                .map_err(|error| ReplaceError::Unreachable(format!("the answer is not understood: {error}")))?;
            let current = stands.generation;
            return if answer.status == StatusCode::OK { Ok(current) } else { Err(ReplaceError::Conflict { current }) };
        }
        let reason = reason(&answer);
        Err(match answer.status {
            // Between hand-overs, or something that is no table's fault.
            StatusCode::SERVICE_UNAVAILABLE => ReplaceError::Unreachable(reason),
            StatusCode::INSUFFICIENT_STORAGE => ReplaceError::NotKept(reason),
            _ => ReplaceError::Refused(reason),
        })
    }

    /// What has been counted.
    ///
    /// # Errors
    /// No answer.
    pub async fn stats(&self) -> Result<Stats, AskError> {
        self.get("/stats", ANSWER_TIME).await
    }

    /// Waits until nothing of a revision is being answered, at most `timeout`. Says what is left. Useful once its weight
    /// is 0; a revision that the proxy does not know has nothing.
    ///
    /// # Errors
    /// No answer.
    pub async fn drained(&self, service: &str, revision: &str, timeout: Duration) -> Result<Drained, AskError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("service", service)
            .append_pair("revision", revision)
            .append_pair("timeout-ms", &timeout.as_millis().to_string())
            .finish();
        self.get(&format!("/drained?{query}"), timeout.saturating_add(ANSWER_TIME)).await
    }

    /// What happened after the event of this number (0: all that are kept), at once.
    ///
    /// # Errors
    /// No answer.
    pub async fn events(&self, after: u64) -> Result<Vec<Event>, AskError> {
        self.wait_events(after, Duration::ZERO).await
    }

    /// The same, once there is one or `wait` is over.
    ///
    /// # Errors
    /// No answer.
    pub async fn wait_events(&self, after: u64, wait: Duration) -> Result<Vec<Event>, AskError> {
        let path = format!("/events?after={after}&wait-ms={}", wait.as_millis());
        let list: EventList = self.get(&path, wait.saturating_add(ANSWER_TIME)).await?;
        Ok(list.events)
    }

    /// Counters for Prometheus, as text.
    ///
    /// # Errors
    /// No answer.
    pub async fn metrics(&self) -> Result<String, AskError> {
        let answer = self.ask(Method::GET, "/metrics", None, Bytes::new(), ANSWER_TIME).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, time: Duration) -> Result<T, AskError> {
        let answer = self.ask(Method::GET, path, None, Bytes::new(), time).await?;
        if answer.status != StatusCode::OK {
            return Err(AskError::Answer(format!("{}: {}", answer.status, reason(&answer))));
        }
        serde_json::from_slice(&answer.body).map_err(|error| AskError::Answer(error.to_string()))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        generation: Option<u64>,
        body: Bytes,
        time: Duration,
    ) -> Result<Answer, AskError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let asked = self.ask_once(method.clone(), path, generation, body.clone());
            let answer = tokio::time::timeout(time, asked)
                .await
                .map_err(|_| AskError::Unreachable(format!("no answer within {} s", time.as_secs())))??;
            // Whoever answers 503 has changed nothing and is about to be another process.
            if answer.status != StatusCode::SERVICE_UNAVAILABLE || attempt == ATTEMPTS_MAX {
                return Ok(answer);
            }
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
    }

    async fn ask_once(
        &self,
        method: Method,
        path: &str,
        generation: Option<u64>,
        body: Bytes,
    ) -> Result<Answer, AskError> {
        let unreachable = |error: &dyn std::fmt::Display| AskError::Unreachable(error.to_string());
        let (_held, short) = crate::socket::short(&self.socket).map_err(|error| unreachable(&error))?;
        let stream = UnixStream::connect(&short)
            .await
            .map_err(|error| AskError::Unreachable(format!("{}: {error}", self.socket.display())))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, "proxy");
        if let Some(generation) = generation {
            request = request.header(IF_MATCH, format!("\"{generation}\""));
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(&error))?;
        let answered = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok::<_, hyper::Error>((status, body))
        };
        // The connection is driven here, not by a task that nobody owns.
        let mut connection = std::pin::pin!(connection);
        let mut answered = std::pin::pin!(answered);
        let answered = tokio::select! {
            answered = &mut answered => answered,
            _ended = &mut connection => answered.await,
        };
        let (status, body) = answered.map_err(|error| unreachable(&error))?;
        let body = body.map_err(|error| AskError::Unreachable(error.to_string()))?.to_bytes();
        Ok(Answer { status, body })
    }
}

fn reason(answer: &Answer) -> String {
    serde_json::from_slice::<Trouble>(&answer.body)
        .map_or_else(|_| String::from_utf8_lossy(&answer.body).into_owned(), |trouble| trouble.error)
}
