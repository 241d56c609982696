//! What people read of a plan: lines of the log, the step's summary, the pull request's comment.

use std::fmt::Write as _;

use super::changes::{Change, Changes, Kind};
use super::cost::Cost;

/// Resources that a text names.
const SHOWN_MAX: usize = 200;
/// Attributes that are named of one resource.
const ATTRIBUTES_MAX: usize = 8;
/// Bytes of a comment. GitHub counts characters, of which there are never more.
const COMMENT_BYTES_MAX: usize = 65_535;

/// What a text is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Folder.
    pub(super) folder: &'a str,
    /// Workspace of Terraform.
    pub(super) workspace: &'a str,
    /// Commit.
    pub(super) commit: &'a str,
    /// Where the run is, if that is known.
    pub(super) run: Option<&'a str>,
    /// Digest of the plan.
    pub(super) digest: Option<&'a str>,
}

/// Markdown about a plan.
pub(super) fn plan(changes: &Changes, cost: Option<&Cost>, details: &str, about: About<'_>) -> String {
    let mut text = format!("### Terraform: {}\n\n{}\n", changes.words(), place(about));
    if !changes.destroyed().is_empty() {
        text.push_str("\n**Something goes away:** what is below as destroyed or replaced.\n");
    }
    list(&mut text, &changes.resources);
    if !changes.outputs.is_empty() {
        let names: Vec<String> = changes.outputs.iter().map(|name| code(name)).collect();
        let _infallible = writeln!(text, "\nOutputs that change: {}", names.join(", "));
    }
    if !changes.drift.is_empty() {
        let _infallible =
            writeln!(text, "\n{} changed outside of Terraform since it was applied:", changes.drift.len());
        list(&mut text, &changes.drift);
    }
    if let Some(cost) = cost {
        text.push('\n');
        text.push_str(&cost.markdown());
    }
    if !details.trim().is_empty() {
        let _infallible = write!(text, "\n<details><summary>The plan</summary>\n\n{}\n</details>\n", block(details));
    }
    if let Some(digest) = about.digest {
        let _infallible = writeln!(text, "\nDigest {}: exactly this is applied, or nothing.", code(digest));
    }
    text
}

/// Markdown about a search for drift.
pub(super) fn drift(changes: &Changes, about: About<'_>) -> String {
    let drifted = changes.drifted();
    if drifted.is_empty() {
        return format!("### Terraform: no drift\n\n{}\n\nEverything is as it was left.\n", place(about));
    }
    let mut text = format!("### Terraform: {} not as left\n\n{}\n", drifted.len(), place(about));
    list(&mut text, &changes.drift);
    for name in &changes.outputs {
        let _infallible = writeln!(text, "\n- `output.{}` has another value than was written down", cell(name));
    }
    text.push_str("\nEither somebody changes the files to what is there, or applying again undoes it.\n");
    text
}

/// Lines of the log.
pub(super) fn lines(changes: &[Change]) -> Vec<String> {
    let mut lines: Vec<String> = changes
        .iter()
        .take(SHOWN_MAX)
        .map(|change| format!("  {} {}{}", change.kind.words(), change.address, why(change)))
        .collect();
    if changes.len() > SHOWN_MAX {
        lines.push(format!("  and {} more", changes.len() - SHOWN_MAX));
    }
    lines
}

/// Cut to what GitHub takes; the end of the plan is what goes.
pub(super) fn cut(text: &str) -> String {
    const NOTE: &str = "\n```\n\n…the rest is too long for a comment; the run's summary and log have it.\n";
    if text.len() <= COMMENT_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = COMMENT_BYTES_MAX - NOTE.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{NOTE}", &text[..end])
}

fn place(about: About<'_>) -> String {
    let mut text = format!("{}, workspace {}", code(about.folder), code(about.workspace));
    if !about.commit.is_empty() {
        let _infallible = write!(text, ", commit {}", code(about.commit.get(..7).unwrap_or(about.commit)));
    }
    if let Some(run) = about.run {
        let _infallible = write!(text, " ([run]({run}))");
    }
    text
}

fn list(text: &mut String, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    text.push_str("\n| | resource | what |\n| --- | --- | --- |\n");
    for change in changes.iter().take(SHOWN_MAX) {
        let _infallible = writeln!(
            text,
            "| {} | {} | {} |",
            mark(change.kind),
            cell(&change.address),
            why(change).trim_start_matches(": ")
        );
    }
    if changes.len() > SHOWN_MAX {
        let _infallible = writeln!(text, "| | and {} more | |", changes.len() - SHOWN_MAX);
    }
}

fn mark(kind: Kind) -> &'static str {
    match kind {
        Kind::Destroy => "**destroyed**",
        Kind::Replace => "**replaced**",
        Kind::Change | Kind::Add | Kind::Import | Kind::Forget => kind.words(),
    }
}

fn why(change: &Change) -> String {
    let names = |all: &[String]| {
        let more = if all.len() > ATTRIBUTES_MAX {
            format!(" and {} more", all.len() - ATTRIBUTES_MAX)
        } else {
            String::new()
        };
        all.iter().take(ATTRIBUTES_MAX).cloned().collect::<Vec<_>>().join(", ") + &more
    };
    match (change.attributes.as_slice(), change.forced_by.as_slice()) {
        ([], []) => String::new(),
        (all, []) => format!(": {}", names(all)),
        (_, forced) => format!(": because of {}", names(forced)),
    }
}

/// A name as code: nothing in it is Markdown.
pub(super) fn code(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c == '`' { '\'' } else { c }).filter(|c| !c.is_control()).collect();
    format!("`{plain}`")
}

fn cell(name: &str) -> String {
    code(&name.replace('|', "¦"))
}

/// Text as it is. The fence is longer than any in it.
fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}\n", text.trim_end())
}
