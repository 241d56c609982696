//! Caches in runs that publish, and caches that a stranger's run fills.
//!
//! What a cache holds was written by an earlier run, perhaps one of a branch that nobody reviewed
//! (<https://adnanthekhan.com/2024/05/06/the-monsters-in-your-build-cache-github-actions-cache-poisoning/>).

use super::checkout::major;
use super::names::{CACHING, Caches, PUBLISHING};
use super::{CACHE_POISONING, Look};
use crate::model::{Step, StepKind, Uses};
use crate::source::Span;
use crate::template::{Token, TokenKind};

pub(super) fn audit(steps: &[&Step], look: &mut Look<'_>) {
    let why = if let Some(event) = look.event_for_strangers() {
        format!("on `{event}` what a stranger's code writes is kept for the runs of the main branch")
    } else if let Some(publishes) = publishes(steps, look) {
        format!("this run publishes ({publishes}), and what it restores was written by another")
    } else {
        return;
    };
    for step in steps {
        let Some((span, name)) = caches(step) else { continue };
        let help = format!("run `{name}` without its cache here");
        look.tell(&CACHE_POISONING, span, why.clone(), help);
    }
}

/// Why a run is one that gives to others what it built.
fn publishes(steps: &[&Step], look: &Look<'_>) -> Option<String> {
    let on = &look.workflow?.on.entries;
    if on.contains_key("release") {
        return Some("`on: release`".to_owned());
    }
    let push = on.get("push").map(|trigger| &trigger.filters);
    if push
        .is_some_and(|filters| filters.tags.as_ref().is_some_and(|tags| !tags.is_empty()) && filters.branches.is_none())
    {
        return Some("tags".to_owned());
    }
    steps.iter().find_map(|step| {
        let (name, _) = used(step)?;
        PUBLISHING.iter().any(|known| name.eq_ignore_ascii_case(known)).then(|| format!("`{name}`"))
    })
}

fn used(step: &Step) -> Option<(String, Span)> {
    let StepKind::Uses { uses, .. } = &step.kind else { return None };
    let Uses::Repository { repository, path, .. } = &uses.value else { return None };
    let name = if path.is_empty() { repository.clone() } else { format!("{repository}/{path}") };
    Some((name, uses.span))
}

fn caches(step: &Step) -> Option<(Span, String)> {
    let (name, span) = used(step)?;
    let StepKind::Uses { uses, with } = &step.kind else { return None };
    let (_, how) = CACHING.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    let input = |key: &str| with.as_ref().and_then(|with| with.get(key));
    let is_no = |value: &Token| matches!(value.literal_text().as_deref(), Some("false" | ""));
    let is_given = |key: &str| input(key).is_some_and(|value| !is_no(value) && !matches!(value.kind, TokenKind::Null));
    let does = match how {
        Caches::Always => true,
        Caches::With(key) => is_given(key),
        Caches::WithOrSince(key, version, off) => {
            let is_since = major(uses).is_none_or(|major| major >= *version);
            is_given(key) || is_since && !input(off).is_some_and(is_no)
        }
        Caches::Unless(key) => !input(key).is_some_and(is_no),
    };
    // A cache that is only kept, never restored, can poison others but not this run.
    let is_lookup = input("lookup-only").and_then(Token::literal_text).as_deref() == Some("true");
    (does && !is_lookup).then_some((span, name))
}
