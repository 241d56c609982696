//! STS: whose keys these are, and temporary keys of roles.

use std::fmt;
use std::time::SystemTime;

use aws_sdk_sts::Client;
use aws_sdk_sts::types::Credentials as Given;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::cloud::Service;
use crate::patience::reading;
use crate::problem::Asked;
use crate::{Cloud, Fault, Keys, Problem};

/// Whose keys they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// 12 digits.
    pub account: String,
    /// Who, as an ARN.
    pub arn: String,
}

/// A role that is to be taken.
#[derive(Debug, Clone, Default)]
pub struct RoleWish {
    /// `arn:aws:iam::123456789012:role/NAME`.
    pub role: String,
    /// As CloudTrail shows it.
    pub session_name: String,
    /// For how long, in seconds: 900 to 43200.
    pub seconds: i32,
    /// What the role's owner gave to whom it trusts.
    pub external_id: Option<String>,
    /// A policy that takes rights away, as JSON.
    pub policy: Option<String>,
}

/// Accounts that may be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedAccounts(Vec<String>);

impl AllowedAccounts {
    /// Reads `123456789012,210987654321`; empty: any.
    ///
    /// # Errors
    /// One has not 12 digits.
    pub fn read(text: &str) -> Result<Self, String> {
        let all = text.split([',', '\n', ' ']).map(str::trim).filter(|one| !one.is_empty());
        let read = |one: &str| match one.len() == 12 && one.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(one.to_owned()),
            false => Err(format!("`{one}` is no account of AWS: it has 12 digits")),
        };
        Ok(Self(all.map(read).collect::<Result<_, _>>()?))
    }

    /// # Errors
    /// The account is none of them.
    pub fn check(&self, identity: &Identity) -> Result<(), Problem> {
        if self.0.is_empty() || self.0.contains(&identity.account) {
            return Ok(());
        }
        Err(Problem::plain(
            Fault::Credentials,
            format!(
                "the credentials are of account {} ({}), and `allowed-account-ids` has {self}: nothing was done. Use the \
                 credentials or the role of the right account",
                identity.account, identity.arn
            ),
        ))
    }
}

impl fmt::Display for AllowedAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl Cloud {
    /// Whose keys these are: `GetCallerIdentity`, which needs no permission.
    ///
    /// # Errors
    /// AWS does not know them, or was not reached.
    pub async fn identity(&self) -> Result<Identity, Problem> {
        let client = Client::new(&self.config(Service::Sts));
        let asked = Asked { action: "sts:GetCallerIdentity", resource: "the credentials", region: self.region() };
        let said =
            reading(|| async { client.get_caller_identity().send().await.map_err(|error| Problem::of(&error, asked)) });
        let said = said.await?;
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Ok(Identity { account: text(said.account()), arn: text(said.arn()) })
    }

    /// Temporary keys of a role, for the keys of this cloud.
    ///
    /// # Errors
    /// The role does not trust them, or does not exist: AWS does not tell which.
    pub async fn assume(&self, wish: &RoleWish) -> Result<Keys, Problem> {
        let client = Client::new(&self.config(Service::Sts));
        let asked = Asked { action: "sts:AssumeRole", resource: &wish.role, region: self.region() };
        let said = reading(|| async {
            let request = client
                .assume_role()
                .role_arn(&wish.role)
                .role_session_name(&wish.session_name)
                .duration_seconds(wish.seconds)
                .set_external_id(wish.external_id.clone())
                .set_policy(wish.policy.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await.map_err(|problem| about_role(problem, wish))?;
        keys(said.credentials(), "role")
    }

    /// Temporary keys of a role, for a token of an OpenID provider that the account trusts.
    ///
    /// # Errors
    /// The token is refused, with what its provider, audience or subject must be.
    pub async fn assume_with_token(&self, wish: &RoleWish, token: &str) -> Result<Keys, Problem> {
        let client = Client::new(&self.config(Service::Sts));
        let asked = Asked { action: "sts:AssumeRoleWithWebIdentity", resource: &wish.role, region: self.region() };
        let said = reading(|| async {
            let request = client
                .assume_role_with_web_identity()
                .role_arn(&wish.role)
                .role_session_name(&wish.session_name)
                .duration_seconds(wish.seconds)
                .set_policy(wish.policy.clone())
                .web_identity_token(token);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await.map_err(|problem| about_role(about_token(problem, token), wish))?;
        keys(said.credentials(), "web identity")
    }
}

fn about_role(problem: Problem, wish: &RoleWish) -> Problem {
    if problem.fault != Fault::Permission {
        return problem;
    }
    let words = format!(
        "{} may not be taken: look at the role's name and account, and at its trust policy, which must name who asks; for \
         a token of a job its conditions on `aud` and `sub` must fit the repository, branch or environment ({})",
        wish.role,
        problem.words.rsplit_once('(').map_or("", |(_, said)| said.trim_end_matches(')'))
    );
    Problem { words, ..problem }
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors>
fn about_token(problem: Problem, token: &str) -> Problem {
    if problem.fault == Fault::Permission {
        // What trust policies compare is no secret, and most that is wrong with them is a `sub` that was thought to be another one.
        let words = format!("{}; the token says {}", problem.words.trim_end_matches(')'), claims_of(token));
        return Problem { words: format!("{words})"), ..problem };
    }
    let hint = match problem.code.as_str() {
        "ExpiredTokenException" | "ExpiredToken" => "the job's token is too old: get one right before it is used",
        "InvalidIdentityToken" => {
            "the token's issuer is no identity provider of the account, or its signature or audience is wrong: create the \
             provider in IAM with this server's address, and `sts.amazonaws.com` as its audience"
        }
        "IDPRejectedClaim" => "the provider says that the token is not valid any more, or not for this",
        "IDPCommunicationError" => "AWS cannot reach the token's issuer: its address must be open to the Internet",
        _ => return problem,
    };
    let is_for_now = problem.is("IDPCommunicationError");
    Problem {
        words: format!("{hint} ({}: {})", problem.code, problem.words),
        is_for_now,
        fault: Fault::Credentials,
        ..problem
    }
}

/// What a token says of whose it is; unchecked, for people only.
fn claims_of(token: &str) -> String {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let said = ["sub", "aud", "iss"].map(|name| format!("{name}: {}", claims.get(name).unwrap_or(&Value::Null)));
    said.join(", ")
}

fn keys(given: Option<&Given>, from: &'static str) -> Result<Keys, Problem> {
    let given = given.ok_or_else(|| Problem::plain(Fault::Aws, "AWS took the role and gave no keys"))?;
    let expires = SystemTime::try_from(*given.expiration()).ok();
    let session = Some(given.session_token().to_owned());
    Ok(Keys::new(given.access_key_id(), given.secret_access_key(), session, expires, from))
}
