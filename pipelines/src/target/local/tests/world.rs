//! An environment of its own with a proxy in this process, and an image that serves, fails or hangs as it is told.

use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::SignedDuration;
use proxy::client::About;
use rollout::plan::{Analysis, OnActive, Plan, Revision, RollbackOn, Schedule};
use rollout::{Call, Observation, Weight};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::rollout::{CallError, CallOrder, Subject, Target as _};
use crate::target::local::{Local, Settings, Starter};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the image runs: `MODE` says how.
const SERVE: &str = r#"
echo "mode $MODE, token $TOKEN"
case "$MODE" in
  crash) echo "no DATABASE_URL" >&2; exit 3 ;;
  elsewhere) exec httpd -f -p 9090 -h /www ;;
  sick) exec httpd -f -p 8080 -h /empty ;;
  *) exec httpd -f -p 8080 -h /www ;;
esac
"#;
const SCRIPTS: [(&str, &str); 3] = [
    ("version", "test \"$MODE\" != slow || sleep 0.3; printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$VERSION\""),
    ("slow", "sleep 2; printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$VERSION\""),
    (
        "flap",
        "if mkdir /tmp/up 2>/dev/null; then printf 'Content-Type: text/plain\\r\\n\\r\\nup'; else rmdir /tmp/up; \
         printf 'Status: 503 Busy\\r\\n\\r\\nwarming up'; fi",
    ),
];

pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stderr(Stdio::piped()).output();
    let output = output.expect("these tests need Docker and its command line: scripts/setup.sh starts one");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The image's id.
pub(crate) fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        // Importing anew each time would leave the one before behind without a name.
        let digest = Sha256::digest(format!("{SERVE}{SCRIPTS:?}").as_bytes());
        let name = format!("pipe-tests/deploy:{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]);
        let known = docker(&["image", "inspect", "--format", "{{.Id}}", &name]);
        if !known.is_empty() {
            return known;
        }
        let tree = tempfile::tempdir().unwrap();
        let path = |name: &str| tree.path().join(name);
        for folder in ["bin", "empty", "tmp", "www/cgi-bin"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        std::fs::copy("/bin/busybox", path("bin/busybox"))
            .expect("these tests need busybox: apt-get install busybox-static");
        for name in ["sh", "httpd", "sleep", "mkdir", "rmdir", "printf", "echo", "killall"] {
            std::os::unix::fs::symlink("busybox", path("bin").join(name)).unwrap();
        }
        std::fs::write(path("www/health"), "well\n").unwrap();
        std::fs::write(path("serve"), SERVE).unwrap();
        for (name, script) in SCRIPTS {
            let file = path("www/cgi-bin").join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            Command::new("chmod").arg("755").arg(&file).status().unwrap();
        }
        let changes = "--change 'CMD [\"sh\", \"/serve\"]' --change 'EXPOSE 8080'";
        let import = format!("tar -C \"$0\" -c . | docker import {changes} - {name}");
        let done = Command::new("sh").args(["-c", &import]).arg(tree.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    })
}

/// An environment.
pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) local: Local,
    pub(crate) environment: String,
    pub(crate) about: Option<About>,
    pub(crate) stop: CancellationToken,
}

impl World {
    /// With a proxy.
    pub(crate) async fn new(name: &str) -> Self {
        let mut this = Self::without_proxy(name, Starter { program: Vec::new(), ..Starter::default() });
        this.begin_proxy().await;
        this
    }

    pub(crate) fn without_proxy(name: &str, starter: Starter) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = format!("t{}-{name}", std::process::id());
        let local = Local::new(environment.clone(), folder.path(), starter);
        Self { _folder: folder, local, environment, about: None, stop: CancellationToken::new() }
    }

    pub(crate) async fn begin_proxy(&mut self) {
        self.stop = CancellationToken::new();
        let any = "127.0.0.1:0".parse().unwrap();
        let (listen, test) = self.about.as_ref().map_or((any, any), |about| (about.listen, about.test_listen.unwrap()));
        let mut options = proxy::Options::new(&self.environment, listen, self.local.proxy_folder(&self.environment));
        options.test_listen = Some(test);
        options.times.drain = Duration::from_millis(100);
        options.times.linger = Duration::ZERO;
        let (ready, about) = oneshot::channel();
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let served = proxy::serve(options, stop, |about| ready.send(about.clone()).unwrap()).await;
            served.unwrap();
        });
        self.about = Some(about.await.unwrap());
    }

    pub(crate) fn settings(&self) -> Settings {
        let about = self.about.as_ref();
        Settings {
            port: 8080,
            health_interval: SignedDuration::from_millis(20),
            health_threshold: 2,
            proxy_port: about.map_or(1, |about| about.listen.port()),
            test_port: about.and_then(|about| Some(about.test_listen?.port())),
            drain_timeout: SignedDuration::from_secs(5),
            stop_timeout: SignedDuration::ZERO,
            ..Settings::default()
        }
    }

    pub(crate) fn subject(&self, rollout: u64, blue: Option<&Subject>, change: impl FnOnce(&mut Settings)) -> Subject {
        let mut settings = self.settings();
        settings.env.insert("VERSION".to_owned(), format!("v{rollout}"));
        change(&mut settings);
        let second = SignedDuration::from_secs(1);
        let plan = Plan {
            environment: self.environment.clone(),
            service: "orders".to_owned(),
            repository: "o/r".to_owned(),
            commit: "0123456789".to_owned(),
            image: image().to_owned(),
            version: format!("v{rollout}"),
            target: Local::NAME.to_owned(),
            settings: serde_json::to_value(&settings).unwrap(),
            schedule: Schedule::default(),
            analysis: Analysis::default(),
            rollback_on: RollbackOn::ALL,
            on_active: OnActive::Wait,
            hooks: Vec::new(),
            start_timeout: second,
            timeout: second,
            keep_blue: second,
            tick: second,
            irreversible: None,
            rollback_of: None,
            reuse: None,
        };
        let green = Revision {
            id: rollout,
            image: plan.image.clone(),
            version: plan.version.clone(),
            commit: plan.commit.clone(),
        };
        let blue = blue.map(|blue| blue.green.clone());
        Subject { rollout, token: 1, plan: Arc::new(plan), blue, green }
    }

    pub(crate) async fn perform(&self, subject: &Subject, call: Call) -> Result<Value, CallError> {
        let order = CallOrder { subject: subject.clone(), effect: 1, call };
        tokio::time::timeout(PATIENCE, self.local.perform(&order)).await.expect("a call takes too long")
    }

    pub(crate) async fn look_up(&self, subject: &Subject, call: Call) -> Option<Value> {
        let order = CallOrder { subject: subject.clone(), effect: 1, call };
        self.local.look_up(&order).await.unwrap()
    }

    pub(crate) async fn refused(&self, subject: &Subject, call: Call, expected: &[&str]) -> CallError {
        let error = self.perform(subject, call).await.expect_err("it is refused");
        for part in expected {
            assert!(error.words.contains(part), "{part}\n{}", error.words);
        }
        error
    }

    /// Looks until what is seen is as expected.
    pub(crate) async fn until(&self, subject: &Subject, is: impl Fn(&Observation) -> bool) -> Observation {
        let begun = std::time::Instant::now();
        loop {
            let seen = self.local.observe(subject).await.unwrap();
            if is(&seen) {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "{seen:#?}");
        }
    }

    /// All of a deployment that succeeds.
    pub(crate) async fn deploy(&self, subject: &Subject) {
        self.perform(subject, Call::Preflight).await.unwrap();
        self.perform(subject, Call::StartGreen).await.unwrap();
        self.until(subject, |seen| seen.green.healthy == seen.green.wanted).await;
        self.perform(subject, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
        self.perform(subject, Call::MakePrimary).await.unwrap();
    }

    /// What a user gets.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.ask(self.about.as_ref().unwrap().listen, path).await
    }

    /// What a test gets.
    pub(crate) async fn test(&self, path: &str) -> String {
        self.ask(self.about.as_ref().unwrap().test_listen.unwrap(), path).await
    }

    async fn ask(&self, address: std::net::SocketAddr, path: &str) -> String {
        use crate::action::health_check::probe::{Url, ask};
        let url = Url::plain(address, path);
        ask(&url, PATIENCE).await.map_or_else(|error| error, |answer| answer.body)
    }

    /// Names of its containers that run (or all of them).
    pub(crate) fn containers(&self, all: bool) -> String {
        let filter = format!("label=dev.pipe.deploy.environment={}", self.environment);
        let mut arguments = vec!["ps", "--format", "{{.Names}}", "--filter", &filter];
        arguments.extend(all.then_some("--all"));
        let mut names: Vec<_> = docker(&arguments).lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ").replace(&format!("{}-", self.environment), "")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        let filter = format!("label=dev.pipe.deploy.environment={}", self.environment);
        let list = docker(&["ps", "--all", "--quiet", "--filter", &filter]);
        let mut remove = vec!["rm", "--force", "--volumes"];
        remove.extend(list.lines());
        if remove.len() > 3 {
            docker(&remove);
        }
        let list = docker(&["network", "ls", "--quiet", "--filter", &filter]);
        for network in list.lines() {
            docker(&["network", "rm", network]);
        }
    }
}
