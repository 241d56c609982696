//! Gates in a database, and people who order something.

use engine::step::trial::{Trial, Tried};
use engine::store::rollouts::RolloutFilter;
use engine::store::{Database, Options};
use rollout::View;

use super::*;

struct Place {
    rollouts: Rollouts,
    trial: Trial,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rollouts = Rollouts::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
        let mut trial = Trial::new(folder.path().to_path_buf(), folder.path().join("w"), folder.path());
        trial.run.environment = Some("production".into());
        Self { rollouts, trial, _folder: folder }
    }

    /// Runs the action while people order these things of the first gate, each when the one before was taken note of.
    async fn run(&self, inputs: &[(&str, &str)], orders: &[(&str, &str, &str)]) -> Tried {
        let action = Approve { rollouts: Some(self.rollouts.clone()) };
        let people = async {
            let mut changed = self.rollouts.changed();
            for (who, word, comment) in orders {
                let id = loop {
                    changed.mark_unchanged();
                    let all = self.rollouts.list(RolloutFilter { limit: 1, ..RolloutFilter::default() }).await.unwrap();
                    match all.first() {
                        Some(row) if row.seq > 1 => break row.id,
                        Some(_) | None => changed.changed().await.unwrap(),
                    }
                };
                self.rollouts.order(id, word, who, comment, Timestamp::now()).await.unwrap();
            }
        };
        tokio::join!(self.trial.run(&action, inputs), people).0
    }

    async fn view(&self) -> View {
        let all = self.rollouts.list(RolloutFilter { limit: 1, ..RolloutFilter::default() }).await.unwrap();
        serde_json::from_value(all[0].view.clone()).unwrap()
    }
}

fn error(tried: &Tried) -> String {
    tried.result.as_ref().expect_err(&tried.log).to_string()
}

#[tokio::test]
async fn a_person_lets_it_go_on() {
    let place = Place::new();
    let tried = place.run(&[("subject", "Send the mails?"), ("name", "mails")], &[("kim", "promote", "go")]).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    let out = |name: &str| tried.outputs[name].as_str();
    assert_eq!((out("approved-by"), out("comment"), out("approval-id")), ("kim", "go", "1"));
    assert!(tried.log.contains("1 of whoever may deploy to production asked for: Send the mails?"), "{}", tried.log);
    assert!(tried.log.contains("Waiting. `pipe approve 1 gate:mails` approves"), "{}", tried.log);
    let view = place.view().await;
    assert_eq!(
        (view.outcome, view.words.as_str(), view.orders.len()),
        (Some(Outcome::Succeeded), "kim approved it: go (1 of 1)", 0)
    );
    assert_eq!((view.service.as_str(), view.plan_hash.as_str()), ("gate:mails", out("plan-hash")));
}

#[tokio::test]
async fn a_person_rejects_it() {
    let place = Place::new();
    let tried = place.run(&[], &[("kim", "abort", "not today")]).await;
    assert_eq!(error(&tried), "kim rejected it: not today");
    assert_eq!(place.view().await.outcome, Some(Outcome::Rejected));
}

#[tokio::test]
async fn only_those_who_are_asked_count_and_each_once() {
    let place = Place::new();
    let inputs = [("reviewers", "kim, lee, somebody"), ("approvals", "2"), ("prevent-self-review", "true")];
    let orders = [
        ("eve", "promote", ""),
        ("somebody", "promote", ""),
        ("kim", "promote", ""),
        ("Kim", "promote", ""),
        ("lee", "promote", ""),
    ];
    let tried = place.run(&inputs, &orders).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(tried.outputs["approved-by"], "kim, lee");
    let lines = [
        "eve approves, which does not count: asked are kim, lee, somebody",
        "somebody approves, which does not count: they started the run",
        "kim approved it (1 of 2)",
        "Kim approves, which does not count: they did so before",
        "lee approved it (2 of 2)",
    ];
    for line in lines {
        assert!(tried.log.contains(line), "{line}: {}", tried.log);
    }
}

#[tokio::test]
async fn it_ends_when_time_is_up_or_the_job_is_cancelled() {
    let place = Place::new();
    let tried = place.run(&[("timeout", "0s")], &[]).await;
    assert_eq!(error(&tried), "nobody approved it in time: 0 of 1 approvals");
    assert_eq!(place.view().await.cause, Some(Cause::Timeout));
    let place = Place::new();
    place.trial.cancel.cancel();
    assert_eq!(error(&place.run(&[], &[]).await), "the operation was canceled");
    assert_eq!(place.view().await.cause, Some(Cause::Cancelled));
}

#[tokio::test]
async fn a_step_that_is_taken_up_finds_its_gate() {
    let mut place = Place::new();
    let inputs = [("approvals", "2"), ("timeout", "0s")];
    let tried = place.run(&inputs, &[]).await;
    assert!(tried.result.is_err());
    // Decided by the process before.
    place.trial.again = true;
    let again = place.run(&inputs, &[]).await;
    assert_eq!(again.outputs["approval-id"], "1");
    let other = place.run(&[("approvals", "1"), ("timeout", "0s")], &[]).await;
    assert_eq!(error(&other), "approval 1 was asked for by this step with another plan; run the job again");
}

#[tokio::test]
async fn inputs_are_checked_and_a_dry_run_asks_nobody() {
    let mut place = Place::new();
    let dry = place.run(&[("dry-run", "true"), ("subject", "Send?")], &[]).await;
    assert!(
        dry.log.contains("Dry run: 1 of whoever may deploy to production asked for: Send?\nPlan sha256:"),
        "{}",
        dry.log
    );
    assert!(place.rollouts.list(RolloutFilter { limit: 1, ..RolloutFilter::default() }).await.unwrap().is_empty());
    let more = place.run(&[("dry-run", "true"), ("details", "+ table a\n- table b")], &[]).await;
    assert!(more.log.contains("+ table a\n- table b\n"), "{}", more.log);
    assert_ne!(more.outputs["plan-hash"], place.run(&[("dry-run", "true")], &[]).await.outputs["plan-hash"]);
    let long = "x".repeat(64 * 1024 + 1);
    assert!(error(&place.run(&[("details", &long)], &[]).await).starts_with("`details` has 65537 bytes"));
    let nobody = "nobody can satisfy this gate: one has to approve, and 0 of `reviewers` may";
    assert_eq!(error(&place.run(&[("reviewers", "somebody"), ("prevent-self-review", "true")], &[]).await), nobody);
    assert_eq!(error(&place.run(&[("approvals", "0")], &[]).await), "`approvals` must be a number from 1, not `0`");
    assert!(error(&place.run(&[("timeout", "soon")], &[]).await).starts_with("`timeout`:"));
    place.trial.run.environment = None;
    let missing = "pipe/approve needs `environment`: who may deploy there may approve";
    assert_eq!(error(&place.run(&[], &[]).await), missing);
    let nowhere = Approve::default();
    let tried = place.trial.run(&nowhere, &[("environment", "production")]).await;
    assert_eq!(error(&tried), "pipe/approve has nobody to ask here: run it by a server (`pipe serve`)");
}
