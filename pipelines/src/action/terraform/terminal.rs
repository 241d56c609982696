//! Terraform's commands, as scripts in the job: with the step's variables and credentials, and found again after a crash, so that
//! nothing is applied twice.

use std::path::Path;

use engine::placement::ExecOutcome;
use engine::step::{ActionCall, ActionError};
use serde_json::Value as Json;

use super::super::aws_step::failed;
use super::super::script::{self, Output, Ran, Script};
use super::inputs::Wanted;
use super::said::Said;
use super::trouble::{self, Place};

/// Longest JSON of a plan.
const PLAN_BYTES_MAX: usize = 64 << 20;
/// Longest plan for people; what is longer is cut.
const SHOWN_BYTES_MAX: usize = 60_000;
/// What is read of a state: its line and number stand at its beginning, values and secrets behind.
const STATE_BYTES_MAX: usize = 4096;
/// Longest other answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Of a shell: there is no such program.
const NOT_FOUND: i32 = 127;

/// Where commands go.
#[derive(Debug)]
pub(super) struct Terminal {
    program: String,
    folder: String,
    shown_folder: String,
    scripts: u64,
}

/// What the shell reads as one word, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Words of a command.
fn words<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    all.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

impl Terminal {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let folder = wanted.folder.to_string_lossy();
        Self {
            program: wanted.program.clone(),
            folder: if folder.is_empty() { ".".to_owned() } else { format!("./{folder}") },
            shown_folder: wanted.shown_folder(),
            scripts: 0,
        }
    }

    fn place(&self) -> Place<'_> {
        Place { program: &self.program, folder: &self.shown_folder }
    }

    async fn run(&mut self, call: &mut ActionCall<'_>, text: &str, to: Output<'_>) -> Result<Ran, ActionError> {
        self.scripts += 1;
        let text = format!("cd {} || exit 1\n{text}\n", quoted(&self.folder));
        let env = [("TF_IN_AUTOMATION", "true"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "true")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        script::run(call, &Script { number: self.scripts, text: &text, env }, to).await
    }

    /// Says what is run, runs it with its output in the log, and returns its exit code and what it said.
    pub(super) async fn say(
        &mut self,
        call: &mut ActionCall<'_>,
        arguments: &[&str],
    ) -> Result<(i32, Said), ActionError> {
        let shown = arguments.iter().map(|one| if one.starts_with("-var=") { "-var=…" } else { one });
        call.log.line(&format!("[command]{} {}", self.program, shown.collect::<Vec<_>>().join(" "))).await;
        let text = format!("{} {}", quoted(&self.program), words(arguments.iter().copied()));
        let mut said = Said::default();
        let ran = self.run(call, &text, Output::Read(&mut said)).await?;
        Ok((code(&ran)?, said))
    }

    /// Runs it; another exit code than 0 is an error in words.
    pub(super) async fn done(&mut self, call: &mut ActionCall<'_>, arguments: &[&str]) -> Result<Said, ActionError> {
        match self.say(call, arguments).await? {
            (0, said) => Ok(said),
            (_, said) => Err(self.refused(arguments, &said)),
        }
    }

    /// Why a command failed.
    pub(super) fn refused(&self, arguments: &[&str], said: &Said) -> ActionError {
        let command = arguments.first().copied().unwrap_or_default();
        failed(format!("{} {command}: {}", self.program, trouble::explain(&said.errors(), self.place())))
    }

    /// What it prints to its standard output. What it prints besides that is shown if it fails.
    async fn printed(
        &mut self,
        call: &mut ActionCall<'_>,
        (command, rest): (&str, &str),
        bytes_max: usize,
    ) -> Result<(i32, String), ActionError> {
        let program = quoted(&self.program);
        let text = format!(
            "e=$(mktemp); c=0\n{program} {command} 2>\"$e\"{rest} || c=$?\n[ $c = 0 ] || cat \"$e\"\nrm -f \"$e\"\nexit $c"
        );
        let ran = self.run(call, &text, Output::Kept(bytes_max + 1)).await?;
        let text = String::from_utf8_lossy(&ran.output).into_owned();
        Ok((code(&ran)?, text))
    }

    async fn json(&mut self, call: &mut ActionCall<'_>, command: &str, bytes_max: usize) -> Result<Json, ActionError> {
        let (code, text) = self.printed(call, (command, ""), bytes_max).await?;
        if code != 0 || text.len() > bytes_max {
            let text: String = text.chars().take(2000).collect();
            return Err(failed(format!("{} {command} ended with exit code {code}: {text}", self.program)));
        }
        serde_json::from_str(&text)
            .map_err(|error| failed(format!("{} {command} printed no JSON ({error})", self.program)))
    }

    /// Whether there is such a program at all.
    pub(super) async fn version(&mut self, call: &mut ActionCall<'_>) -> Result<String, ActionError> {
        let (code, text) = self.printed(call, ("version -json", ""), ANSWER_BYTES_MAX).await?;
        if code == NOT_FOUND {
            return Err(failed(format!(
                "there is no `{}` in this job: install it in a step before this one (`uses: hashicorp/setup-terraform@v3`), or take an \
                 image that has it",
                self.program
            )));
        }
        let said: Json = serde_json::from_str(&text).unwrap_or_default();
        let version = said["terraform_version"].as_str().filter(|_| code == 0);
        version.map(str::to_owned).ok_or_else(|| {
            let text: String = text.trim().chars().take(500).collect();
            failed(format!("`{} version` does not answer as Terraform does (exit code {code}): {text}", self.program))
        })
    }

    /// A plan for programs.
    pub(super) async fn show(&mut self, call: &mut ActionCall<'_>, plan: &Path) -> Result<Json, ActionError> {
        let file = quoted(&plan.to_string_lossy());
        self.json(call, &format!("show -json {file}"), PLAN_BYTES_MAX).await
    }

    /// A plan for people, in colours of nobody.
    pub(super) async fn shown(&mut self, call: &mut ActionCall<'_>, plan: &Path) -> Result<String, ActionError> {
        let file = quoted(&plan.to_string_lossy());
        let (code, text) = self.printed(call, (&format!("show -no-color {file}"), ""), SHOWN_BYTES_MAX).await?;
        Ok(if code == 0 { text } else { String::new() })
    }

    /// The beginning of the state, as far as its line and number.
    pub(super) async fn state(&mut self, call: &mut ActionCall<'_>) -> Result<String, ActionError> {
        let (code, text) = self.printed(call, ("state pull", ""), STATE_BYTES_MAX).await?;
        if code == 0 { Ok(text) } else { Err(failed(format!("the state cannot be read: {}", text.trim()))) }
    }

    /// The workspace that is selected.
    pub(super) async fn workspace(&mut self, call: &mut ActionCall<'_>) -> Result<String, ActionError> {
        let (code, text) = self.printed(call, ("workspace show", ""), STATE_BYTES_MAX).await?;
        if code == 0 {
            Ok(text.trim().to_owned())
        } else {
            Err(failed(format!("no workspace is selected: {}", text.trim())))
        }
    }

    /// The configuration's outputs.
    pub(super) async fn outputs(&mut self, call: &mut ActionCall<'_>) -> Result<Json, ActionError> {
        self.json(call, "output -json", ANSWER_BYTES_MAX).await
    }

    /// What `validate` finds.
    pub(super) async fn validation(&mut self, call: &mut ActionCall<'_>) -> Result<Json, ActionError> {
        let (_, text) = self.printed(call, ("validate -json", ""), ANSWER_BYTES_MAX).await?;
        serde_json::from_str(text.split("\nThere are some problems").next().unwrap_or_default())
            .map_err(|_| failed(format!("{} validate: {}", self.program, text.trim())))
    }
}

fn code(ran: &Ran) -> Result<i32, ActionError> {
    match (&ran.outcome, ran.problem()) {
        (ExecOutcome::Exited { code, out_of_memory: false, .. }, _) => Ok(*code),
        (_, problem) => Err(failed(format!("it {}", problem.unwrap_or_default()))),
    }
}
