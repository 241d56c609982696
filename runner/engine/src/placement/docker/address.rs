//! Where Docker is: `DOCKER_HOST`, the Docker context, or the usual socket, in the order of the `docker` program.
//!
//! Opens no connection. Follows <https://docs.docker.com/engine/manage-resources/contexts/>.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::placement::PlacementError;

/// The socket of a Docker that the system runs.
const SOCKET_DEFAULT: &str = "/var/run/docker.sock";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A socket on this machine, though the engine behind it may be elsewhere.
    Unix(PathBuf),
    /// Plain TCP, `host:port`.
    Tcp(String),
    /// TCP with TLS.
    Tls {
        /// `host:port`.
        host: String,
        /// Holds `ca.pem`, `cert.pem`, `key.pem`.
        certificates: PathBuf,
    },
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls { host, certificates: _ } => write!(f, "tcp://{host} (TLS)"),
        }
    }
}

/// What of the environment tells where Docker is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// `DOCKER_HOST`.
    pub(crate) docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub(crate) docker_context: Option<String>,
    /// `DOCKER_TLS_VERIFY` is set to something, or `DOCKER_TLS`.
    pub(crate) tls: bool,
    /// `DOCKER_CERT_PATH`.
    pub(crate) certificates: Option<PathBuf>,
    /// `DOCKER_CONFIG`, or `~/.docker`.
    pub(crate) config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where rootless Docker listens.
    pub(crate) runtime: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            tls: text("DOCKER_TLS_VERIFY").or_else(|| text("DOCKER_TLS")).is_some(),
            certificates: text("DOCKER_CERT_PATH").map(PathBuf::from),
            config: config_directory(),
            runtime: text("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }

    /// Where Docker is said to be.
    pub(crate) fn address(&self) -> Result<Address, PlacementError> {
        if let Some(host) = &self.docker_host {
            let certificates = self.tls.then(|| self.certificates.clone().or_else(|| self.config.clone())).flatten();
            return parse(host, certificates, &format!("DOCKER_HOST={host}"));
        }
        let context = self.docker_context.clone().or_else(|| self.current_context());
        match context.as_deref() {
            None | Some("default") => Ok(Address::Unix(self.usual_socket())),
            Some(context) => self.of_context(context),
        }
    }

    fn current_context(&self) -> Option<String> {
        let config = read_json(&self.config.as_ref()?.join("config.json"))?;
        config.get("currentContext")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
    }

    fn usual_socket(&self) -> PathBuf {
        let system = PathBuf::from(SOCKET_DEFAULT);
        let rootless = self.runtime.as_ref().map(|directory| directory.join("docker.sock"));
        match rootless {
            Some(rootless) if !system.exists() && rootless.exists() => rootless,
            Some(_) | None => system,
        }
    }

    fn of_context(&self, context: &str) -> Result<Address, PlacementError> {
        let setting = format!("the Docker context `{context}`");
        let unusable =
            |reason: &str| PlacementError::AddressUnusable { setting: setting.clone(), reason: reason.to_owned() };
        let contexts = self.config.as_ref().ok_or_else(|| unusable("there is no ~/.docker"))?.join("contexts");
        let folder = hex(&Sha256::digest(context.as_bytes()));
        let meta = read_json(&contexts.join("meta").join(&folder).join("meta.json"))
            .ok_or_else(|| unusable("it is not known here; see `docker context ls`, or set DOCKER_HOST"))?;
        let host = meta
            .pointer("/Endpoints/docker/Host")
            .and_then(serde_json::Value::as_str)
            .ok_or_else(|| unusable("it names no Docker endpoint"))?;
        let certificates = contexts.join("tls").join(&folder).join("docker");
        parse(host, certificates.is_dir().then_some(certificates), &setting)
    }
}

/// `DOCKER_CONFIG`, or `~/.docker`.
pub(crate) fn config_directory() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))
}

fn parse(host: &str, certificates: Option<PathBuf>, setting: &str) -> Result<Address, PlacementError> {
    let unusable =
        |reason: &str| PlacementError::AddressUnusable { setting: setting.to_owned(), reason: reason.to_owned() };
    let Some((scheme, rest)) = host.split_once("://") else {
        return Err(unusable("it has no scheme; write unix:///path or tcp://host:port"));
    };
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Address::Unix(PathBuf::from(rest))),
        "unix" => Err(unusable("the path of the socket must be absolute: unix:///path")),
        "tcp" | "http" | "https" => {
            let (host, default_port) = (rest.trim_end_matches('/'), if certificates.is_some() { 2376 } else { 2375 });
            if host.is_empty() {
                return Err(unusable("it names no host; write tcp://host:port"));
            }
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let host = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
            match certificates {
                Some(certificates) => Ok(Address::Tls { host, certificates }),
                None if scheme == "https" => {
                    Err(unusable("https needs certificates: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"))
                }
                None => Ok(Address::Tcp(host)),
            }
        }
        "ssh" => Err(unusable(&format!(
            "ssh is not spoken here; forward the socket instead: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {rest}`, \
             then DOCKER_HOST=unix:///tmp/docker.sock"
        ))),
        "npipe" => Err(unusable("named pipes are for Windows; use unix:// or tcp://")),
        other => Err(unusable(&format!("`{other}` is no scheme of Docker; use unix:// or tcp://"))),
    }
}

pub(crate) fn read_json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(surroundings: &Surroundings, expect: &str) {
        let got = surroundings.address().map_or_else(|error| error.to_string(), |address| address.to_string());
        assert!(got.contains(expect), "{surroundings:?}\n  gave {got}\n  want {expect}");
    }

    #[test]
    fn addresses() {
        let host = |host: &str| Surroundings { docker_host: Some(host.into()), ..Surroundings::default() };
        check(&Surroundings::default(), "unix:///var/run/docker.sock");
        check(&host("unix:///run/user/1000/docker.sock"), "unix:///run/user/1000/docker.sock");
        check(&host("unix://docker.sock"), "must be absolute");
        check(&host("tcp://10.0.0.1:2375"), "tcp://10.0.0.1:2375");
        check(&host("tcp://build.example"), "tcp://build.example:2375");
        check(&host("tcp://"), "names no host");
        check(&host("https://a:1"), "needs certificates");
        check(&host("ssh://me@far"), "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock me@far");
        check(&host("10.0.0.1:2375"), "has no scheme");
        check(&host("fd://"), "no scheme of Docker");
        let tls = Surroundings { tls: true, certificates: Some("/c".into()), ..host("tcp://a") };
        check(&tls, "tcp://a:2376 (TLS)");
    }

    #[test]
    fn contexts() {
        let config = tempfile::tempdir().unwrap();
        let folder = hex(&Sha256::digest(b"far"));
        let meta = config.path().join("contexts/meta").join(folder);
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far.example:2375"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(config.path().join("config.json"), r#"{"currentContext":"far"}"#).unwrap();
        let with = |context: Option<&str>| Surroundings {
            docker_context: context.map(str::to_owned),
            config: Some(config.path().to_owned()),
            ..Surroundings::default()
        };
        check(&with(None), "tcp://far.example:2375");
        check(&with(Some("default")), "unix:///var/run/docker.sock");
        check(&with(Some("gone")), "the Docker context `gone`: it is not known here");
    }
}
