//! A bare repository with a hook, a data folder, and a witness outside of everything whom each step tells that it runs.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::server::{Flushes, PATIENCE, Server, wait_for};

/// The image of jobs in containers.
pub(crate) const IMAGE: &str = "buildpack-deps:bookworm";
pub(crate) const REPOSITORY: &str = "tests/torture";
pub(crate) const SECRET: &str = "a secret of enough characters";

/// Whether containers can be started here.
pub(crate) fn docker_works() -> bool {
    let mut command = Command::new("docker");
    command.args(["image", "inspect", IMAGE]).stdout(Stdio::null()).stderr(Stdio::null());
    let works = command.status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("SKIPPED: no Docker with the image {IMAGE} (`make images`)");
    }
    works
}

/// Hears what steps say, over TCP, which containers and this machine have alike.
#[derive(Clone)]
pub(crate) struct Witness {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let this = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = Arc::clone(&this.heard);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut text = String::new();
                if stream.read_to_string(&mut text).is_ok() {
                    heard.lock().unwrap().extend(text.lines().map(str::to_owned));
                }
            }
        });
        this
    }

    /// What was said since it was asked last, in order of names.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.sort();
        heard
    }

    pub(crate) fn has_heard(&self, what: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|heard| heard == what)
    }

    /// The definition of `tell WHAT` for bash, in a container or on this machine.
    pub(crate) fn tell(&self, in_container: bool) -> String {
        let (route, address) = way_here(in_container);
        format!("tell() {{ {route}exec 3<>/dev/tcp/{address}/{}; echo \"$1\" >&3; exec 3>&-; }}", self.port)
    }
}

/// What a script has to do first, and then the address of this machine, in a container or on it.
pub(crate) fn way_here(in_container: bool) -> (&'static str, String) {
    if !in_container {
        return ("", "127.0.0.1".to_owned());
    }
    let byte = |at: u8| format!("$((16#${{gw:{at}:2}}))");
    let address = [6, 4, 2, 0].map(byte).join(".");
    (r#"gw=$(awk '$2 == "00000000" { print $3; exit }' /proc/net/route); "#, address)
}

/// The folders of one server and its repository.
pub(crate) struct World {
    root: tempfile::TempDir,
    /// The data folder, in that one.
    data: &'static str,
    pub(crate) port: u16,
    pub(crate) witness: Witness,
    /// `DOCKER_HOST` of the server, if not the usual one.
    pub(crate) docker: Option<String>,
    /// More variables of what is started.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl World {
    /// A repository whose hook tells a server that does not run yet.
    pub(crate) fn new(witness: &Witness, workflow: &str) -> Self {
        let root = tempfile::Builder::new().prefix("pt").tempdir().unwrap();
        // Free again at once; the system gives it to nobody else so soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let world = Self { root, data: "data", port, witness: witness.clone(), docker: None, variables: Vec::new() };
        witness.take();
        world.set_up(workflow);
        world
    }

    fn set_up(&self, workflow: &str) {
        std::fs::create_dir_all(self.path("work/.github/workflows")).unwrap();
        std::fs::create_dir_all(self.data()).unwrap();
        std::fs::write(self.path("work/.github/workflows/ci.yml"), workflow).unwrap();
        std::fs::write(self.path("secret"), SECRET).unwrap();
        let settings = format!("[labels]\nhere = \"host\"\nbox = \"{IMAGE}\"\n[queue]\nmax-jobs = 4\n");
        std::fs::write(self.data().join("pipe.toml"), settings).unwrap();
        self.git(&["init", "--quiet", "--bare", "--initial-branch=main", "../bare.git"]);
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "torture"]);
        let add = ["repo", "add", "bare.git", "--name", REPOSITORY, "--forge", "push", "--secret-file", "secret"];
        self.done(&[&add[..], &["--data", self.data]].concat());
        let url = format!("http://127.0.0.1:{}", self.port);
        let hook = ["hook", "install", "bare.git", "--server", &url, "--repository", REPOSITORY];
        self.done(&[&hook[..], &["--secret-file", "secret"]].concat());
    }

    /// The same with its data in a folder of this world, which is there.
    pub(crate) fn in_small(mut self, folder: &'static str, workflow: &str) -> Self {
        for name in ["work", "bare.git"] {
            std::fs::remove_dir_all(self.path(name)).unwrap();
        }
        self.data = folder;
        self.set_up(workflow);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path(self.data)
    }

    /// What it has written so far.
    pub(crate) fn server_log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root.path()).env_clear();
        for name in ["PATH", "DOCKER_HOST", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.docker.as_ref().map(|host| ("DOCKER_HOST", host)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("HOME", self.root.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Mona").env(format!("GIT_{who}_EMAIL"), "mona@example.com");
            command.env(format!("GIT_{who}_DATE"), "2026-01-02T03:04:05Z");
        }
        command
    }

    /// In the repository; what it says on both.
    pub(crate) fn git(&self, words: &[&str]) -> String {
        let mut command = self.command(Path::new("git"));
        let output = command.current_dir(self.path("work")).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &said
    }

    pub(crate) fn program() -> PathBuf {
        std::env::var_os("PIPE_TORTURE_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_pipe").into(), PathBuf::from)
    }

    /// A verb of pipe with these words.
    pub(crate) fn pipe(&self, words: &[&str]) -> Output {
        self.command(&Self::program()).args(words).output().unwrap()
    }

    /// The same, where it must go well; its standard output.
    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let output = self.pipe(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn serve(&self, flushes: Option<&Flushes>) -> Server {
        let mut command = self.command(&Self::program());
        command.args(["serve", "--data", self.data, "--listen", &format!("127.0.0.1:{}", self.port)]);
        Server::start(&command, self.root.path(), flushes)
    }

    /// A server that must come up.
    pub(crate) fn started(&self) -> Server {
        let server = self.serve(None);
        assert!(server.listens, "it does not start: {}", self.server_log());
        server
    }

    /// The status and the text of an answer of the server; 0 without one.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let ask = || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            std::io::Result::Ok(text)
        };
        let text = ask().unwrap_or_default();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, text)
    }

    /// Pushes; what the hook says. Told now or, if the server cannot be reached, later.
    pub(crate) fn push(&self) -> String {
        self.git(&["push", "--quiet", "../bare.git", "HEAD:refs/heads/main"])
    }

    /// Another commit, to be pushed.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// Ids of all runs, as the server (or its folder) tells.
    pub(crate) fn runs(&self) -> Vec<u64> {
        let output = self.pipe(&["runs", "--data", self.data, "--json"]);
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut ids: Vec<_> =
            list["runs"].as_array().into_iter().flatten().filter_map(|run| run["id"].as_u64()).collect();
        ids.sort_unstable();
        ids
    }

    /// Follows a run to its end, or until `stop`; whether it was seen to end.
    pub(crate) fn watch(&self, run: u64, mut stop: impl FnMut() -> bool) -> bool {
        let mut there = false;
        wait_for("the run to be there", || {
            there = self.runs().contains(&run);
            there || stop()
        });
        if !there {
            return false;
        }
        let mut command = self.command(&Self::program());
        command.args(["watch", &run.to_string(), "--data", self.data]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = std::time::Instant::now();
        let ended = loop {
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            if stop() {
                break false;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!(
                    "run {run} does not end: {}\n{}",
                    self.done(&["show", "1", "--data", self.data]),
                    self.server_log()
                );
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        child.kill().unwrap_or_default();
        child.wait().unwrap();
        ended
    }
}
