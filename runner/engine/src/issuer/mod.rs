//! Issues identity tokens of jobs, as GitHub's OpenID provider does: signed with RS256, checked by anybody who can read the
//! two public documents. Clouds exchange them for credentials, so that no key of theirs lies here.
//!
//! Keys are sealed on the disk. A new one is published a day before it signs, and an old one for two days after, so that
//! who keeps the list of keys for a while never meets a token whose key it has not. It does not decide who gets a token.
//! Follows <https://openid.net/specs/openid-connect-discovery-1_0.html> and RFC 7517.

mod claims;
mod rsa;
mod subject;

pub use claims::{OF_GITHUB, TokenFor};
pub use subject::{Lacking, SubjectForm, SubjectKey, Subjects};

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nix::fcntl::{Flock, FlockArg};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use workflow::secret::Secret;

use crate::kept::now;
use crate::store::repositories::Sealer;

const DAY: u64 = 24 * 60 * 60;
/// How long a key signs.
const KEY_SECONDS: u64 = 90 * DAY;
/// How long before it signs a key is published.
const AHEAD_SECONDS: u64 = DAY;
/// How long after it signed last a key is published.
const AFTER_SECONDS: u64 = 2 * DAY;
/// Name of the file of keys.
const FILE: &str = "issuer.json";
/// What a sealed key is bound to.
const SEALED_AS: &str = "key of identity tokens";

/// Where the public documents are, below the issuer's name.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The list of keys.
pub const JWKS: &str = "/.well-known/jwks";

/// Issues tokens.
#[derive(Debug, Clone)]
pub struct Issuer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    sealer: Arc<dyn Sealer>,
    /// As the file was read last, so that a token costs no reading of keys.
    known: Mutex<Vec<Arc<Key>>>,
    subjects: Subjects,
}

/// A key as it lies on the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    /// Seconds since 1970.
    made: u64,
    sealed: String,
}

struct Key {
    made: u64,
    id: String,
    pair: RsaKeyPair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("made", &self.made).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is nothing to sign it with.
    #[error(transparent)]
    Keys(#[from] IssuerError),
    /// The job has not what `sub` is made of.
    #[error(transparent)]
    Lacking(#[from] Lacking),
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the keys of identity tokens ({path}): {reason}")]
pub struct IssuerError {
    path: String,
    reason: String,
}

impl Issuer {
    /// With keys in a folder, sealed.
    #[must_use]
    pub fn new(folder: &Path, sealer: Arc<dyn Sealer>, subjects: Subjects) -> Self {
        Self(Arc::new(Inner { file: folder.join(FILE), sealer, known: Mutex::default(), subjects }))
    }

    /// A token. May block: it reads keys, and makes one where there is none.
    ///
    /// # Errors
    /// The job has not what `sub` is made of, or the keys cannot be read or written.
    pub fn token(&self, issuer: &str, whose: TokenFor<'_>) -> Result<Secret, TokenError> {
        let now = now();
        let keys = self.keys(now)?;
        let key = signing(&keys, now).ok_or_else(|| self.failed("there is none"))?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| self.failed(error))?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let claims = claims::claims(issuer, whose, &self.0.subjects, &id, now)?;
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": key.id });
        let message = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let mut signature = vec![0; key.pair.public().modulus_len()];
        let signed = key.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.map_err(|_| self.failed("signing failed"))?;
        Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// The description of the issuer of that name.
    #[must_use]
    pub fn discovery(&self, issuer: &str) -> Json {
        let name = issuer.trim_end_matches('/');
        json!({
            "issuer": issuer,
            "jwks_uri": format!("{name}{JWKS}"),
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
            "claims_supported": claims::supported(),
        })
    }

    /// The public keys. May block as [`Self::token`].
    ///
    /// # Errors
    /// The keys cannot be read or written.
    pub fn jwks(&self) -> Result<Json, IssuerError> {
        let keys = self.keys(now())?;
        let shown = keys.iter().map(|key| {
            let public = PublicKeyComponents::<Vec<u8>>::from(key.pair.public());
            json!({
                "kty": "RSA", "alg": "RS256", "use": "sig", "kid": key.id,
                "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e),
            })
        });
        Ok(json!({ "keys": shown.collect::<Vec<_>>() }))
    }

    fn failed(&self, reason: impl std::fmt::Display) -> IssuerError {
        IssuerError { path: self.0.file.display().to_string(), reason: reason.to_string() }
    }

    /// All keys that are published, oldest first. One is made where one is due, by one process at a time.
    fn keys(&self, now: u64) -> Result<Vec<Arc<Key>>, IssuerError> {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let ages: Vec<u64> = known.iter().map(|key| key.made).collect();
        if !ages.is_empty() && !is_due(&ages, now) && ages.iter().all(|made| !is_over(*made, now)) {
            return Ok(known.clone());
        }
        if let Some(folder) = self.0.file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| self.failed(error))?;
        }
        let guard = File::lock(&self.0.file.with_extension("lock")).map_err(|error| self.failed(error))?;
        let mut stored = self.read()?;
        let before = stored.len();
        stored.retain(|key| !is_over(key.made, now));
        let ages: Vec<u64> = stored.iter().map(|key| key.made).collect();
        let due = is_due(&ages, now);
        if due {
            let der = rsa::make().map_err(|error| self.failed(error))?;
            let secret = Secret::new(STANDARD.encode(&*der));
            let sealed = self.0.sealer.seal(SEALED_AS, &secret).map_err(|error| self.failed(error))?;
            stored.push(Stored { made: now, sealed: STANDARD.encode(sealed) });
        }
        if due || stored.len() != before {
            self.write(&stored)?;
        }
        drop(guard);
        *known = stored.iter().map(|key| self.open(key).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(known.clone())
    }

    fn read(&self) -> Result<Vec<Stored>, IssuerError> {
        match std::fs::read(&self.0.file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.failed(error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn write(&self, keys: &[Stored]) -> Result<(), IssuerError> {
        let write = || {
            let json = serde_json::to_vec(keys)?;
            let folder = self.0.file.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&json)?;
            file.as_file().sync_all()?;
            file.persist(&self.0.file).map_err(|error| error.error)?;
            Ok::<_, std::io::Error>(())
        };
        write().map_err(|error| self.failed(error))
    }

    fn open(&self, stored: &Stored) -> Result<Key, IssuerError> {
        let sealed = STANDARD.decode(&stored.sealed).map_err(|error| self.failed(error))?;
        let secret = self.0.sealer.open(SEALED_AS, &sealed).map_err(|error| self.failed(error))?;
        let der = STANDARD.decode(secret.expose()).map(zeroize::Zeroizing::new);
        let der = der.map_err(|_| self.failed("one is no key"))?;
        let pair = RsaKeyPair::from_der(&der).map_err(|rejected| self.failed(rejected))?;
        let id: String =
            Sha256::digest(pair.public().as_ref()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Key { made: stored.made, id, pair })
    }
}

/// A file that is held by one process at a time.
struct File;

impl File {
    fn lock(path: &Path) -> std::io::Result<Flock<std::fs::File>> {
        let file = std::fs::File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| std::io::Error::from(errno))
    }
}

/// Whether a new key has to be made, from when those that are there were.
fn is_due(made: &[u64], now: u64) -> bool {
    made.iter().max().is_none_or(|newest| now.saturating_sub(*newest) >= KEY_SECONDS)
}

/// Whether nobody needs a key any more.
const fn is_over(made: u64, now: u64) -> bool {
    now.saturating_sub(made) >= KEY_SECONDS + AHEAD_SECONDS + AFTER_SECONDS
}

/// The newest key that was published long enough, or else the oldest.
fn signing(keys: &[Arc<Key>], now: u64) -> Option<&Arc<Key>> {
    let published = keys.iter().filter(|key| now.saturating_sub(key.made) >= AHEAD_SECONDS);
    published.max_by_key(|key| key.made).or_else(|| keys.iter().min_by_key(|key| key.made))
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;
    use crate::sealing::{MasterKey, MasterKeys, Vault};

    fn vault(key: u8) -> Arc<dyn Sealer> {
        Arc::new(Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([key; 32])]).unwrap()))
    }

    /// Checks a token as a cloud does, by the published keys alone; gives its claims.
    fn checked(token: &str, jwks: &Json) -> Option<Json> {
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let (message, signature) = token.rsplit_once('.')?;
        let (head, claims) = message.split_once('.')?;
        let head: Json = serde_json::from_slice(&decode(head)).unwrap();
        assert_eq!(head["alg"], "RS256");
        let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == head["kid"])?;
        let number = |name: &str| decode(key[name].as_str().unwrap());
        let public = RsaPublicKeyComponents { n: number("n"), e: number("e") };
        public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decode(signature)).ok()?;
        serde_json::from_slice(&decode(claims)).ok()
    }

    #[test]
    fn tokens_are_checked_by_the_published_keys_and_keys_are_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::new(folder.path(), vault(1), Subjects::default());
        let github = json!({ "repository": "o/r", "ref": "refs/heads/main", "event_name": "push" });
        let whose = TokenFor { github: &github, environment: None, audience: "sts.amazonaws.com" };
        let token = |issuer: &Issuer| issuer.token("https://ci.example", whose).unwrap().expose().to_owned();
        let first = token(&issuer);
        let claims = checked(&first, &issuer.jwks().unwrap()).unwrap();
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://ci.example"), &json!("sts.amazonaws.com")));
        // Another process has the same key; nothing of it is in clear.
        let again = Issuer::new(folder.path(), vault(1), Subjects::default());
        assert!(checked(&token(&again), &issuer.jwks().unwrap()).is_some());
        assert!(Issuer::new(folder.path(), vault(2), Subjects::default()).jwks().is_err());
        // A changed byte, another's key.
        let forged = format!("{}A", &first[..first.len() - 1]);
        let other = tempfile::tempdir().unwrap();
        let other = Issuer::new(other.path(), vault(1), Subjects::default());
        assert!(forged == first || checked(&forged, &issuer.jwks().unwrap()).is_none());
        assert!(checked(&token(&other), &issuer.jwks().unwrap()).is_none());
        // When the key is old a new one is published, which signs only a day later.
        let age = |days: u64| {
            let mut stored = issuer.read().unwrap();
            for key in &mut stored {
                key.made -= days * DAY;
            }
            issuer.write(&stored).unwrap();
            Issuer::new(folder.path(), vault(1), Subjects::default())
        };
        let kid = |token: &str| token.split('.').next().unwrap().to_owned();
        let due = age(90);
        assert_eq!(kid(&token(&due)), kid(&first));
        assert_eq!(due.jwks().unwrap()["keys"].as_array().unwrap().len(), 2);
        let next = age(1);
        assert_ne!(kid(&token(&next)), kid(&first));
        assert!(checked(&first, &next.jwks().unwrap()).is_some());
        let later = age(2);
        assert_eq!(later.jwks().unwrap()["keys"].as_array().unwrap().len(), 1);
    }
}
