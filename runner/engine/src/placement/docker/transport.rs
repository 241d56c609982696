//! How the agent in a container is reached: a socket in the shared run directory, or the container's attached stdio.
//!
//! Which of the two is decided by [`super::placement`]. What travels is [`crate::placement::client`]'s affair.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use agent::protocol::sync::{NONCE_BYTES, Scanner, preamble};
use async_trait::async_trait;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::ContainerState;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::StreamReader;

use crate::placement::client::{Connect, Link, SocketPath, connect_socket};

/// Between two looks for a socket that is not there yet.
const SOCKET_PAUSE: Duration = Duration::from_millis(1);

/// How long an agent may take from the start of its container to its socket.
const SOCKET_SECONDS_MAX: u64 = 30;

/// Looks after which it is asked whether the container still runs.
const LOOKS_PER_AUTOPSY: u32 = 250;

/// A socket in a folder that this machine and the container share.
#[derive(Debug)]
pub(super) struct SocketTransport {
    pub(super) docker: Docker,
    pub(super) container: String,
    pub(super) socket: SocketPath,
}

#[async_trait]
impl Connect for SocketTransport {
    async fn connect(&self) -> io::Result<Link> {
        connect_socket(&self.socket).await
    }

    async fn autopsy(&self) -> Option<String> {
        autopsy(&self.docker, &self.container).await
    }
}

impl SocketTransport {
    /// Waits until the agent listens, or its container is known not to run.
    pub(super) async fn wait(&self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(SOCKET_SECONDS_MAX);
        let mut looks = 0_u32;
        loop {
            if connect_socket(&self.socket).await.is_ok() {
                return Ok(());
            }
            looks += 1;
            if looks.is_multiple_of(LOOKS_PER_AUTOPSY)
                && let Some(reason) = self.dead().await
            {
                return Err(reason);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!(
                    "did not open its socket within {SOCKET_SECONDS_MAX} s; where the engine cannot share folders with \
                     pipe, set PIPE_AGENT_TRANSPORT=stdio"
                ));
            }
            tokio::time::sleep(SOCKET_PAUSE).await;
        }
    }

    /// Why the container does not run any more. One that has not been started yet is not dead.
    async fn dead(&self) -> Option<String> {
        let inspected = self.docker.inspect_container(&self.container, None).await.ok()?;
        let state = inspected.state?;
        let finished = state.finished_at.as_deref().is_some_and(|time| !time.starts_with("0001-"));
        (state.running != Some(true) && finished).then(|| verdict(&state))
    }
}

/// Why the agent of a container is gone; `None`: it still runs, or nobody can tell.
async fn autopsy(docker: &Docker, container: &str) -> Option<String> {
    match docker.inspect_container(container, None).await {
        Ok(inspected) => {
            let state = inspected.state?;
            (state.running != Some(true)).then(|| verdict(&state))
        }
        Err(error) if super::docker_status(&error) == Some(404) => {
            Some("is gone: its container was removed".to_owned())
        }
        Err(_) => None,
    }
}

fn verdict(state: &ContainerState) -> String {
    let code = state.exit_code.unwrap_or(-1);
    match state.error.as_deref().filter(|error| !error.is_empty()) {
        _ if state.oom_killed == Some(true) => "was killed because the job used more memory than it may".to_owned(),
        Some(error) => format!("is gone: its container ended with code {code} ({error})"),
        None if code == 137 => "is gone: its container was killed".to_owned(),
        None => format!("is gone: its container ended with code {code}"),
    }
}

/// The stdin and stdout of the container.
#[derive(Debug)]
pub(super) struct StdioTransport {
    pub(super) docker: Docker,
    pub(super) container: String,
    pub(super) token: String,
}

#[async_trait]
impl Connect for StdioTransport {
    async fn connect(&self) -> io::Result<Link> {
        let options =
            AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
        let attached = self.docker.attach_container(&self.container, Some(options)).await.map_err(io::Error::other)?;
        let mut writer = attached.input;
        let opening = preamble(&self.token, nonce());
        writer.write_all(&opening).await?;
        writer.flush().await?;
        let mut stdout = Box::pin(only_stdout(attached.output));
        let mut scanner = Scanner::new(opening);
        let rest = loop {
            let mut chunk = stdout.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
            if let Some(end) = scanner.scan(&chunk) {
                chunk.advance(end);
                break chunk;
            }
        };
        let first = futures_util::stream::iter((!rest.is_empty()).then_some(Ok(rest)));
        let reader = StreamReader::new(first.chain(stdout));
        Ok(Link { reader: Box::new(reader), writer: Box::new(writer) })
    }

    async fn autopsy(&self) -> Option<String> {
        autopsy(&self.docker, &self.container).await
    }
}

fn only_stdout(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    output.filter_map(|item| async move {
        match item {
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => Some(Ok(message)),
            Ok(LogOutput::StdErr { message }) => {
                tracing::debug!(said = %String::from_utf8_lossy(&message), "the agent wrote to stderr");
                None
            }
            Ok(LogOutput::StdIn { message: _ }) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        }
    })
}

/// Different for each attach in this process; against chance, not against an attacker.
fn nonce() -> [u8; NONCE_BYTES] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&unique(COUNT.fetch_add(1, Ordering::Relaxed))[..NONCE_BYTES]);
    nonce
}

/// Bytes that no other call in this or another process gives.
pub(super) fn unique(count: u64) -> [u8; 32] {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut digest = Sha256::new();
    digest.update(now.as_nanos().to_le_bytes());
    digest.update(std::process::id().to_le_bytes());
    digest.update(count.to_le_bytes());
    digest.finalize().into()
}
