//! Reports of other scanners as findings, so that one gate judges everything.
//!
//! SARIF is what most tools write (Semgrep, CodeQL, checkov, zizmor, Snyk Code, gitleaks); Trivy, Grype, Snyk, Semgrep
//! and ZAP have forms of their own with more in them. Nothing is run here and nothing is believed of a report beyond what it
//! says: a severity that is not there stays unknown.

mod grype;
mod sarif;
mod semgrep;
mod snyk;
#[cfg(test)]
mod tests;
mod trivy;
mod zap;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::finding::{AffectedPackage, Cvss, Finding, Kind, Place, Rating, Severity, SeveritySource, Status, Subject};
use crate::package::{Ecosystem, Location};

/// Longest report that is read.
pub const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most findings of one report.
const FINDINGS_MAX: usize = 200_000;

/// A form of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Sarif,
    Trivy,
    Grype,
    Snyk,
    Semgrep,
    Zap,
}

/// Why a report cannot be used. A gate takes that for a scan that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("{file}: it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong { file: String },
    #[error("{file}:{line}:{column}: it is no JSON: {reason}")]
    NotJson { file: String, line: usize, column: usize, reason: String },
    #[error("{file}: it is no report of SARIF, Trivy, Grype, Snyk, Semgrep or ZAP")]
    Unknown { file: String },
    #[error("{file}: {reason}")]
    Form { file: String, reason: String },
    #[error("{file}: the tool says that it failed: {reason}")]
    Failed { file: String, reason: String },
    #[error("{file}: it has more than {FINDINGS_MAX} findings")]
    TooMany { file: String },
}

/// Reads a report of any of the forms.
///
/// # Errors
/// [`ImportError`]
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Finding>, ImportError> {
    let named = || file.to_owned();
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ImportError::TooLong { file: named() });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let root: Json = serde_json::from_slice(bytes).map_err(|error| ImportError::NotJson {
        file: named(),
        line: error.line(),
        column: error.column(),
        reason: error.to_string(),
    })?;
    let form = form(&root).ok_or_else(|| ImportError::Unknown { file: named() })?;
    let reader = match form {
        Form::Sarif => sarif::read,
        Form::Trivy => trivy::read,
        Form::Grype => grype::read,
        Form::Snyk => snyk::read,
        Form::Semgrep => semgrep::read,
        Form::Zap => zap::read,
    };
    let findings = reader(&root).map_err(|problem| match problem {
        Problem::Form(reason) => ImportError::Form { file: named(), reason },
        Problem::Failed(reason) => ImportError::Failed { file: named(), reason },
    })?;
    if findings.len() > FINDINGS_MAX { Err(ImportError::TooMany { file: named() }) } else { Ok(findings) }
}

/// What is wrong with a report.
#[derive(Debug)]
enum Problem {
    Form(String),
    /// The tool itself says that its run was none.
    Failed(String),
}

/// Which form a report has, by keys that no other has.
#[must_use]
fn form(root: &Json) -> Option<Form> {
    let has = |key: &str| root.get(key).is_some();
    let first = root.as_array().and_then(|all| all.first());
    if has("runs") && has("version") {
        Some(Form::Sarif)
    } else if has("SchemaVersion") || has("ArtifactName") {
        Some(Form::Trivy)
    } else if has("matches") && has("descriptor") {
        Some(Form::Grype)
    } else if has("vulnerabilities") && has("ok") || first.is_some_and(|one| one.get("ok").is_some()) {
        Some(Form::Snyk)
    } else if has("results") && has("errors") {
        Some(Form::Semgrep)
    } else if has("site") && (has("@programName") || has("@version")) {
        Some(Form::Zap)
    } else {
        None
    }
}

fn list<'a>(node: &'a Json, key: &str) -> &'a [Json] {
    node.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(node: &'a Json, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn texts(node: &Json, key: &str) -> Vec<String> {
    list(node, key).iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn line(node: Option<&Json>) -> Option<u32> {
    node.and_then(Json::as_u64).and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0)
}

fn time(node: &Json, key: &str) -> Option<Timestamp> {
    text(node, key).and_then(|text| text.parse().ok())
}

/// A word for a severity, of any tool.
fn severity(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "very high" => Severity::Critical,
        "high" | "error" | "important" => Severity::High,
        "medium" | "moderate" | "warning" => Severity::Medium,
        "low" | "note" | "info" | "negligible" | "informational" | "minor" | "none" => Severity::Low,
        _ => Severity::Unknown,
    }
}

fn imported(tool: &str) -> Kind {
    Kind::Imported { tool: tool.to_owned() }
}

fn place(file: &str, line: Option<u32>, end_line: Option<u32>, column: Option<u32>) -> Subject {
    let file = file.strip_prefix("file://").unwrap_or(file);
    let file = file.strip_prefix("./").unwrap_or(file).to_owned();
    Subject::Place(Place { file, line, end_line: end_line.filter(|end| Some(*end) > line), column, layer: None })
}

/// The ecosystem that a tool's word or a package URL's type stands for.
fn ecosystem(word: &str) -> Option<Ecosystem> {
    let found = match word.to_ascii_lowercase().as_str() {
        "deb" | "dpkg" | "debian" | "ubuntu" => Ecosystem::Debian,
        "apk" | "alpine" | "wolfi" | "chainguard" => Ecosystem::Alpine,
        "rpm" | "redhat" | "centos" | "rocky" | "alma" | "almalinux" | "fedora" | "oracle" | "amazon" | "suse"
        | "opensuse" | "linux" => Ecosystem::Rpm,
        "npm" | "node-pkg" | "yarn" | "pnpm" | "javascript" | "nodejs" => Ecosystem::Npm,
        "pypi" | "pip" | "python-pkg" | "poetry" | "pipenv" | "uv" | "python" => Ecosystem::PyPi,
        "golang" | "gobinary" | "gomod" | "gomodules" | "go-module" | "go" => Ecosystem::Go,
        "maven" | "jar" | "pom" | "gradle" | "java-archive" | "java" => Ecosystem::Maven,
        "gem" | "gemspec" | "bundler" | "rubygems" | "ruby" => Ecosystem::RubyGems,
        "cargo" | "rust-crate" | "rustbinary" | "rust-binary" | "rust" => Ecosystem::Cargo,
        "composer" | "packagist" | "php-composer" | "php" => Ecosystem::Packagist,
        _ => return None,
    };
    Some(found)
}

/// A package as a report names it.
struct Named<'a> {
    name: &'a str,
    version: &'a str,
    /// A package URL, if there is one, and else the tool's word for the kind of package.
    purl: Option<&'a str>,
    kind: &'a str,
    path: &'a str,
}

/// The package of a finding; a place where nobody can tell which ecosystem it is of.
fn package(named: &Named<'_>) -> Subject {
    let of_purl = named.purl.and_then(|purl| purl.strip_prefix("pkg:")?.split('/').next());
    let Some(ecosystem) = of_purl.and_then(ecosystem).or_else(|| ecosystem(named.kind)) else {
        let file = if named.path.is_empty() { named.name } else { named.path };
        return place(file, None, None, None);
    };
    let purl = named.purl.map_or_else(
        || format!("pkg:{}/{}@{}", ecosystem.purl_type(), named.name.replace(':', "/"), named.version),
        str::to_owned,
    );
    let path = if named.path.is_empty() { named.name } else { named.path }.trim_start_matches('/').to_owned();
    Subject::Package(AffectedPackage {
        ecosystem,
        name: named.name.to_owned(),
        version: named.version.to_owned(),
        architecture: String::new(),
        source: None,
        purl,
        locations: vec![Location { layer: None, path, line: None }],
        layer: None,
    })
}

/// A finding about a package.
fn about_package(tool: &str, id: &str, summary: &str, named: &Named<'_>, severity: Severity) -> Finding {
    let mut finding = Finding::of_rule(imported(tool), id, summary.to_owned(), package(named), severity);
    finding.severity_source = (severity != Severity::Unknown).then_some(SeveritySource::Vendor);
    finding.status = Status::NoFixYet;
    finding
}

/// Keeps the highest version's vector, and who gave it.
fn rate(finding: &mut Finding, source: SeveritySource, severity: Severity, cvss: Option<Cvss>) {
    let version = |cvss: &Cvss| cvss.vector.split('/').next().unwrap_or_default().to_owned();
    if let Some(cvss) = &cvss
        && finding.cvss.as_ref().is_none_or(|known| version(cvss) >= version(known))
    {
        finding.cvss = Some(cvss.clone());
    }
    finding.ratings.push(Rating { source, severity, cvss });
}

/// The fixed versions, with the status that follows.
fn fixed(finding: &mut Finding, versions: Vec<String>) {
    finding.status = if versions.is_empty() { Status::NoFixYet } else { Status::Affected };
    finding.fixed_versions = versions;
}
