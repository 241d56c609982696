//! Scans of small folders with advisories of their own.

use jiff::Timestamp;
use scanners::advisory::Database;
use scanners::policy::{Outcome, Policy};
use scanners::report::{Format, Terminal};
use scanners::source::{Held, Source};
use tempfile::TempDir;
use workflow::source::SourceFile;

use super::*;

const ALL: Scanners = Scanners { vulnerabilities: true, secrets: true, misconfigurations: true, code: true };
const ADVISORY: &str = r#"{
  "schema_version": "1.6.0", "id": "GHSA-p6mc-m468-83gw", "aliases": ["CVE-2020-8203"],
  "modified": "2024-01-01T00:00:00Z", "published": "2020-07-15T00:00:00Z", "summary": "Prototype pollution",
  "database_specific": {"severity": "CRITICAL"},
  "affected": [{"package": {"ecosystem": "npm", "name": "lodash"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.20"}]}]}]
}"#;

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        this.write("db/GHSA-p6mc-m468-83gw.json", ADVISORY);
        this.write("src/package-lock.json", &lock("4.17.15"));
        this
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn order(&self, policy: &str) -> Order {
        let policy = if policy.is_empty() {
            Policy::built_in()
        } else {
            scanners::policy::read(&SourceFile::new("gate.yml", policy)).unwrap()
        };
        let folder = self.folder.path();
        Order {
            target: "src".into(),
            image: None,
            scanners: ALL,
            secret_rules: None,
            known_secrets: None,
            database: Database::at(&folder.join("db")),
            cache: None,
            dockerfile: None,
            stage: None,
            development: false,
            foreign: Foreign::default(),
            policy,
            policy_folder: Some(Held::at(folder).unwrap()),
            now: Timestamp::now(),
        }
    }

    fn scan(&self, order: &Order, standing: Standing) -> Scanned {
        examine(Source::Repository(Held::at(&self.folder.path().join("src")).unwrap()), order, standing).unwrap()
    }
}

fn lock(version: &str) -> String {
    format!(
        r#"{{"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": {{
             "": {{"name": "shop", "version": "1.0.0"}},
             "node_modules/lodash": {{"version": "{version}"}}}}}}"#
    )
}

#[test]
fn what_is_critical_fails_until_it_is_mended() {
    let world = World::new();
    let scanned = world.scan(&world.order(""), Standing::NotAsked);
    assert_eq!(scanned.verdict.outcome, Outcome::Fail, "{:?}", scanned.verdict);
    let (index, judged) = scanned.verdict.failed().next().unwrap();
    assert!(scanned.findings[index].is_named("CVE-2020-8203"), "{judged:?}");
    assert_eq!(judged.fix.as_ref().unwrap().fixed, "4.17.20");
    let table = scanned.report().write(Format::Table, Terminal::PLAIN);
    assert!(table.contains("package-lock.json") && table.contains("4.17.15"), "{table}");
    world.write("src/package-lock.json", &lock("4.17.21"));
    let scanned = world.scan(&world.order(""), Standing::NotAsked);
    assert_eq!((scanned.verdict.outcome, scanned.findings.len()), (Outcome::Pass, 0), "{:?}", scanned.verdict);
}

#[test]
fn without_advisories_nothing_passes() {
    let world = World::new();
    std::fs::remove_dir_all(world.folder.path().join("db")).unwrap();
    let scanned = world.scan(&world.order(""), Standing::NotAsked);
    assert_eq!(scanned.verdict.outcome, Outcome::Untrusted);
    assert!(scanned.verdict.sentence().contains("pipe scan db update"), "{}", scanned.verdict.sentence());
    let order = Order { scanners: Scanners { vulnerabilities: false, ..ALL }, ..world.order("") };
    assert_eq!(world.scan(&order, Standing::NotAsked).verdict.outcome, Outcome::Pass, "nobody asked for them");
}

#[test]
fn files_are_looked_at_one_by_one() {
    let world = World::new();
    world.write("src/package-lock.json", &lock("4.17.21"));
    world.write("src/deploy/Dockerfile", "FROM debian:latest\nRUN apt-get update\n");
    // Put together here, so that no scanner takes this file for one with a secret.
    let key = ["AKIA", "Z7VRHQ2MXKW4PLNT"].concat();
    world.write("src/config.env", &format!("AWS_ACCESS_KEY_ID={key}\n"));
    world.write("src/node_modules/a/config.env", &format!("AWS_ACCESS_KEY_ID={key}\n"));
    let scanned = world.scan(&world.order(""), Standing::NotAsked);
    let places: Vec<_> =
        scanned.findings.iter().filter_map(|one| one.place()).map(|place| place.file.as_str()).collect();
    assert!(places.contains(&"deploy/Dockerfile") && places.contains(&"config.env"), "{places:?}");
    assert!(!places.iter().any(|place| place.contains("node_modules")), "{places:?}");
    let report = scanned.report().write(Format::Json, Terminal::PLAIN);
    assert!(!report.contains(&key), "reports hold no secrets");
}

#[test]
fn what_stands_already_does_not_fail() {
    let world = World::new();
    let policy = "gate:\n  fail-on: critical\n  baseline: {image: production, mode: only-new}\n";
    let before = world.scan(&world.order(""), Standing::NotAsked).case.inventory;
    let scanned = world.scan(&world.order(policy), Standing::Report(Box::new(before)));
    assert_eq!((scanned.verdict.outcome, scanned.findings.len()), (Outcome::Pass, 1), "{:?}", scanned.verdict);
    let scanned = world.scan(&world.order(policy), Standing::Nothing);
    assert_eq!(scanned.verdict.outcome, Outcome::Fail, "nothing stands there: everything is new");
    let scanned = world.scan(&world.order(policy), Standing::Unavailable("the image is gone".into()));
    assert_ne!(scanned.verdict.outcome, Outcome::Pass, "{:?}", scanned.verdict);
}

#[test]
fn other_tools_and_coverage_have_the_same_gate() {
    let world = World::new();
    world.write("src/package-lock.json", &lock("4.17.21"));
    let held = |path: &str| Held::at(&world.folder.path().join(path)).unwrap();
    let policy = "gate:\n  fail-on: high\n  coverage: {lines: 80}\n";
    let scan = |reports: &[&str], coverage: &[&str]| {
        let foreign = Foreign {
            reports: reports.iter().map(|path| held(path)).collect(),
            coverage: coverage.iter().map(|path| held(path)).collect(),
            workspace: String::new(),
        };
        world.scan(&Order { foreign, ..world.order(policy) }, Standing::NotAsked).verdict
    };
    assert_eq!(scan(&[], &[]).outcome, Outcome::Fail, "what nobody measured is too little");
    world.write("cov.info", "SF:a.rs\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,1\nDA:5,0\nend_of_record\n");
    assert_eq!(scan(&[], &["cov.info"]).outcome, Outcome::Pass);
    world.write("less.info", "SF:b.rs\nDA:1,0\nend_of_record\n");
    assert_eq!(scan(&[], &["cov.info", "less.info"]).outcome, Outcome::Fail);
    world.write(
        "tool.sarif",
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "other"}}, "results": [{"ruleId": "R1", "level": "error",
            "message": {"text": "bad"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.py"},
            "region": {"startLine": 3}}}]}]}]}"#,
    );
    assert_eq!(scan(&["tool.sarif"], &["cov.info"]).outcome, Outcome::Fail);
    world.write("tool.sarif", "{");
    assert_eq!(scan(&["tool.sarif"], &["cov.info"]).outcome, Outcome::Untrusted);
    world.write("cov.info", "SF:a.rs\nDA:1,1\n");
    assert_eq!(scan(&[], &["cov.info"]).outcome, Outcome::Untrusted);
}

#[test]
fn vex_files_are_found_by_their_pattern() {
    let world = World::new();
    let policy = "gate:\n  fail-on: critical\n  vex: [vex/*.json]\n";
    let scanned = world.scan(&world.order(policy), Standing::NotAsked);
    let is_said = scanned.verdict.warnings.iter().any(|warning| warning.message.contains("vex/*.json"));
    assert!(is_said, "{:?}", scanned.verdict.warnings);
    world.write(
        "vex/shop.json",
        r#"{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://shop.example/vex/1", "author": "ada",
            "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{
            "vulnerability": {"name": "CVE-2020-8203"}, "products": [{"@id": "pkg:npm/lodash@4.17.15"}],
            "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path"}]}"#,
    );
    let scanned = world.scan(&world.order(policy), Standing::NotAsked);
    assert_eq!((scanned.verdict.outcome, scanned.verdict.warnings.len()), (Outcome::Pass, 0), "{:?}", scanned.verdict);
    world.write("vex/broken.json", "{");
    assert_eq!(world.scan(&world.order(policy), Standing::NotAsked).verdict.outcome, Outcome::Untrusted);
}

#[test]
fn words_become_targets() {
    let world = World::new();
    let folder = world.folder.path();
    world.write("root/etc/os-release", "ID=debian\n");
    world.write("layout/index.json", "{}");
    world.write("layout/blobs/x", "");
    world.write("web.tar", "");
    let path = |name: &str| folder.join(name);
    let text = |name: &str| path(name).display().to_string();
    for (given, expected) in [
        ("shop/web:1".to_owned(), Target::Guessed("shop/web:1".into())),
        ("docker:24-dind".to_owned(), Target::Guessed("docker:24-dind".into())),
        ("repo:1".to_owned(), Target::Guessed("repo:1".into())),
        ("image:docker:24-dind".to_owned(), Target::Image("docker:24-dind".into())),
        ("image:web.tar".to_owned(), Target::Image("web.tar".into())),
        ("sha256:0a5e".to_owned(), Target::Guessed("sha256:0a5e".into())),
        (text("src"), Target::Repository(path("src"))),
        (text("root"), Target::Root(path("root"))),
        (format!("dir:{}", text("root")), Target::Repository(path("root"))),
        (text("layout"), Target::Layout { folder: path("layout"), name: None }),
        (text("web.tar"), Target::Archive { file: path("web.tar"), name: None }),
        (format!("{}#shop:1", text("web.tar")), Target::Archive { file: path("web.tar"), name: Some("shop:1".into()) }),
    ] {
        assert_eq!(Target::parse(&given), expected, "{given}");
    }
    assert_eq!(Target::at("/no/such/thing".into(), None), None);
}
