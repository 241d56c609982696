//! Pauses of deployments in which ECS shifts requests: those that a wish asks for, and those that the service has by itself.
//!
//! AWS gives a pause no name, and tells of one that waits neither its stage nor how long it may. See
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html>.

use aws_sdk_ecs::types::{
    DeploymentConfiguration, DeploymentLifecycleHook, DeploymentLifecycleHookAction, DeploymentLifecycleHookStage,
    DeploymentLifecycleHookStatus, DeploymentLifecycleHookTargetType, DeploymentLifecycleHookTimeoutConfiguration,
    ServiceDeployment, ServiceDeploymentLifecycleStage,
};

/// The longest pause, in minutes.
const MINUTES_MAX: i32 = 20_160;
/// Pauses of ours last whole hours and so many minutes.
const OURS: i32 = 7;
const OURS_OF: i32 = 60;

/// Where a deployment may wait, once in its life: the stage before a share comes again with each.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseAt {
    /// The new tasks run, and nobody reaches them.
    Tasks,
    /// Tests reach them, and no user does.
    Tests,
    /// They have all users, and the old ones are there.
    Users,
}

/// A pause that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativePause {
    /// Its id.
    pub id: String,
    /// Whether a [`super::NativeWish`] asked for it, and not whoever looks after the service.
    pub is_ours: bool,
}

const fn stage_of(at: PauseAt) -> DeploymentLifecycleHookStage {
    match at {
        PauseAt::Tasks => DeploymentLifecycleHookStage::PostScaleUp,
        PauseAt::Tests => DeploymentLifecycleHookStage::PostTestTrafficShift,
        PauseAt::Users => DeploymentLifecycleHookStage::PostProductionTrafficShift,
    }
}

/// Whether a deployment that waits at `stage` looks as one that waits at our place: what deployments tell has no stage of its own
/// for the one before a share.
pub(super) fn is_alike(at: PauseAt, stage: &str) -> bool {
    let before_users = DeploymentLifecycleHookStage::PreProductionTrafficShift;
    stage == stage_of(at).as_str() || (at != PauseAt::Users && stage == before_users.as_str())
}

/// Whether a wish put it there. A pause has no name: ours are known by how long they last, which nobody else would write.
pub(super) fn is_ours(hook: &DeploymentLifecycleHook) -> bool {
    let is_pause = hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause);
    let minutes = hook.timeout_configuration().and_then(|limit| limit.timeout_in_minutes()).unwrap_or(0);
    is_pause && minutes > OURS_OF && minutes % OURS_OF == OURS
}

/// Stages of pauses: of ours, or of the others.
pub(super) fn stages(of: Option<&DeploymentConfiguration>, ours: bool) -> Vec<String> {
    let hooks = of.map(DeploymentConfiguration::lifecycle_hooks).unwrap_or_default().iter();
    let hooks = hooks.filter(|hook| hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause));
    let stages = hooks.filter(|hook| is_ours(hook) == ours).flat_map(DeploymentLifecycleHook::lifecycle_stages);
    stages.map(|stage| stage.as_str().to_owned()).collect()
}

pub(super) fn pause(at: PauseAt, minutes: u32) -> DeploymentLifecycleHook {
    let stage = stage_of(at);
    let least = i32::try_from(minutes).unwrap_or(i32::MAX).clamp(OURS_OF, MINUTES_MAX - OURS_OF);
    let minutes = least - least % OURS_OF + OURS;
    let limit = DeploymentLifecycleHookTimeoutConfiguration::builder()
        .timeout_in_minutes(if minutes < least { minutes + OURS_OF } else { minutes })
        .action(DeploymentLifecycleHookAction::Rollback);
    DeploymentLifecycleHook::builder()
        .target_type(DeploymentLifecycleHookTargetType::Pause)
        .lifecycle_stages(stage)
        .timeout_configuration(limit.build())
        .build()
}

/// The pause that a deployment waits at, if it does.
pub(super) fn waiting(of: &ServiceDeployment) -> Option<NativePause> {
    let waits = of.lifecycle_hook_details().iter().find(|hook| {
        hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction)
            && hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause)
    });
    waits?.hook_id().map(|id| NativePause { id: id.to_owned(), is_ours: waits_for_us(of) })
}

/// Whether a deployment that waits does so at a place of ours. Where both could be meant it is not.
fn waits_for_us(of: &ServiceDeployment) -> bool {
    let [ours, others] = [true, false].map(|ours| stages(of.deployment_configuration(), ours));
    let stage = of.lifecycle_stage().map(ServiceDeploymentLifecycleStage::as_str).unwrap_or_default();
    let all = [PauseAt::Tasks, PauseAt::Tests, PauseAt::Users];
    let at = all.into_iter().find(|at| stage_of(*at).as_str() == stage);
    let is_clear =
        |at: PauseAt| ours.iter().any(|known| known == stage) && !others.iter().any(|other| is_alike(at, other));
    others.is_empty() || at.is_some_and(is_clear)
}

#[cfg(test)]
mod tests {
    use super::super::native::NativeService;
    use super::*;

    #[test]
    fn pauses_of_ours_are_known_by_how_long_they_last() {
        for (minutes, expected) in [(1, 67), (67, 67), (120, 127), (128, 187), (20_160, 20_107), (u32::MAX, 20_107)] {
            let hook = pause(PauseAt::Tests, minutes);
            let said = hook.timeout_configuration().and_then(|limit| limit.timeout_in_minutes());
            assert_eq!((said, is_ours(&hook)), (Some(expected), true), "{minutes}");
        }
        let theirs = |minutes: Option<i32>| {
            let limit = DeploymentLifecycleHookTimeoutConfiguration::builder().set_timeout_in_minutes(minutes).build();
            let pause = DeploymentLifecycleHookTargetType::Pause;
            DeploymentLifecycleHook::builder().target_type(pause).timeout_configuration(limit).build()
        };
        assert!(
            [None, Some(1), Some(7), Some(10), Some(120), Some(1_440)]
                .into_iter()
                .all(|minutes| !is_ours(&theirs(minutes)))
        );
    }

    #[test]
    fn what_looks_as_a_place_of_ours_is_in_the_way() {
        for (stage, expected) in [
            ("PRE_SCALE_UP", [false, false, false]),
            ("POST_SCALE_UP", [true, false, false]),
            ("POST_TEST_TRAFFIC_SHIFT", [false, true, false]),
            ("PRE_PRODUCTION_TRAFFIC_SHIFT", [true, true, false]),
            ("POST_PRODUCTION_TRAFFIC_SHIFT", [false, false, true]),
        ] {
            let service =
                NativeService { rule: None, has_test_rule: true, alarms: vec![], pauses: vec![stage.to_owned()] };
            let all = [PauseAt::Tasks, PauseAt::Tests, PauseAt::Users];
            assert_eq!(all.map(|at| service.in_the_way(at).is_some()), expected, "{stage}");
        }
    }
}
