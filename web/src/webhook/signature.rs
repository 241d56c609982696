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

    /// Times of what is measured, in turn with others, so that what else the machine does meets all alike: the median of each.
    fn medians<const N: usize>(measured: [&mut dyn FnMut(); N]) -> [f64; N] {
        const ROUNDS: usize = 20_000;
        let mut times: [Vec<u64>; N] = std::array::from_fn(|_| Vec::with_capacity(ROUNDS));
        for round in 0..ROUNDS {
            for step in 0..N {
                // Not always in the same order: the one before warms what the next one uses.
                let at = (round + step) % N;
                let begun = std::time::Instant::now();
                measured[at]();
                times[at].push(u64::try_from(begun.elapsed().as_nanos()).unwrap());
            }
        }
        times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2] as f64
        })
    }

    /// 20,000 of each: a digest that is wrong in its first byte takes as long as one that is wrong in its last. How much two
    /// medians of the same thing differ on this machine now is measured beside them, and that a comparison which ends at the first
    /// difference would be seen.
    #[test]
    fn w05_a_wrong_first_byte_takes_as_long_as_a_wrong_last_one() {
        let right: [u8; 32] = mac(&Secret::new(SECRET), BODY).finalize().into_bytes().into();
        let wrong = |place: usize| {
            let mut digest = right;
            digest[place] ^= 1;
            Proof::Signature(digest)
        };
        let secret = Secret::new(SECRET);
        let (first, last) = (wrong(0), wrong(31));
        let ask = |proof: &Proof| assert!(!std::hint::black_box(proof).is_by(&secret, BODY));
        let token = |place: usize| {
            let mut digest: [u8; 32] = Sha256::digest(SECRET.as_bytes()).into();
            digest[place] ^= 1;
            Proof::Token(digest)
        };
        let tokens = (token(0), token(31));
        // What must not be: byte by byte, as far as they are alike.
        let naive = |place: usize| {
            let mut given = [7_u8; 4_096];
            given[place] ^= 1;
            let alike = |(one, other): (&u8, &u8)| std::hint::black_box(one) == std::hint::black_box(other);
            let _same = std::hint::black_box(given.iter().zip(&[7_u8; 4_096]).all(alike));
        };
        let mut tried = Vec::new();
        for _ in 0..5 {
            let [one, again, other, token_one, token_other] = medians([
                &mut || ask(&first),
                &mut || ask(&first),
                &mut || ask(&last),
                &mut || ask(&tokens.0),
                &mut || ask(&tokens.1),
            ]);
            let [early, late] = medians([&mut || naive(0), &mut || naive(4_095)]);
            assert!(late > early * 1.5, "a comparison that leaks is not seen: {early} ns and {late} ns");
            let noise = (one - again).abs().max(one * 0.02).max(60.0);
            let differs = [(one - other).abs(), (token_one - token_other).abs()];
            tried.push(format!("{one} {again} {other} {token_one} {token_other} ns"));
            if differs.iter().all(|differs| *differs <= noise) {
                return;
            }
        }
        panic!("where a digest is wrong can be told by time: {tried:#?}");
    }
}
