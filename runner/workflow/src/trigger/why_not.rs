//! Why an event does not start a workflow: a typed reason, one sentence, and the place that said no.

use std::fmt;

use crate::event::EventName;
use crate::source::Span;

/// A reason. `Display` gives one sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// `on:` does not list the event.
    NotListed {
        /// What happened.
        event: EventName,
        /// What it lists.
        listed: Vec<String>,
        /// `on:`.
        span: Span,
    },
    /// `types:`, or the default types, do not list the activity type.
    ActivityType {
        /// What happened.
        event: EventName,
        /// Its activity type, if the payload has one.
        action: Option<String>,
        /// What would start it.
        types: Vec<String>,
        /// Whether they were written.
        written: bool,
        /// `types:`' first entry, or the event's name.
        span: Span,
    },
    /// A list of patterns that must match does not.
    NoMatch {
        /// `branches`, `tags`, `paths`, `workflows`, `names`, `versions`.
        filter: &'static str,
        /// The patterns, as written.
        patterns: Vec<String>,
        /// What was matched: a branch, a tag, a few of the changed files.
        names: Vec<String>,
        /// How many more names there are.
        more: usize,
        /// The pattern that excluded it, or the first one.
        span: Span,
        /// The `!` pattern that excluded it, if one did.
        excluded_by: Option<String>,
    },
    /// `branches-ignore`, `tags-ignore` or `paths-ignore` matches.
    Ignored {
        /// Which of the three.
        filter: &'static str,
        /// The patterns, as written.
        patterns: Vec<String>,
        /// What was matched.
        names: Vec<String>,
        /// How many more names there are.
        more: usize,
        /// The first pattern, or the one that matched the branch or tag.
        span: Span,
    },
    /// Only tags are listed and it is a branch, or the other way round.
    OtherKindOfRef {
        /// The filters that are written.
        filter: &'static str,
        /// The ref that was pushed.
        git_ref: String,
        /// The event's name in the file.
        span: Span,
    },
    /// A push that removed its ref.
    RefDeleted {
        /// The ref.
        git_ref: String,
    },
    /// The head commit asks for no run.
    SkipInstruction {
        /// As `[skip ci]`.
        instruction: &'static str,
    },
    /// A pull request that cannot be merged as it is.
    MergeConflict,
    /// A dispatch with an input that the workflow does not have.
    UnknownInput {
        /// The input.
        name: String,
        /// One with a name like it.
        suggestion: Option<String>,
        /// `workflow_dispatch`.
        span: Span,
    },
    /// A dispatch without an input that is required.
    MissingInput {
        /// The input.
        name: String,
        /// The input in the file.
        span: Span,
    },
    /// An input's value is not of its type.
    InputValue {
        /// The input.
        name: String,
        /// The value given.
        value: String,
        /// What it must be, as `one of: a, b` or `true or false`.
        expected: String,
        /// The input in the file.
        span: Span,
    },
    /// More inputs, or more text in them, than GitHub takes.
    InputsTooLarge {
        /// What is too much, and the limit.
        what: String,
        /// `workflow_dispatch`.
        span: Span,
    },
    /// A schedule that none of the `cron` lines is.
    OtherSchedule {
        /// The line that came due.
        cron: String,
        /// `schedule`.
        span: Span,
    },
}

impl WhyNot {
    /// The place in the workflow that said no; `None` where the event itself is the reason.
    #[must_use]
    pub const fn span(&self) -> Option<Span> {
        match self {
            Self::NotListed { span, .. }
            | Self::ActivityType { span, .. }
            | Self::NoMatch { span, .. }
            | Self::Ignored { span, .. }
            | Self::OtherKindOfRef { span, .. }
            | Self::UnknownInput { span, .. }
            | Self::MissingInput { span, .. }
            | Self::InputValue { span, .. }
            | Self::InputsTooLarge { span, .. }
            | Self::OtherSchedule { span, .. } => Some(*span),
            Self::RefDeleted { .. } | Self::SkipInstruction { .. } | Self::MergeConflict => None,
        }
    }

    /// Whether the user asked for this run and gave wrong inputs: an error, where the others are only reasons.
    #[must_use]
    pub const fn is_input_error(&self) -> bool {
        matches!(
            self,
            Self::UnknownInput { .. }
                | Self::MissingInput { .. }
                | Self::InputValue { .. }
                | Self::InputsTooLarge { .. }
        )
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed { event, listed, .. } => {
                write!(f, "`on` lists {}, not `{event}`", quoted(listed, "nothing"))
            }
            Self::ActivityType { event, action, types, written, .. } => {
                let action = action.as_deref().unwrap_or("none");
                let from = if *written { "`types`" } else { "without `types`, the event" };
                write!(f, "activity type `{action}` of `{event}`: {from} starts on {}", quoted(types, "nothing"))
            }
            Self::NoMatch { filter, names, more, excluded_by: Some(pattern), .. } => {
                write!(f, "`{filter}`: `{pattern}` excludes {}", names_and_more(names, *more))
            }
            Self::NoMatch { filter, patterns, names, more, excluded_by: None, .. } => {
                let names = names_and_more(names, *more);
                write!(f, "`{filter}: [{}]` does not match {names}", patterns.join(", "))
            }
            Self::Ignored { filter, patterns, names, more, .. } => {
                write!(f, "`{filter}: [{}]` matches {}", patterns.join(", "), names_and_more(names, *more))
            }
            Self::OtherKindOfRef { filter, git_ref, .. } => {
                let kind = if git_ref.starts_with("refs/tags/") { "tag" } else { "branch" };
                write!(f, "`push` has only `{filter}` filters, and `{git_ref}` is a {kind}")
            }
            Self::RefDeleted { git_ref } => write!(f, "the push deleted `{git_ref}`"),
            Self::SkipInstruction { instruction } => write!(f, "the head commit's message has `{instruction}`"),
            Self::MergeConflict => f.write_str("the pull request has a merge conflict"),
            Self::UnknownInput { name, suggestion: Some(like), .. } => {
                write!(f, "unexpected input `{name}`, did you mean `{like}`?")
            }
            Self::UnknownInput { name, suggestion: None, .. } => write!(f, "unexpected input `{name}`"),
            Self::MissingInput { name, .. } => write!(f, "required input `{name}` not provided"),
            Self::InputValue { name, value, expected, .. } => {
                write!(f, "input `{name}` is `{value}`, but must be {expected}")
            }
            Self::InputsTooLarge { what, .. } => f.write_str(what),
            Self::OtherSchedule { cron, .. } => write!(f, "no `cron` line is `{cron}`"),
        }
    }
}

fn quoted(names: &[String], none: &str) -> String {
    if names.is_empty() {
        return none.to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn names_and_more(names: &[String], more: usize) -> String {
    let names = quoted(names, "an empty list of changed files");
    if more == 0 { names } else { format!("{names} and {more} more") }
}
