//! The sockets of a proxy, and the lock that says whose folder it is. They can be passed to another process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tokio::net::TcpSocket;

use crate::options::Options;

/// Connections that wait to be accepted; the kernel has a limit of its own.
const BACKLOG: u32 = 4_096;

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder has one already.
    #[error("a proxy runs in {0} already (process {1}): `--take-over` takes its place without a refused connection")]
    Runs(PathBuf, String),
    /// A socket or file of the folder cannot be made.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The address is taken, or not of this machine.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The running one listens elsewhere.
    #[error("the proxy that runs listens on {runs}, not on {wanted}: stop it first, or keep its address")]
    OtherAddress {
        /// Where it listens.
        runs: SocketAddr,
        /// Where this one should.
        wanted: SocketAddr,
    },
    /// It holds the folder but does not hand over.
    #[error("the proxy that runs does not hand over: {0}")]
    HandOver(String),
    /// The table cannot be used.
    #[error(transparent)]
    Table(#[from] crate::store::LoadError),
    /// The system has no thread, or the like.
    #[error("cannot begin: {0}")]
    System(#[from] io::Error),
}

/// All that is open.
#[derive(Debug)]
pub(crate) struct Doors {
    /// Locked as long as any process has it open.
    lock: File,
    pub(crate) control: UnixListener,
    pub(crate) hand_over: UnixListener,
    pub(crate) listen: TcpListener,
    pub(crate) test: Option<TcpListener>,
}

/// Makes the folder, for this user alone.
pub(crate) fn make_folder(folder: &Path) -> Result<(), StartError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| StartError::File(folder.to_owned(), error))
}

impl Doors {
    /// Opens them in a folder that no running proxy has.
    pub(crate) fn open(options: &Options) -> Result<Self, StartError> {
        let folder = &options.folder;
        let path = folder.join("proxy.pid");
        let failed = |error| StartError::File(path.clone(), error);
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            let mut pid = String::new();
            lock.read_to_string(&mut pid).map_err(failed)?;
            return Err(StartError::Runs(folder.clone(), pid.trim().to_owned()));
        }
        let opened = || {
            Ok(Self {
                lock,
                control: unix(&folder.join("control.sock"))?,
                hand_over: unix(&folder.join("hand-over.sock"))?,
                listen: tcp(options.listen)?,
                test: options.test_listen.map(tcp).transpose()?,
            })
        };
        // Names of sockets without a process mean that one was killed.
        opened().inspect_err(|_| remove_names(folder))
    }

    /// In the order that [`Self::from_descriptors`] expects.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let always = [self.lock.as_fd(), self.control.as_fd(), self.hand_over.as_fd(), self.listen.as_fd()];
        always.into_iter().chain(self.test.as_ref().map(std::os::fd::AsFd::as_fd)).collect()
    }

    /// Those of another process.
    pub(crate) fn from_descriptors(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        let doors = Self {
            lock: descriptors.next()?.into(),
            control: descriptors.next()?.into(),
            hand_over: descriptors.next()?.into(),
            listen: descriptors.next()?.into(),
            test: descriptors.next().map(TcpListener::from),
        };
        descriptors.next().is_none().then_some(doors)
    }

    /// Fits taken sockets to what was asked for.
    pub(crate) fn fit(&mut self, options: &Options) -> Result<(), StartError> {
        let runs = self.listen.local_addr()?;
        if options.listen != runs && (options.listen.port() != 0 || options.listen.ip() != runs.ip()) {
            return Err(StartError::OtherAddress { runs, wanted: options.listen });
        }
        let before = self.test.as_ref().map(TcpListener::local_addr).transpose()?;
        self.test = match (options.test_listen, self.test.take()) {
            (Some(wanted), Some(test)) if before == Some(wanted) || wanted.port() == 0 => Some(test),
            (Some(wanted), _) => Some(tcp(wanted)?),
            (None, _) => None,
        };
        Ok(())
    }

    /// Says whose folder it is.
    pub(crate) fn write_pid(&self) -> io::Result<()> {
        let mut file = &self.lock;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    }
}

fn tcp(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for the last connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|error| StartError::Listen(address, error))
}

/// Nobody else can connect at any moment: it gets its name once it has its mode.
fn unix(path: &Path) -> Result<UnixListener, StartError> {
    let bind = || {
        let new = path.with_extension("new");
        let (_held, short) = crate::socket::short(&new)?;
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&short)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        fs::rename(&new, path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error| StartError::File(path.to_owned(), error))
}

/// Takes the sockets' names away.
pub(crate) fn remove_names(folder: &Path) {
    for name in ["control.sock", "hand-over.sock"] {
        if let Err(error) = fs::remove_file(folder.join(name)) {
            tracing::debug!(name, %error, "the socket's name is not removed");
        }
    }
}
