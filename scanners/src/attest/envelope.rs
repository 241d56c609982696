//! Signed envelopes (DSSE): a payload, its type, and signatures over both.
//! <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::key::{KeyError, PublicKey, SigningKey};
use super::statement::Statement;

/// The type of payloads that are statements.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The media type of sigstore's bundles.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A signed payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub payload_type: String,
    /// Base64.
    pub payload: String,
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// A hint for whoever has many keys; nothing is trusted for it.
    #[serde(default)]
    pub keyid: String,
    /// Base64.
    pub sig: String,
}

/// Why an envelope says nothing.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("it is no envelope: {0}")]
    Form(String),
    #[error("its payload has the type `{0}`, and a statement of in-toto is looked for")]
    Type(String),
    #[error("no signature in it is of this key")]
    Signature,
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Envelope {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`KeyError::Random`]
    pub fn sign(statement: &Statement, key: &SigningKey) -> Result<Self, KeyError> {
        let payload = serde_json::to_vec(statement).expect("a statement has only texts as keys");
        let signature = key.sign(&authenticated(PAYLOAD_TYPE, &payload))?;
        Ok(Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: BASE64.encode(&payload),
            signatures: vec![Signature { keyid: String::new(), sig: BASE64.encode(signature) }],
        })
    }

    /// The statement in it, once a signature of this key holds.
    ///
    /// # Errors
    /// [`EnvelopeError`]
    pub fn verify(&self, key: &PublicKey) -> Result<Statement, EnvelopeError> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::Type(self.payload_type.clone()));
        }
        let payload =
            decode(&self.payload).ok_or_else(|| EnvelopeError::Form("its payload is no base64".to_owned()))?;
        let message = authenticated(&self.payload_type, &payload);
        let holds = |one: &Signature| decode(&one.sig).is_some_and(|signature| key.verifies(&message, &signature));
        if !self.signatures.iter().any(holds) {
            return Err(EnvelopeError::Signature);
        }
        serde_json::from_slice(&payload).map_err(|error| EnvelopeError::Form(error.to_string()))
    }

    /// As sigstore's bundle, which newer versions of cosign read. The key is only hinted at; a verifier has its own.
    #[must_use]
    pub fn bundle(&self, key: &PublicKey) -> Json {
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "publicKey": { "hint": BASE64.encode(Sha256::digest(key.der())) },
                "tlogEntries": [],
            },
            "dsseEnvelope": self,
        })
    }

    /// The type of what the payload asserts; empty where that cannot be told.
    pub(super) fn predicate_type(&self) -> String {
        let payload = decode(&self.payload).unwrap_or_default();
        let statement: Json = serde_json::from_slice(&payload).unwrap_or_default();
        statement.get("predicateType").and_then(Json::as_str).unwrap_or_default().to_owned()
    }
}

/// What is signed: type and payload with their lengths, so that neither can pass for the other
/// (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md#signature-definition>).
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Either alphabet, as the standard wants it.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::authenticated;

    /// The example of the standard.
    #[test]
    fn what_is_signed() {
        let message = authenticated("http://example.com/HelloWorld", b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
