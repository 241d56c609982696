//! Which jobs are about to begin: the last one that they need has begun its last step. Pure, and only a guess: of
//! conditions no more is looked at than that a job without one of its own does not run after a failure.

use workflow::model::{Job, JobId, StepKind};
use workflow::run::{Conclusion, JobPath, JobRunKey, Run, RunEvent, StepIndex};

/// Jobs of the same workflow that this event lets expect. Those of called workflows are not told ahead.
pub(super) fn about_to_begin(run: &Run, event: &RunEvent) -> Vec<JobPath> {
    let RunEvent::StepStarted { key, step, .. } = event else { return Vec::new() };
    if key.job.parent().is_some() || run.cancel.is_some() || !is_last(run, key, *step) {
        return Vec::new();
    }
    let ends = |id: &JobId| id.as_str() == key.job.id();
    let result = |id: &JobId| run.jobs.get(&JobPath::root(id)).and_then(workflow::run::JobState::result);
    let is_next = |job: &&Job| {
        let lets_begin = |id: &JobId| {
            ends(id) || result(id).is_some_and(|result| job.condition_span.is_some() || result == Conclusion::Success)
        };
        let needs = job.needs.iter().map(|need| &need.value);
        needs.clone().any(ends) && needs.clone().all(lets_begin) && result(&job.id.value).is_none()
    };
    let jobs = run.facts.workflow.jobs.values().filter(is_next).map(|job| JobPath::root(&job.id.value));
    jobs.filter(|job| run.facts.selected.as_ref().is_none_or(|ids| ids.iter().any(|id| id.as_str() == job.id())))
        .collect()
}

/// Whether nothing of the job comes after this step: not of this leg, not of another.
fn is_last(run: &Run, key: &JobRunKey, step: StepIndex) -> bool {
    let Some(steps) = run.steps_job(&key.job) else { return false };
    let count = |step: &workflow::model::Step| match &step.kind {
        StepKind::Parallel(steps) => steps.len(),
        StepKind::Run { .. } | StepKind::Uses { .. } | StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) => 1,
    };
    let all: usize = steps.steps.iter().map(count).sum();
    let others_are_over = || {
        let others = run.job_runs().filter(|(other, _)| other.job == key.job && other != key);
        others.into_iter().all(|(_, other)| other.conclusion().is_some())
    };
    let pre = run.job_run(key).map_or(0, |run| run.pre as usize);
    usize::try_from(step.0).is_ok_and(|step| step + 1 >= all + pre) && others_are_over()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;
    use workflow::run::{Command, Decision, EVENT_VERSION, Limits, Recorded, StepResult};

    use super::*;

    /// A run whose jobs do what a script says: `a.0` begins a step, `a!` ends a job well, `a?` badly, `stop` cancels.
    struct Script(Run);

    impl Script {
        fn record(&mut self, event: RunEvent) {
            let recorded = Recorded { v: EVENT_VERSION, seq: self.0.seq + 1, at: Timestamp::UNIX_EPOCH, event };
            self.0.apply(&recorded).unwrap();
        }

        /// Starts what can be started.
        fn settle(&mut self) {
            loop {
                let mut facts = Vec::new();
                for decision in self.0.decide(Timestamp::UNIX_EPOCH, &Limits { parallel: 100 }) {
                    match decision {
                        Decision::Record(event) => facts.push(event),
                        Decision::Do(Command::StartJobRun { key }) => {
                            facts.push(RunEvent::JobRunStarted { key: key.clone() });
                            facts.push(RunEvent::JobRunPlaced { key, runner: "x".into(), pre: 0 });
                        }
                        Decision::Do(_) => {}
                    }
                }
                if facts.is_empty() {
                    return;
                }
                facts.into_iter().for_each(|fact| self.record(fact));
            }
        }

        /// What is expected after a word of the script.
        fn plays(&mut self, word: &str) -> String {
            self.settle();
            let ends = |key: &str, conclusion| {
                let key = JobRunKey::parse(key);
                RunEvent::JobRunFinished { key, conclusion, outputs: BTreeMap::new(), message: None }
            };
            let event = if word == "stop" {
                RunEvent::RunCancelRequested { by: "mona".into(), force: false }
            } else if let Some(key) = word.strip_suffix('!') {
                ends(key, Conclusion::Success)
            } else if let Some(key) = word.strip_suffix('?') {
                ends(key, Conclusion::Failure)
            } else {
                let (key, step) = word.split_once('.').unwrap();
                let (key, step) = (JobRunKey::parse(key), StepIndex(step.parse().unwrap()));
                for earlier in (0..step.0).map(StepIndex) {
                    if !self.0.job_run(&key).unwrap().steps.contains_key(&earlier) {
                        let result = StepResult::plain(Conclusion::Success);
                        self.record(RunEvent::StepStarted { key: key.clone(), step: earlier, name: "x".into() });
                        self.record(RunEvent::StepFinished { key: key.clone(), step: earlier, result });
                    }
                }
                RunEvent::StepStarted { key, step, name: "x".into() }
            };
            self.record(event.clone());
            let expected = about_to_begin(&self.0, &event);
            expected.iter().map(JobPath::as_str).collect::<Vec<_>>().join(" ")
        }
    }

    fn check(jobs: &str, selected: Option<&[&str]>, script: &[(&str, &str)]) {
        let mut facts = crate::simulation::facts(jobs);
        facts.selected = selected.map(|ids| ids.iter().map(|id| JobId::new(*id)).collect());
        let mut world = Script(Run::new(Arc::new(facts)));
        for (word, expect) in script {
            assert_eq!(world.plays(word), *expect, "after `{word}` of {script:?} in\n{jobs}");
        }
    }

    const ONE: &str = "\n    - run: x";
    const TWO: &str = "\n    - run: x\n    - run: y";

    #[test]
    fn the_last_step_of_the_last_need_tells() {
        let chain = format!("a:\n  ${TWO}\nb:\n  needs: a\n  ${ONE}\nc:\n  needs: b\n  ${ONE}");
        check(&chain, None, &[("a.0", ""), ("a.1", "b"), ("a!", ""), ("b.0", "c"), ("b!", ""), ("c.0", "")]);
        let diamond = format!("a:\n  ${ONE}\nb:\n  ${TWO}\nc:\n  needs: [a, b]\n  ${ONE}\nd:\n  needs: a\n  ${ONE}");
        check(&diamond, None, &[("a.0", "d"), ("b.1", ""), ("a!", ""), ("b!", "")]);
        check(&diamond, None, &[("a.0", "d"), ("a!", ""), ("b.0", ""), ("b.1", "c")]);
        check(&diamond, None, &[("b.1", ""), ("b!", ""), ("a.0", "c d")]);
    }

    #[test]
    fn all_legs_have_to_come_to_their_last_step() {
        let legs = format!("a:\n  strategy: {{ matrix: {{ x: [1, 2] }} }}\n  ${TWO}\nb:\n  needs: a\n  ${ONE}");
        check(&legs, None, &[("a(0).1", ""), ("a(1).1", ""), ("a(0)!", ""), ("a(1)!", "")]);
        check(&legs, None, &[("a(0).1", ""), ("a(0)!", ""), ("a(1).0", ""), ("a(1).1", "b")]);
    }

    #[test]
    fn what_will_not_begin_is_not_expected() {
        let after = |condition: &str| format!("a:\n  ${ONE}\nb:\n  ${ONE}\nc:\n  needs: [a, b]\n{condition}  ${ONE}");
        check(&after(""), None, &[("a?", ""), ("b.0", "")]);
        check(&after("  if: always()\n"), None, &[("a?", ""), ("b.0", "c")]);
        check(&after(""), Some(&["a", "b"]), &[("a!", ""), ("b.0", "")]);
        check(&after(""), None, &[("a!", ""), ("stop", ""), ("b.0", "")]);
    }
}
