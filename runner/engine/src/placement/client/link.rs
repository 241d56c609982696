//! Byte streams to an agent, and how they are opened again.
//!
//! Knows nothing of what travels on them.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// The longest path that fits the address of a unix socket, its closing zero aside.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Both directions of a connection.
pub(crate) struct Link {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Opens connections to one agent.
#[async_trait]
pub(crate) trait Connect: Send + Sync + std::fmt::Debug {
    /// A new connection, on which nothing has been said yet.
    async fn connect(&self) -> io::Result<Link>;

    /// Why the agent is gone, as a fragment after "the agent …"; `None` when it still runs.
    async fn autopsy(&self) -> Option<String>;
}

/// The path of a socket, however long.
#[derive(Debug)]
pub(crate) struct SocketPath {
    /// As it is connected to.
    path: PathBuf,
    /// Holds the folder open where `path` goes through it.
    _folder: Option<std::fs::File>,
}

impl SocketPath {
    /// A path that is too long for an address goes through the open folder.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        Self::that_moves(path)
    }

    /// A path through the open folder, which stays right when the folder is moved.
    pub(crate) fn that_moves(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a socket"));
        };
        let folder = std::fs::File::open(folder)?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
        Ok(Self { path: Path::new("/proc/self/fd").join(number.to_string()).join(name), _folder: Some(folder) })
    }
}

/// Connects to a socket.
pub(crate) async fn connect_socket(socket: &SocketPath) -> io::Result<Link> {
    let (reader, writer) = UnixStream::connect(&socket.path).await?.into_split();
    Ok(Link { reader: Box::new(reader), writer: Box::new(writer) })
}
