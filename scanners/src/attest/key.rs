//! The key that statements are signed with: ECDSA on P-256, as a PEM file that only its owner can read.
//!
//! The private half is PKCS#8 (`PRIVATE KEY`), the public one SubjectPublicKeyInfo (`PUBLIC KEY`), which `cosign --key`
//! and `openssl` read. Keys that need a password are not read: a server has nobody to ask.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use zeroize::Zeroizing;

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// What stands before the point of a P-256 key in its SubjectPublicKeyInfo (RFC 5480): both OIDs and the lengths.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed point: 4, x, y.
const POINT_BYTES: usize = 65;
const PEM_LINE_CHARS: usize = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: others can read this key (mode {mode:o}); run `chmod 600`")]
    Readable { path: PathBuf, mode: u32 },
    #[error("it is no PEM of `{0}`")]
    Pem(&'static str),
    #[error("the key needs a password; keep one without: `openssl pkcs8 -topk8 -nocrypt`")]
    Encrypted,
    #[error("the key has the old form `EC PRIVATE KEY`; bring it to PKCS#8: `openssl pkcs8 -topk8 -nocrypt`")]
    Sec1,
    #[error("it is no ECDSA key on P-256")]
    Curve,
    #[error("the system gives no random numbers")]
    Random,
}

/// Both halves of a key.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

/// The half that everybody may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    point: [u8; POINT_BYTES],
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Random`]
    pub fn generate() -> Result<Self, KeyError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Self::of(Zeroizing::new(made.map_err(|_| KeyError::Random)?.as_ref().to_vec()))
    }

    fn of(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new());
        Ok(Self { pair: pair.map_err(|_| KeyError::Curve)?, pkcs8 })
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// [`KeyError`], also where others than the owner can read the file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Readable { path: path.to_owned(), mode });
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(KeyError::Pem("PRIVATE KEY"));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        Self::from_pem(&text)
    }

    /// Takes a private key from its PEM.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains("BEGIN ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        if text.contains("BEGIN EC PRIVATE KEY") {
            return Err(KeyError::Sec1);
        }
        Self::of(Zeroizing::new(from_pem("PRIVATE KEY", text)?))
    }

    /// Writes the private key where only the owner can read it; a file that exists is kept and an error.
    ///
    /// # Errors
    /// [`KeyError::File`]
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let text = Zeroizing::new(to_pem("PRIVATE KEY", &self.pkcs8));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let point = self.pair.public_key().as_ref().try_into();
        PublicKey { point: point.expect("the public key of P-256 is an uncompressed point") }
    }

    /// Signs: ASN.1 of both numbers, over SHA-256.
    ///
    /// # Errors
    /// [`KeyError::Random`]
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Random)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl PublicKey {
    /// As PEM, for `cosign --key`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        to_pem("PUBLIC KEY", &self.der())
    }

    /// Takes a public key from its PEM.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = from_pem("PUBLIC KEY", text)?;
        let point = der.strip_prefix(&SPKI_PREFIX[..]).ok_or(KeyError::Curve)?;
        Ok(Self { point: point.try_into().map_err(|_| KeyError::Curve)? })
    }

    /// The SubjectPublicKeyInfo.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.point].concat()
    }

    /// Whether a signature is of this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point).verify(message, signature).is_ok()
    }
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(BASE64.encode(der));
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn from_pem(label: &'static str, text: &str) -> Result<Vec<u8>, KeyError> {
    let begin = text.split_once(&format!("-----BEGIN {label}-----")).ok_or(KeyError::Pem(label))?;
    let (body, _) = begin.1.split_once(&format!("-----END {label}-----")).ok_or(KeyError::Pem(label))?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(body).map_err(|_| KeyError::Pem(label))
}
