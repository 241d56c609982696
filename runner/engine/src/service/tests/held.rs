//! Runs of strangers' code: nothing of them begins before somebody lets it (row F03 of the attacks).

use super::*;

fn of_a_fork() -> RunSpec {
    let jobs = "a: { runs-on: x, steps: [{ run: 'out \"a\"' }] }\nb: { needs: a, if: always(), runs-on: x, steps: [{ run: 'out \"b\"' }] }";
    RunSpec { held: Some("it is of a fork".into()), ..spec(jobs) }
}

#[tokio::test]
async fn f03_a_held_run_begins_once_somebody_lets_it_also_after_a_restart() {
    let world = World::new(1);
    let life = world.begin();
    let run = life.make(of_a_fork()).await;
    life.until(run, "run_held").await;
    assert_eq!(life.status(run).await, RunStatus::Waiting);
    // It keeps nobody waiting.
    let other = life.make(spec("a: { runs-on: x, steps: [{ run: 'out \"a\"' }] }")).await;
    assert_eq!(ends(&life.until(other, "run_finished").await), ["a success", "run success"]);
    let not_held = life.service.release(other, "ada").await.unwrap_err();
    assert!(matches!(not_held, ServiceError::Over(_)), "{not_held}");
    life.end().await;
    let life = world.begin();
    assert_eq!(life.status(run).await, RunStatus::Waiting);
    life.service.release(run, "ada").await.unwrap();
    let again = life.service.release(run, "bob").await.unwrap_err();
    assert!(matches!(again, ServiceError::NotHeld(_) | ServiceError::Over(_)), "{again}");
    let facts = life.until(run, "run_finished").await;
    assert_eq!(ends(&facts), ["a success", "b success", "run success"]);
    let released = |fact: &&Recorded| matches!(&fact.event, RunEvent::RunReleased { by } if by == "ada");
    assert_eq!(facts.iter().filter(released).count(), 1);
    life.end().await;
}

#[tokio::test]
async fn f03_what_nobody_lets_run_does_not_run_not_even_always() {
    let world = World::new(1);
    let life = world.begin();
    let run = life.make(of_a_fork()).await;
    life.until(run, "run_held").await;
    life.service.cancel(run, "ada", false).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["run cancelled"]);
    // Who runs it again has looked at it.
    let again = life.service.rerun(run, &Rerun::All, "ada").await.unwrap().id;
    assert_eq!(ends(&life.until(again, "run_finished").await), ["a success", "b success", "run success"]);
    life.end().await;
}

#[tokio::test]
async fn f03_who_lets_it_run_at_once_need_not_wait() {
    let world = World::new(1);
    let life = world.begin();
    let run = life.make(of_a_fork()).await;
    life.service.release(run, "ada").await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a success", "b success", "run success"]);
    life.end().await;
}

/// Nothing is remembered of who was let run before: not for the next commit of the same pull request, nor for its author.
#[tokio::test]
async fn f04_f05_who_lets_one_run_has_let_no_other() {
    let world = World::new(2);
    let life = world.begin();
    let mut pushed = of_a_fork();
    pushed.event.sha = Some("2".repeat(40));
    let (first, second) = (life.make(of_a_fork()).await, life.make(pushed).await);
    life.until(second, "run_held").await;
    life.service.release(first, "ada").await.unwrap();
    assert_eq!(ends(&life.until(first, "run_finished").await), ["a success", "b success", "run success"]);
    let third = life.make(of_a_fork()).await;
    life.until(third, "run_held").await;
    for held in [second, third] {
        assert_eq!((life.status(held).await, ends(&life.facts(held).await).len()), (RunStatus::Waiting, 0));
    }
    life.service.release(second, "ada").await.unwrap();
    life.until(second, "run_finished").await;
    assert_eq!(life.status(third).await, RunStatus::Waiting);
    life.end().await;
}
