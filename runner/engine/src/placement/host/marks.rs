//! By what a later process finds the agents that a killed one left on this machine, and the steps of agents that were
//! killed themselves.
//!
//! An agent has a mark, a small file, for as long as it runs. It is written when the agent has started; until then its
//! owner can be read in the folder that the agent works in. Steps of an agent that is gone are known by the folder of
//! their job, which their environment names. It does not judge which are to be removed.

use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::owner::ProcessMark;
use super::{Owner, STOP_TIMEOUT};
use crate::placement::JobIdentity;

/// Where the marks of agents lie, in the folder that the placement was given.
const MARK_SUFFIX: &str = ".agent";
/// The same before the agent's process is known, in the folder that it works in.
const OWNER_FILE: &str = "owner";
/// What marks the steps of an agent, unless they ask to be left alone.
const STEP_VARIABLE: &[u8] = b"RUNNER_TRACKING_ID=pipe_";
/// Looks for processes that are started while others are killed.
const ROUNDS_MAX: usize = 20;

/// Says whose agent is about to work in `folder`, and of which installation: each numbers its own runs.
pub(super) fn announce(folder: &Path, owner: &Owner, job: &JobIdentity) -> std::io::Result<()> {
    let (run, job) = (one_line(&job.run), one_line(&job.job));
    let text = format!("{}\n{run}\n{job}\n{}\n", owner.process(), owner.installation());
    std::fs::write(folder.join(OWNER_FILE), text)
}

/// Marks an agent that runs; the mark's file.
pub(super) fn mark(
    marks: &Path,
    folder: &Path,
    owner: &Owner,
    job: &JobIdentity,
    pid: u32,
) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(marks)?;
    let path = marks.join(format!("{pid}{MARK_SUFFIX}"));
    let agent = ProcessMark::of(pid).map(|mark| mark.to_string()).unwrap_or_default();
    let (run, job) = (one_line(&job.run), one_line(&job.job));
    let folder = one_line(&folder.to_string_lossy());
    std::fs::write(&path, format!("{}\n{agent}\n{run}\n{job}\n{folder}\n", owner.process()))?;
    Ok(path)
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// An agent that has a mark, or whose owner was killed before it could be given one.
pub(super) struct Marked {
    path: Option<PathBuf>,
    pub(super) owner: String,
    pub(super) agent: ProcessMark,
    pub(super) run: String,
    pub(super) job: String,
    /// What it works in.
    folder: PathBuf,
}

impl Marked {
    /// Those of `marks`, and those of this installation that have none, whose program is `agent`.
    pub(super) fn all(marks: &Path, agent: &Path, owner: &Owner) -> Vec<Self> {
        let entries = std::fs::read_dir(marks).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries.filter_map(|entry| Self::read(entry.path())).collect();
        let Ok(program) = agent.canonicalize() else { return found };
        for pid in processes() {
            if std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
                && found.iter().all(|marked| marked.agent.pid() != pid)
            {
                found.extend(Self::unmarked(pid, owner));
            }
        }
        found
    }

    fn read(path: PathBuf) -> Option<Self> {
        path.to_str()?.strip_suffix(MARK_SUFFIX)?;
        let text = std::fs::read_to_string(&path).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        let owner = lines.next()?;
        let agent = ProcessMark::parse(&lines.next()?)?;
        let (run, job) = (lines.next()?, lines.next()?);
        Some(Self { path: Some(path), owner, agent, run, job, folder: lines.next().unwrap_or_default().into() })
    }

    fn unmarked(pid: u32, ours: &Owner) -> Option<Self> {
        let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let text = std::fs::read_to_string(folder.join(OWNER_FILE)).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        let (owner, run, job) = (lines.next()?, lines.next()?, lines.next()?);
        if lines.next()? != ours.installation() {
            return None;
        }
        Some(Self { path: None, owner, agent: ProcessMark::of(pid)?, run, job, folder })
    }

    pub(super) fn owner_alive(&self) -> bool {
        ProcessMark::parse(&self.owner).is_some_and(|owner| owner.is_alive())
    }

    /// Ends the agent, who ends all that it started, or that in its place.
    pub(super) async fn remove(&self) -> Result<(), String> {
        let pid = i32::try_from(self.agent.pid()).map_err(|error| error.to_string())?;
        let deadline = tokio::time::Instant::now() + STOP_TIMEOUT;
        let mut signal = Signal::SIGTERM;
        while self.agent.is_alive() {
            if tokio::time::Instant::now() > deadline {
                signal = Signal::SIGKILL;
            }
            if tokio::time::Instant::now() > deadline + STOP_TIMEOUT {
                return Err(format!("process {pid} does not end"));
            }
            // It may end between the look and the signal.
            let _ = kill(Pid::from_raw(pid), signal);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        remove_steps(self.folder.clone()).await;
        // Someone else may have removed it.
        let _ = self.path.as_ref().map(std::fs::remove_file);
        Ok(())
    }
}

/// Kills what an agent had started that was killed itself and worked in `folder`. Steps that ask to be left alone are.
pub(super) async fn remove_steps(folder: PathBuf) {
    if !folder.is_absolute() {
        return;
    }
    let killing = tokio::task::spawn_blocking(move || {
        for _ in 0..ROUNDS_MAX {
            let steps: Vec<_> = processes().filter(|pid| is_step_of(*pid, &folder)).collect();
            if steps.is_empty() {
                return;
            }
            for pid in steps.into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
                // It may have ended meanwhile, which is what is wanted.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        tracing::warn!(folder = %folder.display(), "steps of an agent that was killed are left");
    });
    if let Err(error) = killing.await {
        tracing::error!(%error, "a bug in pipe left steps of an agent that was killed");
    }
}

fn is_step_of(pid: u32, folder: &Path) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let folder = folder.as_os_str().as_encoded_bytes();
    let names_folder = |entry: &[u8]| {
        let value = entry.iter().position(|byte| *byte == b'=').map_or(entry, |at| &entry[at + 1..]);
        value.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    let mut entries = environment.split(|byte| *byte == 0);
    let has_mark = environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(STEP_VARIABLE));
    has_mark && entries.any(names_folder) && pid != std::process::id() && ProcessMark::of(pid).is_some()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn steps_of_an_agent_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let start = |file: &Path, mark: &str| {
            let mut command = Command::new("sleep");
            command.arg("600").env("GITHUB_ENV", file).env("RUNNER_TRACKING_ID", mark).spawn().unwrap()
        };
        let mut step = start(&folder.path().join("env"), "pipe_boot_1");
        let mut alone = start(&folder.path().join("env"), "0");
        let mut other = start(Path::new(&format!("{}2/env", folder.path().display())), "pipe_boot_1");
        // Spawned, but maybe not the program it will be.
        while !is_step_of(step.id(), folder.path()) {
            tokio::task::yield_now().await;
        }
        remove_steps(folder.path().to_owned()).await;
        step.wait().unwrap();
        for left in [&mut alone, &mut other] {
            assert!(left.try_wait().unwrap().is_none());
            left.kill().unwrap();
            left.wait().unwrap();
        }
        remove_steps(PathBuf::new()).await;
    }

    #[tokio::test]
    async fn an_agent_without_its_mark() {
        let (folder, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = folder.path().join("agent");
        std::fs::copy("/bin/sleep", &program).unwrap();
        let owner = Owner::new(folder.path());
        let job = JobIdentity { run: "7".into(), job: "a\nb".into(), attempt: 1 };
        announce(folder.path(), &owner, &job).unwrap();
        let mut agent = Command::new(&program).arg("600").current_dir(folder.path()).spawn().unwrap();
        let found = loop {
            // Spawned, but maybe not the program it will be.
            if let Some(found) = Marked::all(marks.path(), &program, &owner).pop() {
                break found;
            }
        };
        assert_eq!((found.run.as_str(), found.job.as_str(), found.agent.pid()), ("7", "a b", agent.id()));
        assert!(found.owner_alive());
        let other = Owner::new(marks.path());
        assert!(Marked::all(marks.path(), &program, &other).is_empty(), "another one's runs have the same numbers");
        mark(marks.path(), folder.path(), &owner, &job, agent.id()).unwrap();
        let all = Marked::all(marks.path(), &program, &owner);
        assert!(all.len() == 1 && all[0].path.is_some(), "found once");
        let waiting = std::thread::spawn(move || agent.wait());
        all[0].remove().await.unwrap();
        waiting.join().unwrap().unwrap();
        assert!(Marked::all(marks.path(), &program, &owner).is_empty());
    }
}
