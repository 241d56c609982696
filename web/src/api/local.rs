//! How commands on the same machine reach a server that runs: a file in its folder with its address and a token, for the
//! owner of the folder only. The token ends with the process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use engine::store::tokens::{Holder, Scope, Tokens};
use serde::{Deserialize, Serialize};
use workflow::secret::Secret;

/// Name of the file.
const FILE: &str = "local.json";

/// The file; removed when this is dropped.
#[derive(Debug)]
pub struct LocalAccess(PathBuf);

#[derive(Serialize, Deserialize)]
struct Content {
    url: String,
    token: String,
    process: u32,
}

impl LocalAccess {
    /// Lets commands of the folder's owner in; what they do is done by `who`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(folder: &Path, address: SocketAddr, tokens: &Tokens, who: &str) -> std::io::Result<Self> {
        let scopes = [Scope::Admin].into_iter().collect();
        let holder = Holder::of(who.to_owned(), scopes, Vec::new());
        let token = tokens.pass(holder)?;
        let host =
            if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address };
        let content =
            Content { url: format!("http://{host}"), token: token.expose().to_owned(), process: std::process::id() };
        let path = folder.join(FILE);
        let mut file = tempfile::Builder::new()
            .prefix(".local-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(serde_json::to_string(&content)?.as_bytes())?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(Self(path))
    }

    /// Address and token of the server that runs in a folder; `None` if none says so.
    #[must_use]
    pub fn find(folder: &Path) -> Option<(String, Secret)> {
        let text = std::fs::read(folder.join(FILE)).ok()?;
        let content: Content = serde_json::from_slice(&text).ok()?;
        Some((content.url, Secret::new(content.token)))
    }
}

impl Drop for LocalAccess {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "the file for commands on this machine is left");
        }
    }
}
