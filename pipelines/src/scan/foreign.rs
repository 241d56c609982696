//! What other tools found, and which lines tests reach, for the same gate. A report that cannot be read is a doubt: a gate that goes
//! without it would let pass what it holds.

use scanners::coverage::{self, Coverage};
use scanners::finding::Finding;
use scanners::import;
use scanners::policy::{self, Policy, Warning};
use scanners::source::Held;

/// Reports of others.
#[derive(Debug, Default)]
pub struct Foreign {
    /// SARIF, and the JSON of Trivy, Grype, Snyk, Semgrep and ZAP.
    pub reports: Vec<Held>,
    /// lcov, Cobertura, JaCoCo, coverage.py.
    pub coverage: Vec<Held>,
    /// Where the tools that measured coverage saw the sources.
    pub workspace: String,
}

/// Findings of other tools.
pub(super) fn imported(foreign: &Foreign, doubts: &mut Vec<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for report in &foreign.reports {
        let bytes = report.bytes(import::FILE_BYTES_MAX).map_err(|error| format!("{}: {error}", report.what()));
        match bytes.and_then(|bytes| import::read(report.what(), &bytes).map_err(|error| error.to_string())) {
            Ok(found) => findings.extend(found),
            Err(doubt) => doubts.push(doubt),
        }
    }
    findings
}

/// What tests reach too little, where the policy asks for it and there is something to ask: sources, or a report.
pub(super) fn covered(
    foreign: &Foreign,
    policy: &Policy,
    is_repository: bool,
    doubts: &mut Vec<String>,
    warnings: &mut Vec<Warning>,
) -> Vec<Finding> {
    let Some(rule) = &policy.coverage else { return Vec::new() };
    if foreign.coverage.is_empty() && !is_repository {
        let message = "the policy asks for coverage, and no report of it was given".to_owned();
        warnings.push(Warning { message, file: Some(policy.name.clone()), line: None });
        return Vec::new();
    }
    let mut all = Coverage::default();
    for report in &foreign.coverage {
        let bytes = report.bytes(coverage::FILE_BYTES_MAX).map_err(|error| error.to_string());
        let read = bytes.and_then(|bytes| all.read(&bytes, &foreign.workspace).map_err(|error| error.to_string()));
        if let Err(reason) = read {
            doubts.push(format!("{}: {reason}", report.what()));
        }
    }
    policy::coverage(rule, &all.measured())
}
