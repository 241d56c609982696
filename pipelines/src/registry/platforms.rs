//! What an image of a registry can run on, without pulling it: <https://github.com/opencontainers/image-spec/blob/main/image-index.md>
//! names a platform for each of its images, and <https://github.com/opencontainers/image-spec/blob/main/config.md> the one of an image.

use hyper::Method;
use scanners::attest::Registry as _;
use serde_json::Value as Json;

use super::{RegistryError, Remote, digest};

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
}

impl Platform {
    fn of(json: &Json) -> Option<Self> {
        let text = |key: &str| json[key].as_str().filter(|text| !text.is_empty() && *text != "unknown");
        Some(Self { os: text("os")?.to_owned(), architecture: text("architecture")?.to_owned() })
    }
}

impl Remote {
    /// The platforms of an image by its digest; `None`: there is no such image. Empty: it does not say.
    ///
    /// # Errors
    /// The registry cannot be asked, or lets nobody in.
    pub fn platforms(&mut self, image: &str) -> Result<Option<Vec<Platform>>, RegistryError> {
        let Some(bytes) = self.manifest(image)? else { return Ok(None) };
        if digest(&bytes) != image {
            return Err(RegistryError::Digest { host: self.host.clone(), digest: image.to_owned() });
        }
        let manifest: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(images) = manifest["manifests"].as_array() {
            // Attestations are listed as well, of platform `unknown/unknown`.
            return Ok(Some(images.iter().filter_map(|one| Platform::of(&one["platform"])).collect()));
        }
        let Some(config) = manifest["config"]["digest"].as_str() else { return Ok(Some(Vec::new())) };
        let config: Json = serde_json::from_slice(&self.blob_elsewhere(config)?).unwrap_or_default();
        Ok(Some(Platform::of(&config).into_iter().collect()))
    }

    /// A blob, where the registry may say that it is somewhere else, as ECR does. Nothing that is secret goes there.
    fn blob_elsewhere(&mut self, wanted: &str) -> Result<Vec<u8>, RegistryError> {
        let answer = self.ask(&Method::GET, &format!("blobs/{wanted}"), &[], Vec::new())?;
        let answer = match answer.header("location").filter(|_| (301..=308).contains(&answer.status)) {
            Some(place) => {
                let asked = self.runtime.block_on(self.asker.ask(Method::GET, place, &[], Vec::new()));
                asked.map_err(|reason| RegistryError::Unreachable { host: self.host.clone(), reason })?
            }
            None => answer,
        };
        if answer.status != 200 {
            return Err(self.refused("a blob", &answer));
        }
        if digest(&answer.body) != wanted {
            return Err(RegistryError::Digest { host: self.host.clone(), digest: wanted.to_owned() });
        }
        Ok(answer.body.to_vec())
    }
}
