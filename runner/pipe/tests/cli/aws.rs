//! The shipped pipeline to AWS, its file unchanged: a server whose jobs take roles with their own tokens, images that Docker builds, the
//! registry and the clusters of the fake, real containers, and a person who approves.
//!
//! The services are small ones in place of the shop's, whose own checks `pipelines/shop.yml` runs.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use fake_aws::Options;

use crate::account::{APPS, Account, NAME, NUMBER, PROJECT, Place, ask};
use crate::serve::Server;
use crate::world::World;

/// Seconds of AWS's clock in a real one.
const SPEED: f64 = 30.0;

const DOCKERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nRUN [\"/bin/mkdir\", \"-m\", \"1777\", \"/tmp\"]\n\
    COPY serve /serve\nARG GIT_SHA=unknown\nENV GIT_SHA=$GIT_SHA NAME=@NAME@\nUSER 10001\nEXPOSE 8080\n\
    HEALTHCHECK CMD [\"busybox\", \"wget\", \"-q\", \"-O\", \"-\", \"http://127.0.0.1:8080/health\"]\n\
    ENTRYPOINT [\"/bin/sh\", \"/serve\"]\nCMD [\"serve\"]\n";
/// Serves its version where its rule leads users; `migrate` has nothing to do.
const SERVE: &str = "[ \"$1\" = migrate ] && exit 0\nroot=/tmp/www\ncase $NAME in frontend) path=shop ;; *) path=api/$NAME ;; esac\n\
    mkdir -p \"$root/$path\"\necho well > \"$root/health\"\necho \"$GIT_SHA\" > \"$root/$path/version\"\n\
    exec busybox httpd -f -p 8080 -h \"$root\"\n";
/// A service with a database has one in its tests.
const CHECKS: &str = "#!/usr/bin/env bash\nset -euo pipefail\n[[ $1 == lint ]] && exec bash -n ci.sh\n\
    [[ $PWD == */frontend ]] || : > /dev/tcp/postgres/5432\n";
/// Whether what comes is what was deployed, before users see it.
const SMOKE: &str = "#!/usr/bin/env bash\nset -euo pipefail\ncase $SERVICE in frontend) path=shop ;; *) path=api/$SERVICE ;; esac\n\
    found=$(curl -fsS \"$TEST_URL/$path/version\")\n[[ $found == \"$VERSION\"* ]] || { echo \"$found is not $VERSION\"; exit 1; }\n\
    echo \"$1: $SERVICE $VERSION answers tests\"\n";

/// The repository: a workflow of the shop, and services that are small.
pub(crate) fn repository(workflow: (&str, &str), settings: &str) -> World {
    let shared = [
        (workflow.0, workflow.1),
        ("pipelines/gate.yml", include_str!("../../../../services/advisories/gate.yml")),
        ("services/report.sh", include_str!("../../../../services/report.sh")),
        ("services/task-definition.sh", include_str!("../../../../services/task-definition.sh")),
        ("tests/shop/run.sh", SMOKE),
    ];
    let world = World::new(&shared);
    let busybox = std::fs::read("/bin/busybox").expect("these tests need busybox: apt-get install busybox-static");
    for (app, _) in APPS {
        let write = |name: &str, bytes: &[u8]| world.write(&format!("services/{app}/{name}"), bytes);
        write("Dockerfile", DOCKERFILE.replace("@NAME@", app).as_bytes());
        write("serve", SERVE.as_bytes());
        write("ci.sh", CHECKS.as_bytes());
        write("busybox", &busybox);
    }
    let advisories = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/advisories");
    let copied = Command::new("cp").args(["-r", advisories]).arg(world.root().join("services/advisories")).status();
    assert!(copied.unwrap().success());
    let scripts = APPS.map(|(app, _)| format!("services/{app}/ci.sh"));
    let others = ["services/report.sh", "services/task-definition.sh", "tests/shop/run.sh"];
    for name in scripts.iter().map(String::as_str).chain(others) {
        std::fs::set_permissions(world.root().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (app, _) in APPS {
        std::fs::set_permissions(
            world.root().join(format!("services/{app}/busybox")),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
    }
    let world = world.committed(&[], &[]);
    world.write("data/pipe.toml", settings.as_bytes());
    world
}

/// A command with the machine's Docker, and `pipe` on its path.
pub(crate) fn command(world: &World, words: &[&str]) -> Command {
    let mut command = world.command(&[words, &["--data", "data"]].concat());
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_pipe")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path))).unwrap();
    command.env_remove("DOCKER_HOST").env("PATH", path);
    command
}

pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[track_caller]
pub(crate) fn pipe(world: &World, words: &[&str]) -> String {
    let output = command(world, words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", told(&output));
    told(&output)
}

/// Sets variables: name, value, environment (empty: all jobs).
pub(crate) fn variables(world: &World, all: &[(&str, &str, &str)]) {
    for (name, value, environment) in all {
        let mut words = vec!["var", "set", name, "--repo", NAME];
        if !environment.is_empty() {
            words.extend(["--env", environment]);
        }
        let mut setting = command(world, &words).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        setting.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        assert!(setting.wait().unwrap().success(), "{name}");
    }
}

/// A server that knows the repository.
pub(crate) fn serve(world: &World) -> Server {
    let server = Server::run(command(world, &["serve", "--listen", "127.0.0.1:0"]));
    let url = world.root().display().to_string();
    pipe(world, &["repo", "add", &url, "--name", NAME, "--forge", "push"]);
    server
}

struct Scene {
    world: World,
    server: Server,
    account: Account,
    places: [Place; 3],
}

const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];

impl Scene {
    fn new() -> Self {
        let settings = "[labels]\nubuntu-latest = 'host'\nself-hosted = 'host'\n[environments.dev]\n[environments.staging]\n\
                        [environments.production]\nreviewers = ['local']\nprevent-self-review = false\n";
        let world = repository((".github/workflows/aws.yml", include_str!("../../../../pipelines/aws.yml")), settings);
        let stood = build(&world, "before");
        let account = Account::new(Options { speed: SPEED, containers: true, ..Options::default() });
        let apps = APPS.map(|(app, _)| app);
        let place = |name: &str| account.environment(name, &apps, (name == "production").then_some(stood.as_str()));
        let places = ENVIRONMENTS.map(place);
        let server = serve(&world);
        account.trust(server.address(), &ENVIRONMENTS);
        Self { world, server, account, places }
    }

    /// Tells the repository where it deploys to.
    fn tell(&self) {
        let endpoint = self.account.fake.endpoint();
        let push = role("push");
        let key = pipe_key(&self.world);
        variables(
            &self.world,
            &[
                ("AWS_ENDPOINT_URL", &endpoint, ""),
                ("AWS_REGION", "eu-central-1", ""),
                ("AWS_ACCOUNT", NUMBER, ""),
                ("AWS_PUSH_ROLE", &push, ""),
                ("AWS_PROJECT", PROJECT, ""),
                ("SCAN_DB", "services/advisories", ""),
                ("SCAN_GATE", "pipelines/gate.yml", ""),
                ("ATTEST_KEY", &key, ""),
                ("AWS_AT_ONCE", "3", ""),
                (
                    "ROLLOUT_STEPS",
                    "[{weight: 10, for: 2s, analyse: true}, {weight: 50, for: 2s}, {weight: 100, bake: 2s}]",
                    "",
                ),
                ("ROLLOUT_ANALYSIS", "{metrics: [errors, restarts], min-requests: 1, inconclusive: promote}", ""),
            ],
        );
        for (name, place) in ENVIRONMENTS.iter().zip(&self.places) {
            let (role, services) = (role(&format!("deploy-{name}")), place.services.to_string());
            variables(&self.world, &[("AWS_DEPLOY_ROLE", &role, name), ("AWS_SERVICES", &services, name)]);
        }
    }
}

/// A role's ARN.
pub(crate) fn role(name: &str) -> String {
    format!("arn:aws:iam::{NUMBER}:role/ci/{name}")
}

/// Keys for attestations: the private one as a secret; gives the public one.
fn pipe_key(world: &World) -> String {
    let path = world.root().join("../attest.key").display().to_string();
    let output = world.command(&["scan", "key", &path]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let file = std::fs::File::open(&path).unwrap();
    let mut command = command(world, &["secret", "set", "ATTEST_KEY", "--repo", NAME]);
    let set = command.stdin(file).output().unwrap();
    assert!(set.status.success(), "{}", told(&set));
    String::from_utf8(output.stdout).unwrap()
}

/// What stands: the image of an earlier commit, by its id.
fn build(world: &World, version: &str) -> String {
    let output = Command::new("docker")
        .args(["build", "--quiet", "--build-arg", &format!("GIT_SHA={version}"), "services/orders"])
        .current_dir(world.root())
        .output()
        .expect("these tests need docker");
    assert!(output.status.success(), "{}", told(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_shop_goes_by_dev_and_staging_and_an_approval_to_production() {
    let begun = Instant::now();
    let scene = Scene::new();
    scene.tell();
    pipe(&scene.world, &["dispatch", "aws.yml", "--repo", NAME, "--input", "all=true"]);
    let waits = pipe(&scene.world, &["watch", "latest", "--until-review"]);
    assert!(waits.contains("waits for a review of production"), "{waits}");
    println!("{waits}\n{:?}", begun.elapsed());
    let stands = |place: &Place, app: usize| ask(&format!("{}{}/version", place.users, APPS[app].1));
    let versions: Vec<String> = (0..3).map(|app| stands(&scene.places[1], app)).collect();
    let version = versions[0].clone();
    assert!(version.len() == 40 && versions.iter().all(|one| *one == version), "{versions:?}");
    assert_eq!((0..3).map(|app| stands(&scene.places[2], app)).collect::<Vec<_>>(), ["before"; 3]);
    pipe(&scene.world, &["approve", "latest", "production"]);
    let output = command(&scene.world, &["watch", "latest"]).output().unwrap();
    println!("{}\n{:?}", told(&output), begun.elapsed());
    assert!(output.status.success());
    assert_eq!((0..3).map(|app| stands(&scene.places[2], app)).collect::<Vec<_>>(), [&*version; 3]);
    // What stood is beside it, without users.
    let rule = scene.places[2].services["orders"]["listener-rule"].as_str().unwrap();
    assert_eq!(scene.account.weights(rule)[0], 0);
    scene.server.stop();
}
