//! The repository over git's own protocol, for a job whose token is one of here: `actions/checkout` and `git fetch` of an action find
//! commits that no server has seen. It can be fetched, not pushed to. See <https://git-scm.com/docs/http-protocol>.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::serving::GIT_SETTINGS;
use futures_util::stream;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use workflow::model::PermissionLevel;

use crate::answer::{Answer, streamed, whole};
use crate::job::Job;

/// Where it is; owner and name come behind it.
pub(crate) const PREFIX: &str = "/git/";
/// Bytes of a request, unpacked: what a client has and wants.
const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Bytes of a part of an answer.
const PART_BYTES: usize = 64 * 1024;
/// What git calls the service that gives.
const GIVES: &str = "git-upload-pack";
/// What it allows beyond what it does anyway: commits by their ids, and clones of a part.
const SETTINGS: [&str; 3] = ["safe.directory=*", "uploadpack.allowAnySHA1InWant=true", "uploadpack.allowFilter=true"];

/// Variables by which git of an action finds it in place of the server's; none where the token is not one of here.
pub(crate) fn variables(job: &Job) -> Vec<(String, String)> {
    let (Some(token), name) = (&job.facts.token, &job.facts.repository.name) else { return Vec::new() };
    let server = match job.facts.github["server_url"].as_str() {
        Some(server) if !server.is_empty() => server,
        _ => "https://github.com",
    };
    let Some(host) = job.facts.origin.strip_prefix("http://") else { return Vec::new() };
    let user = format!("x-access-token:{}@", token.expose());
    let here = format!("http://{user}{host}{PREFIX}{name}");
    let server = server.trim_end_matches('/');
    let mut theirs = vec![format!("{server}/{name}")];
    // Actions that push put the token into the address themselves.
    theirs.extend(server.split_once("://").map(|(scheme, rest)| format!("{scheme}://{user}{rest}/{name}")));
    if name.contains('\'') || server.contains('\'') {
        return Vec::new();
    }
    let settings: Vec<_> = theirs.iter().map(|theirs| format!("'url.{here}.insteadOf={theirs}'")).collect();
    vec![(GIT_SETTINGS.to_owned(), settings.join(" "))]
}

/// Answers a request below [`PREFIX`].
pub(crate) async fn answer(job: &Arc<Job>, request: Request<Incoming>) -> Answer {
    if !is_allowed(job, &request) {
        let mut answer = said(StatusCode::UNAUTHORIZED, "this is not the token of a job that goes on");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"pipe\""));
        return answer;
    }
    let path = request.uri().path()[PREFIX.len()..].to_owned();
    let mut parts = path.splitn(3, '/');
    let (Some(owner), Some(name), Some(service)) = (parts.next(), parts.next(), parts.next()) else {
        return said(StatusCode::NOT_FOUND, "there is no repository at this address");
    };
    let asked = format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name));
    if !asked.eq_ignore_ascii_case(&job.facts.repository.name) {
        return elsewhere(job, &path, request.uri().query());
    }
    let level = job.facts.permissions.as_ref().map_or(PermissionLevel::Read, |given| given.level("contents"));
    if level < PermissionLevel::Read {
        return said(StatusCode::FORBIDDEN, "the job needs `permissions: { contents: read }`");
    }
    let protocol = request.headers().get("git-protocol").and_then(|value| value.to_str().ok()).map(str::to_owned);
    match (request.method(), service) {
        (&Method::GET, "info/refs") if request.uri().query() == Some("service=git-upload-pack") => {
            advertised(job, protocol).await
        }
        (&Method::POST, GIVES) => packed(job, protocol, request).await,
        _ => said(
            StatusCode::FORBIDDEN,
            "this repository can be fetched here, and not pushed to; `-s GITHUB_TOKEN=...` leads the job to the forge, which can be",
        ),
    }
}

/// Git sends the token as a password, in any name.
fn is_allowed(job: &Job, request: &Request<Incoming>) -> bool {
    let mut given = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (given.next(), given.next()) else { return false };
    let Some((scheme, value)) = one.to_str().ok().and_then(|text| text.split_once(' ')) else { return false };
    if !scheme.eq_ignore_ascii_case("basic") {
        return job.keys.is_api_token(value.trim());
    }
    let decoded = STANDARD.decode(value.trim()).unwrap_or_default();
    let text = String::from_utf8_lossy(&decoded);
    text.split_once(':').is_some_and(|(_, password)| job.keys.is_api_token(password))
}

fn said(status: StatusCode, words: &'static str) -> Answer {
    whole(status, "text/plain", words)
}

/// Git replaces the beginning of an address: one that only begins as ours goes where it was meant to go.
fn elsewhere(job: &Job, path: &str, query: Option<&str>) -> Answer {
    let server = job.facts.github["server_url"].as_str().filter(|server| !server.is_empty());
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}/{path}{query}", server.unwrap_or("https://github.com").trim_end_matches('/'));
    let mut answer = said(StatusCode::TEMPORARY_REDIRECT, "this repository is not here");
    if let Ok(target) = HeaderValue::from_str(&target) {
        answer.headers_mut().insert(LOCATION, target);
    }
    answer
}

fn git(job: &Job, protocol: Option<&str>, words: &[&str]) -> std::io::Result<Child> {
    let mut command = Command::new("git");
    command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    command.args(["upload-pack", "--stateless-rpc"]).args(words).arg(&job.facts.repository.folder);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()
}

/// What there is to fetch.
async fn advertised(job: &Job, protocol: Option<String>) -> Answer {
    let child = git(job, protocol.as_deref(), &["--advertise-refs"]);
    let output = match child {
        Ok(child) => child.wait_with_output().await,
        Err(error) => Err(error),
    };
    match output {
        Ok(output) if output.status.success() => {
            let mut body = Vec::new();
            // The second version says it itself.
            if !protocol.is_some_and(|protocol| protocol.split(':').any(|one| one == "version=2")) {
                body.extend_from_slice(b"001e# service=git-upload-pack\n0000");
            }
            body.extend_from_slice(&output.stdout);
            typed(whole(StatusCode::OK, "application/x-git-upload-pack-advertisement", body), None)
        }
        Ok(_) | Err(_) => said(StatusCode::INTERNAL_SERVER_ERROR, "git does not read the repository"),
    }
}

/// What was asked for.
async fn packed(job: &Job, protocol: Option<String>, request: Request<Incoming>) -> Answer {
    let is_packed = request.headers().get(CONTENT_ENCODING).is_some_and(|value| value == "gzip");
    let body = match Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return said(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"),
    };
    let Ok(body) = unpacked(body, is_packed) else { return said(StatusCode::BAD_REQUEST, "the request is no gzip") };
    let Ok(mut child) = git(job, protocol.as_deref(), &[]) else {
        return said(StatusCode::INTERNAL_SERVER_ERROR, "git is not on this machine");
    };
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return said(StatusCode::INTERNAL_SERVER_ERROR, "git cannot be talked to");
    };
    tokio::spawn(async move {
        // Who ends before it has read all says why in its answer.
        let _ended = input.write_all(&body).await;
    });
    // The process lives as long as somebody reads.
    let parts = stream::unfold((output, child), |(mut output, child)| async move {
        let mut part = vec![0; PART_BYTES];
        match output.read(&mut part).await {
            Ok(0) => None,
            Ok(read) => {
                part.truncate(read);
                Some((Ok(Bytes::from(part)), (output, child)))
            }
            Err(error) => Some((Err(error), (output, child))),
        }
    });
    typed(streamed(parts), Some("application/x-git-upload-pack-result"))
}

fn unpacked(body: Bytes, is_packed: bool) -> std::io::Result<Vec<u8>> {
    if !is_packed {
        return Ok(body.to_vec());
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).take(REQUEST_BYTES_MAX as u64).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Git looks at the type, and nothing of it may be kept on the way.
fn typed(mut answer: Answer, kind: Option<&'static str>) -> Answer {
    if let Some(kind) = kind {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}
