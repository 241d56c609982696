//! Runs of random workflows with random outcomes in a random order. What must hold for each of them is stated here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::world::{World, facts, workflow};
use crate::run::{Command, Conclusion, Decision, JobPath, JobRunKey, Run, RunEvent, StepIndex, StepResult};

/// One job of a random workflow, and one thing that happens.
#[derive(Debug, Clone)]
struct RandomJob {
    needs: u8,
    condition: usize,
    legs: usize,
    extra: usize,
    call: bool,
}

const CONDITIONS: [&str; 7] =
    ["", "always()", "failure()", "cancelled()", "'!cancelled()'", "success() || failure()", "\"fromJSON('{')\""];
const EXTRAS: [&str; 7] = [
    "",
    "continue-on-error: true, ",
    "concurrency: g, ",
    "concurrency: { group: g, cancel-in-progress: true }, ",
    "concurrency: { group: h, queue: max }, ",
    "environment: both, ",
    "environment: { name: prod, url: '${{ steps.x.outputs.y }}' }, concurrency: g, ",
];
const STRATEGIES: [&str; 5] = [
    "",
    "strategy: { matrix: { n: [1] } }, ",
    "strategy: { matrix: { n: [1, 2] }, max-parallel: 1 }, ",
    "strategy: { matrix: { n: [1, 2, 3] }, fail-fast: false, max-parallel: 2 }, ",
    "strategy: { matrix: { n: [1], exclude: [{ n: 1 }] } }, ",
];
pub(super) const CALLED: &str = "@ ./.github/workflows/c.yml\non: workflow_call\njobs:\n  x: { $ }\n  \
                      y: { needs: x, if: always(), strategy: { matrix: { n: [1, 2] } }, $ }\n";

fn text(jobs: &[RandomJob]) -> String {
    let mut text = String::new();
    for (index, job) in jobs.iter().enumerate() {
        let needs: Vec<_> = (0..index).filter(|need| job.needs & (1 << need) != 0).map(|n| format!("j{n}")).collect();
        let condition = CONDITIONS[job.condition];
        let condition = if condition.is_empty() { String::new() } else { format!("if: {condition}, ") };
        let extra = if job.call && matches!(job.extra, 1 | 5 | 6) { "" } else { EXTRAS[job.extra] };
        let kind = if job.call { "uses: ./.github/workflows/c.yml }" } else { "$ }" };
        let keys = format!("needs: [{}], {condition}{extra}{}", needs.join(", "), STRATEGIES[job.legs]);
        writeln!(text, "j{index}: {{ {keys}{kind}").unwrap();
    }
    text + CALLED
}

fn jobs() -> impl Strategy<Value = Vec<RandomJob>> {
    let job = (any::<u8>(), 0..CONDITIONS.len(), 0..STRATEGIES.len(), 0..EXTRAS.len(), proptest::bool::weighted(0.2))
        .prop_map(|(needs, condition, legs, extra, call)| RandomJob { needs, condition, legs, extra, call });
    proptest::collection::vec(job, 1..6)
}

/// Job runs with steps that go on.
pub(super) fn going_on(run: &Run) -> Vec<JobRunKey> {
    run.job_runs()
        .filter(|(key, job)| job.in_progress() && run.steps_job(&key.job).is_some())
        .map(|(key, _)| key)
        .collect()
}

fn happen(world: &mut World, dice: u8) {
    let open = going_on(&world.run);
    let key = (!open.is_empty()).then(|| open[usize::from(dice) % open.len()].clone());
    match (dice >> 4, key) {
        (0, _) => world.record(vec![RunEvent::RunCancelRequested { by: "dice".into(), force: dice & 8 != 0 }]),
        (1, _) => world.now += std::time::Duration::from_secs(60 * 200),
        (2, _) => world.eager = !world.eager,
        (3, Some(key)) => step(world, key),
        (4 | 5, _) => review(world, dice & 8 == 0),
        (dice, Some(key)) => world.finish(&key, result(dice), BTreeMap::from([("o".into(), dice.to_string())])),
        (_, None) => world.eager = true,
    }
}

/// The first job run that waits for a review gets one.
fn review(world: &mut World, approved: bool) {
    let waiting = world.run.waiting_for_review().next().map(|(key, _)| key);
    if let Some(key) = waiting {
        world.review(&key, approved, "ada");
    }
}

fn result(dice: u8) -> Conclusion {
    match dice % 4 {
        0 => Conclusion::Failure,
        1 => Conclusion::Cancelled,
        _ => Conclusion::Success,
    }
}

fn step(world: &mut World, key: JobRunKey) {
    let step = StepIndex(u32::try_from(world.run.job_run(&key).unwrap().steps.len()).unwrap());
    let result = StepResult::plain(Conclusion::Success);
    world.record(vec![
        RunEvent::StepStarted { key: key.clone(), step, name: "x".into() },
        RunEvent::StepFinished { key, step, result },
    ]);
}

/// What must hold at every moment.
fn holds(world: &World) {
    let run = &world.run;
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    assert!(going_on(run).len() <= world.limits.parallel, "more at once than the machine bears");
    for (path, state) in &run.jobs {
        let legs = state.runs.iter().filter(|leg| leg.in_progress()).count();
        assert!(state.max_parallel.is_none_or(|max| legs <= max as usize), "{path}: more legs than max-parallel");
        for leg in &state.runs {
            if let Some(group) = leg.group.as_ref().filter(|group| group.acquired && leg.conclusion().is_none()) {
                *groups.entry(group.name.clone()).or_default() += 1;
            }
            let passed = leg.gate.as_ref().is_none_or(|gate| !gate.wants_review());
            let holds = leg.in_progress() || leg.group.is_some();
            assert!(passed || !holds, "{path} waits for a review and holds something");
            assert!(!leg.in_progress() || leg.group.as_ref().is_none_or(|group| group.acquired), "{path} has no group");
        }
        if !state.runs.is_empty() {
            let needs = run.job(path).unwrap().needs.iter();
            let ended = |id: &str| run.jobs[&path.sibling(id)].result().is_some();
            assert!(needs.map(|need| need.value.as_str()).all(ended), "{path} began before its needs ended");
        }
    }
    assert!(groups.values().all(|count| *count <= 1), "two in one group: {groups:?}");
    assert!(run.next_deadline(world.now).is_none_or(|deadline| deadline > world.now));
}

/// Everything that goes on is brought to its end.
fn finish(world: &mut World) {
    world.eager = true;
    world.settle();
    for _ in 0..1_000 {
        if let Some(key) = going_on(&world.run).into_iter().next() {
            world.finish(&key, Conclusion::Success, BTreeMap::new());
        } else if world.run.waiting_for_review().next().is_some() {
            review(world, true);
        } else if let Some(time) = world.run.next_deadline(world.now) {
            world.now = time;
        } else {
            break;
        }
        world.settle();
        holds(world);
    }
    assert!(world.run.conclusion().is_some(), "the run has no end: {:?}", world.asked);
    let open: Vec<_> = world.run.job_runs().filter(|(_, run)| run.conclusion().is_none()).collect();
    assert!(open.is_empty(), "{open:?}");
    assert!(world.run.decide(world.now, &world.limits).is_empty(), "something follows the end");
}

fn state(run: &Run) -> String {
    format!("{:?} {:?} {:?} {:?} {}", run.phase, run.group, run.cancel, run.jobs, run.seq)
}

/// A crash after every event: what was recorded gives the same state again, and the run comes to an end from there.
fn crash_everywhere(world: &World) {
    let mut replayed = Run::new(world.run.facts.clone());
    for event in &world.log {
        let before = state(&replayed);
        let again = serde_json::from_str(&serde_json::to_string(event).unwrap()).unwrap();
        assert_eq!(event, &again);
        replayed.apply(&again).unwrap();
        assert!(replayed.apply(&again).is_err(), "the same event twice");
        assert_ne!(state(&replayed), before, "{:?} changes nothing", event.event);
        if replayed.conclusion().is_none() {
            let mut next = World::of((*world.run.facts).clone());
            next.resume(replayed.clone(), event.at);
            next.limits = world.limits;
            finish(&mut next);
        }
    }
    assert_eq!(state(&replayed), state(&world.run));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_and_keeps_the_rules(jobs in jobs(), dice in proptest::collection::vec(any::<u8>(), 0..40), parallel in 1_usize..4) {
        let text = text(&jobs);
        let mut world = World::of(facts(workflow(&text)));
        world.limits.parallel = parallel;
        world.settle();
        for dice in dice {
            if world.run.conclusion().is_some() {
                break;
            }
            happen(&mut world, dice);
            world.settle();
            holds(&world);
        }
        if world.run.conclusion().is_none() {
            finish(&mut world);
        }
        crash_everywhere(&world);
    }
}

#[test]
fn five_hundred_jobs_are_decided_in_a_number_of_steps_that_fits_them() {
    let mut text = "first: { $ }\n".to_owned();
    for index in 0..498 {
        let need = |back: usize| if index < back { "first".to_owned() } else { format!("m{}", index - back) };
        let needs = std::collections::BTreeSet::from([need(3), need(7), need(31)]);
        let needs: Vec<_> = needs.into_iter().collect();
        writeln!(text, "m{index}: {{ needs: [{}], $ }}", needs.join(", ")).unwrap();
    }
    let mut world = World::new(&text);
    world.limits.parallel = 8;
    world.settle();
    while let Some(key) = going_on(&world.run).into_iter().next() {
        world.finish(&key, Conclusion::Success, BTreeMap::new());
        world.settle();
    }
    assert_eq!(world.run.conclusion(), Some(Conclusion::Success));
    // Two of the run itself, three of each job: nothing is recorded twice.
    assert_eq!(world.log.len(), 2 + 3 * world.run.jobs.len());
}

#[test]
fn work_is_asked_for_again_until_it_has_begun() {
    let mut world = World::new("a: { $ }\n");
    world.eager = false;
    world.settle();
    let key = JobRunKey::new(JobPath::root(&crate::model::JobId::new("a")), None);
    for _ in 0..3 {
        let asked = world.run.decide(world.now, &world.limits);
        assert_eq!(asked, [Decision::Do(Command::StartJobRun { key: key.clone() })]);
    }
}
