//! What may change in a workflow between an attempt that failed and the next one: what has not run, or runs again.
//!
//! Texts are compared as YAML: comments and line breaks change nothing. What an anchor names counts where it is used.

use std::collections::BTreeSet;

use serde_yaml::{Mapping, Value};

/// What of a workflow has run, and does not run again.
#[derive(Debug, Default)]
pub struct Ran {
    /// Jobs of which something is kept.
    pub kept: BTreeSet<String>,
    /// Jobs that go on in their own places.
    pub goes_on: Vec<GoesOn>,
}

/// A job that goes on in its own place.
#[derive(Debug)]
pub struct GoesOn {
    /// Its id.
    pub job: String,
    /// The first of its steps that runs again, as the file has them, from 0.
    pub from: usize,
    /// Whether `pre` parts of its actions have run, which are known by the places of their steps.
    pub has_pre: bool,
}

/// The first thing that has changed and may not have, in words.
pub fn differs(old: &str, new: &str, ran: &Ran) -> Option<String> {
    let (Some(old), Some(new)) = (read(old), read(new)) else { return Some("it".to_owned()) };
    if let Some(key) = differing(&old, &new, "jobs") {
        return Some(format!("`{key}` of the workflow, which counts for what has run,"));
    }
    let (old, new) = (jobs(&old), jobs(&new));
    for id in &ran.kept {
        if old.get(id) != new.get(id) {
            return Some(format!("job `{id}`, of which results are kept,"));
        }
    }
    let none = Mapping::new();
    let job = |jobs: &Mapping, id: &str| jobs.get(id).and_then(Value::as_mapping).unwrap_or(&none).clone();
    ran.goes_on.iter().find_map(|one| of_job(&job(&old, &one.job), &job(&new, &one.job), one))
}

/// The first thing in which a workflow that has run as a whole is another one, in words.
pub fn differs_at_all(old: &str, new: &str) -> Option<String> {
    let (Some(old), Some(new)) = (read(old), read(new)) else { return Some("it".to_owned()) };
    let key = differing(&old, &new, "jobs").map(|key| format!("`{key}` of the workflow"));
    // No job is called so.
    key.or_else(|| differing(&jobs(&old), &jobs(&new), "").map(|id| format!("job `{id}`")))
}

fn read(text: &str) -> Option<Mapping> {
    serde_yaml::from_str(text).ok()
}

fn jobs(workflow: &Mapping) -> Mapping {
    workflow.get("jobs").and_then(Value::as_mapping).cloned().unwrap_or_default()
}

/// The first key whose values are not the same; all count but one.
fn differing(old: &Mapping, new: &Mapping, but: &str) -> Option<String> {
    let keys = old.keys().chain(new.keys()).filter_map(Value::as_str);
    keys.into_iter().find(|key| *key != but && old.get(*key) != new.get(*key)).map(str::to_owned)
}

fn of_job(old: &Mapping, new: &Mapping, GoesOn { job, from, has_pre }: &GoesOn) -> Option<String> {
    if let Some(key) = differing(old, new, "steps") {
        return Some(format!("`{key}` of job `{job}`, which has begun,"));
    }
    let steps = |job: &Mapping| job.get("steps").and_then(Value::as_sequence).cloned().unwrap_or_default();
    let (old, new) = (steps(old), steps(new));
    let named = |index: usize| {
        let step = old.get(index).or(new.get(index));
        let name = step.and_then(|step| ["name", "id", "uses"].iter().find_map(|key| step.get(key)?.as_str()));
        let name = name.map(|name| format!(" (`{name}`)")).unwrap_or_default();
        format!("step {}{name} of job `{job}`", index + 1)
    };
    if let Some(index) = (0..*from).find(|index| old.get(*index) != new.get(*index)) {
        return Some(format!("{}, which has run,", named(index)));
    }
    // What a job uses was fetched, and its `pre` parts ran, before its first step.
    let known: BTreeSet<_> = old.iter().flat_map(uses).collect();
    let is_other = |index: &usize| {
        let (was, is) = (old.get(*index).map(uses), new.get(*index).map(uses));
        if *has_pre { was != is } else { !known.is_superset(&is.into_iter().flatten().collect()) }
    };
    let index = (*from..old.len().max(new.len())).find(is_other)?;
    Some(format!("what {} uses, which was made ready before its first step,", named(index)))
}

/// The actions of a step, or of the steps of a block.
fn uses(step: &Value) -> Vec<String> {
    let inner = step.get("parallel").and_then(Value::as_sequence).into_iter().flatten();
    let steps = std::iter::once(step).chain(inner);
    steps.filter_map(|step| Some(step.get("uses")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "on: push
env: { A: 1 }
jobs:
  kept: { runs-on: x, steps: [{ run: a }] }
  one:
    runs-on: x
    steps:
      - name: First
        run: a
      - uses: octo/say@v1
      - id: test
        run: b
      - uses: octo/end@v1
      - parallel: [{ run: c }, { run: d }]
  later: { needs: one, runs-on: x, steps: [{ run: a }] }
";

    fn check(from: &str, to: &str, has_pre: bool, expect: Option<&str>) {
        let goes_on = vec![GoesOn { job: "one".to_owned(), from: 2, has_pre }];
        let ran = Ran { kept: ["kept".to_owned()].into(), goes_on };
        let new = OLD.replacen(from, to, 1);
        assert_ne!(new, OLD, "{from}");
        let got = differs(OLD, &new, &ran);
        assert_eq!(got.as_deref(), expect, "{from} → {to}");
    }

    #[test]
    fn what_has_run_stays() {
        const ACTION: &str = "which was made ready before its first step,";
        for (from, to, expect) in [
            ("on: push\n", "on: push # every one\n\n", None),
            ("run: b", "run: c", None),
            (
                "        run: b\n",
                "        run: b\n        if: always()\n      - run: more\n      - uses: octo/say@v1\n",
                None,
            ),
            ("      - id: test\n        run: b\n", "", None),
            ("runs-on: x, steps: [{ run: a }] }\n  one", "runs-on: y, steps: [{ run: a }] }\n  one", Some(0)),
            ("needs: one, runs-on: x, steps: [{ run: a }]", "runs-on: y, steps: [{ run: z }]", None),
            ("  later", "  new: { runs-on: x, steps: [{ run: a }] }\n  other", None),
            ("A: 1", "A: 2", Some(1)),
            ("    runs-on: x\n", "    runs-on: y\n", Some(2)),
            ("    runs-on: x\n", "    runs-on: x\n    outputs: { a: b }\n", Some(3)),
            ("        run: a\n", "        run: z\n", Some(4)),
            ("octo/end@v1", "octo/end@v2", Some(6)),
            ("run: c }", "run: z }", None),
            ("{ run: c }", "{ uses: octo/end@v1 }", None),
            ("{ run: c }", "{ uses: octo/new@v1 }", Some(5)),
        ] {
            let expect = expect.map(|index: usize| match index {
                0 => "job `kept`, of which results are kept,".to_owned(),
                1 => "`env` of the workflow, which counts for what has run,".to_owned(),
                2 => "`runs-on` of job `one`, which has begun,".to_owned(),
                3 => "`outputs` of job `one`, which has begun,".to_owned(),
                4 => "step 1 (`First`) of job `one`, which has run,".to_owned(),
                5 => format!("what step 5 of job `one` uses, {ACTION}"),
                _ => format!("what step 4 (`octo/end@v1`) of job `one` uses, {ACTION}"),
            });
            check(from, to, false, expect.as_deref());
        }
    }

    #[test]
    fn of_what_has_run_as_a_whole_all_counts() {
        for (from, to, expect) in [
            ("on: push\n", "on: push # every one\n\n", None),
            ("A: 1", "A: 2", Some("`env` of the workflow")),
            ("run: b", "run: c", Some("job `one`")),
            ("  later", "  new: { runs-on: x, steps: [{ run: a }] }\n  later", Some("job `new`")),
            ("jobs:", "jobs: [", Some("it")),
        ] {
            let new = OLD.replacen(from, to, 1);
            assert_ne!(new, OLD, "{from}");
            assert_eq!(differs_at_all(OLD, &new).as_deref(), expect, "{from} → {to}");
        }
    }

    #[test]
    fn actions_whose_first_part_has_run_stay_where_they_are() {
        let moved = "what step 4 (`octo/end@v1`) of job `one` uses, which was made ready before its first step,";
        check("run: b", "run: c", true, None);
        check("        run: b\n", "        run: b\n      - run: more\n", true, Some(moved));
    }
}
