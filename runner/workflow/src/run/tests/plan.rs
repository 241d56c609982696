//! Plan and run follow `needs` and `if:` with code of their own; random workflows hold them together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::random::{CALLED, going_on};
use super::world::{World, facts, workflow};
use crate::event::{Event, GithubFacts, github_context};
use crate::plan::{Plan, PlanFacts, PlannedJob, Prediction};
use crate::run::{Conclusion, JobState, JobStatus, Run};
use crate::trigger::tests::facts as event_facts;

const CONDITIONS: [&str; 9] = [
    "",
    "always()",
    "failure()",
    "!cancelled()",
    "success() || failure()",
    "github.actor == 'nobody'",
    "github.event_name == 'push'",
    "always() && github.event_name == 'release'",
    "vars.ONE == '1' && success()",
];

/// A job: what it needs by bits, its condition, and whether it calls a workflow.
type RandomJob = (u8, usize, bool);

fn text(jobs: &[RandomJob]) -> String {
    let mut text = String::new();
    // The file's order is not that of needs.
    for (index, (bits, condition, call)) in jobs.iter().enumerate().rev() {
        let needs: Vec<_> = (0..index).filter(|need| bits & (1 << need) != 0).map(|need| format!("j{need}")).collect();
        let condition = match CONDITIONS[*condition] {
            "" => String::new(),
            condition => format!("if: \"{condition}\", "),
        };
        let kind = if *call { "uses: ./.github/workflows/c.yml }" } else { "$ }" };
        writeln!(text, "j{index}: {{ needs: [{}], {condition}{kind}", needs.join(", ")).unwrap();
    }
    text + CALLED
}

fn plan(text: &str) -> Plan {
    let event = Event::push(&event_facts("refs/heads/main")).unwrap();
    let github = github_context(&event, &GithubFacts::default());
    let vars = Map::from_iter([("ONE".to_owned(), json!("1"))]);
    Plan::new(&workflow(text), &PlanFacts { event: Arc::new(event), inputs: Map::new(), github, vars }).unwrap()
}

/// The state of a planned job, once the run knows of it.
fn state<'a>(run: &'a Run, job: &PlannedJob) -> Option<&'a JobState> {
    run.jobs.iter().find(|(path, _)| path.as_str() == job.id.as_str()).map(|(_, state)| state)
}

/// A job is decided as soon as all that its plan says it waits for has a result, and never before.
fn decided_in_time(plan: &Plan, run: &Run) {
    for (index, job) in plan.indexed() {
        let caller = plan.frame(job.frame).caller.map(|caller| plan.job(caller));
        let called = caller.is_none_or(|caller| {
            state(run, caller).is_some_and(|state| state.runs.iter().any(|run| run.call_inputs.is_some()))
        });
        let needs = job.needs.iter().all(|need| {
            let before =
                plan.order.iter().position(|other| other == need) < plan.order.iter().position(|it| *it == index);
            assert!(before, "{} stands before what it needs", job.id);
            state(run, plan.job(*need)).is_some_and(|state| state.result().is_some())
        });
        let decided = state(run, job).is_some_and(|state| state.status != JobStatus::Pending);
        assert_eq!(decided, called && needs, "{}", job.id);
    }
}

/// What was predicted is what has become of it; `well`: nothing failed.
fn predicted(plan: &Plan, run: &Run, well: bool) {
    for job in &plan.jobs {
        let status = state(run, job).map(|state| &state.status);
        let skipped = matches!(status, None | Some(JobStatus::Skipped(_)));
        match &job.prediction {
            Prediction::Skipped { .. } | Prediction::SkippedWith { .. } => {
                assert!(skipped, "{} was to be skipped: {status:?}", job.id);
            }
            Prediction::Runs if well => assert!(!skipped, "{} was to run: {status:?}", job.id),
            Prediction::Runs | Prediction::Depends => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_goes_as_its_plan_says(
        jobs in proptest::collection::vec((any::<u8>(), 0..CONDITIONS.len(), proptest::bool::weighted(0.2)), 1..7),
        dice in proptest::collection::vec(any::<u8>(), 0..12),
        well in any::<bool>(),
    ) {
        let text = text(&jobs);
        let plan = plan(&text);
        let mut world = World::of(facts(workflow(&text)));
        world.settle();
        let mut dice = dice.into_iter().chain(std::iter::repeat(1));
        while let Some(dice) = dice.next().filter(|_| world.run.conclusion().is_none()) {
            decided_in_time(&plan, &world.run);
            let open = going_on(&world.run);
            let key = open[usize::from(dice) % open.len()].clone();
            let failed = !well && dice % 3 == 0;
            world.finish(&key, if failed { Conclusion::Failure } else { Conclusion::Success }, BTreeMap::new());
            world.settle();
        }
        predicted(&plan, &world.run, well);
    }
}
