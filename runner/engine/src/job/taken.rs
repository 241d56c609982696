//! What a step left behind, taken when its process has ended: effects of its commands, and what it wrote to its files.

use workflow::command::Effect;
use workflow::command::environment_file::{self, EnvironmentFile, RefusedVariable};
use workflow::run::Conclusion;

use super::files::{JobFiles, StepFiles};
use super::log::StepLog;
use super::perform::StepTask;
use crate::step::{StepEnd, StepOutputs};

impl StepTask {
    pub(super) async fn take_effects(&self, log: &mut StepLog, end: &mut StepEnd) {
        for effect in log.take_effects() {
            match effect {
                Effect::SetOutput { name, value } => {
                    end.left.outputs.insert(name, value);
                }
                Effect::SetEnvironment { name, value } => match environment_file::check_variable(&name, &value) {
                    Ok(()) => end.left.env.push((name, value)),
                    Err(refused) => tell(&refused, log).await,
                },
                Effect::AddPath(path) => end.left.path.push(path),
                Effect::FailStep if end.outcome == Conclusion::Success => end.outcome = Conclusion::Failure,
                Effect::SaveState { name, value } => {
                    end.left.state.insert(name, value);
                }
                // The log itself obeys the others.
                Effect::FailStep
                | Effect::AddMask(_)
                | Effect::Annotate(_)
                | Effect::AddMatcher { .. }
                | Effect::RemoveMatcherOwner(_)
                | Effect::RemoveMatcherFile(_) => {}
            }
        }
    }

    /// Takes what the step wrote to its files. A file that cannot be taken fails the step, as on GitHub; what was read of
    /// it counts.
    pub(super) async fn take_files(&self, (all, files): (&JobFiles, &StepFiles), log: &mut StepLog, end: &mut StepEnd) {
        for kind in EnvironmentFile::OF_STEPS {
            let problem = match all.read(files, kind).await {
                Ok(None) => continue,
                Ok(Some(bytes)) => {
                    let taken = take_file(kind, &bytes, &mut end.left);
                    for refused in taken.refused {
                        tell(&refused, log).await;
                    }
                    taken.problem
                }
                Err(refused) => Some(refused.0),
            };
            let Some(problem) = problem else { continue };
            if kind == EnvironmentFile::StepSummary {
                log.error(&problem).await;
                continue;
            }
            log.error(&kind.failure()).await;
            log.error(&problem).await;
            end.outcome = end.outcome.merge(Conclusion::Failure);
        }
    }
}

/// Tells of a variable that is left out.
async fn tell(refused: &RefusedVariable, log: &mut StepLog) {
    match refused {
        RefusedVariable::Reserved(_) => log.warning(&refused.to_string()).await,
        RefusedVariable::Blocked(_) | RefusedVariable::Impossible(_) => log.error(&refused.to_string()).await,
    }
}

/// What became of one file.
#[derive(Default)]
struct TakenFile {
    /// Variables that are left out; the others stand.
    refused: Vec<RefusedVariable>,
    /// Why the rest of the file is not taken.
    problem: Option<String>,
}

fn take_file(kind: EnvironmentFile, bytes: &[u8], left: &mut StepOutputs) -> TakenFile {
    let mut taken = TakenFile::default();
    match kind {
        EnvironmentFile::Output => {
            let file = environment_file::parse_key_value_file(bytes);
            left.outputs.extend(file.pairs);
            taken.problem = file.error.map(|error| error.to_string());
        }
        EnvironmentFile::Env => {
            let file = environment_file::parse_key_value_file(bytes);
            for (name, value) in file.pairs {
                match environment_file::check_variable(&name, &value) {
                    Ok(()) => left.env.push((name, value)),
                    Err(refused) => taken.refused.push(refused),
                }
            }
            taken.problem = file.error.map(|error| error.to_string());
        }
        EnvironmentFile::Path => left.path.extend(environment_file::parse_path_file(bytes)),
        EnvironmentFile::StepSummary => left.summary = Some(environment_file::decode(bytes).into_owned()),
        EnvironmentFile::State => {
            let file = environment_file::parse_key_value_file(bytes);
            left.state.extend(file.pairs);
            taken.problem = file.error.map(|error| error.to_string());
        }
        EnvironmentFile::Artifacts | EnvironmentFile::ArtifactsList => {}
    }
    taken
}
