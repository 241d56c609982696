//! What changes nothing: whether what there is is as it was left, and whether the files are as they should be.

use std::path::Path;

use engine::step::{ActionCall, ActionError};
use serde_json::Value as Json;

use super::super::aws_step::failed;
use super::changes::Changes;
use super::said::{Diagnostic, Problem};
use super::surroundings::{about, outputs};
use super::{Work, trouble, words};

/// The plan of a search for drift.
const LOOKED_AT: &str = ".pipe-drift.tfplan";

impl Work {
    pub(super) async fn drift(&mut self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let workspace = self.begin(call).await?;
        let (_, plan) = self.made(call, Path::new(LOOKED_AT), &["-refresh-only"]).await?;
        let changes = Changes::of(&plan).map_err(failed)?;
        // What was looked at is of no use later, and holds secrets.
        let path = format!("{}/{}", call.workspace.inside, self.wanted.folder.join(LOOKED_AT).display());
        call.job.remove_path(&path).await.map_err(|error| failed(format!("{path} cannot be removed: {error}")))?;
        let drifted = changes.drifted();
        let has_drift = !drifted.is_empty();
        outputs(call, &changes, if has_drift { "drift" } else { "no-drift" });
        call.outputs.insert("drift".into(), has_drift.to_string());
        let folder = self.wanted.shown_folder();
        let text = words::drift(&changes, about(call, (&folder, &workspace), None).as_about());
        call.summary.push_str(&text);
        self.tell(call, &text).await?;
        if !has_drift {
            call.log.line("No drift: everything is as it was left").await;
            return Ok(());
        }
        let line = format!("Drift: {} not as Terraform left them", drifted.len());
        call.log.line(&line).await;
        let outputs = changes.outputs.iter().map(|name| format!("  changed output.{name}"));
        for line in words::lines(&changes.drift).into_iter().chain(outputs) {
            call.log.line(&line).await;
        }
        if self.wanted.fail_on_drift {
            return Err(failed(format!(
                "{}: somebody changed them without Terraform{}. Write what there is into the files, or apply a new plan, which undoes it; \
                 `fail-on-drift: false` only tells",
                drifted.join(", "),
                if changes.outputs.is_empty() { "" } else { ", or the state" }
            )));
        }
        Ok(())
    }

    pub(super) async fn validate(&mut self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        // The state's place is of no importance, and its credentials are not needed.
        self.terminal.done(call, &["init", "-input=false", "-no-color", "-backend=false"]).await?;
        let found = self.terminal.validation(call).await?;
        let diagnostics: Vec<Diagnostic> = serde_json::from_value(found["diagnostics"].clone()).unwrap_or_default();
        let problems: Vec<Problem> = diagnostics.into_iter().map(Problem::from).collect();
        for problem in &problems {
            call.log.output(problem.lines().as_bytes()).await;
        }
        call.log.end_of_output().await;
        let errors: Vec<Problem> = problems.into_iter().filter(|problem| problem.is_error).collect();
        if found["valid"] == Json::Bool(true) {
            call.outputs.insert("outcome".into(), "valid".into());
            call.log.line("The configuration is valid").await;
            return Ok(());
        }
        let folder = self.wanted.shown_folder();
        let place = trouble::Place { program: &self.wanted.program, folder: &folder };
        Err(failed(format!("the configuration is not valid: {}", trouble::explain(&errors, place))))
    }

    pub(super) async fn format(&mut self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let arguments = ["fmt", "-check", "-diff", "-recursive", "-no-color"];
        match self.terminal.say(call, &arguments).await? {
            (0, _) => {
                call.outputs.insert("outcome".into(), "formatted".into());
                call.log.line("Every file is formatted").await;
                Ok(())
            }
            (3, _) => Err(failed(format!(
                "files are not formatted, the log has which and how: run `{} fmt -recursive` in {} and commit what it changes",
                self.wanted.program,
                self.wanted.shown_folder()
            ))),
            (_, said) => Err(self.terminal.refused(&arguments, &said)),
        }
    }
}
