//! A repository over several runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::step::trial::{Trial, Tried};
use engine::store::RunId;

use super::*;

const FILTERS: &str = "orders: [services/orders/**, '!**/*.md']\nproducts:\n  - services/products/**\n";

struct World {
    _scratch: tempfile::TempDir,
    root: PathBuf,
    trial: Trial,
    runs: u64,
}

impl World {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("repository");
        std::fs::create_dir(&root).unwrap();
        let trial = Trial::new(root.clone(), scratch.path().join("work/r/r"), scratch.path());
        let this = Self { _scratch: scratch, root, trial, runs: 0 };
        this.git(&["init", "--quiet", "--initial-branch=main"]);
        this.write("services/orders/a.js", "1").write("services/products/b.py", "1").write("shared.sh", "1");
        this.commit();
        this
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(arguments)
            .current_dir(&self.root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn ask(&mut self, more: &[(&str, &str)]) -> Tried {
        self.runs += 1;
        self.trial.run.id = RunId(self.runs);
        self.trial.run.sha = self.git(&["rev-parse", "HEAD"]);
        let mut inputs = vec![("filters", FILTERS), ("shared", "shared.sh\n")];
        inputs.extend(more);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.trial.run(&Changes, &inputs))
    }

    fn check(&mut self, names: &str) -> Tried {
        let tried = self.ask(&[]);
        assert!(tried.result.is_ok(), "{}", tried.log);
        assert_eq!(tried.outputs["names"], names, "{}", tried.log);
        assert_eq!(tried.outputs["changed"], (names != "[]").to_string());
        tried
    }

    fn green(&self) {
        green::confirm(&self.trial.run.state, RunId(self.runs)).unwrap();
    }

    fn red(&self) {
        green::discard(&self.trial.run.state, RunId(self.runs)).unwrap();
    }
}

const BOTH: &str = r#"["orders","products"]"#;

#[test]
fn what_changed_since_the_last_green_run() {
    let mut world = World::new();
    let first = world.git(&["rev-parse", "HEAD"]);
    assert_eq!(world.check(BOTH).outputs["base"], "");
    world.red();
    world.check(BOTH);
    world.green();
    assert_eq!(world.check("[]").outputs["base"], first);
    world.green();
    // Neither committed nor known to git.
    world.write("services/orders/new.js", "x");
    let tried = world.check(r#"["orders"]"#);
    assert!(
        tried.log.contains("orders: changed\n  added services/orders/new.js\nproducts: unchanged\n"),
        "{}",
        tried.log
    );
    world.red();
    world.check(r#"["orders"]"#);
    world.green();
    world.check("[]");
    // The same content, committed now.
    world.commit();
    world.check("[]");
    world.write("services/orders/README.md", "taken back by a pattern");
    world.check("[]");
    std::fs::remove_file(world.root.join("services/products/b.py")).unwrap();
    assert!(world.check(r#"["products"]"#).log.contains("  removed services/products/b.py\n"));
    world.green();
    world.write("shared.sh", "2");
    assert!(world.check(BOTH).log.contains("orders: a shared file changed\n"));
    world.write("shared.sh", "1");
    world.check("[]");
}

#[test]
fn branches_and_commits() {
    let mut world = World::new();
    let first = world.git(&["rev-parse", "HEAD"]);
    world.check(BOTH);
    world.green();
    world.trial.run.git_ref = "refs/heads/topic".into();
    world.check("[]");
    world.write("services/orders/a.js", "2");
    world.trial.repository.working_tree = false;
    world.check("[]");
    world.commit();
    world.check(r#"["orders"]"#);
    world.green();
    world.check("[]");
    world.trial.run.git_ref = "refs/heads/main".into();
    world.check(r#"["orders"]"#);
    let tried = world.ask(&[("base", &first)]);
    assert_eq!((tried.outputs["names"].as_str(), &tried.outputs["base"]), (r#"["orders"]"#, &first));
    let tried = world.ask(&[("base", "nowhere")]);
    assert!(tried.result.unwrap_err().to_string().contains("'nowhere' could not be found"));
}

#[test]
fn another_repository_of_the_same_user() {
    let mut one = World::new();
    let mut other = World::new();
    other.trial.run.state.clone_from(&one.trial.run.state);
    one.check(BOTH);
    one.green();
    other.check(BOTH);
}

#[test]
fn filters_that_cannot_be() {
    let check = |filters: &str, expect: &str| {
        let error = Filters::parse(filters, "").unwrap_err();
        assert!(error.contains(expect), "{error}");
    };
    check("- a", "must be a YAML mapping");
    check("a: {b: c}", "the patterns of `a` must be text");
    check("a: ['!b']", "`a` has no pattern that takes files");
    check("{}", "it is empty");
    check("a: [", "must be a YAML mapping");
    assert!(Filters::parse("x: &x [a/**]\ny: [*x, b]", "").unwrap().named["y"].matches("a/1"));
}
