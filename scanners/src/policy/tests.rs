//! Policies as people write them, right and wrong, and what each decides about the same few findings.

use workflow::source::SourceFile;

use super::*;
use crate::package::{Ecosystem, Unread};

fn policy(text: &str) -> Policy {
    read(&SourceFile::new("gate.yml", text)).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// The problems of a policy, one a line: `line:column: message (help)`.
fn refused(text: &str) -> String {
    let file = SourceFile::new("gate.yml", text);
    let problems = read(&file).expect_err(text);
    let line = |problem: &workflow::diagnostic::Diagnostic| {
        let at = file.position(problem.span.unwrap().start);
        let help = problem.help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
        format!("{}:{}: {}{help}", at.line, at.column, problem.message)
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_policy_of_the_page_is_read() {
    let policy = policy(
        "gate:\n  fail-on: critical\n  only-fixed: true\n  unknown-severity: fail\n  grace: {critical: 0d, high: 7d}\n  baseline: {image: prod-digest, mode: only-new, base-image: warn}\n  db-max-age: 48h\n  severity-source: [vendor, nvd]\n  ignore:\n    - {id: CVE-x, purl: \"pkg:deb/debian/zlib1g\", reason: required, expires: 2027-01-31, owner: a@b}\n  vex: [vex/*.json]\n",
    );
    assert_eq!(policy.fail_on, [Threshold::Severity(crate::finding::Severity::Critical)]);
    assert!(policy.only_fixed);
    assert_eq!(policy.base_image, Stance::Warn);
    assert_eq!(policy.baseline.unwrap().image, "prod-digest");
    assert_eq!(policy.ignores[0].line, 10);
    assert_eq!(policy.vex[0].text, "vex/*.json");
    assert_eq!(policy.digest.len(), 71);
}

#[test]
fn slips_are_named_with_their_place() {
    for (text, expect) in [
        ("", "1:1: the policy is empty (begin with `gate:`, and `fail-on: critical` below it)"),
        (
            "fail-on: high",
            "1:1: a policy has no key `fail-on` (its keys are gate)\n1:1: a policy needs the key `gate` (put what is here below `gate:`)",
        ),
        (
            "gate:\n  fail-on: critcal\n  only-fixd: true",
            "2:12: nothing can fail on `critcal` (did you mean `critical`?)\n3:3: `gate` has no key `only-fixd` (did you mean `only-fixed`?)",
        ),
        (
            "gate:\n  only-fixed: true",
            "2:3: `gate` does not say what fails (say `fail-on: critical`, or `fail-on: none` for a gate that only reports)",
        ),
        ("gate:\n  fail-on: high\n  only-fixed: yes", "3:15: `only-fixed` has to be true or false and is a text"),
        ("gate:\n  fail-on: []", "2:12: `fail-on` is empty (write `none` for a gate that only reports)"),
        (
            "gate:\n  fail-on: high\n  unknown-severity: failed",
            "3:21: `unknown-severity` cannot be `failed` (did you mean `fail`?)",
        ),
        ("gate:\n  fail-on: high\n  grace: {hihg: 7d}", "3:11: `grace` has no key `hihg` (did you mean `high`?)"),
        (
            "gate:\n  fail-on: high\n  grace: {high: 7}",
            "3:17: the grace of high findings cannot be `7` (write a number and m, h, d or w: `48h`, `7d`)",
        ),
        (
            "gate:\n  fail-on: high\n  baseline: {mode: only-new}",
            "3:13: `baseline` does not say with what to compare (name the environment or the digest to compare with: `image: production`)",
        ),
        ("gate:\n  fail-on: high\n  fail-on: low", "3:3: `fail-on` is there twice"),
        ("gate:\n  fail-on: high\n  vex: ../x.json", "3:8: `../x.json` leaves the policy's folder"),
        (
            "gate:\n  fail-on: high\n   db-max-age: 1d",
            "3:14: this is not YAML: Mapping values are not allowed in this context",
        ),
        ("gate: [", "1:8: this is not YAML: While parsing a node, did not find expected node content"),
        (
            "gate:\n  fail-on: high\n  ignore:\n    - id: CVE-1\n      reason: ''\n      owner: a@b",
            "4:7: the exception for CVE-1 has no expires (say until when: `expires: 2027-01-31`; nothing is ignored for ever)\n5:15: `reason` is empty",
        ),
        (
            "gate:\n  fail-on: high\n  ignore: [{id: CVE-1, expires: 2027-01-31, owner: a}]",
            "3:12: the exception for CVE-1 has no reason (say why it can be lived with: `reason: …`)",
        ),
        (
            "gate:\n  fail-on: high\n  ignore: [{id: CVE-1, reason: x, expires: 2027-01-31, owner: a, until: x, purl: zlib}]",
            "3:66: an entry of `ignore` has no key `until` (its keys are id, purl, path, reason, expires, owner)\n3:82: `zlib` is no package URL: it does not begin with `pkg:` (write `pkg:deb/debian/zlib1g`)",
        ),
        (
            "gate:\n  fail-on: high\n  ignore: CVE-1",
            "3:11: `ignore` has to be a list and is a text (write `- {id: CVE-…, reason: …, expires: 2027-01-31, owner: a@example.com}`)",
        ),
    ] {
        assert_eq!(refused(text), expect, "{text}");
    }
}

/// What a policy decides about findings: the outcome, and of each finding what became of it; then the warnings.
fn decided<'a>(text: &str, findings: &'a [crate::finding::Finding], change: impl FnOnce(&mut Input<'a>)) -> String {
    // They live as long as the tests, so that the change may borrow what its caller has.
    let mut input = Input {
        policy: Box::leak(Box::new(policy(text))),
        inventory: Box::leak(Box::new(sample::inventory())),
        findings,
        baseline: BaselineState::NotAsked,
        statements: &[],
        known: None,
        database: Database::Used { digest: "sha256:db".to_owned(), updated: sample::time("2026-11-22T00:00:00Z") },
        doubts: &[],
        dockerfile: Some("Dockerfile"),
        now: sample::time(sample::NOW),
    };
    change(&mut input);
    let verdict = decide(&input);
    let word = |judged: &Judged| match &judged.judgement {
        Judgement::Failed { rule } => format!("failed: {rule}"),
        Judgement::PassedOver { reason, .. } => format!("passed: {}", reason.words()),
        Judgement::Warned { because, .. } => format!("warned: {because}"),
        Judgement::Reported => "reported".to_owned(),
    };
    let mut lines = vec![verdict.outcome.as_str().to_owned()];
    for judged in &verdict.judged {
        lines.push(word(judged));
        lines.extend(judged.notes.iter().map(|note| format!("  {note}")));
    }
    lines.extend(verdict.doubts.iter().map(|doubt| format!("doubt: {doubt}")));
    lines.extend(verdict.warnings.iter().map(|warning| format!("warning: {}", warning.message)));
    let stored = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&stored).unwrap(), verdict, "what is stored is what was decided");
    lines.join("\n")
}

fn check(gate: &str, findings: &[crate::finding::Finding], expect: &str) {
    let text = format!("gate:\n  {}\n", gate.replace("; ", "\n  "));
    assert_eq!(decided(&text, findings, |_| {}), expect, "{gate}");
}

#[test]
fn thresholds_apply() {
    let zlib = || [sample::zlib()];
    check("fail-on: critical", &[], "pass");
    check("fail-on: critical", &zlib(), "fail\nfailed: severity critical (fail-on: critical)");
    check("fail-on: none", &zlib(), "pass\nreported");
    check("fail-on: kev", &zlib(), "pass\nreported");
    check("fail-on: kev", &[sample::exploited(sample::zlib())], "fail\nfailed: known to be exploited (fail-on: kev)");
    check("fail-on: cvss>=9.8", &zlib(), "fail\nfailed: CVSS 9.8 (fail-on: cvss>=9.8)");
    check("fail-on: cvss>=9.9", &zlib(), "pass\nreported");
    check("fail-on: [epss>=0.5, kev]", &zlib(), "pass\nreported");
    check("fail-on: epss>=0.02", &zlib(), "fail\nfailed: EPSS 0.02 (fail-on: epss>=0.02)");
    let mut unscored = sample::zlib();
    unscored.cvss = None;
    check(
        "fail-on: cvss>=9",
        &[unscored.clone()],
        "fail\nfailed: severity critical, which is at least CVSS 9 (fail-on: cvss>=9)",
    );
    unscored.severity = crate::finding::Severity::Unknown;
    unscored.severity_source = None;
    let unknown = [unscored];
    check("fail-on: critical", &unknown, "fail\nfailed: severity unknown (unknown-severity: fail)");
    check("fail-on: cvss>=9", &unknown, "fail\nfailed: severity unknown (unknown-severity: fail)");
    check("fail-on: kev", &unknown, "pass\nreported");
    check("fail-on: high; unknown-severity: warn", &unknown, "pass\nwarned: severity unknown (unknown-severity: warn)");
    check(
        "fail-on: high; unknown-severity: pass",
        &unknown,
        "pass\npassed: its severity is unknown (unknown-severity: pass)",
    );
    check("fail-on: critical", &[sample::secret()], "fail\nfailed: severity critical (fail-on: critical)");
}

#[test]
fn severity_is_by_the_sources_of_the_policy() {
    use crate::finding::{Rating, Severity, SeveritySource};
    let mut finding = sample::zlib();
    let rating = |source, severity| Rating { source, severity, cvss: None };
    finding.severity = Severity::Low;
    finding.ratings =
        vec![rating(SeveritySource::Vendor, Severity::Low), rating(SeveritySource::Nvd, Severity::Critical)];
    let findings = [finding.clone()];
    check("fail-on: high", &findings, "pass\nreported");
    check("fail-on: high; severity-source: [vendor, nvd]", &findings, "pass\nreported");
    check(
        "fail-on: high; severity-source: [nvd, vendor]",
        &findings,
        "fail\nfailed: severity critical (fail-on: high)",
    );
    check("fail-on: high; severity-source: nvd", &findings, "fail\nfailed: severity critical (fail-on: high)");
    finding.ratings.pop();
    check("fail-on: high; severity-source: nvd", &[finding], "fail\nfailed: severity unknown (unknown-severity: fail)");
}

#[test]
fn what_cannot_be_fixed_passes_if_asked() {
    let mut unfixed = sample::zlib();
    unfixed.fixed_versions.clear();
    unfixed.status = crate::finding::Status::NoFixYet;
    let mut refused = unfixed.clone();
    refused.status = crate::finding::Status::WillNotFix;
    check("fail-on: critical", &[unfixed.clone()], "fail\nfailed: severity critical (fail-on: critical)");
    check(
        "fail-on: critical; only-fixed: true",
        &[unfixed, refused],
        "pass\npassed: there is no fix yet (only-fixed)\npassed: the vendor will not fix it (only-fixed)",
    );
    check(
        "fail-on: critical; only-fixed: true",
        &[sample::secret()],
        "fail\nfailed: severity critical (fail-on: critical)",
    );
}

#[test]
fn grace_begins_with_the_fix() {
    let mut finding = sample::zlib();
    check(
        "fail-on: critical; grace: {critical: 7d}",
        &[finding.clone()],
        "pass\npassed: grace until 2026-11-27 12:00 UTC",
    );
    let ended = "fail\nfailed: severity critical (fail-on: critical)\n  its grace ended on 2026-11-22 12:00 UTC";
    check("fail-on: critical; grace: {critical: 2d}", &[finding.clone()], ended);
    check(
        "fail-on: critical; grace: {high: 7d}",
        &[finding.clone()],
        "fail\nfailed: severity critical (fail-on: critical)",
    );
    check(
        "fail-on: critical; grace: {critical: 7d}",
        &[sample::exploited(finding.clone())],
        "fail\nfailed: severity critical (fail-on: critical)\n  it is known to be exploited, which voids its grace",
    );
    (finding.fix_available, finding.published) = (None, None);
    check(
        "fail-on: critical; grace: {critical: 7d}",
        &[finding],
        "fail\nfailed: severity critical (fail-on: critical)\n  nobody says when its fix appeared, so it has no grace",
    );
}

#[test]
fn exceptions_count_until_their_day_is_over() {
    let entry = |id: &str, expires: &str, more: &str| {
        format!("fail-on: critical; ignore: [{{id: {id}, reason: why, owner: a@b, expires: {expires}{more}}}]")
    };
    let zlib = [sample::zlib()];
    let passed = "pass\npassed: ignored until 2026-11-22 by a@b: why (line 3 of the policy)";
    check(&entry("cve-2023-45853", "2026-11-22", ""), &zlib, passed);
    check(&entry("CVE-2023-45853", "2026-11-22", ", purl: 'pkg:deb/debian/zlib1g?distro=debian-12.13'"), &zlib, passed);
    check(&entry("CVE-2023-45853", "2026-11-22", ", path: 'var/lib/**'"), &zlib, passed);
    let failed = "fail\nfailed: severity critical (fail-on: critical)";
    check(
        &entry("CVE-2023-45853", "2026-11-21", ""),
        &zlib,
        &format!(
            "{failed}\n  the exception at gate.yml:3 (a@b: why) ran out on 2026-11-21\nwarning: the exception for CVE-2023-45853, which a@b answers for, ran out on 2026-11-21"
        ),
    );
    check(
        &entry("CVE-1", "2027-01-01", ""),
        &zlib,
        &format!("{failed}\nwarning: the exception for CVE-1 matched nothing"),
    );
    check(
        &entry("CVE-2023-45853", "2027-01-01", ", purl: 'pkg:deb/debian/zlib1g?distro=debian-11'"),
        &zlib,
        &format!(
            "{failed}\nwarning: the exception for CVE-2023-45853 matched nothing: it names distro `debian-11`, and zlib1g has `debian-12`"
        ),
    );
    check(
        &entry("CVE-2023-45853", "2027-01-01", ", path: usr/**"),
        &zlib,
        &format!(
            "{failed}\nwarning: the exception for CVE-2023-45853 matched nothing: it is for files `usr/**`, and this is in var/lib/dpkg/status"
        ),
    );
    check(
        &entry("aws-access-key", "2027-01-01", ", path: 'src/*.py'"),
        &[sample::secret()],
        "pass\npassed: ignored until 2027-01-01 by a@b: why (line 3 of the policy)",
    );
}

#[test]
fn what_runs_already_and_what_comes_with_the_base() {
    let old = [sample::zlib()];
    let baseline = Baseline::of("sha256:0123456789abcdef", &old);
    let mut newer = sample::zlib();
    newer.id = "CVE-2026-1".to_owned();
    let mut renamed = sample::zlib();
    renamed.aliases = vec![std::mem::replace(&mut renamed.id, "GHSA-x".to_owned())];
    if let crate::finding::Subject::Package(package) = &mut renamed.subject {
        package.version = "1:1.2.13.dfsg-1+b1".to_owned();
    }
    let findings = [sample::zlib(), newer, renamed];
    let gate = "gate:\n  fail-on: critical\n  baseline: {image: production, mode: only-new}\n";
    let known = decided(gate, &findings, |input| input.baseline = BaselineState::Known(&baseline));
    let passed = "passed: it runs already, in sha256:0123456789ab";
    assert_eq!(known, format!("fail\n{passed}\nfailed: severity critical (fail-on: critical)\n{passed}"));
    let lost = decided(gate, &old, |input| input.baseline = BaselineState::Unavailable("no network".to_owned()));
    assert_eq!(
        lost,
        "fail\nfailed: severity critical (fail-on: critical)\nwarning: what `production` holds could not be found out (no network), so everything counts as new"
    );
    let base = [sample::of_base(), sample::zlib()];
    let failed = "failed: severity critical (fail-on: critical)";
    check("fail-on: critical", &base, &format!("fail\n{failed}\n{failed}"));
    let warned = format!("fail\nwarned: it comes with the base image (base-image: warn)\n{failed}");
    check("fail-on: critical; base-image: warn", &base, &warned);
    check("fail-on: critical; baseline: {base-image: warn}", &base, &warned);
}

#[test]
fn statements_settle_and_the_last_one_counts() {
    let statement = |status, said: &str, product: &str| Statement {
        file: "vex/a.json".to_owned(),
        number: 1,
        names: vec!["CVE-2023-45853".to_owned()],
        products: vec![crate::vex::Product { names: vec![product.to_owned()], parts: Vec::new() }],
        status,
        justification: Some("vulnerable_code_not_present".to_owned()),
        words: None,
        said: Some(sample::time(said)),
    };
    let (no, maybe) = (crate::vex::Status::NotAffected, crate::vex::Status::UnderInvestigation);
    let gate = "gate:\n  fail-on: critical\n";
    let findings = [sample::zlib()];
    let with = |statements: Vec<Statement>| decided(gate, &findings, |input| input.statements = statements.leak());
    let first = statement(no, "2026-01-01T00:00:00Z", "pkg:deb/debian/zlib1g");
    let passed = "pass\npassed: VEX says not_affected: vulnerable_code_not_present (vex/a.json, statement 1)";
    assert_eq!(with(vec![first.clone()]), passed);
    let later = statement(maybe, "2026-02-01T00:00:00Z", "pkg:deb/debian/zlib1g");
    let failed = "fail\nfailed: severity critical (fail-on: critical)";
    let note = "  VEX says under_investigation (vex/a.json, statement 1)";
    assert_eq!(with(vec![later.clone(), first.clone()]), format!("{failed}\n{note}"));
    assert_eq!(with(vec![first, later]), format!("{failed}\n{note}"));
    let other = statement(no, "2026-01-01T00:00:00Z", "pkg:deb/debian/zlib1g?distro=debian-11");
    assert_eq!(
        with(vec![other]),
        format!(
            "{failed}\nwarning: the VEX statement on CVE-2023-45853 matched nothing: it names distro `debian-11`, and zlib1g has `debian-12` (vex/a.json, statement 1)"
        )
    );
}

#[test]
fn what_is_not_known_is_never_a_pass() {
    let gate = "gate:\n  fail-on: critical\n  db-max-age: 48h\n";
    let of = |updated: &str| Database::Used { digest: "sha256:db".to_owned(), updated: sample::time(updated) };
    let with = |database: Database| decided(gate, &[], |input| input.database = database);
    assert_eq!(with(of("2026-11-20T12:00:00Z")), "pass");
    assert_eq!(
        with(of("2026-11-20T11:59:59Z")),
        "untrusted\ndoubt: the advisories are of 2026-11-20 11:59 UTC, 48 hours old and so older than 48 hours (db-max-age)"
    );
    assert_eq!(
        with(of("2026-11-24T00:00:00Z")),
        "untrusted\ndoubt: the advisories are of 2026-11-24 00:00 UTC, which is to come: it is 2026-11-22 12:00 UTC here"
    );
    assert_eq!(
        with(Database::Missing("no such folder".to_owned())),
        "untrusted\ndoubt: there are no advisories to match against: no such folder"
    );
    assert_eq!(with(Database::NotNeeded), "pass");
    let mut inventory = sample::inventory();
    inventory.unread =
        vec![Unread { path: "var/lib/dpkg/status".to_owned(), layer: Some(1), reason: "it ends early".to_owned() }];
    let policy = policy(gate);
    let findings = [sample::package(Ecosystem::Npm, "lodash", "1.0.0")];
    let verdict = decide(&Input {
        policy: &policy,
        inventory: &inventory,
        findings: &findings,
        baseline: BaselineState::NotAsked,
        statements: &[],
        known: None,
        database: of("2026-11-22T00:00:00Z"),
        doubts: &["shop/orders is of Debian 99, of which there are no advisories".to_owned()],
        dockerfile: None,
        now: sample::time(sample::NOW),
    });
    assert_eq!(verdict.outcome.exit_code(), 2);
    assert_eq!(verdict.doubts[0], "var/lib/dpkg/status in layer 2 could not be read: it ends early");
    assert_eq!(verdict.doubts.len(), 2);
    assert!(verdict.judged[0].judgement.is_failed(), "what fails is told all the same");
    assert_eq!(verdict.judged[0].fix.as_ref().unwrap().command, "npm install lodash@9.9");
}
