//! `pipe/terraform`: infrastructure follows its files. A plan that people read where they review, applied exactly so or not at all,
//! and whether what there is is still as it was left.
//!
//! It runs the job's own Terraform (or `OpenTofu`) with the step's variables; this program talks to no cloud. A plan is approved by its
//! digest, which covers the plan's file, the configuration, the locked providers and the state's number, so `apply` can say what
//! changed since. Terraform's own check of a stale plan, made under its lock, is what decides.

mod changes;
mod checks;
mod comment;
mod cost;
mod digest;
mod inputs;
mod plan;
mod said;
mod surroundings;
mod terminal;
#[cfg(test)]
mod tests;
mod trouble;
mod words;

use std::path::Path;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use serde_json::Value as Json;

pub use self::inputs::{INPUTS, OUTPUTS};

use self::inputs::{Command, Wanted};
use self::terminal::Terminal;
use super::aws_step::failed;

/// Exit code of a plan with changes, by `-detailed-exitcode`.
const CHANGES: i32 = 2;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terraform;

#[async_trait]
impl BuiltInAction for Terraform {
    fn name(&self) -> &'static str {
        "pipe/terraform"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    /// Terraform ends what it is at and writes the state before it goes.
    fn grace(&self) -> std::time::Duration {
        std::time::Duration::from_secs(5 * 60)
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wanted = Wanted::of(call).map_err(failed)?;
        if let Some(token) = wanted.telling.as_ref().and_then(|telling| telling.token.as_ref()) {
            let _too_short = call.masker.add(token.expose());
        }
        let mut work = Work { terminal: Terminal::new(&wanted), wanted };
        work.is_there(call)?;
        let version = work.terminal.version(call).await?;
        let folder = work.wanted.shown_folder();
        call.log.line(&format!("{} {version} in {folder}", work.wanted.program)).await;
        match work.wanted.command {
            Command::Plan => work.plan(call).await,
            Command::Apply => work.apply(call).await,
            Command::Drift => work.drift(call).await,
            Command::Validate => work.validate(call).await,
            Command::Format => work.format(call).await,
        }
    }
}

#[derive(Debug)]
struct Work {
    wanted: Wanted,
    terminal: Terminal,
}

impl Work {
    fn is_there(&self, call: &ActionCall<'_>) -> Result<(), ActionError> {
        if call.workspace.host.join(&self.wanted.folder).is_dir() {
            return Ok(());
        }
        Err(failed(format!(
            "`working-directory`: there is no folder {}; check the repository out in a step before this one (`uses: \
             actions/checkout@v4`), and write the folder as seen from its root",
            self.wanted.shown_folder()
        )))
    }

    /// Providers, modules, the state's place; the workspace that is selected then.
    async fn begin(&mut self, call: &mut ActionCall<'_>) -> Result<String, ActionError> {
        let backend: Vec<String> = self.wanted.backend.iter().map(|line| format!("-backend-config={line}")).collect();
        let mut arguments = vec!["init", "-input=false", "-no-color"];
        arguments.extend(backend.iter().map(String::as_str));
        self.terminal.done(call, &arguments).await?;
        if let Some(workspace) = self.wanted.workspace.clone() {
            let may_create = if self.wanted.create_workspace { "-or-create=true" } else { "-or-create=false" };
            let arguments = ["workspace", "select", "-no-color", may_create, workspace.as_str()];
            let (code, said) = self.terminal.say(call, &arguments).await?;
            let is_missing = said
                .errors()
                .iter()
                .any(|one| [&one.summary, &one.detail].iter().any(|text| text.contains("doesn't exist")));
            match code {
                0 => {}
                _ if is_missing => {
                    return Err(failed(format!(
                        "there is no workspace `{workspace}` in this state: make it with `create-workspace: true`, or look at how it is \
                         written"
                    )));
                }
                _ => return Err(self.terminal.refused(&arguments, &said)),
            }
        }
        self.terminal.workspace(call).await
    }

    /// Arguments that plans of all kinds have.
    fn plan_arguments(&self, file: &Path) -> Vec<String> {
        let wanted = &self.wanted;
        let mut all: Vec<String> = ["plan", "-json", "-input=false", "-detailed-exitcode"].map(str::to_owned).to_vec();
        all.push(format!("-out={}", file.display()));
        all.push(format!("-lock-timeout={}", wanted.lock_timeout));
        all.push(format!("-parallelism={}", wanted.parallelism));
        all.extend(wanted.variable_files.iter().map(|file| format!("-var-file={file}")));
        all.extend(wanted.variables.iter().map(|variable| format!("-var={variable}")));
        all.extend(wanted.targets.iter().map(|target| format!("-target={target}")));
        all
    }

    /// Runs a plan. Whether it differs from what there is, and the plan itself.
    async fn made(
        &mut self,
        call: &mut ActionCall<'_>,
        file: &Path,
        more: &[&str],
    ) -> Result<(bool, Json), ActionError> {
        let arguments = self.plan_arguments(file);
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        let has_changes = match self.terminal.say(call, &arguments).await? {
            (0, _) => false,
            (CHANGES, _) => true,
            (_, said) => return Err(self.terminal.refused(&arguments, &said)),
        };
        let plan = self.terminal.show(call, file).await?;
        surroundings::hide(call, &plan);
        Ok((has_changes, plan))
    }
}
