//! What the agent holds, and its life from the first descriptor to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use agent::protocol::{AgentHello, Event, ExecId, PROTOCOL_VERSION};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::Uid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::cgroup::OomCounter;
use super::climb::Climb;
use super::connection::{Connection, READ_BYTES};
use super::exec::Exec;
use super::journal::Journal;
use super::spool::Spares;
use super::start::Own;
use super::stopping::Stopping;
use crate::options::{Options, Transport};

/// See the module.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) journal: Journal,
    pub(crate) hello: AgentHello,
    /// Begins the mark of every exec.
    pub(crate) mark_prefix: String,
    pub(crate) oom: OomCounter,
    pub(crate) execs: BTreeMap<ExecId, Exec>,
    /// Ids whose exit was acknowledged: never to be run again.
    pub(crate) forgotten: BTreeSet<ExecId>,
    pub(crate) climbs: Vec<Climb>,
    /// Pipes that daemons still write to; read and thrown away, lest they get SIGPIPE.
    pub(crate) leftovers: Vec<File>,
    pub(crate) listener: Option<UnixListener>,
    pub(crate) client: Option<Connection>,
    /// Connected, and not yet greeted.
    pub(crate) newcomer: Option<Connection>,
    pub(crate) alone_since: Instant,
    pub(crate) linger: Option<Duration>,
    pub(crate) stopping: Option<Stopping>,
    pub(crate) farewell: Option<Event>,
    pub(crate) child_ended: UnixStream,
    pub(crate) told_to_stop: UnixStream,
    pub(crate) spool_directory: Option<PathBuf>,
    pub(crate) spool_bytes_max: u64,
    pub(crate) spares: Spares,
    pub(crate) scratch: Vec<u8>,
    pub(crate) buffer: Vec<u8>,
    pub(crate) own: Own,
}

/// Runs the agent until it is told to stop.
pub(crate) fn run(options: Options) -> io::Result<()> {
    let socket = match &options.transport {
        Transport::Socket(path) => Some(path.clone()),
        Transport::Stdio { .. } => None,
    };
    let mut supervisor = Supervisor::new(options)?;
    let done = supervisor.turn_until_stopped();
    if let Err(error) = &done {
        supervisor.journal.note(&format!("stopped by an error: {error}"));
    }
    if let Some(path) = socket {
        // The directory's owner cleans up otherwise.
        drop(fs::remove_file(path));
    }
    done
}

impl Supervisor {
    fn new(options: Options) -> io::Result<Self> {
        let own = Own::find()?;
        let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        // No terminal may reach the steps. It fails where the agent leads a group already, as PID 1 may.
        let _ = nix::unistd::setsid();
        if pid != 1 {
            nix::sys::prctl::set_child_subreaper(true)?;
        }
        let spool_directory = options.spool.filter(|directory| fs::create_dir_all(directory).is_ok());
        let mut journal = Journal::open(spool_directory.as_deref());
        let (child_ended, told_to_stop) = (signal_pipe(&[SIGCHLD])?, signal_pipe(&[SIGTERM, SIGINT])?);
        // Caught rather than ignored, so that steps do not inherit it. The agent outlives whoever hangs up.
        signal_hook::flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        let boot_id = boot_id()?;
        let (listener, client) = match options.transport {
            Transport::Socket(path) => (Some(listen(&path)?), None),
            Transport::Stdio { token } => (None, Some(stdio(token.as_deref())?)),
        };
        journal.note(&format!("agent {} of boot {boot_id} runs as process {pid}", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            journal,
            mark_prefix: format!("pipe_{boot_id}_"),
            hello: hello(pid, boot_id),
            oom: OomCounter::find(),
            execs: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            climbs: Vec::new(),
            leftovers: Vec::new(),
            listener,
            client,
            newcomer: None,
            alone_since: Instant::now(),
            linger: options.linger,
            stopping: None,
            farewell: None,
            child_ended,
            told_to_stop,
            spool_directory,
            spool_bytes_max: options.spool_bytes_max,
            spares: Spares::default(),
            scratch: Vec::new(),
            buffer: vec![0; READ_BYTES],
            own,
        })
    }
}

fn hello(pid: i32, boot_id: String) -> AgentHello {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    AgentHello {
        version: PROTOCOL_VERSION,
        pid,
        hostname: hostname.trim_end().to_owned(),
        boot_id,
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        uid: Uid::effective().as_raw(),
    }
}

fn boot_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// A stream that can be polled and gets a byte for each of these signals.
fn signal_pipe(signals: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// The socket; its directory decides who may come in.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let told = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {}: {error}", path.display()));
    let listener = UnixListener::bind(path).map_err(told)?;
    // An engine that is not root must reach an agent that is; the run's directory is private.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn stdio(token: Option<&str>) -> io::Result<Connection> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    for end in [&input, &output] {
        let flags = OFlag::from_bits_retain(fcntl(end, FcntlArg::F_GETFL)?);
        fcntl(end, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    Ok(Connection::new(File::from(input), File::from(output), token))
}
