//! Steps of one job without a runner: `tests/steps/*.txt`, in the form of the cases of runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::world::{conclusion, workflow};
use crate::expression::{Scope, Status, Value};
use crate::model::{JobKind, Step};
use crate::run::steps::{FlatStep, JobSteps, StepDecision, StepFact, flatten};
use crate::run::{Conclusion, StepIndex, StepResult};
use crate::template::TokenKind;

/// More rounds than any case needs.
const ROUNDS_MAX: usize = 100_000;

struct StatusOnly(Status);

impl Scope for StatusOnly {
    fn context(&self, _name: &str) -> Option<Value> {
        None
    }

    fn status(&self) -> Option<Status> {
        Some(self.0)
    }

    fn hash_files(&self, _patterns: &[String]) -> Result<String, String> {
        Err("no files here".into())
    }
}

struct Job {
    steps: Vec<Step>,
    machine: JobSteps,
    shown: BTreeSet<u32>,
    text: String,
    rounds: usize,
    done: bool,
}

impl Job {
    fn new(text: &str) -> Self {
        let text = format!("job:\n  runs-on: x\n  steps:\n    {}", text.trim_end().replace('\n', "\n    "));
        let workflow = workflow(&text);
        let JobKind::Steps(job) = &workflow.jobs[0].kind else { panic!("steps") };
        let steps = job.steps.clone();
        let machine = JobSteps::new(flatten(&steps));
        Self { steps, machine, shown: BTreeSet::new(), text: String::new(), rounds: 0, done: false }
    }

    fn step(&self, index: StepIndex) -> Option<&Step> {
        self.machine.steps().get(index.0 as usize).and_then(|flat: &FlatStep| flat.find(&self.steps))
    }

    fn name(&self, index: StepIndex) -> String {
        match self.step(index) {
            Some(step) if step.id_written => step.id.as_str().to_owned(),
            Some(step) => step.kind.default_name().map_or_else(|| format!("step {}", index.0), str::to_lowercase),
            None => format!("post {}", index.0),
        }
    }

    fn find(&self, name: &str) -> StepIndex {
        let count = u32::try_from(self.machine.steps().len()).unwrap();
        (0..count).map(StepIndex).find(|index| self.name(*index) == name).unwrap_or_else(|| panic!("no step {name}"))
    }

    fn say(&mut self, line: &str) {
        writeln!(self.text, "{line}").unwrap();
    }

    fn script(&mut self, line: &str) {
        self.say(&format!("> {line}"));
        match line.split_once('=') {
            _ if line == "start" => {}
            _ if line == "cancel" => self.machine.apply(&StepFact::JobCancelled),
            _ if line == "post" => self.machine.apply(&StepFact::PostAdded),
            Some((names, word)) => {
                for name in names.split(',') {
                    self.finish(self.find(name), conclusion(word));
                }
            }
            None => panic!("{line}"),
        }
        self.settle();
    }

    fn finish(&mut self, index: StepIndex, outcome: Conclusion) {
        let forgiven = self
            .step(index)
            .and_then(|step| step.continue_on_error.as_ref())
            .is_some_and(|token| matches!(token.kind, TokenKind::Boolean(true)) && outcome == Conclusion::Failure);
        let conclusion = if forgiven { Conclusion::Success } else { outcome };
        self.machine.apply(&StepFact::Finished(index, StepResult { outcome, ..StepResult::plain(conclusion) }));
    }

    fn settle(&mut self) {
        while !self.done {
            self.rounds += 1;
            assert!(self.rounds < ROUNDS_MAX, "round in circles\n{}", self.text);
            let steps = self.steps.clone();
            let decisions = self.machine.decide(&mut |machine, index| {
                let Some(step) = machine.steps()[index.0 as usize].find(&steps) else { return Ok(true) };
                let holds = step.condition.evaluate(&StatusOnly(machine.status()));
                holds.map(|value| value.is_truthy()).map_err(|error| error.message)
            });
            self.reveal();
            let mut changed = false;
            for decision in decisions {
                changed |= self.perform(decision);
            }
            if !changed {
                return;
            }
        }
    }

    /// Background steps whose outputs others see from now on.
    fn reveal(&mut self) {
        for index in 0..u32::try_from(self.machine.steps().len()).unwrap() {
            let step = StepIndex(index);
            let background = self.step(step).is_some_and(Step::runs_in_background);
            let open = self.machine.is_visible(step) && self.machine.finished(step).is_some();
            if background && open && self.shown.insert(index) {
                self.say(&format!("{} is visible", self.name(step)));
            }
        }
    }

    fn perform(&mut self, decision: StepDecision) -> bool {
        assert!(!self.done, "something follows the end: {decision:?}");
        match decision {
            StepDecision::Start(step) => {
                self.say(&format!("{} starts", self.name(step)));
                self.machine.apply(&StepFact::Started(step));
                false
            }
            StepDecision::Skip(step) => {
                self.say(&format!("{} is skipped", self.name(step)));
                self.finish(step, Conclusion::Skipped);
                true
            }
            StepDecision::Refuse(step, message) => {
                self.say(&format!("{} is refused: {message}", self.name(step)));
                self.finish(step, Conclusion::Failure);
                true
            }
            StepDecision::Cancel(step) => {
                self.say(&format!("{} should stop", self.name(step)));
                self.machine.apply(&StepFact::CancelAsked(step));
                false
            }
            StepDecision::Complete(step, outcome) => {
                self.say(&format!("{}: {}", self.name(step), outcome.word()));
                self.finish(step, outcome);
                true
            }
            StepDecision::Done(conclusion) => {
                self.say(&format!("job {}", conclusion.word()));
                self.done = true;
                false
            }
        }
    }
}

fn play(case: &str) -> String {
    let (steps, script) = case.split_once("----\n").unwrap_or_else(|| panic!("no script in\n{case}"));
    let mut job = Job::new(steps.split_once('\n').expect("a title").1);
    job.settle();
    for line in script.lines().filter_map(|line| line.strip_prefix("> ")) {
        job.script(line);
    }
    assert!(job.done, "the job has no end:\n{}", job.text);
    format!("{steps}----\n{}\n", job.text)
}

#[test]
fn steps_go_as_github_runs_them() {
    super::check("steps", 3, play);
}

#[test]
fn ten_thousand_steps_are_asked_about_once_each() {
    let text = "- { run: a, background: true }\n- { run: b }\n".repeat(5_000);
    let mut job = Job::new(&text);
    let steps = std::mem::take(&mut job.steps);
    let mut asked = 0;
    for _ in 0..ROUNDS_MAX {
        let decisions = job.machine.decide(&mut |_, _| {
            asked += 1;
            Ok(true)
        });
        for decision in decisions {
            match decision {
                StepDecision::Start(step) => {
                    job.machine.apply(&StepFact::Started(step));
                    job.machine.apply(&StepFact::Finished(step, StepResult::plain(Conclusion::Success)));
                }
                StepDecision::Done(conclusion) => {
                    assert_eq!((conclusion, asked), (Conclusion::Success, steps.len()));
                    return;
                }
                StepDecision::Skip(_)
                | StepDecision::Refuse(..)
                | StepDecision::Cancel(_)
                | StepDecision::Complete(..) => panic!("{decision:?}"),
            }
        }
    }
    panic!("the job has no end");
}
