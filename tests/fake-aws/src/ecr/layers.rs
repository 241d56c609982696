//! Layers, uploaded by calls of ECR's own API.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::ids::sha256;
use crate::value::Input as _;
use crate::world::World;

impl World {
    pub(super) fn check_layers(&self, input: &Value, region: &str) -> Answer {
        self.repository(input.need("repositoryName")?, region)?;
        let state = |digest: &String| {
            let blob = self.ecr.blobs.get(digest);
            json!({
                "layerDigest": digest, "layerAvailability": if blob.is_some() { "AVAILABLE" } else { "UNAVAILABLE" },
                "layerSize": blob.map(bytes::Bytes::len), "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
            })
        };
        let all: Vec<_> = input.texts("layerDigests").iter().map(state).collect();
        Ok(json!({ "layers": all, "failures": [] }))
    }

    pub(super) fn initiate_upload(&mut self, input: &Value, region: &str) -> Answer {
        self.repository(input.need("repositoryName")?, region)?;
        let id = self.ids.uuid();
        self.ecr.uploads.insert(id.clone(), Vec::new());
        Ok(json!({ "uploadId": id, "partSize": 10_485_760 }))
    }

    fn upload(&mut self, input: &Value) -> Result<&mut Vec<u8>, AwsError> {
        let id = input.need("uploadId")?;
        let missing = || AwsError::new("UploadNotFoundException", format!("The upload {id} does not exist"));
        self.ecr.uploads.get_mut(id).ok_or_else(missing)
    }

    pub(super) fn upload_part(&mut self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        self.repository(name, region)?;
        let (first, last) =
            (input.int("partFirstByte").unwrap_or_default(), input.int("partLastByte").unwrap_or_default());
        let decoded = base64::engine::general_purpose::STANDARD.decode(input.need("layerPartBlob")?);
        let part = decoded.map_err(|error| AwsError::invalid(format!("layerPartBlob is not base64: {error}")))?;
        let account = self.settings.account.clone();
        let upload = self.upload(input)?;
        let fits = usize::try_from(first) == Ok(upload.len()) && usize::try_from(last - first + 1) == Ok(part.len());
        if !fits {
            let message = format!("The part has {} bytes and does not begin at {}", part.len(), upload.len());
            return refuse("InvalidLayerPartException", message);
        }
        upload.extend_from_slice(&part);
        Ok(
            json!({ "registryId": account, "repositoryName": name, "uploadId": input.text("uploadId"), "lastByteReceived": last }),
        )
    }

    pub(super) fn complete_upload(&mut self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        self.repository(name, region)?;
        let content = self.upload(input)?.clone();
        if content.is_empty() {
            return refuse("EmptyUploadException", "The upload has no parts");
        }
        let digest = format!("sha256:{}", sha256(&content));
        let stated = input.texts("layerDigests");
        if !stated.contains(&digest) {
            return refuse(
                "InvalidLayerException",
                format!("The layer's digest is {digest}, not {}", stated.join(", ")),
            );
        }
        if self.ecr.blobs.contains_key(&digest) {
            return refuse("LayerAlreadyExistsException", format!("The layer {digest} already exists"));
        }
        self.ecr.blobs.insert(digest.clone(), content.into());
        self.ecr.uploads.remove(input.need("uploadId")?);
        Ok(json!({
            "registryId": self.settings.account, "repositoryName": name, "uploadId": input.text("uploadId"), "layerDigest": digest,
        }))
    }
}
