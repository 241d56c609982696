//! `strategy: ecs-native`: ECS itself shifts, in one, two or equal parts, and goes back by itself.

use std::sync::Arc;

use async_trait::async_trait;
use engine::clock::SystemClock;
use engine::step::ActionError;
use jiff::SignedDuration;
use rollout::plan::Plan;
use rollout::{Stage, View};
use workflow::catalogue::Wrong;

use super::super::aws_step::failed;
use super::by_codedeploy::{definition, paced, refused, steps};
use super::inputs::Wish;
use super::strategy::{Made, Own, Way};
use crate::target::Clouds;
use crate::target::mark_of;
use crate::target::native::{Native, Settings};
use crate::target::paced::{Parts, Shifter};

/// How long all users are watched if nobody says otherwise.
const BAKE: SignedDuration = SignedDuration::from_mins(5);
/// The longest pause of ECS, in minutes: 14 days,
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html>.
const PAUSE_MINUTES_MAX: u32 = 20_160;
/// The longest that ECS keeps old tasks, in minutes.
const BAKE_MINUTES_MAX: i64 = 1_440;
/// How long ECS waits for scripts before it goes back, in minutes.
const PAUSE_MINUTES: u32 = 120;

/// The strategy.
pub(super) struct ByEcs;

/// How long all users are watched.
fn bake(wish: &Wish) -> SignedDuration {
    steps(wish).and_then(|schedule| schedule.steps.last()).map_or(BAKE, |step| step.hold)
}

/// Whole minutes for which ECS keeps the old tasks. Where it waits for scripts it does so while all users are watched as well.
fn minutes(wish: &Wish) -> i64 {
    let watched = if holds(wish) { SignedDuration::ZERO } else { bake(wish) };
    (watched.saturating_add(wish.course.keep_blue).as_secs() + 59) / 60
}

/// Scripts that run when users have the new one need the old tasks until they have passed.
fn holds(wish: &Wish) -> bool {
    wish.course.hooks.iter().any(|hook| hook.stage == Stage::AfterAllowTraffic)
}

/// The pause when users have the new one: as long as the one before, behind the time for which it is watched anyway.
fn pause_after(wish: &Wish) -> u32 {
    let watched = u32::try_from((bake(wish).as_secs() + 59) / 60).unwrap_or(PAUSE_MINUTES_MAX);
    watched.saturating_add(PAUSE_MINUTES).min(PAUSE_MINUTES_MAX)
}

/// Scripts and people before the first user need a pause.
fn waits(wish: &Wish) -> bool {
    wish.course.hooks.iter().any(|hook| match hook.stage {
        Stage::AfterInstall | Stage::AfterAllowTestTraffic | Stage::BeforeAllowTraffic => true,
        Stage::BeforeInstall | Stage::AfterAllowTraffic | Stage::OnRollback => false,
    })
}

#[async_trait]
impl Way for ByEcs {
    fn check(&self, wish: &Wish) -> Vec<Wrong> {
        let mut wrong = refused(wish, Shifter::Ecs);
        if minutes(wish) > BAKE_MINUTES_MAX {
            wrong.push(Wrong::new(format!(
                "`bake` and `keep-blue` together are {} min; ECS keeps old tasks for {BAKE_MINUTES_MAX} min at most",
                minutes(wish)
            )));
        }
        if wish.tasks.is_some() {
            wrong.push(Wrong::new(
                "`desired-count` is not for `ecs-native`, which makes as many tasks as the service wants",
            ));
        }
        wrong
    }

    async fn own(&self, made: &Made<'_>) -> Result<Own, ActionError> {
        let wish = made.wish;
        let parts = match steps(wish) {
            Some(schedule) => Shifter::Ecs.parts(schedule).map_err(|_| failed("`steps` cannot be shifted by ECS"))?,
            None => Parts::One,
        };
        let native = made.cloud.ecs(&wish.cluster).native(&wish.service).await.map_err(failed)?;
        let rule = native.rule.ok_or_else(|| {
            failed(format!(
                "service {} has no `alternateTargetGroupArn` and `productionListenerRule` in `loadBalancers.advancedConfiguration`, \
                 without which ECS shifts nobody: set them, or use `strategy: rolling`",
                wish.service
            ))
        })?;
        let mut lines = vec![
            format!("service      {} in cluster {}", wish.service, wish.cluster),
            format!("ECS shifts   {}: {}", rule, parts.words()),
        ];
        if !native.pauses.is_empty() {
            lines.push(format!(
                "ECS waits    at the service's own pauses until somebody ends them: {}",
                native.pauses.join(", ")
            ));
        }
        let settings = Settings {
            account: made.account.clone(),
            region: made.cloud.region().to_owned(),
            cluster: wish.cluster.clone(),
            service: wish.service.clone(),
            rule,
            has_tests: native.has_test_rule,
            parts,
            bake_minutes: u32::try_from(minutes(wish)).unwrap_or(0),
            waits: waits(wish).then_some(PAUSE_MINUTES),
            holds: holds(wish).then(|| pause_after(wish)),
            container: made.container.clone(),
            task_definition: made.definition.json().clone(),
            alarms: if wish.alarms.is_empty() { native.alarms } else { wish.alarms.clone() },
            overrides_alarms: !wish.alarms.is_empty(),
        };
        let settings = serde_json::to_value(settings).map_err(failed)?;
        let course = Some(paced(wish, parts, bake(wish), wish.course.keep_blue));
        Ok(Own { target: Native::NAME, settings, lines, course })
    }

    async fn calls(&self, made: &Made<'_>, plan: &Plan) -> Result<Vec<String>, ActionError> {
        let clouds = Clouds::default();
        clouds.hold(&made.account, &made.cloud);
        let target = Native::new(clouds, Arc::new(SystemClock));
        target.calls(&Arc::new(plan.clone())).await.map_err(failed)
    }

    async fn outputs(&self, made: &Made<'_>, view: &View) -> Vec<(&'static str, String)> {
        vec![("task-definition-arn", definition(made, &mark_of(view.id, &view.plan_hash)).await)]
    }
}
