//! Caches in runs that publish, and caches that a stranger's run fills.
//!
//! What a cache holds was written by an earlier run, perhaps one of a branch that nobody reviewed
//! (<https://adnanthekhan.com/2024/05/06/the-monsters-in-your-build-cache-github-actions-cache-poisoning/>).

use super::checkout::major;
use super::names::{CACHING, Caches, PUBLISHING};
use super::{CACHE_POISONING, Look};
use crate::model::{Filters, Step, StepKind, Uses};
use crate::source::{Span, Spanned};
use crate::template::Token;

pub(super) fn audit(steps: &[&Step], look: &mut Look<'_>) {
    let (why, is_sure) = if let Some(event) = look.event_for_strangers() {
        (format!("on `{event}` what a stranger's code writes is kept for the runs of the main branch"), true)
    } else if let Some(publishes) = publishes(steps, look) {
        (format!("this run publishes ({publishes}), and what it restores was written by another"), true)
    } else if let Some(may) = may_publish(look) {
        (format!("this run publishes where it is one of {may}, and what it restores was written by another"), false)
    } else {
        return;
    };
    for step in steps {
        let Some((span, name)) = caches(step, look) else { continue };
        let help = format!("run `{name}` without its cache here");
        if is_sure {
            look.tell(&CACHE_POISONING, span, why.clone(), help);
        } else {
            look.tell_pedants(&CACHE_POISONING, span, why.clone(), help);
        }
    }
}

/// Why a run is one that gives to others what it built.
fn publishes(steps: &[&Step], look: &Look<'_>) -> Option<String> {
    if look.workflow?.on.entries.contains_key("release") {
        return Some("`on: release`".to_owned());
    }
    if has_tags(look) && push(look).is_some_and(|on| on.branches.is_none() && on.branches_ignore.is_none()) {
        return Some("tags".to_owned());
    }
    steps.iter().find_map(|step| {
        let (name, _) = used(step)?;
        let (_, input) = PUBLISHING.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
        input.is_none_or(|input| is_given(step, input)).then(|| format!("`{name}`"))
    })
}

/// Which of the pushes that start a workflow are likely to publish, where others do not.
fn may_publish(look: &Look<'_>) -> Option<&'static str> {
    if has_tags(look) {
        return Some("a tag");
    }
    let branches = push(look)?.branches.as_ref()?;
    branches.iter().any(|branch| branch.value.contains("release")).then_some("a branch for releases")
}

fn push<'a>(look: &Look<'a>) -> Option<&'a Filters> {
    look.workflow?.on.entries.get("push").map(|trigger| &trigger.filters)
}

/// Whether pushes of tags start it: those that are named, or all that are not.
fn has_tags(look: &Look<'_>) -> bool {
    let Some(on) = push(look) else { return false };
    let is_all = |tag: &Spanned<String>| matches!(tag.value.as_str(), "*" | "**");
    let leaves_some = on.tags_ignore.as_ref().is_some_and(|tags| !tags.iter().any(is_all));
    leaves_some || on.tags.as_ref().is_some_and(|tags| !tags.is_empty())
}

fn used(step: &Step) -> Option<(String, Span)> {
    let StepKind::Uses { uses, .. } = &step.kind else { return None };
    let Uses::Repository { repository, path, .. } = &uses.value else { return None };
    let name = if path.is_empty() { repository.clone() } else { format!("{repository}/{path}") };
    Some((name, uses.span))
}

fn input<'a>(step: &'a Step, key: &str) -> Option<&'a Token> {
    let StepKind::Uses { with, .. } = &step.kind else { return None };
    with.as_ref()?.get(key)
}

fn is_no(step: &Step, key: &str) -> bool {
    input(step, key).is_some_and(|value| matches!(value.literal_text().as_deref(), Some("false" | "")))
}

/// Whether an input is there and does not say no; what an expression gives is not known here.
fn is_given(step: &Step, key: &str) -> bool {
    input(step, key).is_some() && !is_no(step, key)
}

fn caches(step: &Step, look: &Look<'_>) -> Option<(Span, String)> {
    let (name, span) = used(step)?;
    let StepKind::Uses { uses, .. } = &step.kind else { return None };
    let (_, how) = CACHING.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    let does = match how {
        Caches::Always => true,
        Caches::With(key) => is_given(step, key),
        Caches::WithBoth(key, other) => is_given(step, key) && !is_no(step, other),
        Caches::WithOrBefore(key, version) => {
            let is_before = major(uses, look).is_some_and(|major| major < *version);
            is_given(step, key) || is_before && input(step, key).is_none()
        }
        Caches::WithOrSince(key, version, off) => {
            let is_since = major(uses, look).is_none_or(|major| major >= *version);
            is_given(step, key) || is_since && !is_no(step, off)
        }
        Caches::Unless(key) => !is_no(step, key),
        Caches::UnlessOn(key) => !is_given(step, key),
    };
    // A cache that is only kept, never restored, can poison others but not this run.
    let is_lookup = input(step, "lookup-only").and_then(Token::literal_text).as_deref() == Some("true");
    (does && !is_lookup).then_some((span, name))
}
