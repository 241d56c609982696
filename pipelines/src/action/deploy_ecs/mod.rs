//! `pipe/deploy-ecs`: a task definition becomes a service of ECS, a share of the users at a time; it goes back by itself if it is worse
//! than what stood before, or if an alarm of CloudWatch is on.
//!
//! The action reads what is wanted; how it goes on is told by [`super::deploy`], and what a strategy needs is its own module's.

#[cfg(test)]
mod back;
mod by_codedeploy;
mod by_ecs;
mod by_rolling;
mod facts;
mod image;
mod inputs;
#[cfg(test)]
pub(in crate::action) mod paced;
mod place;
#[cfg(test)]
mod registries;
#[cfg(test)]
mod rolling;
mod strategy;
#[cfg(test)]
mod task_sets;
#[cfg(test)]
pub(in crate::action) mod tests;
#[cfg(test)]
mod traffic;
mod weighted;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws::{AllowedAccounts, Cloud, Identity};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use rollout::plan::Plan;
use rollout::{Outcome, View};

pub(in crate::action) use self::by_codedeploy::names;
pub use self::facts::{INPUTS, OUTPUTS};

use self::inputs::Wish;
use self::strategy::{Made, Own, Strategy, Way};
use super::Deploying;
use super::aws_step::{cloud, failed, read_file, text};
use super::deploy::hooks::{Addresses, Reach};
use super::deploy::inputs::What;
use super::deploy::{GRACE, carry, end, environment, means, told};
use crate::rollout::CallError;
use crate::scan::RequireScan;
use crate::target::Renewal;
use crate::target::keeping::Kept;

/// Digits of a digest that stand for a version.
const DIGITS: usize = 12;

/// The action.
#[derive(Debug, Clone, Default)]
pub struct DeployEcs {
    /// Who carries rollouts; absent where this process carries none.
    pub deploying: Option<Deploying>,
    /// Which environments take only what a scan has let pass.
    pub require: RequireScan,
}

#[async_trait]
impl BuiltInAction for DeployEcs {
    fn name(&self) -> &'static str {
        "pipe/deploy-ecs"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let text = |name: &str| call.inputs.get(name).cloned().unwrap_or_default();
        let wish = Wish::read(&text).map_err(ActionError::Failed)?;
        let deploying = means(self.deploying.as_ref())?;
        let environment = environment(call, &wish.course)?;
        let cloud = cloud(call)?;
        let identity = identity(call, &cloud).await?;
        let account = identity.account.clone();
        place::check(call, &account, cloud.region())?;
        let (definition, container) = image::definition(call, &wish).await?;
        let appspec = match wish.text("codedeploy-appspec") {
            "" => None,
            path => Some(read_file(call, "codedeploy-appspec", path).await?),
        };
        let made = Made { wish: &wish, cloud, account, definition, container, appspec };
        let pinned = made.definition.image(&made.container).unwrap_or_default().to_owned();
        image::check(call, deploying, &made.cloud, &made.definition, &pinned).await?;
        self.ask_for_scan(call, &environment, (&made.cloud, &pinned), deploying).await?;
        let way = wish.strategy.way();
        let mut own = way.own(&made).await?;
        Renewal::note(&mut own.settings, call, &identity);
        let lines = own.lines.clone();
        let plan = plan(call, &made, environment, pinned, own);
        for line in told::plan(&plan, lines) {
            call.log.line(&line).await;
        }
        call.outputs.insert("plan-hash".into(), plan.hash());
        if wish.course.dry_run {
            return dry_run(call, way, &made, &plan).await;
        }
        deploying.clouds.hold_for(&plan.environment, &made.account, &made.cloud);
        let reach = Arc::new(At { users: wish.url.clone(), tests: wish.test_url.clone() });
        let view = carry(call, deploying, plan, reach, &wish.url).await?;
        for (name, value) in way.outputs(&made, &view).await {
            call.outputs.insert(name.to_owned(), value);
        }
        if view.outcome == Some(Outcome::Succeeded) {
            warn_of_rules(call, &made, &view).await;
        }
        end(&view, &wish.url, call).await
    }
}

impl DeployEcs {
    /// An environment may take only images that a scan has let pass.
    async fn ask_for_scan(
        &self,
        call: &ActionCall<'_>,
        environment: &str,
        (cloud, image): (&Cloud, &str),
        deploying: &Deploying,
    ) -> Result<(), ActionError> {
        if self.require.rule(environment).is_none() {
            return Ok(());
        }
        let mut refusal = None;
        for id in image::ids(deploying, cloud, image).await? {
            match self.require.refusal(call, environment, &id).await {
                None => return Ok(()),
                // That of the first id is the one that people know it by.
                Some(refused) => refusal = refusal.or(Some(refused)),
            }
        }
        Err(ActionError::Failed(refusal.unwrap_or_else(|| format!("image {image} has no id"))))
    }
}

/// What stands and could be removed from its repository is told.
async fn warn_of_rules(call: &mut ActionCall<'_>, made: &Made<'_>, view: &View) {
    let image = &view.green.revision.image;
    let Some(kept) = Kept::of(&made.cloud, image) else { return };
    let tag = kept.tag_in(&view.environment, view.id);
    if let Some(words) = kept.may_go(&made.cloud, &tag).await {
        call.log.warning(&words).await;
    }
}

/// Whose keys these are: what is deployed goes there and nowhere else.
async fn identity(call: &ActionCall<'_>, cloud: &Cloud) -> Result<Identity, ActionError> {
    let allowed = AllowedAccounts::read(text(call, "allowed-account-ids"));
    let allowed = allowed.map_err(|error| failed(format!("`allowed-account-ids`: {error}")))?;
    let identity = cloud.identity().await.map_err(failed)?;
    allowed.check(&identity).map_err(failed)?;
    Ok(identity)
}

/// What a person approves.
fn plan(call: &ActionCall<'_>, made: &Made<'_>, environment: String, image: String, own: Own) -> Plan {
    let digest = image.split_once("@sha256:").map_or("", |(_, hex)| hex);
    let written = &made.wish.course.version;
    let version = if written.is_empty() { digest.chars().take(DIGITS).collect() } else { written.clone() };
    own.course.as_ref().unwrap_or(&made.wish.course).plan(What {
        environment,
        service: made.wish.service.clone(),
        repository: call.repository.name.clone(),
        commit: call.run.sha.clone(),
        image,
        version,
        target: own.target,
        settings: own.settings,
    })
}

/// Says what would be done, call by call.
async fn dry_run(call: &mut ActionCall<'_>, way: &dyn Way, made: &Made<'_>, plan: &Plan) -> Result<(), ActionError> {
    let calls = way.calls(made, plan).await?;
    call.log.line("This is a dry run; it would call:").await;
    for (number, one) in calls.iter().enumerate() {
        call.log.line(&format!("  {}. {one}", number + 1)).await;
    }
    call.outputs.insert("url".into(), made.wish.url.clone());
    Ok(())
}

/// Where the step says that it is reached.
struct At {
    users: String,
    tests: Option<String>,
}

#[async_trait]
impl Reach for At {
    async fn addresses(&self, _plan: &Plan, _from_container: bool) -> Result<Addresses, CallError> {
        let users = Some(self.users.clone()).filter(|url| !url.is_empty());
        Ok(Addresses { users, tests: self.tests.clone(), colour: None })
    }
}
