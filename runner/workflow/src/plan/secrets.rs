//! Which secrets a job names, so that it is given just those, and a missing one is told before anything runs.
//!
//! Follows <https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/use-secrets>.

use std::collections::BTreeSet;

use super::{Frame, FrameIndex, JobIndex, Plan, SecretNames};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::expression::{Expression, PathEnd};
use crate::model::{Job, JobKind, Secrets, Step, StepKind, StepsJob};
use crate::source::Span;
use crate::template::Token;

/// An expression names a secret that nobody set.
pub const UNDEFINED_SECRET: Code = Code("P0521");
/// Always there.
const TOKEN: &str = "GITHUB_TOKEN";

impl SecretNames {
    /// Adds the secrets that a token's expressions name.
    pub(super) fn add_token(&mut self, token: &Token) {
        token.each_expression(&mut |expression, span| self.add(expression, span));
    }

    fn add_all<'token>(&mut self, tokens: impl IntoIterator<Item = Option<&'token Token>>) {
        tokens.into_iter().flatten().for_each(|token| self.add_token(token));
    }

    fn add(&mut self, expression: &Expression, span: Span) {
        for path in expression.names().filter(|path| path.parts[0].eq_ignore_ascii_case("secrets")) {
            match (path.parts.get(1), path.end) {
                (Some(name), _) => {
                    self.named.entry(name.to_ascii_uppercase()).or_insert(span);
                }
                (None, PathEnd::Whole | PathEnd::Wildcard | PathEnd::Computed) => self.all = true,
            }
        }
    }

    fn add_names(&mut self, other: Self) {
        self.all |= other.all;
        for (name, span) in other.named {
            self.named.entry(name).or_insert(span);
        }
    }
}

/// The secrets that a job names in its own workflow, with what that workflow's `env` and `defaults` name.
pub(super) fn of_job(job: &Job, frame: &Frame) -> SecretNames {
    let mut names = SecretNames::default();
    names.add_all([job.name.as_ref(), job.concurrency.as_ref(), job.continue_on_error.as_ref()]);
    names.add_all([job.strategy.as_ref().map(|strategy| &strategy.token)]);
    match &job.kind {
        JobKind::Steps(steps) => {
            names.add_all([frame.env.as_ref(), frame.defaults.as_ref()]);
            of_steps_job(steps, &mut names);
        }
        JobKind::Call(call) => {
            names.add_all([call.inputs.as_ref()]);
            if let Secrets::Mapping(mapping) = &call.secrets {
                names.add_token(mapping);
            }
        }
    }
    names
}

fn of_steps_job(job: &StepsJob, names: &mut SecretNames) {
    names.add_all([
        Some(&job.runs_on),
        job.environment.as_ref(),
        job.env.as_ref(),
        job.defaults.as_ref(),
        job.outputs.as_ref(),
        job.timeout_minutes.as_ref(),
        job.cancel_timeout_minutes.as_ref(),
        job.container.as_ref(),
        job.services.as_ref(),
        job.snapshot.as_ref(),
    ]);
    job.steps.iter().for_each(|step| of_step(step, names));
}

fn of_step(step: &Step, names: &mut SecretNames) {
    names.add(&step.condition, step.condition_span.unwrap_or(step.span));
    names.add_all([
        step.name.as_ref(),
        step.env.as_ref(),
        step.continue_on_error.as_ref(),
        step.timeout_minutes.as_ref(),
    ]);
    match &step.kind {
        StepKind::Run { script, shell, working_directory } => {
            names.add_all([Some(script), shell.as_ref(), working_directory.as_ref()]);
        }
        StepKind::Uses { with, .. } => names.add_all([with.as_ref()]),
        StepKind::Parallel(steps) => steps.iter().for_each(|step| of_step(step, names)),
        StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) => {}
    }
}

impl Plan {
    /// The secrets of the run that a job needs: the names in its own workflow, followed through `secrets:` of each
    /// call. What a call does not pass on is not there.
    #[must_use]
    pub fn secrets_of_run(&self, index: JobIndex) -> SecretNames {
        let job = self.job(index);
        self.follow(job.frame, job.secrets.clone())
    }

    fn follow(&self, frame: FrameIndex, names: SecretNames) -> SecretNames {
        let frame = self.frame(frame);
        let Some(caller) = frame.caller else { return names };
        let outer = match &frame.passed_secrets {
            Secrets::Inherit => names,
            Secrets::None => SecretNames::default(),
            Secrets::Mapping(mapping) => {
                let mut outer = SecretNames::default();
                for (key, value) in mapping.as_mapping().unwrap_or_default() {
                    let passed = key.as_str().map(str::to_ascii_uppercase);
                    if names.all || passed.is_none_or(|name| names.named.contains_key(&name)) {
                        outer.add_token(value);
                    }
                }
                outer
            }
        };
        self.follow(self.job(caller).frame, outer)
    }

    /// All secrets of the run that some job needs.
    #[must_use]
    pub fn secrets(&self) -> SecretNames {
        let mut all = SecretNames::default();
        self.indexed().for_each(|(index, _)| all.add_names(self.secrets_of_run(index)));
        all
    }

    /// A warning for each secret that is named and not among `known` (in capitals): it will be empty, as on GitHub.
    #[must_use]
    pub fn undefined_secrets(&self, known: &BTreeSet<String>) -> Vec<Diagnostic> {
        let secrets = self.secrets();
        let missing = secrets.named.iter().filter(|(name, _)| *name != TOKEN && !known.contains(*name));
        let warn = |(name, span): (&String, &Span)| {
            let near = suggest(name, known.iter().map(String::as_str));
            let help = near.map_or_else(
                || format!("give it with `-s {name}` or in a file with `--secret-file`"),
                |near| format!("did you mean `{near}`? Else give it with `-s {name}` or `--secret-file`"),
            );
            Diagnostic::warning(UNDEFINED_SECRET, *span, format!("secret `{name}` is not defined and will be empty"))
                .help(help)
        };
        missing.map(warn).collect()
    }
}
