//! `pipe/push-ecr`: an image of this machine's Docker into a repository of ECR, by digest, with copies in other regions awaited
//! and rules that never remove what somebody may go back to.

mod after;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use aws::{Cloud, Ecr, Fault, Problem, RegistryKey};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use workflow::catalogue::Form;
use workflow::secret::Secret;

use super::aws_step::{check_account, cloud, failed, given, text};
use super::push_registry::{carry, outputs, say_plan};
use super::{OutputFacts, input, push_facts, required, switch};
use crate::push::{Push, tags};
use crate::registry::Login;

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    push_facts::IMAGE,
    required("repository", "The repository's name, such as `shop/orders`, without a registry"),
    push_facts::TAGS,
    push_facts::SCANNED_IMAGE,
    input("require-scan", "", "`outcome` of `pipe/scan`: anything but `pass` is refused; empty: not asked"),
    input(
        "move-tags",
        "false",
        "Whether a tag that another image has may be taken from it; never in an immutable repository",
    )
    .switch(),
    input("create-repository", "false", "Whether a repository that does not exist is made, with immutable tags")
        .switch(),
    input("registries", "", "Account of the registry, 12 digits; empty: that of the credentials"),
    input("registry", "", "Host of the registry, where it is not the one that ECR names"),
    input("aws-region", "", "Where; empty: AWS_REGION"),
    input("allowed-account-ids", "", "Accounts that may be changed, with commas; empty: any"),
    input(
        "replicate-to",
        "",
        "Regions, with commas, in which a copy is awaited; the registry's replication makes them",
    ),
    input("wait-for-replication", "true", "Whether copies are awaited").switch(),
    input("replication-timeout", "10m", "How long copies may take").form(Form::Read(after::duration)),
    input(
        "lifecycle-keep",
        "",
        "Images that stay beside those that were deployed; empty: the rules are left as they are",
    )
    .form(Form::Read(after::counts)),
    input("lifecycle-keep-deployed", "100", "Images that were deployed and stay, so that somebody can go back to them")
        .form(Form::Read(after::counts)),
    push_facts::CONTAINER_NAME,
    push_facts::DRY_RUN,
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    push_facts::REGISTRY,
    push_facts::DEPLOYED,
    push_facts::DIGEST,
    push_facts::GIVEN_TAGS,
    push_facts::PUSHED,
    OutputFacts::new("replicated", "Regions that have a copy, with commas"),
    push_facts::IMAGE_DEFINITIONS,
    push_facts::IMAGE_DETAIL,
];

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct PushEcr;

#[async_trait]
impl BuiltInAction for PushEcr {
    fn name(&self) -> &'static str {
        "pipe/push-ecr"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        refuse_unscanned(call)?;
        let wanted = after::Wanted::of(call)?;
        let cloud = cloud(call)?;
        let is_dry = switch(call, "dry-run").map_err(failed)?;
        let account = given(call, "registries").map(str::to_owned);
        let ecr = cloud.ecr(account.as_deref());
        check_account(call, &cloud).await?;
        let is_immutable = repository(call, &ecr, &cloud, is_dry).await?;
        let push = push(call, &ecr, account, is_immutable).await?;
        if is_dry {
            say_plan(call, &push).await;
            return wanted.say(call, &ecr).await;
        }
        let pushed = carry(call, &push).await?;
        outputs(call, &push, &pushed);
        wanted.rules(call, &ecr).await?;
        wanted.replicas(call, &ecr, &pushed.digest).await
    }
}

fn refuse_unscanned(call: &ActionCall<'_>) -> Result<(), ActionError> {
    match given(call, "require-scan") {
        None | Some("pass") => Ok(()),
        Some(verdict) => Err(failed(format!(
            "the scan of the image ended with `{verdict}`, and only what passed is pushed: mend what it found, or say in the policy \
             why it may go"
        ))),
    }
}

/// Looks for the repository, or makes it; whether tags there are never moved.
async fn repository(call: &mut ActionCall<'_>, ecr: &Ecr, cloud: &Cloud, is_dry: bool) -> Result<bool, ActionError> {
    let name = text(call, "repository").to_owned();
    if let Some(found) = ecr.repository(&name).await.map_err(failed)? {
        return Ok(found.is_immutable);
    }
    let may_create = switch(call, "create-repository").map_err(failed)?;
    if !may_create {
        return Err(failed(format!(
            "there is no repository `{name}` in {} of this account: create it, write `create-repository: true`, or look at \
             `aws-region` and `registries`",
            cloud.region()
        )));
    }
    if is_dry {
        call.log.line(&format!("This is a dry run; it would create the repository {name} with immutable tags")).await;
        return Ok(true);
    }
    let made = ecr.create(&name).await;
    // Nobody heard the answer: what is there says what was done.
    match made {
        Err(problem) if problem.is_uncertain && ecr.repository(&name).await.is_ok_and(|found| found.is_some()) => {}
        made => made.map_err(failed)?,
    }
    call.log.line(&format!("Created the repository {name} with immutable tags")).await;
    Ok(true)
}

async fn push(
    call: &ActionCall<'_>,
    ecr: &Ecr,
    account: Option<String>,
    is_immutable: bool,
) -> Result<Push, ActionError> {
    let key = login(call, ecr, account).await?;
    let may_move = switch(call, "move-tags").map_err(failed)?;
    Ok(Push {
        image: text(call, "image").to_owned(),
        must_be: given(call, "scanned-image").map(str::to_owned),
        host: given(call, "registry").map_or(key.host, str::to_owned),
        repository: text(call, "repository").to_owned(),
        tags: tags(text(call, "tags")).map_err(failed)?,
        may_move: may_move && !is_immutable,
        login: Some(Login { user: key.user, password: Secret::new(&*key.password) }),
        keeps_name: false,
    })
}

/// A password for the registry, hidden from now on.
pub(super) async fn login(
    call: &ActionCall<'_>,
    ecr: &Ecr,
    account: Option<String>,
) -> Result<RegistryKey, ActionError> {
    let accounts: Vec<String> = account.into_iter().collect();
    let keys = ecr.login(&accounts).await.map_err(failed)?;
    let none = || Problem::plain(Fault::Aws, "AWS gave no password for the registry");
    let key = keys.into_iter().next().ok_or_else(|| failed(none()))?;
    let _too_short = call.masker.add(&key.password);
    Ok(key)
}
