//! Reviews that somebody tries to give twice, too late, of another run, of their own run, or all at once
//! (rows A01 to A05, A07 and A09 of the attacks).

use super::*;

fn waits_at(environment: &str) -> RunSpec {
    spec(&format!("a: {{ environment: {environment}, runs-on: x, steps: [{{ run: 'out \"a\"' }}] }}"))
}

fn of(environment: &str, approved: bool) -> Verdict {
    Verdict { environment: environment.into(), approved, ..Verdict::default() }
}

async fn subject(life: &Life, run: RunId) -> String {
    life.service.gates(run).await.unwrap()[0].subject()
}

/// A01: under whichever of their names they began it.
#[tokio::test]
async fn who_began_a_run_does_not_approve_it() {
    let world = World::new(1);
    let life = world.begin();
    let run = life.make(RunSpec { requested_by: "carol".into(), ..waits_at("guarded") }).await;
    life.until(run, "review_requested").await;
    let alias = Reviewer { aliases: vec!["Ada".into(), "bob".into()], ..Reviewer::named("ada.l") };
    for by in [Reviewer::named("Ada"), alias] {
        let refused = life.service.review(run, &by, of("guarded", true)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("ada began run {run} and may not review its deployment to `guarded`: somebody else has to")
        );
    }
    life.service.review(run, &Reviewer::named("bob"), of("guarded", true)).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a success", "run success"]);
    let run = life.make(waits_at("open")).await;
    life.until(run, "review_requested").await;
    let own = life.service.review(run, &Reviewer::named("ada"), of("open", true)).await.unwrap_err();
    assert!(matches!(own, ServiceError::OwnRun { .. }), "{own}");
    life.service.review(run, &Reviewer::named("anybody else"), of("open", false)).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a failure", "run failure"]);
    life.end().await;
}

/// A07: two approvals are two people's. Teams count, and one of their members is one person.
#[tokio::test]
async fn two_approvals_are_of_two_people_also_after_a_restart() {
    let world = World::new(1);
    let life = world.begin();
    let run = life.make(waits_at("two")).await;
    life.until(run, "review_requested").await;
    life.service.review(run, &Reviewer::named("Bob"), of("two", true)).await.unwrap();
    assert_eq!(life.status(run).await, RunStatus::Waiting);
    life.end().await;
    let life = world.begin();
    let again = life.service.review(run, &Reviewer::named("bob"), of("two", true)).await.unwrap_err();
    assert!(matches!(again, ServiceError::Reviewed { .. }), "{again}");
    // A token is asked by its own name, and its review is that of who made it.
    let of_bob = Reviewer { person: Some("bob".into()), ..Reviewer::named("ada") };
    let again = life.service.review(run, &of_bob, of("two", true)).await.unwrap_err();
    assert!(matches!(again, ServiceError::Reviewed { .. }), "{again}");
    let alias = Reviewer { aliases: vec!["github:bob".into()], person: Some("eve".into()), ..Reviewer::named("bot") };
    let refused = life.service.review(run, &alias, of("two", true)).await.unwrap_err();
    assert!(matches!(refused, ServiceError::NotReviewer { .. }), "{refused}");
    let eve = Reviewer { teams: vec!["Ops".into()], ..Reviewer::named("eve") };
    let stranger = Reviewer { teams: vec!["dev".into()], ..Reviewer::named("mallory") };
    let refused = life.service.review(run, &stranger, of("two", true)).await.unwrap_err();
    assert!(matches!(refused, ServiceError::NotReviewer { .. }), "{refused}");
    life.service.review(run, &eve, of("two", true)).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a success", "run success"]);
    life.end().await;
}

/// A02 and A04: what was approved of one commit, attempt or environment is nothing for another.
#[tokio::test]
async fn an_approval_is_of_one_run_one_attempt_and_one_environment() {
    let world = World::new(1);
    let life = world.begin();
    let first = life.make(waits_at("prod")).await;
    life.until(first, "review_requested").await;
    let seen = subject(&life, first).await;
    let mut other_commit = waits_at("prod");
    other_commit.event.sha = Some("2".repeat(40));
    let others = [other_commit, waits_at("prod"), waits_at("two")];
    for spec in others {
        let environment = if spec.sources.values().any(|text| text.contains("two")) { "two" } else { "prod" };
        let run = life.make(spec).await;
        life.until(run, "review_requested").await;
        assert_ne!(subject(&life, run).await, seen);
        let replayed = Verdict { subject: Some(seen.clone()), ..of(environment, true) };
        let refused = life.service.review(run, &Reviewer::named("ada"), replayed).await.unwrap_err();
        assert!(matches!(refused, ServiceError::Changed { .. }), "{refused}");
        life.service.cancel(run, "ada", false).await.unwrap();
    }
    let approved = Verdict { subject: Some(seen.clone()), ..of("prod", true) };
    life.service.review(first, &Reviewer::named("ada"), approved.clone()).await.unwrap();
    life.until(first, "run_finished").await;
    let attempt = life.service.rerun(first, &Rerun::All, "ada").await.unwrap().id;
    life.until(attempt, "review_requested").await;
    let refused = life.service.review(attempt, &Reviewer::named("ada"), approved).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Changed { .. }), "{refused}");
    life.service.cancel(attempt, "ada", false).await.unwrap();
    life.until(attempt, "run_finished").await;
    life.end().await;
}

/// A09: a hundred people at once, and with others who cancel the run.
#[tokio::test]
async fn of_many_reviews_at_once_exactly_one_counts() {
    let world = World::new(1);
    let life = world.begin();
    for cancels in [false, true] {
        let run = life.make(RunSpec { requested_by: "carol".into(), ..waits_at("open") }).await;
        life.until(run, "review_requested").await;
        let calls = (0..100).map(|index| {
            let service = life.service.clone();
            async move {
                if cancels && index % 10 == 0 {
                    let _late = service.cancel(run, "ada", false).await;
                    return false;
                }
                let by = Reviewer::named(format!("reviewer {index}"));
                service.review(run, &by, of("open", index % 2 == 0)).await.is_ok()
            }
        });
        let counted = futures_util::future::join_all(calls).await.into_iter().filter(|counted| *counted).count();
        let facts = life.until(run, "run_finished").await;
        let reviews = facts.iter().filter(|fact| matches!(fact.event, RunEvent::Reviewed { .. })).count();
        assert_eq!(counted, reviews, "who is told that it counts is the one whose review is kept: {facts:#?}");
        assert!(if cancels { reviews <= 1 } else { reviews == 1 }, "{facts:#?}");
        assert_eq!(ends(&facts).len(), 2, "{facts:#?}");
    }
    life.end().await;
}

/// A03: what was approved under some rules is nothing under others, whether they change before or after.
#[tokio::test]
async fn an_approval_is_void_when_rules_change_before_the_job_starts() {
    let mut world = World::new(1);
    world.prod.wait_ms = 3_600_000;
    let life = world.begin();
    let run = life.make(waits_at("prod")).await;
    life.until(run, "review_requested").await;
    let seen = subject(&life, run).await;
    life.service.review(run, &Reviewer::named("ada"), of("prod", true)).await.unwrap();
    life.end().await;
    // The job has its approval and waits for its timer only. Now the timer goes, and somebody else has to approve.
    world.prod = Protection { reviewers: vec!["bob".into()], ..Protection::default() };
    let life = world.begin();
    while life.service.gates(run).await.unwrap().first().is_none_or(|gate| gate.reviewers() != ["bob".to_owned()]) {
        tokio::task::yield_now().await;
    }
    assert_ne!(subject(&life, run).await, seen);
    let late = Verdict { subject: Some(seen), ..of("prod", true) };
    for (by, verdict) in [("ada", of("prod", true)), ("bob", late)] {
        let refused = life.service.review(run, &Reviewer::named(by), verdict).await.unwrap_err();
        assert!(
            matches!(refused, ServiceError::NotReviewer { .. } | ServiceError::Changed { .. }),
            "{by} is refused with {refused}"
        );
    }
    assert_eq!(world.started(), Vec::<String>::new(), "the job has not begun");
    life.service.review(run, &Reviewer::named("bob"), of("prod", true)).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a success", "run success"]);
    life.end().await;
}

/// A05: a name that only looks like one with rules, however it is made, and one in other letters.
#[tokio::test]
async fn no_form_of_a_name_passes_by_the_rules() {
    let mut world = World::new(1);
    world.closed = true;
    let life = world.begin();
    for name in ["prod uction", "prod ", " prod", "pr\u{43e}d", "prod\u{200b}", "prod/", "production", "PROD\u{301}"] {
        let made = spec(&format!(
            "a: {{ environment: '${{{{ github.event.inputs.to || fromJSON(''{}'') }}}}', runs-on: x, steps: [{{ run: exit 0 }}] }}",
            serde_json::to_string(name).unwrap()
        ));
        let run = life.make(made).await;
        let facts = life.until(run, "run_finished").await;
        assert_eq!(ends(&facts), ["a failure", "run failure"], "{name}");
        assert!(
            facts.iter().any(|fact| matches!(&fact.event, RunEvent::JobRunFinished { message: Some(message), .. }
                if message.starts_with("there is no environment `"))),
            "{facts:#?}"
        );
    }
    // Case is one: it waits for the review of `prod`.
    let run = life.make(waits_at("PROD")).await;
    life.until(run, "review_requested").await;
    let refused = life.service.review(run, &Reviewer::named("eve"), of("prod", true)).await.unwrap_err();
    assert!(matches!(refused, ServiceError::NotReviewer { .. }), "{refused}");
    life.service.review(run, &Reviewer::named("ada"), of("Prod", true)).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a success", "run success"]);
    assert_eq!(world.started().len(), 1, "nothing else began");
    life.end().await;
}

/// Whatever else of it went on in between.
#[tokio::test]
async fn a_run_of_which_only_reviews_are_left_waits() {
    let world = World::new(1);
    let life = world.begin();
    let run = life.make(spec("a: { environment: prod, runs-on: x, steps: [{ run: 'out \"a\"' }] }\nb: { runs-on: x, steps: [{ run: 'out \"b\"' }] }")).await;
    life.until(run, "job_run_finished").await;
    let waits = async {
        while life.status(run).await != RunStatus::Waiting {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("b has ended");
    life.service.review(run, &Reviewer::named("ada"), of("prod", true)).await.unwrap();
    life.until(run, "run_finished").await;
    life.end().await;
}
