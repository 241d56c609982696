//! Inputs of `pipe/scan`: ours, and those of aquasecurity/trivy-action under their own names
//! (<https://github.com/aquasecurity/trivy-action#inputs>).

use engine::step::{ActionCall, InputFacts};
use scanners::finding::Severity;
use scanners::policy::{Policy, Stance, Threshold};
use scanners::report::Format;
use workflow::catalogue::{Form as Takes, Wrong};

use crate::action::{OutputFacts, input};
use crate::scan::Scanners;

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    input("image-ref", "", "An image of this machine's Docker, by name or digest"),
    input("input", "", "An archive of `docker save` or an OCI layout in the workspace, instead of an image"),
    input("scan-type", "image", "image, fs, repo, rootfs or config").form(Takes::Words(&TYPES)),
    input("scan-ref", ".", "The folder in the workspace, for every type but image"),
    input("gate", "", "The policy in the workspace; `.pipe/gate.yml` where it is, else what is critical fails"),
    input("dockerfile", "", "The Dockerfile in the workspace that made the image, so that findings name its lines"),
    input("stage", "", "The stage of the Dockerfile"),
    input("baseline", "", "An image to compare with, instead of the one that the policy names"),
    input(
        "secret-baseline",
        "",
        "Known secrets in the workspace, which fail nothing; of sources `.pipe/secrets.json` where it is",
    ),
    input("db", "", "Folder with advisories in the workspace; empty: that of this machine (`pipe scan db update`)"),
    input(
        "import",
        "",
        "Reports of other tools in the workspace, one a line: SARIF, JSON of Trivy, Grype, Snyk, Semgrep or ZAP",
    ),
    input("coverage", "", "Reports of coverage in the workspace, one a line, for policies that ask for it"),
    input("scanners", "", "vuln, secret, misconfig and code, with commas; empty: all")
        .form(Takes::Read(|_, text| Wrong::of(scanners(text, false)))),
    input("severity", "", "What fails without a policy: the lowest of these and all above it, such as HIGH,CRITICAL")
        .form(Takes::Read(|_, text| Wrong::of(policy(Some(text), false)))),
    input("ignore-unfixed", "false", "Without a policy: what nobody has fixed yet does not fail").switch(),
    input("exit-code", "1", "0: what the gate stops is reported, and the step goes on; else it fails"),
    input("format", "table", "The form of `output`: table, json, sarif, cyclonedx, spdx, junit or summary")
        .form(Takes::Read(|_, text| Wrong::of(form(text)))),
    input("output", "", "A file in the workspace for the report"),
    input("list-all-pkgs", "false", "Reports name all packages; this is for those who write it"),
    input("timeout", "", "Use `timeout-minutes` of the step"),
    input("hide-progress", "", "There is none to hide"),
    input("vuln-type", "", "Both kinds of packages are always compared"),
    input("cache-dir", "", "What was read of layers is kept by this machine"),
    input("cache", "", "As `cache-dir`"),
    input("trivyignores", "", "Exceptions are in the policy, with a reason and a day"),
    input("skip-setup-trivy", "", "There is nothing to set up"),
    input("version", "", "There is no other program to choose"),
];

/// What can be scanned.
const TYPES: [&str; 6] = ["image", "fs", "filesystem", "repo", "rootfs", "config"];

/// Of the inputs that a step may have and that change nothing here those that deserve a word.
const SAID: [(&str, &str); 2] = [
    ("timeout", "`timeout` is not used: write `timeout-minutes` at the step"),
    (
        "trivyignores",
        "`trivyignores` is not read: exceptions belong into a policy (`gate`), with a reason and a last day",
    ),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("outcome", "pass, fail or untrusted"),
    OutputFacts::new("failed", "How many findings fail"),
    OutputFacts::new("findings", "How many there are"),
    OutputFacts::new("image-id", "Id of the image that was scanned"),
    OutputFacts::new("advisories", "Digest of the advisories that it was compared with"),
    OutputFacts::new("report", "Path of the report in the workspace, where one was written"),
];

/// What a step wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What is scanned.
    pub subject: Subject,
    /// The policy's file, as written.
    pub gate: Option<String>,
    /// Without a policy's file.
    pub policy: Policy,
    /// In the workspace.
    pub dockerfile: Option<String>,
    /// Of the Dockerfile.
    pub stage: Option<String>,
    /// An image.
    pub baseline: Option<String>,
    /// Known secrets, as written.
    pub secret_baseline: Option<String>,
    /// Advisories elsewhere.
    pub db: Option<String>,
    /// Reports of other tools, and of coverage.
    pub import: Vec<String>,
    /// The same.
    pub coverage: Vec<String>,
    /// Who is asked.
    pub scanners: Scanners,
    /// Whether the step fails where the gate says so.
    pub fails: bool,
    /// Form and place of the report.
    pub report: Option<(Format, String)>,
    /// What was written and does nothing.
    pub warnings: Vec<String>,
}

/// What is scanned. Paths are as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Of the local Docker.
    Image(String),
    /// An archive or layout in the workspace.
    Archive(String),
    /// Sources in the workspace.
    Sources(String),
    /// A file system in the workspace.
    Root(String),
}

impl Wish {
    /// Reads the inputs of a call.
    ///
    /// # Errors
    /// A sentence that names the input.
    pub fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let some = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
        Self::read(&text, &some, &|name| call.defaulted.iter().any(|one| one == name))
    }

    fn read(
        text: &dyn Fn(&str) -> String,
        some: &dyn Fn(&str) -> Option<String>,
        is_default: &dyn Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let kind = text("scan-type");
        let folder = text("scan-ref");
        let subject = match (kind.as_str(), some("image-ref"), some("input")) {
            (_, Some(_), Some(_)) => return Err("`image-ref` and `input` exclude each other".to_owned()),
            ("image" | "", Some(image), None) => Subject::Image(image),
            ("image" | "", None, Some(file)) => Subject::Archive(file),
            // Who names a folder and no image means the folder.
            ("image" | "", None, None) if !is_default("scan-ref") => Subject::Sources(folder),
            ("image" | "", None, None) => {
                return Err("pipe/scan needs `image-ref`, `input`, or a folder: `scan-type: fs`".to_owned());
            }
            ("fs" | "filesystem" | "repo" | "config", _, _) => Subject::Sources(folder),
            ("rootfs", _, _) => Subject::Root(folder),
            (other, _, _) => {
                return Err(format!("`scan-type: {other}` is none of image, fs, repo, rootfs and config"));
            }
        };
        let format = text("format");
        let form = form(&format)?;
        let warnings = SAID.iter().filter(|(name, _)| some(name).is_some()).map(|(_, said)| (*said).to_owned());
        Ok(Self {
            subject,
            gate: some("gate"),
            policy: policy(some("severity").as_deref(), truth(&text("ignore-unfixed"), "ignore-unfixed")?)?,
            dockerfile: some("dockerfile"),
            stage: some("stage"),
            baseline: some("baseline"),
            secret_baseline: some("secret-baseline"),
            db: some("db"),
            import: lines(&text("import")),
            coverage: lines(&text("coverage")),
            scanners: scanners(&text("scanners"), kind == "config")?,
            fails: text("exit-code") != "0",
            report: some("output").map(|path| (form, path)),
            warnings: warnings.collect(),
        })
    }
}

pub(crate) fn form(text: &str) -> Result<Format, String> {
    let text = text.trim();
    Format::parse(text)
        .ok_or_else(|| format!("`format: {text}` is none of {}", Format::ALL.map(Format::as_str).join(", ")))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn truth(text: &str, name: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(format!("`{name}: {other}` is neither true nor false")),
    }
}

fn scanners(text: &str, is_config: bool) -> Result<Scanners, String> {
    if text.is_empty() {
        return Ok(Scanners {
            vulnerabilities: !is_config,
            secrets: !is_config,
            misconfigurations: true,
            code: !is_config,
        });
    }
    let mut all = Scanners { vulnerabilities: false, secrets: false, misconfigurations: false, code: false };
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "vuln" | "vulnerabilities" => all.vulnerabilities = true,
            "secret" | "secrets" => all.secrets = true,
            "misconfig" | "config" | "misconfigurations" => all.misconfigurations = true,
            "code" | "sast" => all.code = true,
            // Licences are in the reports that have them.
            "license" => {}
            other => return Err(format!("`scanners: {other}` is none of vuln, secret, misconfig and code")),
        }
    }
    Ok(all)
}

/// The policy of the two inputs that trivy-action has for it.
pub(crate) fn policy(severities: Option<&str>, only_fixed: bool) -> Result<Policy, String> {
    let mut policy = Policy { only_fixed, ..Policy::built_in() };
    let Some(text) = severities else { return Ok(policy) };
    let (mut lowest, mut has_unknown) = (None, false);
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let severity = match word.to_ascii_uppercase().as_str() {
            "UNKNOWN" => {
                has_unknown = true;
                continue;
            }
            "LOW" => Severity::Low,
            "MEDIUM" => Severity::Medium,
            "HIGH" => Severity::High,
            "CRITICAL" => Severity::Critical,
            other => return Err(format!("`severity: {other}` is none of UNKNOWN, LOW, MEDIUM, HIGH and CRITICAL")),
        };
        lowest = Some(lowest.map_or(severity, |lowest: Severity| lowest.min(severity)));
    }
    policy.name = "inputs of the step".to_owned();
    policy.fail_on = lowest.map(Threshold::Severity).into_iter().collect();
    policy.unknown_severity = if has_unknown { Stance::Fail } else { Stance::Pass };
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(given: &[(&str, &str)]) -> Result<Wish, String> {
        let mut all: BTreeMap<&str, &str> = INPUTS.iter().map(|input| (input.name, input.default)).collect();
        all.extend(given.iter().copied());
        let text = |name: &str| all.get(name).copied().unwrap_or_default().to_owned();
        let some = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
        Wish::read(&text, &some, &|name| !given.iter().any(|(known, _)| known == &name))
    }

    #[test]
    fn subjects() {
        for (given, expected) in [
            (&[("image-ref", "shop/web:1")][..], Ok(Subject::Image("shop/web:1".into()))),
            (&[("input", "web.tar")], Ok(Subject::Archive("web.tar".into()))),
            (&[("scan-ref", "services")], Ok(Subject::Sources("services".into()))),
            (&[("scan-type", "fs")], Ok(Subject::Sources(".".into()))),
            (&[("scan-type", "rootfs"), ("scan-ref", "root")], Ok(Subject::Root("root".into()))),
            (&[], Err("pipe/scan needs `image-ref`, `input`, or a folder: `scan-type: fs`")),
            (&[("image-ref", "a"), ("input", "b")], Err("`image-ref` and `input` exclude each other")),
            (&[("scan-type", "vm")], Err("`scan-type: vm` is none of image, fs, repo, rootfs and config")),
        ] {
            assert_eq!(check(given).map(|wish| wish.subject), expected.map_err(str::to_owned), "{given:?}");
        }
    }

    #[test]
    fn severities_are_a_policy() {
        let wish = |severity| check(&[("image-ref", "a"), ("severity", severity), ("ignore-unfixed", "true")]);
        let policy = wish("CRITICAL,HIGH").unwrap().policy;
        assert_eq!(
            (policy.fail_on, policy.unknown_severity),
            (vec![Threshold::Severity(Severity::High)], Stance::Pass)
        );
        assert!(policy.only_fixed);
        assert_eq!(wish("UNKNOWN,LOW").unwrap().policy.unknown_severity, Stance::Fail);
        assert_eq!(
            wish("SEVERE").unwrap_err(),
            "`severity: SEVERE` is none of UNKNOWN, LOW, MEDIUM, HIGH and CRITICAL"
        );
        assert_eq!(check(&[("image-ref", "a")]).unwrap().policy, Policy::built_in());
    }

    #[test]
    fn what_does_nothing_is_said() {
        let wish = check(&[("image-ref", "a"), ("trivyignores", ".trivyignore"), ("exit-code", "0")]).unwrap();
        assert_eq!((wish.warnings.len(), wish.fails), (1, false));
        assert!(check(&[("image-ref", "a"), ("format", "xml")]).unwrap_err().contains("table, json"));
    }
}
