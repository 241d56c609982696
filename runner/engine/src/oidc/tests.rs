//! A provider that remembers what it is asked, and lies in every way that matters.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;
use crate::store::people::Role;

struct Signer {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self { pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap(), kid }
    }

    fn jwk(&self) -> Json {
        let point = self.pair.public_key().as_ref();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": encode(&point[1..33]),
                "y": encode(&point[33..]) })
    }

    fn sign(&self, head: &Json, claims: &Json) -> String {
        let encode = |value: &Json| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(head), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

#[derive(Default)]
struct State {
    description: Json,
    keys: Json,
    token: String,
    asked: Vec<(String, String)>,
    authorization: String,
}

/// A provider on a port of its own.
struct Fake {
    state: Arc<Mutex<State>>,
    issuer: String,
    signer: Signer,
}

impl Fake {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let signer = Signer::new("one");
        let state = Arc::new(Mutex::new(State {
            description: json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
            }),
            keys: json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "one" }, signer.jwk()] }),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { state, issuer, signer }
    }

    fn provider(&self) -> Provider {
        let role = |role| vec![Assignment::of_all(role)];
        Provider::new(OidcSettings {
            issuer: self.issuer.clone(),
            client_id: "pipe".into(),
            client_secret: Some(Secret::new("s:cret")),
            redirect: "https://ci.example/login/oidc/callback".into(),
            scopes: vec!["profile".into()],
            groups_claim: String::new(),
            roles: [("admins".to_owned(), role(Role::Admin)), ("all".to_owned(), role(Role::Viewer))].into(),
            teams: [("shop".to_owned(), "shop".to_owned())].into(),
        })
        .unwrap()
    }

    fn claims(&self, nonce: &Secret, now: Timestamp) -> Json {
        json!({
            "iss": self.issuer, "aud": "pipe", "sub": "42", "exp": now.as_second() + 300, "iat": now.as_second(),
            "nonce": nonce.expose(), "preferred_username": "ada", "email": "ada@example.com", "name": "Ada",
            "groups": ["all", "shop", "others"],
        })
    }

    async fn finish(
        &self,
        provider: &Provider,
        begun: &Begun,
        token: String,
        now: Timestamp,
    ) -> Result<Vouched, OidcError> {
        self.state.lock().unwrap().token = token;
        provider.finish("the code", &begun.verifier, &begun.nonce, now).await
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<String>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let mut state = state.lock().unwrap();
    let path = head.uri.path().to_owned();
    state.asked.push((path.clone(), body));
    if let Some(basic) = head.headers.get("authorization") {
        state.authorization = basic.to_str().unwrap().to_owned();
    }
    let (status, answer) = match path.as_str() {
        "/.well-known/openid-configuration" => (200, state.description.clone()),
        "/keys" => (200, state.keys.clone()),
        "/token" if state.token.is_empty() => (400, json!({ "error": "invalid_grant" })),
        "/token" => (200, json!({ "id_token": state.token, "access_token": "x", "token_type": "Bearer" })),
        _ => (404, Json::Null),
    };
    Ok(Response::builder().status(status).body(answer.to_string()).unwrap())
}

fn head() -> Json {
    json!({ "alg": "ES256", "kid": "one", "typ": "JWT" })
}

#[tokio::test]
async fn a_code_becomes_a_person_with_the_roles_of_their_groups() {
    let (fake, now) = (Fake::start().await, Timestamp::now());
    let provider = fake.provider();
    let begun = provider.begin(now).await.unwrap();
    let (address, query) = begun.address.split_once('?').unwrap();
    assert_eq!(address, format!("{}/authorize", fake.issuer));
    let pairs: IndexMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!((pairs["scope"].as_str(), pairs["code_challenge_method"].as_str()), ("openid profile", "S256"));
    assert_eq!(pairs["redirect_uri"], "https://ci.example/login/oidc/callback");
    assert!(pairs["state"] == begun.state.expose() && pairs["nonce"] == begun.nonce.expose());
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier.expose()));
    assert!(pairs["code_challenge"] == challenge && !query.contains(begun.verifier.expose()));
    let token = fake.signer.sign(&head(), &fake.claims(&begun.nonce, now));
    let person = fake.finish(&provider, &begun, token, now).await.unwrap();
    assert_eq!((person.subject.as_str(), person.teams), ("42", vec!["shop".to_owned()]));
    assert_eq!(person.roles, [Assignment::of_all(Role::Viewer)]);
    // The address was not verified, so that it is no name.
    assert_eq!((person.names.len(), person.names[0].as_str()), (2, "ada"));
    let state = fake.state.lock().unwrap();
    let (_, form) = state.asked.iter().find(|(path, _)| path == "/token").unwrap();
    assert!(form.contains(&format!("code_verifier={}", begun.verifier.expose())) && !form.contains("cret"), "{form}");
    assert_eq!(
        state.authorization,
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("pipe:s%3Acret"))
    );
}

#[tokio::test]
async fn lies_are_not_believed() {
    let (fake, now) = (Fake::start().await, Timestamp::now());
    let provider = fake.provider();
    let begun = provider.begin(now).await.unwrap();
    let good = fake.claims(&begun.nonce, now);
    let changed = |name: &str, value: Json| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let second = now.as_second();
    for (claims, expected) in [
        (changed("iss", json!("https://evil.example")), "another issuer"),
        (changed("iss", json!(format!("{}/", fake.issuer))), "another issuer"),
        (changed("aud", json!("other")), "another application"),
        (changed("aud", json!(["pipe", "other"])), "another application"),
        (changed("aud", json!([])), "another application"),
        (changed("aud", Json::Null), "another application"),
        (changed("azp", json!("other")), "another application"),
        (changed("exp", json!(second - 61)), "has ended"),
        (changed("exp", Json::Null), "does not say"),
        (changed("exp", json!("never")), "does not say"),
        (changed("iat", json!(second + 3_600)), "not of now"),
        (changed("iat", json!(second - 3_600)), "not of now"),
        (changed("nbf", json!(second + 3_600)), "not of now"),
        (changed("nonce", json!("another")), "another login"),
        (changed("nonce", Json::Null), "another login"),
        (changed("nonce", json!("")), "another login"),
        (changed("sub", json!("")), "names nobody"),
        (changed("sub", json!(42)), "names nobody"),
    ] {
        let error = fake.finish(&provider, &begun, fake.signer.sign(&head(), &claims), now).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let fine = fake.signer.sign(&head(), &changed("aud", json!(["pipe"])));
    fake.finish(&provider, &begun, fine.clone(), now).await.unwrap();
    for (head, expected) in [
        (json!({ "alg": "none" }), "signed with `none`"),
        (json!({ "alg": "None", "kid": "one" }), "signed with `None`"),
        (json!({ "alg": "HS256", "kid": "one" }), "signed with `HS256`"),
        (json!({ "alg": "RS256", "kid": "one" }), "a key that the provider does not have"),
        (json!({ "alg": "ES256", "kid": "two" }), "a key that the provider does not have"),
        (json!({ "alg": "ES256", "kid": "one", "crit": ["x"] }), "must be understood"),
    ] {
        let error = fake.finish(&provider, &begun, fake.signer.sign(&head, &good), now).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let mut parts: Vec<String> = fine.split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(changed("sub", json!("1")).to_string());
    let foreign = Signer::new("one").sign(&head(), &good);
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    for token in [parts.join("."), foreign, unsigned, fine[..40].to_owned(), "a.b.c".into(), "x".repeat(70_000)] {
        let refused = fake.finish(&provider, &begun, token, now).await;
        assert!(matches!(refused, Err(OidcError::Unbelievable(_))), "{refused:?}");
    }
    let refused = fake.finish(&provider, &begun, String::new(), now).await.unwrap_err();
    assert_eq!(refused, OidcError::Refused("400: invalid_grant".into()));
}

#[tokio::test]
async fn hmac_with_a_public_key_is_no_signature() {
    use hmac::{Hmac, Mac as _};
    let (fake, now) = (Fake::start().await, Timestamp::now());
    let provider = fake.provider();
    let begun = provider.begin(now).await.unwrap();
    for alg in ["HS256", "ES256"] {
        let encode = |value: &Json| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = fake.claims(&begun.nonce, now);
        let message = format!("{}.{}", encode(&json!({ "alg": alg, "kid": "one" })), encode(&claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(fake.signer.pair.public_key().as_ref()).unwrap();
        mac.update(message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        let refused = fake.finish(&provider, &begun, token, now).await;
        assert!(matches!(refused, Err(OidcError::Unbelievable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_new_key_is_looked_for_once_a_minute() {
    let (fake, now) = (Fake::start().await, Timestamp::now());
    let provider = fake.provider();
    let begun = provider.begin(now).await.unwrap();
    let new = Signer::new("two");
    fake.state.lock().unwrap().keys = json!({ "keys": [new.jwk()] });
    let head = json!({ "alg": "ES256", "kid": "two" });
    let later = now + SignedDuration::from_secs(61);
    let token = |at| new.sign(&head, &fake.claims(&begun.nonce, at));
    assert!(fake.finish(&provider, &begun, token(now), now).await.is_err(), "it was asked a moment ago");
    fake.finish(&provider, &begun, token(later), later).await.unwrap();
    let old = fake.signer.sign(&super::tests::head(), &fake.claims(&begun.nonce, later));
    assert!(fake.finish(&provider, &begun, old, later).await.is_err(), "a key that was taken back");
    let asked = fake.state.lock().unwrap().asked.iter().filter(|(path, _)| path == "/keys").count();
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn a_provider_that_is_another_one_is_not_asked() {
    for (field, value) in [
        ("issuer", json!("https://evil.example")),
        ("token_endpoint", json!("http://192.0.2.1/token")),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("token_endpoint", Json::Null),
    ] {
        let fake = Fake::start().await;
        fake.state.lock().unwrap().description[field] = value;
        assert!(fake.provider().begin(Timestamp::now()).await.is_err(), "{field}");
    }
    let settings = |issuer: &str| OidcSettings {
        issuer: issuer.into(),
        client_id: "pipe".into(),
        client_secret: None,
        redirect: String::new(),
        scopes: Vec::new(),
        groups_claim: String::new(),
        roles: IndexMap::new(),
        teams: IndexMap::new(),
    };
    for (issuer, fine) in [
        ("https://id.example", true),
        ("http://localhost:8080/realms/x", true),
        ("http://id.example", false),
        ("https://user@id.example", false),
        ("id.example", false),
    ] {
        assert_eq!(Provider::new(settings(issuer)).is_ok(), fine, "{issuer}");
    }
}
