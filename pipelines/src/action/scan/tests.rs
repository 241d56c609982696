//! The action by itself: what it reads and writes of a workspace in which a job has put links.

use std::os::unix::fs::symlink;
use std::path::Path;

use engine::step::trial::{Trial, Tried};
use tempfile::TempDir;

use super::{Scan, ScanFolders};

const INSIDE: &str = "/home/runner/work/repository/repository";

struct World {
    scratch: TempDir,
    trial: Trial,
}

impl World {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let workspace = scratch.path().join("w/r/r");
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::create_dir_all(scratch.path().join("outside")).unwrap();
        let trial = Trial::new(scratch.path().to_path_buf(), workspace, scratch.path());
        let this = Self { scratch, trial };
        this.write("w/r/r/src/app.env", &key());
        this
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.scratch.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.scratch.path().join(path)
    }

    fn run(&self, inputs: &[(&str, &str)]) -> Tried {
        let cache = self.path("cache");
        let folders = ScanFolders { advisories: self.path("advisories"), cache, ..ScanFolders::default() };
        let action = Scan { name: "pipe/scan", folders, labels: std::collections::BTreeMap::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.trial.run(&action, inputs))
    }

    fn fails(&self, inputs: &[(&str, &str)], expected: &str) {
        let tried = self.run(inputs);
        let error = tried.result.unwrap_err().to_string();
        assert!(error.contains(expected), "{inputs:?}: {error}");
    }
}

/// Put together here, so that no scanner takes this file for one with a secret.
fn key() -> String {
    format!("AWS_ACCESS_KEY_ID={}\n", ["AKIA", "Z7VRHQ2MXKW4PLNT"].concat())
}

#[test]
fn the_report_is_written_by_the_job_whatever_links_it_has_made() {
    let world = World::new();
    symlink(world.path("outside"), world.path("w/r/r/reports")).unwrap();
    let secrets = [("scan-type", "fs"), ("scan-ref", "src"), ("scanners", "secret"), ("exit-code", "0")];
    let with = |output| [&secrets[..], &[("format", "json"), ("output", output)]].concat();
    for output in ["reports/scan.json", "scan.json", "/home/runner/work/repository/repository/scan.json"] {
        let tried = world.run(&with(output));
        assert!(tried.result.is_ok(), "{:?}", tried.result);
        assert_eq!(tried.outputs["report"], output);
        let name = output.strip_prefix(INSIDE).unwrap_or(output).trim_start_matches('/');
        let report = &tried.files[&format!("{INSIDE}/{name}")];
        let report: serde_json::Value = serde_json::from_slice(report).unwrap();
        assert_eq!(report["outcome"], "fail", "{report}");
    }
    let entries = |path: &str| std::fs::read_dir(world.path(path)).unwrap().count();
    assert_eq!((entries("outside"), entries("w/r/r")), (0, 2), "this process writes no file");
    for output in ["../scan.json", "/etc/scan.json", "."] {
        world.fails(&with(output), "output");
    }
}

#[test]
fn links_of_a_job_are_not_followed() {
    let world = World::new();
    world.write("outside/app.env", &key());
    world.write("outside/gate.yml", "gate:\n  fail-on: none\n");
    world.write("outside/advisory.json", "{}");
    symlink(world.path("outside"), world.path("w/r/r/link")).unwrap();
    symlink(world.path("outside/app.env"), world.path("w/r/r/link.tar")).unwrap();
    symlink(world.path("outside"), world.path("w/r/r/src/more")).unwrap();
    let secrets = [("scan-type", "fs"), ("scanners", "secret")];
    let with = |more: &[(&'static str, &'static str)]| [&secrets[..], more].concat();
    for (inputs, expected) in [
        (with(&[("scan-ref", "link")]), "a link or a file is on the way"),
        (with(&[("scan-ref", "link/deeper")]), "a link or a file is on the way"),
        (with(&[("scan-ref", "../../outside")]), "outside of the workspace"),
        (with(&[("gate", "link/gate.yml")]), "a link or a file is on the way"),
        (with(&[("db", "link")]), "a link or a file is on the way"),
        (with(&[("db", "/etc")]), "outside of the workspace"),
        (vec![("input", "link.tar")], "a link or a file is on the way"),
        (vec![("scan-type", "rootfs"), ("scan-ref", "link")], "a link or a file is on the way"),
    ] {
        world.fails(&inputs, expected);
    }
    let tried = world.run(&with(&[("scan-ref", INSIDE)]));
    assert_eq!(tried.outputs["findings"], "1", "{}", tried.log);
}

#[test]
fn advisories_of_the_workspace_are_copied_before_they_are_read() {
    let world = World::new();
    let lock = r#"{"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": {
        "node_modules/minimist": {"version": "1.2.5"}}}"#;
    world.write("w/r/r/src/package-lock.json", lock);
    let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/advisories");
    for name in ["gate.yml", "npm/GHSA-xvch-5gv4-984h.json"] {
        world.write(&format!("w/r/r/db/{name}"), &std::fs::read_to_string(stand_ins.join(name)).unwrap());
    }
    // A pipe nobody writes to would be waited for.
    symlink("/dev/zero", world.path("w/r/r/db/npm/zero.json")).unwrap();
    let inputs =
        [("scan-type", "fs"), ("scan-ref", "src"), ("scanners", "vuln"), ("db", "db"), ("gate", "db/gate.yml")];
    let tried = world.run(&inputs);
    assert_eq!((tried.outputs["outcome"].as_str(), tried.outputs["failed"].as_str()), ("fail", "1"), "{}", tried.log);
    assert!(tried.log.contains("CVE-2021-44906") && tried.log.contains("1.2.6"), "{}", tried.log);
    assert_eq!(std::fs::read_dir(world.path("cache")).unwrap().count(), 0, "the copy goes with the step");
    assert!(!world.path("w/r/r/db/advisories.index").exists());
}
