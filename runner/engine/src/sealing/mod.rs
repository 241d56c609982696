//! Secrets at rest: XChaCha20-Poly1305 under a master key that the database does not hold.
//!
//! What is sealed is `form (1) | key id (4) | nonce (24) | text and tag`. The key's id and the place that the secret is
//! for are authenticated with it, so that a row copied over another one does not open. Several keys may be known: the
//! first one seals, the others only open what a rekey has not come to yet.
//! It does not decide where sealed bytes lie and who may open them.
//! Follows <https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03>.

mod keys;
mod random;

pub use keys::{KEY_FILE, KeyError, KeySource, MasterKey, MasterKeys};
pub(crate) use random::random;

use std::sync::{PoisonError, RwLock};

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use workflow::secret::Secret;
use zeroize::Zeroizing;

use crate::store::repositories::{SealError, Sealer};

/// The form of what is written.
const FORM: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// Longest secret that is sealed, as GitHub's limit of 48 KB, with room for what hooks and apps have.
pub const SECRET_BYTES_MAX: usize = 64 * 1_024;

/// Names a key without telling anything of it: the start of a digest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; KEY_ID_BYTES]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Seals and opens with master keys. Keys can be exchanged while it is used.
#[derive(Debug)]
pub struct Vault {
    keys: RwLock<MasterKeys>,
}

impl Vault {
    /// One that seals with the first of these keys.
    #[must_use]
    pub fn new(keys: MasterKeys) -> Self {
        Self { keys: RwLock::new(keys) }
    }

    /// The key that seals.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).current().id()
    }

    /// Uses these keys from now on.
    pub fn replace(&self, keys: MasterKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Which key something was sealed with; `None` for what is not of our form.
    #[must_use]
    pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
        if sealed.len() < HEAD_BYTES || sealed[0] != FORM {
            return None;
        }
        Some(KeyId(sealed[1..=KEY_ID_BYTES].try_into().ok()?))
    }
}

impl Sealer for Vault {
    fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        if secret.expose().len() > SECRET_BYTES_MAX {
            return Err(SealError(format!("it is longer than {SECRET_BYTES_MAX} bytes")));
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.current();
        let nonce: [u8; NONCE_BYTES] = random().map_err(|error| SealError(error.to_string()))?;
        let associated = associated(key.id(), context);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: associated.as_bytes() };
        let text = cipher(key).encrypt(&XNonce::from(nonce), payload);
        let text = text.map_err(|_| SealError("it cannot be encrypted".to_owned()))?;
        let mut sealed = Vec::with_capacity(HEAD_BYTES + text.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&key.id().0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let id = Self::key_of(sealed).ok_or_else(|| SealError("it is not sealed as this version does".to_owned()))?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key =
            keys.find(id).ok_or_else(|| SealError(format!("it is sealed with the key {id}, which is not here")))?;
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&sealed[1 + KEY_ID_BYTES..HEAD_BYTES]);
        let associated = associated(id, context);
        let payload = Payload { msg: &sealed[HEAD_BYTES..], aad: associated.as_bytes() };
        let plain = cipher(key).decrypt(&XNonce::from(nonce), payload);
        let plain = plain.map_err(|_| SealError("it was changed, or was sealed for another place".to_owned()))?;
        match String::from_utf8(plain) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(SealError("it holds no text".to_owned()))
            }
        }
    }
}

fn cipher(key: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn associated(key: KeyId, context: &str) -> String {
    format!("pipe {FORM} {key} {context}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(keys: &[u8]) -> Vault {
        Vault::new(MasterKeys::of(keys.iter().map(|byte| MasterKey::from_bytes([*byte; 32])).collect()).unwrap())
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let vault_1 = vault(&[1]);
        for text in ["", "x", "hunter22", "ü\n\u{1f600}", &"long".repeat(10_000)] {
            let sealed = vault_1.seal("secret A", &Secret::new(text)).unwrap();
            assert_eq!(vault_1.open("secret A", &sealed).unwrap().expose(), text);
            assert!(text.len() < 4 || !sealed.windows(text.len()).any(|part| part == text.as_bytes()));
            assert_ne!(sealed, vault_1.seal("secret A", &Secret::new(text)).unwrap(), "a nonce is used once");
            assert!(vault_1.open("secret B", &sealed).is_err());
            assert!(vault(&[2]).open("secret A", &sealed).unwrap_err().0.contains("which is not here"));
        }
        assert!(vault_1.seal("", &Secret::new("x".repeat(SECRET_BYTES_MAX + 1))).is_err());
    }

    #[test]
    fn a_bit_changed_anywhere_and_every_cut_is_noticed() {
        let vault = vault(&[1]);
        let sealed = vault.seal("here", &Secret::new("hunter22")).unwrap();
        for at in 0..sealed.len() {
            assert!(vault.open("here", &sealed[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(vault.open("here", &changed).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn old_keys_open_and_the_first_one_seals() {
        let old = vault(&[1]).seal("here", &Secret::new("hunter22")).unwrap();
        let both = vault(&[2, 1]);
        assert_eq!(both.open("here", &old).unwrap().expose(), "hunter22");
        let new = both.seal("here", &Secret::new("hunter22")).unwrap();
        assert_eq!((Vault::key_of(&new), both.current()), (Some(both.current()), vault(&[2]).current()));
        assert_ne!(Vault::key_of(&old), Vault::key_of(&new));
        both.replace(MasterKeys::of(vec![MasterKey::from_bytes([2; 32])]).unwrap());
        assert!(both.open("here", &old).is_err() && both.open("here", &new).is_ok());
        assert_eq!(format!("{both:?}").matches('[').count(), format!("{both:?}").matches("KeyId([").count() + 1);
    }
}
