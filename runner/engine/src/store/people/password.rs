//! Passwords: argon2id, off the threads that answer requests, a few at a time.
//!
//! Each check takes tens of milliseconds and 64 MiB, so who asks often must not be able to take the whole machine. What
//! is kept is the usual text form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, so that the parameters can be raised later.
//! Follows RFC 9106 <https://www.rfc-editor.org/rfc/rfc9106> and, for the composed form of the text, RFC 8265.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use icu_normalizer::ComposingNormalizerBorrowed;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use workflow::secret::Secret;
use zeroize::Zeroizing;

use super::PeopleError;
use crate::sealing;

const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// Checks at once.
const AT_ONCE: usize = 2;
/// Checks that wait; who comes later is asked to come again.
const WAITING_MAX: usize = 32;

/// How much work a password costs who guesses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// What a server uses: 64 MiB, three passes, one lane.
    pub const SERVER: Self = Self { memory_kib: 64 * 1_024, passes: 3 };
    /// As little as there is, for tests.
    pub const TEST: Self = Self { memory_kib: 8, passes: 1 };
}

/// Makes and checks hashes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    cost: Cost,
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Hashing {
    pub(super) fn new(cost: Cost) -> Self {
        Self { cost, places: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(WAITING_MAX)) }
    }

    /// A hash to keep.
    pub(super) async fn make(&self, password: Secret) -> Result<String, PeopleError> {
        let cost = self.cost;
        self.perform(move || {
            let salt: [u8; SALT_BYTES] =
                sealing::random().map_err(|error| PeopleError::Unavailable(error.to_string()))?;
            let hash = hash(&password, &salt, cost).ok_or_else(|| PeopleError::Unavailable("argon2 failed".into()))?;
            let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
            Ok(format!("$argon2id$v=19$m={},t={},p=1${salt}${hash}", cost.memory_kib, cost.passes))
        })
        .await
    }

    /// Whether a password is the one of a kept hash. Without a hash it takes as long and is not.
    pub(super) async fn check(&self, password: Secret, kept: Option<String>) -> Result<bool, PeopleError> {
        let cost = self.cost;
        self.perform(move || {
            let parsed = kept.as_deref().and_then(parse);
            let (cost, salt, expected) = parsed.unwrap_or((cost, vec![0; SALT_BYTES], vec![0; HASH_BYTES]));
            let found = hash(&password, &salt, cost).unwrap_or([0; HASH_BYTES]);
            let is_same = bool::from(found.as_slice().ct_eq(&expected));
            Ok(is_same && kept.as_deref().and_then(parse).is_some())
        })
        .await
    }

    async fn perform<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PeopleError> + Send + 'static,
    ) -> Result<T, PeopleError> {
        let _queued = self.waiting.try_acquire().map_err(|_| PeopleError::Busy)?;
        let _place = self.places.acquire().await.map_err(|_| PeopleError::Busy)?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| PeopleError::Unavailable(error.to_string()))?
    }
}

/// The same password, however a keyboard made its letters.
pub(super) fn normalised(password: &Secret) -> Secret {
    Secret::new(ComposingNormalizerBorrowed::new_nfc().normalize(password.expose()).into_owned())
}

fn hash(password: &Secret, salt: &[u8], cost: Cost) -> Option<[u8; HASH_BYTES]> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(HASH_BYTES)).ok()?;
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    let mut memory = vec![Block::default(); params.block_count()];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let password = password.expose().as_bytes();
    argon.hash_password_into_with_memory(password, salt, hash.as_mut_slice(), &mut memory).ok()?;
    Some(*hash)
}

fn parse(kept: &str) -> Option<(Cost, Vec<u8>, Vec<u8>)> {
    let mut parts = kept.strip_prefix("$argon2id$v=19$")?.split('$');
    let (numbers, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = numbers.split(',');
    let mut number = |name: &str| numbers.next()?.strip_prefix(name)?.parse().ok();
    let cost = Cost { memory_kib: number("m=")?, passes: number("t=")? };
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    (number("p=") == Some(1) && hash.len() == HASH_BYTES).then_some((cost, salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash() {
        let hashing = Hashing::new(Cost::TEST);
        let kept = hashing.make(Secret::new("correct horse")).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{kept}");
        assert_ne!(kept, hashing.make(Secret::new("correct horse")).await.unwrap(), "a salt is used once");
        let check = async |password: &str, kept: Option<&str>| {
            hashing.check(Secret::new(password), kept.map(str::to_owned)).await.unwrap()
        };
        assert!(check("correct horse", Some(&kept)).await);
        for password in ["correct hors", "", "Correct horse", "correct horse "] {
            assert!(!check(password, Some(&kept)).await, "{password}");
        }
        for broken in [None, Some(""), Some("$argon2i$x"), Some("$argon2id$v=19$m=8,t=1,p=1$AAAA$"), Some(&kept[..60])]
        {
            assert!(!check("correct horse", broken).await, "{broken:?}");
        }
        let dearer = Hashing::new(Cost { memory_kib: 16, passes: 2 });
        assert!(dearer.check(Secret::new("correct horse"), Some(kept)).await.unwrap(), "kept with its own cost");
    }

    #[test]
    fn letters_are_the_same_however_they_were_typed() {
        assert_eq!(normalised(&Secret::new("K\u{61}\u{308}fer")).expose(), "K\u{e4}fer");
        assert_eq!(normalised(&Secret::new("plain")).expose(), "plain");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_comes_when_too_many_wait_is_sent_away() {
        let hashing = Hashing::new(Cost::TEST);
        let places = hashing.places.acquire_many(AT_ONCE as u32).await.unwrap();
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let hashing = hashing.clone();
                tokio::spawn(async move { hashing.check(Secret::new("x"), None).await })
            })
            .collect();
        while hashing.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hashing.check(Secret::new("x"), None).await, Err(PeopleError::Busy)));
        drop(places);
        for one in waiting {
            assert!(!one.await.unwrap().unwrap());
        }
    }
}
