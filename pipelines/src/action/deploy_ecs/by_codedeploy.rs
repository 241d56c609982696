//! `strategy: codedeploy`: CodeDeploy shifts, in one, two or equal parts, and goes back by itself.

use std::sync::Arc;

use async_trait::async_trait;
use aws::Group;
use engine::clock::SystemClock;
use engine::step::ActionError;
use jiff::SignedDuration;
use rollout::plan::Plan;
use rollout::{Schedule, View};
use workflow::catalogue::Wrong;

use super::super::aws_step::failed;
use super::super::deploy::inputs::{Course, usual_timeout, wrong};
use super::inputs::Wish;
use super::strategy::{Made, Own, Way};
use crate::target::Clouds;
use crate::target::codedeploy::{AppSpec, CodeDeployed, Settings};
use crate::target::paced::{Parts, Shifter};
use crate::target::{PLAN_TAG, mark_of};

/// How long all users are watched if nobody says otherwise, as far as the old tasks stay.
const BAKE: SignedDuration = SignedDuration::from_mins(5);

/// The strategy.
pub(super) struct ByCodeDeploy;

/// Application and group: as written, else as `aws-actions/amazon-ecs-deploy-task-definition` calls them.
pub(in crate::action) fn names(cluster: &str, service: &str, [application, group]: [&str; 2]) -> (String, String) {
    let cluster = cluster.rsplit('/').next().unwrap_or_default();
    let usual = |written: &str, prefix: &str| match written {
        "" => format!("{prefix}-{cluster}-{service}"),
        written => written.to_owned(),
    };
    (usual(application, "AppECS"), usual(group, "DgpECS"))
}

fn names_of(wish: &Wish) -> (String, String) {
    let written = ["codedeploy-application", "codedeploy-deployment-group"].map(|name| wish.text(name));
    names(&wish.cluster, &wish.service, written)
}

/// Steps, if they are written.
pub(super) fn steps(wish: &Wish) -> Option<&Schedule> {
    (!wish.text("steps").is_empty()).then_some(&wish.course.schedule)
}

/// What of the steps and of the way to hold them it cannot do.
pub(super) fn refused(wish: &Wish, shifter: Shifter) -> Vec<Wrong> {
    let mistakes = steps(wish).and_then(|schedule| shifter.parts(schedule).err()).unwrap_or_default();
    mistakes.iter().map(wrong).collect()
}

/// The course with these parts: the same shares as AWS shifts, judged as the step says.
pub(super) fn paced(wish: &Wish, parts: Parts, bake: SignedDuration, keep_blue: SignedDuration) -> Course {
    let schedule = match steps(wish) {
        Some(written) => Schedule { is_paced_by_target: true, ..written.clone() },
        None => parts.schedule(bake, true),
    };
    let mut course = wish.course.clone();
    if wish.text("timeout").is_empty() && wish.text("wait-for-minutes").is_empty() {
        course.timeout = usual_timeout(&schedule, &course.analysis, course.start_timeout);
    }
    Course { schedule, keep_blue, ..course }
}

/// The first port of the container that serves.
fn port(made: &Made<'_>) -> Result<u16, ActionError> {
    let containers = made.definition.json()["containerDefinitions"].as_array().cloned().unwrap_or_default();
    let container = containers.iter().find(|one| one["name"] == made.container.as_str());
    let port = container.and_then(|one| one["portMappings"][0]["containerPort"].as_u64());
    port.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| {
        failed(format!(
            "container `{}` has no `portMappings`: CodeDeploy has to know the port that gets requests",
            made.container
        ))
    })
}

fn app_spec(made: &Made<'_>) -> Result<AppSpec, ActionError> {
    let Some(text) = &made.appspec else { return Ok(AppSpec::of_container(&made.container, port(made)?)) };
    let path = made.wish.text("codedeploy-appspec");
    let spec = AppSpec::parse(text)
        .map_err(|flaws| failed(flaws.iter().map(|flaw| format!("{path}: {flaw}")).collect::<Vec<_>>().join("\n")))?;
    match spec.container().filter(|name| made.definition.image(name).is_none()) {
        None => Ok(spec),
        Some(name) => Err(failed(format!(
            "{path}: requests go to container `{name}`, which the task definition does not have; there are {}",
            made.definition.containers().collect::<Vec<_>>().join(", ")
        ))),
    }
}

impl ByCodeDeploy {
    /// Bake, and how long the old tasks stay behind it, within the time for which the group keeps them.
    fn times(wish: &Wish, group: &Group) -> (SignedDuration, SignedDuration) {
        let kept = group.keeps.map(|minutes| SignedDuration::from_mins(i64::from(minutes)));
        let bake = match steps(wish) {
            Some(schedule) => schedule.steps.last().map_or(SignedDuration::ZERO, |step| step.hold),
            None => kept.map_or(BAKE, |kept| kept.min(BAKE)),
        };
        let is_written = !wish.text("keep-blue").is_empty() || !wish.text("termination-wait").is_empty();
        let rest = kept.map(|kept| kept.saturating_sub(bake).max(SignedDuration::ZERO));
        (bake, rest.filter(|_| !is_written).unwrap_or(wish.course.keep_blue))
    }
}

#[async_trait]
impl Way for ByCodeDeploy {
    fn check(&self, wish: &Wish) -> Vec<Wrong> {
        let mut wrong = refused(wish, Shifter::CodeDeploy);
        if steps(wish).is_some() && !wish.text("codedeploy-deployment-config").is_empty() {
            wrong.push(Wrong::new("`steps` and `codedeploy-deployment-config` say the same: write one of them"));
        }
        if wish.tasks.is_some() {
            wrong.push(Wrong::new(
                "`desired-count` is not for `codedeploy`, which makes as many tasks as the service wants",
            ));
        }
        wrong
    }

    async fn own(&self, made: &Made<'_>) -> Result<Own, ActionError> {
        let wish = made.wish;
        let (application, group_name) = names_of(wish);
        let deploys = made.cloud.codedeploy();
        let group = deploys.group(&application, &group_name).await.map_err(failed)?;
        let written = Some(wish.text("codedeploy-deployment-config")).filter(|name| !name.is_empty());
        let (config, parts) = match steps(wish) {
            Some(schedule) => {
                let parts = Shifter::CodeDeploy
                    .parts(schedule)
                    .map_err(|_| failed("`steps` cannot be shifted by CodeDeploy"))?;
                (Some(parts.routing().name()), parts)
            }
            None => {
                let name = written.unwrap_or(&group.config);
                (written.map(str::to_owned), Parts::of(deploys.routing(name).await.map_err(failed)?))
            }
        };
        let (bake, keep_blue) = Self::times(wish, &group);
        let lines = vec![
            format!("service      {} in cluster {}", wish.service, wish.cluster),
            format!("CodeDeploy   group {group_name} of {application}: {}", parts.words()),
            match group.waits {
                Some(minutes) => format!("gate         before the first user, {minutes} min at most"),
                None => "gate         none: users come as soon as the new tasks are healthy".to_owned(),
            },
        ];
        let settings = Settings {
            account: made.account.clone(),
            region: made.cloud.region().to_owned(),
            cluster: wish.cluster.clone(),
            service: wish.service.clone(),
            application,
            group: group_name,
            config,
            parts,
            container: made.container.clone(),
            task_definition: made.definition.json().clone(),
            app_spec: app_spec(made)?.json().clone(),
            description: wish.text("codedeploy-deployment-description").to_owned(),
            alarms: if wish.alarms.is_empty() { group.alarms } else { wish.alarms.clone() },
            overrides_alarms: !wish.alarms.is_empty(),
        };
        let settings = serde_json::to_value(settings).map_err(failed)?;
        let course = Some(paced(wish, parts, bake, keep_blue));
        Ok(Own { target: CodeDeployed::NAME, settings, lines, course })
    }

    async fn calls(&self, made: &Made<'_>, plan: &Plan) -> Result<Vec<String>, ActionError> {
        let clouds = Clouds::default();
        clouds.hold(&made.account, &made.cloud);
        let target = CodeDeployed::new(clouds, Arc::new(SystemClock));
        target.calls(&Arc::new(plan.clone())).await.map_err(failed)
    }

    async fn outputs(&self, made: &Made<'_>, view: &View) -> Vec<(&'static str, String)> {
        let (application, group) = names_of(made.wish);
        let mark = mark_of(view.id, &view.plan_hash);
        // What was rejected began none; outputs are for people, and their absence is no failure.
        let deploys = made.cloud.codedeploy();
        let ids = deploys.deployments(&application, &group, None, false).await.unwrap_or_default();
        let all = if ids.is_empty() { Vec::new() } else { deploys.several(&ids).await.unwrap_or_default() };
        let mine = all.into_iter().find(|one| one.description.contains(&format!("[pipe:{mark}]")));
        let id = mine.map(|one| one.id).unwrap_or_default();
        vec![("codedeploy-deployment-id", id), ("task-definition-arn", definition(made, &mark).await)]
    }
}

/// The definition that a rollout registered; empty: none.
pub(super) async fn definition(made: &Made<'_>, mark: &str) -> String {
    let ecs = made.cloud.ecs(&made.wish.cluster);
    let found = ecs.registered_for(made.definition.family(), PLAN_TAG, mark).await;
    found.ok().flatten().map(|found| found.arn).unwrap_or_default()
}
