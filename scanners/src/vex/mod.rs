//! Statements of vendors and teams that a vulnerability does or does not concern a product (VEX).
//!
//! OpenVEX and CycloneDX VEX are read into one form. It decides nothing: `policy` does.
//! Follows <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md> and
//! <https://cyclonedx.org/docs/1.6/json/#vulnerabilities_items_analysis>.

mod cyclonedx;
mod load;
mod openvex;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use load::{Loaded, load};

use crate::finding::{AffectedPackage, Finding};
use crate::purl_pattern::{Match, PurlPattern};

/// Longest file that is read.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One statement about one or more products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The file, as it was named.
    pub file: String,
    /// Which statement of the file, from 1.
    pub number: usize,
    /// The names of the vulnerability.
    pub names: Vec<String>,
    pub products: Vec<Product>,
    pub status: Status,
    /// `vulnerable_code_not_present`…, as written.
    pub justification: Option<String>,
    /// What it says in words.
    pub words: Option<String>,
    /// When it was said, if it says so; of several statements the last one counts.
    pub said: Option<Timestamp>,
}

/// What a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    NotAffected,
    Affected,
    Fixed,
    UnderInvestigation,
}

impl Status {
    /// Whether a finding that this is about needs nobody's attention.
    #[must_use]
    pub const fn settles(self) -> bool {
        match self {
            Self::NotAffected | Self::Fixed => true,
            Self::Affected | Self::UnderInvestigation => false,
        }
    }

    /// `OpenVEX`'s word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAffected => "not_affected",
            Self::Affected => "affected",
            Self::Fixed => "fixed",
            Self::UnderInvestigation => "under_investigation",
        }
    }
}

/// What a statement is about: a package, or an image with some packages in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// All ways in which the product is named; one is enough.
    pub names: Vec<String>,
    /// The packages in it that are meant; none means all of it.
    pub parts: Vec<String>,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VexError {
    #[error("{file}: it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong { file: String },
    #[error("{file}:{line}:{column}: it is no JSON: {reason}")]
    NotJson { file: String, line: usize, column: usize, reason: String },
    #[error("{file}: it is neither OpenVEX nor CycloneDX; `@context` or `bomFormat` tells them")]
    Unknown { file: String },
    #[error("{file}: statement {number}: {reason}")]
    Statement { file: String, number: usize, reason: String },
}

/// Reads a file of either format.
///
/// # Errors
/// [`VexError`]
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Statement>, VexError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(VexError::TooLong { file: file.to_owned() });
    }
    let root: Json = serde_json::from_slice(bytes).map_err(|error| VexError::NotJson {
        file: file.to_owned(),
        line: error.line(),
        column: error.column(),
        reason: error.to_string(),
    })?;
    if root.get("bomFormat").and_then(Json::as_str) == Some("CycloneDX") {
        return cyclonedx::read(file, &root);
    }
    let is_openvex = |context: &Json| context.as_str().is_some_and(|text| text.contains("openvex"));
    let is_any = match root.get("@context") {
        Some(Json::Array(contexts)) => contexts.iter().any(is_openvex),
        Some(context) => is_openvex(context),
        None => false,
    };
    if is_any { openvex::read(file, &root) } else { Err(VexError::Unknown { file: file.to_owned() }) }
}

/// The image that a scan is about, as statements may name it.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// As the user named it.
    pub target: &'a str,
    /// `name@sha256:…`
    pub repository_digests: &'a [String],
    pub image_id: Option<&'a str>,
}

/// Whether a statement is about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relevance {
    Yes,
    /// The vulnerability and the package are named, but this part of the package URL is another.
    Nearly(String),
    No,
}

impl Statement {
    /// Whether it is about this finding in this image.
    #[must_use]
    pub fn relevance(&self, finding: &Finding, image: &Image<'_>) -> Relevance {
        let Some(package) = finding.package() else { return Relevance::No };
        if !self.names.iter().any(|name| finding.is_named(name)) {
            return Relevance::No;
        }
        let Ok(purl) = PurlPattern::parse(&package.purl) else { return Relevance::No };
        let mut nearly = Relevance::No;
        for product in &self.products {
            match product.relevance(package, &purl, image) {
                Relevance::Yes => return Relevance::Yes,
                found @ Relevance::Nearly(_) => nearly = found,
                Relevance::No => {}
            }
        }
        nearly
    }

    /// `vex/a.json, statement 3`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}, statement {}", self.file, self.number)
    }
}

impl Product {
    fn relevance(&self, package: &AffectedPackage, purl: &PurlPattern, image: &Image<'_>) -> Relevance {
        if self.names.iter().any(|name| names_image(name, image)) {
            return if self.parts.is_empty() { Relevance::Yes } else { any(&self.parts, package, purl) };
        }
        // A package that has parts of its own is vendored code: the statement is about the parts as they are in it.
        let of_itself = any(&self.names, package, purl);
        if of_itself == Relevance::No || self.parts.is_empty() {
            return of_itself;
        }
        any(&self.parts, package, purl)
    }
}

fn any(names: &[String], package: &AffectedPackage, purl: &PurlPattern) -> Relevance {
    let mut nearly = Relevance::No;
    for name in names {
        let Ok(pattern) = PurlPattern::parse(name) else { continue };
        match pattern.describes(purl) {
            Match::Yes => return Relevance::Yes,
            Match::Nearly { part, wanted, found } => {
                nearly = Relevance::Nearly(format!("it names {part} `{wanted}`, and {} has `{found}`", package.name));
            }
            Match::No => {}
        }
    }
    nearly
}

/// Whether a name is that of the image: an OCI package URL, a reference, a digest.
fn names_image(name: &str, image: &Image<'_>) -> bool {
    let digests = || image.repository_digests.iter().filter_map(|one| one.split_once('@')).map(|(_, digest)| digest);
    let is_digest = |text: &str| image.image_id == Some(text) || digests().any(|digest| digest == text);
    if let Ok(purl) = PurlPattern::parse(name) {
        if !matches!(purl.kind(), "oci" | "docker") {
            return false;
        }
        return match purl.version() {
            Some(version) if version.starts_with("sha256:") => is_digest(version),
            Some(tag) => short_name(image.target) == purl.name() && image.target.ends_with(&format!(":{tag}")),
            None => short_name(image.target) == purl.name(),
        };
    }
    let digest = name.rsplit_once('@').map_or(name, |(_, digest)| digest);
    name == image.target || is_digest(digest)
}

/// `orders` of `registry.example/shop/orders:1.2@sha256:…`.
fn short_name(reference: &str) -> &str {
    let path = reference.split('@').next().unwrap_or(reference);
    let last = path.rsplit('/').next().unwrap_or(path);
    last.split(':').next().unwrap_or(last)
}
