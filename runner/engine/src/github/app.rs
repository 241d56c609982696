//! Who we are to GitHub: a token, or an app that gets itself a token for each owner.
//!
//! An app signs a short-lived JWT with its key (RS256, by `ring`, which TLS uses already) and changes it into the token
//! of its installation at the owner of a repository, good for an hour. Follows
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use tokio::sync::Mutex;
use workflow::secret::Secret;

/// How long before its end a token is replaced.
const REFRESH_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// Longest key file.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// What requests are authorised with.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A personal or project token.
    Token(Secret),
    /// A GitHub App.
    App(Arc<App>),
}

/// A GitHub App with its key.
pub struct App {
    id: String,
    key: RsaKeyPair,
    /// By owner, lower case.
    tokens: Mutex<HashMap<String, InstallationToken>>,
}

#[derive(Clone)]
struct InstallationToken {
    token: Secret,
    expires_at: Timestamp,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a key cannot be used. Its text holds nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("read the app's key {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Others can read it.
    #[error("use the app's key {path}: others can read it; run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: String,
    },
    /// It is no RSA key.
    #[error("use the app's key: it is no RSA private key in PEM form ({0})")]
    NoKey(String),
}

impl App {
    /// An app by its id (or client id) and its private key as GitHub gives it (PEM).
    ///
    /// # Errors
    /// It is no RSA key.
    pub fn new(id: &str, pem: &Secret) -> Result<Self, KeyError> {
        let no_key = |reason: &str| KeyError::NoKey(reason.to_owned());
        let (label, der) = der_of(pem.expose()).ok_or_else(|| no_key("no PEM block"))?;
        let key = match label.as_str() {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            _ => return Err(KeyError::NoKey(format!("it is a {label}"))),
        };
        let key = key.map_err(|rejected| KeyError::NoKey(rejected.to_string()))?;
        Ok(Self { id: id.to_owned(), key, tokens: Mutex::default() })
    }

    /// With the key in a file that only its owner reads.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it holds no key.
    pub fn from_file(id: &str, path: &Path) -> Result<Self, KeyError> {
        let shown = || path.display().to_string();
        let unreadable = |error: std::io::Error| KeyError::Unreadable { path: shown(), reason: error.to_string() };
        let facts = std::fs::metadata(path).map_err(unreadable)?;
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Open { path: shown() });
        }
        if facts.len() > KEY_BYTES_MAX {
            return Err(KeyError::NoKey("the file is too long".to_owned()));
        }
        Self::new(id, &Secret::new(std::fs::read_to_string(path).map_err(unreadable)?))
    }

    /// What proves for some minutes that we are the app. Clocks may differ by a minute.
    pub(super) fn jwt(&self, now: Timestamp) -> Option<Secret> {
        let seconds = now.as_second();
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "typ": "JWT" }).to_string());
        let claims = json!({ "iat": seconds - 60, "exp": seconds + 540, "iss": self.id }).to_string();
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// The token for an owner, where there is one that is good for a while.
    pub(super) async fn token(&self, owner: &str, now: Timestamp) -> Option<Secret> {
        let tokens = self.tokens.lock().await;
        let kept = tokens.get(&owner.to_ascii_lowercase())?;
        (kept.expires_at.duration_since(now) > REFRESH_BEFORE).then(|| kept.token.clone())
    }

    pub(super) async fn keep(&self, owner: &str, token: Secret, expires_at: Timestamp) {
        self.tokens.lock().await.insert(owner.to_ascii_lowercase(), InstallationToken { token, expires_at });
    }

    /// Forgets an owner's token, which GitHub did not take.
    pub(super) async fn forget(&self, owner: &str) {
        self.tokens.lock().await.remove(&owner.to_ascii_lowercase());
    }
}

/// Label and content of the first PEM block.
fn der_of(pem: &str) -> Option<(String, zeroize::Zeroizing<Vec<u8>>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let text = zeroize::Zeroizing::new(body.split_whitespace().collect::<String>());
    Some((label.to_owned(), zeroize::Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?)))
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const KEY: &str = include_str!("test_key.pem");

    #[test]
    fn a_jwt_is_signed_by_the_key_and_short_lived() {
        let app = App::new("Iv1.abc", &Secret::new(KEY)).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let jwt = app.jwt(now).unwrap();
        let (signed, signature) = jwt.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, app.key.public().as_ref());
        public.verify(signed.as_bytes(), &signature).unwrap();
        let parts: Vec<serde_json::Value> = signed
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT" }));
        assert_eq!(parts[1], json!({ "iat": 1_799_999_940, "exp": 1_800_000_540, "iss": "Iv1.abc" }));
        assert!(!format!("{app:?}").contains("key"));
    }

    #[tokio::test]
    async fn a_token_is_replaced_before_its_end() {
        let app = App::new("1", &Secret::new(KEY)).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        app.keep("Mona", Secret::new("t"), at(3_600)).await;
        assert!(app.token("mona", at(3_299)).await.is_some());
        assert!(app.token("mona", at(3_300)).await.is_none());
        assert!(app.token("other", at(0)).await.is_none());
        app.forget("MONA").await;
        assert!(app.token("mona", at(0)).await.is_none());
    }

    #[test]
    fn a_key_that_others_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.pem");
        std::fs::write(&path, KEY).unwrap();
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        assert!(matches!(App::from_file("1", &path), Err(KeyError::Open { .. })));
        set(0o600);
        App::from_file("1", &path).unwrap();
        let certificate = KEY.replace("RSA PRIVATE KEY", "CERTIFICATE");
        for (text, expected) in [("", "no PEM block"), (certificate.as_str(), "CERTIFICATE"), (&KEY[..200], "PEM")] {
            let error = App::new("1", &Secret::new(text)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
