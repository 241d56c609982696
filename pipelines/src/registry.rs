//! One repository of a registry, for what is attached to images: manifests and small blobs are read and written, nothing is pulled.
//!
//! Follows <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> 1.1 and the way to tokens of
//! <https://distribution.github.io/distribution/spec/auth/token/>. TLS, and HTTP to this machine.

mod platforms;
#[cfg(test)]
pub(crate) mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::outbound::{Answered, Asker};
use hyper::Method;
use scanners::attest::{Blob, Descriptor, Kept, Manifest, Registry, Source};
use serde_json::Value as Json;
use tokio::runtime::Handle;
use workflow::secret::Secret;

pub use self::platforms::Platform;

/// What manifests may be.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Longest manifest, and longest blob, that is read.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// An image by its registry, repository and digest or tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `registry.example:5000`.
    pub host: String,
    /// `shop/orders`.
    pub repository: String,
    /// A tag, or `sha256:…`.
    pub reference: String,
}

/// Why a registry cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// What was named.
    #[error("`{0}` names no image in a registry: write HOST/NAME@sha256:… or HOST/NAME:TAG")]
    Reference(String),
    /// There is no way there, or no answer.
    #[error("the registry {host} cannot be asked: {reason}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        reason: String,
    },
    /// It wants somebody else.
    #[error(
        "the registry {host} lets nobody in: {reason}; `docker login {host}` keeps a name and password that it knows"
    )]
    Denied {
        /// Whom.
        host: String,
        /// What it said.
        reason: String,
    },
    /// It says no.
    #[error("the registry {host} says {status} to {what}: {reason}")]
    Refused {
        /// Whom.
        host: String,
        /// To what.
        what: String,
        /// The status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// What came is not what was asked for.
    #[error("what the registry {host} sends as {digest} is something else")]
    Digest {
        /// Whom.
        host: String,
        /// What was asked for.
        digest: String,
    },
}

impl Reference {
    /// Takes `HOST/NAME@sha256:…` or `HOST/NAME:TAG` apart. A host has a dot or a port, or is `localhost`.
    ///
    /// # Errors
    /// [`RegistryError::Reference`]
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let wrong = || RegistryError::Reference(text.to_owned());
        let (host, rest) = text.split_once('/').ok_or_else(wrong)?;
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let (repository, reference) = match rest.split_once('@') {
            // A tag beside a digest says nothing.
            Some((name, digest)) => (name.split(':').next().unwrap_or(name), digest),
            None => rest.split_once(':').unwrap_or((rest, "latest")),
        };
        let plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let fits = is_host && plain(host, ".:-[]") && plain(repository, "._-/") && plain(reference, "._-:");
        if !fits || repository.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(wrong());
        }
        let [host, repository, reference] = [host, repository, reference].map(str::to_owned);
        Ok(Self { host, repository, reference })
    }

    /// `HOST/NAME`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

/// A name with its password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A repository. It waits where it is called, so not within a runtime's threads.
#[derive(Debug)]
pub struct Remote {
    asker: Asker,
    runtime: Handle,
    host: String,
    repository: String,
    login: Option<Login>,
    /// What is sent with each request, once the registry has asked for it.
    ticket: Option<Secret>,
}

impl Remote {
    /// The repository of an image.
    #[must_use]
    pub fn new(asker: Asker, runtime: Handle, of: &Reference, login: Option<Login>) -> Self {
        let (host, repository) = (of.host.clone(), of.repository.clone());
        Self { asker, runtime, host, repository, login, ticket: None }
    }

    /// Whether the registry takes name and password; one that asks nobody who he is takes any.
    ///
    /// # Errors
    /// It does not, or cannot be asked.
    pub fn check_login(&mut self) -> Result<(), RegistryError> {
        let answer = self.ask_at(&Method::GET, &format!("{}/v2/", self.base()), &[], Vec::new())?;
        if answer.status == 200 { Ok(()) } else { Err(self.refused("a login", &answer)) }
    }

    /// The image as manifests name it.
    ///
    /// # Errors
    /// There is none, or the registry cannot be asked.
    pub fn descriptor(&mut self, reference: &str) -> Result<Descriptor, RegistryError> {
        let accept = [("accept", MANIFESTS.to_owned())];
        let answer = self.ask(&Method::GET, &format!("manifests/{reference}"), &accept, Vec::new())?;
        if answer.status != 200 {
            return Err(self.refused("the manifest", &answer));
        }
        let digest = digest(&answer.body);
        if reference.starts_with("sha256:") && reference != digest {
            return Err(RegistryError::Digest { host: self.host.clone(), digest: reference.to_owned() });
        }
        let media_type = answer.header("content-type").unwrap_or_default().to_owned();
        let (size, annotations) = (answer.body.len() as u64, serde_json::Map::new());
        Ok(Descriptor { media_type, digest, size, artifact_type: None, annotations })
    }

    fn listed(&mut self, image: &str) -> Result<Vec<Descriptor>, RegistryError> {
        let accept = [("accept", MANIFESTS.to_owned())];
        let answer = self.ask(&Method::GET, &format!("referrers/{image}"), &accept, Vec::new())?;
        let text = match answer.status {
            200 => answer.body.to_vec(),
            // Those that know no referrers, each in its way.
            400 | 404 | 405 => match Registry::manifest(self, &image.replace(':', "-"))? {
                Some(text) => text,
                None => return Ok(Vec::new()),
            },
            _ => return Err(self.refused("its referrers", &answer)),
        };
        let listed = serde_json::from_slice::<Json>(&text).ok();
        let listed = listed.and_then(|index| serde_json::from_value(index.get("manifests")?.clone()).ok());
        listed.ok_or_else(|| self.refused("its referrers", &answer))
    }

    fn fetched(&mut self, wanted: &str) -> Result<Vec<u8>, RegistryError> {
        let answer = self.ask(&Method::GET, &format!("blobs/{wanted}"), &[], Vec::new())?;
        if answer.status != 200 {
            return Err(self.refused("a blob", &answer));
        }
        if digest(&answer.body) != wanted {
            return Err(RegistryError::Digest { host: self.host.clone(), digest: wanted.to_owned() });
        }
        Ok(answer.body.to_vec())
    }

    fn base(&self) -> String {
        // As Docker takes it: without TLS on this machine alone.
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        let scheme = if matches!(name, "localhost" | "127.0.0.1" | "[::1]") { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }

    /// Asks below the repository, a second time if the registry wants to know who asks.
    fn ask(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answered, RegistryError> {
        let url = format!("{}/v2/{}/{path}", self.base(), self.repository);
        self.ask_at(method, &url, headers, body)
    }

    fn ask_at(
        &mut self,
        method: &Method,
        url: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answered, RegistryError> {
        let answer = self.once(method, url, headers, body.clone())?;
        let Some(challenge) = (answer.status == 401).then(|| answer.header("www-authenticate")).flatten() else {
            return Ok(answer);
        };
        self.ticket = Some(self.ticket(challenge)?);
        let answer = self.once(method, url, headers, body)?;
        if answer.status != 401 {
            return Ok(answer);
        }
        Err(RegistryError::Denied { host: self.host.clone(), reason: words(&answer.body) })
    }

    fn once(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answered, RegistryError> {
        let mut all = headers.to_vec();
        if let Some(ticket) = &self.ticket {
            all.push(("authorization", ticket.expose().to_owned()));
        }
        let asked = self.runtime.block_on(self.asker.ask(method.clone(), url, &all, body));
        asked.map_err(|reason| RegistryError::Unreachable { host: self.host.clone(), reason })
    }

    /// What the registry wants to see, by its challenge (RFC 9110, section 11.6.1).
    fn ticket(&self, challenge: &str) -> Result<Secret, RegistryError> {
        let denied = |reason: String| RegistryError::Denied { host: self.host.clone(), reason };
        let basic = self
            .login
            .as_ref()
            .map(|login| format!("Basic {}", STANDARD.encode(format!("{}:{}", login.user, login.password.expose()))));
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return basic.map(Secret::new).ok_or_else(|| denied("no name and password are known".to_owned()));
        }
        let value = |name: &str| parameter(rest, name);
        let realm = value("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"));
        let realm = realm.ok_or_else(|| denied(format!("it asks in a way that is not known: {scheme}")))?;
        // Whoever only shows his name wants nothing yet.
        let scope = match self.repository.as_str() {
            "" => String::new(),
            repository => format!("scope={}", escaped(&format!("repository:{repository}:pull,push"))),
        };
        let service = value("service").map(|service| format!("&service={}", escaped(&service))).unwrap_or_default();
        let mark = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{mark}{scope}{service}");
        let headers: Vec<_> = basic.map(|basic| ("authorization", basic)).into_iter().collect();
        let asked = self.runtime.block_on(self.asker.ask(Method::GET, &url, &headers, Vec::new()));
        let answer = asked.map_err(denied)?;
        let token = serde_json::from_slice::<Json>(&answer.body).ok().and_then(|json| {
            let token = json.get("token").or_else(|| json.get("access_token"))?;
            token.as_str().map(|token| format!("Bearer {token}"))
        });
        token.map(Secret::new).ok_or_else(|| denied(words(&answer.body)))
    }

    fn refused(&self, what: &str, answer: &Answered) -> RegistryError {
        let (host, what) = (self.host.clone(), what.to_owned());
        RegistryError::Refused { host, what, status: answer.status, reason: words(&answer.body) }
    }
}

impl Registry for Remote {
    type Error = RegistryError;

    fn manifest(&mut self, reference: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        let accept = [("accept", MANIFESTS.to_owned())];
        let answer = self.ask(&Method::GET, &format!("manifests/{reference}"), &accept, Vec::new())?;
        match answer.status {
            200 if answer.body.len() <= BYTES_MAX => Ok(Some(answer.body.to_vec())),
            404 => Ok(None),
            _ => Err(self.refused("the manifest", &answer)),
        }
    }

    fn put_blob(&mut self, blob: &Blob) -> Result<(), RegistryError> {
        let there = self.ask(&Method::HEAD, &format!("blobs/{}", blob.digest), &[], Vec::new())?;
        if there.status == 200 {
            return Ok(());
        }
        let begun = self.ask(&Method::POST, "blobs/uploads/", &[], Vec::new())?;
        let place = begun.header("location").filter(|_| begun.status == 202);
        let place = place.ok_or_else(|| self.refused("an upload", &begun))?;
        // It may name itself by its path alone.
        let place = if place.starts_with('/') { format!("{}{place}", self.base()) } else { place.to_owned() };
        if !place.starts_with(&format!("{}/", self.base())) {
            return Err(self.refused("an upload, which is to go to another server", &begun));
        }
        let mark = if place.contains('?') { '&' } else { '?' };
        let headers = [("content-type", "application/octet-stream".to_owned())];
        let url = format!("{place}{mark}digest={}", escaped(&blob.digest));
        let put = self.ask_at(&Method::PUT, &url, &headers, blob.bytes.clone())?;
        if put.status == 201 { Ok(()) } else { Err(self.refused("a blob", &put)) }
    }

    fn put_manifest(&mut self, reference: &str, manifest: &Manifest) -> Result<Kept, RegistryError> {
        let headers = [("content-type", manifest.media_type.clone())];
        let put = self.ask(&Method::PUT, &format!("manifests/{reference}"), &headers, manifest.bytes.clone())?;
        if put.status != 201 {
            return Err(self.refused("the manifest", &put));
        }
        Ok(if put.header("oci-subject").is_some() { Kept::ByRegistry } else { Kept::ByNobody })
    }
}

impl Source for Remote {
    type Error = RegistryError;

    fn referrers(&mut self, image: &str) -> Result<Vec<Descriptor>, RegistryError> {
        self.listed(image)
    }

    fn manifest(&mut self, reference: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        let bytes = Registry::manifest(self, reference)?;
        let is_other = |bytes: &Vec<u8>| reference.starts_with("sha256:") && digest(bytes) != reference;
        match bytes {
            Some(bytes) if is_other(&bytes) => {
                Err(RegistryError::Digest { host: self.host.clone(), digest: reference.to_owned() })
            }
            bytes => Ok(bytes),
        }
    }

    fn blob(&mut self, digest: &str) -> Result<Vec<u8>, RegistryError> {
        self.fetched(digest)
    }
}

/// SHA-256 as registries write it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// `value` of `name="value"` in a challenge.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let start = challenge.split(',').map(str::trim).find_map(|part| part.strip_prefix(name)?.strip_prefix("=\""));
    let start = start?;
    // A value may have commas in it, so it is looked for in the whole.
    let at = challenge.find(&format!("{name}=\"{start}"))? + name.len() + 2;
    challenge[at..].split('"').next().map(str::to_owned)
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What an answer says, for a person: the first error of the specification's form, or the beginning.
fn words(body: &[u8]) -> String {
    let json = serde_json::from_slice::<Json>(body).unwrap_or_default();
    let message = json.pointer("/errors/0/message").or_else(|| json.get("details")).and_then(Json::as_str);
    let text = message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
