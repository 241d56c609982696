//! Cases of images: which are kept, which are due, and whose word is the last.

use super::*;
use crate::store::scans::{NewScan, Scans};
use crate::store::verdicts::{FindingLine, Found, ScanRule, Standing, Verdicts};
use crate::store::{NewRun, Options, SqliteStore};

struct World {
    store: SqliteStore,
    cases: Cases,
    verdicts: Verdicts,
    scans: Scans,
    _folder: tempfile::TempDir,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn line(name: &str) -> FindingLine {
    FindingLine {
        fingerprint: name.into(),
        id: format!("CVE-{name}"),
        subject: "openssl".into(),
        severity: "critical".into(),
        fails: true,
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let (cases, verdicts) = (Cases::on(database.clone()), Verdicts::on(database.clone()));
        let (store, scans) = (SqliteStore::on(database.clone()), Scans::on(database));
        Self { store, cases, verdicts, scans, _folder: folder }
    }

    async fn run(&self) -> RunId {
        let new = NewRun { repository: "o/r".into(), git_ref: "refs/heads/main".into(), ..NewRun::default() };
        self.store.create_run(new).await.unwrap().id
    }

    fn verdict(run: RunId, image: &str, outcome: &str, found: &[&str], seconds: i64) -> ImageVerdict {
        ImageVerdict {
            repository: "o/r".into(),
            image: image.into(),
            target: "shop/web:1".into(),
            run,
            job: "scan".into(),
            step: 1,
            outcome: outcome.into(),
            sentence: format!("{outcome} at {seconds}"),
            advisories: None,
            advisories_at: None,
            policy: "sha256:90".into(),
            policy_name: "gate.yml".into(),
            at: at(seconds),
            findings: Some(Found { count: found.len(), worst: found.iter().map(|name| line(name)).collect() }),
            again: false,
        }
    }

    /// As `pipe/scan` does.
    async fn scan(&self, run: RunId, image: &str, outcome: &str, found: &[&str], seconds: i64) {
        let verdict = Self::verdict(run, image, outcome, found, seconds);
        let new = NewScan {
            repository: "o/r".into(),
            subject: "shop/web".into(),
            is_image: true,
            run,
            job: "scan".into(),
            step: 1,
            outcome: outcome.into(),
            sentence: verdict.sentence.clone(),
            at: at(seconds),
            found: verdict.findings.clone().unwrap(),
        };
        self.verdicts.record(verdict).await.unwrap();
        self.scans.record(new).await.unwrap();
        self.keep(run, image, seconds).await;
    }

    async fn keep(&self, run: RunId, image: &str, seconds: i64) {
        let new = NewCase {
            repository: "o/r".into(),
            image: image.into(),
            digests: vec![format!("registry.example/web@{image}0")],
            target: "shop/web:1".into(),
            run,
            job: "scan".into(),
            step: 1,
            body: image.as_bytes().to_vec(),
            at: at(seconds),
            advisories: Some("first".into()),
        };
        assert!(self.cases.keep(new).await.unwrap());
    }

    async fn images(&self) -> Vec<String> {
        self.cases.of("O/R").await.unwrap().into_iter().map(|row| row.image).collect()
    }

    /// What newer advisories say.
    async fn again(&self, outcome: &str, found: &[&str], seconds: i64) -> bool {
        let row = self.cases.of("o/r").await.unwrap().remove(0);
        let verdict = Self::verdict(row.run, &row.image, outcome, found, seconds);
        let since = found.iter().map(|name| (*name).to_owned()).collect();
        let matched = Matched { verdict: ImageVerdict { again: true, ..verdict }, since };
        self.cases.matched(&row, format!("of {seconds}"), matched).await.unwrap()
    }

    async fn standing(&self, image: &str) -> String {
        match self.verdicts.standing("o/r", image, ScanRule::default(), at(0)).await.unwrap() {
            Standing::Passed(said) => said.sentence,
            Standing::Refused(words) => words,
        }
    }

    async fn stands(&self, run: RunId) -> Vec<String> {
        let scan = self.scans.of_first("o/r", &[run]).await.unwrap().remove(0);
        let rows = self.scans.at(&scan).await.unwrap();
        rows.iter().map(|row| format!("{} {}", row.fingerprint, row.is_later)).collect()
    }
}

#[tokio::test]
async fn what_matters_is_kept_and_comes_when_it_is_due() {
    let world = World::new();
    for (run, image) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        world.keep(RunId(run), image, run.cast_signed() * 100).await;
    }
    assert_eq!(world.images().await, ["d", "c", "b", "a"]);
    let due = async |advisories: &str, since| {
        let due = world.cases.due(advisories, at(since)).await.unwrap();
        due.into_iter().map(|row| row.image).collect::<String>()
    };
    assert_eq!((due("first", 0).await, due("first", 300).await), (String::new(), "ab".into()));
    assert_eq!(due("second", 0).await, "abcd");
    let prune = async |images: &[&str], runs: &[u64]| {
        let images = images.iter().map(|image| (*image).to_owned()).collect();
        world.cases.prune(1, images, runs.iter().copied().map(RunId).collect()).await.unwrap()
    };
    // By a name of a registry, and by its run.
    assert_eq!(prune(&["registry.example/web@a0"], &[2]).await, 1);
    assert_eq!(world.images().await, ["d", "b", "a"]);
    assert_eq!(prune(&["a"], &[]).await, 1);
    assert_eq!(prune(&[], &[]).await, 1);
    assert_eq!(world.images().await, ["d"], "the newest stays");
    let row = world.cases.of("o/r").await.unwrap().remove(0);
    assert_eq!(world.cases.body(&row).await.unwrap(), Some(b"d".to_vec()));
    world.cases.failed(&row, "second".into(), "too old".into(), at(500)).await.unwrap();
    let row = world.cases.of("o/r").await.unwrap().remove(0);
    assert_eq!((row.problem.as_deref(), row.matched_at), (Some("too old"), at(500)));
    let large = NewCase {
        repository: "o/r".into(),
        image: "e".into(),
        digests: Vec::new(),
        target: String::new(),
        run: RunId(1),
        job: String::new(),
        step: 1,
        body: vec![0; CASE_BYTES_MAX + 1],
        at: at(1),
        advisories: None,
    };
    assert!(!world.cases.keep(large).await.unwrap());
}

#[tokio::test]
async fn newer_advisories_have_the_last_word_until_somebody_scans() {
    let world = World::new();
    let (one, two) = (world.run().await, world.run().await);
    world.scan(one, "sha256:1", "pass", &["old"], 100).await;
    assert!(world.again("fail", &["old", "new"], 200).await);
    assert!(world.standing("sha256:1").await.ends_with("say fail at 200"));
    assert_eq!(world.stands(one).await, ["old false", "new true"]);
    let open = crate::store::scans::FindingFilter {
        repository: "o/r".into(),
        git_ref: "refs/heads/main".into(),
        limit: 10,
        ..Default::default()
    };
    let later: Vec<_> = world.scans.findings(open.clone()).await.unwrap().iter().map(|row| row.is_later).collect();
    assert_eq!(later, [false, true]);
    // An advisory that was withdrawn.
    assert!(world.again("pass", &["old"], 300).await);
    assert_eq!((world.standing("sha256:1").await.as_str(), world.stands(one).await.len()), ("pass at 300", 1));
    assert!(world.again("fail", &["new"], 400).await);
    let overtaken = world.cases.of("o/r").await.unwrap().remove(0);
    world.scan(two, "sha256:1", "pass", &["old", "new"], 500).await;
    assert_eq!(world.standing("sha256:1").await, "pass at 500", "somebody looked, by another policy");
    let verdict = World::verdict(one, "sha256:1", "fail", &["new"], 600);
    let matched = Matched { verdict: ImageVerdict { again: true, ..verdict }, since: BTreeSet::new() };
    assert!(!world.cases.matched(&overtaken, "x".into(), matched).await.unwrap(), "a scan was faster");
    // What the first scan did not know stands with it still, and is none of the second's.
    assert!(world.again("pass", &["old", "new"], 700).await);
    assert_eq!(
        (world.stands(one).await.len(), world.stands(two).await),
        (2, vec!["new false".into(), "old false".into()])
    );
}

/// A pass for packages says nothing of what a scan for secrets found since.
#[tokio::test]
async fn a_pass_again_is_not_the_last_word_over_another_scan() {
    let world = World::new();
    world.scan(RunId(1), "sha256:1", "pass", &[], 100).await;
    let secrets = ImageVerdict { step: 2, ..World::verdict(RunId(1), "sha256:1", "fail", &["key"], 200) };
    world.verdicts.record(secrets).await.unwrap();
    for (outcome, expected) in [("pass", "fail at 200"), ("fail", "fail at 300"), ("pass", "fail at 200")] {
        assert!(world.again(outcome, &[], 300).await);
        assert!(world.standing("sha256:1").await.ends_with(expected), "{}", world.standing("sha256:1").await);
    }
}
