//! Who may take a role: tokens of an identity provider, checked as AWS does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fake_aws::{Fake, Options};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::wire::ask;

/// An issuer of tokens on this machine, as `pipe serve` is one.
struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

impl Issuer {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (url, key) = (format!("http://{}", listener.local_addr().unwrap()), key());
        let point = key.public_key().as_ref();
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        }]});
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let body = if first.contains("/.well-known/") { discovery.to_string() } else { keys.to_string() };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        Self { url, key }
    }

    fn claims(&self, change: &Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.url, "aud": "sts.amazonaws.com", "sub": "repo:shop/orders:ref:refs/heads/main", "iat": now, "exp": now + 600,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn token(&self, change: &Value) -> String {
        sign(&self.key, &json!({ "alg": "ES256", "kid": "one" }), &self.claims(change))
    }
}

fn sign(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn fake(issuer: &Issuer) -> Fake {
    let fake = Fake::start(Options::default()).unwrap();
    let input = json!({ "Url": issuer.url, "ClientIDList": ["sts.amazonaws.com"] });
    let provider = fake.call("IAM", "CreateOpenIDConnectProvider", &input).unwrap()["OpenIDConnectProviderArn"].clone();
    let host = issuer.url.trim_start_matches("http://");
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": { "Federated": provider },
        "Condition": {
            "StringEquals": { format!("{host}:aud"): "sts.amazonaws.com" },
            "StringLike": { format!("{host}:sub"): "repo:shop/*:ref:refs/heads/main" },
        },
    }]});
    let input = json!({ "RoleName": "deploy", "AssumeRolePolicyDocument": trust.to_string() });
    fake.call("IAM", "CreateRole", &input).unwrap();
    fake
}

fn assume(fake: &Fake, token: &str) -> (u16, String) {
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/deploy\
         &RoleSessionName=pipe-7&WebIdentityToken={token}"
    );
    let address = fake.endpoint().trim_start_matches("http://").to_owned();
    let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    ask(&address, "POST", "/", &headers, form.as_bytes())
        .map(|(status, body)| (status, String::from_utf8(body).unwrap()))
        .unwrap()
}

#[test]
fn a_good_token_gives_a_session_that_signs() {
    let issuer = Issuer::new();
    let fake = fake(&issuer);
    let (status, body) = assume(&fake, &issuer.token(&json!({})));
    assert_eq!(status, 200, "{body}");
    let of = |name: &str| body.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(of("Audience"), "sts.amazonaws.com");
    let keys = (of("AccessKeyId"), of("SecretAccessKey"), of("SessionToken"));
    let who = |token: &str| {
        crate::wire::signed(
            &fake,
            "sts",
            "POST",
            "/",
            (&keys.0, &keys.1, token),
            &[("content-type", "application/x-www-form-urlencoded".to_owned())],
            b"Action=GetCallerIdentity&Version=2011-06-15",
        )
        .unwrap()
    };
    let (status, answer) = who(&keys.2);
    assert_eq!(status, 200);
    assert!(String::from_utf8(answer).unwrap().contains("assumed-role/deploy/pipe-7"));
    assert_eq!(who("another").0, 403, "the session's own token is needed");
    assert_eq!(fake.expire_sessions(None), 1);
    let (status, answer) = who(&keys.2);
    assert_eq!(status, 403);
    assert!(String::from_utf8(answer).unwrap().contains("<Code>ExpiredToken</Code>"));
}

#[test]
fn forged_expired_and_foreign_tokens_are_refused() {
    let issuer = Issuer::new();
    let fake = fake(&issuer);
    let forged = sign(&key(), &json!({ "alg": "ES256", "kid": "one" }), &issuer.claims(&json!({})));
    let unsigned = sign(&issuer.key, &json!({ "alg": "none" }), &issuer.claims(&json!({})));
    let symmetric = sign(&issuer.key, &json!({ "alg": "HS256", "kid": "one" }), &issuer.claims(&json!({})));
    let stranger = sign(&issuer.key, &json!({ "alg": "ES256", "kid": "two" }), &issuer.claims(&json!({})));
    let good = issuer.token(&json!({}));
    let other =
        URL_SAFE_NO_PAD.encode(issuer.claims(&json!({ "sub": "repo:shop/orders:ref:refs/heads/main2" })).to_string());
    let mut parts: Vec<_> = good.split('.').collect();
    parts[1] = &other;
    let swapped = parts.join(".");
    for (name, token, status, code) in [
        ("forged", forged, 400, "InvalidIdentityToken"),
        ("no signature", unsigned, 400, "InvalidIdentityToken"),
        ("another kind of signature", symmetric, 400, "InvalidIdentityToken"),
        ("an unknown key", stranger, 400, "InvalidIdentityToken"),
        ("other claims under a good signature", swapped, 400, "InvalidIdentityToken"),
        ("no token", "abc".to_owned(), 400, "InvalidIdentityToken"),
        ("expired", issuer.token(&json!({ "exp": 1_000 })), 400, "ExpiredTokenException"),
        ("no end", issuer.token(&json!({ "exp": null })), 400, "InvalidIdentityToken"),
        ("wrong branch", issuer.token(&json!({ "sub": "repo:shop/orders:ref:refs/heads/dev" })), 403, "AccessDenied"),
        (
            "another repository",
            issuer.token(&json!({ "sub": "repo:evil/orders:ref:refs/heads/main" })),
            403,
            "AccessDenied",
        ),
        ("wrong audience", issuer.token(&json!({ "aud": "https://evil.example" })), 400, "InvalidIdentityToken"),
        ("unknown issuer", issuer.token(&json!({ "iss": "http://127.0.0.1:9" })), 400, "InvalidIdentityToken"),
    ] {
        let (got, body) = assume(&fake, &token);
        assert_eq!(got, status, "{name}: {body}");
        assert!(body.contains(&format!("<Code>{code}</Code>")), "{name}: {body}");
    }
}
