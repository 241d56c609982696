//! Statements of in-toto: these subjects, this kind of assertion, this assertion.
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The type of every statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// A bill of materials as CycloneDX.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// A bill of materials as SPDX.
pub const SPDX: &str = "https://spdx.dev/Document";
/// How something was built.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// What is asserted of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    pub subject: Vec<Subject>,
    pub predicate_type: String,
    pub predicate: Json,
}

/// A thing that the statement is about, told by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub name: String,
    /// Algorithm (`sha256`) and hexadecimal digits.
    pub digest: BTreeMap<String, String>,
}

impl Statement {
    /// A statement about an image: its name without tag, and `sha256:…` of its manifest.
    #[must_use]
    pub fn about_image(name: &str, digest: &str, predicate_type: &str, predicate: Json) -> Self {
        let (algorithm, hex) = digest.split_once(':').unwrap_or(("sha256", digest));
        let digest = BTreeMap::from([(algorithm.to_owned(), hex.to_owned())]);
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![Subject { name: name.to_owned(), digest }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Whether it is one, and about something with this digest (`sha256:…`).
    #[must_use]
    pub fn is_about(&self, digest: &str) -> bool {
        let (algorithm, hex) = digest.split_once(':').unwrap_or(("sha256", digest));
        let is_same = |subject: &Subject| subject.digest.get(algorithm).is_some_and(|found| found == hex);
        self.kind == STATEMENT && self.subject.iter().any(is_same)
    }
}
