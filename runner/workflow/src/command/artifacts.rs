//! `GITHUB_ARTIFACTS`: files and images that a step declares as its products, and the list of all of them for later steps.
//!
//! Files are not read here: an entry that names one says so, and the caller gives its digest. Follows
//! `CreateArtifactsFileCommand` and `ArtifactsListFileCommand` of actions/runner (2026), which the documentation does not
//! describe yet.

use std::collections::BTreeMap;

use super::environment_file::{EnvironmentFileError, decode};

/// Artifacts that one job may declare.
pub const ARTIFACT_SUBJECTS_MAX: usize = 500;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactEntry {
    /// Line in the file, from 1.
    pub line: usize,
    /// What it declares.
    pub declared: Declared,
}

/// What an entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// A path, relative to the workspace or absolute as the step's container sees it. Its digest is still to be found.
    File(String),
    /// An image or other OCI object with its digest.
    Oci { name: String, digest: String },
}

/// A declared artifact with its digest, `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactSubject {
    /// `file` or `oci`.
    pub kind: &'static str,
    /// `algorithm:hex`
    pub digest: String,
}

/// All artifacts of a job, by name: the name of the file without its directory, or the OCI reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactSubjects(BTreeMap<String, ArtifactSubject>);

/// Reads the file; blank lines and lines that start with `#` do not count.
pub fn parse_artifacts_file(bytes: &[u8]) -> Result<Vec<ArtifactEntry>, EnvironmentFileError> {
    let text = decode(bytes);
    let entries = text.lines().map(str::trim).enumerate();
    entries
        .filter(|(_, text)| !text.is_empty() && !text.starts_with('#'))
        .map(|(index, text)| match parse_entry(text) {
            Ok(declared) => Ok(ArtifactEntry { line: index + 1, declared }),
            Err(reason) => Err(EnvironmentFileError::Artifact { line: index + 1, reason }),
        })
        .collect()
}

fn parse_entry(text: &str) -> Result<Declared, String> {
    if text.contains('=') {
        return Err("entries containing '=' are reserved and not permitted".to_owned());
    }
    if let Some(path) = strip_scheme(text, "file://") {
        if path.trim().is_empty() {
            return Err("file:// entries must include a path".to_owned());
        }
        return Ok(Declared::File(path.to_owned()));
    }
    if let Some(reference) = strip_scheme(text, "oci://") {
        let (name, algorithm, hex) = split_digest(reference)
            .ok_or_else(|| "oci:// entries must include an @sha{256,384,512}:<hex> digest".to_owned())?;
        let expected = hex_len(algorithm);
        if hex.len() != expected {
            let got = hex.len();
            return Err(format!("digest '{algorithm}' must be {expected} hex characters, got {got}"));
        }
        return Ok(oci(name, algorithm, hex));
    }
    if has_scheme(text) {
        return Err("unsupported URI scheme".to_owned());
    }
    Ok(match split_digest(text) {
        Some((name, algorithm, hex)) if hex.len() == hex_len(algorithm) => oci(name, algorithm, hex),
        Some(_) | None => Declared::File(text.to_owned()),
    })
}

fn oci(name: &str, algorithm: &str, hex: &str) -> Declared {
    Declared::Oci { name: name.to_owned(), digest: format!("{algorithm}:{}", hex.to_ascii_lowercase()) }
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let head = text.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once("://") else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
}

/// `name@sha256:hex` in its three parts, whatever the length of the last.
fn split_digest(text: &str) -> Option<(&str, &str, &str)> {
    let (name, digest) = text.rsplit_once('@')?;
    let (algorithm, hex) = digest.split_once(':')?;
    let fits = !name.is_empty() && !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    (fits && hex_len(algorithm) > 0).then_some((name, algorithm, hex))
}

fn hex_len(algorithm: &str) -> usize {
    match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => 0,
    }
}

impl ArtifactSubjects {
    /// Adds what one step declared, all of it or, on error, nothing. Returns how many were new.
    pub fn declare(
        &mut self,
        subjects: impl IntoIterator<Item = (usize, String, ArtifactSubject)>,
    ) -> Result<usize, EnvironmentFileError> {
        let mut all = self.0.clone();
        for (line, name, subject) in subjects {
            let refuse = |reason| Err(EnvironmentFileError::Artifact { line, reason });
            if let Some(existing) = all.get(&name) {
                if existing.digest != subject.digest {
                    return refuse(format!(
                        "Conflicting digest for artifact '{name}': previously declared as '{}', now declared as '{}'.",
                        existing.digest, subject.digest
                    ));
                }
            } else if all.len() >= ARTIFACT_SUBJECTS_MAX {
                return refuse(format!(
                    "The job has exceeded the maximum of {ARTIFACT_SUBJECTS_MAX} declared artifacts."
                ));
            } else {
                all.insert(name, subject);
            }
        }
        let added = all.len() - self.0.len();
        self.0 = all;
        Ok(added)
    }

    /// The contents of the file named by `GITHUB_ARTIFACTS_LIST`.
    #[must_use]
    pub fn list_json(&self) -> String {
        let subject = |(name, subject): (&String, &ArtifactSubject)| serde_json::json!({"name": name, "digest": subject.digest, "kind": subject.kind});
        let subjects: Vec<_> = self.0.iter().map(subject).collect();
        serde_json::json!({"version": 1, "subjects": subjects}).to_string()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{ARTIFACT_SUBJECTS_MAX, ArtifactSubject, ArtifactSubjects, Declared, parse_artifacts_file};

    #[test]
    fn entries() {
        let hex = "Ab".repeat(32);
        for (text, expect) in [
            ("# comment\n\n  dist/app.tar.gz \r\n", "3 file dist/app.tar.gz"),
            ("FILE:///abs", "1 file /abs"),
            (&format!("ghcr.io/o/i:1@sha256:{hex}"), &format!("1 oci ghcr.io/o/i:1 sha256:{}", hex.to_lowercase())),
            (&format!("oci://i@sha256:{hex}"), &format!("1 oci i sha256:{}", hex.to_lowercase())),
            ("name@sha256:abc", "1 file name@sha256:abc"),
            ("oci://i@sha256:abc", "! 1: digest 'sha256' must be 64 hex characters, got 3"),
            ("oci://i", "! 1: oci:// entries must include an @sha{256,384,512}:<hex> digest"),
            ("file:// ", "! 1: file:// entries must include a path"),
            ("a\nhttps://x", "! 2: unsupported URI scheme"),
            ("a=b", "! 1: entries containing '=' are reserved and not permitted"),
            ("", ""),
        ] {
            let found = match parse_artifacts_file(text.as_bytes()) {
                Ok(entries) => entries.into_iter().map(|entry| match &entry.declared {
                    Declared::File(path) => format!("{} file {path}", entry.line),
                    Declared::Oci { name, digest } => format!("{} oci {name} {digest}", entry.line),
                }),
                Err(error) => {
                    let text = error.to_string().replace("Invalid $GITHUB_ARTIFACTS entry on line ", "! ");
                    assert_eq!(text, expect);
                    continue;
                }
            };
            assert_eq!(found.collect::<Vec<_>>().join("\n"), expect, "{text:?}");
        }
    }

    #[test]
    fn subjects_are_collected() {
        let subject = |digest: &str| ArtifactSubject { kind: "file", digest: digest.to_owned() };
        let mut all = ArtifactSubjects::default();
        assert_eq!(all.list_json(), r#"{"version":1,"subjects":[]}"#);
        let both = [
            (1, "b".to_owned(), subject("d1")),
            (2, "a".to_owned(), subject("d2")),
            (3, "b".to_owned(), subject("d1")),
        ];
        assert_eq!(all.declare(both), Ok(2));
        let error = all.declare([(4, "c".to_owned(), subject("d")), (5, "b".to_owned(), subject("d3"))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid $GITHUB_ARTIFACTS entry on line 5: Conflicting digest for artifact 'b': previously declared as 'd1', now declared as 'd3'."
        );
        assert_eq!(
            all.list_json(),
            r#"{"version":1,"subjects":[{"name":"a","digest":"d2","kind":"file"},{"name":"b","digest":"d1","kind":"file"}]}"#
        );
        let many = (0..ARTIFACT_SUBJECTS_MAX - 2).map(|index| (index, format!("x{index}"), subject("d")));
        assert_eq!(all.declare(many), Ok(ARTIFACT_SUBJECTS_MAX - 2));
        assert!(all.declare([(1, "y".to_owned(), subject("d"))]).is_err() && all.len() == ARTIFACT_SUBJECTS_MAX);
    }
}
