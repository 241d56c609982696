//! Whether an identity token is believed: signed by the provider, for us, now, and for this login.
//!
//! The algorithm is the key's: `none`, and HMAC with a public key as its secret, are no algorithms here. Follows
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation> and RFC 8725.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;
use subtle::ConstantTimeEq as _;
use workflow::secret::Secret;

use super::keys::Keys;
use super::{OidcError, shown, unbelievable};

/// Longest token.
const TOKEN_BYTES_MAX: usize = 64 * 1_024;
/// How far two clocks may differ, in seconds.
const CLOCKS: i64 = 60;
/// Longest time since a token was made, in seconds: it was asked for a moment ago.
const AGE_MAX: i64 = 600;
/// Longest name of a person there.
const SUBJECT_BYTES_MAX: usize = 255;

/// What a token must say.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a Secret,
    pub(super) now: Timestamp,
}

/// The head of a token, which is not believed yet.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    crit: Option<Json>,
}

/// The head of a token.
pub(super) fn head(token: &str) -> Result<Head, OidcError> {
    if token.len() > TOKEN_BYTES_MAX || token.split('.').count() != 3 {
        return Err(unbelievable("the token is none"));
    }
    let head: Head = part(token.split('.').next().unwrap_or_default())?;
    if !matches!(head.alg.as_str(), "RS256" | "ES256") {
        return Err(unbelievable(format!(
            "the token is signed with `{}`; RS256 and ES256 are taken",
            shown(&head.alg)
        )));
    }
    if head.crit.is_some() {
        return Err(unbelievable("the token has extensions that must be understood, and are not"));
    }
    Ok(head)
}

/// The claims of a token that is believed.
pub(super) fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Json, OidcError> {
    let head = head(token)?;
    let key = keys.find(head.kid.as_deref(), &head.alg);
    let key = key.ok_or_else(|| unbelievable("the token is signed with a key that the provider does not have"))?;
    let (message, signature) = token.rsplit_once('.').ok_or_else(|| unbelievable("the token is none"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| unbelievable("the signature cannot be read"))?;
    if !key.signed(message.as_bytes(), &signature) {
        return Err(unbelievable("the signature is not the provider's"));
    }
    let claims: Json = part(message.split('.').nth(1).unwrap_or_default())?;
    match problem(&claims, expected) {
        Some(problem) => Err(unbelievable(problem)),
        None => Ok(claims),
    }
}

fn problem(claims: &Json, expected: &Expected<'_>) -> Option<&'static str> {
    if claims["iss"] != expected.issuer {
        return Some("the token is of another issuer");
    }
    let is_ours = match &claims["aud"] {
        Json::String(audience) => audience == expected.client_id,
        Json::Array(all) if all.len() == 1 => all[0] == expected.client_id,
        Json::Array(all) => all.iter().any(|one| one == expected.client_id) && claims["azp"] == expected.client_id,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => false,
    };
    if !is_ours || claims["azp"].as_str().is_some_and(|party| party != expected.client_id) {
        return Some("the token is for another application");
    }
    let now = expected.now.as_second();
    let number = |name: &str| claims[name].as_i64().or_else(|| claims[name].as_f64().map(|number| number as i64));
    let (Some(expires), Some(issued)) = (number("exp"), number("iat")) else {
        return Some("the token does not say when it was made or when it ends");
    };
    if expires.saturating_add(CLOCKS) <= now {
        return Some("the token has ended");
    }
    if issued > now + CLOCKS || issued < now - AGE_MAX || number("nbf").is_some_and(|begins| begins > now + CLOCKS) {
        return Some("the token is not of now");
    }
    let nonce = claims["nonce"].as_str().unwrap_or_default();
    if nonce.is_empty() || !bool::from(nonce.as_bytes().ct_eq(expected.nonce.expose().as_bytes())) {
        return Some("the token is of another login");
    }
    let subject = claims["sub"].as_str().unwrap_or_default();
    (subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX).then_some("the token names nobody")
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, OidcError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unbelievable("the token cannot be read"))?;
    serde_json::from_slice(&bytes).map_err(|_| unbelievable("the token cannot be read"))
}
