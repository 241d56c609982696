//! JSON Web Tokens of identity providers: the signature against the provider's published keys, and the times.
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

use crate::error::{AwsError, refuse};
use crate::value::{Input as _, SECOND, Time};

/// A longer one is refused.
const TOKEN_BYTES_MAX: usize = 20_000;

/// What a token says of itself; nothing of it is believed yet.
pub(crate) fn unchecked_claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    decode(claims).filter(|_| parts.next().is_none() && token.len() <= TOKEN_BYTES_MAX)
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Whom it is for.
pub(super) fn audiences(claims: &Value) -> Vec<String> {
    claims.text("aud").map_or_else(|| claims.texts("aud"), |one| vec![one.to_owned()])
}

/// Checks the signature and the times.
///
/// # Errors
/// In STS's words: the token is no token, was signed with another key, or is over.
pub(super) fn check(token: &str, keys: &Value, now: Time) -> Result<(), AwsError> {
    let invalid = |message: &str| refuse("InvalidIdentityTokenException", message.to_owned());
    let parts: Vec<_> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { return invalid("The ID Token provided is not a valid JWT.") };
    let (Some(header), Some(said), Ok(signature)) = (decode(head), decode(claims), URL_SAFE_NO_PAD.decode(signature))
    else {
        return invalid("The ID Token provided is not a valid JWT.");
    };
    let key = keys.items("keys").iter().find(|key| match (header.text("kid"), key.text("kid")) {
        (Some(wanted), Some(known)) => wanted == known,
        (None, _) | (_, None) => true,
    });
    let Some(key) = key else {
        return invalid("Couldn't retrieve verification key from your identity provider, no key has the token's kid");
    };
    let signed = &token[..head.len() + 1 + claims.len()];
    if !is_signed(&header, key, signed.as_bytes(), &signature) {
        return invalid("Token signature verification failed");
    }
    match said.int("exp") {
        None => return invalid("Missing a required claim: exp"),
        Some(at) if at * SECOND <= now => {
            return refuse(
                "ExpiredTokenException",
                format!("Token expired: current date/time {now} must be before the expiration date/time {at}"),
            );
        }
        Some(_) => {}
    }
    if said.int("nbf").or_else(|| said.int("iat")).is_some_and(|at| at * SECOND > now + 5 * 60 * SECOND) {
        return invalid("The ID Token provided is not valid yet");
    }
    if said.text("sub").is_none() {
        return invalid("Missing a required claim: sub");
    }
    Ok(())
}

/// Only what the key is for: a token cannot choose how it is checked.
fn is_signed(header: &Value, key: &Value, signed: &[u8], signature: &[u8]) -> bool {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key.text(name).unwrap_or_default()).unwrap_or_default();
    match (header.text("alg"), key.text("kty")) {
        (Some("RS256"), Some("RSA")) => {
            let key = RsaPublicKeyComponents { n: part("n"), e: part("e") };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
        }
        (Some("ES256"), Some("EC")) => {
            let point = [vec![4], part("x"), part("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
        }
        _ => false,
    }
}
