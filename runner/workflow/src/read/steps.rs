//! `steps:`: each with an id, a kind, and a condition; steps that wait for or cancel others name ones that exist.
//!
//! Nothing is resolved or fetched here. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobsjob_idsteps>.

use std::collections::HashSet;

use super::checks::Checks;
use super::condition::{self, Owner};
use super::identifiers::{self, Identifiers};
use super::uses;
use crate::diagnostic::suggest;
use crate::expression::Expression;
use crate::model::{Step, StepId, StepKind, Uses};
use crate::source::{Span, Spanned};
use crate::template::{Token, TokenKind};

/// Reads a list of steps, that of a job or of a `parallel:` block.
pub(super) fn read(checks: &mut Checks<'_>, written: &Token) -> Vec<Step> {
    let mut list = List { checks, ids: Identifiers::default(), known: HashSet::new() };
    let items = written.as_sequence().unwrap_or_default();
    let read: Vec<(Option<String>, Step)> = items.iter().filter_map(|item| list.step(item)).collect();
    // Made-up ids come last, so that they give way to every written one.
    let mut steps = Vec::with_capacity(read.len());
    for (id, mut step) in read {
        step.id_written = id.is_some();
        step.id = StepId::new(id.unwrap_or_else(|| list.ids.generate(&generated_name(&step.kind))));
        steps.push(step);
    }
    steps
}

fn generated_name(kind: &StepKind) -> String {
    match kind {
        StepKind::Run { .. } => "run".to_owned(),
        StepKind::Uses { uses, .. } => uses::id_name(&uses.value),
        StepKind::Wait(_) => "wait".to_owned(),
        StepKind::WaitAll => "wait-all".to_owned(),
        StepKind::Cancel(_) => "cancel".to_owned(),
        StepKind::Parallel(_) => "parallel".to_owned(),
    }
}

/// A list of steps while it is read.
struct List<'list, 'checks> {
    checks: &'list mut Checks<'checks>,
    ids: Identifiers,
    /// Written ids of the steps so far.
    known: HashSet<String>,
}

/// The keys that decide what a step does.
#[derive(Default)]
struct Verbs<'a> {
    run: Option<&'a Token>,
    uses: Option<&'a Token>,
    wait: Option<Vec<Spanned<StepId>>>,
    wait_all: bool,
    cancel: Option<Spanned<StepId>>,
    parallel: Option<&'a Token>,
}

impl List<'_, '_> {
    /// One step with its written id. Nothing where it has no kind, which is then recorded.
    fn step(&mut self, written: &Token) -> Option<(Option<String>, Step)> {
        let pairs = written.as_mapping().unwrap_or_default();
        let mut verbs = Verbs::default();
        let mut id = None;
        for (key, value) in pairs {
            match key.as_str().unwrap_or_default() {
                "id" => id = self.take_id(value),
                "run" => verbs.run = Some(value),
                "uses" => verbs.uses = Some(value),
                "wait" => verbs.wait = Some(self.targets(value, id.as_deref())),
                "wait-all" => verbs.wait_all = self.wait_all(value),
                "cancel" => verbs.cancel = self.target(value, id.as_deref()),
                "parallel" => verbs.parallel = Some(value),
                _ => {}
            }
        }
        let condition_token = written.get("if");
        let condition = match condition_token {
            Some(token) => condition::read(self.checks, token, Owner::Step),
            None => self.checks.success(),
        };
        let kind = self.kind(verbs, written)?;
        Some((id, assemble(written, kind, condition, condition_token)))
    }

    fn kind(&mut self, verbs: Verbs<'_>, written: &Token) -> Option<StepKind> {
        if let Some(script) = verbs.run {
            let (shell, directory) = (written.get("shell").cloned(), written.get("working-directory").cloned());
            return Some(StepKind::Run { script: script.clone(), shell, working_directory: directory });
        }
        if let Some(token) = verbs.uses {
            return Some(StepKind::Uses { uses: self.uses(token), with: written.get("with").cloned() });
        }
        if let Some(targets) = verbs.wait {
            return Some(StepKind::Wait(targets));
        }
        if verbs.wait_all {
            return Some(StepKind::WaitAll);
        }
        if let Some(target) = verbs.cancel {
            return Some(StepKind::Cancel(target));
        }
        if let Some(token) = verbs.parallel {
            return Some(StepKind::Parallel(self.parallel(token, written.span)));
        }
        let message = "Expected one of uses, run, wait, wait-all, cancel, or parallel to be defined";
        self.checks.error(written.span, message);
        None
    }

    fn take_id(&mut self, token: &Token) -> Option<String> {
        let id = token.as_str().filter(|id| !id.is_empty())?;
        match self.ids.take(id) {
            Ok(()) => {
                self.known.insert(id.to_owned());
            }
            Err(message) => self.checks.error(token.span, message),
        }
        Some(id.to_owned())
    }

    fn uses(&mut self, token: &Token) -> Spanned<Uses> {
        let text = token.as_str().unwrap_or_default();
        let uses = uses::parse(text).unwrap_or_else(|message| {
            self.checks.error(token.span, message);
            Uses::Local { path: text.to_owned() }
        });
        Spanned::new(uses, token.span)
    }

    fn targets(&mut self, token: &Token, own: Option<&str>) -> Vec<Spanned<StepId>> {
        let items = token.as_sequence().unwrap_or(std::slice::from_ref(token));
        items.iter().filter_map(|item| self.target(item, own)).collect()
    }

    /// A step that this one waits for or cancels: one that stands before it.
    fn target(&mut self, token: &Token, own: Option<&str>) -> Option<Spanned<StepId>> {
        let id = token.as_str()?;
        if id.starts_with("__") {
            self.checks.error(token.span, identifiers::reserved(id));
        } else if let Some(own) = own.filter(|own| own.eq_ignore_ascii_case(id)) {
            self.checks.error(token.span, format!("Step '{own}' cannot reference itself"));
        } else if !self.known.contains(id) {
            let near = suggest(id, self.known.iter().map(String::as_str));
            let help = near.map_or_else(
                || "only steps before this one can be named, by their `id:`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.checks.error_with_help(token.span, format!("Step references unknown step ID '{id}'"), Some(help));
        }
        Some(Spanned::new(StepId::new(id), token.span))
    }

    fn wait_all(&mut self, token: &Token) -> bool {
        if matches!(token.kind, TokenKind::Boolean(false)) {
            self.checks.error(token.span, "The value of 'wait-all' must be true or omitted");
        }
        true
    }

    /// The steps of a parallel block, which may only run and use.
    fn parallel(&mut self, token: &Token, block: Span) -> Vec<Step> {
        let steps = read(self.checks, token);
        for step in &steps {
            if step.background.is_some() {
                let message = "'background' is not allowed inside a parallel block. Steps in a parallel block are \
                               automatically run as background steps.";
                self.checks.error(block, message);
            }
            let refused = match step.kind {
                StepKind::Run { .. } | StepKind::Uses { .. } => continue,
                StepKind::Wait(_) => "'wait' is not allowed inside a parallel block.",
                StepKind::WaitAll => "'wait-all' is not allowed inside a parallel block.",
                StepKind::Cancel(_) => "'cancel' is not allowed inside a parallel block.",
                StepKind::Parallel(_) => "Nested 'parallel' blocks are not allowed.",
            };
            self.checks.error(block, refused);
        }
        steps
    }
}

fn assemble(written: &Token, kind: StepKind, condition: Expression, condition_token: Option<&Token>) -> Step {
    let background = written.get("background").and_then(|token| match token.kind {
        TokenKind::Boolean(value) => Some(value),
        TokenKind::Null
        | TokenKind::Number(_)
        | TokenKind::String(_)
        | TokenKind::Sequence(_)
        | TokenKind::Mapping(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => None,
    });
    Step {
        id: StepId::new(""),
        id_written: false,
        span: written.span,
        name: written.get("name").cloned(),
        condition,
        condition_span: condition_token.map(|token| token.span),
        continue_on_error: written.get("continue-on-error").cloned(),
        timeout_minutes: written.get("timeout-minutes").cloned(),
        env: written.get("env").cloned(),
        background,
        kind,
    }
}
