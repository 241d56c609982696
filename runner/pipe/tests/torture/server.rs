//! One process of `pipe serve`, alone or under strace, and the way it goes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything here may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// strace holds each flush for so long, so that the process can be killed before it is done.
const HELD_MICROSECONDS: u32 = 30_000;

/// Whether programs can be traced here.
pub(crate) fn strace_works() -> bool {
    let status = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let works = status.is_ok_and(|status| status.success());
    if !works {
        eprintln!("SKIPPED: strace cannot be used here");
    }
    works
}

/// What strace does to flushes.
#[derive(Debug, Clone)]
pub(crate) enum Flushes {
    /// Counts them, and kills the server when this one has been called for and is not done; 0: none.
    KillAt(usize),
    /// Injects this, such as `error=EIO:when=7`.
    Inject(String),
}

/// Ends the server of a world, whichever it is just now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blade(Arc<Mutex<Option<Pid>>>);

impl Blade {
    /// SIGKILL; comes back when nothing of the process is left.
    pub(crate) fn strike(&self) {
        let pid = self.0.lock().unwrap().take().expect("a server runs");
        kill(pid, Signal::SIGKILL).unwrap_or_default();
        wait_for("the killed server to be gone", || !is_there(pid));
    }

    /// Whether it has struck, and nobody follows yet.
    pub(crate) fn has_struck(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }

    /// Whether that process is the server.
    pub(crate) fn is_at(&self, pid: Pid) -> bool {
        *self.0.lock().unwrap() == Some(pid)
    }

    /// This is the server now.
    pub(crate) fn hold(&self, server: &Server) {
        *self.0.lock().unwrap() = Some(server.pid);
    }
}

/// A running server. What is left of it ends with the test.
pub(crate) struct Server {
    process: Child,
    pub(crate) pid: Pid,
    traced: bool,
    /// Whether it came as far as to listen.
    pub(crate) listens: bool,
    flushes: Arc<AtomicUsize>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        // Who traces goes on for agents that outlive the server, and then ends by itself.
        if !self.traced {
            drop(self.process.wait());
        }
    }
}

impl Server {
    /// Starts `command`; comes back when it listens, or has ended.
    pub(crate) fn start(command: &Command, folder: &Path, flushes: Option<&Flushes>) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let mut wrapped = match flushes {
            None => copy(command, command.get_program()),
            Some(flushes) => traced(command, folder, flushes),
        };
        let log = std::fs::File::options().create(true).append(true).open(folder.join("server.log")).unwrap();
        let mut process = wrapped.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        if let Some(flushes) = flushes {
            let at = if let Flushes::KillAt(at) = flushes { *at } else { 0 };
            let (fifo, tracer, count) = (folder.join("trace"), process.id(), Arc::clone(&count));
            std::thread::spawn(move || follow(&fifo, tracer, &count, at));
        }
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listens = lines.next().is_some_and(|line| line.is_ok_and(|line| line.starts_with("listening on")));
        // The rest is read too, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let pid = if flushes.is_some() { child(process.id()) } else { Some(of(process.id())) };
        let pid = pid.unwrap_or(Pid::from_raw(i32::MAX));
        Self { process, pid, traced: flushes.is_some(), listens, flushes: count }
    }

    /// Flushes that were called for so far.
    pub(crate) fn flushes(&self) -> usize {
        self.flushes.load(Ordering::SeqCst)
    }

    pub(crate) fn kill(&self) {
        kill(self.pid, Signal::SIGKILL).unwrap_or_default();
    }

    /// Whether the server itself is gone.
    pub(crate) fn is_gone(&mut self) -> bool {
        if self.traced { !is_there(self.pid) } else { self.process.try_wait().unwrap().is_some() }
    }

    /// Asks it to end in order.
    pub(crate) fn terminate(&self) {
        kill(self.pid, Signal::SIGTERM).unwrap_or_default();
    }

    /// Ends it in order; how it ended, unless strace lives on for its children.
    pub(crate) fn end(mut self) -> Option<ExitStatus> {
        self.terminate();
        wait_for("the server to end", || self.is_gone());
        if self.traced { None } else { Some(self.process.wait().unwrap()) }
    }

    /// Waits for it to end by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait_for("the server to end by itself", || self.is_gone());
        self.process.wait().unwrap()
    }
}

fn of(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap())
}

fn copy(command: &Command, program: &std::ffi::OsStr) -> Command {
    let mut copy = Command::new(program);
    copy.env_clear().envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    if program == command.get_program() {
        copy.args(command.get_args());
    }
    copy
}

fn traced(command: &Command, folder: &Path, flushes: &Flushes) -> Command {
    let fifo = folder.join("trace");
    drop(std::fs::remove_file(&fifo));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let injected = match flushes {
        Flushes::KillAt(_) => format!("delay_enter={HELD_MICROSECONDS}"),
        Flushes::Inject(what) => what.clone(),
    };
    let mut wrapped = copy(command, std::ffi::OsStr::new("strace"));
    wrapped.args(["-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-e", "trace=fsync,fdatasync"]);
    wrapped.args(["-e", &format!("inject=fsync,fdatasync:{injected}"), "-o"]).arg(fifo);
    wrapped.arg(command.get_program()).args(command.get_args());
    wrapped
}

/// Counts flushes as they begin. A call is written when it is entered, before it is held.
fn follow(fifo: &Path, tracer: u32, count: &AtomicUsize, at: usize) {
    let Ok(mut trace) = std::fs::File::open(fifo) else { return };
    let (mut part, mut end) = ([0; 4_096], Vec::new());
    while let Ok(read) = trace.read(&mut part)
        && read > 0
    {
        for byte in &part[..read] {
            end.push(*byte);
            if *byte == b'\n' {
                end.clear();
            }
            if end.ends_with(b" fsync(") || end.ends_with(b" fdatasync(") {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                if number == at
                    && let Some(server) = child(tracer)
                {
                    kill(server, Signal::SIGKILL).unwrap_or_default();
                }
            }
        }
    }
}

/// The first child of a process.
fn child(parent: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    Some(Pid::from_raw(children.split_whitespace().next()?.parse().ok()?))
}

/// Whether a thread of a process lives. The first may be gone while others still hold the lock of the data folder.
pub(crate) fn is_there(pid: Pid) -> bool {
    let alive = |stat: String| {
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        state.is_some_and(|state| !"ZX".contains(state))
    };
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default()).any(alive)
}

/// Looks again and again, until it is so.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
