//! The Docker engine, for actions that build and start images.

use std::path::{Path, PathBuf};

use bollard::API_DEFAULT_VERSION;
use tokio::net::{TcpStream, UnixStream};

/// Seconds that one request may take until its answer begins.
const REQUEST_SECONDS_MAX: u64 = 3600;

/// A connected engine.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Its client.
    pub client: bollard::Docker,
    address: Address,
}

#[derive(Debug, Clone)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
}

/// A plain connection to an engine.
#[derive(Debug)]
pub enum Socket {
    /// On this machine.
    Unix(UnixStream),
    /// Elsewhere.
    Tcp(TcpStream),
}

impl Docker {
    /// Connects to the engine that `DOCKER_HOST` or the usual socket names.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn connect() -> Result<Self, String> {
        let address = address()?;
        let client = match &address {
            Address::Unix(path) => {
                bollard::Docker::connect_with_unix(&path.to_string_lossy(), REQUEST_SECONDS_MAX, API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => {
                bollard::Docker::connect_with_http(&format!("tcp://{host}"), REQUEST_SECONDS_MAX, API_DEFAULT_VERSION)
            }
        };
        let unreachable = |error: bollard::errors::Error| {
            format!(
                "Docker cannot be reached ({error}). Start it (`sudo systemctl start docker`), or point DOCKER_HOST at one that runs"
            )
        };
        let client = client.map_err(unreachable)?.negotiate_version().await.map_err(unreachable)?;
        Ok(Self { client, address })
    }

    /// Host on which published ports of containers are reached.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.address {
            Address::Unix(_) => "127.0.0.1".to_owned(),
            Address::Tcp(host) => host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host).to_owned(),
        }
    }

    /// Whether it is on this machine.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// A connection of its own, for what is not plain HTTP.
    ///
    /// # Errors
    /// The engine is gone.
    pub async fn socket(&self) -> Result<Socket, String> {
        let failed = |error: std::io::Error| format!("Docker cannot be reached: {error}");
        match &self.address {
            Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix).map_err(failed),
            Address::Tcp(host) => TcpStream::connect(host.as_str()).await.map(Socket::Tcp).map_err(failed),
        }
    }
}

fn address() -> Result<Address, String> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    if host.is_empty() {
        return Ok(Address::Unix(usual_socket()));
    }
    match host.split_once("://") {
        Some(("unix", path)) => Ok(Address::Unix(PathBuf::from(path))),
        Some(("tcp" | "http", host)) if std::env::var_os("DOCKER_TLS_VERIFY").is_none() => {
            Ok(Address::Tcp(host.trim_end_matches('/').to_owned()))
        }
        Some(_) | None => Err(format!(
            "images cannot be built at DOCKER_HOST={host}: use unix:///path or tcp://host:port without TLS"
        )),
    }
}

fn usual_socket() -> PathBuf {
    let system = PathBuf::from("/var/run/docker.sock");
    let rootless = std::env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("docker.sock"));
    rootless.filter(|path| !system.exists() && path.exists()).unwrap_or(system)
}

/// What the engine said, without the client's words around it.
pub(crate) fn words(error: &bollard::errors::Error) -> String {
    use bollard::errors::Error;
    if let Error::DockerStreamError { error: said }
    | Error::DockerResponseServerError { message: said, status_code: _ } = error
    {
        return said.trim().to_owned();
    }
    error.to_string()
}
