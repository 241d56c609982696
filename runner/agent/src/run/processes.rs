//! Which processes belong to an exec, and which were left behind: a look through `/proc`.
//!
//! An exec's processes are those of its session, and those that carry its mark in their environment, wherever they went.
//! The mark is `RUNNER_TRACKING_ID`, as with `actions/runner`: a step that sets it to something else on the host asks
//! that its process be left alone at the end of the job, and it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that marks the processes of an exec.
pub(crate) const MARK: &str = "RUNNER_TRACKING_ID";

/// One living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) command: String,
    parent: i32,
    session: i32,
}

impl Process {
    /// From `/proc/PID/stat`; none for one that is dead and only waits to be reaped.
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name may hold anything, also spaces and parentheses: it ends at the last one.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let command = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, command, parent, session })
    }

    /// The value of its mark; `None` where it has none or may not be read.
    fn mark(&self) -> Option<Vec<u8>> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let of_mark = |entry: &[u8]| Some(entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?.to_vec());
        environment.split(|byte| *byte == 0).find_map(of_mark)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended meanwhile, which is what is wanted.
        let _ = kill(Pid::from_raw(self.pid), signal);
    }
}

/// All living processes but this one.
fn all() -> Vec<Process> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| u32::try_from(*pid) != Ok(own)).filter_map(Process::read).collect()
}

/// Those whose chain of parents leads here. As PID 1 or subreaper that is all that was ever started here.
fn descendants(processes: &[Process]) -> BTreeSet<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let (mut found, mut next) = (BTreeSet::new(), vec![own]);
    while let Some(parent) = next.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(*child) {
                next.push(*child);
            }
        }
    }
    found
}

/// Children that have ended and were not reaped yet.
pub(crate) fn dead_children() -> Vec<i32> {
    let own = std::process::id();
    let is_ours = |stat: &str| {
        let mut fields = stat.rsplit_once(')').map_or("", |(_, tail)| tail).split_ascii_whitespace();
        fields.next() == Some("Z") && fields.next().and_then(|parent| parent.parse().ok()) == Some(own)
    };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| is_ours(&stat))).collect()
}

/// The processes of the exec whose main process led `session`, and all that bear `mark`.
pub(crate) fn of_exec(session: i32, mark: &str) -> Vec<Process> {
    let mut processes = all();
    // Asked for ancestry as well, since a number may by now be another's.
    let ours = descendants(&processes);
    processes.retain(|process| {
        (process.session == session && ours.contains(&process.pid))
            || process.mark().as_deref() == Some(mark.as_bytes())
    });
    processes
}

/// What is to be ended with the job: in a container every process; on the host what was started here, unless it asked not to.
pub(crate) fn left_behind(mark_prefix: &str) -> Vec<Process> {
    let mut processes = all();
    if std::process::id() == 1 {
        return processes;
    }
    let ours = descendants(&processes);
    processes.retain(|process| match process.mark() {
        Some(mark) => mark.starts_with(mark_prefix.as_bytes()),
        None => ours.contains(&process.pid),
    });
    processes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line() {
        let process = |pid, command: &str| Some(Process { pid, command: command.into(), parent: 1, session: 7 });
        assert_eq!(Process::parse(9, "9 (a) b) S 1 8 7 0 -1"), process(9, "a) b"));
        assert_eq!(Process::parse(9, "9 (sh) Z 1 8 7 0 -1"), None);
        assert_eq!(Process::parse(9, "9 (sh"), None);
    }
}
