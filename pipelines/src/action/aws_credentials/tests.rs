//! Whose keys steps get, and what they never get.

use super::super::answering::answers;
use super::super::fake_aws::{identity, role};
use super::*;
use engine::step::trial::{Trial, Tried};

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

fn run(name: &'static str, inputs: &[(&str, &str)], env: &[(&str, &str)]) -> Tried {
    let scratch = tempfile::tempdir().unwrap();
    let workspace = scratch.path().join("w");
    std::fs::create_dir(&workspace).unwrap();
    std::fs::write(workspace.join("token"), "aaaa.bbbb.cccc\n").unwrap();
    let mut trial = Trial::new(scratch.path().to_path_buf(), workspace, scratch.path());
    trial.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(trial.run(&AwsCredentials { name }, inputs))
}

fn exported<'a>(tried: &'a Tried, name: &str) -> Option<&'a str> {
    tried.exports.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

const KEYS: [(&str, &str); 3] =
    [("aws-access-key-id", "AKIDEXAMPLE"), ("aws-secret-access-key", "the-secret-key"), ("aws-region", "eu-central-1")];

#[test]
fn keys_of_inputs_are_checked_and_set() {
    let (endpoint, got) = answers(vec![identity("123456789012")]);
    let env = [("AWS_ENDPOINT_URL", endpoint.as_str())];
    let tried = run("pipe/aws-credentials", &KEYS, &env);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(tried.outputs["aws-account-id"], "123456789012");
    assert!(!tried.outputs.contains_key("aws-secret-access-key"), "only where it is asked for");
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret-key"),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
    ] {
        assert_eq!(exported(&tried, name), Some(value), "{name}");
    }
    assert!(
        tried.log.contains("Credentials of arn:aws:iam::123456789012:user/ci in eu-central-1 (from inputs)"),
        "{}",
        tried.log
    );
    assert!(!tried.log.contains("the-secret-key"), "{}", tried.log);
    assert!(got.recv().unwrap().contains("Action=GetCallerIdentity"));
}

#[test]
fn a_wrong_account_sets_nothing() {
    let (endpoint, _got) = answers(vec![identity("123456789012")]);
    let env = [("AWS_ENDPOINT_URL", endpoint.as_str())];
    let tried = run("pipe/aws-credentials", &[&KEYS[..], &[("allowed-account-ids", "210987654321")]].concat(), &env);
    let error = tried.result.as_ref().unwrap_err().to_string();
    assert!(
        error.contains("are of account 123456789012") && error.contains("210987654321: nothing was done"),
        "{error}"
    );
    assert!(tried.exports.is_empty() && tried.outputs.is_empty());
}

#[test]
fn a_role_is_taken_for_a_token() {
    let answer = || vec![role("AssumeRoleWithWebIdentity"), identity("123456789012")];
    let (endpoint, got) = answers(answer());
    let env = [("AWS_ENDPOINT_URL", endpoint.as_str())];
    let wish = [("role-to-assume", ROLE), ("aws-region", "eu-central-1"), ("output-credentials", "true")];
    let tried = run("pipe/aws-credentials", &[&wish[..], &[("web-identity-token-file", "token")]].concat(), &env);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!(tried.outputs["aws-expiration"], "2099-01-01T00:00:00Z");
    assert_eq!(exported(&tried, "AWS_SESSION_TOKEN"), Some("role-session-token"));
    assert!(got.recv().unwrap().contains("WebIdentityToken=aaaa.bbbb.cccc"));
    for hidden in ["role-secret-value", "role-session-token", "aaaa.bbbb.cccc"] {
        assert!(!tried.log.contains(hidden), "{hidden}: {}", tried.log);
    }

    let (issuer, asked) = answers(vec![("200 OK", "{\"value\":\"dddd.eeee.ffff\"}".to_owned())]);
    let (endpoint, got) = answers(answer());
    let url = format!("{issuer}/token?run=7");
    let env = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer-of-the-job"),
    ];
    let tried = run("aws-actions/configure-aws-credentials", &wish, &env);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("GET /token?run=7&audience=sts.amazonaws.com "), "{asked}");
    assert!(asked.contains("authorization: Bearer bearer-of-the-job"), "{asked}");
    assert!(got.recv().unwrap().contains("WebIdentityToken=dddd.eeee.ffff"));
}

#[test]
fn who_refuses_a_token_says_why() {
    let (issuer, _asked) = answers(vec![("403 Forbidden", "{\"msg\":\"this job has no `environment`\"}".to_owned())]);
    let env = [("ACTIONS_ID_TOKEN_REQUEST_URL", issuer.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer")];
    let tried = run("pipe/aws-credentials", &[("role-to-assume", ROLE), ("aws-region", "eu-central-1")], &env);
    let error = tried.result.unwrap_err().to_string();
    assert!(error.contains("the job's token was refused (status 403): this job has no `environment`"), "{error}");
}

#[test]
fn what_is_wrong_is_said() {
    let check = |inputs: &[(&str, &str)], env: &[(&str, &str)], words: &str| {
        let error = run("pipe/aws-credentials", inputs, env).result.unwrap_err().to_string();
        assert!(error.contains(words), "{words}\n{error}");
    };
    let region = ("aws-region", "eu-central-1");
    check(&[region], &[], "the step has no credentials of AWS: give it `role-to-assume`");
    check(&[], &[("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "b")], "no region of AWS is named");
    check(&[("aws-region", "Frankfurt")], &[], "`Frankfurt` is no region");
    check(&[region, ("aws-access-key-id", "A")], &[], "belong together");
    check(
        &[region, ("role-duration-seconds", "60")],
        &[],
        "`role-duration-seconds: 60` is not a number of seconds from 900",
    );
    check(&[region, ("inline-session-policy", "{")], &[], "`inline-session-policy` is no JSON");
    check(&[region, ("web-identity-token-file", "token")], &[], "a token needs `role-to-assume`");
    check(&[region, ("web-identity-token-file", "../x"), ("role-to-assume", ROLE)], &[], "cannot be read");
    check(&[region, ("web-identity-token-file", "token"), ("role-to-assume", "deploy")], &[], "must be the whole ARN");
    check(&[region, ("role-chaining", "true"), ("role-to-assume", ROLE)], &[], "the step has no credentials of AWS");
    check(&[("role", "x")], &[], "has no input `role`");
    check(&KEYS, &[("AWS_ENDPOINT_URL", "http://aws.example")], "AWS_ENDPOINT_URL cannot be used");
    let dry = run("pipe/aws-credentials", &[&KEYS[..], &[("dry-run", "true"), ("role-to-assume", ROLE)]].concat(), &[]);
    assert!(dry.result.is_ok() && dry.exports.is_empty(), "{}", dry.log);
    assert!(
        dry.log.contains("it would take arn:aws:iam::123456789012:role/deploy with the keys of the inputs"),
        "{}",
        dry.log
    );
}
