//! Images: manifests by the digest of their bytes, tags that may not move where a repository says so.

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::ids::sha256;
use crate::value::{Input as _, Time, stamp};
use crate::world::World;

/// An image.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) manifest: String,
    pub(crate) media_type: String,
    pub(crate) pushed: Time,
}

impl Image {
    /// Bytes of its configuration and layers.
    fn size(&self) -> i64 {
        let parsed: Value = serde_json::from_str(&self.manifest).unwrap_or_default();
        let layers: i64 = parsed.items("layers").iter().filter_map(|layer| layer.int("size")).sum();
        layers + parsed.get("config").and_then(|config| config.int("size")).unwrap_or(0)
    }
}

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

impl World {
    /// Keeps a manifest, under a tag if one is named. Gives its digest.
    ///
    /// # Errors
    /// The tag is another image's and may not move, contents are missing, or the image is there already.
    pub(crate) fn put_image(
        &mut self,
        place: (&str, &str),
        manifest: &str,
        media_type: Option<&str>,
        tag: Option<&str>,
    ) -> Result<String, AwsError> {
        let (name, region) = place;
        let digest = format!("sha256:{}", sha256(manifest.as_bytes()));
        let parsed: Value = serde_json::from_str(manifest)
            .map_err(|error| AwsError::invalid(format!("Invalid parameter at 'imageManifest': {error}")))?;
        let repository = self.repository(name, region)?;
        self.check_contents(repository, &parsed)?;
        if let Some(known) = tag.and_then(|tag| repository.tags.get(tag)) {
            let tag = tag.unwrap_or_default();
            if *known == digest {
                let message = format!(
                    "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{name}' in registry with id '{}'",
                    self.settings.account
                );
                return refuse("ImageAlreadyExistsException", message);
            }
            if repository.is_immutable {
                let message = format!(
                    "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable."
                );
                return refuse("ImageTagAlreadyExistsException", message);
            }
        }
        let named = media_type.or_else(|| parsed.text("mediaType")).unwrap_or(DOCKER).to_owned();
        let image = Image { manifest: manifest.to_owned(), media_type: named, pushed: self.now };
        let repository = self.repository_mut(name, region)?;
        repository.images.entry(digest.clone()).or_insert(image);
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), digest.clone());
        }
        self.replicate(name, region, &digest);
        Ok(digest)
    }

    /// All that a manifest names is there.
    fn check_contents(&self, repository: &super::Repository, manifest: &Value) -> Result<(), AwsError> {
        let digests = |key: &str| -> Vec<String> {
            manifest.items(key).iter().filter_map(|one| one.text("digest").map(str::to_owned)).collect()
        };
        if let Some(missing) = digests("manifests").iter().find(|digest| !repository.images.contains_key(*digest)) {
            return refuse(
                "ReferencedImagesNotFoundException",
                format!("The referenced image does not exist: {missing}"),
            );
        }
        let config = manifest.get("config").and_then(|config| config.text("digest")).map(str::to_owned);
        match digests("layers").into_iter().chain(config).find(|digest| !self.ecr.blobs.contains_key(digest)) {
            Some(missing) => refuse("LayersNotFoundException", format!("The layer does not exist: {missing}")),
            None => Ok(()),
        }
    }

    pub(super) fn put_image_call(&mut self, input: &Value, region: &str) -> Answer {
        let (name, manifest) = (input.need("repositoryName")?, input.need("imageManifest")?);
        let (tag, stated) = (input.text("imageTag"), input.text("imageDigest"));
        let actual = format!("sha256:{}", sha256(manifest.as_bytes()));
        if stated.is_some_and(|stated| stated != actual) {
            let message = format!("The digest of the manifest is '{actual}', not the one that was stated");
            return refuse("ImageDigestDoesNotMatchException", message);
        }
        let digest = self.put_image((name, region), manifest, input.text("imageManifestMediaType"), tag)?;
        Ok(json!({ "image": self.describe_content(name, region, &digest, tag)? }))
    }

    fn describe_content(&self, name: &str, region: &str, digest: &str, tag: Option<&str>) -> Answer {
        let repository = self.repository(name, region)?;
        let image = &repository.images[digest];
        Ok(json!({
            "registryId": self.settings.account, "repositoryName": name,
            "imageId": { "imageDigest": digest, "imageTag": tag },
            "imageManifest": image.manifest, "imageManifestMediaType": image.media_type,
        }))
    }

    /// The digest that an image id means.
    fn image_digest(repository: &super::Repository, id: &Value) -> Result<String, (&'static str, &'static str)> {
        match (id.text("imageDigest"), id.text("imageTag")) {
            (None, None) => {
                Err(("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"))
            }
            (Some(digest), tag) => {
                if !digest.starts_with("sha256:") || digest.len() != 71 {
                    return Err(("InvalidImageDigest", "Invalid image digest"));
                }
                if !repository.images.contains_key(digest) {
                    return Err(("ImageNotFound", "Requested image not found"));
                }
                if tag.is_some_and(|tag| repository.tags.get(tag).map(String::as_str) != Some(digest)) {
                    return Err(("ImageTagDoesNotMatchDigest", "The tag does not match the digest"));
                }
                Ok(digest.to_owned())
            }
            (None, Some(tag)) => {
                repository.tags.get(tag).cloned().ok_or(("ImageNotFound", "Requested image not found"))
            }
        }
    }

    pub(super) fn batch_get_image(&self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        let repository = self.repository(name, region)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in input.items("imageIds") {
            match Self::image_digest(repository, id) {
                Ok(digest) => images.push(self.describe_content(name, region, &digest, id.text("imageTag"))?),
                Err((code, reason)) => {
                    failures.push(json!({ "imageId": id, "failureCode": code, "failureReason": reason }))
                }
            }
        }
        Ok(json!({ "images": images, "failures": failures }))
    }

    pub(super) fn describe_images(&self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        let repository = self.repository(name, region)?;
        let mut digests = Vec::new();
        for id in input.items("imageIds") {
            let digest = Self::image_digest(repository, id).map_err(|_| {
                let message = format!(
                    "The image with imageId {id} does not exist within the repository with name '{name}' in the registry with id '{}'",
                    self.settings.account
                );
                AwsError::new("ImageNotFoundException", message)
            })?;
            digests.push(digest);
        }
        if input.items("imageIds").is_empty() {
            digests = repository.images.keys().cloned().collect();
        }
        let wanted = input.get("filter").and_then(|filter| filter.text("tagStatus")).unwrap_or("ANY").to_owned();
        let mut all = Vec::new();
        for digest in digests {
            let image = &repository.images[&digest];
            let tags: Vec<_> =
                repository.tags.iter().filter(|(_, known)| **known == digest).map(|(tag, _)| tag).collect();
            if (wanted == "TAGGED" && tags.is_empty()) || (wanted == "UNTAGGED" && !tags.is_empty()) {
                continue;
            }
            all.push(json!({
                "registryId": self.settings.account, "repositoryName": name, "imageDigest": digest,
                "imageTags": if tags.is_empty() { Value::Null } else { json!(tags) }, "imageSizeInBytes": image.size(),
                "imagePushedAt": stamp(image.pushed), "imageManifestMediaType": image.media_type,
            }));
        }
        Ok(json!({ "imageDetails": all }))
    }

    pub(super) fn list_images(&self, input: &Value, region: &str) -> Answer {
        let repository = self.repository(input.need("repositoryName")?, region)?;
        let mut ids: Vec<_> =
            repository.tags.iter().map(|(tag, digest)| json!({ "imageDigest": digest, "imageTag": tag })).collect();
        let untagged =
            repository.images.keys().filter(|digest| !repository.tags.values().any(|known| known == *digest));
        ids.extend(untagged.map(|digest| json!({ "imageDigest": digest })));
        Ok(json!({ "imageIds": ids }))
    }

    pub(super) fn batch_delete_image(&mut self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        let (mut gone, mut failures) = (Vec::new(), Vec::new());
        for id in input.items("imageIds") {
            let repository = self.repository_mut(name, region)?;
            match Self::image_digest(repository, id) {
                Ok(digest) => {
                    match id.text("imageTag") {
                        Some(tag) => {
                            repository.tags.remove(tag);
                        }
                        None => repository.tags.retain(|_, known| *known != digest),
                    }
                    if !repository.tags.values().any(|known| *known == digest) {
                        repository.images.remove(&digest);
                    }
                    gone.push(json!({ "imageDigest": digest, "imageTag": id.text("imageTag") }));
                }
                Err((code, reason)) => {
                    failures.push(json!({ "imageId": id, "failureCode": code, "failureReason": reason }))
                }
            }
        }
        Ok(json!({ "imageIds": gone, "failures": failures }))
    }
}
