//! A job's listener: its socket or a port, with bounds on heads, time and connections.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::serving::Lease;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::job::Job;
use crate::route::answer;

/// How long the head of a request may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// Connections of one job at once.
const CONNECTIONS_MAX: usize = 256;
/// After a failed accept, so that a full table of descriptors is not asked in a circle.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is read of a connection at once: blocks of clients have mebibytes.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// How a job comes here.
#[derive(Debug)]
pub enum Way {
    /// By a socket in a folder of its own.
    Socket(UnixListener),
    /// By a port.
    Port(TcpListener),
}

impl Way {
    /// Listens on a socket. One that lies there is of a process that has ended.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn socket(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a socket"));
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Addresses of sockets are short, paths of folders need not be.
        let folder = std::fs::File::open(folder)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        let listener = UnixListener::bind(&short)?;
        // Steps may be of any user; what keeps others out is the folder, and the token.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self::Socket(listener))
    }
}

/// Ends the listener and its connections.
#[derive(Debug)]
struct Listening {
    job: Arc<Job>,
    task: JoinHandle<()>,
}

impl Lease for Listening {
    fn over(&self) {
        self.job.end();
        self.task.abort();
        self.job.uploads.discard_all();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.job.end();
        self.task.abort();
    }
}

/// A connection, of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Way {
    async fn next(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Port(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

pub(crate) fn listen(way: Way, job: Arc<Job>) -> impl Lease {
    let serving = Arc::clone(&job);
    let task = tokio::spawn(async move { accept(&serving, &way).await });
    Listening { job, task }
}

async fn accept(job: &Arc<Job>, way: &Way) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match way.next().await {
            Ok(stream) => {
                let job = Arc::clone(job);
                connections.spawn(async move {
                    serve(&job, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection of a job was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(job: &Arc<Job>, stream: Box<dyn Stream>) {
    let service = service_fn(|request| {
        let job = Arc::clone(job);
        async move { Ok::<_, std::convert::Infallible>(answer(&job, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(BUFFER_BYTES_MAX);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of a job ended early");
    }
}
