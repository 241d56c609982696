//! As whom a rollout's step acted at AWS: enough to take the same role again, and nothing that is secret.

use std::collections::BTreeMap;

use aws::{Cloud, Identity, KEYS_ROLE, RoleWish};
use engine::issuer::{Issuer, TokenFor};
use engine::step::ActionCall;
use rollout::Plan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The member of a plan's settings.
const MEMBER: &str = "keys";
/// For whom tokens are.
const AUDIENCE: &str = "sts.amazonaws.com";
/// How long new keys last.
const SECONDS: i32 = 3_600;
/// The variable of steps that may have a token of their job.
const TOKEN_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";

/// Who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Renewal {
    /// The role's ARN; `None`: the keys were no role's, or the job may have no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The job's environment, which its token names in place of the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    /// `github.ref`.
    #[serde(rename = "ref")]
    git_ref: String,
    /// `github.event_name`.
    event: String,
    /// All that the job's token said; none in a plan of an older `pipe`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, String>,
    /// Variables of addresses that were set in place of AWS's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    addresses: BTreeMap<String, String>,
}

impl Renewal {
    /// Writes into a plan's settings who its step is.
    pub(crate) fn note(settings: &mut Value, call: &ActionCall<'_>, identity: &Identity) {
        let may_ask = call.env.get(TOKEN_URL).is_some_and(|url| !url.is_empty());
        let addresses = call.env.iter().filter(|(name, _)| name.contains("ENDPOINT_URL") && name.starts_with("AWS_"));
        let role = role_of(&identity.arn, taken(|name| call.env.get(name))).filter(|_| may_ask);
        let claims = role.as_ref().map(|_| call.run.claims.clone()).unwrap_or_default();
        let this = Self {
            role,
            claims,
            environment: call.run.environment.clone(),
            git_ref: call.run.git_ref.clone(),
            event: call.run.event.clone(),
            addresses: addresses.map(|(name, address)| (name.clone(), address.clone())).collect(),
        };
        settings[MEMBER] = json!(this);
    }

    fn read(plan: &Plan) -> Option<Self> {
        serde_json::from_value(plan.settings.get(MEMBER)?.clone()).ok()
    }

    /// Of a plan whose role can be taken again.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        Self::read(plan).filter(|this| this.role.is_some())
    }

    /// AWS at the addresses of a plan, without keys.
    pub(crate) fn cloud(plan: &Plan, region: &str) -> Result<Cloud, String> {
        let addresses = Self::read(plan).map(|this| this.addresses).unwrap_or_default();
        Cloud::without_keys(Some(region), |name| addresses.get(name).map(String::as_str))
            .map_err(|error| error.to_string())
    }

    /// What the job's token was made of. A plan's own words count before what it kept of the job's.
    fn github(&self, plan: &Plan) -> Value {
        let mut github = json!(self.claims);
        github["repository"] = json!(plan.repository);
        github["repository_owner"] = json!(plan.repository.split('/').next());
        (github["ref"], github["event_name"]) = (json!(self.git_ref), json!(self.event));
        github["sha"] = json!(plan.commit);
        github
    }

    /// The role's keys, for a token that says what the job's own said.
    pub(crate) async fn take(&self, plan: &Plan, region: &str, issuer: &Issuer, name: &str) -> Result<Cloud, String> {
        let github = self.github(plan);
        let (issuer, name, environment) = (issuer.clone(), name.to_owned(), self.environment.clone());
        let token = tokio::task::spawn_blocking(move || {
            issuer.token(&name, TokenFor { github: &github, environment: environment.as_deref(), audience: AUDIENCE })
        });
        let token = token.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let wish = RoleWish {
            role: self.role.clone().unwrap_or_default(),
            // As CloudTrail shows it.
            session_name: "pipe-rollout".to_owned(),
            seconds: SECONDS,
            ..RoleWish::default()
        };
        let cloud = Self::cloud(plan, region)?;
        let keys = cloud.assume_with_token(&wish, token.expose()).await.map_err(|problem| problem.words)?;
        Ok(cloud.with_keys(keys))
    }
}

/// The role that the job's keys were taken for, as the step that did so left it: of these keys and no others.
fn taken<'a>(variable: impl Fn(&str) -> Option<&'a String>) -> Option<&'a str> {
    let (id, role) = variable(KEYS_ROLE)?.split_once(' ')?;
    (variable("AWS_ACCESS_KEY_ID")? == id).then_some(role)
}

/// The role of a session, `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`. AWS does not tell its path there: it is the one of the
/// role that was `taken`, if that has this name in this account, and none otherwise.
fn role_of(arn: &str, taken: Option<&str>) -> Option<String> {
    let (head, rest) = arn.split_once(":assumed-role/")?;
    let (head, name) = (head.replacen(":sts:", ":iam:", 1), rest.split('/').next()?);
    let is_it = |taken: &&str| {
        let path = taken.strip_prefix(&head).and_then(|rest| rest.strip_prefix(":role/"));
        path.and_then(|path| path.rsplit('/').next()) == Some(name)
    };
    Some(taken.filter(is_it).map_or_else(|| format!("{head}:role/{name}"), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_tell_their_role() {
        let session = "arn:aws-cn:sts::123456789012:assumed-role/shop-deploy/GitHubActions";
        let plain = "arn:aws-cn:iam::123456789012:role/shop-deploy";
        let below = "arn:aws-cn:iam::123456789012:role/ci/shop/shop-deploy";
        for (taken, expected) in [
            (None, plain),
            (Some(below), below),
            (Some(plain), plain),
            (Some("arn:aws-cn:iam::123456789012:role/ci/other"), plain),
            (Some("arn:aws-cn:iam::210987654321:role/ci/shop-deploy"), plain),
            (Some("arn:aws:iam::123456789012:role/ci/shop-deploy"), plain),
            (Some("arn:aws-cn:iam::123456789012:user/shop-deploy"), plain),
        ] {
            assert_eq!(role_of(session, taken).as_deref(), Some(expected), "{taken:?}");
        }
        assert_eq!(role_of("arn:aws:iam::123456789012:user/ci", Some(plain)), None);
    }

    #[test]
    fn a_role_is_of_the_keys_that_were_taken_for_it() {
        let (key, left) = ("ASIA1".to_owned(), "ASIA1 arn:aws:iam::1:role/ci/a".to_owned());
        let of = |name: &str| if name == KEYS_ROLE { Some(&left) } else { Some(&key) };
        assert_eq!(taken(of), Some("arn:aws:iam::1:role/ci/a"));
        let other = "ASIA2".to_owned();
        assert_eq!(taken(|name| if name == KEYS_ROLE { Some(&left) } else { Some(&other) }), None, "set since");
        assert_eq!(taken(|name| (name != KEYS_ROLE).then_some(&key)), None);
    }
}
