//! Steps that use actions of which something is known: whether there is such an action, and whether it takes what is written.
//!
//! Called workflows and composite actions of the repository are gone into, since nobody else looks at their steps before they run.
//! What has `${{ }}` in it is known only then, and not judged.

mod file;
mod place;

use std::collections::HashMap;
use std::rc::Rc;

use super::lines;
use super::visit::flatten;
use crate::action::{Action, ActionRuns};
use crate::catalogue::{ActionFacts, Catalogue, InputFacts, Wrong};
use crate::diagnostic::{Code, Diagnostic, Severity, suggest};
use crate::model::{Job, JobKind, Step, StepKind, Uses, Workflow};
use crate::read::{ReadOptions, WorkflowFiles, read_action_among};
use crate::source::{SourceFile, SourceMap, Span, Spanned};
use crate::template::{Token, TokenKind};

const UNKNOWN_ACTION: Code = Code("P0418");
const UNKNOWN_INPUT: Code = Code("P0419");
const MISSING_INPUT: Code = Code("P0420");
const WRONG_INPUT: Code = Code("P0421");
const ONLY_HERE: Code = Code("P0422");
const OF_ITSELF: Code = Code("P0423");
const USES: Code = Code("P0405");

/// What tells that a step would fail for what is written in the workflow.
pub(super) const FAILS: [Code; 4] = [UNKNOWN_ACTION, UNKNOWN_INPUT, MISSING_INPUT, WRONG_INPUT];

/// The owner of our own actions.
const OWN: &str = "pipe/";
/// What only steps of workflows have on GitHub.
const TIMEOUT: &str = "timeout-minutes";
/// Inputs that are listed where none is near.
const LISTED_MAX: usize = 12;

/// What a check has at hand besides the workflow.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) files: &'a dyn WorkflowFiles,
    pub(super) options: &'a ReadOptions,
    pub(super) catalogue: &'a Catalogue,
}

/// Looks at all steps of a workflow, of those that it calls, and of the repository's actions that they use. Files of actions are
/// added to `sources`.
pub(super) fn check(
    workflow: &Workflow,
    sources: &mut SourceMap,
    diagnostics: &mut Vec<Diagnostic>,
    around: &Around<'_>,
) {
    if around.catalogue.is_empty() {
        return;
    }
    let mut walk = Walk { around, sources, diagnostics, local: HashMap::new(), open: Vec::new() };
    walk.jobs(workflow.jobs.values());
}

struct Walk<'a> {
    around: &'a Around<'a>,
    sources: &'a mut SourceMap,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// Actions of the repository by path, gone into once; `None`: it cannot be had or read.
    local: HashMap<String, Option<Rc<Action>>>,
    /// Those whose steps are being looked at, each used by the one before it.
    open: Vec<String>,
}

impl Walk<'_> {
    fn jobs<'jobs>(&mut self, jobs: impl Iterator<Item = &'jobs Job>) {
        for job in jobs {
            match &job.kind {
                JobKind::Steps(steps) => self.steps(&steps.steps),
                JobKind::Call(call) => {
                    if let Some(called) = &call.called {
                        self.jobs(called.jobs.values());
                    }
                }
            }
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for (step, _) in flatten(steps) {
            let StepKind::Uses { uses, with } = &step.kind else { continue };
            let name = match &uses.value {
                Uses::Docker { image } => {
                    if image.trim().is_empty() {
                        let found = Diagnostic::error(USES, uses.span, "`docker://` names no image");
                        self.diagnostics.push(found.help("write the image behind it, such as `docker://alpine:3.22`"));
                    }
                    continue;
                }
                Uses::Local { path } => {
                    let always = step.condition_span.is_none();
                    self.local(path, (uses.span, always), with.as_ref());
                    continue;
                }
                Uses::BuiltIn { name, .. } => format!("{OWN}{name}"),
                Uses::Repository { repository, path, .. } if path.is_empty() => repository.clone(),
                Uses::Repository { repository, path, .. } => format!("{repository}/{path}"),
            };
            match self.around.catalogue.get(&name).copied() {
                Some(facts) => self.known(&facts, uses, with.as_ref()),
                None if name.get(..OWN.len()).is_some_and(|owner| owner.eq_ignore_ascii_case(OWN)) => {
                    self.unknown(&name, uses.span);
                }
                None => {}
            }
        }
    }

    fn unknown(&mut self, name: &str, span: Span) {
        let own = || self.around.catalogue.names().filter(|known| known.starts_with(OWN));
        let help = match suggest(name, own()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", own().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        let at = self.sources.get(span.file).and_then(|source| lines::find_in(source, span, name)).unwrap_or(span);
        let message = format!("there is no action `{name}`");
        self.diagnostics.push(Diagnostic::error(UNKNOWN_ACTION, at, message).help(help));
    }

    fn known(&mut self, facts: &ActionFacts, uses: &Spanned<Uses>, with: Option<&Token>) {
        // An expression in the place of all inputs, or of one's name, may be any of them.
        if with.is_some_and(|with| !matches!(with.kind, TokenKind::Mapping(_) | TokenKind::Null)) {
            return;
        }
        let pairs = with.and_then(Token::as_mapping).unwrap_or_default();
        let names = || facts.inputs.iter().map(|input| input.name);
        let severity = if facts.refuses_unknown { Severity::Error } else { Severity::Warning };
        let (mut given, mut is_open): (Vec<&str>, bool) = (Vec::new(), false);
        for (key, value) in pairs {
            let Some(name) = key.as_str() else {
                is_open = true;
                continue;
            };
            match facts.inputs.iter().find(|input| input.name.eq_ignore_ascii_case(name)) {
                Some(input) => {
                    given.push(input.name);
                    self.value(facts, input, (key, value), pairs);
                }
                // The misspelt one is the missing one.
                None => given.extend(self.unknown_input(facts.name, name, key.span, severity, names)),
            }
        }
        let missing = facts.inputs.iter().filter(|input| input.required && !given.contains(&input.name));
        let missing: Vec<String> = missing.map(|input| format!("`{}`", input.name)).collect();
        if missing.is_empty() || is_open {
            return;
        }
        let plural = if missing.len() == 1 { "" } else { "s" };
        let list = missing.join(", ");
        self.diagnostics.push(
            told(facts, MISSING_INPUT, uses.span, format!("`{}` needs the input{plural} {list}", facts.name))
                .help(format!("write {list} below `with:`")),
        );
    }

    /// Tells of an input that the action does not have; gives the one that was likely meant.
    fn unknown_input<'names, I: Iterator<Item = &'names str>>(
        &mut self,
        action: &str,
        name: &str,
        span: Span,
        severity: Severity,
        known: impl Fn() -> I,
    ) -> Option<&'names str> {
        let near = suggest(name, known());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if known().next().is_none() => "it has none".to_owned(),
            None => {
                let listed: Vec<String> = known().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
                let more = if known().nth(LISTED_MAX).is_some() { ", …" } else { "" };
                format!("it has {}{more}", listed.join(", "))
            }
        };
        let message = format!("`{action}` has no input `{name}`");
        self.diagnostics.push(Diagnostic::new(UNKNOWN_INPUT, severity, span, message).help(help));
        near
    }

    fn value(
        &mut self,
        facts: &ActionFacts,
        input: &InputFacts,
        (key, value): (&Token, &Token),
        all: &[(Token, Token)],
    ) {
        let Some(text) = value.literal_text() else { return };
        if input.required && text.trim().is_empty() {
            let message = format!("`{}` is empty, and `{}` needs it", input.name, facts.name);
            self.diagnostics.push(told(facts, MISSING_INPUT, key.span, message).help("write its value"));
            return;
        }
        let is = |key: &Token, name: &str| key.as_str().is_some_and(|key| key.eq_ignore_ascii_case(name));
        let others = |name: &str| match all.iter().find(|(key, _)| is(key, name)) {
            Some((_, value)) => value.literal_text().map(|text| text.to_string()),
            None => facts.inputs.iter().find(|input| input.name == name).map(|input| input.default.to_owned()),
        };
        for Wrong { message, help, place } in input.judge_beside(&text, &others) {
            let source = self.sources.get(value.span.file);
            let at = source.map_or(value.span, |source| place::find(source, key.span, value.span, &text, &place));
            let mut found = told(facts, WRONG_INPUT, at, message);
            found.help = help;
            self.diagnostics.push(found);
        }
    }

    /// An action of the repository: `./path`, and `$/path` for the root of the repository that the workflow is in.
    fn local(&mut self, path: &str, (span, always): (Span, bool), with: Option<&Token>) {
        let from = path.strip_prefix("./").or_else(|| path.strip_prefix("$/"));
        let Some(folder) = from.map(|path| path.trim_matches('/')) else { return };
        // What another repository's workflow names is not to be had here.
        if self.sources.get(span.file).is_none_or(|source| source.name().contains('@')) {
            return;
        }
        // With a condition it may come to an end.
        if always && self.open.iter().any(|open| open == folder) {
            let message = format!("`{path}` uses itself, so that its steps never come to an end");
            let help = "take it out of its own steps, and out of those of the actions that it uses";
            self.diagnostics.push(Diagnostic::error(OF_ITSELF, span, message).help(help));
            return;
        }
        let action = match self.local.get(folder) {
            Some(known) => known.clone(),
            None => self.load(folder),
        };
        let Some(action) = action else { return };
        for (key, _) in with.and_then(Token::as_mapping).unwrap_or_default() {
            let Some(name) = key.as_str() else { continue };
            if !action.inputs.keys().any(|input| input.eq_ignore_ascii_case(name)) {
                let known = || action.inputs.keys().map(String::as_str);
                self.unknown_input(path, name, key.span, Severity::Warning, known);
            }
        }
        self.missing(path, &action, span, with);
    }

    /// Tells of what steps of an action have here and not on GitHub, which refuses the action for it.
    fn only_here(&mut self, steps: &[Step]) {
        for step in steps {
            let Some(value) = &step.timeout_minutes else { continue };
            let at = self.sources.get(step.span.file).map(|source| key_of(source, step.span, value.span, TIMEOUT));
            let message = format!("GitHub refuses an action with `{TIMEOUT}` at one of its steps, `pipe` obeys it");
            let help = format!("for GitHub, write `{TIMEOUT}` at the step that uses the action");
            let mut found = Diagnostic::new(ONLY_HERE, Severity::Note, at, message).help(help);
            found.github = Some(format!("Unexpected value '{TIMEOUT}'"));
            self.diagnostics.push(found);
        }
    }

    /// Warns of inputs that an action calls required: GitHub does not insist on them, and they are empty then.
    fn missing(&mut self, path: &str, action: &Action, span: Span, with: Option<&Token>) {
        let is_open = with.is_some_and(|with| !matches!(with.kind, TokenKind::Mapping(_) | TokenKind::Null));
        let pairs = with.and_then(Token::as_mapping).unwrap_or_default();
        let names: Option<Vec<&str>> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        let Some(names) = names.filter(|_| !is_open) else { return };
        let given = |name: &str| names.iter().any(|given| given.eq_ignore_ascii_case(name));
        let lacks = |name: &str| names.iter().any(|given| suggest(given, [name]).is_some());
        let wanted = action.inputs.iter().filter(|(_, input)| input.required && input.default.is_none());
        // The misspelt one is the missing one.
        let missing = wanted.filter(|(name, _)| !given(name) && !lacks(name));
        let missing: Vec<String> = missing.map(|(name, _)| format!("`{name}`")).collect();
        if missing.is_empty() {
            return;
        }
        let (list, plural) = (missing.join(", "), if missing.len() == 1 { "" } else { "s" });
        let message = format!("`{path}` needs the input{plural} {list}");
        let found = Diagnostic::new(MISSING_INPUT, Severity::Warning, span, message);
        self.diagnostics.push(found.help(format!("write {list} below `with:`; what is missing is empty")));
    }

    /// Reads an action and goes into its steps. One that cannot be had may be made by a step before; one that is there and cannot be
    /// read fails whatever uses it.
    fn load(&mut self, folder: &str) -> Option<Rc<Action>> {
        self.local.insert(folder.to_owned(), None);
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let names = ["action.yml", "action.yaml"].map(|name| format!("./{below}{name}"));
        let Some(file) = names.iter().find_map(|name| self.around.files.read(name)?.ok()) else {
            self.diagnostics.extend(names.iter().find_map(|name| self.around.files.broken(name)));
            return None;
        };
        let (action, errors) = read_action_among(file, folder, self.sources, self.around.options);
        self.unreadable(&errors);
        let action = Rc::new(action?);
        self.local.insert(folder.to_owned(), Some(Rc::clone(&action)));
        if let ActionRuns::Composite(steps) = &action.runs {
            self.only_here(steps);
            self.open.push(folder.to_owned());
            self.steps(steps);
            self.open.pop();
        }
        Some(action)
    }
}

/// The key of a step whose value is at a place.
fn key_of(source: &SourceFile, step: Span, value: Span, key: &str) -> Span {
    let before = Span { end: value.start.max(step.start), ..step };
    match lines::raw(source, before).rfind(key) {
        Some(at) => before.part(at, at + key.len()),
        None => value,
    }
}

/// What makes a step fail. GitHub takes a file in which an action of others is used wrong, so that is only warned of.
fn told(facts: &ActionFacts, code: Code, span: Span, message: String) -> Diagnostic {
    let severity = if facts.name.starts_with(OWN) { Severity::Error } else { Severity::Warning };
    Diagnostic::new(code, severity, span, message)
}
