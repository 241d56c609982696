//! The proxy of an environment: found, or started; its table changed so that only one route is.
//!
//! It is a process of its own (`pipe proxy`) that outlives whoever started it. What it does is in crate `proxy`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy::client::{About, AskError, Client, ReplaceError};
use proxy::table::Table;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::listener;
use crate::rollout::CallError;

/// How long a proxy may take until it answers.
const START_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether it does.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// Attempts to change a table that others change too.
const EDITS_MAX: usize = 20;
/// How often is looked whether one was killed.
const KILLED_EVERY: Duration = Duration::from_millis(500);
/// One that could not be started again is let alone for so long.
const REVIVAL_PAUSE: Duration = Duration::from_secs(30);
/// What is shown of a proxy's log.
const LOG_LINES_MAX: usize = 10;
/// A longer log is put aside when a proxy is started.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// util-linux's program that begins a session (setsid(1)); the call itself would need unsafe code here.
const SETSID: [&str; 2] = ["/usr/bin/setsid", "/bin/setsid"];

/// How a proxy is started: `pipe proxy` with the arguments that [`Starter::arguments`] gives.
#[derive(Debug, Clone)]
pub struct Starter {
    /// The program and what comes before the arguments; empty: none can be started.
    pub program: Vec<OsString>,
    /// On which of this machine's addresses it listens.
    pub host: std::net::IpAddr,
}

impl Default for Starter {
    /// The running program itself.
    fn default() -> Self {
        let program = std::env::current_exe().map(|path| vec![path.into_os_string(), OsString::from("proxy")]);
        Self { program: program.unwrap_or_default(), host: std::net::Ipv4Addr::UNSPECIFIED.into() }
    }
}

/// The proxies of an installation, each in a folder named for its environment.
#[derive(Debug, Clone)]
pub(super) struct Proxies {
    folder: PathBuf,
    starter: Starter,
    /// Held while one is started: two of one environment would be in each other's way.
    starting: Arc<Mutex<()>>,
}

/// With what a proxy was started last, so that it comes back the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Started {
    environment: String,
    listen: SocketAddr,
    test_listen: Option<SocketAddr>,
}

/// File with [`Started`].
const STARTED_FILE: &str = "started.json";
/// How a proxy is steered; there as long as it runs, and after a kill.
const SOCKET: &str = "control.sock";

fn started(folder: &Path) -> Option<Started> {
    serde_json::from_slice(&std::fs::read(folder.join(STARTED_FILE)).ok()?).ok()
}

impl Proxies {
    pub(super) fn new(folder: PathBuf, starter: Starter) -> Self {
        Self { folder, starter, starting: Arc::default() }
    }

    pub(super) fn folder(&self, environment: &str) -> PathBuf {
        self.folder.join(super::names::slug(environment))
    }

    pub(super) fn client(&self, environment: &str) -> Client {
        Client::at(self.folder(environment).join(SOCKET))
    }

    /// The table that stands. A proxy that was killed is started again for it.
    pub(super) async fn table(&self, environment: &str) -> Result<Table, CallError> {
        let client = self.client(environment);
        let error = match client.table().await {
            Err(error @ AskError::Unreachable(_)) => error,
            answered => return answered.map_err(|error| unreachable(environment, &error)),
        };
        match self.killed(&self.folder(environment)) {
            Some(started) if self.start(&started).await.is_ok() => {
                client.table().await.map_err(|error| unreachable(environment, &error))
            }
            Some(_) | None => Err(unreachable(environment, &error)),
        }
    }

    /// Changes the table by a function of it, which may be asked again if somebody else is faster; gives what stands then, as
    /// it was read back. Nothing is written where nothing changes.
    pub(super) async fn edit(
        &self,
        environment: &str,
        change: impl Fn(&Table) -> Result<Table, String> + Send,
    ) -> Result<Table, CallError> {
        let client = self.client(environment);
        for _ in 0..EDITS_MAX {
            let table = self.table(environment).await?;
            let wanted = change(&table).map_err(CallError::last)?;
            if wanted.routes == table.routes {
                return Ok(table);
            }
            match client.replace(table.generation, &wanted).await {
                Ok(_) => {
                    let now = self.table(environment).await?;
                    if change(&now).is_ok_and(|again| again.routes == now.routes) {
                        return Ok(now);
                    }
                }
                Err(ReplaceError::Conflict { current: _ }) => {}
                Err(error @ ReplaceError::Refused(_)) => return Err(CallError::last(error.to_string())),
                Err(error @ ReplaceError::NotKept(_)) => {
                    let folder = self.folder(environment);
                    return Err(CallError::transient(format!("{error}; make room in {}", folder.display())));
                }
                // It may stand or not: the next look tells.
                Err(error @ ReplaceError::Unreachable(_)) => {
                    return Err(CallError::transient(format!("{error}; {}", what_to_do(environment))));
                }
            }
        }
        Err(CallError::transient(format!(
            "the table of the proxy of `{environment}` was changed by others {EDITS_MAX} times in a row"
        )))
    }

    /// The proxy answers where it should, started if it does not run.
    pub(super) async fn ensure(&self, environment: &str, port: u16, test: Option<u16>) -> Result<About, CallError> {
        let client = self.client(environment);
        match client.about().await {
            Ok(about) => return fits(environment, about, port, test),
            Err(AskError::Unreachable(_)) => {}
            Err(error @ AskError::Answer(_)) => return Err(unreachable(environment, &error)),
        }
        let at = |port| SocketAddr::new(self.starter.host, port);
        let wanted = Started { environment: environment.to_owned(), listen: at(port), test_listen: test.map(at) };
        let about = self.start(&wanted).await?;
        fits(environment, about, port, test)
    }

    /// Starts each proxy that ran and does not, as after a start of the machine. Gives what went wrong.
    pub(super) async fn restore(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for folder in self.folders() {
            if let Some(started) = started(&folder)
                && let Err(AskError::Unreachable(_)) = self.client(&started.environment).about().await
                && let Err(error) = self.start(&started).await
            {
                wrong.push(error.words);
            }
        }
        wrong
    }

    /// Starts each proxy again that is killed, for as long as this is polled.
    pub(super) async fn keep(&self) {
        let mut let_alone: BTreeMap<PathBuf, Instant> = BTreeMap::new();
        loop {
            tokio::time::sleep(KILLED_EVERY).await;
            let_alone.retain(|_, since| since.elapsed() < REVIVAL_PAUSE);
            for folder in self.folders() {
                let Some(started) = self.killed(&folder).filter(|_| !let_alone.contains_key(&folder)) else { continue };
                let environment = &started.environment;
                if !matches!(self.client(environment).about().await, Err(AskError::Unreachable(_))) {
                    continue;
                }
                match self.start(&started).await {
                    Ok(about) => {
                        tracing::warn!(environment, pid = about.pid, "its proxy was killed and is started again")
                    }
                    Err(error) => {
                        tracing::error!(environment, error = error.words, "its proxy was killed");
                        let_alone.insert(folder, Instant::now());
                    }
                }
            }
        }
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|folder| folder.path())
    }

    /// How to start a proxy again, if it runs or was killed: one that was told to stop has taken the names of its sockets away.
    fn killed(&self, folder: &Path) -> Option<Started> {
        folder.join(SOCKET).exists().then(|| started(folder)).flatten()
    }

    async fn start(&self, wanted: &Started) -> Result<About, CallError> {
        let environment = &wanted.environment;
        let _one_at_a_time = self.starting.lock().await;
        if let Ok(about) = self.client(environment).about().await {
            return Ok(about);
        }
        let folder = self.folder(environment);
        let failed = |error: &dyn std::fmt::Display| {
            CallError::last(format!("the proxy of `{environment}` cannot be started: {error}"))
        };
        make_private(&folder).map_err(|error| failed(&format!("{}: {error}", folder.display())))?;
        let text = serde_json::to_vec_pretty(wanted).map_err(|error| failed(&error))?;
        std::fs::write(folder.join(STARTED_FILE), text).map_err(|error| failed(&error))?;
        let Some((program, first)) = self.starter.program.split_first() else {
            return Err(failed(&"it is not known where this program is; start `pipe proxy` by hand"));
        };
        let log = Log::open(&folder).map_err(|error| failed(&format!("its log: {error}")))?;
        let mut command = detached(program);
        command
            .args(first)
            .args(arguments(&folder, wanted))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(log.file.try_clone().map_err(|error| failed(&error))?);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let client = self.client(environment);
        let begun = tokio::time::Instant::now();
        loop {
            if let Ok(about) = client.about().await {
                // Nobody waits for it but the system; a thread does so that it is no zombie while this process lives.
                std::thread::spawn(move || child.wait());
                return Ok(about);
            }
            let ended = child.try_wait().map_err(|error| failed(&error))?;
            if let Some(status) = ended.filter(|status| !status.success()) {
                return Err(failed(&why(wanted, &status.to_string(), &log.said())));
            }
            if begun.elapsed() > START_MAX {
                let _gone = child.kill();
                let _reaped = child.wait();
                return Err(failed(&format!("it did not answer within {} s", START_MAX.as_secs())));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// A proxy's log, and where it ended before this start.
struct Log {
    file: std::fs::File,
    path: PathBuf,
    before: u64,
}

impl Log {
    fn open(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("proxy.log");
        if std::fs::metadata(&path).is_ok_and(|facts| facts.len() > LOG_BYTES_MAX) {
            std::fs::rename(&path, folder.join("proxy.log.1"))?;
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let before = file.metadata()?.len();
        Ok(Self { file, path, before })
    }

    /// What was written since.
    fn said(&self) -> String {
        let all = std::fs::read(&self.path).unwrap_or_default();
        let new = all.get(usize::try_from(self.before).unwrap_or(usize::MAX)..).unwrap_or_default();
        String::from_utf8_lossy(new).into_owned()
    }
}

fn why(wanted: &Started, status: &str, said: &str) -> String {
    let ports = std::iter::once(wanted.listen).chain(wanted.test_listen).map(|address| address.port());
    for port in ports {
        if let Some(who) = listener::of(port) {
            return format!("port {port} is taken by {who}; stop it, or choose another `proxy-port` and `test-port`");
        }
    }
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n  ");
    if last.is_empty() { status.to_owned() } else { format!("{status}\n  {last}") }
}

/// A program in a session of its own, so that no terminal ends it, and without what this process was told in variables.
fn detached(program: &OsString) -> std::process::Command {
    let session = SETSID.iter().find(|path| Path::new(path).exists());
    let mut command = match session {
        Some(setsid) => {
            let mut command = std::process::Command::new(setsid);
            command.arg(program);
            command
        }
        None => {
            let mut command = std::process::Command::new(program);
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            command
        }
    };
    command.env_clear();
    for name in ["PATH", "HOME", "LANG", "TZ", "RUST_LOG"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

/// As `pipe proxy --help` has them.
fn arguments(folder: &Path, wanted: &Started) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec![
        "--folder".into(),
        folder.as_os_str().to_owned(),
        "--environment".into(),
        wanted.environment.clone().into(),
        "--listen".into(),
        wanted.listen.to_string().into(),
    ];
    if let Some(test) = wanted.test_listen {
        all.extend(["--test-listen".into(), test.to_string().into()]);
    }
    all
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn fits(environment: &str, about: About, port: u16, test: Option<u16>) -> Result<About, CallError> {
    let (listens, tests) = (about.listen.port(), about.test_listen.map(|address| address.port()));
    if listens == port && (test.is_none() || test == tests) {
        return Ok(about);
    }
    let shown = |port: Option<u16>| port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    Err(CallError::last(format!(
        "the proxy of `{environment}` (process {}) listens at port {listens} and for tests at {}, not at {port} and {}; all \
         services of an environment share it, so give the same `proxy-port` and `test-port`, or stop it first: `kill {}`",
        about.pid,
        shown(tests),
        shown(test),
        about.pid
    )))
}

fn unreachable(environment: &str, error: &AskError) -> CallError {
    CallError::transient(format!("{error}; {}", what_to_do(environment)))
}

fn what_to_do(environment: &str) -> String {
    format!(
        "see the proxy.log of `{environment}` in the folder `proxies` of this installation, and whether its process still runs"
    )
}
