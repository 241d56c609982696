//! The action against the real `docker-registry`, where that program is.

use std::sync::Arc;

use engine::step::trial::{Trial, Tried};
use serde_json::Value;

use super::super::docker_build::push::BuildPush;
use super::super::job_docker::login_at;
use super::super::job_here::JobHere;
use super::*;
use crate::registry::tests::Program;

/// Who may use the registry of these tests, as `htpasswd -B` writes it: mona with `opens-it`.
const USERS: &str = "mona:$2y$05$abcdefghijklmnopqrstuukWHDOsghxNA58cldstfsV5pxECes0yO\n";

struct World {
    scratch: tempfile::TempDir,
    trial: Trial,
}

impl World {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let workspace = scratch.path().join("w");
        for folder in ["w", "temp/_docker"] {
            std::fs::create_dir_all(scratch.path().join(folder)).unwrap();
        }
        let mut trial = Trial::new(scratch.path().to_path_buf(), workspace, scratch.path());
        trial.job = Some(Arc::new(JobHere::new(scratch.path().to_path_buf())));
        trial.env.insert("RUNNER_TEMP".to_owned(), scratch.path().join("temp").display().to_string());
        Self { scratch, trial }
    }

    async fn login(&self, inputs: &[(&str, &str)]) -> Tried {
        self.trial.run(&DockerLogin, inputs).await
    }

    fn config(&self) -> Value {
        let path = self.scratch.path().join("temp/_docker/config.json");
        serde_json::from_slice(&std::fs::read(path).unwrap_or_default()).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_logged_in_alone_and_pushes() {
    let Some(registry) = Program::with_users(USERS) else {
        println!("SKIPPED: docker-registry is not installed");
        return;
    };
    let mut world = World::new();
    let host = registry.host.clone();
    let wrong = world.login(&[("registry", &host), ("username", "mona"), ("password", "guessed")]).await;
    let error = wrong.result.unwrap_err().to_string();
    assert!(error.contains(&host) && !error.contains("guessed"), "{error}");
    assert_eq!(world.config(), Value::Null, "nothing is kept that does not open anything");

    let name = format!("{host}/shop/pushed");
    std::fs::write(world.trial.workspace.host.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    let tags = format!("{name}:1,{name}:2");
    let build = [("push", "true"), ("tags", tags.as_str()), ("context", ".")];
    let refused = world.trial.run(&BuildPush::default(), &build).await.result.unwrap_err().to_string();
    assert!(refused.contains(&host), "{refused}");

    let tried = world.login(&[("registry", &host), ("username", "mona"), ("password", "opens-it")]).await;
    assert!(tried.result.is_ok() && !tried.log.contains("opens-it"), "{}", tried.log);
    let (variable, folder) = tried.exports[0].clone();
    assert_eq!((variable.as_str(), folder.ends_with("/temp/_docker")), ("DOCKER_CONFIG", true), "{folder}");
    assert!(world.config()["auths"][&host]["auth"].is_string());
    world.trial.env.insert(variable, folder);

    let pushed = world.trial.run(&BuildPush::default(), &build).await;
    assert!(pushed.result.is_ok(), "{}", pushed.log);
    let metadata: Value = serde_json::from_str(&pushed.outputs["metadata"]).unwrap();
    assert_eq!(metadata["containerimage.digest"], pushed.outputs["digest"].as_str());
    assert_eq!(metadata["image.name"], tags.as_str());
    assert_eq!(metadata["containerimage.config.digest"], pushed.outputs["imageid"].as_str());
    let asker = Asker::by(Proxies::default()).unwrap();
    let of = Reference::parse(&format!("{name}:2")).unwrap();
    let login = Some(Login { user: "mona".to_owned(), password: Secret::new("opens-it") });
    let mut there = Remote::new(asker, Handle::current(), &of, login);
    let found = tokio::task::spawn_blocking(move || there.descriptor("2")).await.unwrap().unwrap();
    assert_eq!(found.digest, pushed.outputs["digest"], "both tags are the image that the registry has");

    // A file of the user's own that holds what it should not is no obstacle, and the rest of it stays.
    let path = world.scratch.path().join("temp/_docker/config.json");
    std::fs::write(path, r#"{"auths": "none", "psFormat": "table"}"#).unwrap();
    let again = world.login(&[("registry", &host), ("username", "mona"), ("password", "opens-it")]).await;
    assert!(again.result.is_ok(), "{}", again.log);
    assert_eq!(
        (world.config()["auths"][&host]["auth"].is_string(), &world.config()["psFormat"]),
        (true, &"table".into())
    );

    world.trial.run(&Out, &[]).await.result.unwrap();
    assert_eq!(world.config()["auths"], serde_json::json!({}), "it is over");
    for tag in ["1", "2"] {
        let _gone = std::process::Command::new("docker").args(["image", "rm", &format!("{name}:{tag}")]).output();
    }
}

/// Logs in and at once out, as the end of a job does.
#[derive(Debug)]
struct Out;

#[async_trait]
impl BuiltInAction for Out {
    fn name(&self) -> &'static str {
        "out"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        &[]
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let folder = call.env["DOCKER_CONFIG"].clone();
        let config: Value = serde_json::from_slice(&std::fs::read(format!("{folder}/config.json")).unwrap()).unwrap();
        let hosts: Vec<_> = config["auths"].as_object().unwrap().keys().cloned().collect();
        assert!(login_at(call, &hosts[0]).await.is_some());
        call.state.insert("folder".to_owned(), folder);
        call.state.insert("hosts".to_owned(), hosts.join(","));
        // The end of a job has no variables of a step.
        call.env.clear();
        DockerLogin.post(call).await
    }
}

#[tokio::test]
async fn inputs_are_checked() {
    let world = World::new();
    for (inputs, words) in [
        (&[("username", "mona")][..], "a secret that is not set is empty"),
        (&[("registry", "a b"), ("username", "m"), ("password", "p")], "is no host of a registry"),
        (&[("registry-auth", "- registry: x")], "write a step for each registry"),
        (&[("ecr", "true"), ("username", "m"), ("password", "p")], "amazon-ecr-login"),
        (&[("logout", "maybe"), ("username", "m"), ("password", "p")], "`logout`"),
    ] {
        let error = world.login(inputs).await.result.unwrap_err().to_string();
        assert!(error.contains(words), "{words}\n{error}");
    }
    let near = world.login(&[("user-name", "m")]).await;
    assert!(near.result.is_err());
    for (written, expect) in [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "index.docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://r.example:5000/v2/", "r.example:5000"),
    ] {
        assert_eq!(host(written).unwrap(), expect, "{written}");
    }
}

/// Logs in without asking the registry.
#[derive(Debug)]
struct In(&'static str);

#[async_trait]
impl BuiltInAction for In {
    fn name(&self) -> &'static str {
        "in"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        &[]
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let login = Login { user: "mona".to_owned(), password: Secret::new("opens-it") };
        job_docker::log_in(call, &[HostLogin { host: self.0.to_owned(), login }], true).await
    }
}

/// Nothing listens there.
const NOBODY: &str = "127.0.0.1:1";

/// Docker with a configuration, and with stores of passwords that write down how they are called. Gives what they were asked.
fn asked_of_stores(world: &World, config: &str, arguments: &[&str]) -> String {
    let root = world.scratch.path();
    let asked = root.join("asked");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    // `pass` is what Docker looks for to take its store by itself.
    for name in ["docker-credential-users", "docker-credential-pass", "docker-credential-secretservice", "pass"] {
        let path = root.join("bin").join(name);
        let text = format!("#!/bin/sh\necho \"{name} $1\" >> {}\necho '{{}}'\n", asked.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut docker = std::process::Command::new("docker");
    docker.args(["--config", config]).args(arguments).env("PATH", path).env("HOME", root.join("home"));
    let output = docker.output().expect("these tests need Docker's command line");
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!told.contains("error getting credentials"), "{told}");
    let asked_for = std::fs::read_to_string(&asked).unwrap_or_default();
    let _gone = std::fs::remove_file(asked);
    asked_for
}

#[tokio::test]
async fn a_store_of_the_user_is_neither_asked_nor_changed() {
    let mut world = World::new();
    let users = world.scratch.path().join("home/.docker");
    std::fs::create_dir_all(&users).unwrap();
    let kept = r#"{ "auths": { "127.0.0.1:1": {}, "other.example": { "auth": "bTpu" } }, "credsStore": "users",
        "credHelpers": { "127.0.0.1:1": "users" }, "currentContext": "desktop", "psFormat": "table" }"#;
    world.trial.run.home = world.scratch.path().join("home").display().to_string();
    let users_config = users.display().to_string();
    let pull = ["pull", "--quiet", "127.0.0.1:1/x"];
    let plain = kept.replace(r#""currentContext": "desktop", "#, "");
    std::fs::write(users.join("config.json"), &plain).unwrap();
    let control = asked_of_stores(&world, &users_config, &pull);
    assert!(control.contains("docker-credential-users get"), "{control}");
    std::fs::write(users.join("config.json"), kept).unwrap();
    let own = world.scratch.path().join("temp/_docker").display().to_string();
    for named in [None, Some(users_config.clone())] {
        let _none_yet = std::fs::remove_file(format!("{own}/config.json"));
        if let Some(named) = &named {
            world.trial.env.insert("DOCKER_CONFIG".to_owned(), named.clone());
        }
        let tried = world.trial.run(&In(NOBODY), &[]).await;
        assert!(tried.result.is_ok(), "{}", tried.log);
        let buildx = ("BUILDX_CONFIG".to_owned(), format!("{users_config}/buildx"));
        assert_eq!(tried.exports, [("DOCKER_CONFIG".to_owned(), own.clone()), buildx], "{named:?}");
        let config = world.config();
        assert!(config["auths"][NOBODY]["auth"].is_string(), "{config}");
        assert_eq!(config["psFormat"], "table");
        assert_eq!(config["auths"].get("other.example").is_some(), named.is_some());
        assert_eq!(config["cliPluginsExtraDirs"], serde_json::json!([format!("{users_config}/cli-plugins")]));
        assert!(config["credsStore"].is_null() && config["currentContext"].is_null(), "{config}");
        // A step behind it has the exported variable, and a second login goes to the same place.
        world.trial.env.insert("DOCKER_CONFIG".to_owned(), own.clone());
        let again = world.trial.run(&In("second.example"), &[]).await;
        assert!(again.exports.is_empty() && world.config()["auths"]["second.example"].is_object(), "{}", again.log);
        world.trial.env.clear();
        world.trial.env.insert("RUNNER_TEMP".to_owned(), world.scratch.path().join("temp").display().to_string());
        for arguments in
            [&pull[..], &["logout", NOBODY], &["logout", "second.example"], &["logout", "other.example"], &pull]
        {
            assert_eq!(asked_of_stores(&world, &own, arguments), "", "{named:?} {arguments:?}");
        }
        assert_eq!(world.config()["auths"].as_object().map_or(0, serde_json::Map::len), 0, "all are out");
        assert_eq!(std::fs::read_to_string(users.join("config.json")).unwrap(), kept, "{named:?}");
    }
}

#[tokio::test]
async fn what_is_no_secret_of_the_users_configuration_goes_on() {
    let mut world = World::new();
    let root = world.scratch.path().to_path_buf();
    world.trial.run.home = root.join("home").display().to_string();
    let users = root.join("home/.docker").display().to_string();
    let own = root.join("temp/_docker").display().to_string();
    let docker = |config: &str, arguments: &[&str]| {
        let mut docker = std::process::Command::new("docker");
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
            docker.env_remove(name);
        }
        let output = docker.args(["--config", config, "context"]).args(arguments).output();
        let output = output.expect("these tests need Docker's command line");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::create_dir_all(&users).unwrap();
    docker(&users, &["create", "far", "--docker", "host=tcp://127.0.0.1:1"]);
    let settings = serde_json::json!({
        "auths": { "other.example": { "auth": "bTpu" } }, "credsStore": "users", "HttpHeaders": { "X-Token": "secret" },
        "currentContext": "far", "psFormat": "table", "cliPluginsExtraDirs": ["/opt/plugins"],
        "proxies": { "default": { "httpProxy": "http://proxy.example:3128" } },
    });
    std::fs::write(format!("{users}/config.json"), settings.to_string()).unwrap();
    let tried = world.trial.run(&In(NOBODY), &[]).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    let config = world.config();
    let expected = serde_json::json!({
        "auths": { NOBODY: config["auths"][NOBODY] }, "credHelpers": { "pipe.invalid": "" },
        "currentContext": "far", "psFormat": "table", "proxies": settings["proxies"],
        "cliPluginsExtraDirs": [format!("{users}/cli-plugins"), "/opt/plugins"],
    });
    assert_eq!(config, expected);
    let host = ["inspect", "--format", "{{.Name}} {{.Endpoints.docker.Host}}"];
    assert_eq!(docker(&own, &host), "far tcp://127.0.0.1:1\n", "the one that was chosen is found");
    std::fs::remove_dir_all(&own).unwrap();
    assert_eq!(docker(&users, &host), "far tcp://127.0.0.1:1\n", "the end of a job takes no context from the user");

    // One that is named and not there would stop Docker.
    std::fs::remove_dir_all(format!("{users}/contexts")).unwrap();
    std::fs::create_dir_all(&own).unwrap();
    world.trial.run(&In(NOBODY), &[]).await.result.unwrap();
    assert_eq!(world.config()["currentContext"], Value::Null);
}
