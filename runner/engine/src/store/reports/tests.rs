//! Reports are whole or not there, the newest takes the place of the one before, and history is what runs say.

use super::*;
use crate::reports::{Case, FileCoverage, Rate};
use crate::store::{NewRun, Options, RunLog as _, SqliteStore};
use workflow::run::{Conclusion, EVENT_VERSION, Recorded, RunEvent};

struct World {
    store: SqliteStore,
    reports: Reports,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        Self { store: SqliteStore::on(database.clone()), reports: Reports::on(database), _folder: folder }
    }

    async fn run(&self, sha: &str) -> RunId {
        let new = NewRun { repository: "o/r".into(), sha: sha.into(), ..NewRun::default() };
        self.store.create_run(new).await.unwrap().id
    }

    async fn green(&self, run: RunId) {
        let event = RunEvent::RunFinished { conclusion: Conclusion::Success };
        let facts = [RunEvent::RunStarted, event];
        let facts: Vec<_> = (1..)
            .zip(facts)
            .map(|(seq, event)| Recorded { v: EVENT_VERSION, seq, at: Timestamp::UNIX_EPOCH, event })
            .collect();
        self.store.append(run, &facts).await.unwrap();
    }

    /// `name=outcome` with spaces between.
    async fn tests(&self, run: RunId, sha: &str, step: u64, cases: &str) -> u64 {
        let cases = cases.split_whitespace().map(|text| {
            let (name, outcome) = text.split_once('=').unwrap();
            case(name, Outcome::parse(outcome).unwrap())
        });
        self.reports.keep_tests(origin(run, sha, step), cases.collect(), 1, 0).await.unwrap()
    }
}

fn origin(run: RunId, sha: &str, step: u64) -> Origin {
    Origin {
        run,
        job: "build".into(),
        step,
        name: "tests".into(),
        repository: "o/r".into(),
        sha: sha.into(),
        git_ref: "refs/heads/main".into(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn case(name: &str, outcome: Outcome) -> Case {
    Case {
        suite: "suite".into(),
        class: "Class".into(),
        name: name.into(),
        file: Some("a.rs".into()),
        line: Some(7),
        time_us: Some(2_000),
        outcome,
        message: outcome.is_bad().then(|| "wrong".to_owned()),
        details: None,
        retries: 0,
    }
}

#[tokio::test]
async fn a_run_shows_its_tests_the_worst_first() {
    let world = World::new();
    let run = world.run("1").await;
    assert_eq!(world.reports.tests_of_run(run).await.unwrap(), RunTests::default());
    world.tests(run, "1", 1, "a=passed b=failed c=skipped").await;
    // A step that is done again.
    world.tests(run, "1", 1, "a=passed b=failed c=skipped d=error e=flaky").await;
    world.tests(run, "1", 2, "a=passed").await;
    let tests = world.reports.tests_of_run(run).await.unwrap();
    assert_eq!(tests.totals.words(), "2 passed, 1 failed, 1 error, 1 flaky, 1 skipped");
    assert_eq!((tests.totals.time_ms, tests.reports.len()), (12, 2));
    assert_eq!(tests.failed, ["Class › d", "Class › b"]);
    let words = "2 passed, 1 failed, 1 error, 1 flaky, 1 skipped (Class › d, Class › b)";
    assert_eq!(tests.words().as_deref(), Some(words));
    let filter = CaseFilter { limit: 10, ..CaseFilter::default() };
    let cases = world.reports.cases(run, filter.clone()).await.unwrap();
    let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["d", "b", "e", "c", "a", "a"]);
    assert_eq!((cases[0].test, cases[4].test == cases[5].test), (4, true));
    let rest = world.reports.cases(run, CaseFilter { skip: 4, ..filter.clone() }).await.unwrap();
    assert_eq!(rest.len(), 2);
    let only = CaseFilter { outcome: Some(Outcome::Failed), ..filter };
    assert_eq!(world.reports.cases(run, only).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_whole_is_not_there() {
    let world = World::new();
    let run = world.run("1").await;
    let many: Vec<_> = (0..2_500).map(|number| case(&format!("t{number}"), Outcome::Passed)).collect();
    let report = world.reports.keep_tests(origin(run, "1", 1), many, 3, 17).await.unwrap();
    let tests = world.reports.tests_of_run(run).await.unwrap();
    assert_eq!((tests.totals.passed, tests.reports[0].files, tests.reports[0].more), (2_500, 3, 17));
    let undo = move |transaction: &rusqlite::Transaction<'_>| {
        transaction.execute("UPDATE test_reports SET complete = 0 WHERE id = ?1", [report])
    };
    world.reports.database.write_surely(undo).await.unwrap();
    assert_eq!(world.reports.tests_of_run(run).await.unwrap(), RunTests::default());
    world.tests(run, "1", 1, "a=passed").await;
    assert_eq!(world.reports.tests_of_run(run).await.unwrap().totals.all(), 1);
    assert_eq!(world.reports.prune(Timestamp::now()).await.unwrap(), 1);
    assert_eq!(world.reports.tests_of_run(run).await.unwrap(), RunTests::default());
}

#[tokio::test]
async fn a_test_is_flaky_that_passes_and_fails_at_one_commit() {
    let world = World::new();
    for (sha, cases) in [
        ("1", "steady=passed both=failed broken=failed retried=flaky skipped=skipped"),
        ("1", "steady=passed both=passed broken=failed retried=passed skipped=skipped"),
        ("2", "steady=passed both=passed broken=passed retried=passed skipped=skipped"),
    ] {
        let run = world.run(sha).await;
        world.tests(run, sha, 1, cases).await;
    }
    let list = async |order, text: Option<&str>| {
        let filter = TestFilter { repository: "o/r".into(), text: text.map(str::to_owned), order, skip: 0, limit: 10 };
        let tests = world.reports.tests(filter).await.unwrap();
        let shown = |test: &TestListed| {
            format!(
                "{} {}/{} {}/{} {}",
                test.name,
                test.failures,
                test.results,
                test.flaky,
                test.commits,
                test.last.word()
            )
        };
        tests.iter().map(shown).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(list(TestOrder::Flaky, None).await, "both 1/3 1/2 passed; retried 0/3 1/2 passed");
    assert_eq!(list(TestOrder::Failing, None).await, "broken 2/3 0/2 passed; both 1/3 1/2 passed");
    assert_eq!(list(TestOrder::Name, Some("STEAD")).await, "steady 0/3 0/2 passed");
    let filter = TestFilter { repository: "o/r".into(), order: TestOrder::Slow, limit: 10, ..TestFilter::default() };
    let all = world.reports.tests(filter).await.unwrap();
    assert_eq!((all.len(), all[0].time_us), (4, 2_000));
    assert!(
        world.reports.tests(TestFilter { repository: "o/x".into(), ..TestFilter::default() }).await.unwrap().is_empty()
    );
    let both = all.iter().find(|test| test.name == "both").unwrap().id;
    let history = world.reports.history(both, 2).await.unwrap().unwrap();
    assert_eq!((history.test.results, history.test.flaky, history.test.flaky_score), (3, 1, 0.5));
    let seen: Vec<_> = history.history.iter().map(|seen| (seen.run.0, seen.sha.as_str(), seen.outcome)).collect();
    assert_eq!(seen, [(3, "2", Outcome::Passed), (2, "1", Outcome::Passed)]);
    assert_eq!(world.reports.history(4_711, 2).await.unwrap(), None);
    assert_eq!(world.reports.repositories().await.unwrap(), ["o/r"]);
}

#[tokio::test]
async fn coverage_is_compared_with_the_last_green_run() {
    let world = World::new();
    let file = |path: &str, covered, total| FileCoverage {
        path: path.into(),
        lines: Rate { covered, total },
        branches: Rate::default(),
    };
    let keep = async |run, sha: &str, covered| {
        let files = vec![file("a.rs", covered, 50), file("b.rs", 10, 50)];
        world.reports.keep_coverage(origin(run, sha, 1), files, "main").await.unwrap()
    };
    let first = world.run("1").await;
    assert_eq!(keep(first, "1", 30).await.before, None);
    world.green(first).await;
    let red = world.run("2").await;
    assert_eq!(keep(red, "2", 0).await.before.unwrap().run, first);
    let third = world.run("3").await;
    let kept = keep(third, "3", 40).await;
    assert_eq!((kept.lines, kept.before.as_ref().unwrap().sha.as_str()), (Rate { covered: 50, total: 100 }, "1"));
    assert!((kept.delta().unwrap() - 10.0).abs() < 1e-9);
    assert_eq!(world.reports.coverage_of_run(third).await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(world.reports.covered_files(kept.id).await.unwrap().unwrap()[0], file("a.rs", 40, 50));
    assert_eq!(world.reports.covered_files(99).await.unwrap(), None);
}
