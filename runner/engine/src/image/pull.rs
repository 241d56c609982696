//! One pull: its progress, and what its failure means.
//!
//! Decides neither whether to pull nor with which credentials.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt as _;
use tokio::sync::watch;

use super::reference::Reference;
use super::{PullProblem, to_the_end};
use crate::placement::docker_message;

/// Pauses before the second and third try, where a try makes sense.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Bytes received and bytes in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PullProgress {
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
}

/// Pulls an image; tries again where the failure is of a kind that passes.
pub(crate) async fn pull(
    docker: &Docker,
    reference: &Reference,
    platform: Option<&str>,
    credentials: Option<DockerCredentials>,
    progress: &watch::Sender<PullProgress>,
) -> Result<(), PullProblem> {
    let mut pauses = RETRY_PAUSES.iter();
    loop {
        let Err(message) = pull_once(docker, reference, platform, credentials.clone(), progress).await else {
            return Ok(());
        };
        match pauses.next() {
            Some(pause) if passes(&message) => tokio::time::sleep(*pause).await,
            Some(_) | None => return Err(problem(&message, credentials.is_some())),
        }
    }
}

async fn pull_once(
    docker: &Docker,
    reference: &Reference,
    platform: Option<&str>,
    credentials: Option<DockerCredentials>,
    progress: &watch::Sender<PullProgress>,
) -> Result<(), String> {
    let tag = reference.digest.as_deref().or(reference.tag.as_deref()).unwrap_or("latest");
    let options = CreateImageOptionsBuilder::default().from_image(&reference.name).tag(tag);
    let options = platform.map_or_else(|| options.clone(), |platform| options.clone().platform(platform)).build();
    let mut layers = HashMap::new();
    let mut lines = pin!(to_the_end(docker.create_image(Some(options), None, credentials)));
    while let Some(line) = lines.try_next().await.map_err(|error| docker_message(&error))? {
        if note(&mut layers, line) {
            let sum = layers.values().fold(PullProgress::default(), |sum, layer: &PullProgress| PullProgress {
                bytes_done: sum.bytes_done + layer.bytes_done,
                bytes_total: sum.bytes_total + layer.bytes_total,
            });
            progress.send_replace(sum);
        }
    }
    Ok(())
}

/// Counts the bytes of the network; unpacking runs over the same bytes again and is not counted.
fn note(layers: &mut HashMap<String, PullProgress>, line: CreateImageInfo) -> bool {
    let (Some(id), Some(status)) = (line.id, line.status) else { return false };
    match status.as_str() {
        "Downloading" => {
            let Some(detail) = line.progress_detail else { return false };
            let count = |number: Option<i64>| u64::try_from(number.unwrap_or(0)).unwrap_or(0);
            layers.insert(id, PullProgress { bytes_done: count(detail.current), bytes_total: count(detail.total) });
            true
        }
        "Download complete" => layers.get_mut(&id).is_some_and(|layer| {
            layer.bytes_done = layer.bytes_total;
            true
        }),
        _ => false,
    }
}

fn has(message: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| message.contains(part))
}

/// Whether a failure is of a kind that passes by itself.
fn passes(message: &str) -> bool {
    has(
        message,
        &[
            "connection reset",
            "unexpected EOF",
            "TLS handshake timeout",
            "500 Internal",
            "502 Bad",
            "503 Service",
            "504 Gateway",
        ],
    )
}

/// What the engine's words mean.
pub(crate) fn problem(message: &str, with_credentials: bool) -> PullProblem {
    let text = message.to_owned();
    let lower = message.to_ascii_lowercase();
    if has(&lower, &["toomanyrequests", "too many requests", "rate limit"]) {
        return PullProblem::RateLimited(text);
    }
    if has(&lower, &["no space left"]) {
        return PullProblem::DiskFull(text);
    }
    if has(&lower, &["no matching manifest", "does not match the specified platform"]) {
        return PullProblem::NoSuchPlatform(text);
    }
    if has(&lower, &["unauthorized", "incorrect username or password", "authentication required", "no basic auth"]) {
        return PullProblem::Denied(text);
    }
    if has(&lower, &["denied", "forbidden"]) {
        return if with_credentials { PullProblem::Denied(text) } else { PullProblem::NotFound(text) };
    }
    if has(&lower, &["invalid reference format"]) {
        return PullProblem::Malformed(text);
    }
    let network = [
        "no such host",
        "dial tcp",
        "dial unix",
        "i/o timeout",
        "connection refused",
        "connection reset",
        "network is unreachable",
        "no route to host",
        "timeout exceeded",
        "request canceled",
        "handshake",
        "x509",
        "server misbehaving",
        "server gave http response",
        "proxyconnect",
        "eof",
    ];
    if has(&lower, &network) {
        return PullProblem::Unreachable(text);
    }
    if has(&lower, &["manifest unknown", "not found", "does not exist", "name unknown"]) {
        return PullProblem::NotFound(text);
    }
    PullProblem::Other(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems() {
        let check = |message: &str, expect: &str| {
            let got = format!("{:?}", problem(message, false));
            assert!(got.starts_with(expect), "{message}: {got}");
        };
        check(
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
            "Unreachable",
        );
        check("manifest for alpine:nope not found: manifest unknown: manifest unknown", "NotFound");
        check("pull access denied for x, repository does not exist or may require 'docker login'", "NotFound");
        check("Get \"https://x/v2/\": unauthorized: incorrect username or password", "Denied");
        check("toomanyrequests: You have reached your pull rate limit", "RateLimited");
        check("no matching manifest for linux/s390x in the manifest list entries", "NoSuchPlatform");
        check("failed to register layer: write /x: no space left on device", "DiskFull");
        check("something new", "Other");
        assert!(matches!(problem("denied: requested access", true), PullProblem::Denied(_)));
    }

    #[test]
    fn layers() {
        let mut layers = HashMap::new();
        let line = |id: &str, status: &str, current: i64, total: i64| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: Some(bollard::models::ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        };
        assert!(note(&mut layers, line("a", "Downloading", 1, 10)));
        assert!(note(&mut layers, line("a", "Download complete", 0, 0)));
        assert!(!note(&mut layers, line("a", "Extracting", 3, 10)));
        assert_eq!(layers["a"], PullProgress { bytes_done: 10, bytes_total: 10 });
    }
}
