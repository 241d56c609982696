//! What the service promises of its queue, groups, reviews and further attempts.

use super::*;

fn verdict(approved: bool) -> Verdict {
    Verdict { environment: "prod".into(), approved, ..Verdict::default() }
}

#[tokio::test]
async fn a_queue_of_many_runs_comes_to_its_end_in_order_of_priority() {
    let world = World::new(1);
    let life = world.begin();
    let hold = life.make(spec("a: { runs-on: x, steps: [{ run: hang }] }")).await;
    life.until(hold, "step_started").await;
    let specs: Vec<_> = (0..60)
        .map(|index| {
            let step = format!("a: {{ runs-on: x, steps: [{{ run: 'out \"{index}\"' }}] }}");
            RunSpec { priority: i32::from(index == 59), ..spec(&step) }
        })
        .collect();
    let made = life.service.make(None, specs).await.unwrap().unwrap();
    // Those behind the first ones have been looked at and put aside: they need no memory.
    while life.service.load() != (1, 1, 60) {
        tokio::task::yield_now().await;
    }
    assert_eq!(life.status(made[0].id).await, RunStatus::Queued);
    life.service.cancel(made[1].id, "ada", false).await.unwrap();
    life.service.cancel(hold, "ada", false).await.unwrap();
    for numbers in &made {
        life.until(numbers.id, "run_finished").await;
    }
    let first = life.facts(made[59].id).await.last().unwrap().at;
    let others: Vec<_> = futures_util::future::join_all([0, 2, 30].map(|index| life.facts(made[index].id))).await;
    assert!(others.iter().all(|facts| facts.last().unwrap().at > first), "the one with the higher priority came first");
    assert_eq!(ends(&life.facts(made[1].id).await), ["a cancelled", "run cancelled"]);
    assert!(matches!(life.service.cancel(hold, "ada", false).await, Err(ServiceError::Over(_))));
    assert!(matches!(life.service.cancel(RunId(999), "ada", false).await, Err(ServiceError::NoSuchRun(_))));
    life.end().await;
}

#[tokio::test]
async fn a_review_holds_nothing_survives_a_restart_and_is_given_by_a_reviewer() {
    let world = World::new(1);
    let life = world.begin();
    let waiting =
        life.make(spec("a: { environment: prod, concurrency: g, runs-on: x, steps: [{ run: 'out \"a\"' }] }")).await;
    life.until(waiting, "review_requested").await;
    let other = life.make(spec("b: { concurrency: g, runs-on: x, steps: [{ run: 'out \"b\"' }] }")).await;
    assert_eq!(ends(&life.until(other, "run_finished").await), ["b success", "run success"]);
    assert_eq!(life.status(waiting).await, RunStatus::Waiting);
    life.end().await;
    let life = world.begin();
    let gates = life.service.gates(waiting).await.unwrap();
    assert_eq!((gates[0].environment.as_str(), gates[0].reviewers()), ("prod", &["ada".to_owned()][..]));
    let refused = life.service.review(waiting, &Reviewer::named("eve"), verdict(true)).await.unwrap_err();
    assert_eq!(refused.to_string(), "eve is no reviewer of `prod`; it can be reviewed by ada");
    let other = Verdict { subject: Some("another".into()), ..verdict(true) };
    let refused = life.service.review(waiting, &Reviewer::named("ada"), other).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Changed { .. }), "{refused}");
    let seen = Verdict { subject: Some(gates[0].subject()), environment: "Prod".into(), ..verdict(true) };
    life.service.review(waiting, &Reviewer::named("Ada"), seen).await.unwrap();
    assert_eq!(ends(&life.until(waiting, "run_finished").await), ["a success", "run success"]);
    let rejected = life.make(spec("a: { environment: prod, runs-on: x, steps: [{ run: 'out \"a\"' }] }")).await;
    life.until(rejected, "review_requested").await;
    life.service.review(rejected, &Reviewer::named("ada"), verdict(false)).await.unwrap();
    assert_eq!(ends(&life.until(rejected, "run_finished").await), ["a failure", "run failure"]);
    let late = life.service.review(waiting, &Reviewer::named("ada"), verdict(true)).await;
    assert!(matches!(late, Err(ServiceError::Over(_))));
    life.end().await;
}

#[tokio::test]
async fn groups_are_as_they_were_after_a_restart() {
    let world = World::new(4);
    let life = world.begin();
    let text = |step: &str| {
        format!(
            "on: push\nconcurrency: {{ group: g, queue: max }}\njobs:\n  a: {{ runs-on: x, steps: [{{ run: {step} }}] }}\n"
        )
    };
    let holder = life.make(spec(&text("hang"))).await;
    life.until(holder, "step_started").await;
    let mut waiting = Vec::new();
    for index in 0..3 {
        waiting.push(life.make(spec(&text(&format!("'out \"{index}\"'")))).await);
        life.until(waiting[index], "group_requested").await;
    }
    life.end().await;
    let life = world.begin();
    while life.service.load() != (1, 1, 0) {
        tokio::task::yield_now().await;
    }
    life.service.cancel(holder, "ada", false).await.unwrap();
    let mut times = Vec::new();
    for run in &waiting {
        times.push(life.until(*run, "run_finished").await.last().unwrap().at);
    }
    assert!(times.is_sorted(), "first come, first served: {times:?}");
    assert_eq!(world.started().len(), 4, "nothing ran twice");
    life.end().await;
}

#[tokio::test]
async fn groups_of_two_repositories_do_not_meet() {
    let world = World::new(4);
    let life = world.begin();
    let text = "on: push\nconcurrency: { group: g, cancel-in-progress: true }\njobs:\n  a: { runs-on: x, steps: [{ run: hang }] }\n";
    let mine = life.make(spec(text)).await;
    life.until(mine, "step_started").await;
    let theirs = life.make(RunSpec { repository: "o/other".into(), ..spec(text) }).await;
    life.until(theirs, "step_started").await;
    assert_eq!(life.service.load().1, 2, "both run");
    for run in [mine, theirs] {
        life.service.cancel(run, "ada", false).await.unwrap();
        life.until(run, "run_finished").await;
    }
    life.end().await;
}

#[tokio::test]
async fn another_attempt_keeps_what_succeeded() {
    let world = World::new(4);
    let life = world.begin();
    let first = life
        .make(spec(
            "a: { runs-on: x, outputs: { o: '${{ steps.s.outputs.o }}' }, steps: [{ id: s, run: 'file OUTPUT \"o=blue\"' }] }\n\
             b: { needs: a, runs-on: x, steps: [{ run: exit 1 }] }\n\
             c: { needs: [a, b], runs-on: x, steps: [{ run: 'out \"${{ needs.a.outputs.o }}\"' }] }\n\
             m: { runs-on: x, strategy: { fail-fast: false, matrix: { n: [0, 1] } }, steps: [{ run: 'exit ${{ matrix.n }}' }] }",
        ))
        .await;
    let facts = life.until(first, "run_finished").await;
    assert_eq!(ends(&facts), ["a success", "b failure", "m(0) success", "m(1) failure", "run failure"]);
    let before = world.started().len();
    let again = life.service.rerun(first, &Rerun::Failed, "eve").await.unwrap();
    assert_eq!((again.first, again.number, again.attempt), (first, 1, 2));
    let facts = life.until(again.id, "run_finished").await;
    assert_eq!(ends(&facts), ["a success", "b failure", "m(0) success", "m(1) failure", "run failure"]);
    assert_eq!(world.started().len() - before, 2, "only what had failed ran");
    assert!(texts(&world.logs(again.id)).keys().any(|name| name.starts_with("a/")), "its logs are there");
    let job = life.service.rerun(again.id, &Rerun::Job("c".into()), "eve").await.unwrap();
    assert_eq!((job.number, job.attempt), (1, 3));
    life.until(job.id, "run_finished").await;
    assert_eq!(world.started().len() - before, 2, "what it needs has failed");
    let all = life.service.rerun(first, &Rerun::All, "eve").await.unwrap();
    life.until(all.id, "run_finished").await;
    assert_eq!((world.started().len() - before, all.attempt), (6, 4));
    let all_id = all.id;
    // One leg by its key: the other one stays as it was.
    for (leg, all) in [("m(0)", 7), ("m(1)", 8)] {
        let one = life.service.rerun(all_id, &Rerun::Job(leg.into()), "eve").await.unwrap();
        let facts = life.until(one.id, "run_finished").await;
        assert_eq!(ends(&facts), ["a success", "b failure", "m(0) success", "m(1) failure", "run failure"]);
        assert_eq!(world.started().len() - before, all, "{leg}");
    }
    for none in ["x", "m(2)", "m(0)/x", "a/b"] {
        let unknown = life.service.rerun(first, &Rerun::Job(none.into()), "eve").await.unwrap_err();
        assert_eq!(unknown.to_string(), format!("run 1 has no job `{none}`"));
    }
    life.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_a_failed_run_that_says_why() {
    let world = World::new(1);
    let life = world.begin();
    let problem = Some(vec!["ci.yml:1:1: error".to_owned()]);
    let told = life.make(RunSpec { problem, ..spec("a: { runs-on: x }") }).await;
    let found = life.make(spec("a: { runs-on: x, stepz: [] }")).await;
    for (run, part) in [(told, "ci.yml:1:1"), (found, "stepz")] {
        let facts = life.until(run, "run_finished").await;
        let RunEvent::RunRefused { message } = &facts[0].event else { panic!("{facts:?}") };
        assert!(message.contains(part), "{message}");
        assert_eq!(ends(&facts), ["run failure"]);
        assert_eq!(life.status(run).await, RunStatus::Completed);
    }
    life.end().await;
}

#[tokio::test]
async fn a_drain_waits_for_what_goes_on_and_begins_nothing() {
    let world = World::new(1);
    let life = world.begin();
    let running = life
        .make(spec(
            "a: { runs-on: x, steps: [{ run: sleep 50 }] }\nb: { needs: a, runs-on: x, steps: [{ run: 'out \"b\"' }] }",
        ))
        .await;
    let waiting = life.make(spec("a: { runs-on: x, steps: [{ run: 'out \"w\"' }] }")).await;
    life.until(running, "step_started").await;
    assert_eq!(life.service.drain(PATIENCE).await, DrainEnd { going_on: 0 });
    let so_far = life.facts(running).await;
    assert_eq!(ends(&so_far), ["a success"]);
    life.end().await;
    let life = world.begin();
    assert_eq!(ends(&life.until(running, "run_finished").await), ["a success", "b success", "run success"]);
    life.until(waiting, "run_finished").await;
    assert_eq!(world.started().len(), 3);
    life.end().await;
}
