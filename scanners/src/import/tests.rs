//! A small report of each tool, and what is refused.

use super::*;

/// `tool id severity subject` of each finding, or what is wrong.
fn check(report: &str, expect: &[&str]) {
    let shown = match read("r.json", report.as_bytes()) {
        Ok(findings) => findings.iter().map(shown).collect(),
        Err(error) => vec![error.to_string()],
    };
    assert_eq!(shown, expect, "{report}");
}

fn shown(finding: &Finding) -> String {
    let Kind::Imported { tool } = &finding.kind else { panic!("{finding:?}") };
    let subject = match &finding.subject {
        Subject::Package(package) => {
            let fixed = finding.fixed_versions.join(",");
            format!("{} {} -> {fixed} in {}", package.purl, package.version, package.locations[0].path)
        }
        Subject::Place(place) => format!("{}:{}", place.file, place.line.unwrap_or(0)),
        Subject::Whole => "whole".to_owned(),
    };
    format!("{tool} {} {} {subject}", finding.id, finding.severity)
}

#[test]
fn sarif() {
    let report = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL","rules":[
        {"id":"js/xss","helpUri":"https://x.example","properties":{"security-severity":"9.3"}},
        {"id":"js/style","defaultConfiguration":{"level":"note"}}]}},
      "results":[
        {"ruleId":"js/xss","ruleIndex":0,"level":"warning","message":{"text":"unsafe"},"locations":[{"physicalLocation":
          {"artifactLocation":{"uri":"src/a%20b.js"},"region":{"startLine":4}}}]},
        {"ruleId":"js/style","message":{"text":"ugly"}},
        {"ruleId":"js/xss","message":{"text":"x"},"suppressions":[{"kind":"inSource"}]},
        {"ruleId":"js/xss","kind":"pass","message":{"text":"x"}}]}]}"#;
    check(report, &["CodeQL js/xss critical src/a b.js:4", "CodeQL js/style low whole"]);
    check(r#"{"version":"2.0.0","runs":[]}"#, &["r.json: its version is `2.0.0`, and 2.1.0 is read"]);
    check(
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"invocations":[{"executionSuccessful":false}],"results":[]}]}"#,
        &["r.json: the tool says that it failed: executionSuccessful is false"],
    );
}

#[test]
fn trivy_and_grype() {
    check(
        r#"{"SchemaVersion":2,"ArtifactName":"x","Results":[
        {"Target":"x (debian 12)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[{"VulnerabilityID":"CVE-1","PkgName":"zlib1g",
          "InstalledVersion":"1","FixedVersion":"2","Severity":"CRITICAL","SeveritySource":"debian",
          "PkgIdentifier":{"PURL":"pkg:deb/debian/zlib1g@1?distro=debian-12"},
          "CVSS":{"nvd":{"V3Vector":"CVSS:3.1/AV:N","V3Score":5.0}}}]},
        {"Target":"Dockerfile","Type":"dockerfile","Misconfigurations":[{"ID":"DS002","Severity":"HIGH","Message":"root","Status":"FAIL",
          "CauseMetadata":{"StartLine":3}},{"ID":"DS001","Status":"PASS"}]},
        {"Target":"a.py","Secrets":[{"RuleID":"github-pat","Severity":"CRITICAL","Title":"GitHub","StartLine":2}]}]}"#,
        &[
            "trivy CVE-1 critical pkg:deb/debian/zlib1g@1?distro=debian-12 1 -> 2 in x (debian 12)",
            "trivy DS002 high Dockerfile:3",
            "trivy github-pat critical a.py:2",
        ],
    );
    check(
        r#"{"descriptor":{"name":"grype"},"matches":[{"vulnerability":{"id":"GHSA-1","severity":"High","fix":{"versions":["4.17.21"],"state":"fixed"}},
          "relatedVulnerabilities":[{"id":"CVE-1"}],"artifact":{"name":"lodash","version":"4.17.15","type":"npm","purl":"pkg:npm/lodash@4.17.15",
          "locations":[{"path":"/app/package-lock.json"}]}}]}"#,
        &["grype GHSA-1 high pkg:npm/lodash@4.17.15 4.17.15 -> 4.17.21 in app/package-lock.json"],
    );
}

#[test]
fn snyk_semgrep_and_zap() {
    check(
        r#"[{"ok":false,"packageManager":"npm","displayTargetFile":"package-lock.json","vulnerabilities":[
          {"id":"SNYK-JS-1","title":"x","severity":"high","packageName":"lodash","version":"4.17.15","fixedIn":["4.17.21"],
           "identifiers":{"CVE":["CVE-1"]}},
          {"id":"SNYK-JS-1","title":"x","severity":"high","packageName":"lodash","version":"4.17.15","fixedIn":["4.17.21"]}]}]"#,
        &["snyk SNYK-JS-1 high pkg:npm/lodash@4.17.15 4.17.15 -> 4.17.21 in package-lock.json"],
    );
    check(
        r#"{"ok":false,"error":"no token","vulnerabilities":[]}"#,
        &["r.json: the tool says that it failed: no token"],
    );
    check(
        r#"{"errors":[],"results":[{"check_id":"python.flask.debug","path":"./app.py","start":{"line":9,"col":1},"end":{"line":9},
          "extra":{"severity":"ERROR","message":"debug"}}]}"#,
        &["semgrep python.flask.debug high app.py:9"],
    );
    check(
        r#"{"@version":"2.14","site":[{"alerts":[{"pluginid":"10038","alert":"CSP","riskcode":"2","instances":[{"uri":"http://x/"}]}]}]}"#,
        &["zap zap-10038 medium http://x/:0"],
    );
}

#[test]
fn what_is_no_report() {
    check("{}", &["r.json: it is no report of SARIF, Trivy, Grype, Snyk, Semgrep or ZAP"]);
    check("[1", &["r.json:1:2: it is no JSON: EOF while parsing a list at line 1 column 2"]);
    check("null", &["r.json: it is no report of SARIF, Trivy, Grype, Snyk, Semgrep or ZAP"]);
}
