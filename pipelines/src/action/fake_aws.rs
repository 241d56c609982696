//! A few recorded answers of AWS, for tests of actions. The crate `aws` checks signatures, tests/fake-aws behaves.

use std::path::Path;

use engine::step::trial::Trial;

/// A step with keys of AWS, in a folder, that asks this address instead.
pub(super) fn with_keys(endpoint: &str, folder: &Path) -> Trial {
    let mut trial = Trial::new(folder.to_path_buf(), folder.join("w"), folder);
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ] {
        trial.env.insert(name.to_owned(), value.to_owned());
    }
    trial
}

/// What STS says of whose keys they are.
pub(super) fn identity(account: &str) -> (&'static str, String) {
    let inner = format!("<Arn>arn:aws:iam::{account}:user/ci</Arn><UserId>A</UserId><Account>{account}</Account>");
    ("200 OK", sts("GetCallerIdentity", &inner))
}

/// Keys of a role that STS gives for a token.
pub(super) fn role(action: &str) -> (&'static str, String) {
    let keys = "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret-value</SecretAccessKey>\
        <SessionToken>role-session-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>";
    ("200 OK", sts(action, keys))
}

fn sts(action: &str, inner: &str) -> String {
    let space = "https://sts.amazonaws.com/doc/2011-06-15/";
    format!("<{action}Response xmlns=\"{space}\"><{action}Result>{inner}</{action}Result></{action}Response>")
}
