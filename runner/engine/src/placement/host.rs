//! Jobs on this machine itself: `runs-on: self-hosted`, `--host`. The agent is a process in place of a container.
//!
//! No walls: the job may do what this user may. Services are not for this placement, nor are images.

mod marks;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::client::{AgentClient, Connect, Link, SocketPath, connect_socket};
use super::docker::{SOCKET, SPOOL};
use super::owner::ProcessMark;
use super::{
    Exec, ExecId, ExecRequest, JobFacts, JobHandle, JobSpec, Ladder, LeftoverFilter, Owner, Placement, PlacementError,
    PlacementProgress, ProgressSink, Removed, Resource, ResourceKind,
};
use marks::Marked;

/// Seconds that an agent without a client and without a command waits for one.
const LINGER_SECONDS: &str = "60";

/// Between two looks for the agent's socket.
const SOCKET_PAUSE: Duration = Duration::from_micros(300);

/// Between two looks for the end of an agent that another process started.
const END_PAUSE: Duration = Duration::from_millis(5);

/// How long the agent may take to open its socket.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the agent may take to end all that it started.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Jobs on this machine.
#[derive(Debug)]
pub struct HostPlacement {
    owner: Owner,
    agent: PathBuf,
    marks: PathBuf,
}

impl HostPlacement {
    /// `agent` is the agent as an executable file; in `marks` each agent has a small file for as long as it runs, by which
    /// a later process finds what a killed one left.
    #[must_use]
    pub const fn new(owner: Owner, agent: PathBuf, marks: PathBuf) -> Self {
        Self { owner, agent, marks }
    }

    fn spawn(&self, run: &Path) -> std::io::Result<Child> {
        let mut command = std::process::Command::new(&self.agent);
        // Relative, so that a long path fits the address of a socket. A group of its own: Ctrl-C is not for the agent.
        command.args(["--socket", SOCKET, "--spool", SPOOL, "--linger", LINGER_SECONDS]).current_dir(run);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        // Steps have what the agent has.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(opens_ours)) {
            command.env_remove(name);
        }
        Command::from(command).kill_on_drop(true).spawn()
    }

    fn marked(&self) -> Vec<Marked> {
        Marked::all(&self.marks, &self.agent, &self.owner)
    }
}

/// Whether a variable may hold what our own process was given, and no job may see: keys, tokens, and addresses of channels.
fn opens_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("PIPE_") else { return false };
    rest == "TOKEN" || rest.ends_with("_TOKEN") || rest.starts_with("MASTER_KEY") || rest.starts_with("NOTIFY_")
}

#[async_trait]
impl Placement for HostPlacement {
    async fn start(&self, spec: JobSpec, progress: ProgressSink) -> Result<Arc<dyn JobHandle>, PlacementError> {
        let run = spec.run_directory.host.clone();
        let failed = |reason: String| PlacementError::Agent { reason: format!("could not be started: {reason}") };
        marks::announce(&run, &self.owner, &spec.identity).map_err(|error| failed(error.to_string()))?;
        let child = self.spawn(&run).map_err(|error| failed(error.to_string()))?;
        let mark = child.id().map(|pid| marks::mark(&self.marks, &run, &self.owner, &spec.identity, pid));
        let socket = SocketPath::new(&run.join(SOCKET)).map_err(|error| failed(error.to_string()))?;
        let pid = child.id();
        let process = Arc::new(Process { socket, body: Mutex::new(Body::Child(child)) });
        process.wait().await.map_err(failed)?;
        let client = AgentClient::start(Arc::<Process>::clone(&process)).await.map_err(failed)?;
        progress(PlacementProgress::Ready);
        let facts = JobFacts {
            run_directory: run.to_string_lossy().into_owned(),
            files_are_shared: true,
            agent: Some(self.agent.to_string_lossy().into_owned()),
            ..JobFacts::default()
        };
        let record = Record {
            facts,
            user: spec.user,
            workdir: spec.workdir,
            agent: pid.and_then(ProcessMark::of).map(|mark| mark.to_string()).unwrap_or_default(),
            mark: mark.and_then(Result::ok),
            boot_id: Some(client.boot_id().to_owned()),
        };
        Ok(Arc::new(HostJob { client, process, record }))
    }

    async fn adopt(&self, record: &serde_json::Value) -> Result<Arc<dyn JobHandle>, PlacementError> {
        let failed = |reason: String| PlacementError::Agent { reason };
        let record = Record::deserialize(record)
            .map_err(|error| failed(format!("cannot be found: its record is not understood ({error})")))?;
        let agent = ProcessMark::parse(&record.agent).ok_or_else(|| failed("has no process".to_owned()))?;
        let socket = SocketPath::new(&Path::new(&record.facts.run_directory).join(SOCKET))
            .map_err(|error| failed(format!("has no socket: {error}")))?;
        let process = Arc::new(Process { socket, body: Mutex::new(Body::Other(agent)) });
        if let Some(reason) = process.autopsy().await {
            return Err(failed(reason));
        }
        let connecting = AgentClient::start_known(Arc::<Process>::clone(&process), record.boot_id.as_deref());
        let client = connecting.await.map_err(failed)?;
        Ok(Arc::new(HostJob { client, process, record }))
    }

    async fn ours(&self) -> Result<Vec<Resource>, PlacementError> {
        let resource = |marked: Marked| Resource {
            kind: ResourceKind::Process,
            id: marked.agent.pid().to_string(),
            owner_alive: marked.owner_alive(),
            run: marked.run,
            job: marked.job,
        };
        Ok(self.marked().into_iter().map(resource).collect())
    }

    async fn remove_leftovers(&self, filter: LeftoverFilter) -> Result<Removed, PlacementError> {
        let mut removed = Removed::default();
        let mut left = Vec::new();
        let wanted = |marked: &Marked| match &filter {
            LeftoverFilter::Abandoned | LeftoverFilter::AbandonedBut(_) => !marked.owner_alive(),
            // Marks lie in the folder itself.
            LeftoverFilter::Forsaken => false,
            LeftoverFilter::Own => marked.owner == self.owner.process(),
            LeftoverFilter::Run(run) => marked.run == *run,
            LeftoverFilter::Job { run, job } => marked.run == *run && marked.job == *job,
        };
        for marked in self.marked().into_iter().filter(wanted) {
            match marked.remove().await {
                Ok(()) => removed.processes += 1,
                Err(reason) => left.push(format!("the agent of job `{}` ({reason})", marked.job)),
            }
        }
        if left.is_empty() { Ok(removed) } else { Err(PlacementError::NotRemoved(left)) }
    }
}

/// A running agent.
#[derive(Debug)]
struct Process {
    socket: SocketPath,
    body: Mutex<Body>,
}

#[derive(Debug)]
enum Body {
    /// Started by this process.
    Child(Child),
    /// Started by another one.
    Other(ProcessMark),
}

impl Body {
    /// How it ended, if it has.
    fn end(&mut self) -> Option<String> {
        match self {
            Self::Child(child) => child.try_wait().ok().flatten().map(|status| format!("ended with {status}")),
            Self::Other(mark) => (!mark.is_alive()).then(|| "has ended".to_owned()),
        }
    }

    async fn wait(&mut self) {
        match self {
            // Who cannot be waited for is gone.
            Self::Child(child) => drop(child.wait().await),
            Self::Other(mark) => {
                while mark.is_alive() {
                    tokio::time::sleep(END_PAUSE).await;
                }
            }
        }
    }

    async fn kill(&mut self) -> Result<(), String> {
        match self {
            Self::Child(child) => child.kill().await.map_err(|error| error.to_string()),
            Self::Other(mark) => {
                let pid = i32::try_from(mark.pid()).map_err(|error| error.to_string())?;
                kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| error.to_string())
            }
        }
    }
}

/// What is recorded of a placed job.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    facts: JobFacts,
    user: Option<String>,
    workdir: String,
    /// Mark of the agent's process.
    agent: String,
    /// Its file among the marks.
    mark: Option<PathBuf>,
    /// The agent's name of its own, see [`AgentClient::boot_id`].
    #[serde(default)]
    boot_id: Option<String>,
}

impl Process {
    async fn wait(&self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + SOCKET_TIMEOUT;
        while connect_socket(&self.socket).await.is_err() {
            if let Some(reason) = self.autopsy().await {
                return Err(reason);
            }
            if tokio::time::Instant::now() > deadline {
                return Err("it opened no socket".to_owned());
            }
            tokio::time::sleep(SOCKET_PAUSE).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Connect for Process {
    async fn connect(&self) -> std::io::Result<Link> {
        connect_socket(&self.socket).await
    }

    async fn autopsy(&self) -> Option<String> {
        let end = self.body.lock().await.end()?;
        Some(format!("is gone: its process {end}"))
    }
}

/// A job on this machine.
#[derive(Debug)]
struct HostJob {
    client: AgentClient,
    process: Arc<Process>,
    record: Record,
}

impl HostJob {
    fn complete(&self, request: ExecRequest) -> ExecRequest {
        request.completed(self.record.user.as_ref(), &self.record.workdir)
    }
}

#[async_trait]
impl JobHandle for HostJob {
    fn facts(&self) -> &JobFacts {
        &self.record.facts
    }

    async fn exec(&self, request: ExecRequest) -> Result<Exec, PlacementError> {
        self.client.exec(self.complete(request)).map_err(|reason| PlacementError::Agent { reason })
    }

    async fn take_up(&self, request: ExecRequest, from: u64) -> Result<Exec, PlacementError> {
        self.client.take_up(self.complete(request), from).map_err(|reason| PlacementError::Agent { reason })
    }

    fn record(&self) -> serde_json::Value {
        serde_json::to_value(&self.record).unwrap_or_default()
    }

    async fn cancel(&self, exec: ExecId, ladder: Ladder) -> Result<(), PlacementError> {
        self.client.cancel(exec, ladder).map_err(|reason| PlacementError::Agent { reason })
    }

    async fn write_file(&self, path: &str, content: Bytes, mode: u32) -> Result<(), PlacementError> {
        self.client.write_file(path, mode, content).await.map_err(|reason| file("write", path, reason))
    }

    async fn read_file(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>, PlacementError> {
        self.client.read_file(path, bytes_max).await.map_err(|reason| file("read", path, reason))
    }

    async fn remove_path(&self, path: &str) -> Result<(), PlacementError> {
        self.client.remove(path).await.map_err(|reason| file("remove", path, reason))
    }

    async fn stop(&self) -> Result<(), PlacementError> {
        // One that ends in order ends all that it started.
        let mut in_order = self.process.autopsy().await.is_none();
        self.client.shut_down(STOP_TIMEOUT).await;
        let mut body = self.process.body.lock().await;
        if tokio::time::timeout(STOP_TIMEOUT, body.wait()).await.is_err() {
            in_order = false;
            body.kill().await.map_err(|error| PlacementError::NotRemoved(vec![format!("the agent ({error})")]))?;
        }
        if !in_order {
            marks::remove_steps(self.record.facts.run_directory.clone().into()).await;
        }
        if let Some(mark) = &self.record.mark {
            // A second call finds it gone.
            let _ = std::fs::remove_file(mark);
        }
        Ok(())
    }
}

fn file(action: &'static str, path: &str, reason: String) -> PlacementError {
    PlacementError::File { action, path: path.into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_process_was_given_is_not_for_jobs() {
        for name in [
            "PIPE_TOKEN",
            "PIPE_MASTER_KEY",
            "PIPE_MASTER_KEY_FILE",
            "PIPE_GITHUB_TOKEN",
            "PIPE_ACTIONS_TOKEN",
            "PIPE_NOTIFY_TEAM_URL",
            "PIPE_NOTIFY_OPS_PASSWORD",
        ] {
            assert!(opens_ours(name), "{name}");
        }
        for name in ["PATH", "TOKEN", "MY_PIPE_TOKEN", "PIPE_PARALLEL", "PIPE_NODES", "PIPE_TOKENS", "PIPE"] {
            assert!(!opens_ours(name), "{name}");
        }
    }
}
