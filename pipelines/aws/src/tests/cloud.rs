//! STS and ECR: what is asked, what answers mean, and how often it is tried.

use std::time::Duration;

use super::*;
use crate::{AllowedAccounts, Cloud, Fault, Identity, Replica, Replicated, RoleWish, region};

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

pub(super) fn cloud(endpoint: &str) -> Cloud {
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE"),
        "AWS_SECRET_ACCESS_KEY" => Some(KEY),
        "AWS_ENDPOINT_URL" => Some(endpoint),
        "AWS_REGION" => Some("eu-central-1"),
        _ => None,
    };
    Cloud::of(None, variable).unwrap()
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn sts(action: &str, inner: &str) -> (&'static str, String) {
    let space = "https://sts.amazonaws.com/doc/2011-06-15/";
    let text =
        format!("<{action}Response xmlns=\"{space}\"><{action}Result>{inner}</{action}Result></{action}Response>");
    ("200 OK", text)
}

pub(super) fn role_keys(id: &str) -> String {
    format!(
        "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
         <SessionToken>role-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    )
}

pub(super) fn json(body: &str) -> (&'static str, String) {
    ("200 OK", body.to_owned())
}

pub(super) fn json_error(code: &str, message: &str) -> (&'static str, String) {
    ("400 Bad Request", format!("{{\"__type\":\"{code}\",\"message\":\"{message}\"}}"))
}

#[test]
fn keys_are_of_an_account_that_may_be_changed() {
    let inner = "<Arn>arn:aws:iam::123456789012:user/ci</Arn><UserId>A</UserId><Account>123456789012</Account>";
    let (endpoint, got) = server(vec![sts("GetCallerIdentity", inner)]);
    let identity = wait(cloud(&endpoint).identity()).unwrap();
    let expected = Identity { account: "123456789012".into(), arn: "arn:aws:iam::123456789012:user/ci".into() };
    assert_eq!(identity, expected);
    let got = got.recv().unwrap();
    assert!(got.has("Action", "GetCallerIdentity"), "{}", got.body);
    assert!(got.header("authorization").ends_with(&format!("Signature={}", got.signature())));
    assert_eq!(AllowedAccounts::read("").unwrap().check(&identity), Ok(()));
    assert_eq!(AllowedAccounts::read("210987654321, 123456789012").unwrap().check(&identity), Ok(()));
    let wrong = AllowedAccounts::read("210987654321").unwrap().check(&identity).unwrap_err();
    assert_eq!(wrong.fault, Fault::Credentials);
    assert!(wrong.words.contains("are of account 123456789012 (arn:aws:iam::123456789012:user/ci)"), "{wrong}");
    assert!(AllowedAccounts::read("12").unwrap_err().contains("12 digits"));
}

#[test]
fn a_role_is_taken_with_a_token_and_no_keys() {
    let (endpoint, got) = server(vec![sts("AssumeRoleWithWebIdentity", &role_keys("ASIAROLE"))]);
    let variable = |name: &str| (name == "AWS_ENDPOINT_URL_STS").then_some(endpoint.as_str());
    let cloud = Cloud::without_keys(Some("eu-central-1"), variable).unwrap();
    let wish = RoleWish { role: ROLE.into(), session_name: "pipe-7".into(), seconds: 900, ..RoleWish::default() };
    let keys = wait(cloud.assume_with_token(&wish, "a.b.c")).unwrap();
    assert_eq!((keys.id(), keys.secret(), keys.session()), ("ASIAROLE", "role-secret", Some("role-token")));
    assert!(keys.last_for(Duration::from_secs(3_600)) && !format!("{keys:?}").contains("role-"), "{keys:?}");
    let got = got.recv().unwrap();
    assert_eq!(got.header("authorization"), "", "the token is what proves it");
    for (name, value) in [("WebIdentityToken", "a.b.c"), ("RoleSessionName", "pipe-7"), ("DurationSeconds", "900")] {
        assert!(got.has(name, value), "{name}: {}", got.body);
    }
}

#[test]
fn tokens_and_roles_are_refused_in_words() {
    let wish = RoleWish { role: ROLE.into(), session_name: "x".into(), seconds: 900, ..RoleWish::default() };
    for (code, fault, words) in [
        ("AccessDenied", Fault::Permission, "its conditions on `aud` and `sub` must fit"),
        ("ExpiredTokenException", Fault::Credentials, "the job's token is too old"),
        ("InvalidIdentityToken", Fault::Credentials, "the token's issuer is no identity provider of the account"),
    ] {
        let (endpoint, got) = server(vec![refused("400 Bad Request", code, "said")]);
        let problem = wait(cloud(&endpoint).assume_with_token(&wish, "a.b.c")).unwrap_err();
        assert!(problem.words.contains(words) && problem.words.contains(code), "{code}: {problem}");
        assert_eq!((problem.fault, problem.is_for_now, got.try_iter().count()), (fault, false, 1), "{code}");
    }
}

#[test]
fn a_login_is_a_password_for_each_registry() {
    // "AWS:pass:word" in base64.
    let body = r#"{"authorizationData":[{"authorizationToken":"QVdTOnBhc3M6d29yZA==","expiresAt":1.9e9,
        "proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"}]}"#;
    let (endpoint, got) = server(vec![json_error("ThrottlingException", "Rate exceeded"), json(body)]);
    let ecr = cloud(&endpoint).ecr(None);
    let keys = wait(ecr.login(&[])).unwrap();
    assert_eq!((keys[0].user.as_str(), keys[0].password.as_str()), ("AWS", "pass:word"));
    assert_eq!(keys[0].host, "123456789012.dkr.ecr.eu-central-1.amazonaws.com");
    assert!(!format!("{keys:?}").contains("pass"), "{keys:?}");
    let got: Vec<_> = got.try_iter().collect();
    assert_eq!(got.len(), 2, "throttled once");
    assert_eq!(got[0].header("x-amz-target"), "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
    let keys = wait(ecr.login(&["210987654321".to_owned()])).unwrap();
    assert_eq!(keys[0].host, "210987654321.dkr.ecr.eu-central-1.amazonaws.com");
}

#[test]
fn what_is_not_there_is_no_failure_and_what_is_forbidden_is_one() {
    let (endpoint, _got) = server(vec![json_error("RepositoryNotFoundException", "no")]);
    assert_eq!(wait(cloud(&endpoint).ecr(None).repository("shop/orders")), Ok(None));
    let (endpoint, _got) = server(vec![json_error("ImageNotFoundException", "no")]);
    assert_eq!(wait(cloud(&endpoint).ecr(None).tag("shop/orders", "v1")), Ok(None));
    let (endpoint, _got) = server(vec![json_error("AccessDeniedException", "no")]);
    let denied = wait(cloud(&endpoint).ecr(None).tag("shop/orders", "v1")).unwrap_err();
    assert_eq!(denied.fault, Fault::Permission);
    assert!(denied.words.starts_with("the credentials may not do `ecr:DescribeImages` on shop/orders: allow it"));
    let (endpoint, _got) = server(vec![json_error("RepositoryNotFoundException", "no")]);
    let missing = wait(cloud(&endpoint).ecr(None).tag("shop/orders", "v1")).unwrap_err();
    assert!(missing.words.starts_with("shop/orders does not exist in eu-central-1"), "{missing}");
}

#[test]
fn replicas_and_repositories_are_read() {
    let body = r#"{"replicationStatuses":[{"region":"us-west-2","status":"COMPLETE"},{"region":"us-east-1","status":"IN_PROGRESS"},
        {"region":"eu-west-1","status":"FAILED","failureCode":"AccessDenied"}]}"#;
    let (endpoint, _got) = server(vec![json(body)]);
    let replica = |region: &str, state| Replica { region: region.into(), state };
    let expected = vec![
        replica("us-west-2", Replicated::Yes),
        replica("us-east-1", Replicated::Not),
        replica("eu-west-1", Replicated::Failed { why: "AccessDenied".into() }),
    ];
    assert_eq!(wait(cloud(&endpoint).ecr(None).replicas("shop/orders", "sha256:00")), Ok(expected));
    let body = r#"{"repositories":[{"repositoryUri":"1.dkr.ecr.eu-central-1.amazonaws.com/shop/orders","imageTagMutability":"IMMUTABLE"}]}"#;
    let (endpoint, got) = server(vec![json(body)]);
    let found = wait(cloud(&endpoint).ecr(Some("210987654321")).repository("shop/orders")).unwrap().unwrap();
    assert!(found.is_immutable && found.uri.ends_with("/shop/orders"));
    assert!(got.recv().unwrap().body.contains("\"registryId\":\"210987654321\""));
}

#[test]
fn an_image_gets_a_tag_once() {
    let image = r#"{"images":[{"imageManifest":"{}","imageManifestMediaType":"m"}]}"#;
    let (endpoint, got) = server(vec![json(image), json_error("ImageAlreadyExistsException", "same")]);
    wait(cloud(&endpoint).ecr(None).give_tag("shop/orders", "sha256:00", "pipe-deployed-dev-7")).unwrap();
    let got: Vec<_> = got.try_iter().collect();
    assert!(got[1].body.contains("\"imageTag\":\"pipe-deployed-dev-7\""), "{}", got[1].body);
    // An answer that is lost may hide that it was done; the same again does no harm.
    let broken = ("500 Oh", String::new());
    let (endpoint, got) = server(vec![json(image), broken, json("{}")]);
    wait(cloud(&endpoint).ecr(None).give_tag("shop/orders", "sha256:00", "x")).unwrap();
    assert_eq!(got.try_iter().count(), 3);
    let (endpoint, got) = server(vec![("500 Oh", String::new())]);
    let problem = wait(cloud(&endpoint).ecr(None).create("shop/orders")).unwrap_err();
    assert!(problem.is_uncertain && got.try_iter().count() == 1, "what makes something is not repeated blindly");
}

#[test]
fn regions_have_rules() {
    let none = |_: &str| None;
    for (text, fine) in [
        ("eu-central-1", true),
        ("us-gov-west-1", true),
        ("eu-central", false),
        ("EU-CENTRAL-1", false),
        ("eu-central-1a", false),
    ] {
        assert_eq!(region(Some(text), none).is_ok(), fine, "{text}");
    }
    assert!(region(None, none).unwrap_err().to_string().contains("write `aws-region` at the step"));
    let variable = |name: &str| (name == "AWS_DEFAULT_REGION").then_some("us-east-1");
    assert_eq!(region(Some(" "), variable).unwrap(), "us-east-1");
}
