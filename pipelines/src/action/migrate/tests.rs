//! Migrations whose commands write files, and rollouts as a server keeps them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::step::trial::{Trial, Tried};

use super::super::job_here::JobHere;
use super::*;

struct Place {
    folder: tempfile::TempDir,
    job: Arc<JobHere>,
    trial: Trial,
}

impl Place {
    /// A workspace with these migrations in `migrations`.
    fn new(migrations: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("w");
        std::fs::create_dir_all(workspace.join("migrations")).unwrap();
        for (name, text) in migrations {
            std::fs::write(workspace.join("migrations").join(name), text).unwrap();
        }
        let job = Arc::new(JobHere::new(folder.path().to_path_buf()));
        let mut trial = Trial::new(folder.path().to_path_buf(), workspace.clone(), folder.path());
        trial.workspace.inside = workspace.to_string_lossy().into_owned();
        trial.job = Some(Arc::clone(&job) as _);
        trial.run.environment = Some("staging".into());
        Self { folder, job, trial }
    }

    fn run(&self, inputs: &[(&str, &str)]) -> Tried {
        self.run_with(&Migrate::default(), inputs)
    }

    fn run_with(&self, action: &Migrate, inputs: &[(&str, &str)]) -> Tried {
        runtime().block_on(self.trial.run(action, inputs))
    }

    fn written(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("w/database")).unwrap_or_default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn error(tried: &Tried) -> String {
    tried.result.as_ref().expect_err(&tried.log).to_string()
}

const EACH: [(&str, &str); 2] = [("command", "cat \"$PIPE_MIGRATION\" >> database"), ("each", "true")];
const ADD: (&str, &str) = ("1_add.sql", "CREATE TABLE a (b int);\n");
const MORE: (&str, &str) = ("2_more.sql", "ALTER TABLE a ADD c int;\n");
const DROP: (&str, &str) = ("3_drop.sql", "ALTER TABLE a DROP COLUMN b;\n");

#[test]
fn what_is_pending_is_listed_applied_and_not_applied_again() {
    let place = Place::new(&[ADD, MORE, DROP]);
    let tried = place.run(&EACH);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(place.written(), format!("{}{}", ADD.1, MORE.1));
    let out = |name: &str| tried.outputs[name].as_str();
    assert_eq!(
        (out("pending"), out("applied"), out("irreversible")),
        ("1_add.sql\n2_more.sql\n3_drop.sql", "1_add.sql\n2_more.sql", "")
    );
    let lines = "Database default of staging, phase expand: 3 pending\n  1_add.sql (now)\n  2_more.sql (now)\n  \
                 3_drop.sql (later, in the phase contract); cannot be undone: drops column a.b\nPlan sha256:";
    assert!(tried.log.contains(lines), "{}", tried.log);
    let again = place.run(&EACH);
    assert_eq!((again.outputs["pending"].as_str(), again.outputs["applied"].as_str()), ("3_drop.sql", ""));
    assert_eq!(place.written(), format!("{}{}", ADD.1, MORE.1), "nothing twice");
    // What was changed afterwards is not applied, and that is said.
    std::fs::write(place.folder.path().join("w/migrations/1_add.sql"), "CREATE TABLE b (c int);").unwrap();
    assert!(place.run(&EACH).log.contains("1_add.sql was changed after it was applied"));
}

#[test]
fn a_dry_run_touches_nothing_and_has_the_hash_of_the_plan() {
    let place = Place::new(&[ADD, ("2.sql", "-- pipe: irreversible (mails are sent)\nSELECT 1")]);
    let dry = place.run(&[&EACH[..], &[("dry-run", "true")]].concat());
    assert!(dry.result.is_ok() && dry.log.contains("Dry run: nothing was applied"), "{}", dry.log);
    assert_eq!((place.written(), *place.job.started.lock().unwrap()), (String::new(), 0));
    assert_eq!(dry.outputs["irreversible"], "2.sql (mails are sent)");
    assert!(dry.log.contains("##[warning]cannot be undone: 2.sql (mails are sent)."), "{}", dry.log);
    let hash = &dry.outputs["plan-hash"];
    assert!(hash.starts_with("sha256:") && hash.len() == 71 && dry.outputs["plan"].contains("mails are sent"));
    let wet = place.run(&EACH);
    assert_eq!(&wet.outputs["plan-hash"], hash);
    let another = Place::new(&[ADD]).run(&EACH);
    assert_ne!(&another.outputs["plan-hash"], hash);
}

#[test]
fn a_migration_that_fails_stops_there() {
    let place = Place::new(&[ADD, ("2_bad.sql", "SELECT nonsense"), ("3_c.sql", "SELECT 1")]);
    let command = "if grep -q nonsense \"$PIPE_MIGRATION\"; then echo 'ERROR: no such column' >&2; exit 3; fi";
    let tried = place.run(&[("command", command), ("each", "true")]);
    assert_eq!(error(&tried), "the command ended with exit code 3; applied: 1, not: 2_bad.sql, 3_c.sql");
    assert_eq!(tried.outputs["applied"], "1_add.sql");
    assert!(tried.log.contains("2_bad.sql\nERROR: no such column"), "{}", tried.log);
    std::fs::write(place.folder.path().join("w/migrations/2_bad.sql"), "SELECT 1").unwrap();
    let again = place.run(&[("command", command), ("each", "true")]);
    assert_eq!(again.outputs["applied"], "2_bad.sql\n3_c.sql");
}

#[test]
fn a_tool_says_itself_what_is_pending() {
    let place = Place::new(&[ADD, MORE]);
    let tool =
        [("command", "echo \"$PIPE_PHASE: $PIPE_MIGRATIONS\" > database"), ("pending", "echo db/2_more.sql; echo")];
    let tried = place.run(&tool);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(
        (place.written().as_str(), tried.outputs["applied"].as_str()),
        ("expand: migrations/2_more.sql\n", "2_more.sql")
    );
    let unknown = place.run(&[tool[0], ("pending", "echo 9.sql")]);
    assert!(error(&unknown).starts_with("`pending` names `9.sql`, which is not in migrations"), "{}", error(&unknown));
    let fails = place.run(&[tool[0], ("pending", "echo no connection; exit 2")]);
    assert_eq!(error(&fails), "the command of `pending` ended with exit code 2");
    assert!(fails.log.contains("no connection"), "{}", fails.log);
    let none = place.run(&[tool[0], ("pending", "true")]);
    assert!(none.result.is_ok() && none.outputs["pending"].is_empty() && none.log.contains(": 0 pending"));
}

#[test]
fn a_tool_that_applies_all_does_not_get_what_comes_too_early() {
    let place = Place::new(&[ADD, DROP]);
    let text = error(&place.run(&[("command", "true")]));
    assert!(text.starts_with("3_drop.sql belongs to the phase `contract` (drops column a.b)"), "{text}");
}

#[test]
fn a_killed_process_is_followed_by_one_that_applies_nothing_twice() {
    let mut place = Place::new(&[ADD]);
    // Killed when the command had ended and before that was kept.
    place.job.forgets.store(false, Ordering::SeqCst);
    assert!(place.run(&EACH).result.is_ok());
    std::fs::remove_dir_all(place.folder.path().join("state/migrations")).unwrap();
    place.trial.again = true;
    let tried = place.run(&EACH);
    assert_eq!(
        (tried.outputs["applied"].as_str(), *place.job.started.lock().unwrap()),
        ("1_add.sql", 1),
        "{}",
        tried.log
    );
    assert_eq!(place.written(), ADD.1);
}

#[test]
fn inputs_are_checked() {
    let place = Place::new(&[ADD]);
    let check = |inputs: &[(&str, &str)], expect: &str| assert_eq!(error(&place.run(inputs)), expect);
    check(&[], "pipe/migrate needs `command`: what applies the migrations");
    check(&[("comand", "true")], "pipe/migrate has no input `comand`; did you mean `command`?");
    check(
        &[("command", "true"), ("phase", "expnd")],
        "`phase` must be `expand` or `contract`, not `expnd`; did you mean `expand`?",
    );
    check(&[("command", "true"), ("env", "A")], "`env` has a line that is not NAME=value");
    let contract =
        "`phase: contract` needs `service` and an environment: it is refused while their old revision has traffic";
    check(&[("command", "true"), ("phase", "contract")], contract);
    let missing = place.run(&[("command", "true"), ("migrations", "db")]);
    assert!(error(&missing).starts_with("`migrations`: db cannot be read"));
    assert!(error(&missing).contains("check the repository out in a step before"));
}
