//! The keys that a provider signs with: RSA and P-256, nothing else.
//!
//! Follows RFC 7517 and RFC 7518 <https://www.rfc-editor.org/rfc/rfc7518>.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value as Json;

/// Most keys of a provider.
const KEYS_MAX: usize = 100;
/// Length of a coordinate of P-256.
const COORDINATE_BYTES: usize = 32;

/// Keys that are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Vec<Key>);

/// One key; what it can check is told by its form, never by the token.
#[derive(Debug, Clone)]
pub(super) struct Key {
    kid: Option<String>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
}

impl Keys {
    /// Those of a JWK set; what is for something else is left out.
    pub(super) fn read(set: &Json) -> Self {
        let listed = set["keys"].as_array().into_iter().flatten().take(KEYS_MAX);
        Self(listed.filter_map(Key::read).collect())
    }

    /// The key of this name that checks this algorithm. Without a name there must be just one.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: &str) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm() == algorithm);
        let Some(kid) = kid else {
            let only = fitting.next()?;
            return fitting.next().is_none().then_some(only);
        };
        fitting.find(|key| key.kid.as_deref() == Some(kid))
    }
}

impl Key {
    fn read(key: &Json) -> Option<Self> {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str()?.trim_end_matches('=')).ok();
        if key["use"].as_str().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let form = match key["kty"].as_str()? {
            "RSA" => Form::Rsa { n: bytes("n")?, e: bytes("e")? },
            "EC" if key["crv"] == "P-256" => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
                    return None;
                }
                Form::P256([vec![4], x, y].concat())
            }
            _ => return None,
        };
        let key = Self { kid: key["kid"].as_str().map(str::to_owned), form };
        Some(key)
    }

    fn algorithm(&self) -> &'static str {
        match self.form {
            Form::Rsa { .. } => "RS256",
            Form::P256(_) => "ES256",
        }
    }

    /// Whether it signed this.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.form {
            Form::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Form::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
        }
    }
}
