//! `pipe/aws-credentials`, and `aws-actions/configure-aws-credentials` natively: keys for the steps behind it.
//!
//! Keys come from the step's inputs, a role that they or a token of OpenID may take, or, where whoever runs `pipe` allows it, from
//! the machine. They are checked at AWS before any step sees them, hidden in every log, and set as variables under AWS's own names.

mod inputs;
#[cfg(test)]
mod tests;
mod token;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws::{Cloud, Identity, Keys, Machine, RoleWish};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

pub use self::inputs::{INPUTS, OUTPUTS};

use self::inputs::{Source, Wanted};
use super::aws_step::{check_account, cloud_without_keys, failed};
use crate::target::{MACHINE_KEYS, machine_is_allowed};

/// Keys that end before this are warned of.
const SHORT: Duration = Duration::from_secs(300);

/// The action.
#[derive(Debug, Clone, Copy)]
pub struct AwsCredentials {
    /// Under which name.
    pub name: &'static str,
}

#[async_trait]
impl BuiltInAction for AwsCredentials {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        self.name == "pipe/aws-credentials"
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wanted = Wanted::of(call)?;
        let is_dry = wanted.is_dry;
        let machine_region = machine_region(&wanted);
        let cloud = cloud_without_keys(call, machine_region.as_deref())?;
        if is_dry {
            say(call, &wanted, &cloud).await;
            return Ok(());
        }
        let keys = keys(call, &wanted, &cloud).await?;
        for secret in [Some(keys.secret()), keys.session()].into_iter().flatten() {
            let _too_short = call.masker.add_found(secret);
        }
        let cloud = cloud.with_keys(keys.clone());
        let identity = cloud.identity().await.map_err(failed)?;
        check_account(call, &cloud).await?;
        if wanted.masks_account {
            let _too_short = call.masker.add_found(&identity.account);
        }
        leave(call, &wanted, &cloud, &keys, &identity);
        tell(call, &keys, &identity, &cloud).await;
        Ok(())
    }
}

fn machine_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn machine_region(wanted: &Wanted) -> Option<String> {
    if !machine_is_allowed() || !matches!(wanted.source, Source::Machine) {
        return None;
    }
    let machine = Machine { variable: &machine_variable, profile: wanted.profile.as_deref(), region: "" };
    machine.profile_region()
}

async fn keys(call: &ActionCall<'_>, wanted: &Wanted, cloud: &Cloud) -> Result<Keys, ActionError> {
    let base = match &wanted.source {
        Source::Inputs(keys) => keys.clone(),
        Source::Step => Keys::of(|name| call.env.get(name).map(String::as_str)).map_err(failed)?,
        Source::Machine => of_machine(wanted, cloud).await?,
        Source::TokenFile(path) => {
            let token = token::of_file(call, path).await?;
            return with_token(wanted, cloud, &token).await;
        }
        Source::Job => {
            let token = token::of_job(call, &wanted.audience).await?;
            return with_token(wanted, cloud, &token).await;
        }
    };
    match &wanted.role {
        Some(role) => cloud.clone().with_keys(base).assume(role).await.map_err(failed),
        None => Ok(base),
    }
}

async fn of_machine(wanted: &Wanted, cloud: &Cloud) -> Result<Keys, ActionError> {
    if !machine_is_allowed() {
        return Err(failed(format!(
            "the step has no credentials of AWS: give it `role-to-assume` with `permissions: id-token: write`, or \
             `aws-access-key-id` and `aws-secret-access-key` out of secrets. What this machine may do itself (its profiles, its \
             role) is for steps only where `pipe` runs with {MACHINE_KEYS}=allow"
        )));
    }
    let machine = Machine { variable: &machine_variable, profile: wanted.profile.as_deref(), region: cloud.region() };
    machine.keys().await.map_err(failed)
}

async fn with_token(wanted: &Wanted, cloud: &Cloud, token: &str) -> Result<Keys, ActionError> {
    let role: &RoleWish = wanted.role.as_ref().ok_or_else(|| failed("a token needs `role-to-assume`"))?;
    cloud.assume_with_token(role, token).await.map_err(failed)
}

/// What the steps behind it find.
fn leave(call: &mut ActionCall<'_>, wanted: &Wanted, cloud: &Cloud, keys: &Keys, identity: &Identity) {
    let mut export = |name: &str, value: &str| call.exports.push((name.to_owned(), value.to_owned()));
    if wanted.exports {
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            export(name, cloud.region());
        }
        export("AWS_ACCESS_KEY_ID", keys.id());
        export("AWS_SECRET_ACCESS_KEY", keys.secret());
        // An empty one takes away what an earlier step left.
        export("AWS_SESSION_TOKEN", keys.session().unwrap_or_default());
        if keys.expires().is_some() {
            export(aws::KEYS_END, &format!("{} {}", keys.id(), ends(keys)));
        }
        if let Some(role) = wanted.role.as_ref().filter(|role| role.role.starts_with("arn:")) {
            export(aws::KEYS_ROLE, &format!("{} {}", keys.id(), role.role));
        }
    }
    call.outputs.insert("aws-account-id".to_owned(), identity.account.clone());
    if wanted.outputs {
        for (name, value) in [
            ("aws-access-key-id", keys.id().to_owned()),
            ("aws-secret-access-key", keys.secret().to_owned()),
            ("aws-session-token", keys.session().unwrap_or_default().to_owned()),
            ("aws-expiration", ends(keys)),
        ] {
            call.outputs.insert(name.to_owned(), value);
        }
    }
}

/// When keys end, as RFC 3339 has it; empty: that is not known.
fn ends(keys: &Keys) -> String {
    let at = keys.expires().and_then(|at| jiff::Timestamp::try_from(at).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

async fn tell(call: &mut ActionCall<'_>, keys: &Keys, identity: &Identity, cloud: &Cloud) {
    let until = keys.expires().and_then(|at| at.duration_since(SystemTime::now()).ok());
    let until = until.map(|left| format!(", for {} min", left.as_secs() / 60)).unwrap_or_default();
    call.log
        .line(&format!("Credentials of {} in {} (from {}){until}", identity.arn, cloud.region(), keys.from()))
        .await;
    if !keys.last_for(SHORT) {
        call.log
            .warning("The credentials end within five minutes: what comes after may fail with `ExpiredToken`")
            .await;
    }
}

async fn say(call: &mut ActionCall<'_>, wanted: &Wanted, cloud: &Cloud) {
    let from = match &wanted.source {
        Source::Inputs(_) => "the keys of the inputs",
        Source::Step => "the keys of the steps before",
        Source::Machine => "the machine's own keys",
        Source::TokenFile(_) => "the token of a file",
        Source::Job => "a token of the job",
    };
    let role = wanted.role.as_ref().map(|role| format!("take {} with ", role.role)).unwrap_or_default();
    let line =
        format!("This is a dry run; it would {role}use {from} in {}, and ask STS whose they are", cloud.region());
    call.log.line(&line.replace("with use", "with")).await;
}
