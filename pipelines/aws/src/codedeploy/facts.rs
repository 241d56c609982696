//! Deployments as CodeDeploy tells of them.

use aws_sdk_codedeploy::types::{
    DeploymentInfo, DeploymentStatus, EcsTarget, EcsTaskSet, LifecycleEventStatus, TargetLabel,
};

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has not begun.
    Waiting,
    /// It goes on.
    InProgress,
    /// It waits before users' requests are shifted.
    Ready,
    /// All requests are shifted; the old tasks are still there.
    Baking,
    /// It is over and stands.
    Succeeded,
    /// It is over and does not.
    Failed,
    /// Somebody ended it.
    Stopped,
}

impl Status {
    /// Whether nothing more happens to it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// `d-` and nine letters.
    pub id: String,
    /// How it stands.
    pub status: Status,
    /// What whoever began it wrote.
    pub description: String,
    /// CodeDeploy's name for why it failed and its words, if it did.
    pub error: Option<(String, String)>,
    /// The deployment that puts it back, if one does.
    pub goes_back_by: Option<String>,
    /// Whether only the end of the old tasks is waited for.
    pub is_terminating: bool,
}

/// An event of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Such as `AfterInstall`.
    pub name: String,
    /// Whether it has ended well, or was left out.
    pub is_done: bool,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// One of the two task sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetFacts {
    /// Tasks that should run.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that start.
    pub pending: u32,
    /// Its share of the requests, in thousandths.
    pub weight: u16,
    /// Name of its target group.
    pub group: String,
    /// Whether it is what stands.
    pub is_primary: bool,
}

/// What a deployment does to its service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentTarget {
    /// In their order.
    pub events: Vec<Event>,
    /// The tasks that stood.
    pub blue: Option<SetFacts>,
    /// The new ones, once they are made.
    pub green: Option<SetFacts>,
}

impl DeploymentTarget {
    /// Whether an event has ended well, or was left out.
    #[must_use]
    pub fn is_done(&self, name: &str) -> bool {
        self.events.iter().any(|event| event.name == name && event.is_done)
    }
}

pub(super) fn deployment(of: &DeploymentInfo) -> Deployment {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let id = text(of.deployment_id());
    let status = match of.status() {
        Some(DeploymentStatus::Created | DeploymentStatus::Queued) => Status::Waiting,
        Some(DeploymentStatus::Ready) => Status::Ready,
        Some(DeploymentStatus::Baking) => Status::Baking,
        Some(DeploymentStatus::Succeeded) => Status::Succeeded,
        Some(DeploymentStatus::Failed) => Status::Failed,
        Some(DeploymentStatus::Stopped) => Status::Stopped,
        Some(_) | None => Status::InProgress,
    };
    let code = |of: &aws_sdk_codedeploy::types::ErrorInformation| {
        (text(of.code().map(|code| code.as_str())), text(of.message()))
    };
    let back = of.rollback_info().and_then(|info| info.rollback_deployment_id());
    Deployment {
        // That of a rollback names itself.
        goes_back_by: back.filter(|back| *back != id).map(str::to_owned),
        status,
        description: text(of.description()),
        error: of.error_information().map(code),
        is_terminating: of.instance_termination_wait_time_started(),
        id,
    }
}

pub(super) fn target(of: &EcsTarget) -> DeploymentTarget {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let event = |one: &aws_sdk_codedeploy::types::LifecycleEvent| {
        let is = |status: LifecycleEventStatus| one.status() == Some(&status);
        let why = || text(one.diagnostics().and_then(|of| of.message()));
        Event {
            name: text(one.lifecycle_event_name()),
            is_done: is(LifecycleEventStatus::Succeeded) || is(LifecycleEventStatus::Skipped),
            failed: is(LifecycleEventStatus::Failed).then(why),
        }
    };
    let set = |label: TargetLabel| of.task_sets_info().iter().find(|one| one.task_set_label() == Some(&label));
    DeploymentTarget {
        events: of.lifecycle_events().iter().map(event).collect(),
        blue: set(TargetLabel::Blue).map(facts),
        green: set(TargetLabel::Green).map(facts),
    }
}

fn facts(of: &EcsTaskSet) -> SetFacts {
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is cut at both ends")]
    let weight = (of.traffic_weight() * 10.0).round().clamp(0.0, 1_000.0) as u16;
    SetFacts {
        desired: count(of.desired_count()),
        running: count(of.running_count()),
        pending: count(of.pending_count()),
        weight,
        group: of.target_group().and_then(|group| group.name()).unwrap_or_default().to_owned(),
        is_primary: of.status() == Some("PRIMARY"),
    }
}
