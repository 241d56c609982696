//! ECR: repositories and images. The registry that `docker push` speaks to is beside it, over the same state. Contents are
//! kept once; which images a region has is kept for each.

mod images;
mod layers;
mod lifecycle;
pub(crate) mod registry;
mod replication;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time, stamp};
use crate::world::World;

pub(crate) use images::Image;

/// A token for the registry is good for so long.
const TOKEN_TIME: Time = 12 * 3_600_000;

/// Everything of ECR.
#[derive(Debug, Default)]
pub(crate) struct Ecr {
    /// By region and name.
    pub(crate) repositories: BTreeMap<(String, String), Repository>,
    /// Layers and configurations, by digest.
    pub(crate) blobs: BTreeMap<String, bytes::Bytes>,
    /// What is being uploaded.
    pub(crate) uploads: BTreeMap<String, Vec<u8>>,
    /// Passwords for the registry.
    tokens: BTreeSet<String>,
    replication: Option<Value>,
    /// Images on their way to other regions.
    on_the_way: Vec<replication::Copying>,
    /// Tests let it never end.
    pub(crate) replication_hangs: bool,
}

/// A repository.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    arn: String,
    created: Time,
    is_immutable: bool,
    scan_on_push: bool,
    policy: Option<String>,
    /// By digest.
    pub(crate) images: BTreeMap<String, Image>,
    /// Digests by tag.
    pub(crate) tags: BTreeMap<String, String>,
}

impl Repository {
    /// The digest that a tag or a digest means.
    pub(crate) fn resolve(&self, reference: &str) -> Option<&String> {
        self.tags.get(reference).or_else(|| self.images.get_key_value(reference).map(|(digest, _)| digest))
    }
}

impl World {
    /// Answers ECR of a region.
    pub(crate) fn ecr(&mut self, operation: &str, input: &Value, region: &str) -> Answer {
        match operation {
            "GetAuthorizationToken" => {
                let password = self.ids.hex(48);
                self.ecr.tokens.insert(password.clone());
                let token = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
                Ok(json!({ "authorizationData": [{
                    "authorizationToken": token, "expiresAt": stamp(self.now + TOKEN_TIME),
                    "proxyEndpoint": self.settings.endpoint,
                }]}))
            }
            "CreateRepository" => self.create_repository(input, region),
            "DescribeRepositories" => self.describe_repositories(input, region),
            "DeleteRepository" => self.delete_repository(input, region),
            "PutImageTagMutability" => {
                let name = input.need("repositoryName")?.to_owned();
                let mutability = input.need("imageTagMutability")?.to_owned();
                self.repository_mut(&name, region)?.is_immutable = mutability == "IMMUTABLE";
                Ok(
                    json!({ "registryId": self.settings.account, "repositoryName": name, "imageTagMutability": mutability }),
                )
            }
            "PutImage" => self.put_image_call(input, region),
            "BatchGetImage" => self.batch_get_image(input, region),
            "DescribeImages" => self.describe_images(input, region),
            "ListImages" => self.list_images(input, region),
            "BatchDeleteImage" => self.batch_delete_image(input, region),
            "BatchCheckLayerAvailability" => self.check_layers(input, region),
            "InitiateLayerUpload" => self.initiate_upload(input, region),
            "UploadLayerPart" => self.upload_part(input, region),
            "CompleteLayerUpload" => self.complete_upload(input, region),
            "GetDownloadUrlForLayer" => {
                let (name, digest) = (input.need("repositoryName")?, input.need("layerDigest")?);
                self.repository(name, region)?;
                let url = format!("{}/v2/{name}/blobs/{digest}", self.settings.endpoint);
                Ok(json!({ "downloadUrl": url, "layerDigest": digest }))
            }
            "PutLifecyclePolicy" => self.put_lifecycle_policy(input, region),
            "GetLifecyclePolicy" => self.get_lifecycle_policy(input, region),
            "DeleteLifecyclePolicy" => self.delete_lifecycle_policy(input, region),
            "StartLifecyclePolicyPreview" | "GetLifecyclePolicyPreview" => {
                self.lifecycle_preview(operation, input, region)
            }
            "PutReplicationConfiguration" => self.put_replication(input),
            "DescribeRegistry" => Ok(json!({
                "registryId": self.settings.account,
                "replicationConfiguration": self.ecr.replication.clone().unwrap_or_else(|| json!({ "rules": [] })),
            })),
            "DescribeImageReplicationStatus" => self.replication_status(input, region),
            "ListTagsForResource" => Ok(json!({ "tags": [] })),
            "TagResource" => Ok(json!({})),
            other => Err(AwsError::unknown("ECR", other)),
        }
    }

    fn no_repository(&self, name: &str) -> AwsError {
        let message = format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            self.settings.account
        );
        AwsError::new("RepositoryNotFoundException", message)
    }

    pub(crate) fn repository(&self, name: &str, region: &str) -> Result<&Repository, AwsError> {
        self.ecr.repositories.get(&(region.to_owned(), name.to_owned())).ok_or_else(|| self.no_repository(name))
    }

    fn repository_mut(&mut self, name: &str, region: &str) -> Result<&mut Repository, AwsError> {
        let missing = self.no_repository(name);
        self.ecr.repositories.get_mut(&(region.to_owned(), name.to_owned())).ok_or(missing)
    }

    /// A password for the fake's own pulls.
    pub(crate) fn own_registry_password(&mut self) -> String {
        let password = self.ids.hex(48);
        self.ecr.tokens.insert(password.clone());
        password
    }

    /// Whether a password was given out by `GetAuthorizationToken`.
    pub(crate) fn is_registry_password(&self, password: &str) -> bool {
        self.ecr.tokens.contains(password)
    }

    fn new_repository(&self, name: &str, region: &str) -> Repository {
        Repository {
            arn: format!("arn:aws:ecr:{region}:{}:repository/{name}", self.settings.account),
            created: self.now,
            is_immutable: false,
            scan_on_push: false,
            policy: None,
            images: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    fn create_repository(&mut self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?.to_owned();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        if name.len() < 2 || !name.chars().all(allowed) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let message = format!("Invalid parameter at 'repositoryName' failed to satisfy constraint: '{name}'");
            return Err(AwsError::invalid(message));
        }
        if self.repository(&name, region).is_ok() {
            let message = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                self.settings.account
            );
            return refuse("RepositoryAlreadyExistsException", message);
        }
        let mut repository = self.new_repository(&name, region);
        repository.is_immutable = input.text("imageTagMutability") == Some("IMMUTABLE");
        let scanning = input.get("imageScanningConfiguration");
        repository.scan_on_push = scanning.and_then(|one| one.flag("scanOnPush")).unwrap_or(false);
        self.ecr.repositories.insert((region.to_owned(), name.clone()), repository);
        Ok(json!({ "repository": self.describe_repository(&name, region)? }))
    }

    fn describe_repository(&self, name: &str, region: &str) -> Answer {
        let repository = self.repository(name, region)?;
        let host = self.settings.endpoint.split_once("//").map_or("", |(_, host)| host);
        Ok(json!({
            "repositoryArn": repository.arn, "registryId": self.settings.account, "repositoryName": name,
            "repositoryUri": format!("{host}/{name}"), "createdAt": stamp(repository.created),
            "imageTagMutability": if repository.is_immutable { "IMMUTABLE" } else { "MUTABLE" },
            "imageScanningConfiguration": { "scanOnPush": repository.scan_on_push },
            "encryptionConfiguration": { "encryptionType": "AES256" },
        }))
    }

    fn describe_repositories(&self, input: &Value, region: &str) -> Answer {
        let mut names = input.texts("repositoryNames");
        if names.is_empty() {
            names = self
                .ecr
                .repositories
                .keys()
                .filter(|(known, _)| known == region)
                .map(|(_, name)| name.clone())
                .collect();
        }
        let all: Result<Vec<_>, _> = names.iter().map(|name| self.describe_repository(name, region)).collect();
        Ok(json!({ "repositories": all? }))
    }

    fn delete_repository(&mut self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?.to_owned();
        let described = self.describe_repository(&name, region)?;
        if !self.repository(&name, region)?.images.is_empty() && !input.flag("force").unwrap_or(false) {
            let message =
                format!("The repository with name '{name}' cannot be deleted because it still contains images");
            return refuse("RepositoryNotEmptyException", message);
        }
        self.ecr.repositories.remove(&(region.to_owned(), name));
        Ok(json!({ "repository": described }))
    }
}
