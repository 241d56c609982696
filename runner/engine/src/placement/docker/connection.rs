//! One connection to an engine: opened, its version agreed on, what it can do remembered, its errors worded.
//!
//! Makes nothing and asks for nothing else.

use std::path::Path;
use std::sync::Arc;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};

use super::address::{Address, Surroundings};
use super::ping;
use crate::placement::PlacementError;

/// Seconds that one request may take, long transfers apart.
const REQUEST_SECONDS_MAX: u64 = 120;

/// The version of an engine that names none.
const API_OLDEST: (usize, usize) = (1, 24);

/// A connected engine.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) docker: Docker,
    pub(crate) capabilities: Arc<Capabilities>,
}

/// What an engine can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Where it is, for messages.
    pub(crate) address: String,
    /// Version of its API, major and minor.
    pub(crate) api: (usize, usize),
    /// Whether it runs on this very kernel, so that bind mounts and sockets on them can work.
    pub(crate) same_kernel: bool,
}

impl Capabilities {
    /// `cgroupns=private` came with API 1.41.
    pub(crate) fn private_cgroups(&self) -> bool {
        self.api >= (1, 41)
    }
}

impl Connection {
    /// Connects to the engine that the environment names.
    pub(crate) async fn open(surroundings: &Surroundings) -> Result<Self, PlacementError> {
        let address = surroundings.address()?;
        let docker = client(&address)?.with_request_modifier(url_safe_credentials);
        let (api, same_kernel) = match &address {
            // A ping costs 1 ms; for its version Docker starts three programs.
            Address::Unix(path) => match ping::ping(path).await.map_err(|error| unanswered(&address, &error))? {
                Some(pong) if pong.is_docker_here => (pong.api, true),
                Some(_) | None => versions(&docker, &address, true).await?,
            },
            Address::Tcp(_) | Address::Tls { .. } => versions(&docker, &address, false).await?,
        };
        let capabilities = Capabilities { address: address.to_string(), api, same_kernel };
        Ok(Self { docker, capabilities: Arc::new(capabilities) })
    }
}

/// The version of the API, and whether the engine runs on this kernel: one behind a forwarded socket does not.
async fn versions(
    docker: &Docker,
    address: &Address,
    is_socket: bool,
) -> Result<((usize, usize), bool), PlacementError> {
    let version = docker.version().await.map_err(|error| connect_error(address, &error))?;
    let api = version.api_version.as_deref().and_then(ping::api).unwrap_or(API_OLDEST);
    let desktop = version.platform.is_some_and(|platform| platform.name.contains("Docker Desktop"));
    let same_kernel = is_socket && !desktop && version.kernel_version.is_some_and(|kernel| kernel == kernel_here());
    Ok((api, same_kernel))
}

fn kernel_here() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn client(address: &Address) -> Result<Docker, PlacementError> {
    let unusable =
        |error: Error| PlacementError::AddressUnusable { setting: address.to_string(), reason: error.to_string() };
    match address {
        Address::Unix(path) if !path.exists() => {
            Err(PlacementError::DaemonNotFound { path: path.display().to_string() })
        }
        Address::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), REQUEST_SECONDS_MAX, API_DEFAULT_VERSION)
                .map_err(unusable)
        }
        Address::Tcp(host) => {
            Docker::connect_with_http(&format!("tcp://{host}"), REQUEST_SECONDS_MAX, API_DEFAULT_VERSION)
                .map_err(unusable)
        }
        Address::Tls { host, certificates } => {
            let file = |name: &str| certificates.join(name);
            let (key, certificate, authority) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
            Docker::connect_with_ssl(host, &key, &certificate, &authority, REQUEST_SECONDS_MAX, API_DEFAULT_VERSION)
                .map_err(unusable)
        }
    }
}

/// The engine decodes credentials as URL-safe base64, bollard sends plain base64.
pub(super) fn url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    for name in ["X-Registry-Auth", "X-Registry-Config"] {
        let Some(value) = request.headers_mut().get_mut(name) else { continue };
        let Ok(text) = value.to_str().map(|text| text.replace('+', "-").replace('/', "_")) else { continue };
        if let Ok(safe) = text.parse() {
            *value = safe;
        }
    }
    request
}

pub(super) type BollardRequest = bollard::BollardRequest;

fn connect_error(address: &Address, error: &Error) -> PlacementError {
    unreached(address, io_kind(error), innermost(error))
}

fn unanswered(address: &Address, error: &std::io::Error) -> PlacementError {
    unreached(address, Some(error.kind()), error.to_string())
}

fn unreached(address: &Address, kind: Option<std::io::ErrorKind>, reason: String) -> PlacementError {
    let reason = match kind {
        Some(std::io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        Some(_) | None => reason,
    };
    match (address, kind) {
        (Address::Unix(path), Some(std::io::ErrorKind::PermissionDenied)) => socket_forbidden(path),
        (Address::Unix(path), Some(std::io::ErrorKind::NotFound)) => {
            PlacementError::DaemonNotFound { path: path.display().to_string() }
        }
        (Address::Tcp(_) | Address::Tls { .. } | Address::Unix(_), _) => {
            PlacementError::DaemonNotRunning { address: address.to_string(), reason }
        }
    }
}

fn socket_forbidden(path: &Path) -> PlacementError {
    PlacementError::SocketForbidden { path: path.display().to_string() }
}

/// The system's error below an error of the client library.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// The last error of a chain: the one that says something.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// What the engine said, without the client library's words around it.
pub(crate) fn message(error: &Error) -> String {
    if let Error::DockerResponseServerError { status_code: _, message } = error {
        return message.trim().to_owned();
    }
    if let Error::DockerStreamError { error } = error {
        return error.trim().to_owned();
    }
    innermost(error)
}

/// The HTTP status of a refusal.
pub(crate) fn status(error: &Error) -> Option<u16> {
    if let Error::DockerResponseServerError { status_code, message: _ } = error { Some(*status_code) } else { None }
}

/// An engine's refusal as ours.
pub(crate) fn refused(action: impl Into<String>) -> impl FnOnce(Error) -> PlacementError {
    move |error| PlacementError::Engine { action: action.into(), reason: message(&error) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    async fn check(host: &str, expect: &str) {
        let surroundings = Surroundings { docker_host: Some(host.to_owned()), ..Surroundings::default() };
        let error = Connection::open(&surroundings).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{host}\n  gave {error}\n  want {expect}");
    }

    #[tokio::test]
    async fn engines_that_are_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let url = |name: &str| format!("unix://{}", path(name).display());
        check(&url("none"), "there is no Docker here").await;
        drop(std::os::unix::net::UnixListener::bind(path("dead")).unwrap());
        check(&url("dead"), "nothing listens there. Start it").await;
        check("tcp://127.0.0.1:9", "Docker does not answer at tcp://127.0.0.1:9: nothing listens there").await;
        let _forbidden = std::os::unix::net::UnixListener::bind(path("forbidden")).unwrap();
        std::fs::set_permissions(path("forbidden"), std::fs::Permissions::from_mode(0o000)).unwrap();
        let error =
            unreached(&Address::Unix(path("forbidden")), Some(std::io::ErrorKind::PermissionDenied), String::new());
        assert!(error.to_string().contains("sudo usermod -aG docker $USER"), "{error}");
    }

    #[tokio::test]
    async fn something_else_on_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let _serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp ready\r\n").await;
            }
        });
        check(&format!("unix://{}", path.display()), "Docker does not answer at unix://").await;
    }
}
