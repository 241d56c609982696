//! What the project ships for its shop: workflows without a mistake, the rollout that they promise, patches that fit, and
//! files that are kept equal by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use rollout::plan::{Analysis, Hook, Schedule, Weight};
use serde_yaml::Value as Yaml;
use workflow::check::check;
use workflow::read::{ReadOptions, WorkflowFiles, read_workflow};
use workflow::source::SourceFile;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

struct Nothing;

impl WorkflowFiles for Nothing {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        Some(Err(format!("{reference} is called by no workflow of the shop")))
    }
}

/// The workflows in `pipelines/`: what has `jobs`.
fn workflows() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("pipelines")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> =
        names.filter(|name| name.ends_with(".yml")).map(|name| format!("pipelines/{name}")).collect();
    found.retain(|name| serde_yaml::from_str::<Yaml>(&read(name)).unwrap().get("jobs").is_some());
    found.sort();
    found
}

#[test]
fn workflows_are_clean_and_found() {
    let all = workflows();
    let names = ["aws", "infrastructure", "pull-request", "rollback", "shop", "two-regions"]
        .map(|name| format!("pipelines/{name}.yml"));
    assert_eq!(all, names);
    for name in all {
        let options = ReadOptions::default();
        let reading = read_workflow(SourceFile::new(&*name, read(&name)), &Nothing, &options);
        let checked = check(&reading, &Nothing, &options, &pipelines::catalogue());
        assert!(checked.diagnostics.is_empty(), "{name}: {:?}", checked.diagnostics);
        let link = root().join(".github/workflows").join(Path::new(&name).file_name().unwrap());
        let target = std::fs::read_link(&link).unwrap_or_else(|error| panic!("{}: {error}", link.display()));
        assert_eq!(target, Path::new("../..").join(&name), "{}", link.display());
    }
}

#[test]
fn a_pull_request_is_checked_side_by_side_as_main_is() {
    let yaml = |name: &str| serde_yaml::from_str::<Yaml>(&read(name)).unwrap();
    let (pull, shop) = (yaml("pipelines/pull-request.yml"), yaml("pipelines/shop.yml"));
    let of = |yaml: &Yaml, key: &str| yaml["jobs"]["test"][key].clone();
    for key in ["steps", "services", "container", "defaults"] {
        assert_eq!(of(&pull, key), of(&shop, key), "{key}: what passes here passes there");
    }
    for kind in ["test", "security", "infrastructure"] {
        let job = &pull["jobs"][kind];
        assert!(job.get("needs").is_none() && job.get("if").is_none(), "{kind} waits for nothing");
        assert!(job["timeout-minutes"].as_u64().unwrap() <= 5, "{kind}");
    }
    assert_eq!(pull["jobs"]["summary"]["needs"].as_sequence().unwrap().len(), 3);
    assert!(!read("pipelines/pull-request.yml").contains("secrets."), "a fork's run has none");
}

/// A variable of a job, and of an expression in it what stands where no variable of the repository says otherwise.
fn variable(jobs: &Yaml, job: &str, name: &str) -> String {
    let text = jobs[job]["env"][name].as_str().unwrap_or_else(|| panic!("{job} has no {name}"));
    match text.split_once("|| '") {
        Some((_, rest)) => rest.split_once("' }}").expect("the expression ends").0.to_owned(),
        None => text.to_owned(),
    }
}

/// A text with a word in place of each expression.
fn without_expressions(text: &Yaml) -> String {
    let mut parts = text.as_str().expect("it is a text").split("${{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "word" + part.split_once("}}").expect("the expression ends").1)
}

#[test]
fn production_is_shifted_in_a_quarter_of_an_hour() {
    let shop: Yaml = serde_yaml::from_str(&read("pipelines/shop.yml")).unwrap();
    let jobs = &shop["jobs"];
    let schedule = Schedule::read(&variable(jobs, "production", "STEPS")).unwrap();
    let weights: Vec<_> = schedule.steps.iter().map(|step| step.weight).collect();
    assert_eq!(weights, [Weight(100), Weight(500), Weight::ALL]);
    let seconds: i64 = schedule.steps.iter().map(|step| step.hold.as_secs()).sum();
    assert_eq!(seconds, 15 * 60);
    assert!(schedule.steps[..2].iter().all(|step| step.analyse));
    for (job, visits) in [("dev", false), ("staging", true), ("production", false)] {
        Schedule::read(&variable(jobs, job, "STEPS")).unwrap_or_else(|error| panic!("{job}: {error}"));
        Analysis::read(&variable(jobs, job, "ANALYSIS")).unwrap_or_else(|error| panic!("{job}: {error}"));
        let hooks = Hook::read_all(&without_expressions(&jobs[job]["env"]["HOOKS"]))
            .unwrap_or_else(|error| panic!("{job}: {error}"));
        let words: Vec<String> = hooks.iter().map(Hook::words).collect();
        // It is visited once it is ready.
        assert_eq!(words[..2], ["tests/shop/run.sh smoke", "probe with gate, openapi"], "{job}");
        assert_eq!(
            words[2..].iter().any(|word| word.contains("run.sh e2e")),
            visits,
            "{job}: visits leave orders behind"
        );
        assert_eq!(jobs[job]["environment"].as_str(), Some(job));
    }
    assert_eq!(jobs["production"]["steps"], jobs["dev"]["steps"], "what was tried is what is done");
}

#[test]
fn what_the_demo_deploys_fits_the_shop() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["services/orders/src/app.js", "services/orders/test/operation.test.js"] {
        let copy = folder.path().join(name);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(copy, read(name)).unwrap();
    }
    for patch in ["v2", "v3"] {
        let file = root().join(format!("scripts/demo/{patch}.patch")).canonicalize().unwrap();
        let applied = Command::new("git").arg("apply").arg(file).current_dir(folder.path()).output().unwrap();
        assert!(applied.status.success(), "{patch}: {}", String::from_utf8_lossy(&applied.stderr));
    }
    // The fault is the demo's and never the shop's.
    assert!(!read("services/orders/src/app.js").contains("nameOf"));
}

#[test]
fn services_are_built_alone_and_share_files_all_the_same() {
    for name in ["src/flags.js", "src/targeting.js", "src/server.js", "test/flags.test.js", "eslint.config.js"] {
        let (one, other) = (read(&format!("services/orders/{name}")), read(&format!("services/frontend/{name}")));
        assert!(one == other, "services/orders/{name} and services/frontend/{name} differ");
    }
}
