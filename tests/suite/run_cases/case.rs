//! What a case folder holds. `tests/cases/README.md` describes the files.

use std::path::{Path, PathBuf};

/// One folder below `tests/cases/run` or `tests/cases/bad`.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// More arguments of `pipe run`.
    pub(super) args: Vec<String>,
    /// Variables of the environment of `pipe`.
    pub(super) environment: Vec<(String, String)>,
    /// What is sent to `pipe`, and after which text of its log.
    pub(super) signals: Vec<Signal>,
    /// Texts that must be somewhere in what `pipe` prints.
    pub(super) says: Vec<String>,
    /// Texts that may be nowhere: not printed in any form of output, and in no file that is kept.
    pub(super) hides: Vec<String>,
    /// Arguments of a command that follows, where leftovers are its business.
    pub(super) then: Option<Vec<String>>,
    /// Whether it runs on the host placement as well.
    pub(super) both: bool,
    /// Whether it runs on the host placement only.
    pub(super) host: bool,
    /// Whether starts and ends of jobs belong to the transcript.
    pub(super) timeline: bool,
    /// Whether what a job says of its set-up stays out of the transcript, since it depends on the machine.
    pub(super) brief: bool,
    /// Shell commands that make the repository what files cannot make it.
    pub(super) prepare: Option<PathBuf>,
}

/// A signal, and what has to be in the log before it is sent.
pub(super) struct Signal {
    pub(super) signal: nix::sys::signal::Signal,
    pub(super) after: String,
}

impl Case {
    pub(super) fn read(folder: &Path) -> Self {
        let lines = |name: &str| -> Vec<String> {
            let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let has = |name: &str| folder.join(name).exists();
        let signal = |line: &String| {
            let (signal, after) = line.split_once(" after ").expect("`signals` has lines such as `SIGINT after TEXT`");
            Signal { signal: signal.parse().expect("a signal's name"), after: after.to_owned() }
        };
        let pair = |line: String| {
            let (name, value) = line.split_once('=').expect("`environment` has lines NAME=VALUE");
            (name.to_owned(), value.to_owned())
        };
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            folder: folder.to_owned(),
            args: lines("args"),
            environment: lines("environment").into_iter().map(pair).collect(),
            signals: lines("signals").iter().map(signal).collect(),
            says: lines("says"),
            hides: lines("hides"),
            then: has("then").then(|| lines("then")),
            both: has("both"),
            host: has("host"),
            timeline: has("timeline"),
            brief: has("brief"),
            prepare: has("prepare.sh").then(|| folder.join("prepare.sh")),
        }
    }

    /// Why it cannot run as this user.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        let needs_root = self.file("root").is_some() && !nix::unistd::geteuid().is_root();
        needs_root.then_some("only root may do what it needs")
    }

    /// Whether `pipe` has to be run as somebody else, since nothing is forbidden to root.
    pub(super) fn as_nobody(&self) -> bool {
        self.file("not-root").is_some() && nix::unistd::geteuid().is_root()
    }

    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|path| path.exists())
    }
}
