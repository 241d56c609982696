//! What the tests share: an image, a placement, a job, and a look at what is left.
//!
//! The image is made from the machine's own static busybox and never pulled. Each test has an owner of its own, so that
//! tests at the same time do not see each other's containers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use engine::placement::{
    DockerPlacement, DockerSettings, ExecOutcome, ExecRequest, ImageSpec, JobHandle, JobIdentity, JobShape, JobSpec,
    Limits, Mount, NetworkAccess, Owner, Placement, PlacementError, PlacementProgress, ProgressSink, RunDirectory,
    ServiceSpec, TransportChoice,
};
use indexmap::IndexMap;

const BUSYBOX: &str = "/bin/busybox";
const IMAGE: &str = "pipe-test/placement:1";
const APPLETS: &str = "sh cat echo env false grep head httpd id kill ls mkdir nc nohup printenv pwd rm seq setsid sleep \
                       stat sync tail test touch true wc wget yes";

/// Runs a program to its end; what it printed, or why it failed.
fn program(name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(name).args(arguments).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The `docker` program, for looks that do not go through the code under test.
pub(crate) fn docker(arguments: &[&str]) -> String {
    program("docker", arguments).unwrap_or_else(|error| panic!("docker {arguments:?}: {error}"))
}

/// The name of an image with busybox, made on first use.
pub(crate) fn image() -> &'static str {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        if let Err(error) = program("docker", &["version"]) {
            panic!("these tests need a Docker engine that runs and that this user may use: {error}");
        }
        if program("docker", &["image", "inspect", IMAGE]).is_ok() {
            return;
        }
        assert!(Path::new(BUSYBOX).exists(), "these tests need {BUSYBOX}: apt-get install busybox-static");
        let tree = tempfile::tempdir().unwrap();
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
            std::fs::create_dir(tree.path().join(folder)).unwrap();
        }
        std::fs::copy(BUSYBOX, tree.path().join("bin/busybox")).unwrap();
        for applet in APPLETS.split_whitespace() {
            std::os::unix::fs::symlink("busybox", tree.path().join("bin").join(applet)).unwrap();
        }
        std::fs::write(tree.path().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nme:x:1234:1234::/tmp:/bin/sh\n")
            .unwrap();
        std::fs::write(tree.path().join("etc/group"), "root:x:0:\nme:x:1234:\n").unwrap();
        let archive = tree.path().with_extension("tar");
        let (folder, file) = (tree.path().to_str().unwrap(), archive.to_str().unwrap());
        program("tar", &["-C", folder, "-cf", file, "."]).unwrap();
        let made = program("docker", &["import", "--change", "ENV PATH=/bin FROM_IMAGE=yes", file, IMAGE]);
        std::fs::remove_file(&archive).unwrap();
        made.unwrap();
    });
    IMAGE
}

/// The agent as a file.
pub(crate) fn agent() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
        engine::agent_binary::install(&directory).unwrap()
    };
    INSTALLED.get_or_init(install).clone()
}

/// Folders of one test, and the owner of what it makes.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) progress: Arc<Mutex<Vec<PlacementProgress>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["run", "workspace"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, progress: Arc::default() }
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.folder.path())
    }

    pub(crate) fn settings(&self, transport: TransportChoice) -> DockerSettings {
        DockerSettings {
            owner: self.owner(),
            agent: agent(),
            transport,
            isolate: false,
            allowed_options: vec![],
            allowed_folders: vec![],
            nodes: None,
            claims: None,
        }
    }

    pub(crate) async fn docker(&self, transport: TransportChoice) -> DockerPlacement {
        image();
        DockerPlacement::connect(self.settings(transport)).await.unwrap()
    }

    /// A job with a workspace, without services.
    pub(crate) fn spec(&self) -> JobSpec {
        JobSpec {
            identity: JobIdentity { run: "run-1".into(), job: "build (a)".into(), attempt: 1 },
            shape: JobShape::Runner,
            image: ImageSpec::new(IMAGE),
            env: IndexMap::from([("GIVEN".to_owned(), "1".to_owned())]),
            user: None,
            workdir: "/work".into(),
            run_directory: RunDirectory { host: self.folder.path().join("run"), inside: "/__pipe".into() },
            mounts: vec![Mount {
                host: self.folder.path().join("workspace"),
                inside: "/work".into(),
                read_only: false,
            }],
            services: vec![],
            options: String::new(),
            volumes: vec![],
            ports: vec![],
            limits: Limits::default(),
            network: NetworkAccess::Internet,
            trust: None,
            beside: None,
        }
    }

    pub(crate) fn sink(&self) -> ProgressSink {
        let seen = Arc::clone(&self.progress);
        Arc::new(move |progress| seen.lock().unwrap().push(progress))
    }

    pub(crate) async fn start(
        &self,
        placement: &dyn Placement,
        spec: JobSpec,
    ) -> Result<Arc<dyn JobHandle>, PlacementError> {
        placement.start(spec, self.sink()).await
    }

    /// Names of networks that jobs share.
    pub(crate) fn shared_networks(&self) -> String {
        let filter = format!("label=dev.pipe.apart={}", self.owner().installation());
        program("docker", &["network", "ls", "--format", "{{.Name}}", "--filter", &filter]).unwrap_or_default()
    }

    /// Fails when something of this test is left in the engine.
    pub(crate) fn assert_clean(&self) {
        let filter = format!("label=dev.pipe.owner={}", self.owner().installation());
        for what in ["container", "network", "volume"] {
            let all: &[&str] = if what == "container" { &["-a"] } else { &[] };
            let left = docker(&[&[what, "ls", "-q", "--filter", &filter], all].concat());
            assert_eq!(left, "", "a {what} is left");
        }
        assert_eq!(self.shared_networks(), "", "a network is left");
    }
}

impl Drop for World {
    /// A test that failed half-way leaves nothing behind either.
    fn drop(&mut self) {
        let filter = format!("label=dev.pipe.owner={}", self.owner().installation());
        for (what, all) in [("container", &["-a"][..]), ("network", &[]), ("volume", &[])] {
            let left = program("docker", &[&[what, "ls", "-q", "--filter", &filter], all].concat()).unwrap_or_default();
            for id in left.split_whitespace() {
                let _gone = program("docker", &[what, "rm", "-f", id]);
            }
        }
        for network in self.shared_networks().split_whitespace() {
            let _gone = program("docker", &["network", "rm", network]);
        }
    }
}

/// A service of the test image that runs `command` in a shell.
pub(crate) fn service(id: &str, command: &str) -> ServiceSpec {
    ServiceSpec {
        id: id.into(),
        image: ImageSpec::new(IMAGE),
        env: IndexMap::new(),
        ports: vec![],
        volumes: vec![],
        options: String::new(),
        entrypoint: Some("sh -c".into()),
        command: Some(format!("'{}'", command.replace('\'', r"'\''"))),
        limits: Limits::default(),
    }
}

/// Runs a shell command in a job: how it ended and what it printed.
pub(crate) async fn shell(job: &dyn JobHandle, script: &str) -> (ExecOutcome, String) {
    let exec = job.exec(ExecRequest::new(["sh", "-c", script], "")).await.unwrap();
    let (outcome, output) = exec.output(1 << 20).await;
    (outcome, String::from_utf8_lossy(&output).into_owned())
}

/// Runs a shell command that must succeed.
pub(crate) async fn ok(job: &dyn JobHandle, script: &str) -> String {
    let (outcome, output) = shell(job, script).await;
    assert!(outcome.is_success(), "{script}: {outcome:?}\n{output}");
    output
}
