//! Credentials of registries, from the user's Docker configuration.
//!
//! A registry gets what was stored for exactly its host and nothing else. Follows
//! <https://docs.docker.com/reference/cli/docker/login/#credential-stores>.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use workflow::secret::Secret;

use super::PullProblem;

/// How long a credential helper may take; some ask a person.
const HELPER_SECONDS_MAX: u64 = 60;

/// The key of Docker Hub in `config.json`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What `config.json` in `directory` has for a registry.
pub(crate) async fn stored(directory: &Path, host: &str) -> Result<Option<DockerCredentials>, PullProblem> {
    let Ok(text) = tokio::fs::read(directory.join("config.json")).await else { return Ok(None) };
    let Ok(config) = serde_json::from_slice::<Value>(&text) else { return Ok(None) };
    let server = if host == "docker.io" { DOCKER_HUB } else { host };
    let helper = config.pointer("/credHelpers").and_then(|helpers| helpers.get(host).or_else(|| helpers.get(server)));
    let store = config.get("credsStore");
    if let Some(helper) = helper.or(store).and_then(Value::as_str).filter(|helper| !helper.is_empty())
        && let Some(found) = ask_helper(helper, server).await?
    {
        return Ok(Some(found));
    }
    Ok(in_file(&config, host, server))
}

/// The name and password that `docker login` kept for a registry; an identity token is none of these.
///
/// # Errors
/// A helper does not answer; a sentence for a person.
pub async fn stored_login(directory: &Path, host: &str) -> Result<Option<(String, Secret)>, String> {
    let found = stored(directory, host).await.map_err(|problem| problem.to_string())?;
    Ok(found.and_then(|found| Some((found.username?, Secret::new(found.password?)))))
}

fn in_file(config: &Value, host: &str, server: &str) -> Option<DockerCredentials> {
    let entry = config.get("auths")?.as_object()?.iter().find(|(key, _)| host_of(key) == host)?.1;
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let pair = text("auth").and_then(|auth| {
        let decoded = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
    });
    let (username, password) = pair.or_else(|| Some((text("username")?, text("password")?))).unzip();
    let identitytoken = text("identitytoken");
    if username.is_none() && identitytoken.is_none() {
        return None;
    }
    Some(DockerCredentials {
        username,
        password,
        identitytoken,
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    })
}

/// The registry that a key of `auths` is about; keys may be whole URLs.
fn host_of(key: &str) -> &str {
    let host = key.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or(host);
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host }
}

async fn ask_helper(helper: &str, server: &str) -> Result<Option<DockerCredentials>, PullProblem> {
    let failed = |reason: String| PullProblem::CredentialHelper(format!("docker-credential-{helper}: {reason}"));
    if !helper.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Err(failed("not a name".to_owned()));
    }
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input says so by its exit code.
        let _ = input.write_all(server.as_bytes()).await;
    }
    let output = tokio::time::timeout(Duration::from_secs(HELPER_SECONDS_MAX), child.wait_with_output())
        .await
        .map_err(|_| failed(format!("no answer in {HELPER_SECONDS_MAX} s")))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(said.trim().to_owned()));
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (username, secret) = (text("Username"), text("Secret"));
    let mut found = DockerCredentials { serveraddress: Some(server.to_owned()), ..DockerCredentials::default() };
    if username == "<token>" {
        found.identitytoken = Some(secret);
    } else {
        found.username = Some(username);
        found.password = Some(secret);
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files() {
        let directory = tempfile::tempdir().unwrap();
        let auth = STANDARD.encode("me:pass:word");
        let config = serde_json::json!({"auths": {
            "https://index.docker.io/v1/": {"auth": auth},
            "ghcr.io": {"identitytoken": "token"},
            "https://own.example:5000/v2/": {"username": "u", "password": "p"},
            "empty.example": {},
        }});
        std::fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        let get = async |host: &str| stored(directory.path(), host).await.unwrap();
        assert_eq!(get("docker.io").await.unwrap().password.as_deref(), Some("pass:word"));
        assert_eq!(get("ghcr.io").await.unwrap().identitytoken.as_deref(), Some("token"));
        assert_eq!(get("own.example:5000").await.unwrap().username.as_deref(), Some("u"));
        for other in ["own.example", "evil.ghcr.io", "empty.example", "example.com"] {
            assert_eq!(get(other).await, None, "{other}");
        }
    }

    #[tokio::test]
    async fn helpers_that_are_not_there() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), r#"{"credsStore":"none-such"}"#).unwrap();
        let error = stored(directory.path(), "docker.io").await.unwrap_err();
        assert!(error.to_string().contains("docker-credential-none-such"), "{error}");
        std::fs::write(directory.path().join("config.json"), r#"{"credHelpers":{"a.b":"../x"}}"#).unwrap();
        assert!(stored(directory.path(), "a.b").await.is_err());
    }
}
