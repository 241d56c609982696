//! `strategy: rolling`: ECS replaces task by task, stops when they fail, and goes back by itself.

use std::sync::Arc;

use async_trait::async_trait;
use engine::step::ActionError;
use jiff::SignedDuration;
use rollout::plan::Plan;
use rollout::{Stage, View};
use workflow::catalogue::Wrong;

use super::super::aws_step::failed;
use super::by_codedeploy::{definition, paced, refused, steps};
use super::inputs::Wish;
use super::strategy::{Made, Own, Way};
use crate::target::paced::{Parts, Shifter};
use crate::target::rolling::{Rolling, Settings};
use crate::target::{Clouds, mark_of};

/// How long all users are watched if nobody says otherwise.
const BAKE: SignedDuration = SignedDuration::from_mins(5);

/// The strategy.
pub(super) struct ByRolling;

/// How long all users are watched.
fn bake(wish: &Wish) -> SignedDuration {
    steps(wish).and_then(|schedule| schedule.steps.last()).map_or(BAKE, |step| step.hold)
}

/// Scripts for which users would have to wait.
fn early(wish: &Wish) -> impl Iterator<Item = Wrong> + '_ {
    let stages = wish.course.hooks.iter().map(|hook| hook.stage);
    let early = stages.filter(|stage| match stage {
        Stage::AfterInstall | Stage::AfterAllowTestTraffic | Stage::BeforeAllowTraffic => true,
        Stage::BeforeInstall | Stage::AfterAllowTraffic | Stage::OnRollback => false,
    });
    early.map(|stage| {
        Wrong::new(format!(
            "`hooks` has {}, and users meet the first new task of a rolling deployment as soon as it is healthy: put it into BeforeInstall \
             or AfterAllowTraffic, or use `strategy: weighted`",
            stage.word()
        ))
    })
}

#[async_trait]
impl Way for ByRolling {
    fn check(&self, wish: &Wish) -> Vec<Wrong> {
        let mut wrong = refused(wish, Shifter::Rolling);
        wrong.extend(early(wish));
        wrong
    }

    async fn own(&self, made: &Made<'_>) -> Result<Own, ActionError> {
        let wish = made.wish;
        let has = made.cloud.ecs(&wish.cluster).rolling(&wish.service).await.map_err(failed)?;
        let settings = Settings {
            account: made.account.clone(),
            region: made.cloud.region().to_owned(),
            cluster: wish.cluster.clone(),
            service: wish.service.clone(),
            container: made.container.clone(),
            task_definition: made.definition.json().clone(),
            tasks: wish.tasks,
            minimum_healthy_percent: wish.percents[0],
            maximum_percent: wish.percents[1],
            alarms: if wish.alarms.is_empty() { has.alarms } else { wish.alarms.clone() },
            overrides_alarms: !wish.alarms.is_empty(),
        };
        let lines = vec![
            format!("service      {} in cluster {}", wish.service, wish.cluster),
            format!(
                "ECS rolls    task by task: {} % stay healthy, {} % run at most",
                wish.percents[0].unwrap_or(has.healthy_min),
                wish.percents[1].unwrap_or(has.running_max)
            ),
        ];
        let settings = serde_json::to_value(settings).map_err(failed)?;
        // Whatever is judged is judged by ECS and by alarms.
        let mut course = paced(wish, Parts::One, bake(wish), SignedDuration::ZERO);
        course.schedule.steps.iter_mut().for_each(|step| step.analyse = false);
        Ok(Own { target: Rolling::NAME, settings, lines, course: Some(course) })
    }

    async fn calls(&self, made: &Made<'_>, plan: &Plan) -> Result<Vec<String>, ActionError> {
        let clouds = Clouds::default();
        clouds.hold(&made.account, &made.cloud);
        let target = Rolling::new(clouds, Arc::new(engine::clock::SystemClock));
        target.calls(&Arc::new(plan.clone())).await.map_err(failed)
    }

    async fn outputs(&self, made: &Made<'_>, view: &View) -> Vec<(&'static str, String)> {
        vec![("task-definition-arn", definition(made, &mark_of(view.id, &view.plan_hash)).await)]
    }
}
