//! Identity tokens, as `@actions/core` asks for them and a cloud checks them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value as Json, json};
use workflow::model::{PermissionLevel, Permissions};

use crate::attacks::ask;
use crate::world::{Facts, Job, World};

fn write() -> Option<Permissions> {
    Some(Permissions::Scopes([("id-token".to_owned(), PermissionLevel::Write)].into_iter().collect()))
}

async fn document(job: &Job, path: &str) -> Json {
    let (status, _, body) = ask(job, "GET", path, "", b"").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// What a cloud does: the description, the keys, the signature.
async fn claims(job: &Job, token: &str) -> Json {
    let described = document(job, "/.well-known/openid-configuration").await;
    let path = described["jwks_uri"].as_str().unwrap().splitn(4, '/').nth(3).unwrap().to_owned();
    let keys = document(job, &format!("/{path}")).await;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (head, claims) = message.split_once('.').unwrap();
    let head: Json = serde_json::from_slice(&decode(head)).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == head["kid"]).unwrap();
    let public =
        RsaPublicKeyComponents { n: decode(key["n"].as_str().unwrap()), e: decode(key["e"].as_str().unwrap()) };
    public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decode(signature)).unwrap();
    let claims: Json = serde_json::from_slice(&decode(claims)).unwrap();
    assert_eq!(claims["iss"], described["issuer"]);
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_a_token_that_a_cloud_can_check() {
    let world = World::new();
    let job = world.job(Facts { permissions: write(), ..Facts::default() }).await;
    let token = job.drive("id-token", json!({ "audience": "sts.amazonaws.com" })).await.unwrap();
    let claims_of = claims(&job, token.as_str().unwrap()).await;
    assert_eq!(
        (&claims_of["aud"], &claims_of["sub"], &claims_of["repository"]),
        (&json!("sts.amazonaws.com"), &json!("repo:o/r:ref:refs/heads/main"), &json!("o/r"))
    );
    let token = job.drive("id-token", json!({})).await.unwrap();
    assert_eq!(claims(&job, token.as_str().unwrap()).await["aud"], json!("https://github.com/o"));
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_subject_is_made_of_what_the_repository_lists_or_is_none() {
    let world = World::new();
    let facts = Facts { permissions: write(), repository: "O/Deployed", ..Facts::default() };
    let job = world.job(Facts { environment: Some("prod"), ..facts.clone() }).await;
    let token = job.drive("id-token", json!({ "audience": "x" })).await.unwrap();
    assert_eq!(claims(&job, token.as_str().unwrap()).await["sub"], json!("repo:O/Deployed:environment:prod"));
    let job = world.job(Facts { run: 2, ..facts }).await;
    let error = job.drive("id-token", json!({ "audience": "x" })).await.unwrap_err();
    assert!(error.contains("403") && error.contains("`environment` in `sub`"), "{error}");
    // With the ids of owner and repository, where they are known.
    let facts = Facts { permissions: write(), repository: "o/numbered", run: 3, ..Facts::default() };
    let job = world.job(facts.clone()).await;
    let token = job.drive("id-token", json!({ "audience": "x" })).await.unwrap();
    assert_eq!(claims(&job, token.as_str().unwrap()).await["sub"], json!("repo:o@1/numbered@2:ref:refs/heads/main"));
    let job = world.job(Facts { run: 4, repository: "o/new", ..facts }).await;
    let error = job.drive("id-token", json!({ "audience": "x" })).await.unwrap_err();
    assert!(
        error.contains("403") && error.contains("`repository_owner_id` in `sub` (`use-immutable-subject`)"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_tokens_are_for_jobs_that_may_and_while_they_go_on() {
    let world = World::new();
    let asked = "/oidc/token?api-version=2.0&audience=x";
    // Without the permission there are no variables, and who asks nevertheless is told which one it is.
    let job = world.job(Facts::default()).await;
    assert!(job.served.steps.is_empty());
    let error = job.drive("id-token", json!({ "audience": "x" })).await.unwrap_err();
    assert!(error.contains("ACTIONS_ID_TOKEN_REQUEST_URL"), "{error}");
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let (status, _, body) = ask(&job, "GET", asked, &bearer(job.token()), b"").await;
    assert!(status == 403 && body.contains("id-token: write"), "{body}");
    // A fork may say what it likes.
    let fork = world.job(Facts { run: 2, permissions: write(), trusted: false, ..Facts::default() }).await;
    assert!(fork.served.steps.is_empty());
    let (status, _, body) = ask(&fork, "GET", asked, &bearer(fork.token()), b"").await;
    assert!(status == 403 && body.contains("fork"), "{body}");
    let may = world.job(Facts { run: 3, permissions: write(), ..Facts::default() }).await;
    let own = may.served.steps["ACTIONS_ID_TOKEN_REQUEST_TOKEN"].clone();
    for (token, target, expect) in [
        (own.as_str(), asked.to_owned(), 200),
        (own.as_str(), format!("{asked}&audience=y"), 400),
        (own.as_str(), format!("{asked}{}", "x".repeat(1_000)), 400),
        (may.token(), asked.to_owned(), 403),
        ("", asked.to_owned(), 401),
        (job.token(), asked.to_owned(), 401),
    ] {
        assert_eq!(ask(&may, "GET", &target, &bearer(token), b"").await.0, expect, "{target}");
    }
    // The word that asks for tokens opens nothing else.
    assert_eq!(ask(&may, "GET", "/_apis/artifactcache/cache?keys=x&version=y", &bearer(&own), b"").await.0, 401);
    may.served.lease.over();
    assert!(matches!(ask(&may, "GET", asked, &bearer(&own), b"").await.0, 0 | 401));
}
