//! Conditions that do not guard what they seem to.

use super::{BOT_CONDITIONS, Look, UNSOUND_CONTAINS};
use crate::check::visit::{Site, sites};
use crate::expression::{Comparison, Function, Node, NodeKind, Value};
use crate::model::Workflow;
use crate::template::locate;

/// Contexts whose values somebody else chooses.
const CHOSEN: [&str; 9] = [
    "github.actor",
    "github.base_ref",
    "github.head_ref",
    "github.ref",
    "github.ref_name",
    "github.sha",
    "github.triggering_actor",
    "env.",
    "inputs.",
];

pub(super) fn audit(workflow: &Workflow, look: &mut Look<'_>) {
    for site in sites(workflow) {
        for node in site.expression.root().walk() {
            contains(&site, node, look);
            bot(&site, node, look);
        }
    }
}

/// `contains('refs/heads/main refs/heads/dev', github.ref)`: a text holds parts of its words too.
fn contains(site: &Site<'_>, node: &Node, look: &mut Look<'_>) {
    let NodeKind::Call { function: Function::Contains, arguments, .. } = &node.kind else { return };
    let [NodeKind::Literal(Value::String(list)), NodeKind::Index { .. }] = [&arguments[0].kind, &arguments[1].kind]
    else {
        return;
    };
    let sought = arguments[1].to_string();
    let lower = sought.to_ascii_lowercase();
    let is_chosen = CHOSEN.iter().any(|name| lower == *name || name.ends_with('.') && lower.starts_with(name));
    let words: Vec<String> =
        list.split([' ', ',', '|', ';']).filter(|word| !word.is_empty()).map(|word| format!("\"{word}\"")).collect();
    if words.is_empty() {
        return;
    }
    let span = locate(look.source.text(), site.span, site.expression, node.span.clone());
    let message = format!("this holds for every part of the text, such as `{}`: it is no list", part(list));
    let help = format!("write `contains(fromJSON('[{}]'), {sought})`", words.join(", "));
    if is_chosen {
        look.tell(&UNSOUND_CONTAINS, span, message, help);
    } else {
        look.tell_pedants(&UNSOUND_CONTAINS, span, message, help);
    }
}

/// A part of a text that is none of its words.
fn part(list: &str) -> String {
    let word = list.split([' ', ',', '|', ';']).find(|word| !word.is_empty()).unwrap_or(list);
    let count = word.chars().count();
    word.chars().take(count.saturating_sub(1).max(1)).collect()
}

/// `github.actor == 'dependabot[bot]'`: the last one who touched the pull request, not its author.
fn bot(site: &Site<'_>, node: &Node, look: &mut Look<'_>) {
    let NodeKind::Compare { comparison: Comparison::Equal | Comparison::NotEqual, left, right } = &node.kind else {
        return;
    };
    let (name, text) = match (&left.kind, &right.kind) {
        (_, NodeKind::Literal(Value::String(text))) => (left, text),
        (NodeKind::Literal(Value::String(text)), _) => (right, text),
        (_, _) => return,
    };
    let is_actor = matches!(name.to_string().to_ascii_lowercase().as_str(), "github.actor" | "github.triggering_actor");
    if !is_actor || !text.to_ascii_lowercase().ends_with("[bot]") {
        return;
    }
    let span = locate(look.source.text(), site.span, site.expression, node.span.clone());
    let message = format!("`{name}` is whoever touched it last: anybody's change passes once the bot has touched it");
    let help = "compare who opened it: `github.event.pull_request.user.login`";
    if look.event_for_strangers().is_some() {
        look.tell(&BOT_CONDITIONS, span, message, help);
    } else {
        look.tell_pedants(&BOT_CONDITIONS, span, message, help);
    }
}
