//! How often the kernel killed for want of memory in the agent's control group.
//!
//! A shell can hide that its child was killed (code 0, or 137 as if someone had sent a signal); the counter cannot.
//! Follows the kernel's `cgroup-v1/memory` (`memory.oom_control`, field `oom_kill`) and `cgroup-v2` (`memory.events`).

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Longer than either file ever is.
const COUNTERS_BYTES_MAX: usize = 1024;

#[derive(Debug)]
pub(crate) struct OomCounter {
    /// Kept open, since it is read twice for each exec. Absent where no memory controller is to be seen.
    file: Option<File>,
}

impl OomCounter {
    pub(crate) fn find() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let open = |file: PathBuf| File::open(file).ok().filter(|file| read(file).is_some());
        Self { file: candidates(&own).into_iter().find_map(open) }
    }

    /// Kills since the control group was made.
    pub(crate) fn kills(&self) -> u64 {
        self.file.as_ref().and_then(read).unwrap_or(0)
    }
}

/// On the host the group lies below the mount; in a container the mount itself is the group.
fn candidates(own: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            continue;
        };
        found.push(Path::new(mount).join(path.trim_start_matches('/')).join(file));
        found.push(Path::new(mount).join(file));
    }
    found
}

fn read(file: &File) -> Option<u64> {
    let mut bytes = [0; COUNTERS_BYTES_MAX];
    let length = file.read_at(&mut bytes, 0).ok()?;
    count(std::str::from_utf8(bytes.get(..length)?).ok()?)
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups() {
        let cases = [
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", Some(3)),
            ("low 0\nhigh 0\nmax 9\noom 4\noom_kill 2\noom_group_kill 0\n", Some(2)),
            ("oom_kill_disable 0\nunder_oom 0\n", None),
            ("", None),
        ];
        for (text, expect) in cases {
            assert_eq!(count(text), expect, "{text}");
        }
        let own = "12:pids:/a\n4:cpu,memory:/docker/x\n0::/y\n";
        let expect = [
            "/sys/fs/cgroup/memory/docker/x/memory.oom_control",
            "/sys/fs/cgroup/memory/memory.oom_control",
            "/sys/fs/cgroup/y/memory.events",
            "/sys/fs/cgroup/memory.events",
        ];
        assert_eq!(candidates(own), expect.map(PathBuf::from));
    }
}
