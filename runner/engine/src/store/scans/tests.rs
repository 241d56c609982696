//! Scans of runs, one after the other.

use super::*;
use crate::store::verdicts::FindingLine;
use crate::store::{NewRun, Options, SqliteStore};

struct World {
    store: SqliteStore,
    scans: Scans,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        Self { store: SqliteStore::on(database.clone()), scans: Scans::on(database), _folder: folder }
    }

    async fn run(&self, git_ref: &str) -> RunId {
        let new = NewRun { repository: "o/r".into(), git_ref: git_ref.into(), ..NewRun::default() };
        self.store.create_run(new).await.unwrap().id
    }

    /// Findings as `NAME:SEVERITY`; `cut`: how many more there were.
    async fn scan(&self, run: RunId, outcome: &str, found: &str, cut: usize) {
        let lines = found.split(' ').filter_map(|one| one.split_once(':')).map(|(name, severity)| FindingLine {
            fingerprint: name.into(),
            id: format!("CVE-{name}"),
            subject: "openssl".into(),
            severity: severity.into(),
            fails: severity == "critical",
        });
        let worst: Vec<_> = lines.collect();
        let new = NewScan {
            repository: "O/R".into(),
            subject: "shop/orders".into(),
            is_image: true,
            run,
            job: "scan".into(),
            step: 1,
            outcome: outcome.into(),
            sentence: outcome.into(),
            at: Timestamp::from_second(run.0.cast_signed() * 60).unwrap(),
            found: Found { count: worst.len() + cut, worst },
        };
        self.scans.record(new).await.unwrap();
    }

    /// `NAME first-last` of what is open, `NAME first-last fixed` of what is gone.
    async fn told(&self, which: Which) -> Vec<String> {
        let filter = FindingFilter {
            repository: "o/r".into(),
            git_ref: "refs/heads/main".into(),
            which,
            limit: 100,
            ..FindingFilter::default()
        };
        self.scans.findings(filter).await.unwrap().iter().map(line).collect()
    }
}

fn line(it: &FindingRow) -> String {
    let fixed = it.fixed_run.map(|run| format!(" {run}")).unwrap_or_default();
    format!("{} {}-{}{fixed}", it.fingerprint, it.first_run, it.last_run)
}

#[tokio::test]
async fn findings_come_and_go() {
    let world = World::new();
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(world.run("refs/heads/main").await);
    }
    let [one, two, three, four, five, six] = runs[..] else { panic!() };
    world.scan(one, "fail", "a:low b:critical", 0).await;
    world.scan(two, "pass", "a:low c:high", 0).await;
    assert_eq!(world.told(Which::Open).await, ["c 2-2", "a 1-2"], "the worst first");
    assert_eq!(world.told(Which::Fixed).await, ["b 1-1 2"]);
    // Neither what cannot be trusted nor what is cut mends anything.
    world.scan(three, "untrusted", "", 0).await;
    world.scan(four, "fail", "a:low", 9).await;
    assert_eq!(world.told(Which::Open).await, ["c 2-2", "a 1-4"]);
    // It comes back as another one.
    world.scan(six, "fail", "b:critical", 0).await;
    assert_eq!(world.told(Which::Open).await, ["b 6-6"]);
    assert_eq!(world.told(Which::Fixed).await, ["c 2-2 6", "a 1-4 6", "b 1-1 2"]);
    // An older run that took longer, and a step that is taken up.
    world.scan(five, "fail", "d:high", 0).await;
    world.scan(six, "pass", "", 0).await;
    assert_eq!(world.told(Which::Open).await, ["b 6-6"]);
    let pull = world.run("refs/pull/1/merge").await;
    world.scan(pull, "fail", "e:high", 0).await;
    assert_eq!(world.scans.refs("o/r").await.unwrap(), ["refs/heads/main"]);
    // What was there at each time.
    let at = async |run: RunId| {
        let scan = world.scans.of_first("o/r", &[run]).await.unwrap().remove(0);
        let found = world.scans.at(&scan).await.unwrap();
        (scan.is_counted, found.iter().map(|it| it.fingerprint.clone()).collect::<String>())
    };
    assert_eq!(at(one).await, (true, "ba".into()));
    assert_eq!(at(two).await, (true, "ca".into()));
    assert_eq!(at(five).await, (false, String::new()));
    assert_eq!(at(six).await, (true, "b".into()));
    let first = world.scans.of_first("o/r", &[pull, two, six]).await.unwrap();
    assert_eq!((first.len(), first[0].run), (1, two));
    let newest = world.scans.newest("o/r", "refs/heads/main").await.unwrap();
    assert_eq!(newest.iter().map(|scan| scan.run).collect::<Vec<_>>(), [five], "as it came");
}

#[tokio::test]
async fn what_is_old_goes_and_what_is_open_stays() {
    let world = World::new();
    let runs =
        [world.run("refs/heads/main").await, world.run("refs/heads/main").await, world.run("refs/heads/main").await];
    world.scan(runs[0], "fail", "a:low b:low", 0).await;
    world.scan(runs[1], "fail", "a:low", 0).await;
    world.scan(runs[2], "fail", "a:low", 0).await;
    assert_eq!(world.scans.prune(Timestamp::from_second(90).unwrap()).await.unwrap(), 0, "fixed after that");
    assert_eq!(world.scans.prune(Timestamp::MAX).await.unwrap(), 1);
    assert_eq!((world.told(Which::Open).await, world.told(Which::Fixed).await), (vec!["a 1-3".to_owned()], vec![]));
    assert_eq!(world.scans.of_first("o/r", &runs).await.unwrap()[0].run, runs[0], "it names the first one");
}

#[test]
fn images_are_known_by_their_names() {
    for (target, expected) in [
        ("shop/orders:1.2", "shop/orders"),
        ("shop/orders", "shop/orders"),
        ("registry.example:5000/shop/orders", "registry.example:5000/shop/orders"),
        ("registry.example:5000/shop/orders:7@sha256:00", "registry.example:5000/shop/orders"),
    ] {
        assert_eq!(image_name(target), expected);
    }
}
