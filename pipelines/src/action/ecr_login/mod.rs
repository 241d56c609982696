//! `aws-actions/amazon-ecr-login` natively: the job's Docker may push to and pull from ECR until the job ends.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use workflow::secret::Secret;

use super::aws_step::{cloud, failed, text};
use super::job_docker::{self, HostLogin};
use super::{OutputFacts, input, switch};
use crate::registry::Login;

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
        let logins: Vec<_> = keys
            .iter()
            .map(|key| HostLogin {
                host: key.host.clone(),
                login: Login { user: key.user.clone(), password: Secret::new(key.password.as_str()) },
            })
            .collect();
        let logout = !switch(call, "skip-logout").map_err(failed)?;
        job_docker::log_in(call, &logins, logout).await?;
        for key in &keys {
            let host: String =
                key.host.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect();
            call.outputs.insert(format!("docker_username_{host}"), key.user.clone());
            call.outputs.insert(format!("docker_password_{host}"), key.password.clone());
            call.log.line(&format!("Logged in to {}", key.host)).await;
        }
        if let [key] = keys.as_slice() {
            call.outputs.insert("registry".to_owned(), key.host.clone());
        }
        Ok(())
    }

    async fn post(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        job_docker::log_out(call).await
    }
}
