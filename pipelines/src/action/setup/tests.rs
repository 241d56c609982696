//! Versions that a job has, as programs that only say which they are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use engine::step::BuiltInAction;
use engine::step::trial::{Trial, Tried};

use super::super::job_here::JobHere;
use super::node::SetupNode;
use super::python::SetupPython;

struct World {
    scratch: tempfile::TempDir,
    trial: Trial,
}

impl World {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        for folder in ["w", "temp", "bin"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let mut trial = Trial::new(root.to_path_buf(), root.join("w"), root);
        trial.workspace.inside = root.join("w").display().to_string();
        trial.job = Some(Arc::new(JobHere::new(root.to_path_buf())));
        for (name, value) in [
            ("PATH", format!("{}:/usr/bin:/bin", root.join("bin").display())),
            ("RUNNER_TEMP", root.join("temp").display().to_string()),
            ("RUNNER_TOOL_CACHE", root.join("tools").display().to_string()),
        ] {
            trial.env.insert(name.to_owned(), value);
        }
        Self { scratch, trial }
    }

    /// A program that says which version it is.
    fn program(&self, path: &str, version: &str) -> &Self {
        let path = self.scratch.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\necho {version}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    async fn tried(&self, action: &dyn BuiltInAction, inputs: &[(&str, &str)]) -> Tried {
        self.trial.run(action, inputs).await
    }

    fn below(&self, path: &str) -> String {
        self.scratch.path().join(path).display().to_string()
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn the_best_node_that_is_there() {
    let world = World::new();
    world.program("bin/node", "v20.1.0").program("tools/node/22.4.1/x64/bin/node", "v22.4.1");
    world.program("tools/node/18.2.0/x64/bin/node", "v18.2.0");
    for (wanted, version, folder) in [
        ("20", "v20.1.0", "bin"),
        (">=18 <20", "v18.2.0", "tools/node/18.2.0/x64/bin"),
        ("latest", "v22.4.1", "tools/node/22.4.1/x64/bin"),
        ("lts/*", "v22.4.1", "tools/node/22.4.1/x64/bin"),
        ("lts/hydrogen", "v18.2.0", "tools/node/18.2.0/x64/bin"),
        ("lts/-2", "v22.4.1", "tools/node/22.4.1/x64/bin"),
        ("lts/-4", "v18.2.0", "tools/node/18.2.0/x64/bin"),
        ("", "v20.1.0", "bin"),
    ] {
        let tried = world.tried(&SetupNode, &[("node-version", wanted)]).await;
        assert!(tried.result.is_ok(), "{wanted}: {}", tried.log);
        assert_eq!(tried.outputs["node-version"], version, "{wanted}");
        assert_eq!(tried.paths, [world.below(folder)], "{wanted}");
    }
    write(&world.scratch.path().join("w/.nvmrc"), "v18\n");
    let tried = world.tried(&SetupNode, &[("node-version-file", ".nvmrc")]).await;
    assert_eq!(tried.outputs["node-version"], "v18.2.0", "{}", tried.log);
    for (inputs, words) in [
        (
            ("node-version", "21"),
            "no Node.js 21 is here; there are 22.4.1 (tool cache), 20.1.0 (image), 18.2.0 (tool cache)",
        ),
        (("node-version", "21"), "`container: node:21`"),
        (("node-version", "twenty"), "`twenty` is no version"),
        (("node-version", "18446744073709551615"), "no Node.js 18446744073709551615 is here"),
        (("node-version", "lts/tungsten"), "no long-term release is called `tungsten`; write `lts/argon`"),
        (("node-version", "lts/-0"), "no long-term release is called `-0`"),
        (
            ("node-version", "lts/-1"),
            "`lts/-1` is Node.js 24, counted from 26, the newest long-term release that is known here: no Node.js 24 is here; there are \
             22.4.1 (tool cache), 20.1.0 (image), 18.2.0 (tool cache). Write one of those, let the job run in an image that has it \
             (`container: node:24`)",
        ),
        (("node-version", "lts/-12"), "there is no `lts/-12`: counted from 26"),
        (("node-version", "lts/-12"), "it goes back to `lts/-11`"),
        (("node-version-file", "none"), "does not exist"),
        (("registry-url", "npm"), "is no address of a registry"),
    ] {
        let error = world.tried(&SetupNode, &[inputs]).await.result.unwrap_err().to_string();
        assert!(error.contains(words), "{words}\n{error}");
    }
    let tried = world.tried(&SetupNode, &[("node-versoin", "20")]).await;
    assert!(tried.result.is_ok());
    // A later one that is here counts, and from 27 on the odd ones do.
    world.program("tools/node/27.1.0/x64/bin/node", "v27.1.0").program("tools/node/25.1.0/x64/bin/node", "v25.1.0");
    for (wanted, version) in [("lts/*", "v27.1.0"), ("lts/-3", "v22.4.1")] {
        let tried = world.tried(&SetupNode, &[("node-version", wanted)]).await;
        assert_eq!(tried.outputs["node-version"], version, "{}", tried.log);
    }
}

#[tokio::test]
async fn an_npmrc_of_the_job() {
    let world = World::new();
    world.program("bin/node", "v20.1.0");
    let inputs = [("registry-url", "https://npm.example"), ("scope", "Octo"), ("cache", "npm")];
    let tried = world.tried(&SetupNode, &inputs).await;
    let path = world.below("temp/.npmrc");
    assert_eq!(tried.exports[0], ("NPM_CONFIG_USERCONFIG".to_owned(), path.clone()));
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, "//npm.example/:_authToken=${NODE_AUTH_TOKEN}\n@octo:registry=https://npm.example/\n");
    assert!(tried.log.contains("`cache: npm` is not used"), "{}", tried.log);
}

#[tokio::test]
async fn the_python_that_is_called_otherwise() {
    let world = World::new();
    world.program("bin/python", "3.8.1").program("bin/python3", "3.8.1").program("bin/python3.12", "3.12.4");
    let tried = world.tried(&SetupPython, &[("python-version", "3.12")]).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(tried.outputs["python-version"], "3.12.4");
    let names = world.below("temp/_python/3.12.4");
    assert_eq!(tried.paths, [world.below("bin"), names.clone()]);
    for name in ["python", "python3"] {
        assert_eq!(std::fs::read_link(format!("{names}/{name}")).unwrap(), Path::new(&world.below("bin/python3.12")));
    }
    assert!(tried.exports.contains(&("pythonLocation".to_owned(), world.scratch.path().display().to_string())));
    let own = world.tried(&SetupPython, &[("python-version", "3.8.x")]).await;
    assert_eq!((own.paths, own.outputs["python-version"].as_str()), (Vec::<String>::new(), "3.8.1"));
    for (wanted, words) in [
        ("3.1", "no Python 3.1 is here; there are "),
        ("pypy3.9", "knows CPython only"),
        ("3.13t", "knows CPython only"),
        ("latest", "is no version: write one such as `3.12`"),
    ] {
        let error = world.tried(&SetupPython, &[("python-version", wanted)]).await.result.unwrap_err().to_string();
        assert!(error.contains(words), "{words}\n{error}");
    }
}
