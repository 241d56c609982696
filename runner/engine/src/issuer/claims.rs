//! What an identity token says of its job: GitHub's claims.
//! See <https://docs.github.com/en/actions/reference/security/oidc>.

use serde_json::{Map, Value as Json, json};

use super::subject::{Lacking, Subjects, subject};

/// How long a token is good, in seconds.
const TOKEN_SECONDS: u64 = 5 * 60;
/// How far clocks may differ.
const SKEW_SECONDS: u64 = 60;
/// Claims that are texts of the `github` context under the same name. They and the environment are all that a token says of its job, so
/// that whoever keeps them can have the same token again when the job is over.
pub const OF_GITHUB: [&str; 22] = [
    "actor",
    "actor_id",
    "base_ref",
    "event_name",
    "head_ref",
    "job_workflow_ref",
    "job_workflow_sha",
    "ref",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "run_attempt",
    "run_id",
    "run_number",
    "sha",
    "workflow",
    "workflow_ref",
    "workflow_sha",
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

/// The names of the claims.
pub(super) fn supported() -> Vec<&'static str> {
    let standard = ["sub", "aud", "exp", "iat", "iss", "jti", "nbf"];
    [&standard[..], &OF_GITHUB, &["environment", "runner_environment"]].concat()
}

/// The claims of a token.
///
/// # Errors
/// The job has not what `sub` is made of.
pub(super) fn claims(
    issuer: &str,
    whose: TokenFor<'_>,
    subjects: &Subjects,
    id: &str,
    now: u64,
) -> Result<Json, Lacking> {
    let text = |name: &str| match &whose.github[name] {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(value) => value.to_string(),
        Json::Null | Json::Array(_) | Json::Object(_) => String::new(),
    };
    let mut claims: Map<String, Json> = OF_GITHUB.iter().map(|name| ((*name).to_owned(), text(name).into())).collect();
    if text("repository_visibility").is_empty() {
        claims.insert("repository_visibility".to_owned(), "private".into());
    }
    claims.insert("runner_environment".to_owned(), "self-hosted".into());
    if let Some(environment) = whose.environment {
        claims.insert("environment".to_owned(), environment.into());
    }
    let form = subjects.of(&text("repository"));
    for (name, id) in [("repository_owner_id", form.owner_id), ("repository_id", form.repository_id)] {
        if let Some(id) = id.filter(|_| text(name).is_empty()) {
            claims.insert(name.to_owned(), id.to_string().into());
        }
    }
    let sub = subject(&claims, form)?;
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
    Ok(Json::Object(claims))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::subject::{SubjectForm, SubjectKey};
    use super::*;

    /// What a job of `O/r` says of itself.
    fn github(event: &str, git_ref: &str) -> Json {
        json!({
            "repository": "O/r", "event_name": event, "ref": git_ref, "actor": "a", "run_id": 7, "head_ref": "",
            "job_workflow_ref": CALLED, "workflow_ref": "O/r/.github/workflows/ci.yml@refs/heads/main",
            "repository_owner": "O", "repository_id": "", "repository_visibility": "public",
        })
    }

    const CALLED: &str = "o/auto/.github/workflows/oidc.yml@refs/heads/main";

    fn form(keys: &[&str], immutable: bool) -> SubjectForm {
        SubjectForm {
            keys: keys.iter().map(|key| SubjectKey::parse(key).unwrap()).collect(),
            immutable,
            ..SubjectForm::default()
        }
    }

    /// The `sub` of a job of `O/r`, where `form` is that of this repository.
    fn sub(github: &Json, environment: Option<&str>, form_of_it: SubjectForm) -> Result<String, Lacking> {
        let whose = TokenFor { github, environment, audience: "x" };
        // Whatever others have.
        let repositories = BTreeMap::from([("o/r".to_owned(), form_of_it)]);
        let subjects = Subjects { all: form(&["sha"], false), repositories };
        let claims = claims("https://ci.example", whose, &subjects, "id", 1_000)?;
        assert_eq!((&claims["exp"], &claims["aud"], &claims["run_id"]), (&json!(1_300), &json!("x"), &json!("7")));
        assert_eq!(claims["job_workflow_ref"], json!(CALLED));
        Ok(claims["sub"].as_str().unwrap().to_owned())
    }

    #[test]
    fn d10_subjects_are_those_of_github_and_cannot_be_forged_by_names() {
        for (event, git_ref, environment, keys, expect) in [
            ("push", "refs/heads/main", None, &[][..], "repo:O/r:ref:refs/heads/main"),
            ("push", "refs/tags/v1", None, &[], "repo:O/r:ref:refs/tags/v1"),
            ("pull_request", "refs/pull/1/merge", None, &[], "repo:O/r:pull_request"),
            ("pull_request_target", "refs/heads/main", None, &[], "repo:O/r:ref:refs/heads/main"),
            ("push", "refs/heads/main", Some("production"), &[], "repo:O/r:environment:production"),
            ("pull_request", "x", Some("a:b*"), &[], "repo:O/r:environment:a%3Ab%2A"),
            ("push", "refs/heads/x:environment:prod", None, &[], "repo:O/r:ref:refs/heads/x%3Aenvironment%3Aprod"),
            ("push", "refs/heads/main", None, &["repo", "context", "actor"], "repo:O/r:ref:refs/heads/main:actor:a"),
            ("push", "refs/heads/main", Some("p"), &["run_id", "environment"], "run_id:7:environment:p"),
            ("push", "r", None, &["repo"], "repo:O/r"),
            (
                "push",
                "r",
                Some("prod"),
                &["repo", "context", "job_workflow_ref"],
                "repo:O/r:environment:prod:job_workflow_ref:o/auto/.github/workflows/oidc.yml@refs/heads/main",
            ),
            (
                "push",
                "r",
                None,
                &["repository_owner", "repository_visibility"],
                "repository_owner:O:repository_visibility:public",
            ),
            ("push", "r", None, &["event_name", "head_ref"], "event_name:push:head_ref:"),
            ("push", "r", Some("a:repo:x/y"), &["environment"], "environment:a%3Arepo%3Ax/y"),
        ] {
            assert_eq!(sub(&github(event, git_ref), environment, form(keys, false)).as_deref(), Ok(expect));
        }
    }

    #[test]
    fn d10_immutable_subjects_have_ids_behind_names_whatever_else_they_are_made_of() {
        let known = |event: &str, repository: &str| {
            let mut github = github(event, "refs/heads/main");
            github["repository"] = json!(repository);
            github["repository_id"] = json!("456789");
            github["repository_owner_id"] = json!("123456");
            github
        };
        for (event, environment, keys, expect) in [
            ("push", None, &[][..], "repo:O@123456/r@456789:ref:refs/heads/main"),
            ("pull_request", None, &[], "repo:O@123456/r@456789:pull_request"),
            ("push", Some("prod"), &[], "repo:O@123456/r@456789:environment:prod"),
            ("push", None, &["repo", "actor"], "repo:O@123456/r@456789:actor:a"),
            // What has no `repo` is as it was.
            ("push", None, &["repository_id"], "repository_id:456789"),
        ] {
            assert_eq!(sub(&known(event, "O/r"), environment, form(keys, true)).as_deref(), Ok(expect));
        }
        // Names of other forges that would read as ids.
        let subjects = Subjects { all: form(&[], true), ..Subjects::default() };
        let github_of = known("push", "a@1/b@2");
        let whose = TokenFor { github: &github_of, environment: None, audience: "x" };
        let made = claims("https://ci.example", whose, &subjects, "id", 1_000).unwrap();
        assert_eq!(made["sub"], "repo:a%401@123456/b%402@456789:ref:refs/heads/main");
        // What the event does not say the settings may, and what it says counts more than they.
        let set = || SubjectForm { owner_id: Some(1), repository_id: Some(2), ..form(&[], true) };
        let unknown = github("push", "refs/heads/main");
        assert_eq!(sub(&unknown, None, set()).as_deref(), Ok("repo:O@1/r@2:ref:refs/heads/main"));
        let known_too = sub(&known("push", "O/r"), None, set());
        assert_eq!(known_too.as_deref(), Ok("repo:O@123456/r@456789:ref:refs/heads/main"));
        // An id that nobody knows is no id that everybody has.
        for claim in ["repository_owner_id", "repository_id"] {
            let mut github = known("push", "O/r");
            github[claim] = json!("");
            let lacking = Lacking { claim, setting: "use-immutable-subject" };
            assert_eq!(sub(&github, None, form(&[], true)), Err(lacking));
        }
    }

    #[test]
    fn what_subjects_are_made_of_is_supported() {
        let known: Vec<_> = SubjectKey::names().filter(|key| !matches!(*key, "repo" | "context")).collect();
        // All but the seven of every token, and `repository`, which is `repo`.
        assert!(known.iter().all(|key| supported().contains(key)) && known.len() + 8 == supported().len());
    }

    #[test]
    fn d10_what_a_job_has_not_makes_no_subject() {
        for (keys, claim) in [
            (&["repo", "environment"][..], "environment"),
            (&["repository_id"], "repository_id"),
            (&["repo", "sha", "environment"], "sha"),
        ] {
            let lacking = Lacking { claim, setting: "include-claim-keys" };
            assert_eq!(sub(&github("push", "refs/heads/main"), None, form(keys, false)), Err(lacking));
        }
    }
}
