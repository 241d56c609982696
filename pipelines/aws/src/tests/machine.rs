//! Where a machine's own keys are found.

use std::collections::BTreeMap;

use super::cloud::{role_keys, sts};
use super::*;
use crate::{Keys, Machine};

fn keys(variables: &[(&str, &str)], profile: Option<&str>) -> Result<Keys, Problem> {
    let all: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let variable = |name: &str| all.get(name).cloned();
    let machine = Machine { variable: &variable, profile, region: "eu-central-1" };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(machine.keys())
}

const ANSWER: &str = r#"{"Code":"Success","AccessKeyId":"ASIAHERE","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#;

#[test]
fn an_instance_is_asked_with_a_token() {
    let answers =
        vec![("200 OK", "the-token".to_owned()), ("200 OK", "web\n".to_owned()), ("200 OK", ANSWER.to_owned())];
    let (endpoint, got) = server(answers);
    let found = keys(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint), ("HOME", "/nonexistent")], None).unwrap();
    assert_eq!((found.id(), found.session(), found.from()), ("ASIAHERE", Some("t"), "instance role"));
    let got: Vec<_> = got.try_iter().collect();
    assert_eq!(got[0].line, "PUT /latest/api/token HTTP/1.1");
    assert_eq!(got[2].line, "GET /latest/meta-data/iam/security-credentials/web HTTP/1.1");
    assert_eq!(got[2].header("x-aws-ec2-metadata-token"), "the-token");
}

#[test]
fn a_container_is_asked_near_alone() {
    let (endpoint, got) = server(vec![("200 OK", ANSWER.to_owned())]);
    let url = format!("{endpoint}/creds");
    let variables =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "abc")];
    assert_eq!(keys(&variables, None).unwrap().from(), "container role");
    assert_eq!(got.recv().unwrap().header("authorization"), "abc");
    let far = keys(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/creds")], None).unwrap_err();
    assert!(far.words.contains("on this machine alone"), "{far}");
}

#[test]
fn roles_are_taken_one_from_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let config = "[profile top]\nrole_arn = arn:aws:iam::123456789012:role/top\nsource_profile = middle\n\
        [profile middle]\nrole_arn = arn:aws:iam::123456789012:role/middle\nsource_profile = base\nexternal_id = x7\n\
        [profile loop]\nrole_arn = r\nsource_profile = pool\n[profile pool]\nrole_arn = r\nsource_profile = loop\n\
        [profile printed]\ncredential_process = printf '%s' '{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"s\"}'\n\
        [profile mute]\ncredential_process = false\n";
    std::fs::write(path("config"), config).unwrap();
    std::fs::write(
        path("credentials"),
        format!("[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = {KEY}\n"),
    )
    .unwrap();
    let (endpoint, got) =
        server(vec![sts("AssumeRole", &role_keys("ASIAMIDDLE")), sts("AssumeRole", &role_keys("ASIATOP"))]);
    let (config, credentials) = (path("config"), path("credentials"));
    let variables = [
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", &credentials),
        ("AWS_ENDPOINT_URL", &endpoint),
    ];
    assert_eq!(keys(&variables, Some("top")).unwrap().id(), "ASIATOP");
    let got: Vec<_> = got.try_iter().collect();
    assert!(got[0].body.contains("role%2Fmiddle") && got[0].has("ExternalId", "x7"), "{}", got[0].body);
    assert!(got[0].header("authorization").contains("Credential=AKIDBASE/"));
    assert!(got[1].body.contains("role%2Ftop") && got[1].header("authorization").contains("Credential=ASIAMIDDLE/"));
    assert_eq!(keys(&variables, Some("printed")).unwrap().id(), "P");
    for (profile, words) in [
        ("loop", "takes its role from itself: loop → pool → loop"),
        ("mute", "`credential_process` (false) gave no keys: it ended with exit status: 1"),
        ("absent", "there is no profile `absent`"),
    ] {
        let problem = keys(&variables, Some(profile)).unwrap_err();
        assert!(problem.words.contains(words), "{profile}: {problem}");
    }
}

#[test]
fn where_nothing_is_found_it_is_said_where_was_looked() {
    let problem = keys(&[("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")], None).unwrap_err();
    assert!(problem.words.contains("no token file, no profile with keys, no role of a container"), "{problem}");
    let half = keys(&[("AWS_ACCESS_KEY_ID", "A"), ("HOME", "/nonexistent")], None).unwrap_err();
    assert!(half.words.starts_with("AWS_SECRET_ACCESS_KEY is not set"), "{half}");
    let file = keys(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent"), ("AWS_ROLE_ARN", "r")], None).unwrap_err();
    assert!(file.words.starts_with("the token file /nonexistent cannot be read"), "{file}");
}
