//! From what the reader found to advice: every mistake of a workflow file once, where it is, in plain words, with what to
//! do about it.
//!
//! GitHub's reader stops at the end of the stage that found an error, and says several things about one slip. Here a file
//! with errors is read again as if its clear slips were not there (`jbos:` as `jobs:`): what is then gone followed from
//! them, what is left or new did not. A file without errors, or what is left of one, is then looked through for what
//! GitHub lets pass and its author did not mean; only what is sure to be wrong is told.
//! Nothing is read from the disk and nothing evaluated.

mod actions;
pub mod audits;
mod called;
mod conditions;
mod contexts;
mod expressions;
mod injection;
mod jobs;
mod known;
mod lines;
mod needs;
mod patterns;
mod scripts;
mod slips;
mod structure;
mod syntax;
mod values;
mod visit;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use crate::catalogue::Catalogue;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::Workflow;
use crate::read::{ReadOptions, Reading, WorkflowFiles, explore, read_workflow};
use crate::source::{FileId, SourceFile, SourceMap, Span};
use crate::template::{Cause, Place, ReadError, Repairs};

use self::slips::Slip;

/// Slips that hide others are looked for again this often at most.
const ROUNDS_MAX: usize = 6;

/// What GitHub's reader lets pass and its trigger refuses: a zone that does not exist, a filter and its opposite, a reserved
/// secret, too many inputs, a group in which all wait and none does, a job without steps.
const REFUSED: [Code; 6] = [Code("P0111"), Code("P0112"), Code("P0116"), Code("P0117"), Code("P0118"), Code("P0417")];

/// Whether a diagnostic of a workflow that can be read keeps it from being run all the same: GitHub would refuse it, or a step
/// would fail for what is written there.
#[must_use]
pub fn keeps_from_running(diagnostic: &Diagnostic) -> bool {
    diagnostic.is_error() && REFUSED.iter().chain(&actions::FAILS).any(|code| *code == diagnostic.code)
}

/// What a check gave.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The workflow's file, then called ones; the spans of the diagnostics are in these.
    pub sources: SourceMap,
    /// By file and place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Everything that is wrong with a workflow file, given its reading, what it was read with, and the actions that are known. Linear
/// in the size of the file; a file with errors is read a few times more.
#[must_use]
pub fn check(reading: &Reading, files: &dyn WorkflowFiles, options: &ReadOptions, catalogue: &Catalogue) -> Checked {
    let around = actions::Around { files, options, catalogue };
    let source = reading.sources.get(FileId(0));
    let mut checked = match (source, reading.errors.is_empty()) {
        (Some(source), false) => check_refused(source, &around),
        (_, _) => {
            let (mut sources, mut diagnostics) = (reading.sources.clone(), reading.findings.clone());
            if let Some(workflow) = &reading.workflow {
                look_through(workflow, &sources, &Damage::default(), &mut diagnostics);
                actions::check(workflow, &mut sources, &mut diagnostics, &around);
            }
            Checked { sources, diagnostics }
        }
    };
    let place = |found: &Diagnostic| found.span.map(|span| (span.file, span.start, span.end));
    checked.diagnostics.sort_by(|a, b| place(a).cmp(&place(b)).then(a.code.cmp(&b.code)));
    checked.diagnostics.dedup_by(|later, first| place(later) == place(first) && later.code == first.code);
    checked
}

/// Everything that is wrong with an action of the repository and those that it uses, given its folder from the root (empty: the root
/// itself) and what it can be read with: what a workflow that uses it would be told of it.
#[must_use]
pub fn check_action(
    folder: &str,
    files: &dyn WorkflowFiles,
    options: &ReadOptions,
    catalogue: &Catalogue,
) -> ActionChecked {
    let uses = serde_json::Value::from(format!("./{folder}"));
    let text = format!(
        "on: push\npermissions: {{}}\njobs: {{ a: {{ runs-on: ubuntu-latest, steps: [{{ uses: {uses} }}] }} }}\n"
    );
    let reading = read_workflow(SourceFile::new("", text), files, options);
    let checked = check(&reading, files, options, catalogue);
    ActionChecked { user: reading.workflow, checked }
}

/// What a check of an action gave.
#[derive(Debug, Clone)]
pub struct ActionChecked {
    /// A workflow that does nothing but use it; it has no name.
    pub user: Option<Workflow>,
    /// What was found, also in the workflow.
    pub checked: Checked,
}

fn check_refused(source: &SourceFile, around: &actions::Around<'_>) -> Checked {
    let actions::Around { files, options, .. } = *around;
    let mut repairs = Repairs::new();
    let mut beyond_repair: HashSet<Span> = HashSet::new();
    let mut slips: Vec<Slip> = Vec::new();
    let mut reading = explore(source.clone(), files, options, &repairs);
    for _ in 0..ROUNDS_MAX {
        let mut changed = slips::undo(&reading.errors, &mut repairs, &mut beyond_repair, &mut slips);
        for slip in reading.errors.iter().filter_map(|error| slips::find(error, source)) {
            if !beyond_repair.contains(&slip.span) && !repairs.contains_key(&slip.span) {
                repairs.insert(slip.span, slip.meant.into());
                slips.push(slip);
                changed = true;
            }
        }
        if !changed {
            break;
        }
        reading = explore(source.clone(), files, options, &repairs);
    }
    let mut diagnostics: Vec<Diagnostic> = slips.iter().map(|slip| slip.diagnostic(source)).collect();
    let damage = Damage::new(&reading.errors);
    let unindented = unindented(&reading.errors, source);
    for error in &reading.errors {
        let told_below = reading.workflow.is_some()
            && error.file().is_none_or(|file| file == FileId(0))
            && needs::covers(&error.message);
        if !told_below && !damage.explains(error) && !is_unindented(error, source, &unindented) {
            structure::tell(error, &reading.sources, &mut diagnostics);
        }
    }
    diagnostics.append(&mut reading.findings);
    if let Some(workflow) = &reading.workflow {
        look_through(workflow, &reading.sources, &damage, &mut diagnostics);
        actions::check(workflow, &mut reading.sources, &mut diagnostics, around);
    }
    Checked { sources: reading.sources, diagnostics }
}

/// Lines and columns where keys begin that belong below the key before them, which has nothing below it.
fn unindented(errors: &[ReadError], source: &SourceFile) -> HashSet<(u32, u32)> {
    let mut places = HashSet::new();
    for error in errors {
        let Place::At(span) = error.place else { continue };
        if structure::is_about_missing_mapping(error) {
            places.insert(lines::column_of_key(source, span));
        } else if structure::unknown_key_of(error).is_some() && is_unindented(error, source, &places) {
            let position = source.position(span.start);
            places.insert((position.line, position.column));
        }
    }
    places
}

/// Whether an unknown key stands on the line after one of these, in the same column.
fn is_unindented(error: &ReadError, source: &SourceFile, places: &HashSet<(u32, u32)>) -> bool {
    let (Place::At(span), true) = (error.place, structure::unknown_key_of(error).is_some()) else { return false };
    let position = source.position(span.start);
    places.contains(&(position.line - 1, position.column))
}

/// What GitHub lets pass.
fn look_through(workflow: &Workflow, sources: &SourceMap, damage: &Damage, diagnostics: &mut Vec<Diagnostic>) {
    let Some(source) = sources.get(FileId(0)) else { return };
    let mut visit = visit::Visit { source, workflow, damage, diagnostics };
    needs::check(&mut visit);
    contexts::check(&mut visit);
    conditions::check(&mut visit);
    injection::check(&mut visit);
    scripts::check(&mut visit);
    values::check(&mut visit);
    jobs::check(&mut visit);
    patterns::check(&mut visit);
    called::check(&mut visit);
}

/// Where a file says something that could not be understood: what is missing nearby may be what was meant there.
#[derive(Debug, Default)]
struct Damage {
    /// By the start of a mapping: the first of its keys without a meaning.
    keys: HashMap<Span, Span>,
    /// All errors of structure, sorted.
    places: Vec<(FileId, u32)>,
    /// The text is no YAML from somewhere on, so that the last mappings lack what comes there.
    is_broken: bool,
}

impl Damage {
    fn new(errors: &[ReadError]) -> Self {
        let mut damage = Self::default();
        for error in errors {
            damage.is_broken |= matches!(error.cause, Cause::Syntax(_) | Cause::Scalar(_) | Cause::KeyNotScalar);
            let Place::At(span) = error.place else { continue };
            if let Some(mapping) = structure::unknown_key_of(error) {
                damage.keys.entry(mapping.at_start()).or_insert(span);
            }
            if structure::is_structural(error) {
                damage.places.push((span.file, span.start));
            }
        }
        damage.places.sort_unstable();
        damage
    }

    /// Whether an error only follows from a key that has no meaning: its mapping then lacks one, or cannot be told
    /// from others; of several keys that come from mixing two kinds of mapping, the first is enough.
    fn explains(&self, error: &ReadError) -> bool {
        let Place::At(span) = error.place else { return false };
        if structure::is_about_missing_keys(error) {
            let is_said = error.cause == Cause::Other && self.places.binary_search(&(span.file, span.start)).is_ok();
            return is_said || self.is_broken || self.keys.contains_key(&span.at_start());
        }
        let first = structure::unknown_key_of(error).and_then(|mapping| self.keys.get(&mapping.at_start()));
        structure::is_of_other_kind(error) && first.is_some_and(|first| *first != span)
    }

    /// Whether something inside a place was not understood, so that nothing can be said about what is not there.
    fn is_in(&self, span: Span) -> bool {
        let from = self.places.partition_point(|place| *place < (span.file, span.start));
        self.places.get(from).is_some_and(|place| *place <= (span.file, span.end))
    }

    fn is_anywhere(&self) -> bool {
        !self.places.is_empty()
    }
}
