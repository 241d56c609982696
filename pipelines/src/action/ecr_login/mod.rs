//! `aws-actions/amazon-ecr-login` natively: the job's Docker may push to and pull from ECR until the job ends.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts, PostWhen};
use serde_json::{Value, json};

use super::aws_step::{cloud, failed, text};
use super::{OutputFacts, input, switch};

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    input("registries", "", "Accounts of registries, with commas; empty: that of the credentials"),
    input("registry-type", "private", "`private`; public galleries are not known here"),
    input("mask-password", "true", "Whether the password is hidden; it always is").switch(),
    input("skip-logout", "false", "Whether the job's Docker stays logged in at its end").switch(),
    input("aws-region", "", "Where; empty: AWS_REGION"),
];

/// Its outputs; beside them `docker_username_HOST` and `docker_password_HOST` for each registry.
pub const OUTPUTS: &[OutputFacts] = &[OutputFacts::new("registry", "The registry's host, where there is one")];

/// Longest configuration of Docker.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Only the job's user reads it.
const MODE: u32 = 0o600;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct EcrLogin;

#[async_trait]
impl BuiltInAction for EcrLogin {
    fn name(&self) -> &'static str {
        "aws-actions/amazon-ecr-login"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        if text(call, "registry-type") != "private" {
            return Err(failed("`registry-type` is `private`: images of a public gallery are pulled without a login"));
        }
        let list = |text: &str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
        };
        let accounts = list(text(call, "registries"));
        let keys = cloud(call)?.ecr(None).login(&accounts).await.map_err(failed)?;
        let mut config = configuration(call).await;
        for key in &keys {
            let auth = STANDARD.encode(format!("{}:{}", key.user, key.password));
            for secret in [&key.password, &auth] {
                let _too_short = call.masker.add_found(secret);
            }
            config["auths"][&key.host] = json!({ "auth": auth });
            let host: String =
                key.host.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect();
            call.outputs.insert(format!("docker_username_{host}"), key.user.clone());
            call.outputs.insert(format!("docker_password_{host}"), key.password.clone());
            call.log.line(&format!("Logged in to {}", key.host)).await;
        }
        if let [key] = keys.as_slice() {
            call.outputs.insert("registry".to_owned(), key.host.clone());
        }
        keep(call, &config).await?;
        if !switch(call, "skip-logout").map_err(failed)? {
            let hosts: Vec<_> = keys.iter().map(|key| key.host.as_str()).collect();
            call.state.insert("hosts".to_owned(), hosts.join(","));
            call.post = Some(PostWhen::Always);
        }
        Ok(())
    }

    async fn post(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let hosts = call.state.get("hosts").cloned().unwrap_or_default();
        let mut config = configuration(call).await;
        if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
            auths.retain(|host, _| !hosts.split(',').any(|one| one == host));
        }
        keep(call, &config).await?;
        call.log.line(&format!("Logged out of {hosts}")).await;
        Ok(())
    }
}

fn path(call: &ActionCall<'_>) -> String {
    let folder = call.env.get("DOCKER_CONFIG").cloned();
    format!("{}/config.json", folder.unwrap_or_else(|| format!("{}/.docker", call.run.home)))
}

/// What is there; what cannot be read is begun anew.
async fn configuration(call: &ActionCall<'_>) -> Value {
    let read = call.job.read_file(&path(call), FILE_BYTES_MAX).await.ok().flatten();
    let json = read.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    json.filter(Value::is_object).unwrap_or_else(|| json!({}))
}

async fn keep(call: &ActionCall<'_>, config: &Value) -> Result<(), ActionError> {
    let path = path(call);
    let written = call.job.write_file(&path, Bytes::from(format!("{config:#}\n")), MODE).await;
    written.map_err(|error| failed(format!("{path} of the job cannot be written: {error}")))
}
