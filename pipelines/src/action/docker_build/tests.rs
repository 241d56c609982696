//! Builds by the real engine. The base image is one that `make images` puts here, pulled or made, under a tag of our own,
//! so that no registry can know it.

use std::path::PathBuf;
use std::process::Command;

use engine::step::trial::{Trial, Tried};

use super::*;

/// A local name that exists in no registry.
const BASE: &str = "pipe-tests.invalid/base:local";

struct World {
    scratch: tempfile::TempDir,
    trial: Trial,
    tag: String,
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("these tests need Docker and its command line");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl World {
    fn new(name: &str) -> Self {
        docker(&["tag", "buildpack-deps:bookworm", BASE]);
        let scratch = tempfile::tempdir().unwrap();
        let workspace = scratch.path().join("work/job/r/r");
        std::fs::create_dir_all(&workspace).unwrap();
        let mut trial = Trial::new(scratch.path().to_path_buf(), workspace, scratch.path());
        trial.run.sha = "1".repeat(40);
        Self { scratch, trial, tag: format!("pipe-tests/{name}:{}", std::process::id()) }
    }

    fn root(&self) -> PathBuf {
        self.trial.workspace.host.clone()
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn build(&self, inputs: &[(&str, &str)]) -> Tried {
        self.build_by(&DockerBuild::default(), inputs)
    }

    fn build_by(&self, action: &dyn BuiltInAction, inputs: &[(&str, &str)]) -> Tried {
        let mut all = vec![("tags", self.tag.as_str())];
        all.extend(inputs);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(self.trial.run(action, &all))
    }

    fn built(&self, inputs: &[(&str, &str)]) -> Tried {
        let tried = self.build(inputs);
        assert!(tried.result.is_ok(), "{}", tried.log);
        tried
    }

    fn fails(&self, inputs: &[(&str, &str)], expect: &str) -> String {
        let tried = self.build(inputs);
        let error = tried.result.expect_err(&tried.log).to_string();
        assert!(error.contains(expect), "{error}\n{}", tried.log);
        error
    }

    fn in_image(&self, script: &str) -> String {
        docker(&["run", "--rm", "--network", "none", &self.tag, "sh", "-c", script])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _not_built = Command::new("docker").args(["rmi", "--force", &self.tag]).output();
    }
}

#[test]
fn an_image_with_files_arguments_and_labels() {
    let world = World::new("files");
    world
        .write(
            "app/Dockerfile",
            &format!("FROM {BASE}\nARG WHO=nobody\nCOPY . /app\nRUN echo hello $WHO > /app/said\n"),
        )
        .write("app/.dockerignore", "*.log\nout\n!out/kept\n")
        .write("app/a.txt", "a")
        .write("app/b.log", "b")
        .write("app/out/x", "x")
        .write("app/out/kept", "k")
        .write("app/deep/er/c", &"c".repeat(100_000));
    std::os::unix::fs::symlink("/etc/passwd", world.root().join("app/link")).unwrap();
    let start = std::time::Instant::now();
    let second = format!("{}-two", world.tag);
    let tags = format!("{}\n{second}", world.tag);
    let tried = world.built(&[("context", "app"), ("build-args", "WHO=world"), ("labels", "a=b"), ("tags", &tags)]);
    assert!(start.elapsed().as_secs() < 60, "a base image that is here needs no registry");
    assert_eq!(
        world.in_image("cd /app; cat said; find . | sort | tr '\\n' ' '; readlink link; wc -c < deep/er/c"),
        "hello world\n. ./.dockerignore ./Dockerfile ./a.txt ./deep ./deep/er ./deep/er/c ./link ./out ./out/kept ./said /etc/passwd\n100000"
    );
    assert_eq!(docker(&["inspect", "--format", "{{.Id}}", &second]), tried.outputs["imageid"]);
    docker(&["rmi", &second]);
    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", &world.tag]);
    assert!(
        labels.contains(r#""a":"b""#)
            && labels.contains(&format!(r#""org.opencontainers.image.revision":"{}""#, "1".repeat(40))),
        "{labels}"
    );
    assert!(tried.log.contains("RUN echo hello"), "{}", tried.log);
    let metadata: serde_json::Value = serde_json::from_str(&tried.outputs["metadata"]).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], tried.outputs["imageid"].as_str());
    // The same again is all from the cache, and one changed file is seen.
    assert!(world.built(&[("context", "app"), ("build-args", "WHO=world")]).log.contains("CACHED"));
    world.write("app/a.txt", "changed");
    world.built(&[("context", "app")]);
    assert_eq!(world.in_image("cat /app/a.txt /app/said"), "changedhello nobody");
}

#[test]
fn a_dockerfile_elsewhere_and_stages() {
    let world = World::new("stages");
    let text = format!("FROM {BASE} AS one\nCOPY only /x\nFROM one AS two\nRUN false\n");
    world
        .write("docker/My.Dockerfile", &text)
        .write("ctx/only", "1")
        .write("ctx/other", "2")
        .write("docker/My.Dockerfile.dockerignore", "other\n");
    world.built(&[("context", "ctx"), ("file", "docker/My.Dockerfile"), ("target", "one")]);
    assert_eq!(world.in_image("cat /x"), "1");
}

#[test]
fn secrets_stay_out_of_image_and_log() {
    let mut world = World::new("secrets");
    world.trial.secrets = vec!["hush-hush".into()];
    world.write("Dockerfile", &format!("FROM {BASE}\nRUN --mount=type=secret,id=token cat /run/secrets/token && wc -c < /run/secrets/token > /size\n"));
    let tried = world.built(&[("secrets", "token=hush-hush"), ("no-cache", "true")]);
    assert!(!tried.log.contains("hush-hush"), "{}", tried.log);
    assert_eq!(world.in_image("cat /size"), "9");
    assert!(!docker(&["history", "--no-trunc", &world.tag]).contains("hush-hush"));
    world.fails(&[("build-args", "T=hush-hush")], "`T` holds a secret");
}

#[test]
fn failures_say_where() {
    World::new("empty").fails(&[], "the workspace is empty: check the repository out first");
    let world = World::new("failures");
    world.write(
        "Dockerfile",
        &format!("FROM {BASE}\n\n# it breaks\nRUN echo first && \\\n    echo before the end >&2 && exit 7\n"),
    );
    let error = world.fails(&[], "Dockerfile:4: the build failed at");
    assert!(error.contains("before the end") && error.contains("exit code: 7"), "{error}");
    world.fails(&[("file", "dockerfile")], "did you mean `file: Dockerfile`?");
    world.fails(&[("context", "nowhere")], "`context: nowhere` cannot be opened");
    world.fails(&[("context", "../..")], "is outside of the workspace");
    world.fails(&[("push", "true")], "cannot be done by this action");
    world.fails(&[("platforms", "linux/amd64,linux/arm64")], "takes one platform");
    let outside = world.scratch.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, world.root().join("planted")).unwrap();
    world.fails(&[("context", "planted")], "cannot be opened");
    world.write("Dockerfile", "FROM pipe-tests.invalid/not-here:1\n");
    world.fails(&[], "the build failed");
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(folder);
    let output = git.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn without_a_context_the_repository_is_built() {
    let mut world = World::new("repository");
    let repository = world.scratch.path().join("repository");
    world.trial.repository.folder = repository.clone();
    let write = |path: &str, text: &str| {
        let path = repository.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let dockerfile = format!("FROM {BASE}\nCOPY . /all\n");
    for (path, text) in [
        ("Dockerfile", dockerfile.as_str()),
        ("file", "committed"),
        (".dockerignore", "kept\n"),
        ("kept", "k"),
        (".gitignore", "ignored\n"),
        ("app/My.Dockerfile", &dockerfile),
        ("app/My.Dockerfile.dockerignore", "*\n"),
        ("app/inner", "i"),
        ("ignored", "of the machine"),
    ] {
        write(path, text);
    }
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["add", "--all"]);
    git(&repository, &["commit", "--quiet", "--message", "all"]);
    world.trial.run.sha = git(&repository, &["rev-parse", "HEAD"]);
    write("file", "as it lies there");
    // What steps made of the workspace is none of it.
    world.write("file", "of the workspace").write("made", "by a step").write("Dockerfile", &dockerfile);
    let action = push::BuildPush::default();
    let list = "cd /all; cat file 2> /dev/null; find . -type f | sort | tr '\\n' ' '";
    let all = "./.dockerignore ./.gitignore ./Dockerfile ./app/My.Dockerfile ./app/My.Dockerfile.dockerignore ./app/inner ./file ./kept";
    for (working_tree, inputs, expect) in [
        (true, &[][..], &*format!("as it lies there{all}")),
        (false, &[], &format!("committed{all}")),
        (
            false,
            &[("context", "{{defaultContext}}:app"), ("file", "./My.Dockerfile")],
            "./My.Dockerfile ./My.Dockerfile.dockerignore ./inner",
        ),
        (false, &[("context", ".")], "of the workspace./Dockerfile ./file ./made"),
    ] {
        world.trial.repository.working_tree = working_tree;
        let tried = world.build_by(&action, inputs);
        assert!(tried.result.is_ok(), "{inputs:?}: {}", tried.log);
        assert_eq!(world.in_image(list), expect, "{inputs:?}: {}", tried.log);
    }
    assert_eq!(std::fs::read_dir(world.root()).unwrap().count(), 3, "the workspace is as it was");
    let left = std::fs::read_dir(world.scratch.path().join("work")).unwrap().count();
    assert_eq!(left, 1, "nothing is left beside the job");
    for (inputs, words) in [
        (&[("file", "dockerfile")][..], "did you mean `file: Dockerfile`?"),
        (&[("context", "{{defaultContext}}:app"), ("file", "Dockerfile")], "did you mean `file: My.Dockerfile`?"),
        (&[("context", "{{defaultContext}}:../x")], "leads out of the repository"),
    ] {
        let error = world.build_by(&action, inputs).result.unwrap_err().to_string();
        assert!(error.contains(words), "{words}\n{error}");
    }
}

#[test]
fn submodules_that_are_here_are_part_of_the_repository() {
    let mut world = World::new("submodules");
    let folder = |name: &str| world.scratch.path().join(name);
    let commit = |name: &str, files: &[(&str, &str)]| {
        std::fs::create_dir_all(folder(name)).unwrap();
        git(&folder(name), &["init", "--quiet"]);
        files.iter().for_each(|(file, text)| std::fs::write(folder(name).join(file), text).unwrap());
        git(&folder(name), &["add", "--all"]);
        git(&folder(name), &["commit", "--quiet", "--message", "all"]);
    };
    let add = |to: &str, what: &str, at: &str| {
        let url = folder(what).display().to_string();
        git(&folder(to), &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, at]);
        git(&folder(to), &["commit", "--quiet", "--message", "submodule"]);
    };
    commit("deep", &[("deepest", "d")]);
    commit("lib", &[("source", "s")]);
    add("lib", "deep", "deep");
    commit("whole", &[("Dockerfile", &format!("FROM {BASE}\nCOPY . /all\n"))]);
    add("whole", "lib", "libs/lib");
    let whole = folder("whole");
    let sha = git(&whole, &["rev-parse", "HEAD"]);
    world.trial.repository.folder.clone_from(&whole);
    world.trial.run.sha = sha;
    let action = push::BuildPush::default();
    let list = "cd /all; find . -type f | sort | tr '\\n' ' '";
    let update = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive"];
    for (is_working, is_updated, expect, left_out) in [
        (true, false, "./.gitmodules ./Dockerfile ./libs/lib/.gitmodules ./libs/lib/source", Some("libs/lib/deep")),
        (
            true,
            true,
            "./.gitmodules ./Dockerfile ./libs/lib/.gitmodules ./libs/lib/deep/deepest ./libs/lib/source",
            None,
        ),
        (false, true, "./.gitmodules ./Dockerfile", Some("libs/lib")),
    ] {
        if is_updated {
            git(&whole, &update);
        }
        world.trial.repository.working_tree = is_working;
        let tried = world.build_by(&action, &[]);
        assert!(tried.result.is_ok(), "{}", tried.log);
        assert_eq!(world.in_image(list), expect, "{}", tried.log);
        let warned = tried.log.lines().find(|line| line.contains("these submodules are left out"));
        assert_eq!(warned.is_some(), left_out.is_some(), "{}", tried.log);
        assert!(left_out.is_none_or(|name| warned.unwrap().ends_with(&format!(": {name}"))), "{}", tried.log);
    }
}

#[test]
fn cancelling_ends_the_build() {
    let world = World::new("cancel");
    world.write("Dockerfile", &format!("FROM {BASE}\nRUN echo {} && sleep 600\n", world.tag));
    let cancel = world.trial.cancel.clone();
    let log = world.trial.logs.join(engine::job::StepLog::ALONE);
    let watcher = std::thread::spawn(move || {
        // The log tells when the step runs; the pause only spares the processor.
        while !std::fs::read_to_string(&log).unwrap_or_default().contains("sleep 600") {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        cancel.cancel();
    });
    let tried = world.build(&[]);
    assert!(matches!(tried.result, Err(ActionError::Cancelled)), "{}", tried.log);
    watcher.join().unwrap();
}
