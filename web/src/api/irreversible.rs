//! What of a deployment that waits cannot be undone, said before somebody approves it: as far as it can be known before its jobs
//! run. There are three sources: what jobs before it said, what its steps have written in them, and the migrations that come
//! with its commits. What a step asks the database for when it runs is not among them.

use std::collections::BTreeSet;

use engine::mirror::{Apart, texts};
use engine::store::listing::RunListed;
use rollout::migration;
use serde::Serialize;
use workflow::model::{JobKind, Step, StepKind, Uses};
use workflow::plan::Plan;
use workflow::run::{Recorded, RunEvent};

use super::reviews::copy;
use crate::pages::planned_id;
use crate::site::Site;

/// The output, and the input, that say it.
const NAME: &str = "irreversible";
/// Most reasons that are told.
const TOLD_MAX: usize = 50;
/// Longest reason, in characters.
const WORDS_MAX: usize = 1_000;

/// What cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Irreversible {
    /// Who or what says so: a job, a step, a file.
    pub(crate) by: String,
    /// Why.
    pub(crate) words: String,
}

impl Irreversible {
    fn of(by: String, words: &str) -> Self {
        Self { by, words: words.trim().chars().take(WORDS_MAX).collect() }
    }
}

/// What of it is known. `jobs` are the keys of those that wait; `apart` is what comes, if that is known.
pub(crate) async fn known(
    site: &Site,
    run: &RunListed,
    facts: &[Recorded],
    jobs: &[String],
    apart: Option<&Apart>,
) -> Vec<Irreversible> {
    let mut told = said(facts);
    let spec = site.store.spec(run.id).await.ok().flatten();
    let plan = spec.and_then(|spec| spec.plan().ok());
    let steps = plan.as_ref().map(|plan| steps_of(plan, jobs)).unwrap_or_default();
    told.extend(steps.iter().filter_map(|(job, step)| written(job, step)));
    let folders = steps.iter().filter_map(|(_, step)| input(step, "migrate", "migrations")).collect();
    let paths = apart.map(|apart| migrations(apart, &folders)).unwrap_or_default();
    if !paths.is_empty() {
        let commit = run.sha.clone();
        // Where commits are known the copy is there; what cannot be read any more is told by `Changes::problem`.
        if let Ok((mirrors, id)) = copy(site, run).await
            && let Ok(read) = mirrors.read(id, move |mirror| texts(mirror, &commit, &paths)).await
        {
            told.extend(read.iter().filter_map(|(path, text)| in_file(path, text)));
        }
    }
    told.truncate(TOLD_MAX);
    told
}

/// What jobs that are over gave as an output of that name.
fn said(facts: &[Recorded]) -> Vec<Irreversible> {
    let ended = facts.iter().filter_map(|fact| {
        let RunEvent::JobRunFinished { key, outputs, .. } = &fact.event else { return None };
        let words = outputs.iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME))?.1.trim();
        // `false` is what an expression makes of nothing.
        (!words.is_empty() && words != "false").then(|| Irreversible::of(format!("job {key}"), words))
    });
    ended.collect()
}

/// Steps of these jobs, those of parallel blocks among them.
fn steps_of<'a>(plan: &'a Plan, jobs: &[String]) -> Vec<(String, &'a Step)> {
    fn add<'a>(job: &str, steps: &'a [Step], all: &mut Vec<(String, &'a Step)>) {
        for step in steps {
            all.push((job.to_owned(), step));
            if let StepKind::Parallel(inner) = &step.kind {
                add(job, inner, all);
            }
        }
    }
    let mut all = Vec::new();
    let ids: BTreeSet<String> = jobs.iter().map(|key| planned_id(key)).collect();
    for id in ids {
        if let Some(index) = plan.find(&id)
            && let JobKind::Steps(job) = &plan.job(index).job.kind
        {
            add(&id, &job.steps, &mut all);
        }
    }
    all
}

/// An input of one of our own actions, where it is written out and holds something.
fn input(step: &Step, action: &str, input: &str) -> Option<String> {
    let StepKind::Uses { uses, with } = &step.kind else { return None };
    let is_it = matches!(&uses.value, Uses::BuiltIn { name, .. } if name == action);
    let text = with.as_ref().filter(|_| is_it)?.get(input)?.literal_text()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What a deployment is told in its own file.
fn written(job: &str, step: &Step) -> Option<Irreversible> {
    let words = input(step, "deploy-local", NAME).filter(|words| words != "false")?;
    Some(Irreversible::of(format!("a step of {job}"), &words))
}

/// Files that come and are migrations, by their folder or by a step that names theirs.
fn migrations(apart: &Apart, folders: &BTreeSet<String>) -> Vec<String> {
    let is_named = |path: &str| {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.iter().any(|named| named.trim_start_matches("./").trim_end_matches('/') == folder)
    };
    let comes = apart.files.iter().filter(|file| file.change != "removed" && !file.path.ends_with(".down.sql"));
    comes.filter(|file| file.kind == Some("migration") || is_named(&file.path)).map(|file| file.path.clone()).collect()
}

fn in_file(path: &str, text: &str) -> Option<Irreversible> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match migration::read(name, text) {
        Ok(reading) => reading.irreversible.map(|words| Irreversible::of(path.to_owned(), &words)),
        // What its marks mean nobody knows: `pipe/migrate` refuses it as well.
        Err(problem) => Some(Irreversible::of(path.to_owned(), &problem)),
    }
}

#[cfg(test)]
mod tests {
    use engine::mirror::FileChange;
    use jiff::Timestamp;
    use workflow::run::{Conclusion, EVENT_VERSION, JobRunKey};

    use super::*;

    #[test]
    fn jobs_before_say_it() {
        let ended = |output: &str, value: &str| Recorded {
            v: EVENT_VERSION,
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            event: RunEvent::JobRunFinished {
                key: JobRunKey::parse("plan"),
                conclusion: Conclusion::Success,
                outputs: std::iter::once((output.to_owned(), value.to_owned())).collect(),
                message: None,
            },
        };
        for (output, value, expected) in [
            ("irreversible", "2_drop.sql (drops table a)", Some("2_drop.sql (drops table a)")),
            ("Irreversible", " x ", Some("x")),
            ("irreversible", "", None),
            ("irreversible", "false", None),
            ("image", "x", None),
        ] {
            let told = said(&[ended(output, value)]);
            let words: Vec<_> = told.iter().map(|one| (one.by.as_str(), one.words.as_str())).collect();
            assert_eq!(
                words,
                expected.map(|words| ("job plan", words)).into_iter().collect::<Vec<_>>(),
                "{output}: {value}"
            );
        }
    }

    #[test]
    fn files_that_come_are_read() {
        let file = |path: &str, change, kind| FileChange { path: path.into(), change, lines: None, kind };
        let apart = Apart {
            files: vec![
                file("db/migrations/2.sql", "added", Some("migration")),
                file("db/migrations/2.down.sql", "added", Some("migration")),
                file("db/migrations/1.sql", "removed", Some("migration")),
                file("store/changes/3.sql", "added", None),
                file("store/app.js", "added", None),
            ],
            ..Apart::default()
        };
        let folders = std::iter::once("./store/changes/".to_owned()).collect();
        assert_eq!(migrations(&apart, &folders), ["db/migrations/2.sql", "store/changes/3.sql"]);
        assert_eq!(migrations(&apart, &BTreeSet::new()), ["db/migrations/2.sql"]);
        let told = |text: &str| in_file("db/2.sql", text).map(|one| one.words);
        assert_eq!(told("DROP TABLE a"), Some("drops table a".to_owned()));
        assert_eq!(told("CREATE TABLE a (b int)"), None);
        assert!(told("-- pipe: ireversible").unwrap().contains("did you mean"));
    }
}
