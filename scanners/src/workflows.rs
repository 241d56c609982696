//! What a workflow of GitHub Actions opens to strangers: what `pipe check` knows of safety, and two audits of the class of
//! zizmor (<https://docs.zizmor.sh/audits/>), under names of ours and theirs.
//!
//! `# pipe ignore=RULE` and `# zizmor: ignore[RULE]` in the line are obeyed. Called workflows and actions are not fetched.

use workflow::catalogue::Catalogue;
use workflow::check;
use workflow::model::{JobKind, Step, StepKind, Uses};
use workflow::read::{NoFiles, ReadOptions, read_workflow};
use workflow::source::{FileId, SourceFile, Span};

use crate::finding::{Finding, Kind, Place, Severity, Subject};

/// Longest file that is audited; GitHub takes none that is longer.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Events that run with the rights of the repository while somebody else chose the code or the words.
const FOR_STRANGERS: [&str; 4] = ["pull_request_target", "workflow_run", "issue_comment", "discussion_comment"];
/// What names the code of a stranger.
const OF_STRANGERS: [&str; 6] = [
    "github.event.pull_request.head.",
    "github.head_ref",
    "github.event.workflow_run.head_",
    "github.event.pull_request.merge_commit_sha",
    "refs/pull/",
    "github.event.number",
];
/// Whose actions are as safe as the machine that runs them.
const OF_THE_FORGE: [&str; 2] = ["actions", "github"];
const COMMIT_DIGITS: usize = 40;

struct Rule {
    id: &'static str,
    /// Its names elsewhere.
    aliases: &'static [&'static str],
    severity: Severity,
}

const INJECTION: Rule =
    Rule { id: "workflow-injection", aliases: &["CWE-94", "P0305", "template-injection"], severity: Severity::High };
const CONDITION: Rule =
    Rule { id: "workflow-condition", aliases: &["P0301", "unsound-condition"], severity: Severity::Medium };
const COMMAND: Rule =
    Rule { id: "workflow-command", aliases: &["P0306", "insecure-commands"], severity: Severity::Medium };
const CHECKOUT: Rule = Rule {
    id: "workflow-checkout",
    aliases: &["CWE-829", "dangerous-triggers", "untrusted-checkout"],
    severity: Severity::High,
};
const UNPINNED: Rule =
    Rule { id: "workflow-unpinned", aliases: &["CWE-829", "unpinned-uses"], severity: Severity::Low };
const STEP: Rule =
    Rule { id: "workflow-step", aliases: &["CWE-1068", "P0418", "P0419", "P0420", "P0421"], severity: Severity::Low };
const UNREAD: Rule = Rule { id: "workflow-unread", aliases: &[], severity: Severity::Medium };

/// Whether a file is a workflow, by its path.
#[must_use]
pub fn is_workflow(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_theirs = folder.strip_suffix(".github/workflows").is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    is_theirs && (name.ends_with(".yml") || name.ends_with(".yaml"))
}

/// Audits a workflow. `path` is from the root of the repository; of steps with these actions it is said what would make them fail.
#[must_use]
pub fn check(path: &str, text: &str, actions: &Catalogue) -> Vec<Finding> {
    let whole = |words: String| {
        let place = Place { file: path.to_owned(), line: None, end_line: None, column: None, layer: None };
        vec![finding(&UNREAD, place, words)]
    };
    if text.len() > FILE_BYTES_MAX {
        return whole(format!("the file is longer than {FILE_BYTES_MAX} bytes and was not audited"));
    }
    let options = ReadOptions::default();
    let reading = read_workflow(SourceFile::new(path, text), &NoFiles, &options);
    let mut broken: Vec<(&Rule, Span, String)> = Vec::new();
    for diagnostic in check::check(&reading, &NoFiles, &options, actions).diagnostics {
        let rule = match diagnostic.code.0 {
            "P0301" => &CONDITION,
            "P0305" => &INJECTION,
            "P0306" => &COMMAND,
            "P0418" | "P0419" | "P0420" | "P0421" => &STEP,
            _ => continue,
        };
        let help = diagnostic.help.map(|help| format!("; {help}")).unwrap_or_default();
        broken.extend(diagnostic.span.map(|span| (rule, span, diagnostic.message + &help)));
    }
    let Some(workflow) = &reading.workflow else {
        return whole("it cannot be read, so nothing of it was audited: `pipe check` says why".to_owned());
    };
    let event = FOR_STRANGERS.iter().find(|event| workflow.on.entries.contains_key(**event));
    for job in workflow.jobs.values() {
        if let JobKind::Steps(job) = &job.kind {
            job.steps.iter().for_each(|step| audit(step, event.copied(), text, &mut broken));
        }
    }
    let Some(source) = reading.sources.get(FileId(0)) else { return Vec::new() };
    let mut findings = Vec::new();
    for (rule, span, words) in broken.into_iter().filter(|(_, span, _)| span.file == FileId(0)) {
        let from = source.position(span.start);
        let line = text.lines().nth(from.line.saturating_sub(1) as usize).unwrap_or_default();
        if is_ignored(line, rule) {
            continue;
        }
        let (line, column) = (Some(from.line), Some(from.column));
        let place = Place { file: path.to_owned(), line, end_line: None, column, layer: None };
        findings.push(finding(rule, place, words));
    }
    findings
}

fn audit(step: &Step, event: Option<&str>, text: &str, broken: &mut Vec<(&'static Rule, Span, String)>) {
    let StepKind::Uses { uses, with } = &step.kind else { return };
    let Uses::Repository { repository, reference, .. } = &uses.value else { return };
    let is_commit = reference.len() == COMMIT_DIGITS && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let owner = repository.split('/').next().unwrap_or_default();
    if !is_commit && !OF_THE_FORGE.iter().any(|known| owner.eq_ignore_ascii_case(known)) {
        let words = format!("`{repository}@{reference}` can be moved to other code by its owner; name the commit");
        broken.push((&UNPINNED, uses.span, words));
    }
    let Some(event) = event.filter(|_| repository.eq_ignore_ascii_case("actions/checkout")) else { return };
    let with = with.as_ref().and_then(|with| text.get(with.span.start as usize..with.span.end as usize));
    if let Some(stranger) = OF_STRANGERS.iter().find(|name| with.is_some_and(|with| with.contains(**name))) {
        let words = format!(
            "code of strangers (`{}`) is checked out on `{event}`, which runs with the secrets and rights of the repository",
            stranger.trim_end_matches(['.', '_', '/'])
        );
        broken.push((&CHECKOUT, uses.span, words));
    }
}

fn is_ignored(line: &str, rule: &Rule) -> bool {
    let Some((_, comment)) = line.split_once('#') else { return false };
    let names = || std::iter::once(&rule.id).chain(rule.aliases);
    let is_named = |list: &str, end: &[char]| {
        let list = list.split(end).next().unwrap_or_default();
        list.split(',').map(str::trim).any(|name| names().any(|known| *known == name))
    };
    let ours = comment.split_once("pipe ignore=").is_some_and(|(_, list)| is_named(list, &[' ', '\t']));
    ours || comment.split_once("zizmor: ignore[").is_some_and(|(_, list)| is_named(list, &[']']))
}

fn finding(rule: &Rule, place: Place, words: String) -> Finding {
    let mut finding = Finding::of_rule(Kind::Misconfiguration, rule.id, words, Subject::Place(place), rule.severity);
    finding.aliases = rule.aliases.iter().map(|alias| (*alias).to_owned()).collect();
    finding
}

#[cfg(test)]
mod tests {
    use workflow::catalogue::{ActionFacts, InputFacts};

    use super::*;

    static SCAN: [InputFacts; 1] = [InputFacts::new("offline", "false", "").switch()];

    fn check_steps(on: &str, steps: &str, expected: &[&str]) {
        let text = format!("on: {on}\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n{steps}");
        let actions = [ActionFacts { name: "pipe/scan", inputs: &SCAN, refuses_unknown: true }].into_iter().collect();
        let found: Vec<_> = check(".github/workflows/ci.yml", &text, &actions)
            .into_iter()
            .map(|finding| format!("{} {}", finding.id, finding.place().and_then(|place| place.line).unwrap_or(0)))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_strangers_can_reach_is_said() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (on, steps, expected) in [
            ("issues", "      - run: echo ${{ github.event.issue.title }}\n", &["workflow-injection 6"][..]),
            ("push", "      - run: echo ok\n", &[]),
            ("push", "      - uses: someone/thing@v1\n", &["workflow-unpinned 6"]),
            ("push", "      - uses: someone/thing@v1 # zizmor: ignore[unpinned-uses]\n", &[]),
            ("push", "      - uses: someone/thing@v1 # pipe ignore=workflow-unpinned\n", &[]),
            ("push", &format!("      - uses: someone/thing@{commit}\n"), &[]),
            ("push", "      - uses: actions/checkout@v4\n      - uses: pipe/scan@v1\n      - uses: ./local\n", &[]),
            (
                "pull_request_target",
                "      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n",
                &["workflow-checkout 6"],
            ),
            (
                "pull_request",
                "      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n",
                &[],
            ),
            ("pull_request_target", "      - uses: actions/checkout@v4\n", &[]),
            ("push", "      - rnu: echo\n", &["workflow-unread 0"]),
            ("push", "      - uses: pipe/scam\n", &["workflow-step 6"]),
            ("push", "      - uses: pipe/scan@v1\n        with: { ofline: true }\n", &["workflow-step 7"]),
            ("push", "      - uses: pipe/scan@v1\n        with:\n          offline: maybe\n", &["workflow-step 8"]),
        ] {
            check_steps(on, steps, expected);
        }
    }

    #[test]
    fn workflows_are_known_by_their_folder() {
        for (path, expected) in [
            (".github/workflows/ci.yml", true),
            ("sub/.github/workflows/ci.yaml", true),
            (".github/workflows/sub/ci.yml", false),
            ("x.github/workflows/ci.yml", false),
            (".github/workflows/README.md", false),
            ("ci.yml", false),
        ] {
            assert_eq!(is_workflow(path), expected, "{path}");
        }
    }
}
