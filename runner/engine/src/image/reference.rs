//! Names of images: `[host[:port]/]path[:tag][@digest]`.
//!
//! Resolves nothing. Follows <https://github.com/distribution/reference>.

use super::PullProblem;

/// A name that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `docker.io` where none is written.
    pub(crate) host: String,
    /// As written, without tag and digest.
    pub(crate) name: String,
    /// The tag; `latest` where neither tag nor digest is written.
    pub(crate) tag: Option<String>,
    /// `sha256:…`.
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// Reads a name; a leading `docker://` is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, PullProblem> {
        let malformed = |reason: &str| PullProblem::Malformed(reason.to_owned());
        let text = text.trim();
        let text = text.strip_prefix("docker://").unwrap_or(text);
        if text.is_empty() {
            return Err(malformed("it is empty"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(malformed("what follows @ is not a digest such as sha256:…")),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(last..).and_then(|part| part.find(':')) {
            Some(colon) => (rest.get(..last + colon).unwrap_or(rest), rest.get(last + colon + 1..)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(malformed("its tag has other characters than letters, digits, `_`, `.`, `-`, or is too long"));
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            Some(_) | None => ("docker.io", name),
        };
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(malformed("its name must be lower case"));
        }
        if !path.split('/').all(is_component) || host.contains(char::is_whitespace) {
            return Err(malformed("its name has characters that are not allowed"));
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { host: host.to_owned(), name: name.to_owned(), tag, digest })
    }

    /// What the engine is asked for.
    pub(crate) fn whole(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{}@{digest}", self.name),
            (None, Some(tag)) => format!("{}:{tag}", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_component(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(letter)
        && text.ends_with(letter)
        && text.chars().all(|c| letter(c) || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, host: &str, whole: &str| {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.host.as_str(), reference.whole().as_str()), (host, whole), "{text}");
        };
        let digest = format!("sha256:{}", "a".repeat(64));
        check("postgres", "docker.io", "postgres:latest");
        check("docker://alpine:3.20", "docker.io", "alpine:3.20");
        check("library/x", "docker.io", "library/x:latest");
        check("ghcr.io/Owner".to_lowercase().as_str(), "ghcr.io", "ghcr.io/owner:latest");
        check("localhost:5000/a/b:1", "localhost:5000", "localhost:5000/a/b:1");
        check(&format!("a/b:1@{digest}"), "docker.io", &format!("a/b@{digest}"));
    }

    #[test]
    fn malformed() {
        for text in [
            "",
            "docker://",
            "A/b",
            "ghcr.io/Owner/x",
            "a b",
            "a:",
            "a:-b",
            "a@sha256:1",
            "a//b",
            "/a",
            "--help",
            "a:b:c",
        ] {
            assert!(matches!(Reference::parse(text), Err(PullProblem::Malformed(_))), "{text}");
        }
    }
}
