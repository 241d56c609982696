//! What a run comes to: conclusions, outputs, files, cancelling, losing the runner.

use workflow::run::{JobRunKey, StepIndex};

use super::{Control, Notice, Outcome, Simulation};
use crate::telemetry::TraceIds;

async fn check(title: &str, simulation: Simulation, jobs: &str, expected: &str) -> Outcome {
    let outcome = simulation.run(jobs).await;
    assert_eq!(outcome.shown(), expected, "{title}\n{}", outcome.logs.values().cloned().collect::<String>());
    assert_eq!(outcome.left, Vec::<String>::new(), "{title}");
    outcome
}

fn cancel() -> Control {
    Control::Cancel { by: "mona".into() }
}

#[tokio::test]
async fn outputs_and_files_reach_the_next_steps_and_jobs() {
    let outcome = check(
        "outputs",
        Simulation::default(),
        r#"a:
  outputs: { o: "${{ steps.s.outputs.x }}-${{ steps.t.outputs.y }}-${{ steps.old.outputs.z }}" }
  $
    - { id: s, run: 'file OUTPUT "x=1\n"' }
    - { id: t, run: 'file OUTPUT "y<<E\ntwo\nlines\nE\n"' }
    - { id: old, run: 'out "::set-output name=z::last line"' }
    - { run: 'file ENV "MINE=yes\n"' }
    - { run: 'file PATH "/first\n"' }
    - run: |
        print MINE
        out " "
        print PATH
b:
  needs: a
  $
    - { run: 'out ${{ toJSON(needs.a.outputs.o) }}', if: "contains(needs.a.outputs.o, 'two')" }"#,
        "success; a success [success success success success success success]; b success [success]",
    )
    .await;
    assert_eq!(outcome.output("b", 0), "1-two\nlines-last line");
    let path = outcome.output("a", 5);
    assert!(path.starts_with("yes /first:"), "{path}");
}

/// Ids as the spans of the run will have them, unless the workflow has its own.
#[tokio::test]
async fn steps_know_the_trace_of_their_run() {
    let jobs = "a:\n  $\n    - { run: print TRACEPARENT }\n    - { run: print TRACEPARENT, env: { TRACEPARENT: own } }";
    let shown = "success; a success [success success]";
    let outcome = check("trace", Simulation::default(), jobs, shown).await;
    let ids = TraceIds::of("simulation", "me/shop", 1);
    assert_eq!(outcome.output("a", 0), ids.traceparent(Some(&JobRunKey::parse("a")), Some(StepIndex(0))));
    assert_eq!(outcome.output("a", 1), "own");
}

#[tokio::test]
async fn failures_are_told_and_forgiven_as_written() {
    let outcome = check(
        "failures",
        Simulation::default(),
        r#"a:
  $
    - { run: exit 3, continue-on-error: true, id: s }
    - { run: 'out "x"', if: "steps.s.outcome == 'failure' && steps.s.conclusion == 'success'" }
    - { run: exit 4 }
    - { run: 'out "x"' }
    - { run: 'out "x"', if: failure() }
    - { run: "${{ fromJSON('{') }}", if: always() }
    - { run: 'out "x"', if: "fromJSON('{') || always()" }
    - { run: 'file OUTPUT "no equals sign\n"', if: always() }"#,
        "failure; a failure [failure/success success failure skipped success failure failure failure]",
    )
    .await;
    let logs: String = outcome.logs.values().cloned().collect();
    for line in [
        "##[error]Process completed with exit code 4.",
        "##[error]`run`: Error parsing fromJson",
        "##[error]`if`: Error parsing fromJson",
    ] {
        assert!(logs.contains(line), "{line} is missing in\n{logs}");
    }
    assert!(outcome.logs.keys().any(|path| path == "a/0002.log"), "{:?}", outcome.logs.keys());
}

#[tokio::test]
async fn annotations_and_summaries_are_shown() {
    let outcome = check(
        "annotations",
        Simulation::default(),
        r##"a:
  $
    - { run: 'out "::error file=a.rs,line=3::broken\n"' }
    - { run: 'file STEP_SUMMARY "# good\n"' }"##,
        "success; a success [success success]",
    )
    .await;
    let annotated =
        |notice: &Notice| matches!(notice, Notice::Annotated { annotation, .. } if annotation.message == "broken");
    assert!(outcome.notices.iter().any(annotated));
    let summary = |notice: &Notice| matches!(notice, Notice::Summary { markdown, .. } if markdown == "# good\n");
    assert!(outcome.notices.iter().any(summary));
}

#[tokio::test]
async fn what_takes_too_long_is_stopped() {
    let outcome = check(
        "a step",
        Simulation::default(),
        "a:\n  $\n    - { run: hang, timeout-minutes: 0.001, name: Slow }\n    - { run: exit 0, if: always() }",
        "failure; a failure [failure success]",
    )
    .await;
    let logs: String = outcome.logs.values().cloned().collect();
    assert!(logs.contains("##[error]The action 'Slow' has timed out after 0.001 minutes."), "{logs}");
    check(
        "a job",
        Simulation::default(),
        "a:\n  timeout-minutes: 0.003\n  $\n    - { run: hang }\n    - { run: exit 0, if: always() }\n    - { run: exit 0 }",
        "cancelled; a cancelled [cancelled success skipped]",
    )
    .await;
    check(
        "a job that does not stop",
        Simulation::default(),
        "a:\n  timeout-minutes: 0.003\n  cancel-timeout-minutes: 0.003\n  $\n    - { run: hang, if: always() }",
        "cancelled; a cancelled [cancelled]",
    )
    .await;
}

#[tokio::test]
async fn cancelled_once_always_runs_twice_nothing_does() {
    let jobs = "a:\n  $\n    - { run: hang }\n    - { run: exit 0, if: always() }\nb:\n  needs: a\n  if: always()\n  $\n    - { run: exit 0 }";
    let once = Simulation { controls: vec![("step_started", cancel())], ..Simulation::default() };
    check("once", once, jobs, "cancelled; a cancelled [cancelled success]; b success [success]").await;
    let jobs = jobs.replace("run: hang", "run: hang, if: always()");
    let twice = Simulation {
        controls: vec![("step_started", cancel()), ("run_cancel_requested", Control::Kill { by: "mona".into() })],
        ..Simulation::default()
    };
    check("twice", twice, &jobs, "cancelled; a cancelled [cancelled]").await;
    let early = Simulation { controls: vec![("run_started", cancel())], ..Simulation::default() };
    let outcome = early.run("a:\n  $\n    - { run: hang }").await;
    assert!(outcome.shown().starts_with("cancelled"), "{}", outcome.shown());
    assert_eq!(outcome.left, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_runner_is_a_failed_job() {
    for (title, step) in [("plain", "{ run: lost }"), ("forgiven", "{ run: lost, continue-on-error: true }")] {
        let jobs =
            format!("a:\n  $\n    - {step}\n    - {{ run: exit 0, if: always() }}\nb:\n  $\n    - {{ run: exit 0 }}");
        let outcome = Simulation::default().run(&jobs).await;
        assert!(outcome.shown().starts_with("failure; a failure ["), "{title}: {}", outcome.shown());
        assert!(outcome.shown().ends_with("; b success [success]"), "{title}: {}", outcome.shown());
        assert_eq!(outcome.left, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_bug_in_an_action_fails_its_step_only() {
    check(
        "a bug",
        Simulation::default(),
        "a:\n  $\n    - { uses: pipe/buggy@v1 }\n    - { run: exit 0, if: failure() }\nb:\n  $\n    - { run: exit 0 }",
        "failure; a failure [failure success]; b success [success]",
    )
    .await;
}

#[tokio::test]
async fn a_place_that_cannot_be_had_is_told() {
    let simulation = Simulation::default();
    simulation.placement.refuse("the service `db` is not healthy");
    let outcome = check("refused", simulation, "a:\n  $\n    - { run: exit 0 }", "failure; a failure []").await;
    assert!(outcome.message("a").contains("the service `db` is not healthy"), "{}", outcome.message("a"));
    let jobs = "a:\n  container: x\n  $\n    - { run: exit 0 }";
    let outcome = check("no Docker", Simulation::default(), jobs, "failure; a failure []").await;
    assert_eq!(outcome.message("a"), "Docker does not run");
}

#[tokio::test]
async fn a_store_that_fails_stops_the_jobs_in_order() {
    let simulation = Simulation { refused: Some("step_finished"), ..Simulation::default() };
    let outcome = simulation.run("a:\n  $\n    - { run: exit 0 }\nb:\n  $\n    - { run: hang }").await;
    assert!(outcome.run.is_none());
    assert_eq!(outcome.left, Vec::<String>::new());
}

#[tokio::test]
async fn background_steps_run_beside_and_are_seen_after_the_wait() {
    let outcome = check(
        "background",
        Simulation::default(),
        r#"a:
  $
    - { id: s, background: true, run: "meet here\nfile OUTPUT \"x=1\\n\"" }
    - { run: meet here }
    - { run: 'out "before ${{ steps.s.outputs.x }}."' }
    - { wait: s }
    - { run: 'out "after ${{ steps.s.outputs.x }}."' }
    - { id: h, background: true, run: hang }
    - { cancel: h }
    - parallel:
        - { run: meet there }
        - { run: meet there }
    - { id: z, background: true, run: exit 1 }"#,
        "failure; a failure [success success success success success cancelled success success success success failure]",
    )
    .await;
    assert_eq!(outcome.output("a", 2), "before .");
    assert_eq!(outcome.output("a", 4), "after 1.");
}
