//! `docker/login-action` natively: the job's Docker may push to and pull from a registry until the job ends.
//!
//! Name and password are shown to the registry first, as `docker login` does. Follows
//! <https://github.com/docker/login-action#inputs>.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use engine::outbound::{Asker, Proxies};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use tokio::runtime::Handle;
use workflow::secret::Secret;

use super::aws_step::{failed, given, text};
use super::job_docker::{self, HostLogin, is_hub};
use super::{OutputFacts, input, switch};
use crate::registry::{Login, Reference, Remote};

/// Its inputs, by the names of the official action.
pub const INPUTS: &[InputFacts] = &[
    input("registry", "", "The registry's host; empty: Docker Hub"),
    input("username", "", "Who logs in"),
    input("password", "", "Their password or token, out of a secret"),
    input("scope", "", "Only with registries that know scopes; not known here"),
    input("ecr", "auto", "Registries of AWS are logged in to by aws-actions/amazon-ecr-login"),
    input("logout", "true", "Whether the job is logged out at its end; what it knows goes with it in any case")
        .switch(),
    input("registry-auth", "", "Several registries; write a step for each"),
];

/// It has none.
pub const OUTPUTS: &[OutputFacts] = &[];

/// Under which name the API of Docker Hub answers.
const HUB_API: &str = "registry-1.docker.io";

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerLogin;

#[async_trait]
impl BuiltInAction for DockerLogin {
    fn name(&self) -> &'static str {
        "docker/login-action"
    }

    fn stands_in(&self) -> bool {
        true
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        for name in ["registry-auth", "scope"] {
            if given(call, name).is_some() {
                return Err(failed(format!(
                    "`{name}` is not known to the built-in docker/login-action: write a step for each registry, or run the action \
                     itself (`--builtin-actions never`)"
                )));
            }
        }
        let host = host(text(call, "registry")).map_err(failed)?;
        let (Some(user), Some(password)) = (given(call, "username"), given(call, "password")) else {
            return Err(failed("Username and password required: a secret that is not set is empty"));
        };
        if text(call, "ecr") == "true" {
            return Err(failed(
                "`ecr: true`: aws-actions/amazon-ecr-login gets a password for ECR, which this action cannot",
            ));
        }
        let logout = switch(call, "logout").map_err(failed)?;
        let login = Login { user: user.to_owned(), password: Secret::new(password) };
        let _too_short = call.masker.add(password);
        call.log.line(&format!("Logging into {host}...")).await;
        ask(&host, login.clone()).await?;
        job_docker::log_in(call, &[HostLogin { host, login }], logout).await?;
        call.log.line("Login Succeeded!").await;
        Ok(())
    }

    async fn post(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        job_docker::log_out(call).await
    }
}

/// The host that a user means, who may have written an address.
fn host(written: &str) -> Result<String, String> {
    if written.is_empty() || is_hub(written) {
        return Ok("docker.io".to_owned());
    }
    let bare = written.split_once("://").map_or(written, |(_, rest)| rest).trim_end_matches('/');
    let host = bare.split('/').next().unwrap_or(bare);
    match Reference::parse(&format!("{host}/x:x")) {
        Ok(read) => Ok(read.host),
        Err(_) => {
            Err(format!("`registry: {written}` is no host of a registry, such as `ghcr.io` or `registry.example:5000`"))
        }
    }
}

/// Shows name and password to the registry.
async fn ask(host: &str, login: Login) -> Result<(), ActionError> {
    let asker = Asker::by(Proxies::default()).map_err(failed)?;
    let api = if is_hub(host) { HUB_API } else { host };
    let of = Reference { host: api.to_owned(), repository: String::new(), reference: String::new() };
    let mut there = Remote::new(asker, Handle::current(), &of, Some(login));
    let joined = tokio::task::spawn_blocking(move || there.check_login()).await;
    joined.map_err(failed)?.map_err(failed)
}
