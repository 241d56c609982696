//! Logs that hold secrets in their hidden form: nothing of them in the log, and the same run again from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::world::{World, facts, workflow};
use crate::expression::Value;
use crate::run::{Conclusion, JobRunKey, Recorded, Run, RunFacts};

const TOKEN: &str = "ghs_0123456789";
const PIN: &str = "48151623";

/// A secret in every text that a run goes by.
const EVERYWHERE: &str = r#"
on: push
concurrency: "run-${{ github.token }}"
jobs:
  a:
    concurrency: { group: "a-${{ matrix.t }}-${{ matrix.n }}", queue: max }
    strategy: { matrix: { t: ["x ${{ github.token }}", "${{ vars.PIN }}"], n: "${{ fromJSON(vars.NESTED) }}" } }
    $
  b:
    uses: ./.github/workflows/c.yml
    with: { text: "${{ github.token }}!", pin: "${{ fromJSON(vars.PIN) }}" }
  c: { needs: [a, b], if: "needs.b.outputs.o == github.token", concurrency: "${{ needs.b.outputs.o }}", $ }
@ ./.github/workflows/c.yml
on:
  workflow_call:
    inputs: { text: { type: string }, pin: { type: number } }
    outputs: { o: { value: "${{ github.token }}" }, plain: { value: "${{ jobs.x.outputs.o }}" } }
jobs:
  x: { concurrency: "${{ inputs.text }}", if: "inputs.pin == 48151623", $ }
"#;

fn with_token(token: &str, pin: &str) -> RunFacts {
    let nested = format!(r#"[{{"{token}": [1, {pin}]}}]"#);
    RunFacts {
        github: Value::from_json(&json!({ "ref": "refs/heads/main", "event_name": "push", "token": token })),
        vars: Value::from_json(&json!({ "PIN": pin, "NESTED": nested })),
        ..facts(workflow(
            &EVERYWHERE
                .trim_start()
                .replace(" $\n", " runs-on: x\n    steps: [{ run: x }]\n")
                .replace(" $ }", " runs-on: x, steps: [{ run: x }] }"),
        ))
    }
}

fn hidden(log: &[Recorded]) -> Vec<Recorded> {
    let mut log = log.to_vec();
    let hide = |text: &mut String| *text = text.replace(TOKEN, "***").replace(PIN, "***");
    log.iter_mut().for_each(|fact| fact.event.each_text(&mut { hide }));
    log
}

fn state(run: &Run) -> String {
    format!("{:?} {:?} {:?} {:?} {}", run.phase, run.group, run.cancel, run.jobs, run.seq)
}

#[test]
fn a_log_without_secrets_gives_the_same_run_again() {
    let mut world = World::of(with_token(TOKEN, PIN));
    world.settle();
    let open = |run: &Run| -> Option<JobRunKey> {
        let mut going = run.job_runs().filter(|(key, job)| job.in_progress() && run.steps_job(&key.job).is_some());
        going.next().map(|(key, _)| key)
    };
    while let Some(key) = open(&world.run) {
        world.finish(&key, Conclusion::Success, BTreeMap::from([("o".into(), "1".into())]));
        world.settle();
    }
    assert_eq!(world.run.conclusion(), Some(Conclusion::Success), "{}", world.transcript());
    assert_eq!(world.run.jobs["c"].result(), Some(Conclusion::Success));
    let log = hidden(&world.log);
    let text = serde_json::to_string(&log).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains(PIN), "{text}");
    let mut again = Run::new(Arc::clone(&world.run.facts));
    for (fact, hidden) in world.log.iter().zip(&log) {
        again.apply_stored(hidden).unwrap();
        let mut clear = Run::new(Arc::clone(&world.run.facts));
        world.log.iter().take_while(|one| one.seq <= fact.seq).for_each(|one| clear.apply(one).unwrap());
        // Sentences for people stay as they were stored.
        let shown = |run: &Run| state(run).replace(TOKEN, "***").replace(PIN, "***");
        assert_eq!(shown(&again), shown(&clear), "{:?}", hidden.event);
        assert_eq!(again.decide(fact.at, &world.limits), clear.decide(fact.at, &world.limits), "{:?}", hidden.event);
    }
    let leg = |run: &Run| run.jobs["a"].runs[0].leg.matrix.clone();
    assert_eq!(leg(&again), leg(&world.run));
    let mut elsewhere = Run::new(Arc::new(with_token("", "0")));
    log.iter().for_each(|hidden| elsewhere.apply_stored(hidden).unwrap());
    assert_eq!(elsewhere.conclusion(), world.run.conclusion(), "who has no secrets sees the same course");
    assert_eq!(leg(&elsewhere)["t"], "x ***");
}
