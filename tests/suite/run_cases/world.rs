//! A repository of its own for each case, the real `pipe` in it, and a look at what was left behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::case::Case;
use super::transcript::Transcript;

/// How long one case may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(180);
const IMAGE: &str = "buildpack-deps:bookworm";
/// The user `nobody`, and his group.
const NOBODY: u32 = 65534;

/// Where a case's jobs run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Placement {
    Docker,
    Host,
}

/// The folders of one case.
pub(super) struct World {
    root: tempfile::TempDir,
    /// Undoes what the case's `prepare.sh` did outside its folders.
    clean: Option<PathBuf>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(script) = self.clean.take() {
            self.script(&script);
        }
    }
}

/// What came of a command.
pub(super) struct Outcome {
    pub(super) exit: String,
    pub(super) transcript: Transcript,
    /// All that was printed.
    pub(super) printed: String,
    pid: u32,
}

impl World {
    /// A repository with the case's files, committed.
    pub(super) fn new(case: &Case) -> Self {
        let this =
            Self { clean: case.file("clean.sh"), root: tempfile::Builder::new().prefix("pc").tempdir().unwrap() };
        let repository = this.repository();
        for folder in [
            &repository,
            &this.path("home"),
            &this.path("state"),
            &this.path("cache"),
            &this.path("config/pipe"),
            &this.path("r"),
        ] {
            std::fs::create_dir_all(folder).unwrap();
        }
        this.git(&["init", "--quiet", "--initial-branch", "main"]);
        this.git(&["remote", "add", "origin", "https://github.com/octo/shop.git"]);
        if let Some(workflow) = case.file("workflow.yml") {
            std::fs::create_dir_all(repository.join(".github/workflows")).unwrap();
            std::fs::copy(workflow, repository.join(".github/workflows/ci.yml")).unwrap();
        }
        if let Some(files) = case.file("repo") {
            copy_tree(&files, &repository);
        }
        if let Some(settings) = case.file("config.toml") {
            std::fs::copy(settings, this.path("config/pipe/config.toml")).unwrap();
        }
        this.git(&["add", "--all"]);
        this.git(&["commit", "--quiet", "--allow-empty", "--message", "a case"]);
        if let Some(script) = &case.prepare {
            this.script(script);
        }
        this
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.path("shop")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn script(&self, script: &Path) {
        let done = self.command("sh").arg("-eu").arg(script).output().unwrap();
        assert!(done.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&done.stderr));
    }

    fn git(&self, arguments: &[&str]) {
        let done = self.command("git").args(arguments).output().unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A program in the repository, with nothing of the developer's own settings.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.repository()).env_clear();
        for name in ["PATH", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        for (name, folder) in [
            ("HOME", "home"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_RUNTIME_DIR", "r"),
            ("CASE", ""),
            // Nothing is fetched from elsewhere.
            ("PIPE_ACTIONS_SERVER", "server"),
        ] {
            command.env(name, self.path(folder));
        }
        let fixed = [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "Mona"),
            ("GIT_AUTHOR_EMAIL", "mona@example.com"),
            ("GIT_COMMITTER_NAME", "Mona"),
            ("GIT_COMMITTER_EMAIL", "mona@example.com"),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z"),
        ];
        command.envs(fixed);
        command
    }

    /// The program as a user without rights, to whom the folders of the case are given.
    fn command_of_nobody(&self) -> Command {
        let own = self.path("pipe");
        if !own.exists() {
            // Where it was built is not everybody's to read.
            std::fs::hard_link(binary(), &own).or_else(|_| std::fs::copy(binary(), &own).map(drop)).unwrap();
        }
        std::fs::set_permissions(self.root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let given = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).args(self.folders()).status();
        assert!(given.unwrap().success(), "the folders cannot be given to nobody");
        let mut command = self.command(own);
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// What lies in the folder of all, but for the program, which may be the very file that was built.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.file_name() != Some("pipe".as_ref())).collect()
    }

    /// Which of these texts can be found in what the case is printed as in other forms, and in files that were kept.
    pub(super) fn found(&self, case: &Case, placement: Placement) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |place: &str, bytes: &[u8]| {
            for text in &case.hides {
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(format!("`{text}` in {place}"));
                }
            }
        };
        let arguments = self.arguments(case, placement);
        look("the lines", self.pipe(case, &[&arguments[..], &["-v".into()]].concat()).printed.as_bytes());
        let words: Vec<_> =
            [binary().display().to_string()].iter().chain(&arguments).map(|word| quoted(word)).collect();
        let terminal =
            self.command("script").args(["-qec", &words.join(" "), "/dev/null"]).env("TERM", "xterm").output();
        match terminal {
            Ok(shown) => {
                assert!(!shown.stdout.is_empty(), "nothing on the terminal");
                look("the terminal", &[shown.stdout, shown.stderr].concat());
            }
            Err(error) => eprintln!("SKIPPED {} on a terminal: script: {error}", case.name),
        }
        for kept in ["state", "cache", "config", "r", "home"] {
            for entry in walkdir::WalkDir::new(self.path(kept)).into_iter().filter_map(Result::ok) {
                if entry.file_type().is_file() {
                    look(&entry.path().display().to_string(), &std::fs::read(entry.path()).unwrap());
                }
                look("the name of a file", entry.path().display().to_string().as_bytes());
            }
        }
        found
    }

    /// `pipe run` as the case asks for it.
    pub(super) fn run(&self, case: &Case, placement: Placement) -> Outcome {
        self.pipe(case, &[&self.arguments(case, placement)[..], &["--json".into()]].concat())
    }

    fn arguments(&self, case: &Case, placement: Placement) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), "--actor".into(), "mona".into()];
        if let Some(event) = case.file("event.json") {
            arguments.extend(["-e".to_owned(), event.display().to_string()]);
        }
        if let Some(secrets) = case.file("secrets") {
            arguments.extend(["--secret-file".to_owned(), secrets.display().to_string()]);
        }
        arguments.extend(match placement {
            Placement::Docker => ["-P".to_owned(), format!("ubuntu-latest={IMAGE}")],
            Placement::Host => ["-P".to_owned(), "ubuntu-latest=-self-hosted".into()],
        });
        arguments.extend(case.args.iter().cloned());
        arguments
    }

    /// Any command of `pipe`.
    pub(super) fn pipe(&self, case: &Case, arguments: &[String]) -> Outcome {
        let mut command = if case.as_nobody() { self.command_of_nobody() } else { self.command(binary()) };
        command.args(arguments).envs(case.environment.iter().map(|(name, value)| (name, self.fill(value))));
        if case.file("node").is_some() {
            command.env("PIPE_NODES", super::nodes::folder(case));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (lines, inbox) = mpsc::channel();
        let out = std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { return };
                let _gone = lines.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let err = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _read = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let mut signals = case.signals.iter();
        let mut next = signals.next();
        let mut transcript = Transcript::default();
        let (started, mut printed, mut hung) = (Instant::now(), String::new(), false);
        loop {
            match inbox.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    let line = self.normalise(&line);
                    transcript.line(&line);
                    if let Some(signal) = next
                        && Transcript::log_of(&line).is_some_and(|text| text.contains(&signal.after))
                    {
                        kill(pid, signal.signal).unwrap();
                        next = signals.next();
                    }
                    printed.push_str(&line);
                    printed.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    hung = true;
                    kill(pid, Signal::SIGKILL).unwrap();
                    break;
                }
            }
        }
        let status = child.wait().unwrap();
        if !hung {
            out.join().unwrap();
        }
        printed.push_str(&self.normalise(&err.join().unwrap()));
        assert!(!hung, "case {}: still running after {PATIENCE:?}; printed:\n{printed}", case.name);
        Outcome { exit: exit(status), transcript, printed, pid: child.id() }
    }

    /// What of this run is still there.
    pub(super) fn leftovers(&self, outcome: &Outcome) -> Vec<String> {
        let mut left = Vec::new();
        for (kind, list) in
            [("container", &["ps", "--all"][..]), ("network", &["network", "ls"]), ("volume", &["volume", "ls"])]
        {
            let format = format!("{kind} {{{{.Label \"dev.pipe.process\"}}}} {{{{.Label \"dev.pipe.job\"}}}}");
            let Ok(found) = Command::new("docker")
                .args(list)
                .args(["--filter", "label=dev.pipe.process", "--format", &format])
                .output()
            else {
                continue;
            };
            let ours = format!("{kind} {}:", outcome.pid);
            left.extend(
                String::from_utf8_lossy(&found.stdout)
                    .lines()
                    .filter(|line| line.starts_with(&ours))
                    .map(str::to_owned),
            );
        }
        for folder in ["state/pipe/work", "r/pipe"] {
            let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            left.extend(
                names
                    .filter(|name| name.contains(&outcome.pid.to_string()))
                    .map(|name| format!("folder {folder}/{name}")),
            );
        }
        left
    }

    /// `$CASE` in the environment of a case is the folder of its world.
    fn fill(&self, text: &str) -> String {
        text.replace("$CASE", &self.root.path().display().to_string())
    }

    /// Takes out what differs from run to run.
    fn normalise(&self, text: &str) -> String {
        let root = self.root.path().display().to_string();
        let text = text.replace(&root, "$CASE");
        let text = match text.split_once("in PATH (").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1)))
        {
            Some((before, after)) => format!("{before}in PATH ($PATH){after}"),
            None => text,
        };
        // More actions come with time.
        match text.split_once("built-in actions (").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1))) {
            Some((before, after)) => format!("{before}built-in actions (ACTIONS){after}"),
            None => text,
        }
    }
}

/// The real program: `$PIPE_TEST_BINARY`, or the one beside this test binary's folder.
pub(super) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PIPE_TEST_BINARY") {
        return path.into();
    }
    let this = std::env::current_exe().unwrap();
    let found = this.parent().and_then(Path::parent).map(|folder| folder.join("pipe"));
    found
        .filter(|path| path.exists())
        .expect("there is no `pipe` beside the tests; build it first: cargo build -p pipe")
}

/// Whether a Docker engine answers.
pub(super) fn docker_answers() -> bool {
    Command::new("docker")
        .args(["image", "inspect", IMAGE])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, signal) => format!("by signal {}", signal.unwrap_or_default()),
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
