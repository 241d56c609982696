//! Secrets that are known already: those that a repository had before anybody looked. They are told and fail nothing, so that what is
//! new can fail from the first day on.
//!
//! A file of ours has no part of a secret but what names the finding; of gitleaks' report, which has them, only as much is kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::scan::hidden;
use crate::finding::{Finding, Kind};
use crate::policy::{Warning, fingerprint};

/// Longest file that is read.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The version of the form.
const VERSION: u64 = 1;
/// Secrets that are gone and told one by one.
const GONE_MAX: usize = 20;

/// Why a file of known secrets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file} is no file of known secrets: {reason}; `pipe scan --write-secret-baseline {file}` writes one, and gitleaks' JSON is read"
)]
pub struct KnownError {
    pub file: String,
    pub reason: String,
}

/// Known secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The file that they come from, for messages.
    pub file: String,
    /// Whether all that it knows was looked for, so that what was not found is gone.
    #[serde(default)]
    pub is_whole: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    rule: String,
    path: String,
    is: Is,
}

/// By what a finding is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Is {
    /// [`fingerprint`]
    Fingerprint(String),
    /// What is shown of the secret, whichever rule finds it.
    Mark(String),
    /// The line, where a report has no secrets in it.
    Line(u32),
}

impl Known {
    /// Reads a file of ours, or a report of gitleaks as JSON.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, KnownError> {
        let wrong = |reason: String| KnownError { file: file.to_owned(), reason };
        let json: Json = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let (list, entry): (&Json, fn(&Json) -> Option<Entry>) = match &json {
            Json::Array(_) => (&json, of_gitleaks),
            Json::Object(_) if json.get("version").and_then(Json::as_u64) == Some(VERSION) => {
                (&json["secrets"], of_ours)
            }
            Json::Object(_) => return Err(wrong(format!("it has no `version: {VERSION}`"))),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                return Err(wrong("it is no list".into()));
            }
        };
        let list = list.as_array().ok_or_else(|| wrong("`secrets` is no list".to_owned()))?;
        let read = |(index, one): (usize, &Json)| {
            entry(one).ok_or_else(|| wrong(format!("entry {} lacks what would name a secret", index + 1)))
        };
        let entries = list.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { file: file.to_owned(), is_whole: false, entries })
    }

    /// A file with the secrets among some findings, sorted, so that two of them differ in what is new alone.
    #[must_use]
    pub fn write(findings: &[Finding]) -> String {
        let secrets = findings.iter().filter(|finding| finding.kind == Kind::Secret);
        let line = |finding: &Finding| {
            let path = finding.place().map_or("", |place| place.file.as_str());
            (path.to_owned(), finding.id.clone(), fingerprint(finding))
        };
        let sorted: BTreeSet<_> = secrets.map(line).collect();
        let one = |(path, rule, fingerprint): &(String, String, String)| json!({ "file": path, "rule": rule, "fingerprint": fingerprint });
        let secrets: Vec<Json> = sorted.iter().map(one).collect();
        format!("{:#}\n", json!({ "version": VERSION, "secrets": secrets }))
    }

    /// Whether a finding is one of them.
    #[must_use]
    pub fn has(&self, finding: &Finding) -> bool {
        finding.kind == Kind::Secret && self.entries.iter().any(|entry| entry.is_of(finding))
    }

    /// What is not there any more: a file that knows more than there is lets pass what comes back.
    #[must_use]
    pub fn gone(&self, findings: &[Finding]) -> Vec<Warning> {
        if !self.is_whole {
            return Vec::new();
        }
        let secrets: Vec<&Finding> = findings.iter().filter(|finding| finding.kind == Kind::Secret).collect();
        let gone: Vec<&Entry> =
            self.entries.iter().filter(|entry| !secrets.iter().any(|finding| entry.is_of(finding))).collect();
        let warning = |message: String| Warning { message, file: Some(self.file.clone()), line: None };
        let one = |entry: &&Entry| {
            let Entry { rule, path, is: _ } = entry;
            warning(format!(
                "a known secret is gone ({rule} in {path}): write {} anew, so that it fails if it comes back",
                self.file
            ))
        };
        let more = gone.len().saturating_sub(GONE_MAX);
        let rest = (more > 0).then(|| warning(format!("{more} more known secrets are gone")));
        gone.iter().take(GONE_MAX).map(one).chain(rest).collect()
    }
}

impl Entry {
    fn is_of(&self, finding: &Finding) -> bool {
        let Some(place) = finding.place().filter(|place| place.file == self.path) else { return false };
        match &self.is {
            Is::Fingerprint(known) => *known == fingerprint(finding),
            Is::Mark(mark) => finding.summary.ends_with(mark.as_str()),
            Is::Line(line) => place.line == Some(*line),
        }
    }
}

fn text<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key)?.as_str().filter(|text| !text.is_empty())
}

fn of_ours(json: &Json) -> Option<Entry> {
    let known = text(json, "fingerprint").filter(|known| known.len() == 32)?;
    let [rule, path] = ["rule", "file"].map(|key| text(json, key).map(str::to_owned));
    Some(Entry { rule: rule?, path: path?, is: Is::Fingerprint(known.to_owned()) })
}

/// <https://github.com/gitleaks/gitleaks#creating-a-baseline>
fn of_gitleaks(json: &Json) -> Option<Entry> {
    let rule = text(json, "RuleID")?.to_owned();
    let path = text(json, "File")?.trim_start_matches("./").to_owned();
    let line = json.get("StartLine").and_then(Json::as_u64).and_then(|line| u32::try_from(line).ok());
    // `--redact` leaves the word, or as much of the secret as was asked for and dots.
    let secret = text(json, "Secret").filter(|secret| *secret != "REDACTED" && !secret.ends_with("..."));
    let is = secret.map(|secret| Is::Mark(hidden(secret.as_bytes()))).or(line.map(Is::Line))?;
    Some(Entry { rule, path, is })
}
