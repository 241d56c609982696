//! An image of this machine's Docker into a registry: what is there is not sent, and what was sent is read again.
//!
//! An image is the same as one of a registry if its configuration is (classic image store) or its manifest (containerd's). So
//! whether anything has to be sent is known by asking for a manifest, and a tag beside the first is a manifest that is put once
//! more. Docker looks at each layer before it sends it. What comes out is a digest that the registry itself was asked for.

mod name;
mod tags;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::PushImageOptionsBuilder;
use engine::image::to_the_end;
use engine::outbound::{Asker, Proxies};
use futures_util::StreamExt as _;
use scanners::attest::{Manifest, Registry as _};
use serde_json::Value as Json;
use tokio::runtime::Handle;

use crate::docker::{Docker, words};
use crate::registry::{Login, Reference, RegistryError, Remote};

use self::name::Name;
pub use self::tags::tags;

/// Attempts of sending; Docker tries each layer five times by itself.
const ATTEMPTS: u32 = 3;
/// The pause before another attempt, once for each before it.
const PAUSE: Duration = Duration::from_secs(2);

/// What is to go where.
#[derive(Debug, Clone)]
pub struct Push {
    /// The image, as this machine's Docker knows it.
    pub image: String,
    /// Its id, if it must be this one: what was scanned.
    pub must_be: Option<String>,
    /// The registry: `HOST` or `HOST:PORT`.
    pub host: String,
    /// The repository: `shop/orders`.
    pub repository: String,
    /// Its tags, at least one.
    pub tags: Vec<String>,
    /// Whether a tag that another image has may be taken from it.
    pub may_move: bool,
    /// Who pushes.
    pub login: Option<Login>,
    /// Whether the engine has the image under the registry's name from now on; else its names are those that it had before.
    pub keeps_name: bool,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of its manifest, as the registry has it.
    pub digest: String,
    /// Whether nothing had to be sent.
    pub was_there: bool,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// Its id on this machine.
    pub id: String,
}

/// Why it is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// This machine has no such image.
    #[error("image {0} is not on this machine: build it first (`pipe/docker-build`), or pull it")]
    NoImage(String),
    /// A name means another image than it did.
    #[error(
        "image {image} is {is}, and what was scanned is {scanned}: the tag was moved in between. Nothing was pushed; scan and push by \
         the image's id"
    )]
    Moved {
        /// The name.
        image: String,
        /// What it is now.
        is: String,
        /// What it was.
        scanned: String,
    },
    /// The tag is another one's.
    #[error(
        "tag `{tag}` of {name} already means {digest}, which is another image: nothing was pushed. Tags of releases are not moved; \
         push under a new one"
    )]
    TagTaken {
        /// Which.
        tag: String,
        /// `HOST/NAME`.
        name: String,
        /// What it means.
        digest: String,
    },
    /// What came back is not what was sent.
    #[error("the registry has {read} under `{tag}`, and {sent} was sent: somebody else pushes the same tag")]
    Differs {
        /// Which tag.
        tag: String,
        /// What was sent.
        sent: String,
        /// What is there.
        read: String,
    },
    /// The registry says no, or nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The engine says no.
    #[error("{0}")]
    Engine(String),
}

impl Push {
    /// `HOST/NAME`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    fn reference(&self) -> Reference {
        let (host, repository) = (self.host.clone(), self.repository.clone());
        Reference { host, repository, reference: self.tags.first().cloned().unwrap_or_default() }
    }

    /// Does it. `say` is told what a person wants to see.
    ///
    /// # Errors
    /// See [`PushError`]; nothing is half-done that a second push would not complete.
    pub async fn run(&self, docker: &Docker, mut say: impl FnMut(&str)) -> Result<Pushed, PushError> {
        let image = self.image(docker).await?;
        let id = image.id.clone().unwrap_or_default();
        if let Some(scanned) = self.must_be.clone().filter(|scanned| *scanned != id) {
            return Err(PushError::Moved { image: self.image.clone(), is: id, scanned });
        }
        let asker = Asker::by(Proxies::default()).map_err(|error| PushError::Engine(error.to_string()))?;
        let mut there = Remote::new(asker, Handle::current(), &self.reference(), self.login.clone());
        let (push, known) = (self.clone(), Known::of(&image, &self.name()));
        let (mut there, found) = asked(move || {
            let found = push.look(&mut there, &known);
            (there, found)
        })
        .await?;
        let found = found?;
        let (was_there, digest) = match found.digest {
            Some(digest) => (true, digest),
            None => (false, self.send(docker, &id, &mut say).await?),
        };
        let push = self.clone();
        let (wanted, put) = (digest.clone(), found.tags_missing);
        // The first tag came with what was sent.
        asked(move || push.tag_all(&mut there, &wanted, &put)).await??;
        let (os, architecture) = (image.os.unwrap_or_default(), image.architecture.unwrap_or_default());
        Ok(Pushed { digest, was_there, os, architecture, id })
    }

    async fn image(&self, docker: &Docker) -> Result<ImageInspect, PushError> {
        use bollard::errors::Error;
        let found = docker.client.inspect_image(&self.image).await;
        found.map_err(|error| {
            if matches!(&error, Error::DockerResponseServerError { status_code: 404, .. }) {
                PushError::NoImage(self.image.clone())
            } else {
                PushError::Engine(format!("Docker does not show image {}: {}", self.image, words(&error)))
            }
        })
    }

    /// What the registry has of it already. Waits, so not in a thread of the runtime.
    fn look(&self, there: &mut Remote, known: &Known) -> Result<Found, PushError> {
        let (mut digest, mut tags_missing) = (None, Vec::new());
        for tag in &self.tags {
            let Some(bytes) = scanners::attest::Registry::manifest(there, tag)? else {
                tags_missing.push(tag.clone());
                continue;
            };
            let means = crate::registry::digest(&bytes);
            if known.is(&bytes, &means) {
                digest = Some(means);
            } else if self.may_move {
                tags_missing.push(tag.clone());
            } else {
                return Err(PushError::TagTaken { tag: tag.clone(), name: self.name(), digest: means });
            }
        }
        // Under none of these tags, but it may be there by what an earlier push said.
        for earlier in &known.digests {
            if digest.is_none() && scanners::attest::Registry::manifest(there, earlier)?.is_some() {
                digest = Some(earlier.clone());
            }
        }
        Ok(Found { digest, tags_missing })
    }

    /// Gives it the tags that it has not, and reads all of them again.
    fn tag_all(&self, there: &mut Remote, digest: &str, missing: &[String]) -> Result<(), PushError> {
        let kind = there.descriptor(digest)?.media_type;
        let gone = || PushError::Engine(format!("{}@{digest} was there and is not any more", self.name()));
        let bytes = scanners::attest::Registry::manifest(there, digest)?.ok_or_else(gone)?;
        let manifest = Manifest { media_type: kind, digest: digest.to_owned(), bytes };
        for tag in &self.tags {
            if missing.contains(tag) && self.meaning(there, tag)?.as_deref() != Some(digest) {
                there.put_manifest(tag, &manifest)?;
            }
            let read = self.meaning(there, tag)?.unwrap_or_default();
            if read != digest {
                return Err(PushError::Differs { tag: tag.clone(), sent: digest.to_owned(), read });
            }
        }
        Ok(())
    }

    fn meaning(&self, there: &mut Remote, tag: &str) -> Result<Option<String>, PushError> {
        let bytes = scanners::attest::Registry::manifest(there, tag)?;
        Ok(bytes.map(|bytes| crate::registry::digest(&bytes)))
    }

    /// Sends it under its first tag; what the engine says that its digest is.
    async fn send(&self, docker: &Docker, id: &str, say: &mut impl FnMut(&str)) -> Result<String, PushError> {
        let (name, tag) = (self.name(), self.tags.first().cloned().unwrap_or_default());
        let place = (name.clone(), tag.clone());
        let given = Name::give(docker, (&self.image, id), place, self.keeps_name).await?;
        let sent = self.send_until(docker, &given, (&name, &tag), say).await;
        if let Some(words) = given.take_back().await {
            say(&words);
        }
        sent
    }

    async fn send_until(
        &self,
        docker: &Docker,
        given: &Name,
        (name, tag): (&str, &str),
        say: &mut impl FnMut(&str),
    ) -> Result<String, PushError> {
        let mut attempt = 1;
        loop {
            match self.send_once(docker, name, tag, say).await {
                Err(said) if attempt < ATTEMPTS && may_pass(&said) => {
                    say(&format!("The push broke off ({said}); trying again"));
                    tokio::time::sleep(PAUSE * attempt).await;
                    // Whoever sent the same one may have taken the name away; if it cannot be given the next attempt says why.
                    let _said_then = given.tag(&self.image).await;
                    attempt += 1;
                }
                Err(said) => return Err(PushError::Engine(explained(name, tag, &said))),
                Ok(digest) => return Ok(digest),
            }
        }
    }

    async fn send_once(
        &self,
        docker: &Docker,
        name: &str,
        tag: &str,
        say: &mut impl FnMut(&str),
    ) -> Result<String, String> {
        let options = PushImageOptionsBuilder::default().tag(tag).build();
        let login = self.login.as_ref().map(|login| DockerCredentials {
            username: Some(login.user.clone()),
            password: Some(login.password.expose().to_owned()),
            serveraddress: Some(self.host.clone()),
            ..DockerCredentials::default()
        });
        let mut pieces = std::pin::pin!(to_the_end(docker.client.push_image(name, Some(options), login)));
        let mut digest = None;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| words(&error))?;
            if let Some(error) = piece.error_detail.and_then(|detail| detail.message) {
                return Err(error);
            }
            let status = piece.status.unwrap_or_default();
            // `v1: digest: sha256:… size: 528`
            if let Some((_, rest)) = status.split_once("digest: ") {
                digest = rest.split(' ').next().map(str::to_owned);
                say(&status);
            }
        }
        digest.ok_or_else(|| "Docker ended the push without a digest".to_owned())
    }
}

/// What a registry has.
#[derive(Debug)]
struct Found {
    digest: Option<String>,
    tags_missing: Vec<String>,
}

/// By what an image is known in a registry.
#[derive(Debug)]
struct Known {
    id: String,
    digests: Vec<String>,
}

impl Known {
    fn of(image: &ImageInspect, name: &str) -> Self {
        let digests = image.repo_digests.iter().flatten();
        let of = digests.filter_map(|one| one.split_once('@').filter(|(of, _)| *of == name));
        Self { id: image.id.clone().unwrap_or_default(), digests: of.map(|(_, digest)| digest.to_owned()).collect() }
    }

    fn is(&self, manifest: &[u8], digest: &str) -> bool {
        let json: Json = serde_json::from_slice(manifest).unwrap_or_default();
        let config = json.pointer("/config/digest").and_then(Json::as_str).unwrap_or_default();
        !self.id.is_empty() && (self.id == config || self.id == digest) || self.digests.iter().any(|one| one == digest)
    }
}

/// What waits, on a thread that may.
async fn asked<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PushError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| PushError::Engine(format!("asking the registry broke off: {error}")))
}

fn may_pass(said: &str) -> bool {
    [
        "does not exist locally",
        "EOF",
        "connection reset",
        "i/o timeout",
        "TLS handshake timeout",
        " 500",
        " 502",
        " 503",
        "toomanyrequests",
    ]
    .iter()
    .any(|part| said.contains(part))
}

/// What the engine says, with what to do.
fn explained(name: &str, tag: &str, said: &str) -> String {
    let host = name.split('/').next().unwrap_or(name);
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    let hint = if has(&["no basic auth credentials", "unauthorized", "denied", "authorization token has expired"]) {
        format!("the registry {host} does not let this name push: look at its name, password and rights")
    } else if has(&["name unknown", "does not exist", "repository not found"]) {
        format!("the repository {name} does not exist: create it, or write `create-repository: true`")
    } else if has(&["immutable", "already exists"]) {
        format!("tag `{tag}` of {name} exists and is never moved: push under a new one")
    } else if has(&["server gave HTTP response to HTTPS client"]) {
        format!("{host} speaks no TLS: add it to `insecure-registries` of the Docker engine, or give it a certificate")
    } else {
        return format!("{name}:{tag} was not pushed: {said}");
    };
    format!("{hint} ({said})")
}
