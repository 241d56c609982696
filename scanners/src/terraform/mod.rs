//! What a description of infrastructure opens or leaves unprotected: rules of the class of tfsec, for Terraform on AWS.
//!
//! All files of a module are looked at together, since a bucket and what protects it may stand apart. A value that is only
//! known when Terraform runs is not guessed at. `#tfsec:ignore:…` and `#trivy:ignore:…` are obeyed, with their `exp:` dates.
//! Follows <https://developer.hashicorp.com/terraform/language/syntax/configuration>; rules bear the names of
//! <https://avd.aquasec.com/misconfig/aws/> too.

mod access;
mod data;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;

use read::{Block, read};

use crate::finding::{Finding, Kind, Place, Severity, Subject};

/// Longest file that is read.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A file of a module, by its path from the root of the repository.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// A rule that is broken.
struct Broken<'a> {
    block: &'a Resource<'a>,
    id: &'static str,
    /// Its name elsewhere.
    alias: &'static str,
    severity: Severity,
    /// From 1.
    line: u32,
    words: String,
}

/// A block at the top of a file.
struct Resource<'a> {
    file: &'a File<'a>,
    block: Block,
}

/// A module: its resources, and what its variables are where nothing else is said.
struct Module<'a> {
    resources: Vec<Resource<'a>>,
    variables: BTreeMap<String, String>,
}

impl Module<'_> {
    fn of_kind<'m>(&'m self, kinds: &[&str]) -> std::vec::IntoIter<&'m Resource<'m>> {
        let is_kind = |one: &&Resource<'_>| one.block.kind == "resource" && kinds.contains(&one.block.label(0));
        self.resources.iter().filter(is_kind).collect::<Vec<_>>().into_iter()
    }

    /// Whether a resource of one of these kinds names this one: `bucket = aws_s3_bucket.a.id`.
    fn has_companion(&self, resource: &Resource<'_>, kind: &str) -> bool {
        let address = format!("{}.{}", resource.block.label(0), resource.block.label(1));
        let bucket = resource.block.text("bucket");
        self.of_kind(&[kind]).any(|other| {
            other.block.attributes.iter().any(|attribute| {
                let begins = attribute.value.strip_prefix(&address);
                begins.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                    || bucket.is_some() && attribute.text() == bucket
            })
        })
    }

    /// Whether an attribute holds.
    fn truth(&self, block: &Block, name: &str) -> Truth {
        let Some(attribute) = block.attribute(name) else { return Truth::Absent };
        let value = match attribute.value.strip_prefix("var.") {
            Some(variable) => self.variables.get(variable).map_or("", String::as_str),
            None => attribute.value.as_str(),
        };
        match value.trim_matches('"') {
            "true" => Truth::Yes,
            "false" => Truth::No,
            _ => Truth::Unknown,
        }
    }
}

/// Whether something holds, as far as the text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Absent,
    Unknown,
}

/// Checks the files of one module. Exceptions that ran out before `today` are none.
#[must_use]
pub fn check(files: &[File<'_>], today: Date) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut module = Module { resources: Vec::new(), variables: BTreeMap::new() };
    for file in files {
        match read(file.text) {
            Ok(blocks) => module.resources.extend(blocks.into_iter().map(|block| Resource { file, block })),
            Err(error) => {
                let place = place(file.path, error.line, None);
                let words = format!("it cannot be read, so nothing in it was checked: {}", error.reason);
                findings.push(Finding::of_rule(
                    Kind::Misconfiguration,
                    "terraform-unread",
                    words,
                    place,
                    Severity::High,
                ));
            }
        }
    }
    for one in module.resources.iter().filter(|one| one.block.kind == "variable") {
        if let Some(default) = one.block.attribute("default") {
            module.variables.insert(one.block.label(0).to_owned(), default.value.clone());
        }
    }
    let mut broken = access::check(&module);
    broken.extend(data::check(&module));
    broken.retain(|one| !is_ignored(one, today));
    broken.sort_by(|one, other| {
        (one.block.file.path, one.line, one.id).cmp(&(other.block.file.path, other.line, other.id))
    });
    findings.extend(broken.into_iter().map(finding));
    findings
}

fn place(file: &str, line: u32, end_line: Option<u32>) -> Subject {
    Subject::Place(Place { file: file.to_owned(), line: Some(line), end_line, column: None, layer: None })
}

fn finding(broken: Broken<'_>) -> Finding {
    let block = &broken.block.block;
    let end_line = (broken.line == block.line).then_some(block.end_line).filter(|end| *end > broken.line);
    let subject = place(broken.block.file.path, broken.line, end_line);
    let words = format!("{}: {}", block.address(), broken.words);
    let mut finding = Finding::of_rule(Kind::Misconfiguration, broken.id, words, subject, broken.severity);
    finding.aliases.push(broken.alias.to_owned());
    finding.references.push(format!("https://avd.aquasec.com/misconfig/{}", broken.alias.to_ascii_lowercase()));
    finding
}

/// Whether a comment in the line, in the one above, or above the block lets it pass.
fn is_ignored(broken: &Broken<'_>, today: Date) -> bool {
    let lines: Vec<&str> = broken.block.file.text.lines().collect();
    let at = |line: u32| lines.get((line as usize).checked_sub(1)?).copied();
    let around = [broken.line, broken.line.saturating_sub(1), broken.block.block.line.saturating_sub(1)];
    around.into_iter().filter_map(at).any(|line| {
        let comments = ["tfsec:ignore:", "trivy:ignore:", "pipe:ignore:"];
        comments.iter().flat_map(|mark| line.split(mark).skip(1)).any(|rest| {
            let rest = rest.split_whitespace().next().unwrap_or_default();
            let (name, until) = rest.split_once(":exp:").unwrap_or((rest, ""));
            let is_over = until.parse::<Date>().is_ok_and(|until| today > until);
            let is_named = ["*", broken.id].contains(&name) || name.eq_ignore_ascii_case(broken.alias);
            is_named && !is_over
        })
    })
}
