//! Who wrote what is new in an environment does not approve it there (row A01 of the attacks), as far as rules say so.

use super::*;
use crate::git::test_repository::git;
use crate::store::deployments::DeploymentChange;
use crate::store::outbox::{News, Outbox};

/// Makes a commit where the mirror of the runs is, by somebody of `NAME@example.org`.
fn commit(world: &World, name: &str) -> String {
    let folder = world.root.path().join("mirror");
    if !folder.exists() {
        std::fs::create_dir(&folder).unwrap();
        git(&folder, &["init", "-q", "-b", "main"]);
    }
    let who = [format!("user.name={name}"), format!("user.email={name}@example.org")];
    git(&folder, &["-c", &who[0], "-c", &who[1], "commit", "-q", "--allow-empty", "-m", name]);
    git(&folder, &["rev-parse", "HEAD"]).trim().to_owned()
}

fn of(environment: &str, sha: &str) -> RunSpec {
    let mut made = spec(&format!("a: {{ environment: {environment}, runs-on: x, steps: [{{ run: 'out \"a\"' }}] }}"));
    made.event.sha = Some(sha.to_owned());
    made
}

fn person(name: &str) -> Reviewer {
    Reviewer {
        aliases: vec![format!("mail:{name}@example.org"), format!("{name}@example.org")],
        ..Reviewer::named(name)
    }
}

fn approves(environment: &str) -> Verdict {
    Verdict { environment: environment.into(), approved: true, ..Verdict::default() }
}

/// A commit stands in an environment from now on, as reports would say it.
async fn stands(life: &Life, environment: &str, sha: &str) {
    let outbox = Outbox::on(life.database.clone());
    let run = life.make(RunSpec { sources: spec("a: { runs-on: x }").sources, ..of(environment, sha) }).await;
    let facts = life.until(run, "run_finished").await;
    let position = outbox.open_runs().await.unwrap().into_iter().find(|one| one.run == run).unwrap();
    let deployed = DeploymentChange {
        job: workflow::run::JobRunKey::parse("a"),
        repository: "o/r".into(),
        environment: environment.to_uppercase(),
        state: "success",
        url: None,
        at: facts[0].at,
        is_open: false,
    };
    let news = News { deployments: vec![deployed], ..News::default() };
    assert!(outbox.record(position, facts.len() as u64, true, news, facts[0].at).await.unwrap());
}

#[tokio::test]
async fn who_wrote_any_commit_since_the_last_deployment_does_not_approve_it() {
    let world = World::new(1);
    let [first, second, third] = ["ada", "bob", "eve"].map(|name| commit(&world, name));
    let life = world.begin();
    Outbox::on(life.database.clone()).recover().await.unwrap();
    // Nothing stands there: all that was ever written is new.
    let run = life.make(of("fresh", &third)).await;
    life.until(run, "review_requested").await;
    for name in ["ada", "bob", "eve"] {
        let refused = life.service.review(run, &person(name), approves("fresh")).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "{name}@example.org wrote commits that run {run} would bring to `fresh` and may not review its \
                 deployment there: somebody else has to"
            )
        );
    }
    let unknown = life.service.review(run, &Reviewer::named("kim"), approves("fresh")).await.unwrap_err();
    assert!(unknown.to_string().ends_with("link one with `pipe user alias add kim mail:ADDRESS`"), "{unknown}");
    life.service.cancel(run, "ada", false).await.unwrap();
    life.until(run, "run_finished").await;
    // With the first commit there, the other two have authors who count; under which name does not matter.
    stands(&life, "fresh", &first).await;
    let run = life.make(of("fresh", &third)).await;
    life.until(run, "review_requested").await;
    let authors = life.service.gates(run).await.unwrap()[0].gates[0].terms.authors.clone();
    assert_eq!(authors.unwrap(), ["bob@example.org", "eve@example.org"]);
    let token = Reviewer { person: Some("bob".into()), ..Reviewer { name: "robot".into(), ..person("bob") } };
    for by in [person("bob"), person("eve"), token] {
        let refused = life.service.review(run, &by, approves("fresh")).await.unwrap_err();
        assert!(matches!(refused, ServiceError::OwnCommits { .. }), "{refused}");
    }
    // Somebody deploys the second one meanwhile: what was looked at is not what would come any more.
    stands(&life, "fresh", &second).await;
    let changed = life.service.review(run, &person("ada"), approves("fresh")).await.unwrap_err();
    assert!(matches!(changed, ServiceError::Changed { .. }), "{changed}");
    let authors = life.service.gates(run).await.unwrap()[0].gates[0].terms.authors.clone();
    assert_eq!(authors.unwrap(), ["eve@example.org"]);
    life.service.review(run, &person("bob"), approves("fresh")).await.unwrap();
    assert_eq!(ends(&life.until(run, "run_finished").await), ["a success", "run success"]);
    life.end().await;
}

#[tokio::test]
async fn what_nobody_knows_the_authors_of_is_not_deployed() {
    let world = World::new(1);
    let _other = commit(&world, "ada");
    let life = world.begin();
    let run = life.make(of("fresh", &"1".repeat(40))).await;
    let facts = life.until(run, "run_finished").await;
    assert_eq!(ends(&facts), ["a failure", "run failure"]);
    let said = facts.iter().find_map(|fact| {
        let RunEvent::JobRunFinished { message, .. } = &fact.event else { return None };
        message.clone()
    });
    assert_eq!(
        said.unwrap(),
        format!(
            "who wrote what would go to `fresh` may not approve it, and nobody knows who did: commit {} is not in the \
             repository (any more): its branch was deleted or pushed over",
            "1".repeat(40)
        )
    );
    life.end().await;
}
