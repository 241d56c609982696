//! Images that were scanned, advisories that come later, and what follows, at times that pass when they are told to.

use engine::notify::{Audience, Channel, Form};
use engine::step::trial::Trial;
use engine::store::deployments::DeploymentChange;
use engine::store::outbox::{News, Outbox};
use engine::store::reports::Reports;
use engine::store::rollouts::NewRollout;
use engine::store::scans::{NewScan, Scans};
use engine::store::verdicts::{ScanRule, Standing};
use engine::store::{NewRun, Options, RunLog as _, SqliteStore};
use scanners::package::{Ecosystem, Inventory, Package};
use scanners::policy::{Policy, Threshold};
use serde_json::{Value, json};
use workflow::run::{EVENT_VERSION, JobRunKey, Recorded, RunEvent};

use super::*;
use crate::action::approve::Approve;
use crate::rollout::simulated::VirtualClock;
use crate::scan::found;

const IMAGE: &str = "sha256:0a5e";

struct World {
    folder: tempfile::TempDir,
    database: Database,
    store: SqliteStore,
    outbox: Outbox,
    clock: Arc<VirtualClock>,
}

/// An advisory of npm about `name` below `fixed`.
fn advisory(id: &str, name: &str, severity: &str, fixed: &str) -> String {
    json!({
        "schema_version": "1.6.0", "id": id, "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "summary": "it breaks", "database_specific": {"severity": severity},
        "affected": [{"package": {"ecosystem": "npm", "name": name},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]
    })
    .to_string()
}

fn package(name: &str, version: &str) -> Package {
    Package {
        ecosystem: Ecosystem::Npm,
        name: name.into(),
        version: version.into(),
        architecture: String::new(),
        source: None,
        licences: Vec::new(),
        locations: Vec::new(),
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let (store, outbox) = (SqliteStore::on(database.clone()), Outbox::on(database.clone()));
        let this = Self { folder, database, store, outbox, clock: VirtualClock::new() };
        // What makes npm a release of which there are advisories.
        this.advise("GHSA-0000-0000-0000", "left-pad", "LOW", "0.0.1");
        this
    }

    fn advise(&self, id: &str, name: &str, severity: &str, fixed: &str) {
        let folder = self.folder.path().join("advisories");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{id}.json")), advisory(id, name, severity, fixed)).unwrap();
    }

    fn advisories(&self) -> advisory::Database {
        advisory::Database::at(&self.folder.path().join("advisories"))
    }

    fn again(&self) -> Again {
        let audience = Audience {
            target: "notify team".into(),
            on: Occasion::defaults(),
            environments: vec!["prod*".into()],
            per_minute: 20,
            ..Audience::default()
        };
        let channel = Channel { name: "team".into(), form: Form::Slack, place: String::new(), audience };
        let url = Some("https://ci.example/".to_owned());
        let herald = Herald::new(self.outbox.clone(), vec![channel], url, Arc::default());
        Again::new(&self.database, herald, self.advisories())
    }

    async fn told(&self) -> Vec<Value> {
        let mut told = Vec::new();
        for one in self.outbox.told(None, None, 100).await.unwrap().iter().rev() {
            let message = self.outbox.begin(one.id).await.unwrap().unwrap();
            told.push(serde_json::from_str(&message.body).unwrap());
        }
        told
    }

    /// What `pipe/scan` keeps of an image with lodash and minimist.
    async fn scan(&self, image: &str, change: impl FnOnce(&mut Policy)) -> RunId {
        let new = NewRun { repository: "o/shop".into(), git_ref: "refs/heads/main".into(), ..NewRun::default() };
        let run = self.store.create_run(new).await.unwrap().id;
        let mut policy = Policy { database_age_max: SignedDuration::from_hours(24 * 3_660), ..Policy::built_in() };
        change(&mut policy);
        let inventory = Inventory {
            target: "shop/web:1".into(),
            image_id: Some(image.into()),
            packages: vec![package("lodash", "4.17.15"), package("minimist", "1.2.0")],
            ..Inventory::default()
        };
        let mut case = Case::new(inventory, policy);
        case.is_matched = true;
        let now = self.clock.now();
        let index = self.advisories().open(now).unwrap();
        let verdict = case.judge(Ok(&index), now).1;
        case.note(&verdict);
        let place = Place { repository: "o/shop".into(), run, job: "scan".into(), step: 1 };
        let reports = Reports::on(self.database.clone());
        reports.verdicts().record(said(place.clone(), image.into(), &verdict, None)).await.unwrap();
        let scan = NewScan {
            repository: "o/shop".into(),
            subject: "shop/web".into(),
            is_image: true,
            run,
            job: "scan".into(),
            step: 1,
            outcome: verdict.outcome.as_str().into(),
            sentence: verdict.sentence(),
            at: now,
            found: found(&verdict.judged),
        };
        reports.scans().record(scan).await.unwrap();
        let new = engine::store::cases::NewCase {
            repository: place.repository,
            image: image.into(),
            digests: Vec::new(),
            target: "shop/web:1".into(),
            run,
            job: place.job,
            step: 1,
            body: case.pack().unwrap(),
            at: now,
            advisories: Some(stamp(&index.digest(), index.as_of())),
        };
        assert!(reports.scan_cases().keep(new).await.unwrap());
        run
    }

    async fn deployed(&self, run: RunId, environment: &str) {
        let fact = Recorded { v: EVENT_VERSION, seq: 1, at: Timestamp::now(), event: RunEvent::RunStarted };
        self.store.append(run, &[fact]).await.unwrap();
        self.outbox.recover().await.unwrap();
        let position = self.outbox.open_runs().await.unwrap().into_iter().find(|one| one.run == run).unwrap();
        let change = DeploymentChange {
            job: JobRunKey::parse("deploy"),
            repository: "o/shop".into(),
            environment: environment.into(),
            state: "success",
            url: None,
            at: Timestamp::now(),
            is_open: false,
        };
        let news = News { deployments: vec![change], ..News::default() };
        self.outbox.record(position, 1, false, news, Timestamp::now()).await.unwrap();
    }

    /// What an environment that asks for scans is told of the image.
    async fn standing(&self, image: &str) -> Result<String, String> {
        let verdicts = Reports::on(self.database.clone()).verdicts();
        match verdicts.standing("o/shop", image, ScanRule::default(), self.clock.now()).await.unwrap() {
            Standing::Passed(said) => Ok(said.sentence),
            Standing::Refused(words) => Err(words),
        }
    }

    async fn case(&self) -> CaseRow {
        Cases::on(self.database.clone()).of("o/shop").await.unwrap().remove(0)
    }

    /// Waits until nobody does anything before this time comes.
    async fn idle(&self) -> Timestamp {
        loop {
            if let Some(next) = self.clock.next() {
                return next;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, time: SignedDuration) {
        self.idle().await;
        self.clock.advance(self.clock.now() + time);
        self.idle().await;
    }
}

/// Through the loop of a server: an advisory comes, the image is refused, people are told once; it is withdrawn, and the image passes.
#[tokio::test]
async fn what_stands_is_held_against_newer_advisories() {
    let world = World::new();
    let run = world.scan(IMAGE, |_| {}).await;
    world.deployed(run, "production").await;
    let stop = CancellationToken::new();
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let looking = tokio::spawn(world.again().run(clock, stop.clone()));
    world.pass(SignedDuration::from_mins(10)).await;
    assert_eq!(world.standing(IMAGE).await, Ok("pass: nothing was found".into()), "nothing has changed");
    assert_eq!(world.told().await.len(), 0);
    world.advise("GHSA-p6mc-m468-83gw", "lodash", "CRITICAL", "4.17.20");
    world.advise("GHSA-xvch-5gv4-984h", "minimist", "LOW", "1.2.6");
    world.pass(SignedDuration::from_mins(2)).await;
    let refused = world.standing(IMAGE).await.unwrap_err();
    let since = "fail: 1 of 2 findings fails; new since the scan: GHSA-p6mc-m468-83gw in lodash (critical)";
    assert!(refused.contains(&format!("scanned in run {run}")) && refused.ends_with(since), "{refused}");
    let told = world.told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["event"], &told[0]["title"], &told[0]["lines"][0]),
        (
            &json!("new_findings"),
            &json!("1 new finding in shop/web, which stands in production"),
            &json!("GHSA-p6mc-m468-83gw in lodash (critical)")
        )
    );
    assert_eq!(told[0]["url"], "https://ci.example/findings?repository=o%2Fshop&state=standing");
    // Both are shown with the scan, as what it did not know.
    let scans = Scans::on(world.database.clone());
    let scan = scans.of_first("o/shop", &[run]).await.unwrap().remove(0);
    let rows = scans.at(&scan).await.unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.fails, row.is_later)).collect();
    assert_eq!(shown, [("GHSA-p6mc-m468-83gw", true, true), ("GHSA-xvch-5gv4-984h", false, true)]);
    // A day later it is judged again, and nobody is told again.
    let before = world.case().await.matched_at;
    world.pass(SignedDuration::from_hours(25)).await;
    assert!(world.case().await.matched_at > before);
    world.advise("GHSA-p6mc-m468-83gw", "lodash", "CRITICAL", "4.17.1");
    world.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(world.standing(IMAGE).await, Ok("pass: none of 1 finding fails".into()));
    assert_eq!(world.outbox.told(None, None, 100).await.unwrap().len(), 1);
    stop.cancel();
    looking.await.unwrap();
}

#[tokio::test]
async fn a_grace_that_ends_makes_an_image_fail_although_no_advisory_has_changed() {
    let world = World::new();
    world.advise("GHSA-p6mc-m468-83gw", "lodash", "CRITICAL", "4.17.20");
    let now = world.clock.now();
    let published: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    // So that it ends in three days.
    let grace = now.duration_since(published) + SignedDuration::from_hours(72);
    world.scan(IMAGE, |policy| policy.grace = vec![(scanners::finding::Severity::Critical, grace)]).await;
    let mut again = world.again();
    for (hours, passes) in [(0, true), (71, true), (96, false)] {
        world.clock.advance(now + SignedDuration::from_hours(hours));
        again.look(world.clock.now()).await.unwrap();
        assert_eq!(world.standing(IMAGE).await.is_ok(), passes, "after {hours} hours");
    }
    assert_eq!(world.told().await.len(), 0, "it stands nowhere");
}

#[tokio::test]
async fn what_cannot_be_trusted_changes_no_verdict_and_is_kept() {
    let world = World::new();
    let run = world.scan(IMAGE, |policy| policy.database_age_max = SignedDuration::from_hours(24 * 365)).await;
    world.deployed(run, "production").await;
    let mut again = world.again();
    world.advise("GHSA-p6mc-m468-83gw", "lodash", "CRITICAL", "4.17.20");
    let later = world.clock.now() + SignedDuration::from_hours(24 * 400);
    assert_eq!(again.look(later).await.unwrap(), 1);
    assert!(world.standing(IMAGE).await.is_ok());
    let problem = world.case().await.problem.unwrap();
    assert!(problem.contains("older than 365 days"), "{problem}");
    assert_eq!(again.look(later + SignedDuration::from_mins(1)).await.unwrap(), 0, "once a day");
    // Advisories that are gone or damaged are no reason to forget anything.
    std::fs::remove_dir_all(world.folder.path().join("advisories")).unwrap();
    assert_eq!(again.look(later + SignedDuration::from_hours(48)).await.unwrap(), 0);
    assert!(world.standing(IMAGE).await.is_ok());
    assert!(again.problem.is_some());
}

/// An image that a rollout gave requests to, whose run was another one than the one that scanned.
#[tokio::test]
async fn what_rollouts_give_requests_to_stands() {
    let world = World::new();
    world.scan(IMAGE, |policy| policy.fail_on = vec![Threshold::Severity(scanners::finding::Severity::Low)]).await;
    world.scan("sha256:blue", |_| {}).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut trial = Trial::new(scratch.path().to_path_buf(), scratch.path().join("w"), scratch.path());
    trial.run.environment = Some("production".into());
    let rollouts = Rollouts::on(world.database.clone());
    // The view of something that is over, to be changed.
    let action = Approve { rollouts: Some(rollouts.clone()) };
    trial.run(&action, &[("timeout", "0s"), ("subject", "go?")]).await.result.unwrap_err();
    let mut view = rollouts.get(1).await.unwrap().unwrap().view;
    view["green"]["weight"] = json!(1_000);
    view["green"]["revision"]["image"] = IMAGE.into();
    view["blue"] = view["green"].clone();
    view["blue"]["weight"] = json!(0);
    view["blue"]["revision"]["image"] = "sha256:blue".into();
    let new = NewRollout {
        key: "web".into(),
        environment: "prod-eu".into(),
        service: "web".into(),
        repository: "O/Shop".into(),
        run: None,
        job: String::new(),
        actor: "ada".into(),
        plan_hash: "sha256:1".into(),
        fact: json!({}),
        view,
        at: Timestamp::now(),
    };
    rollouts.create(new).await.unwrap();
    world.advise("GHSA-p6mc-m468-83gw", "lodash", "CRITICAL", "4.17.20");
    assert_eq!(world.again().look(world.clock.now()).await.unwrap(), 2);
    let titles: Vec<_> = world.told().await.iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles, ["1 new finding in shop/web, which stands in prod-eu"]);
    assert!(world.standing("sha256:blue").await.is_err(), "it can be gone back to, and is refused");
}
