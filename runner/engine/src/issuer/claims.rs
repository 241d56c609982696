//! What an identity token says of its job: GitHub's claims and forms of `sub`.
//! See <https://docs.github.com/en/actions/reference/security/oidc>.

use serde_json::{Map, Value as Json, json};

/// How long a token is good, in seconds.
const TOKEN_SECONDS: u64 = 5 * 60;
/// How far clocks may differ.
const SKEW_SECONDS: u64 = 60;
/// Claims that are texts of the `github` context under the same name.
const OF_GITHUB: [&str; 18] = [
    "actor",
    "actor_id",
    "base_ref",
    "event_name",
    "head_ref",
    "ref",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "run_id",
    "run_number",
    "run_attempt",
    "sha",
    "workflow",
    "workflow_ref",
];

/// Whose token it is.
#[derive(Debug, Clone, Copy)]
pub struct TokenFor<'a> {
    /// The `github` context.
    pub github: &'a Json,
    /// The environment that the job has passed the gate of.
    pub environment: Option<&'a str>,
    /// For whom it is.
    pub audience: &'a str,
}

/// The claims of a token. `template`: which claims make `sub`, as GitHub's `include_claim_keys`; none: GitHub's own form.
pub(super) fn claims(issuer: &str, whose: TokenFor<'_>, template: &[String], id: &str, now: u64) -> Json {
    let text = |name: &str| match &whose.github[name] {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(value) => value.to_string(),
        Json::Null | Json::Array(_) | Json::Object(_) => String::new(),
    };
    let mut claims: Map<String, Json> = OF_GITHUB.iter().map(|name| ((*name).to_owned(), text(name).into())).collect();
    let private = &whose.github["event"]["repository"]["private"];
    let visibility = if private.as_bool() == Some(false) { "public" } else { "private" };
    let own =
        [("job_workflow_ref", "workflow_ref"), ("workflow_sha", "workflow_sha"), ("job_workflow_sha", "workflow_sha")];
    for (claim, key) in own {
        claims.insert(claim.to_owned(), text(key).into());
    }
    claims.insert("repository_visibility".to_owned(), visibility.into());
    claims.insert("runner_environment".to_owned(), "self-hosted".into());
    if let Some(environment) = whose.environment {
        claims.insert("environment".to_owned(), environment.into());
    }
    let sub = subject(&claims, template);
    for (name, value) in [
        ("iss", json!(issuer)),
        ("aud", json!(whose.audience)),
        ("sub", json!(sub)),
        ("jti", json!(id)),
        ("iat", json!(now)),
        ("nbf", json!(now - SKEW_SECONDS)),
        ("exp", json!(now + TOKEN_SECONDS)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    Json::Object(claims)
}

/// Who the job is. What a trust policy separates by, or means anything else by, is written otherwise.
fn subject(claims: &Map<String, Json>, template: &[String]) -> String {
    let claim = |name: &str| plain(claims.get(name).and_then(Json::as_str).unwrap_or_default());
    let context = || {
        if claims.contains_key("environment") {
            format!("environment:{}", claim("environment"))
        } else if claim("event_name") == "pull_request" {
            "pull_request".to_owned()
        } else {
            format!("ref:{}", claim("ref"))
        }
    };
    if template.is_empty() {
        return format!("repo:{}:{}", claim("repository"), context());
    }
    let parts = template.iter().map(|key| match key.as_str() {
        "repo" => format!("repo:{}", claim("repository")),
        "context" => context(),
        key => format!("{key}:{}", claim(key)),
    });
    parts.collect::<Vec<_>>().join(":")
}

/// As GitHub writes a `:` of an environment's name; a `*` would be one of a policy's.
fn plain(text: &str) -> String {
    text.replace('%', "%25").replace(':', "%3A").replace('*', "%2A").replace('?', "%3F")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(event: &str, git_ref: &str, environment: Option<&str>, template: &[&str]) -> String {
        let github = json!({ "repository": "o/r", "event_name": event, "ref": git_ref, "actor": "a", "run_id": 7 });
        let whose = TokenFor { github: &github, environment, audience: "x" };
        let template: Vec<_> = template.iter().map(|key| (*key).to_owned()).collect();
        let claims = claims("https://ci.example", whose, &template, "id", 1_000);
        assert_eq!((&claims["exp"], &claims["aud"], &claims["run_id"]), (&json!(1_300), &json!("x"), &json!("7")));
        claims["sub"].as_str().unwrap().to_owned()
    }

    #[test]
    fn d10_subjects_are_those_of_github_and_cannot_be_forged_by_names() {
        for (event, git_ref, environment, template, expect) in [
            ("push", "refs/heads/main", None, &[][..], "repo:o/r:ref:refs/heads/main"),
            ("push", "refs/tags/v1", None, &[], "repo:o/r:ref:refs/tags/v1"),
            ("pull_request", "refs/pull/1/merge", None, &[], "repo:o/r:pull_request"),
            ("pull_request_target", "refs/heads/main", None, &[], "repo:o/r:ref:refs/heads/main"),
            ("push", "refs/heads/main", Some("production"), &[], "repo:o/r:environment:production"),
            ("pull_request", "x", Some("a:b*"), &[], "repo:o/r:environment:a%3Ab%2A"),
            ("push", "refs/heads/x:environment:prod", None, &[], "repo:o/r:ref:refs/heads/x%3Aenvironment%3Aprod"),
            ("push", "refs/heads/main", None, &["repo", "context", "actor"], "repo:o/r:ref:refs/heads/main:actor:a"),
            ("push", "refs/heads/main", Some("p"), &["run_id", "environment"], "run_id:7:environment:p"),
        ] {
            assert_eq!(sub(event, git_ref, environment, template), expect);
        }
    }
}
