//! The commands of one step, line by line: what each asks for, and what of it the log shows.
//!
//! A pure state machine: it remembers `stop-commands` and `echo`, and applies nothing itself. Follows the behaviour of
//! `ActionCommandManager` in actions/runner; error texts are GitHub's.

use std::borrow::Cow;

use super::annotation::{Annotation, AnnotationLevel};
use super::line_splitter::COMMAND_LINE_BYTES_MAX;
use super::parse::{WorkflowCommand, is_command_name, may_be_command, parse_command};
use crate::secret::Secret;

/// Values that one step may add to the masks. The step fails at the next one, since letting it through unmasked would leak.
pub const MASKS_PER_STEP_MAX: usize = 1000;

/// A stop token longer than this is hidden in the log, in characters: whoever reads the log must not learn it.
const STOP_TOKEN_SHOWN_MAX: usize = 6;

const SET_NAME: &str = "Required field 'name' is missing in";

/// What holds for a whole step. The defaults are GitHub's.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandSettings {
    /// `ACTIONS_STEP_DEBUG`: debug lines are shown and commands are echoed from the start.
    pub debug: bool,
    /// `ACTIONS_ALLOW_UNSECURE_COMMANDS` in the *workflow file*; never from what a step wrote to `GITHUB_ENV`: see
    /// [`Self::overlaid`].
    pub allow_unsecure_commands: bool,
    /// `ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS`, from the same place.
    pub allow_unsecure_stop_tokens: bool,
}

/// Something to do because of a line. Apply the effects of a line before showing it: it may contain what they mask.
#[derive(Clone, Debug)]
pub enum Effect {
    /// An output of the step.
    SetOutput { name: String, value: String },
    /// State for the post step of the same action.
    SaveState { name: String, value: String },
    /// A variable for later steps (only after the opt-in).
    SetEnvironment { name: String, value: String },
    /// A directory in front of `PATH` for later steps (only after the opt-in).
    AddPath(String),
    /// A value to hide from now on.
    AddMask(Secret),
    /// A message for the run.
    Annotate(Annotation),
    /// A matcher file to load: relative to the workspace, or a path as the step's container sees it.
    AddMatcher { file: String },
    /// Matchers to remove, by owner.
    RemoveMatcherOwner(String),
    /// Matchers to remove, by the file that they came from.
    RemoveMatcherFile(String),
    /// The step fails, whatever its exit code; the reason is in an annotation beside it.
    FailStep,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLine<'a> {
    /// As the step wrote it.
    Plain(Cow<'a, [u8]>),
    /// The start of a foldable group.
    Group(String),
    /// Its end.
    EndGroup,
    /// A debug message.
    Debug(String),
    /// The message of an annotation.
    Message(AnnotationLevel, String),
}

/// What a line that was a command leads to.
#[derive(Clone, Debug, Default)]
pub struct Handled<'a> {
    /// To do, in order.
    pub effects: Vec<Effect>,
    /// To show, in order.
    pub lines: Vec<LogLine<'a>>,
}

/// The commands of one step.
#[derive(Clone, Debug)]
pub struct CommandProcessor {
    settings: CommandSettings,
    echo: bool,
    stop_token: Option<String>,
    masks: usize,
    warned_output: bool,
    warned_state: bool,
}

impl CommandProcessor {
    /// At the start of a step.
    #[must_use]
    pub fn new(settings: CommandSettings) -> Self {
        Self { settings, echo: settings.debug, stop_token: None, masks: 0, warned_output: false, warned_state: false }
    }

    /// Takes one complete line without its ending. `None`: it is ordinary output, to be matched against problem matchers and
    /// shown as it is. Bytes that are no UTF-8 are replaced, as in GitHub's runner.
    pub fn process<'a>(&mut self, line: &'a [u8]) -> Option<Handled<'a>> {
        if !may_be_command(line) || line.len() > COMMAND_LINE_BYTES_MAX {
            return None;
        }
        let command = parse_command(&String::from_utf8_lossy(line))?;
        let mut handled = Handled::default();
        if let Some(token) = &self.stop_token {
            let WorkflowCommand::Unknown(raw) = &command else { return self.resume_by_name(line, &command) };
            if !raw.name.eq_ignore_ascii_case(token) {
                return None;
            }
            self.stop_token = None;
            handled.lines.push(LogLine::Plain(Cow::Borrowed(line)));
            self.debug(&mut handled, "Resume processing commands");
            return Some(handled);
        }
        if matches!(command, WorkflowCommand::Unknown(_)) {
            return None;
        }
        if self.echo && echoed(&command) {
            handled.lines.push(LogLine::Plain(Cow::Borrowed(line)));
        }
        if let Err(reason) = self.apply(command, line, &mut handled) {
            fail(&mut handled, &reason);
        }
        Some(handled)
    }

    /// A stop token may be the name of a command, if the workflow opted in to that.
    fn resume_by_name<'a>(&mut self, line: &'a [u8], command: &WorkflowCommand) -> Option<Handled<'a>> {
        let token = self.stop_token.as_ref().filter(|_| self.settings.allow_unsecure_stop_tokens)?;
        if !token.eq_ignore_ascii_case(command.name()) {
            return None;
        }
        self.stop_token = None;
        Some(Handled { effects: Vec::new(), lines: vec![LogLine::Plain(Cow::Borrowed(line))] })
    }

    fn apply<'a>(
        &mut self,
        command: WorkflowCommand,
        line: &'a [u8],
        handled: &mut Handled<'a>,
    ) -> Result<(), Vec<String>> {
        let name = command.name();
        let unable = |shown: Cow<'_, str>, reason: String| {
            vec![format!("Unable to process command '{}' successfully.", shown), reason]
        };
        let refuse = |reason: String| Err(unable(String::from_utf8_lossy(line), reason));
        match command {
            WorkflowCommand::SetOutput { name: output, value } => {
                let first = !std::mem::replace(&mut self.warned_output, true);
                check_old(name, first, &output, handled).or_else(refuse)?;
                self.debug(handled, &format!("{output}='{value}'"));
                handled.effects.push(Effect::SetOutput { name: output, value });
            }
            WorkflowCommand::SaveState { name: state, value } => {
                let first = !std::mem::replace(&mut self.warned_state, true);
                check_old(name, first, &state, handled).or_else(refuse)?;
                self.debug(handled, &format!("Save intra-action state {state} = {value}"));
                handled.effects.push(Effect::SaveState { name: state, value });
            }
            WorkflowCommand::SetEnv { .. } | WorkflowCommand::AddPath(_) if !self.settings.allow_unsecure_commands => {
                return refuse(disabled(name));
            }
            WorkflowCommand::SetEnv { name: variable, value } => {
                if variable.is_empty() {
                    return refuse(format!("{SET_NAME} ##[{name}] command."));
                }
                if variable.eq_ignore_ascii_case("NODE_OPTIONS") {
                    let text = "Can't update NODE_OPTIONS environment variable using ::set-env:: command.";
                    show(handled, Annotation::new(AnnotationLevel::Error, text));
                } else {
                    self.debug(handled, &format!("{variable}='{value}'"));
                    handled.effects.push(Effect::SetEnvironment { name: variable, value });
                }
            }
            WorkflowCommand::AddPath(directory) => {
                if directory.is_empty() {
                    return refuse("Value cannot be null. (Parameter 'path')".to_owned());
                }
                handled.effects.push(Effect::AddPath(directory));
            }
            WorkflowCommand::AddMask(value) => {
                return self.add_mask(value, handled).map_err(|reason| unable(Cow::Borrowed(name), reason));
            }
            WorkflowCommand::Debug(text) => self.debug(handled, &text),
            WorkflowCommand::Annotate(mut annotation) => {
                for note in annotation.check_place() {
                    self.debug(handled, &note);
                }
                show(handled, annotation);
            }
            WorkflowCommand::Group(title) => handled.lines.push(LogLine::Group(title)),
            WorkflowCommand::EndGroup => handled.lines.push(LogLine::EndGroup),
            WorkflowCommand::StopCommands(token) => self.stop(token, line, handled)?,
            WorkflowCommand::Echo(value) => {
                self.set_echo(&value, handled).map_err(|reason| unable(String::from_utf8_lossy(line), reason))?;
            }
            WorkflowCommand::AddMatcher(file) => add_matcher(file, handled),
            WorkflowCommand::RemoveMatcher { owner, file } => remove_matcher(owner, file, handled),
            WorkflowCommand::Unknown(_) => {}
        }
        Ok(())
    }

    fn add_mask(&mut self, value: Secret, handled: &mut Handled<'_>) -> Result<(), String> {
        if value.expose().trim().is_empty() {
            warn(handled, "Can't add secret mask for empty string in ##[add-mask] command.".to_owned());
            return Ok(());
        }
        self.masks += 1;
        if self.masks > MASKS_PER_STEP_MAX {
            return Err(format!("A step may add at most {MASKS_PER_STEP_MAX} masks."));
        }
        if self.echo {
            handled.lines.push(LogLine::Plain(Cow::Borrowed(b"::add-mask::***")));
        }
        handled.effects.push(Effect::AddMask(value));
        Ok(())
    }

    fn stop<'a>(&mut self, token: String, line: &'a [u8], handled: &mut Handled<'a>) -> Result<(), Vec<String>> {
        let invalid = token.is_empty() || is_command_name(&token) || token.eq_ignore_ascii_case("pause-logging");
        if invalid && !self.settings.allow_unsecure_stop_tokens {
            return Err(vec![STOP_TOKEN_REFUSED.to_owned()]);
        }
        if token.chars().count() > STOP_TOKEN_SHOWN_MAX {
            handled.effects.push(Effect::AddMask(Secret::new(token.as_str())));
        }
        handled.lines.push(LogLine::Plain(Cow::Borrowed(line)));
        let text = "Paused processing commands until the token you called ::stopCommands:: with is received";
        self.debug(handled, text);
        self.stop_token = Some(token);
        Ok(())
    }

    fn set_echo(&mut self, value: &str, handled: &mut Handled<'_>) -> Result<(), String> {
        let state = match value.trim().to_ascii_lowercase().as_str() {
            "on" => "on",
            "off" => "off",
            _ if value.is_empty() => return Err("Value cannot be null. (Parameter 'value')".to_owned()),
            _ => {
                return Err(format!(
                    "Invalid echo command value. Possible values can be: 'on', 'off'. Current value is: '{value}'."
                ));
            }
        };
        self.echo = state == "on";
        self.debug(handled, &format!("Setting echo command value to '{state}'"));
        Ok(())
    }

    fn debug(&self, handled: &mut Handled<'_>, text: &str) {
        if self.settings.debug {
            let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
            handled.lines.extend(lines.map(|line| LogLine::Debug(line.to_owned())));
        }
    }
}

impl WorkflowCommand {
    /// The name as GitHub writes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetOutput { .. } => "set-output",
            Self::SaveState { .. } => "save-state",
            Self::SetEnv { .. } => "set-env",
            Self::AddPath(_) => "add-path",
            Self::AddMask(_) => "add-mask",
            Self::Debug(_) => "debug",
            Self::Annotate(annotation) => annotation.level.name(),
            Self::Group(_) => "group",
            Self::EndGroup => "endgroup",
            Self::StopCommands(_) => "stop-commands",
            Self::Echo(_) => "echo",
            Self::AddMatcher(_) => "add-matcher",
            Self::RemoveMatcher { .. } => "remove-matcher",
            Self::Unknown(_) => "",
        }
    }
}

/// Whether `echo on` shows the command itself: not where the log shows its content anyway, and never a mask.
fn echoed(command: &WorkflowCommand) -> bool {
    match command {
        WorkflowCommand::AddMask(_)
        | WorkflowCommand::Debug(_)
        | WorkflowCommand::Annotate(_)
        | WorkflowCommand::StopCommands(_)
        | WorkflowCommand::Unknown(_) => false,
        WorkflowCommand::SetOutput { .. }
        | WorkflowCommand::SaveState { .. }
        | WorkflowCommand::SetEnv { .. }
        | WorkflowCommand::AddPath(_)
        | WorkflowCommand::Group(_)
        | WorkflowCommand::EndGroup
        | WorkflowCommand::Echo(_)
        | WorkflowCommand::AddMatcher(_)
        | WorkflowCommand::RemoveMatcher { .. } => true,
    }
}

fn add_matcher(file: String, handled: &mut Handled<'_>) {
    if file.is_empty() {
        warn(handled, "File path must be specified.".to_owned());
    } else {
        handled.effects.push(Effect::AddMatcher { file });
    }
}

fn remove_matcher(owner: String, file: String, handled: &mut Handled<'_>) {
    match (owner.is_empty(), file.is_empty()) {
        (false, true) => handled.effects.push(Effect::RemoveMatcherOwner(owner)),
        (true, false) => handled.effects.push(Effect::RemoveMatcherFile(file)),
        (false, false) => warn(
            handled,
            "Either specify an owner name or a file path in ##[remove-matcher] command. Both values cannot be set."
                .to_owned(),
        ),
        (true, true) => warn(
            handled,
            "Either an owner name or a file path must be specified in ##[remove-matcher] command.".to_owned(),
        ),
    }
}

fn show(handled: &mut Handled<'_>, annotation: Annotation) {
    if !annotation.message.is_empty() {
        handled.lines.push(LogLine::Message(annotation.level, annotation.message.clone()));
    }
    handled.effects.push(Effect::Annotate(annotation));
}

fn warn(handled: &mut Handled<'_>, text: String) {
    show(handled, Annotation::new(AnnotationLevel::Warning, text));
}

fn fail(handled: &mut Handled<'_>, reasons: &[String]) {
    for reason in reasons {
        show(handled, Annotation::new(AnnotationLevel::Error, reason));
    }
    handled.effects.push(Effect::FailStep);
}

/// Warns about a deprecated command at its first use, and requires its `name` property.
fn check_old(command: &str, first: bool, name: &str, handled: &mut Handled<'_>) -> Result<(), String> {
    if first {
        warn(handled, deprecated(command));
    }
    if name.is_empty() { Err(format!("{SET_NAME} ##[{command}] command.")) } else { Ok(()) }
}

fn deprecated(name: &str) -> String {
    format!(
        "The `{name}` command is deprecated and will be disabled soon. Please upgrade to using Environment Files. For more information see: https://github.blog/changelog/2022-10-11-github-actions-deprecating-save-state-and-set-output-commands/"
    )
}

fn disabled(name: &str) -> String {
    format!(
        "The `{name}` command is disabled. Please upgrade to using Environment Files or opt into unsecure command execution by setting the `ACTIONS_ALLOW_UNSECURE_COMMANDS` environment variable to `true`. For more information see: https://github.blog/changelog/2020-10-01-github-actions-deprecating-set-env-and-add-path-commands/"
    )
}

const STOP_TOKEN_REFUSED: &str = "You cannot use a endToken that is an empty string, the string 'pause-logging', or another workflow command. For more information see: https://docs.github.com/actions/learn-github-actions/workflow-commands-for-github-actions#example-stopping-and-starting-workflow-commands or opt into insecure command execution by setting the `ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS` environment variable to `true`.";

#[cfg(test)]
mod tests;
