//! Artifacts in a registry that refer to an image.
//!
//! Two forms, since verifiers differ. Under the tag `sha256-<digest>.att` lies one manifest with a layer for each
//! envelope, as cosign has always read it. And each envelope is a manifest of its own with `subject`, a referrer of OCI
//! 1.1, holding sigstore's bundle; where a registry does not know referrers, an index under the tag `sha256-<digest>`
//! lists them. Follows <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md> and
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject>.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::envelope::{BUNDLE, Envelope};
use super::key::PublicKey;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// cosign looks for a signature here; that of an envelope is in the envelope.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Something in a registry, by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// In bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Json>,
}

/// Bytes that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub digest: String,
    pub bytes: Vec<u8>,
}

/// A manifest or an index, as it is to be stored byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    pub digest: String,
    pub bytes: Vec<u8>,
}

/// Whether a registry keeps track of what refers to what by itself (it answers with `OCI-Subject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    ByRegistry,
    ByNobody,
}

/// One repository of a registry.
pub trait Registry {
    /// What can go wrong with it.
    type Error;

    /// The bytes of a manifest by tag or digest, if there is one.
    ///
    /// # Errors
    /// The registry could not be asked.
    fn manifest(&mut self, reference: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Stores a blob, unless it is there.
    ///
    /// # Errors
    /// It could not be stored.
    fn put_blob(&mut self, blob: &Blob) -> Result<(), Self::Error>;

    /// Stores a manifest under a tag or its digest.
    ///
    /// # Errors
    /// It could not be stored.
    fn put_manifest(&mut self, reference: &str, manifest: &Manifest) -> Result<Kept, Self::Error>;
}

/// Why nothing was attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError<E> {
    #[error("what is under the tag {tag} is no manifest that can be added to: {reason}")]
    Existing { tag: String, reason: String },
    #[error(transparent)]
    Registry(E),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The tag that cosign reads.
    pub tag: String,
    /// The digests of the referrers, one for each envelope.
    pub referrers: Vec<String>,
}

/// Attaches envelopes to an image. What is there already stays, save an earlier envelope of the same kind, which this
/// one takes the place of under cosign's tag.
///
/// # Errors
/// [`AttachError`]; blobs are written before the manifests that name them, so what was written before is harmless.
pub fn attach<R: Registry>(
    registry: &mut R,
    image: &Descriptor,
    envelopes: &[Envelope],
    key: &PublicKey,
) -> Result<Attached, AttachError<R::Error>> {
    let name = image.digest.replace(':', "-");
    let tag = format!("{name}.att");
    under_tag(registry, &tag, envelopes)?;
    let mut referrers = Vec::new();
    let mut unkept = Vec::new();
    for envelope in envelopes {
        let (descriptor, kept) = referrer(registry, image, envelope, key)?;
        referrers.push(descriptor.digest.clone());
        if kept == Kept::ByNobody {
            unkept.push(descriptor);
        }
    }
    if !unkept.is_empty() {
        list_under_tag(registry, &name, unkept)?;
    }
    Ok(Attached { tag, referrers })
}

/// One manifest with all envelopes, as cosign writes it.
fn under_tag<R: Registry>(registry: &mut R, tag: &str, envelopes: &[Envelope]) -> Result<(), AttachError<R::Error>> {
    let mut layers: Vec<Descriptor> = match existing(registry, tag)? {
        Some(manifest) => list(tag, &manifest, "layers")?,
        None => Vec::new(),
    };
    for envelope in envelopes {
        let kind = envelope.predicate_type();
        let (blob, mut layer) = blob(ENVELOPE, serde_json::to_vec(envelope).expect("an envelope is plain data"));
        registry.put_blob(&blob).map_err(AttachError::Registry)?;
        layer.annotations.insert(SIGNATURE.to_owned(), json!(""));
        layer.annotations.insert("predicateType".to_owned(), json!(kind));
        layers.retain(|layer| layer.annotations.get("predicateType").and_then(Json::as_str) != Some(kind.as_str()));
        layers.push(layer);
    }
    let layer_digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let epoch = "0001-01-01T00:00:00Z";
    let config = json!({
        "architecture": "", "created": epoch, "os": "", "config": {},
        "history": layers.iter().map(|_| json!({ "created": epoch })).collect::<Vec<_>>(),
        "rootfs": { "type": "layers", "diff_ids": layer_digests },
    });
    let (config_blob, config) = blob(CONFIG, to_bytes(&config));
    registry.put_blob(&config_blob).map_err(AttachError::Registry)?;
    let manifest = manifest(
        MANIFEST,
        &json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        }),
    );
    registry.put_manifest(tag, &manifest).map_err(AttachError::Registry)?;
    Ok(())
}

/// One manifest for an envelope, with the image as its subject.
fn referrer<R: Registry>(
    registry: &mut R,
    image: &Descriptor,
    envelope: &Envelope,
    key: &PublicKey,
) -> Result<(Descriptor, Kept), AttachError<R::Error>> {
    let (bundle_blob, bundle) = blob(BUNDLE, to_bytes(&envelope.bundle(key)));
    let (empty_blob, empty) = blob(EMPTY, b"{}".to_vec());
    for blob in [&bundle_blob, &empty_blob] {
        registry.put_blob(blob).map_err(AttachError::Registry)?;
    }
    let mut annotations = Map::new();
    annotations.insert("dev.sigstore.bundle.content".to_owned(), json!("dsse-envelope"));
    annotations.insert("dev.sigstore.bundle.predicateType".to_owned(), json!(envelope.predicate_type()));
    let subject = json!({ "mediaType": image.media_type, "digest": image.digest, "size": image.size });
    let manifest = manifest(
        MANIFEST,
        &json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "config": empty, "layers": [bundle],
            "subject": subject, "annotations": annotations,
        }),
    );
    let kept = registry.put_manifest(&manifest.digest, &manifest).map_err(AttachError::Registry)?;
    let descriptor = Descriptor {
        media_type: MANIFEST.to_owned(),
        digest: manifest.digest,
        size: manifest.bytes.len() as u64,
        artifact_type: Some(BUNDLE.to_owned()),
        annotations,
    };
    Ok((descriptor, kept))
}

/// The index by which clients find referrers where the registry does not list them.
fn list_under_tag<R: Registry>(registry: &mut R, tag: &str, new: Vec<Descriptor>) -> Result<(), AttachError<R::Error>> {
    let mut manifests: Vec<Descriptor> = match existing(registry, tag)? {
        Some(index) => list(tag, &index, "manifests")?,
        None => Vec::new(),
    };
    for descriptor in new {
        manifests.retain(|known| known.digest != descriptor.digest);
        manifests.push(descriptor);
    }
    let index = manifest(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }));
    registry.put_manifest(tag, &index).map_err(AttachError::Registry)?;
    Ok(())
}

fn existing<R: Registry>(registry: &mut R, tag: &str) -> Result<Option<Json>, AttachError<R::Error>> {
    let Some(bytes) = registry.manifest(tag).map_err(AttachError::Registry)? else { return Ok(None) };
    let wrong = |error: serde_json::Error| AttachError::Existing { tag: tag.to_owned(), reason: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

fn list<E>(tag: &str, manifest: &Json, key: &str) -> Result<Vec<Descriptor>, AttachError<E>> {
    let wrong = |reason: String| AttachError::Existing { tag: tag.to_owned(), reason };
    let items = manifest.get(key).cloned().ok_or_else(|| wrong(format!("it has no {key}")))?;
    serde_json::from_value(items).map_err(|error| wrong(error.to_string()))
}

fn to_bytes(value: &Json) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value has only texts as keys")
}

fn blob(media_type: &str, bytes: Vec<u8>) -> (Blob, Descriptor) {
    let digest = crate::policy::digest(&bytes);
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.clone(),
        size: bytes.len() as u64,
        artifact_type: None,
        annotations: Map::new(),
    };
    (Blob { digest, bytes }, descriptor)
}

fn manifest(media_type: &str, value: &Json) -> Manifest {
    let bytes = to_bytes(value);
    Manifest { media_type: media_type.to_owned(), digest: crate::policy::digest(&bytes), bytes }
}
