//! A stage for the tests of the pages: rollouts in the database of a server that runs, driven in a world that is simulated.
//!
//! `stage DATABASE` reads lines, and stays as long as its input is open:
//! `begin ENVIRONMENT SERVICE VERSION REPOSITORY RUN JOB ERRORS` begins a rollout whose green answers with so many errors in a
//! thousand, and prints its number; steps last an hour, so that they end by orders or by evidence. `break NUMBER`: its target
//! does nothing more. `scan REPOSITORY RUN TARGET FOUND` keeps what a scan said of an image; FOUND is `NAME:SEVERITY,…`.

#![expect(clippy::print_stdout, reason = "its answers")]

use std::collections::BTreeMap;
use std::error::Error;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use engine::store::reports::Reports;
use engine::store::rollouts::{Addition, NewRollout, RolloutState, Rollouts};
use engine::store::scans::{NewScan, image_name};
use engine::store::verdicts::{FindingLine, Found, ImageVerdict};
use engine::store::{Database, Options, RunId};
use jiff::{SignedDuration, Timestamp};
use rollout::machine::Effect;
use rollout::plan::{Analysis, Inconclusive, Metric, OnActive, Revision, RollbackOn};
use rollout::simulated::World;
use rollout::{Fact, Outcome, Plan, Rollout, Schedule, Step, View, Weight};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How often the world goes on.
const TICK: Duration = Duration::from_millis(50);
/// How long a step lasts by itself.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Facts that follow each other without waiting; more goes round in circles.
const TURNS_MAX: usize = 1_000;
/// Rollouts that may be begun.
const ROLLOUTS_MAX: usize = 100;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A rollout in its world.
struct Going {
    rollout: Rollout,
    world: World,
    id: u64,
    seq: u64,
    /// The last order that was taken up.
    last: u64,
    is_broken: bool,
    is_over: bool,
}

/// Locks the files of rollouts to come, as the process does that carries them: the server leaves them to us.
fn carry(database: &Path) -> Result<Vec<std::fs::File>> {
    let folder = database.parent().ok_or("the database lies in no folder")?.join("rollouts");
    std::fs::create_dir_all(&folder)?;
    let lock = |id: usize| {
        let file = std::fs::File::create(folder.join(format!("{id}.lock")))?;
        file.try_lock()?;
        Ok(file)
    };
    (1..=ROLLOUTS_MAX).map(lock).collect()
}

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or("usage: stage DATABASE")?;
    // Under another name, so that the server's lock beside the file is not in the way.
    let folder = tempfile::tempdir()?;
    let alias = folder.path().join("pipe.db");
    symlink(Path::new(&path).canonicalize()?, &alias)?;
    let database = Database::open(&alias, Options::LOCAL)?;
    let (rollouts, verdicts) = (Rollouts::on(database.clone()), Reports::on(database));
    let _carried_here = carry(Path::new(&path))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut going: BTreeMap<u64, Going> = BTreeMap::new();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                match line.split(' ').collect::<Vec<_>>().as_slice() {
                    ["begin", words @ ..] => {
                        let one = begin(&rollouts, words).await?;
                        println!("{}", one.id);
                        going.insert(one.id, one);
                    }
                    ["break", id] => {
                        going.get_mut(&id.parse()?).ok_or("no such rollout goes on")?.is_broken = true;
                        println!("{id}");
                    }
                    ["scan", words @ ..] => {
                        scan(&verdicts, words).await?;
                        println!("0");
                    }
                    _ => return Err(format!("what is `{line}`?").into()),
                }
            }
            () = tokio::time::sleep(TICK) => {
                for one in going.values_mut() {
                    one.tick(&rollouts).await?;
                }
                going.retain(|_, one| !one.is_over);
            }
        }
    }
}

/// What a scan of an image found. The image is one of its own for each run.
async fn scan(verdicts: &Reports, words: &[&str]) -> Result<()> {
    let [repository, run, target, found] = words else { return Err(format!("what is `{words:?}`?").into()) };
    let run = RunId(run.parse()?);
    let lines = found.split(',').filter_map(|one| one.split_once(':')).map(|(name, severity)| FindingLine {
        fingerprint: name.to_owned(),
        id: format!("CVE-{name}"),
        subject: "openssl".to_owned(),
        severity: severity.to_owned(),
        fails: severity == "critical",
    });
    let worst: Vec<FindingLine> = lines.collect();
    let failed = worst.iter().filter(|one| one.fails).count();
    let outcome = if failed > 0 { "fail" } else { "pass" };
    let said = ImageVerdict {
        repository: (*repository).to_owned(),
        image: format!("sha256:{:064x}", run.0),
        target: (*target).to_owned(),
        run,
        job: "scan".to_owned(),
        step: 1,
        outcome: outcome.to_owned(),
        sentence: format!("{outcome}: {failed} of {} findings fail", worst.len()),
        advisories: None,
        advisories_at: None,
        policy: format!("sha256:{}", "90".repeat(32)),
        policy_name: ".pipe/gate.yml".to_owned(),
        at: Timestamp::now(),
        findings: Some(Found { count: worst.len(), worst }),
        again: false,
    };
    let new = NewScan {
        repository: said.repository.clone(),
        subject: image_name(&said.target).to_owned(),
        is_image: true,
        run,
        job: said.job.clone(),
        step: said.step,
        outcome: said.outcome.clone(),
        sentence: said.sentence.clone(),
        at: said.at,
        found: said.findings.clone().unwrap_or_default(),
    };
    verdicts.scans().record(new).await?;
    Ok(verdicts.verdicts().record(said).await?)
}

async fn begin(rollouts: &Rollouts, words: &[&str]) -> Result<Going> {
    let [environment, service, version, repository, run, job, errors] = words else {
        return Err(format!("what is `{words:?}`?").into());
    };
    let now = Timestamp::now();
    let plan = plan(environment, service, version, repository);
    let plan_hash = plan.hash();
    let first = Fact::Planned { plan: Box::new(plan), by: "grace".to_owned() };
    let new = NewRollout {
        key: format!("{service} {version} {now}"),
        environment: (*environment).to_owned(),
        service: (*service).to_owned(),
        repository: (*repository).to_owned(),
        run: Some(RunId(run.parse()?)),
        job: (*job).to_owned(),
        actor: "grace".to_owned(),
        plan_hash: plan_hash.to_string(),
        fact: serde_json::to_value(&first)?,
        view: serde_json::to_value(Rollout::new(0, now, &first)?.view(now))?,
        at: now,
    };
    let row = rollouts.create(new).await?;
    let blue = Revision {
        id: 0,
        image: format!("shop/{service}@sha256:{}", "0123456789abcdef".repeat(4)),
        version: "v1".to_owned(),
        commit: "1a38bd2".repeat(5),
    };
    let mut world = World::new(now, Some(blue));
    (world.rate, world.next.errors) = (100, errors.parse()?);
    let rollout = Rollout::new(row.id, now, &first)?;
    Ok(Going { rollout, world, id: row.id, seq: row.seq, last: 0, is_broken: false, is_over: false })
}

fn plan(environment: &str, service: &str, version: &str, repository: &str) -> Plan {
    let step = |weight| Step { weight: Weight(weight), hold: HOUR, analyse: weight < 1_000, pause: false };
    Plan {
        environment: environment.to_owned(),
        service: service.to_owned(),
        repository: repository.to_owned(),
        commit: "93a57a0".repeat(5),
        image: format!("shop/{service}@sha256:{}", "fedcba9876543210".repeat(4)),
        version: version.to_owned(),
        target: "local".to_owned(),
        settings: json!({ "replicas": 2, "port": 8080 }),
        schedule: Schedule::of([100, 500, 1_000].map(step).into()),
        analysis: Analysis {
            metrics: vec![Metric::Errors, Metric::LatencyP95, Metric::Restarts],
            max_ratio: 1.2,
            alpha: 0.05,
            min_requests: 50,
            inconclusive: Inconclusive::Extend,
            max_extend: HOUR,
        },
        rollback_on: RollbackOn::ALL,
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: SignedDuration::from_mins(1),
        timeout: HOUR * 24,
        keep_blue: HOUR,
        tick: SignedDuration::from_millis(200),
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}

impl Going {
    /// Lets time pass, and does what there is to do.
    async fn tick(&mut self, rollouts: &Rollouts) -> Result<()> {
        let now = Timestamp::now();
        self.world.advance(now);
        for order in rollouts.orders_after(self.id, self.last).await? {
            self.last = order.id;
            let word = serde_json::from_value(json!(order.word))?;
            let fact = Fact::Ordered { order: word, by: order.actor, comment: order.comment, number: order.id };
            // What is not possible any more is passed over.
            if self.rollout.clone().apply(now, &fact).is_ok() {
                self.keep(rollouts, now, fact).await?;
            }
        }
        for _ in 0..TURNS_MAX {
            let decision = self.rollout.decide(now);
            if decision.is_over {
                self.is_over = true;
                return Ok(());
            }
            let fact = if let Some(fact) = decision.facts.into_iter().next() {
                fact
            } else if decision.lock.is_some() {
                Fact::Locked { token: self.rollout.token().unwrap_or_default() + 1 }
            } else if decision.observe {
                let (blue, green) = (self.rollout.blue().map(|blue| blue.id), self.rollout.green().id);
                Fact::Observed(Box::new(self.world.observe(blue, green)))
            } else if let Some(effect) = decision.call {
                self.perform(&effect)
            } else {
                return Ok(());
            };
            self.keep(rollouts, now, fact).await?;
        }
        Err("it goes round in circles".into())
    }

    fn perform(&mut self, effect: &Effect) -> Fact {
        let number = effect.number;
        if self.is_broken {
            return Fact::Failed { effect: number, reason: "the daemon does not answer: start it".to_owned() };
        }
        let (blue, green) = (self.rollout.blue().cloned(), self.rollout.green());
        match self.world.perform((self.id, number), &effect.call, blue.as_ref(), &green, None) {
            Ok(result) => Fact::Done { effect: number, result },
            Err(reason) => Fact::Failed { effect: number, reason },
        }
    }

    async fn keep(&mut self, rollouts: &Rollouts, now: Timestamp, fact: Fact) -> Result<()> {
        self.rollout.apply(now, &fact)?;
        let view: View = self.rollout.view(now);
        let state = match view.outcome {
            None => RolloutState::Active,
            Some(_) if fact == Fact::Closed => RolloutState::Closed,
            Some(Outcome::Succeeded | Outcome::RolledBack | Outcome::Rejected | Outcome::Stuck) => RolloutState::Ended,
        };
        let facts = vec![(now, serde_json::to_value(&fact)?)];
        let addition =
            Addition { seq: self.seq, token: None, facts, view: serde_json::to_value(&view)?, state, passing: None };
        rollouts.append(self.id, addition).await?;
        self.seq += 1;
        Ok(())
    }
}
