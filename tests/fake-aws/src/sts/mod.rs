//! STS and as much of IAM as it needs: who calls, sessions, roles with trust policies, identity providers.

mod session;
pub(crate) mod token;
mod trust;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time, stamp};
use crate::world::World;

pub(crate) use session::{Caller, Credentials};
pub(crate) use trust::is_like;

/// A role that somebody may take.
#[derive(Debug, Clone)]
struct Role {
    arn: String,
    id: String,
    /// Its trust policy.
    trust: Value,
}

/// Who there is.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    roles: BTreeMap<String, Role>,
    /// Issuers, as `host/path` without a scheme, with the audiences that they may name, and the whole URL.
    providers: BTreeMap<String, Provider>,
    sessions: BTreeMap<String, Credentials>,
    /// How far the clock by which tokens are judged is ahead of the machine's.
    pub(crate) ahead: Time,
}

#[derive(Debug, Clone)]
struct Provider {
    url: String,
    audiences: Vec<String>,
}

/// As policies name an issuer.
fn bare(url: &str) -> &str {
    url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/')
}

impl World {
    /// Answers STS. `keys` are what the token's issuer publishes, if the call brings a token.
    pub(crate) fn sts(&mut self, operation: &str, input: &Value, caller: &Caller, keys: Option<&Value>) -> Answer {
        match operation {
            "GetCallerIdentity" => {
                Ok(json!({ "UserId": caller.user_id, "Account": self.settings.account, "Arn": caller.arn }))
            }
            "AssumeRole" => self.assume(input, caller),
            "AssumeRoleWithWebIdentity" => self.assume_with_token(input, keys),
            other => Err(AwsError::unknown("STS", other)),
        }
    }

    /// Answers IAM.
    pub(crate) fn iam(&mut self, operation: &str, input: &Value) -> Answer {
        let account = self.settings.account.clone();
        match operation {
            "CreateRole" => {
                let name = input.need("RoleName")?.to_owned();
                if self.identities.roles.contains_key(&name) {
                    return Err(AwsError::new("EntityAlreadyExists", format!("Role with name {name} already exists."))
                        .with_status(409));
                }
                let trust = policy(input.need("AssumeRolePolicyDocument")?)?;
                let path = input.text("Path").unwrap_or("/");
                if !(path.starts_with('/') && path.ends_with('/')) {
                    let message =
                        format!("The specified value for path is invalid: {path}. It must begin and end with /");
                    return Err(AwsError::new("ValidationError", message));
                }
                let role = Role {
                    arn: format!("arn:aws:iam::{account}:role{path}{name}"),
                    id: format!("AROA{}", self.ids.capitals(17)),
                    trust,
                };
                self.identities.roles.insert(name.clone(), role);
                self.iam("GetRole", &json!({ "RoleName": name }))
            }
            "GetRole" => {
                let name = input.need("RoleName")?;
                let role = self.identities.roles.get(name).ok_or_else(|| no_entity(name))?;
                let created = stamp(self.now);
                let path = role.arn.split_once(":role").map_or("/", |(_, path)| path.trim_end_matches(name));
                Ok(json!({ "Role": {
                    "Path": path, "RoleName": name, "RoleId": role.id, "Arn": role.arn, "CreateDate": created,
                    "AssumeRolePolicyDocument": role.trust.to_string(),
                }}))
            }
            "UpdateAssumeRolePolicy" => {
                let (name, trust) = (input.need("RoleName")?, policy(input.need("PolicyDocument")?)?);
                self.identities.roles.get_mut(name).ok_or_else(|| no_entity(name))?.trust = trust;
                Ok(json!({}))
            }
            "CreateOpenIDConnectProvider" => {
                let url = input.need("Url")?.trim_end_matches('/').to_owned();
                let provider = Provider { url: url.clone(), audiences: input.texts("ClientIDList") };
                self.identities.providers.insert(bare(&url).to_owned(), provider);
                Ok(
                    json!({ "OpenIDConnectProviderArn": format!("arn:aws:iam::{account}:oidc-provider/{}", bare(&url)) }),
                )
            }
            other => Err(AwsError::unknown("IAM", other)),
        }
    }

    /// Where a token's issuer says what its keys are; only for those that are known, and as they were made known.
    pub(crate) fn issuer_of(&self, token: &str) -> Option<String> {
        let claims = token::unchecked_claims(token)?;
        self.identities.providers.get(bare(claims.text("iss")?)).map(|provider| provider.url.clone())
    }

    fn assume(&mut self, input: &Value, caller: &Caller) -> Answer {
        let (arn, name) = (input.need("RoleArn")?, input.need("RoleSessionName")?);
        let denied = || {
            let message =
                format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", caller.arn);
            AwsError::new("AccessDenied", message).with_status(403)
        };
        let role = self.role(arn).ok_or_else(denied)?;
        if !trust::allows_caller(&role.trust, &caller.arn, &self.settings.account) {
            return Err(denied());
        }
        self.begin_session(&role, name, input.int("DurationSeconds"))
    }

    fn assume_with_token(&mut self, input: &Value, keys: Option<&Value>) -> Answer {
        let (arn, name) = (input.need("RoleArn")?, input.need("RoleSessionName")?);
        let text = input.need("WebIdentityToken")?;
        let claims = token::unchecked_claims(text).ok_or_else(|| {
            AwsError::new("InvalidIdentityTokenException", "The ID Token provided is not a valid JWT.")
        })?;
        let issuer = claims.text("iss").unwrap_or_default();
        let Some(provider) = self.identities.providers.get(bare(issuer)).cloned() else {
            let message = format!("No OpenIDConnect provider found in your account for {issuer}");
            return refuse("InvalidIdentityTokenException", message);
        };
        let Some(keys) = keys else {
            let message = format!("Couldn't retrieve verification key from your identity provider {}", provider.url);
            return refuse("IDPCommunicationErrorException", message);
        };
        token::check(text, keys, crate::clock::machine_time() + self.identities.ahead)?;
        let audience = token::audiences(&claims).into_iter().find(|one| provider.audiences.contains(one));
        let Some(audience) = audience else {
            return refuse("InvalidIdentityTokenException", "Incorrect token audience");
        };
        let denied = || {
            AwsError::new("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity").with_status(403)
        };
        let role = self.role(arn).ok_or_else(denied)?;
        let federated = format!("arn:aws:iam::{}:oidc-provider/{}", self.settings.account, bare(&provider.url));
        if !trust::allows_token(&role.trust, &federated, bare(&provider.url), &claims, &audience) {
            return Err(denied());
        }
        let mut answer = self.begin_session(&role, name, input.int("DurationSeconds"))?;
        let more = json!({
            "SubjectFromWebIdentityToken": claims.text("sub"), "Audience": audience, "Provider": federated,
        });
        crate::value::over(&mut answer, &more, &["SubjectFromWebIdentityToken", "Audience", "Provider"]);
        Ok(answer)
    }

    fn role(&self, arn: &str) -> Option<Role> {
        self.identities.roles.values().find(|role| role.arn == arn).cloned()
    }
}

fn no_entity(name: &str) -> AwsError {
    AwsError::new("NoSuchEntity", format!("The role with name {name} cannot be found.")).with_status(404)
}

fn policy(text: &str) -> Answer {
    serde_json::from_str(text).map_err(|error| {
        AwsError::new("MalformedPolicyDocument", format!("This policy contains invalid Json: {error}"))
    })
}
