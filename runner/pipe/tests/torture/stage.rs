//! A server that deploys services to this machine, with gates before the container engine and the proxy, and users of the services.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value as Json;

use crate::faults::Small;
use crate::gate::{Behind, Watch};
use crate::image::{docker, image};
use crate::ledger::Ledger;
use crate::server::{Blade, Server, wait_for};
use crate::world::{Witness, World, way_here};

const NOTHING: &str = "on: push\njobs:\n  nothing:\n    runs-on: here\n    steps:\n      - run: true\n";

/// Where the proxies of a stage come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// It runs before the first deployment, behind a gate.
    Gated,
    /// Whoever deploys first starts it.
    StartedByDeployment,
}

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) watch: Watch,
    pub(crate) ledger: Ledger,
    pub(crate) environment: String,
    /// Where users' requests come in, and those of tests.
    pub(crate) ports: [u16; 2],
    pub(crate) blade: Blade,
    server: Option<Server>,
    proxy: Option<Child>,
    bell: u16,
}

/// A port that nobody has; the system gives it to nobody else so soon.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Stage {
    pub(crate) fn new(proxy: Proxy) -> Self {
        Self::prepared(proxy, |_| ())
    }

    /// With the proxy's folder on a small disk of its own; none where no disk can be made.
    pub(crate) fn on_small_disk() -> Option<(Self, Small)> {
        let mut small = None;
        let stage = Self::prepared(Proxy::Gated, |folder| small = Small::mount(folder, "256k"));
        small.map(|small| (stage, small))
    }

    fn prepared(proxy: Proxy, prepare: impl FnOnce(PathBuf)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let environment = format!("x{}n{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut world = World::new(&Witness::new(), NOTHING);
        let (blade, ledger) = (Blade::default(), Ledger::at(world.data().join("pipe.db")));
        let watch = Watch::new(ledger.clone(), blade.clone());
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let engine = PathBuf::from(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"));
        watch.stand(&world.path("engine.sock"), Behind::Engine, engine);
        world.docker = Some(format!("unix://{}", world.path("engine.sock").display()));
        let ports = [free_port(), free_port()];
        let bell = bell(watch.clone());
        let mut this = Self { world, watch, ledger, environment, ports, blade, server: None, proxy: None, bell };
        prepare(this.folder());
        if proxy == Proxy::Gated {
            this.begin_proxy();
        }
        this.begin_server();
        this
    }

    /// Where the proxy of its environment has its table and sockets.
    pub(crate) fn folder(&self) -> PathBuf {
        self.world.data().join("proxies").join(&self.environment)
    }

    fn begin_proxy(&mut self) {
        let folder = self.folder();
        let [users, tests] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        let mut command = self.world.command(&World::program());
        command.args([
            "proxy",
            "--environment",
            &self.environment,
            "--listen",
            &users,
            "--test-listen",
            &tests,
            "--folder",
        ]);
        let log = std::fs::File::create(self.world.path("proxy.log")).unwrap();
        let mut child = command.arg(&folder).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready {"), "{line:?}: {}", self.world.path("proxy.log").display());
        self.proxy = Some(child);
        // A listening socket stays what it is under another name.
        std::fs::rename(folder.join("control.sock"), folder.join("own.sock")).unwrap();
        self.watch.stand(&folder.join("control.sock"), Behind::Proxy, folder.join("own.sock"));
    }

    fn begin_server(&mut self) {
        let server = self.world.started();
        self.blade.hold(&server);
        self.server = Some(server);
    }

    /// Whether the server was killed.
    pub(crate) fn is_down(&mut self) -> bool {
        self.server.as_mut().is_none_or(Server::is_gone)
    }

    /// A killed server is followed by another one.
    pub(crate) fn follow(&mut self) {
        if self.is_down() {
            self.begin_server();
        }
    }

    /// A workflow that deploys a service's `v1` and then its `v2`, with these further inputs: whole lines, as far in as the others.
    pub(crate) fn workflow(&self, service: &str, more: &str) -> String {
        let mut text = "on: push\njobs:\n  deploy:\n    runs-on: box\n    steps:\n".to_owned();
        let [users, tests] = self.ports;
        for (version, more) in [("v1", "steps: \"- { weight: 100 }\"\n"), ("v2", more)] {
            let environment = &self.environment;
            let lines = [
                format!("environment: {environment}\nservice: {service}\nroute: /{service}\nstrip: true"),
                format!("image: {}\nversion: {version}\nenv: VERSION={version}\nport: 8080", image().unwrap()),
                format!("proxy-port: {users}\ntest-port: {tests}\ntick: 100ms\nkeep-blue: \"0\"\nstop-timeout: \"5\""),
                "health-interval: 20ms\nhealth-threshold: 2\nstart-period: 60s".to_owned(),
            ];
            text.push_str("      - uses: pipe/deploy-local@v1\n        with:\n");
            for line in lines.join("\n").lines().chain(more.lines()) {
                text.push_str(&format!("          {line}\n"));
            }
        }
        text
    }

    /// Pushes a workflow; its run.
    pub(crate) fn push(&self, workflow: &str) -> u64 {
        let before = self.world.runs();
        std::fs::write(self.world.path("work/.github/workflows/ci.yml"), workflow).unwrap();
        self.world.git(&["add", "--all"]);
        self.world.commit("another");
        self.world.push();
        let mut new = None;
        wait_for("the push to become a run", || {
            new = self.world.runs().into_iter().find(|run| !before.contains(run));
            new.is_some()
        });
        new.unwrap()
    }

    /// What the job of a run wrote.
    pub(crate) fn log(&self, run: u64) -> String {
        let data = self.world.data().display().to_string();
        let output = self.world.pipe(&["logs", &run.to_string(), "--job", "deploy", "--data", &data]);
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// A script that rings with these words and goes on once they were heard.
    pub(crate) fn ring(&self, words: &str, then: &str) -> String {
        let (route, address) = way_here(true);
        format!("{route}exec 3<>/dev/tcp/{address}/{}; echo {words} >&3; cat <&3; {then}", self.bell)
    }

    /// The table of the proxy, past its gate.
    pub(crate) fn table(&self) -> Json {
        let status = self.status();
        status["table"].clone()
    }

    /// What the proxy says of itself; null while it does not run.
    pub(crate) fn status(&self) -> Json {
        let folder = self.folder();
        // The verb asks the socket that the product asks; nothing of it is a change.
        let output = self.world.pipe(&["proxy", "status", "--json", "--folder", &folder.display().to_string()]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Containers of a service: name and state, sorted.
    pub(crate) fn containers(&self, service: &str) -> Vec<(String, String)> {
        let labels = [("environment", self.environment.as_str()), ("service", service)];
        let filters = labels.map(|(name, value)| format!("label=dev.pipe.deploy.{name}={value}"));
        let format = "{{.Names}} {{.State}}";
        let list = docker(&["ps", "--all", "--format", format, "--filter", &filters[0], "--filter", &filters[1]]);
        let mut all: Vec<_> =
            list.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        all.sort();
        all
    }

    /// Takes away what a service left.
    pub(crate) fn clear(&self, service: &str) {
        let containers = self.containers(service);
        if !containers.is_empty() {
            let names = containers.iter().map(|(name, _)| name.as_str());
            docker(&["rm", "--force", "--volumes"].into_iter().chain(names).collect::<Vec<_>>());
        }
    }
}

/// Hears scripts, and answers each when it may go on.
fn bell(watch: Watch) -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut words = String::new();
            if BufReader::new(&stream).read_line(&mut words).is_ok() {
                watch.heard(words.trim());
            }
        }
    });
    port
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.server.take());
        if let Some(mut proxy) = self.proxy.take() {
            proxy.kill().unwrap_or_default();
            proxy.wait().unwrap();
        } else if let Some(pid) = self.status()["about"]["pid"].as_i64() {
            let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap_or_default();
        }
        let filter = format!("label=dev.pipe.deploy.environment={}", self.environment);
        let words = [
            docker(&["ps", "--all", "--quiet", "--filter", &filter]),
            docker(&["network", "ls", "--quiet", "--filter", &filter]),
        ];
        for (list, remove) in words.iter().zip([&["rm", "--force", "--volumes"][..], &["network", "rm"]]) {
            if !list.is_empty() {
                docker(&remove.iter().copied().chain(list.lines()).collect::<Vec<_>>());
            }
        }
    }
}
