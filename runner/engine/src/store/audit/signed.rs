//! Checkpoints that are signed with Ed25519, so that who keeps them can tell that they are ours, without any key of ours.
//!
//! A log that somebody wrote anew, even with the database's key, does not have the head that a checkpoint kept elsewhere
//! says; and a checkpoint cannot be made to fit it without the signing key, which is sealed beside the log's. Follows
//! RFC 8032 <https://www.rfc-editor.org/rfc/rfc8032>.

use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use workflow::secret::Secret;

use super::{Audit, AuditError, Audited, Checkpoint, LISTED_MAX, audited, hexadecimal};
use crate::store::StoreError;
use crate::store::repositories::SealError;

/// What is signed begins so, so that a signature means nothing elsewhere.
const CONTEXT: &str = "pipe audit checkpoint 1";

/// A checkpoint that anybody can check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    /// How many rows.
    pub count: u64,
    /// The hash of the last one, in hexadecimal.
    pub head: String,
    /// When it was made.
    pub at: Timestamp,
    /// Who signed it: the public key, in hexadecimal.
    pub key: String,
    /// The signature, in hexadecimal.
    pub signature: String,
}

/// A row with its hash.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hashed {
    /// The row.
    #[serde(flatten)]
    pub entry: Audited,
    /// Its hash, in hexadecimal, which the next row's is made with.
    pub hash: String,
}

impl std::fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

impl SignedCheckpoint {
    /// Those of a text: lines that are signed checkpoints; other lines, such as rows of an export, are passed over.
    #[must_use]
    pub fn read_all(text: &str) -> Vec<Self> {
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether its own key signed it.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let (Some(key), Some(signature)) = (bytes(&self.key), bytes(&self.signature)) else { return false };
        UnparsedPublicKey::new(&ED25519, key).verify(self.message().as_bytes(), &signature).is_ok()
    }

    /// Without the signature.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { count: self.count, head: self.head.clone() }
    }

    fn message(&self) -> String {
        format!("{CONTEXT}\n{}\n{}\n{}\n", self.count, self.head, self.at)
    }
}

/// The sealed form of a new signing key.
pub(super) fn make() -> Result<Secret, SealError> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let made = made.map_err(|_| SealError("the system gives no random bytes".to_owned()))?;
    Ok(Secret::new(hexadecimal(made.as_ref())))
}

/// The key pair of a sealed form.
pub(super) fn open(key: &Secret) -> Result<Ed25519KeyPair, SealError> {
    let broken = || SealError("the signing key of the audit log is none".to_owned());
    let bytes = zeroize::Zeroizing::new(bytes(key.expose()).ok_or_else(broken)?);
    Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| broken())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

impl Audit {
    /// The key that signs checkpoints, in hexadecimal. It may be told to everybody.
    #[must_use]
    pub fn public_key(&self) -> String {
        hexadecimal(self.signer.public_key().as_ref())
    }

    /// Signs a state of the log.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint, now: Timestamp) -> SignedCheckpoint {
        let Checkpoint { count, head } = checkpoint.clone();
        let mut signed = SignedCheckpoint { count, head, at: now, key: self.public_key(), signature: String::new() };
        signed.signature = hexadecimal(self.signer.sign(signed.message().as_bytes()).as_ref());
        signed
    }

    /// The state that the log is in, signed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn signed_checkpoint(&self, now: Timestamp) -> Result<SignedCheckpoint, StoreError> {
        Ok(self.sign(&self.checkpoint().await?, now))
    }

    /// Goes through the whole log: it must still hold what each of these says, and each must be signed by this log's key.
    /// Gives the state it is in.
    ///
    /// # Errors
    /// It does not hold together, a checkpoint is not ours, or it cannot be read.
    pub async fn verify_signed(&self, checkpoints: &[SignedCheckpoint]) -> Result<Checkpoint, AuditError> {
        let changed = |text: String| Err(AuditError::Changed(text));
        for checkpoint in checkpoints {
            if !checkpoint.is_signed() {
                return changed(format!("the checkpoint of {} rows is not signed by its key", checkpoint.count));
            }
            if checkpoint.key != self.public_key() {
                let key = &checkpoint.key;
                return changed(format!(
                    "the checkpoint of {} rows is of another log, with the key {key}",
                    checkpoint.count
                ));
            }
        }
        self.verify_all(checkpoints.iter().map(SignedCheckpoint::checkpoint).collect()).await
    }

    /// Rows behind a number, oldest first, up to [`LISTED_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn hashed(&self, after: u64) -> Result<Vec<Hashed>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT * FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Hashed { entry: audited(row)?, hash: hexadecimal(&row.get::<_, Vec<u8>>("hash")?) })
            };
            select.query_map(rusqlite::params![after, LISTED_MAX], row)?.collect()
        };
        self.database.read(read).await
    }
}
