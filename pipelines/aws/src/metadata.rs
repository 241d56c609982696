//! Keys of the machine or the container that `pipe` runs in: IMDSv2 of EC2, and the end point of ECS and EKS.
//!
//! Follows <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html> and
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>. IMDSv1 is not asked: it answers to
//! whoever makes a server send a plain GET.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Fault, Keys, Problem};

/// Where IMDS is.
pub(crate) const IMDS: &str = "http://169.254.169.254";
/// Where ECS has its own.
pub(crate) const ECS: &str = "http://169.254.170.2";
/// How long a question may take: it goes no further than this machine.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Longest answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1_024;
/// How long a token of IMDS is good for, in seconds.
const TOKEN_SECONDS: &str = "300";

/// Keys of the role of an EC2 instance.
pub(crate) async fn of_instance(base: &str) -> Result<Keys, Problem> {
    let token =
        ask(base, "PUT", "/latest/api/token", &[("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)]).await?;
    let header = [("x-aws-ec2-metadata-token", token.trim())];
    let path = "/latest/meta-data/iam/security-credentials/";
    let roles = ask(base, "GET", path, &header).await?;
    let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
    let role = role.ok_or_else(|| {
        Problem::plain(Fault::Credentials, "this EC2 instance has no role: attach an instance profile")
    })?;
    read(&ask(base, "GET", &format!("{path}{role}"), &header).await?, "instance role")
}

/// Keys of the role of a task of ECS, or of a pod of EKS.
pub(crate) async fn of_container(url: &str, token: Option<&str>) -> Result<Keys, Problem> {
    let wrong = || {
        Problem::plain(Fault::Credentials, format!("`{url}` is no address that keys are asked at: http://HOST/PATH"))
    };
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    if !is_near(host) {
        return Err(Problem::plain(
            Fault::Credentials,
            format!("keys are asked at {host} only over TLS, and `pipe` asks for them on this machine alone"),
        ));
    }
    let headers: Vec<_> = token.map(|token| ("authorization", token)).into_iter().collect();
    read(&ask(&format!("http://{host}"), "GET", &format!("/{path}"), &headers).await?, "container role")
}

/// This machine, and the addresses that ECS and EKS have for this.
fn is_near(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.starts_with("127.") || matches!(name, "169.254.170.2" | "169.254.170.23")
}

/// What all of them answer.
pub(crate) fn read(text: &str, from: &'static str) -> Result<Keys, Problem> {
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let wrong = |part: &str| {
        let code = text("Code").map(|code| format!(" ({code})")).unwrap_or_default();
        Problem::plain(Fault::Credentials, format!("what the {from} gives has no `{part}`{code}"))
    };
    let id = text("AccessKeyId").ok_or_else(|| wrong("AccessKeyId"))?;
    let secret = text("SecretAccessKey").ok_or_else(|| wrong("SecretAccessKey"))?;
    let expires = text("Expiration").and_then(|at| at.parse::<Timestamp>().ok()).map(SystemTime::from);
    Ok(Keys::new(id, secret, text("Token").or_else(|| text("SessionToken")), expires, from))
}

async fn ask(base: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<String, Problem> {
    let host = base.trim_start_matches("http://");
    let lost = |why: String| Problem {
        is_for_now: true,
        ..Problem::plain(Fault::Network, format!("keys cannot be asked for at {base}{path}: {why}"))
    };
    let asked = async {
        let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n");
        for (name, value) in headers {
            if value.chars().any(char::is_control) {
                return Err(format!("`{name}` has a character that a header cannot have"));
            }
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        body(&String::from_utf8_lossy(&answer))
    };
    match tokio::time::timeout(TIME_MAX, asked).await {
        Ok(answer) => answer.map_err(lost),
        Err(_) => Err(lost(format!("no answer within {} s", TIME_MAX.as_secs()))),
    }
}

fn body(answer: &str) -> Result<String, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer broke off")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!("status {status}"));
    }
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok(if is_chunked { chunks(body) } else { body.to_owned() })
}

fn chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        let Some(part) = rest.get(..size).filter(|part| !part.is_empty()) else { break };
        whole.push_str(part);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
