//! A folder in the OCI image layout as a registry: for attestations that are kept beside an image that was saved, and
//! for tests. <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::oci::{Blob, Kept, Manifest, Registry};

const TAG: &str = "org.opencontainers.image.ref.name";

/// A folder with `oci-layout`, `index.json` and `blobs`.
#[derive(Debug)]
pub struct Layout {
    root: PathBuf,
}

/// Why it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is no index of an image layout: {reason}")]
    Index { path: PathBuf, reason: String },
    #[error("`{0}` is no digest of SHA-256")]
    Digest(String),
}

impl Layout {
    /// Opens a folder, or makes one.
    ///
    /// # Errors
    /// [`LayoutError`]
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let layout = Self { root: root.to_owned() };
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|source| LayoutError::File { path: blobs, source })?;
        if !layout.index_path().exists() {
            layout.write(&root.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            layout.write_index(&json!({ "schemaVersion": 2, "manifests": [] }))?;
        }
        Ok(layout)
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// Beside, then in its place: a reader never sees half a file.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
        let failed = |source| LayoutError::File { path: path.to_owned(), source };
        let beside = path.with_extension("new");
        fs::write(&beside, bytes).map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }

    fn write_index(&self, index: &Json) -> Result<(), LayoutError> {
        self.write(&self.index_path(), index.to_string().as_bytes())
    }

    fn index(&self) -> Result<Json, LayoutError> {
        let path = self.index_path();
        let bytes = fs::read(&path).map_err(|source| LayoutError::File { path: path.clone(), source })?;
        let wrong = |reason: String| LayoutError::Index { path: path.clone(), reason };
        let index: Json = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if index.get("manifests").is_some_and(Json::is_array) {
            return Ok(index);
        }
        Err(wrong("it has no list of manifests".to_owned()))
    }

    fn blob_path(&self, digest: &str) -> Result<PathBuf, LayoutError> {
        let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        match hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(hex) => Ok(self.root.join("blobs/sha256").join(hex)),
            None => Err(LayoutError::Digest(digest.to_owned())),
        }
    }
}

impl Registry for Layout {
    type Error = LayoutError;

    fn manifest(&mut self, reference: &str) -> Result<Option<Vec<u8>>, LayoutError> {
        let digest = if reference.starts_with("sha256:") {
            reference.to_owned()
        } else {
            let index = self.index()?;
            let manifests = index["manifests"].as_array().map_or(&[][..], Vec::as_slice);
            let found = manifests.iter().find(|one| one["annotations"][TAG] == reference);
            match found.and_then(|one| one["digest"].as_str()) {
                Some(digest) => digest.to_owned(),
                None => return Ok(None),
            }
        };
        let path = self.blob_path(&digest)?;
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LayoutError::File { path, source }),
        }
    }

    fn put_blob(&mut self, blob: &Blob) -> Result<(), LayoutError> {
        let path = self.blob_path(&blob.digest)?;
        if path.exists() { Ok(()) } else { self.write(&path, &blob.bytes) }
    }

    /// A layout lists no referrers, so the index under a tag is needed.
    fn put_manifest(&mut self, reference: &str, manifest: &Manifest) -> Result<Kept, LayoutError> {
        self.write(&self.blob_path(&manifest.digest)?, &manifest.bytes)?;
        let mut index = self.index()?;
        let mut entry = json!({
            "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.bytes.len(),
        });
        let is_tag = !reference.starts_with("sha256:");
        if is_tag {
            entry["annotations"] = json!({ TAG: reference });
        }
        if let Some(manifests) = index["manifests"].as_array_mut() {
            let is_same = |one: &Json| match is_tag {
                true => one["annotations"][TAG] == reference,
                false => one["digest"] == manifest.digest.as_str() && one["annotations"][TAG].is_null(),
            };
            manifests.retain(|one| !is_same(one));
            manifests.push(entry);
        }
        self.write_index(&index)?;
        Ok(Kept::ByNobody)
    }
}
