//! `GET /_ping` on a socket: the cheapest question that a Docker engine answers, and who answers it.
//!
//! By hand, since the client library keeps neither the headers nor the peer. Follows
//! <https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemPing>.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const REQUEST: &[u8] = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";

/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// How long an engine may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An engine's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pong {
    /// Version of its API.
    pub(super) api: (usize, usize),
    /// The engine itself holds the socket, not a program that forwards to another machine.
    pub(super) is_docker_here: bool,
}

/// Asks; `None`: something else answers, or nothing intelligible.
pub(super) async fn ping(socket: &Path) -> io::Result<Option<Pong>> {
    let asking = async {
        let mut stream = UnixStream::connect(socket).await?;
        let is_docker_here = stream.peer_cred().ok().and_then(|peer| peer.pid()).is_some_and(is_docker);
        stream.write_all(REQUEST).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        let text = String::from_utf8_lossy(&answer);
        Ok(header(&text).and_then(api).map(|api| Pong { api, is_docker_here }))
    };
    tokio::time::timeout(TIMEOUT, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A process that is the engine, or who opened its socket for it.
fn is_docker(pid: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    matches!(name.trim(), "dockerd" | "systemd")
}

fn header(answer: &str) -> Option<&str> {
    let (status, headers) = answer.split_once("\r\n")?;
    if !status.starts_with("HTTP/1.") || !status.contains(" 200 ") {
        return None;
    }
    let lines = headers.split("\r\n").take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("api-version"))
        .map(|(_, value)| value.trim())
}

/// `1.41` as numbers.
pub(super) fn api(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let check =
            |answer: &str, expect: Option<(usize, usize)>| assert_eq!(header(answer).and_then(api), expect, "{answer}");
        check("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: x\r\n\r\nOK", Some((1, 41)));
        check("HTTP/1.1 200 OK\r\napi-version:1.9\r\n\r\n", Some((1, 9)));
        check("HTTP/1.1 500 No\r\nApi-Version: 1.41\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\n\r\nApi-Version: 1.41\r\n", None);
        check("220 smtp ready\r\n", None);
        check("", None);
    }
}
