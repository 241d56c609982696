//! ECR: repositories, passwords for a push, what tags mean, replication, and what is kept.

use std::fmt;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{ImageIdentifier, ImageScanningConfiguration, ImageTagMutability, ReplicationStatus};

use crate::cloud::Service;
use crate::patience::{changing, reading};
use crate::problem::Asked;
use crate::{Cloud, Fault, Problem};

/// The repositories of one region.
#[derive(Debug, Clone)]
pub struct Ecr {
    client: Client,
    region: String,
    /// Whose; empty: the account of the keys.
    registry: Option<String>,
}

/// A name and password for a registry.
#[derive(Clone)]
pub struct RegistryKey {
    /// `123456789012.dkr.ecr.eu-central-1.amazonaws.com`.
    pub host: String,
    /// The name, `AWS`.
    pub user: String,
    /// The password, good for 12 hours.
    pub password: String,
}

impl fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryKey").field("host", &self.host).finish_non_exhaustive()
    }
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// Where images go: `HOST/NAME`.
    pub uri: String,
    /// Whether a tag that exists is never given to another image.
    pub is_immutable: bool,
}

/// How a copy in another region is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Where.
    pub region: String,
    /// How far it is.
    pub state: Replicated,
}

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicated {
    /// It is on its way.
    Not,
    /// It is there.
    Yes,
    /// It will not come.
    Failed {
        /// AWS's word for why.
        why: String,
    },
}

impl Cloud {
    /// The repositories of the region; `registry` is the account that they are of, else the keys' own.
    #[must_use]
    pub fn ecr(&self, registry: Option<&str>) -> Ecr {
        let client = Client::new(&self.config(Service::Ecr));
        Ecr { client, region: self.region().to_owned(), registry: registry.map(str::to_owned) }
    }
}

impl Ecr {
    fn asked<'a>(&'a self, action: &'a str, resource: &'a str) -> Asked<'a> {
        Asked { action, resource, region: &self.region }
    }

    /// Passwords for registries: that of `registries`, accounts of 12 digits, or the keys' own.
    ///
    /// # Errors
    /// As AWS says.
    pub async fn login(&self, registries: &[String]) -> Result<Vec<RegistryKey>, Problem> {
        let asked = self.asked("ecr:GetAuthorizationToken", "the registry");
        // AWS gives one password for all, and calls the list of registries deprecated: hosts are made of accounts.
        let said = reading(|| async {
            self.client.get_authorization_token().send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let wrong = || Problem::plain(Fault::Aws, "AWS gave a password for the registry that cannot be read");
        let mut keys = Vec::new();
        for data in said.authorization_data() {
            let token = data.authorization_token().and_then(decoded).ok_or_else(wrong)?;
            let (user, password) = token.split_once(':').ok_or_else(wrong)?;
            let endpoint = data.proxy_endpoint().unwrap_or_default();
            let host = endpoint.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
            let key = |host: String| RegistryKey { host, user: user.to_owned(), password: password.to_owned() };
            match host.split_once('.') {
                Some((_, rest)) if !registries.is_empty() => {
                    keys.extend(registries.iter().map(|account| key(format!("{account}.{rest}"))));
                }
                Some(_) | None => keys.push(key(host.to_owned())),
            }
        }
        if keys.is_empty() { Err(wrong()) } else { Ok(keys) }
    }

    /// A repository, if it is there.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn repository(&self, name: &str) -> Result<Option<Repository>, Problem> {
        let asked = self.asked("ecr:DescribeRepositories", name);
        let said = reading(|| async {
            let request = self.client.describe_repositories().repository_names(name);
            let request = request.set_registry_id(self.registry.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = match said.await {
            Err(problem) if problem.is("RepositoryNotFoundException") => return Ok(None),
            said => said?,
        };
        let first = said.repositories().first();
        Ok(first.map(|one| Repository {
            name: name.to_owned(),
            uri: one.repository_uri().unwrap_or_default().to_owned(),
            is_immutable: one.image_tag_mutability().is_some_and(|how| *how != ImageTagMutability::Mutable),
        }))
    }

    /// Makes a repository whose tags are never moved, and which AWS scans; one that is there is left as it is.
    ///
    /// # Errors
    /// As AWS says.
    pub async fn create(&self, name: &str) -> Result<(), Problem> {
        let asked = self.asked("ecr:CreateRepository", name);
        let made = changing(|| async {
            let request = self
                .client
                .create_repository()
                .repository_name(name)
                .image_tag_mutability(ImageTagMutability::Immutable)
                .image_scanning_configuration(ImageScanningConfiguration::builder().scan_on_push(true).build());
            let request = request.set_registry_id(self.registry.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        match made.await {
            Err(problem) if problem.is("RepositoryAlreadyExistsException") => Ok(()),
            made => made.map(drop),
        }
    }

    /// What a tag means, if it is there: a digest.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn tag(&self, repository: &str, tag: &str) -> Result<Option<String>, Problem> {
        self.image(repository, ImageIdentifier::builder().image_tag(tag).build()).await
    }

    /// Whether an image is there.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn has(&self, repository: &str, digest: &str) -> Result<bool, Problem> {
        Ok(self.image(repository, ImageIdentifier::builder().image_digest(digest).build()).await?.is_some())
    }

    async fn image(&self, repository: &str, id: ImageIdentifier) -> Result<Option<String>, Problem> {
        let asked = self.asked("ecr:DescribeImages", repository);
        let said = reading(|| async {
            let request = self.client.describe_images().repository_name(repository).image_ids(id.clone());
            let request = request.set_registry_id(self.registry.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        match said.await {
            Err(problem) if problem.is("ImageNotFoundException") => Ok(None),
            said => Ok(said?.image_details().first().and_then(|one| one.image_digest()).map(str::to_owned)),
        }
    }

    /// How copies of an image in other regions are.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn replicas(&self, repository: &str, digest: &str) -> Result<Vec<Replica>, Problem> {
        let asked = self.asked("ecr:DescribeImageReplicationStatus", repository);
        let id = ImageIdentifier::builder().image_digest(digest).build();
        let said = reading(|| async {
            let request = self.client.describe_image_replication_status().repository_name(repository);
            let request = request.image_id(id.clone()).set_registry_id(self.registry.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let replica = |one: &aws_sdk_ecr::types::ImageReplicationStatus| Replica {
            region: one.region().unwrap_or_default().to_owned(),
            state: match one.status() {
                Some(ReplicationStatus::Complete) => Replicated::Yes,
                Some(ReplicationStatus::Failed) => {
                    Replicated::Failed { why: one.failure_code().unwrap_or("no reason is given").to_owned() }
                }
                Some(_) | None => Replicated::Not,
            },
        };
        Ok(said.replication_statuses().iter().map(replica).collect())
    }

    /// Gives an image that is there one more tag. One that the tag has already is fine.
    ///
    /// # Errors
    /// The image is not there, or the tag is another one's.
    pub async fn give_tag(&self, repository: &str, digest: &str, tag: &str) -> Result<(), Problem> {
        let asked = self.asked("ecr:BatchGetImage", repository);
        let id = ImageIdentifier::builder().image_digest(digest).build();
        let said = reading(|| async {
            let request = self.client.batch_get_image().repository_name(repository).image_ids(id.clone());
            let request = request.set_registry_id(self.registry.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let missing = || Problem::plain(Fault::Request, format!("{repository} has no image {digest}"));
        let image = said.images().first().ok_or_else(missing)?;
        let manifest = image.image_manifest().ok_or_else(missing)?;
        let asked = self.asked("ecr:PutImage", repository);
        // The same tag of the same image is the same, so a second time does no harm.
        let put = reading(|| async {
            let request = self.client.put_image().repository_name(repository).image_manifest(manifest);
            let request = request
                .image_digest(digest)
                .image_tag(tag)
                .set_image_manifest_media_type(image.image_manifest_media_type().map(str::to_owned))
                .set_registry_id(self.registry.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        match put.await {
            Err(problem) if problem.is("ImageAlreadyExistsException") => Ok(()),
            put => put.map(drop),
        }
    }

    /// The rules by which images go, as JSON, if there are any.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn lifecycle(&self, repository: &str) -> Result<Option<String>, Problem> {
        let asked = self.asked("ecr:GetLifecyclePolicy", repository);
        let said = reading(|| async {
            let request = self.client.get_lifecycle_policy().repository_name(repository);
            request.set_registry_id(self.registry.clone()).send().await.map_err(|error| Problem::of(&error, asked))
        });
        match said.await {
            Err(problem) if problem.is("LifecyclePolicyNotFoundException") => Ok(None),
            said => Ok(said?.lifecycle_policy_text().map(str::to_owned)),
        }
    }

    /// Sets them.
    ///
    /// # Errors
    /// As AWS says.
    pub async fn set_lifecycle(&self, repository: &str, policy: &str) -> Result<(), Problem> {
        let asked = self.asked("ecr:PutLifecyclePolicy", repository);
        // They are replaced whole, so a second time does no harm.
        let put = reading(|| async {
            let request = self.client.put_lifecycle_policy().repository_name(repository).lifecycle_policy_text(policy);
            request.set_registry_id(self.registry.clone()).send().await.map_err(|error| Problem::of(&error, asked))
        });
        put.await.map(drop)
    }
}

/// Base64 with or without padding.
fn decoded(text: &str) -> Option<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    String::from_utf8(STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?).ok()
}
