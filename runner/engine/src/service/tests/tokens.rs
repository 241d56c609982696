//! T01: the token of a job is of that job: it ends with it, and allows what the job's permissions say in its repository.

use super::*;
use crate::sealing::{MasterKey, MasterKeys, Vault};
use crate::store::audit::Audit;
use crate::store::tokens::{Holder, Scope, Tokens};

const JOBS: &str = r#"
a:
  runs-on: x
  permissions: { actions: write }
  steps:
    - run: |
        out "of a: ${{ secrets.PIPE_TOKEN }}\n"
        hang
b:
  runs-on: x
  permissions: {}
  steps:
    - run: |
        out "of b: <${{ secrets.PIPE_TOKEN }}>\n"
c:
  runs-on: x
  steps:
    - run: |
        out "of c: ${{ secrets.PIPE_TOKEN }}\n"
"#;

impl World {
    /// What the script of a job has for its token: the last of those that were started.
    fn token(&self, job: &str) -> Option<String> {
        let marked = format!("of {job}: ");
        let scripts = self.started();
        let script = scripts.iter().rev().find(|script| script.contains(&marked))?;
        let text = script.split_once(&marked)?.1;
        Some(text.split(['\\', '\n', '>']).next()?.trim_start_matches('<').to_owned())
    }
}

/// Who holds a token now.
async fn holder(life: &Life, token: &str) -> Option<Holder> {
    let vault = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap());
    let audit = Audit::open(life.database.clone(), &vault).await.unwrap();
    Tokens::on(life.database.clone(), audit).check(token, Timestamp::now()).await.unwrap()
}

#[tokio::test]
async fn t01_a_jobs_token_ends_with_the_job_and_allows_no_more_than_it_says() {
    let world = World::new(3);
    let life = world.begin();
    let run = life.make(spec(JOBS)).await;
    let over = |facts: &[Recorded]| ends(facts).len() == 2;
    while !over(&life.until(run, "job_run_finished").await) || world.token("a").is_none() {
        tokio::task::yield_now().await;
    }
    let token = world.token("a").unwrap();
    let of_a = holder(&life, &token).await.unwrap();
    assert_eq!(of_a.who, format!("job a of run {run}"));
    assert!(of_a.may(Scope::RunsWrite, "o/r") && of_a.may(Scope::Dispatch, "o/r"));
    for scope in
        Scope::ALL.into_iter().filter(|one| ![Scope::RunsRead, Scope::RunsWrite, Scope::Dispatch].contains(one))
    {
        assert!(!of_a.may(scope, "o/r"), "{}", scope.as_str());
    }
    assert!(!of_a.may(Scope::RunsRead, "o/other") && !of_a.may_see("o/other"));
    // One that asks for no permission has none; that of a job that is over is none any more.
    assert_eq!(world.token("b").as_deref(), Some(""));
    let of_c = world.token("c").unwrap();
    assert!(of_c.starts_with("pipe_") && of_c != token);
    assert!(holder(&life, &of_c).await.is_none());
    // It is hidden, and kept as a digest only.
    assert!(texts(&world.logs(run)).values().all(|text| !text.contains(&token)));
    // The job goes on over a restart, and so does its token.
    life.end().await;
    for entry in ["pipe.db", "pipe.db-wal"].map(|name| world.root.path().join(name)) {
        let bytes = std::fs::read(entry).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
    let life = world.begin();
    assert!(holder(&life, &token).await.is_some());
    life.service.cancel(run, "ada", false).await.unwrap();
    life.until(run, "run_finished").await;
    assert!(holder(&life, &token).await.is_none());
    life.end().await;
}
