//! What is attached to an image, and which of it a key has signed.

use serde_json::Value as Json;

use super::envelope::{BUNDLE, Envelope};
use super::key::PublicKey;
use super::oci::Descriptor;
use super::statement::Statement;

/// Most referrers that are looked at.
const REFERRERS_MAX: usize = 1_000;

/// One repository of a registry, to be read.
pub trait Source {
    /// What can go wrong with it.
    type Error;

    /// What refers to an image by its digest, by the registry's list or the index under its tag.
    ///
    /// # Errors
    /// The registry could not be asked.
    fn referrers(&mut self, image: &str) -> Result<Vec<Descriptor>, Self::Error>;

    /// The bytes of a manifest by tag or digest, if there is one.
    ///
    /// # Errors
    /// The registry could not be asked, or sends something else than this digest.
    fn manifest(&mut self, reference: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// A blob.
    ///
    /// # Errors
    /// The registry could not be asked, or sends something else than this digest.
    fn blob(&mut self, digest: &str) -> Result<Vec<u8>, Self::Error>;
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Signed by the key and about the image, each once.
    pub statements: Vec<Statement>,
    /// Envelopes that are not: of other keys, about something else, or damaged.
    pub others: usize,
}

/// Looks through the referrers of an image and through what lies under cosign's tag.
///
/// # Errors
/// The registry could not be asked. What is attached and cannot be read is counted among the others.
pub fn find<S: Source>(source: &mut S, image: &str, key: &PublicKey) -> Result<Found, S::Error> {
    let mut blobs = Vec::new();
    let listed = source.referrers(image)?.into_iter().take(REFERRERS_MAX);
    for referrer in listed.filter(|one| one.artifact_type.as_deref().is_none_or(|kind| kind == BUNDLE)) {
        blobs.extend(layers(source.manifest(&referrer.digest)?.as_deref()));
    }
    blobs.extend(layers(source.manifest(&format!("{}.att", image.replace(':', "-")))?.as_deref()));
    let mut found = Found::default();
    let mut seen: Vec<Envelope> = Vec::new();
    for digest in blobs {
        let Some(envelope) = envelope(&source.blob(&digest)?) else {
            found.others += 1;
            continue;
        };
        if seen.contains(&envelope) {
            continue;
        }
        match envelope.verify(key) {
            Ok(statement) if statement.is_about(image) => found.statements.push(statement),
            Ok(_) | Err(_) => found.others += 1,
        }
        seen.push(envelope);
    }
    Ok(found)
}

/// Digests of what a manifest holds.
fn layers(manifest: Option<&[u8]>) -> Vec<String> {
    let manifest: Json = manifest.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let layers = manifest.get("layers").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    layers.iter().filter_map(|layer| layer.get("digest")?.as_str().map(str::to_owned)).collect()
}

/// An envelope, by itself or in sigstore's bundle.
fn envelope(bytes: &[u8]) -> Option<Envelope> {
    let json: Json = serde_json::from_slice(bytes).ok()?;
    let envelope = json.get("dsseEnvelope").cloned().unwrap_or(json);
    serde_json::from_value(envelope).ok()
}
