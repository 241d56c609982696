//! A folder with files, and the binary run in it with nothing of the developer's own environment.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) struct World {
    folder: TempDir,
}

impl World {
    /// A plain folder with files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let world = Self { folder };
        std::fs::create_dir_all(world.root()).unwrap();
        files.iter().for_each(|(name, text)| world.write(name, text.as_bytes()));
        world
    }

    /// The same as a git repository with one commit.
    pub(crate) fn repository(files: &[(&str, &str)]) -> Self {
        Self::new(files).committed(&[], &[])
    }

    /// With these files too, as a git repository with one commit, and these branches beside `main`.
    pub(crate) fn committed(self, files: &[(&str, &str)], branches: &[&str]) -> Self {
        let world = self;
        files.iter().for_each(|(name, text)| world.write(name, text.as_bytes()));
        let git =
            git2::Repository::init_opts(world.root(), git2::RepositoryInitOptions::new().initial_head("main")).unwrap();
        let mut index = git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        let time = git2::Time::new(1_700_000_000, 0);
        let author = git2::Signature::new("Ada", "ada@example.org", &time).unwrap();
        let commit = git.commit(Some("HEAD"), &author, &author, "first", &tree, &[]).unwrap();
        let commit = git.find_commit(commit).unwrap();
        branches.iter().for_each(|name| drop(git.branch(name, &commit, false).unwrap()));
        drop((tree, commit));
        world
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The command, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let home = self.folder.path().join("home");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipe"));
        command.args(arguments).current_dir(self.root()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &home).env("USER", "ada").env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        command
    }

    pub(crate) fn output(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input closes it early.
        let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Several commands, with exit code, stdout and stderr each, fit for a snapshot.
    pub(crate) fn told(&self, commands: &[&[&str]]) -> String {
        let mut text = String::new();
        for arguments in commands {
            let output = self.output(arguments, "");
            writeln!(text, "$ pipe {}", arguments.join(" ")).unwrap();
            text.push_str(&self.stable(&String::from_utf8_lossy(&output.stdout)));
            let errors = self.stable(&String::from_utf8_lossy(&output.stderr));
            errors.lines().for_each(|line| writeln!(text, "! {line}").unwrap());
            writeln!(text, "= {}\n", output.status.code().unwrap_or(-1)).unwrap();
        }
        text
    }

    /// Without what differs from run to run.
    fn stable(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().display().to_string(), "");
        let mut stable = String::new();
        for line in text.split_inclusive('\n') {
            stable.push_str(&durations(line));
        }
        stable
    }
}

/// `12 ms` and `1.2 s` become `TIME`; short commit ids of the clock-free commit stay.
fn durations(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        let number = words[at - 1].trim_start_matches('(');
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let unit = words[at].trim_end_matches([')', '\n', '.', ':']);
        if is_number && (unit == "ms" || unit == "s") {
            words[at - 1] = words[at - 1].replace(number, "TIME");
        }
    }
    words.join(" ")
}

/// A workflow's file in its usual place.
pub(crate) const CI: &str = ".github/workflows/ci.yml";
