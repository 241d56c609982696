//! Who created a container, network or agent: labels that a later process can judge by.
//!
//! Two installations on one engine never touch each other's things, nor does a process those of another that lives.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::JobIdentity;

/// Which installation.
pub(crate) const LABEL_OWNER: &str = "dev.pipe.owner";
/// Which process of it.
pub(crate) const LABEL_PROCESS: &str = "dev.pipe.process";
/// Which run.
pub(crate) const LABEL_RUN: &str = "dev.pipe.run";
/// Which job.
pub(crate) const LABEL_JOB: &str = "dev.pipe.job";
/// Which attempt.
pub(crate) const LABEL_ATTEMPT: &str = "dev.pipe.attempt";
/// `job`, `service <id>`, `network`, `volume`.
pub(crate) const LABEL_ROLE: &str = "dev.pipe.role";

/// Which installation's jobs share a network. Nothing else carries this label.
pub(crate) const LABEL_APART: &str = "dev.pipe.apart";

/// This process of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    installation: String,
    process: ProcessMark,
}

impl Owner {
    /// `state_directory` tells installations on one machine apart, the machine's id those on different ones.
    #[must_use]
    pub fn new(state_directory: &Path) -> Self {
        let installation = Self::installation_of(state_directory);
        Self { installation, process: ProcessMark::of(std::process::id()).unwrap_or_default() }
    }

    /// The id of the installation of a folder on this machine.
    pub(crate) fn installation_of(state_directory: &Path) -> String {
        let directory = std::path::absolute(state_directory).unwrap_or_else(|_| state_directory.to_owned());
        let machine = std::fs::read_to_string("/etc/machine-id")
            .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
            .unwrap_or_default();
        let mut digest = Sha256::new();
        digest.update(machine.trim());
        digest.update([0]);
        digest.update(directory.as_os_str().as_encoded_bytes());
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The id of the installation, 16 hexadecimal digits.
    #[must_use]
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// The mark of this process, as labels and files carry it.
    pub(crate) fn process(&self) -> String {
        self.process.to_string()
    }

    /// The labels of something that this process made outside of any job's place, so that clean-up finds it.
    #[must_use]
    pub fn own_labels(&self) -> BTreeMap<String, String> {
        [(LABEL_OWNER, self.installation.clone()), (LABEL_PROCESS, self.process())]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// Whether a label of [`Self::own_labels`] says nothing of the process.
    #[must_use]
    pub fn lasts(name: &str) -> bool {
        name == LABEL_OWNER
    }

    /// The labels of something that belongs to a job.
    pub(crate) fn labels(&self, job: &JobIdentity, role: &str) -> HashMap<String, String> {
        [
            (LABEL_OWNER, self.installation.clone()),
            (LABEL_PROCESS, self.process.to_string()),
            (LABEL_RUN, job.run.clone()),
            (LABEL_JOB, job.job.clone()),
            (LABEL_ATTEMPT, job.attempt.to_string()),
            (LABEL_ROLE, role.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Drawn by the kernel at each start of the machine.
pub(crate) fn boot_id() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// A process for as long as the machine is up: its id alone may be given again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProcessMark {
    pid: u32,
    /// Clock ticks from the start of the machine to that of the process.
    started: u64,
    /// Drawn by the kernel when it starts.
    boot: String,
    /// Which table of processes the id is of.
    namespace: String,
}

impl ProcessMark {
    /// The mark of a living process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in brackets and may hold anything.
        let after_name = stat.get(stat.rfind(')')? + 1..)?;
        let mut fields = after_name.split_ascii_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        let boot = boot_id()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        let namespace = namespace.chars().filter(char::is_ascii_digit).collect();
        (state != "Z").then_some(Self { pid, started, boot, namespace })
    }

    /// Reads what [`Self::to_string`] gave.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (pid, started) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { pid, started, boot: parts.next()?.to_owned(), namespace: parts.next()?.to_owned() })
    }

    /// Whether the process still runs. One of another process table cannot be judged, and counts as alive.
    pub(crate) fn is_alive(&self) -> bool {
        let Some(this) = Self::of(std::process::id()) else { return true };
        if self.boot != this.boot {
            return false;
        }
        self.namespace != this.namespace || Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Its id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }
}

impl std::fmt::Display for ProcessMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}:{}", self.pid, self.started, self.boot, self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        let mine = ProcessMark::of(std::process::id()).unwrap();
        assert!(mine.is_alive());
        assert_eq!(ProcessMark::parse(&mine.to_string()), Some(mine.clone()));
        assert!(
            !ProcessMark { started: mine.started + 1, ..mine.clone() }.is_alive(),
            "another process with the same id"
        );
        assert!(!ProcessMark { boot: "other".into(), ..mine.clone() }.is_alive(), "before the machine restarted");
        assert!(ProcessMark { namespace: "1".into(), pid: 0, ..mine }.is_alive(), "not ours to judge");
        assert_eq!(ProcessMark::parse("1:2"), None);
    }

    #[test]
    fn a_dead_process() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let mark = ProcessMark::of(child.id());
        child.wait().unwrap();
        assert!(mark.is_none_or(|mark| !mark.is_alive()));
    }

    #[test]
    fn installations() {
        assert_eq!(Owner::new(Path::new("/a")), Owner::new(Path::new("/a")));
        assert_ne!(Owner::new(Path::new("/a")).installation(), Owner::new(Path::new("/b")).installation());
        assert_eq!(Owner::new(Path::new("/a")).installation().len(), 16);
    }
}
