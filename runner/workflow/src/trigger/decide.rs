//! The decision: one check for each filter of the `on:` entry, all combined with *and*.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::filter::{CHANGED_FILES_MAX, Patterns, Verdict};
use super::{WhyNot, inputs, skip_instruction};
use crate::event::{ChangedFiles, Event, EventName, GitRefKind};
use crate::model::{Trigger, Workflow};
use crate::source::{Span, Spanned};

/// How many names a reason quotes.
const NAMES_QUOTED_MAX: usize = 3;

/// Whether an event starts a workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerDecision {
    /// It does.
    Runs {
        /// The event; of a dispatch with `inputs` of the payload completed by defaults, as texts.
        event: Arc<Event>,
        /// The `inputs` context of a dispatch, typed; empty for other events.
        inputs: Map<String, Json>,
    },
    /// It does not, for these reasons; never empty.
    DoesNotRun(Vec<WhyNot>),
}

impl TriggerDecision {
    /// Whether it runs.
    #[must_use]
    pub const fn runs(&self) -> bool {
        matches!(self, Self::Runs { .. })
    }
}

/// Decides whether an event starts a workflow.
#[must_use]
pub fn decide(workflow: &Workflow, event: &Arc<Event>) -> TriggerDecision {
    let on = &workflow.on;
    let Some(trigger) = on.entries.get(event.name.as_str()) else {
        let listed = on.entries.keys().cloned().collect();
        return TriggerDecision::DoesNotRun(vec![WhyNot::NotListed { event: event.name, listed, span: on.span }]);
    };
    let mut reasons = Vec::new();
    let check = Check { trigger, event };
    reasons.extend(check.ref_deleted());
    reasons.extend(check.skip());
    reasons.extend(check.activity());
    check.refs(&mut reasons);
    check.paths(&mut reasons);
    reasons.extend(check.workflows());
    reasons.extend(check.schedule());
    if event.name != EventName::WorkflowDispatch {
        return conclude(reasons, Arc::clone(event), Map::new());
    }
    match inputs::accept(trigger, event.payload.get("inputs")) {
        Ok(accepted) => conclude(reasons, with_inputs(event, accepted.texts, &workflow.path), accepted.typed),
        Err(wrong) => {
            reasons.extend(wrong);
            TriggerDecision::DoesNotRun(reasons)
        }
    }
}

fn conclude(reasons: Vec<WhyNot>, event: Arc<Event>, inputs: Map<String, Json>) -> TriggerDecision {
    if reasons.is_empty() { TriggerDecision::Runs { event, inputs } } else { TriggerDecision::DoesNotRun(reasons) }
}

/// The event with `inputs` of its payload replaced, and with the path of the workflow where it names none.
fn with_inputs(event: &Arc<Event>, texts: Map<String, Json>, path: &str) -> Arc<Event> {
    let mut event = Event::clone(event);
    if let Json::Object(payload) = Arc::make_mut(&mut event.payload) {
        payload.insert("inputs".to_owned(), Json::Object(texts));
        if payload.get("workflow").and_then(Json::as_str).is_none_or(str::is_empty) {
            payload.insert("workflow".to_owned(), Json::String(path.to_owned()));
        }
    }
    Arc::new(event)
}

struct Check<'a> {
    trigger: &'a Trigger,
    event: &'a Event,
}

type List = Option<Vec<Spanned<String>>>;

impl Check<'_> {
    fn ref_deleted(&self) -> Option<WhyNot> {
        let deleted = self.event.name == EventName::Push && self.event.deleted;
        deleted.then(|| WhyNot::RefDeleted { git_ref: self.event.git_ref.to_string() })
    }

    /// `[skip ci]` counts for `push` and `pull_request` only; a pull request with a conflict starts nothing.
    fn skip(&self) -> Option<WhyNot> {
        if !matches!(self.event.name, EventName::Push | EventName::PullRequest) {
            return None;
        }
        if let Some(instruction) = self.event.head_message.as_deref().and_then(skip_instruction) {
            return Some(WhyNot::SkipInstruction { instruction });
        }
        let pull = self.event.payload.get("pull_request").filter(|_| self.event.name == EventName::PullRequest);
        let open = pull.filter(|pull| pull.get("state").and_then(Json::as_str) != Some("closed"));
        (open?.get("mergeable")?.as_bool() == Some(false)).then_some(WhyNot::MergeConflict)
    }

    fn activity(&self) -> Option<WhyNot> {
        let written = self.trigger.filters.types.as_ref();
        let types: Vec<String> = match (written, self.event.name.default_activities()) {
            (Some(types), _) => types.iter().map(|activity| activity.value.clone()).collect(),
            (None, Some(default)) => default.iter().map(|activity| (*activity).to_owned()).collect(),
            (None, None) => return None,
        };
        let action = self.event.action.clone();
        if action.as_ref().is_some_and(|action| types.contains(action)) {
            return None;
        }
        let span = written.and_then(|types| types.first()).map_or(self.trigger.span, |first| first.span);
        Some(WhyNot::ActivityType { event: self.event.name, action, types, written: written.is_some(), span })
    }

    fn refs(&self, reasons: &mut Vec<WhyNot>) {
        let filters = &self.trigger.filters;
        if self.event.name != EventName::Push {
            if let Some(branch) = self.branch() {
                reasons.extend(included("branches", &filters.branches, &branch));
                reasons.extend(ignored("branches-ignore", &filters.branches_ignore, &branch));
            }
            return;
        }
        let name = self.event.git_ref.short();
        let on_branches = filters.branches.is_some() || filters.branches_ignore.is_some();
        let on_tags = filters.tags.is_some() || filters.tags_ignore.is_some();
        let other = |filter| WhyNot::OtherKindOfRef {
            filter,
            git_ref: self.event.git_ref.to_string(),
            span: self.trigger.span,
        };
        match (self.event.git_ref.kind() == GitRefKind::Tag, on_branches, on_tags) {
            (true, true, false) => reasons.push(other("branches")),
            (false, false, true) => reasons.push(other("tags")),
            (true, _, _) => {
                reasons.extend(included("tags", &filters.tags, name));
                reasons.extend(ignored("tags-ignore", &filters.tags_ignore, name));
            }
            (false, _, _) => {
                reasons.extend(included("branches", &filters.branches, name));
                reasons.extend(ignored("branches-ignore", &filters.branches_ignore, name));
            }
        }
    }

    /// The branch that `branches` of an event other than push is about; none where it is not known.
    fn branch(&self) -> Option<String> {
        if let Some(pull) = &self.event.pull_request {
            return Some(pull.base_ref.clone());
        }
        let pointer = if self.event.name == EventName::WorkflowRun {
            "/workflow_run/head_branch"
        } else {
            "/merge_group/base_ref"
        };
        let branch = self.event.payload.pointer(pointer)?.as_str()?;
        Some(branch.strip_prefix("refs/heads/").unwrap_or(branch).to_owned())
    }

    /// Path filters are not asked for tags, nor where nobody knows what changed.
    fn paths(&self, reasons: &mut Vec<WhyNot>) {
        let ChangedFiles::Known(files) = &self.event.changed_files else { return };
        if self.event.git_ref.kind() == GitRefKind::Tag {
            return;
        }
        let files = &files[..files.len().min(CHANGED_FILES_MAX)];
        let filters = &self.trigger.filters;
        if let Some(written) = &filters.paths {
            let patterns = Patterns::new(written);
            if !files.iter().any(|file| patterns.includes(file)) {
                reasons.push(no_match("paths", written, files, None));
            }
        }
        if let Some(written) = &filters.paths_ignore {
            let patterns = Patterns::new(written);
            if !files.is_empty() && files.iter().all(|file| patterns.includes(file)) {
                reasons.push(ignored_by("paths-ignore", written, files, None));
            }
        }
    }

    /// `workflows` of `workflow_run`: names, not patterns.
    fn workflows(&self) -> Option<WhyNot> {
        let written = self.trigger.filters.workflows.as_ref()?;
        let payload = &self.event.payload;
        let name = ["/workflow/name", "/workflow_run/name"].iter().find_map(|at| payload.pointer(at)?.as_str())?;
        let listed = written.iter().any(|workflow| workflow.value == name);
        (!listed).then(|| no_match("workflows", written, &[name.to_owned()], None))
    }

    fn schedule(&self) -> Option<WhyNot> {
        if self.event.name != EventName::Schedule {
            return None;
        }
        let cron = self.event.payload.get("schedule")?.as_str()?;
        let listed = self.trigger.schedule.iter().any(|schedule| schedule.cron.value == cron);
        (!listed).then(|| WhyNot::OtherSchedule { cron: cron.to_owned(), span: self.trigger.span })
    }
}

fn included(filter: &'static str, list: &List, name: &str) -> Option<WhyNot> {
    let written = list.as_ref()?;
    let excluded_by = match Patterns::new(written).verdict(name) {
        Verdict::Included(_) => return None,
        Verdict::Excluded(span) => Some(span),
        Verdict::Unmatched => None,
    };
    Some(no_match(filter, written, &[name.to_owned()], excluded_by))
}

fn ignored(filter: &'static str, list: &List, name: &str) -> Option<WhyNot> {
    let written = list.as_ref()?;
    match Patterns::new(written).verdict(name) {
        Verdict::Included(span) => Some(ignored_by(filter, written, &[name.to_owned()], Some(span))),
        Verdict::Excluded(_) | Verdict::Unmatched => None,
    }
}

fn no_match(filter: &'static str, written: &[Spanned<String>], names: &[String], excluded_by: Option<Span>) -> WhyNot {
    let (quoted, more) = cut(names);
    let by = written.iter().find(|pattern| Some(pattern.span) == excluded_by);
    WhyNot::NoMatch {
        filter,
        patterns: texts(written),
        names: quoted,
        more,
        span: excluded_by.unwrap_or_else(|| first_span(written)),
        excluded_by: by.map(|pattern| pattern.value.clone()),
    }
}

fn ignored_by(filter: &'static str, written: &[Spanned<String>], names: &[String], by: Option<Span>) -> WhyNot {
    let (names, more) = cut(names);
    let span = by.unwrap_or_else(|| first_span(written));
    WhyNot::Ignored { filter, patterns: texts(written), names, more, span }
}

fn cut(names: &[String]) -> (Vec<String>, usize) {
    (names.iter().take(NAMES_QUOTED_MAX).cloned().collect(), names.len().saturating_sub(NAMES_QUOTED_MAX))
}

fn texts(written: &[Spanned<String>]) -> Vec<String> {
    written.iter().map(|pattern| pattern.value.clone()).collect()
}

fn first_span(written: &[Spanned<String>]) -> Span {
    written.first().map_or_else(Span::default, |first| first.span)
}
