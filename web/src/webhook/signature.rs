//! Whether a body was signed with a secret: HMAC-SHA-256 over the raw bytes, or GitLab's token; in constant time.
//!
//! SHA-1 is not accepted. Follows
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries> and
//! <https://docs.gitlab.com/user/project/integrations/webhooks/#validate-requests>.

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use workflow::event::Forge;
use workflow::secret::Secret;

/// What a request brings to prove that it is genuine.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// A signature of the body.
    Signature([u8; 32]),
    /// SHA-256 of the secret itself, so that its length does not show.
    Token([u8; 32]),
}

impl Proof {
    /// Reads the forge's header. `None` if there is none, more than one, or one of another form.
    pub(super) fn read(forge: Forge, headers: &HeaderMap) -> Option<Self> {
        let names: &[&str] = match forge {
            Forge::Github => &["x-hub-signature-256"],
            Forge::Gitea => &["x-gitea-signature", "x-hub-signature-256"],
            Forge::Forgejo => &["x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256"],
            Forge::Gitlab => &["x-gitlab-token"],
            Forge::Push => &["x-pipe-signature-256", "x-hub-signature-256"],
        };
        let name = names.iter().find(|name| headers.contains_key(**name))?;
        let mut values = headers.get_all(*name).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        if forge == Forge::Gitlab {
            return (!value.is_empty()).then(|| Self::Token(Sha256::digest(value.as_bytes()).into()));
        }
        let has_prefix = name.ends_with("-256");
        digest(value, has_prefix).map(Self::Signature)
    }

    /// Whether `secret` made it. An empty secret makes nothing.
    pub(super) fn is_by(&self, secret: &Secret, body: &[u8]) -> bool {
        if secret.is_empty() {
            return false;
        }
        match self {
            Self::Signature(signature) => mac(secret, body).verify_slice(signature).is_ok(),
            Self::Token(token) => {
                let expected = Sha256::digest(secret.expose().as_bytes());
                expected.as_slice().ct_eq(token).into()
            }
        }
    }
}

fn mac(secret: &Secret, body: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length")
        .chain_update(body)
}

/// 64 digits in lower case, after `sha256=` where that belongs before them.
fn digest(value: &HeaderValue, has_prefix: bool) -> Option<[u8; 32]> {
    let text = value.to_str().ok()?;
    let digits = if has_prefix { text.strip_prefix("sha256=")? } else { text };
    if digits.len() != 64 || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example, from its page on validating deliveries.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const DIGEST: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[track_caller]
    fn check(forge: Forge, headers: &[(&'static str, &str)], expected: Option<bool>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let found = Proof::read(forge, &map).map(|proof| proof.is_by(&Secret::new(SECRET), BODY));
        assert_eq!(found, expected, "{forge} {headers:?}");
    }

    #[test]
    fn signatures() {
        let signed = format!("sha256={DIGEST}");
        let hub = "x-hub-signature-256";
        check(Forge::Github, &[(hub, &signed)], Some(true));
        for (value, expected) in [
            (format!("sha256={}", "0".repeat(64)), Some(false)),
            (format!("SHA256={DIGEST}"), None),
            (format!("sha256={}", DIGEST.to_uppercase()), None),
            (DIGEST.to_owned(), None),
            ("sha256=".to_owned(), None),
            (String::new(), None),
            (format!("{signed}00"), None),
        ] {
            check(Forge::Github, &[(hub, &value)], expected);
        }
        check(Forge::Github, &[(hub, &signed), (hub, &signed)], None);
        check(Forge::Github, &[("x-hub-signature", "sha1=0c1f2d3c4b5a69788796a5b4c3d2e1f001234567")], None);
        check(Forge::Gitea, &[("x-gitea-signature", DIGEST)], Some(true));
        check(Forge::Gitea, &[("x-gitea-signature", DIGEST), (hub, "sha256=0")], Some(true));
        check(Forge::Forgejo, &[(hub, &signed)], Some(true));
        check(Forge::Push, &[("x-pipe-signature-256", &signed)], Some(true));
        check(Forge::Github, &[("x-gitea-signature", DIGEST)], None);
    }

    #[test]
    fn tokens() {
        check(Forge::Gitlab, &[("x-gitlab-token", SECRET)], Some(true));
        check(Forge::Gitlab, &[("x-gitlab-token", "It's a Secret to Everybod")], Some(false));
        check(Forge::Gitlab, &[("x-gitlab-token", "")], None);
        check(Forge::Gitlab, &[("x-gitlab-token", SECRET), ("x-gitlab-token", SECRET)], None);
        let empty = Proof::Token(Sha256::digest(b"").into());
        assert!(!empty.is_by(&Secret::new(""), b""));
    }
}
