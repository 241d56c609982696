//! What a workflow of GitHub Actions opens to strangers: what `pipe check` knows of safety, its audits among it, under names of ours
//! and of zizmor (<https://docs.zizmor.sh/audits/>).
//!
//! `# pipe ignore=RULE` and `# zizmor: ignore[RULE]` in the line are obeyed. Called workflows and actions are not fetched.

use std::collections::HashSet;

use workflow::catalogue::Catalogue;
use workflow::check;
use workflow::check::audits::{self, Beside};
use workflow::read::{NoFiles, ReadOptions, read_workflow};
use workflow::source::{FileId, SourceFile};

use crate::finding::{Finding, Kind, Place, Severity, Subject};

/// Longest file that is audited; GitHub takes none that is longer.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
struct Rule {
    id: &'static str,
    /// Its names elsewhere.
    aliases: &'static [&'static str],
    severity: Severity,
}

/// What each code of `pipe check` is here; one of the aliases is the code.
const RULES: &[Rule] = &[
    Rule { id: "workflow-injection", aliases: &["CWE-94", "P0305", "template-injection"], severity: Severity::High },
    Rule { id: "workflow-condition", aliases: &["P0301", "unsound-condition"], severity: Severity::Medium },
    Rule { id: "workflow-command", aliases: &["P0306"], severity: Severity::Medium },
    Rule {
        id: "workflow-checkout",
        aliases: &["CWE-829", "P0602", "dangerous-triggers", "untrusted-checkout"],
        severity: Severity::High,
    },
    Rule { id: "workflow-unpinned", aliases: &["CWE-829", "P0601", "unpinned-uses"], severity: Severity::Low },
    Rule { id: "workflow-step", aliases: &["CWE-1068", "P0418", "P0419", "P0420", "P0421"], severity: Severity::Low },
    Rule {
        id: "workflow-permissions",
        aliases: &["CWE-250", "P0603", "excessive-permissions"],
        severity: Severity::Medium,
    },
    Rule { id: "workflow-inherit", aliases: &["CWE-200", "P0604", "secrets-inherit"], severity: Severity::Medium },
    Rule { id: "workflow-cache", aliases: &["CWE-349", "P0605", "cache-poisoning"], severity: Severity::High },
    Rule { id: "workflow-token", aliases: &["CWE-522", "P0606", "artipacked"], severity: Severity::High },
    Rule { id: "workflow-hidden", aliases: &["CWE-1007", "P0607", "bidi-characters"], severity: Severity::High },
    Rule { id: "workflow-contains", aliases: &["P0608", "unsound-contains"], severity: Severity::Medium },
    Rule { id: "workflow-bot", aliases: &["CWE-290", "P0609", "bot-conditions"], severity: Severity::High },
    Rule {
        id: "workflow-secrets",
        aliases: &["CWE-200", "P0610", "overprovisioned-secrets"],
        severity: Severity::Medium,
    },
    Rule { id: "workflow-unmasked", aliases: &["CWE-532", "P0611", "unredacted-secrets"], severity: Severity::Medium },
    Rule {
        id: "workflow-password",
        aliases: &["CWE-798", "P0612", "hardcoded-container-credentials"],
        severity: Severity::High,
    },
    Rule { id: "workflow-env", aliases: &["CWE-15", "P0613", "github-env"], severity: Severity::High },
    Rule { id: "workflow-commands", aliases: &["CWE-77", "P0614", "insecure-commands"], severity: Severity::High },
    Rule { id: "workflow-image", aliases: &["CWE-829", "P0615", "unpinned-images"], severity: Severity::Low },
    Rule { id: "workflow-typosquat", aliases: &["CWE-829", "P0616", "typosquat-uses"], severity: Severity::High },
    Rule { id: "workflow-archived", aliases: &["CWE-1104", "P0617", "archived-uses"], severity: Severity::Medium },
    Rule { id: "workflow-tool", aliases: &["CWE-494", "P0618", "unpinned-tools"], severity: Severity::Low },
];
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
    let Some(workflow) = &reading.workflow else {
        return whole("it cannot be read, so nothing of it was audited: `pipe check` says why".to_owned());
    };
    let mut checked = check::check(&reading, &NoFiles, &options, actions);
    let locked = HashSet::new();
    let beside = Beside { files: &NoFiles, options: &options, locked: &locked };
    let audited = audits::audit(workflow, &mut checked.sources, beside).into_iter().filter(|one| !one.is_pedantic);
    let Some(source) = checked.sources.get(FileId(0)) else { return Vec::new() };
    let mut findings = Vec::new();
    for diagnostic in checked.diagnostics.into_iter().chain(audited.map(|one| one.diagnostic)) {
        let Some(rule) = RULES.iter().find(|rule| rule.aliases.contains(&diagnostic.code.0)) else { continue };
        let Some(span) = diagnostic.span.filter(|span| span.file == FileId(0)) else { continue };
        let from = source.position(span.start);
        let names: Vec<&str> = std::iter::once(rule.id).chain(rule.aliases.iter().copied()).collect();
        if audits::is_ignored(source.line(from.line), &names) {
            continue;
        }
        let help = diagnostic.help.map(|help| format!("; {help}")).unwrap_or_default();
        let (line, column) = (Some(from.line), Some(from.column));
        let place = Place { file: path.to_owned(), line, end_line: None, column, layer: None };
        findings.push((span.start, finding(rule, place, diagnostic.message + &help)));
    }
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
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
