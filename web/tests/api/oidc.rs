//! Signing in at a provider that signs what it says, and what happens when the browser is another one.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use engine::oidc::{OidcSettings, Provider};
use engine::store::people::{Assignment, Role};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value as Json, json};
use web::Oidc;

use crate::world::{Answer, World};

const HOST: [(&str, &str); 2] = [("host", "127.0.0.1:8080"), ("accept", "text/html")];

/// A provider: what its token says is set before a code is redeemed.
struct Fake {
    issuer: String,
    claims: Arc<Mutex<Json>>,
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let value = chunk.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[(value >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

impl Fake {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap();
        let (pair, claims) = (Arc::new(pair), Arc::new(Mutex::new(Json::Null)));
        let (own, said) = (issuer.clone(), Arc::clone(&claims));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pair, claims, issuer) = (Arc::clone(&pair), Arc::clone(&said), own.clone());
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (pair, claims, issuer) = (Arc::clone(&pair), Arc::clone(&claims), issuer.clone());
                    async move {
                        let path = request.uri().path().to_owned();
                        let _form = request.into_body().collect().await;
                        let answer = answer(&path, &issuer, &pair, &claims.lock().unwrap());
                        Ok::<_, Infallible>(hyper::Response::new(answer.to_string()))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { issuer, claims }
    }

    fn provider(&self) -> Oidc {
        let provider = Provider::new(OidcSettings {
            issuer: self.issuer.clone(),
            client_id: "pipe".into(),
            client_secret: None,
            redirect: "http://127.0.0.1:8080/login/oidc/callback".into(),
            scopes: Vec::new(),
            groups_claim: "groups".into(),
            roles: [("all".to_owned(), vec![Assignment::of_all(Role::Viewer)])].into(),
            teams: indexmap::IndexMap::new(),
        });
        Oidc::new(provider.unwrap())
    }

    fn say(&self, nonce: &str, groups: &Json) {
        let now = Timestamp::now().as_second();
        *self.claims.lock().unwrap() = json!({
            "iss": self.issuer, "aud": "pipe", "sub": "42", "exp": now + 300, "iat": now, "nonce": nonce,
            "preferred_username": "ada", "groups": groups,
        });
    }
}

fn answer(path: &str, issuer: &str, pair: &EcdsaKeyPair, claims: &Json) -> Json {
    match path {
        "/.well-known/openid-configuration" => json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        }),
        "/keys" => {
            let point = pair.public_key().as_ref();
            let key = json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": base64(&point[1..33]), "y": base64(&point[33..]) });
            json!({ "keys": [key] })
        }
        _ => {
            let head = json!({ "alg": "ES256", "kid": "1" }).to_string();
            let message = format!("{}.{}", base64(head.as_bytes()), base64(claims.to_string().as_bytes()));
            let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            json!({ "id_token": format!("{message}.{}", base64(signature.as_ref())) })
        }
    }
}

impl World {
    async fn visit(&self, path: &str, cookie: &str) -> Answer {
        let mut request = Request::get(path).header("cookie", cookie);
        for (name, value) in HOST {
            request = request.header(name, value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// Where a browser is sent, and what it comes back with: cookie, state, nonce.
async fn leave(world: &World) -> (String, String, String) {
    let sent = world.visit("/login/oidc?next=/runs/7", "").await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    let set = sent.header("set-cookie");
    assert!(set.starts_with("pipe-away=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let query = sent.header("location").split_once('?').unwrap().1;
    let one =
        |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name).unwrap().1.into_owned();
    (set.split(';').next().unwrap().to_owned(), one("state"), one("nonce"))
}

#[tokio::test]
async fn a_browser_that_comes_back_is_signed_in_and_no_other() {
    let fake = Fake::start().await;
    let world = World::with(|entrance| entrance.with_oidc(Some(fake.provider()))).await;
    assert!(world.visit("/login", "").await.text().contains("Sign in with"));
    let (cookie, state, nonce) = leave(&world).await;
    fake.say(&nonce, &json!(["all"]));
    let back = format!("/login/oidc/callback?code=x&state={state}");
    for (path, cookie) in [(back.as_str(), ""), (&back, "pipe-away=another"), ("/login/oidc/callback?code=x", "")] {
        assert_eq!(world.visit(path, cookie).await.status, 403, "{path} {cookie}");
    }
    let done = world.visit(&back, &cookie).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, "/runs/7"), "{}", done.text());
    let session = done
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|set| set.to_str().unwrap())
        .find(|set| set.starts_with("pipe-loopback="));
    let session = session.unwrap().split(';').next().unwrap();
    let me = world.visit("/api/v1/me", session).await.json();
    assert_eq!((&me["who"], &me["user"]["roles"][0]["source"]), (&json!("ada"), &json!("oidc")));
    assert_eq!(world.visit(&back, &cookie).await.status, 403, "a login is used once");
    for path in [
        "state=wrong&code=x".to_owned(),
        "STATE&error=access_denied".into(),
        "STATE&code=x&iss=https://evil.example".into(),
    ] {
        let (cookie, state, nonce) = leave(&world).await;
        fake.say(&nonce, &json!([]));
        let query = path.replace("STATE", &format!("state={state}"));
        assert_eq!(world.visit(&format!("/login/oidc/callback?{query}"), &cookie).await.status, 403, "{path}");
    }
    let (cookie, state, _) = leave(&world).await;
    fake.say("another login's", &json!(["all"]));
    let lied = world.visit(&format!("/login/oidc/callback?code=x&state={state}"), &cookie).await;
    assert!(lied.status == 403 && lied.text().contains("another login"), "{}", lied.text());
    let deeds = world.deeds().await;
    assert!(deeds.contains(&"ada login user ada".to_owned()) && deeds.iter().any(|deed| deed.contains("login.fail")));
}
