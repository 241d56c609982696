//! Filters of an event that GitHub's reader lets pass and its trigger refuses, or that can never match.
//!
//! Matching itself is `trigger`'s. Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#filter-pattern-cheat-sheet>.

use super::checks::Checks;
use crate::diagnostic::Code;
use crate::model::Filters;
use crate::template::Token;

/// A filter and its `-ignore` side by side.
const BOTH_FILTERS: Code = Code("P0112");
/// Only negative patterns.
const NOTHING_MATCHES: Code = Code("P0113");

/// Records what is wrong with an event's filters.
pub(super) fn check(checks: &mut Checks<'_>, filters: &Filters, settings: &Token) {
    let pairs = [
        ("branches", &filters.branches, &filters.branches_ignore),
        ("tags", &filters.tags, &filters.tags_ignore),
        ("paths", &filters.paths, &filters.paths_ignore),
    ];
    for (name, take, ignore) in pairs {
        let ignore_name = format!("{name}-ignore");
        if take.is_some() && ignore.is_some() {
            let pairs = settings.as_mapping().unwrap_or_default();
            let key = pairs.iter().map(|(key, _)| key).find(|key| key.as_str() == Some(&ignore_name));
            let span = key.map_or(settings.span, |key| key.span);
            let message = format!("`{name}` and `{ignore_name}` cannot both be given for one event");
            let help = format!("keep `{name}` and exclude with patterns that begin with `!`");
            checks.refuse(BOTH_FILTERS, span, message, &help);
        }
        let patterns = take.as_deref().unwrap_or_default();
        // `branches: ['**'], tags: ['!**']` says "no tags", and means it.
        let none =
            name == "tags" && filters.branches.is_some() && patterns.iter().all(|pattern| pattern.value == "!**");
        let negative = !none && patterns.iter().all(|pattern| pattern.value.starts_with('!'));
        if let Some(first) = patterns.first().filter(|_| negative) {
            let message = format!("`{name}` has only patterns with `!`, so nothing can match");
            let help = format!("put a pattern without `!` before them, such as `'**'`, or use `{ignore_name}`");
            checks.warn(NOTHING_MATCHES, first.span, message, &help);
        }
    }
}
