//! Amazon Web Services, as far as `pipe` speaks to them: through their own SDK, with the credentials that a step was given.
//!
//! An action runs in the process of `pipe`, and on a server that process may have rights of its own (a role of the machine, a
//! profile of its user). A step never gets those by itself: [`Access`] and [`Cloud`] are made from the step's variables alone, the
//! ones that `aws-actions/configure-aws-credentials` leaves. [`Machine`] has the others, for whoever decides that a step may. What
//! fails is a [`Problem`]: in words, whose fault it is, and whether another attempt makes sense. Reads are tried again, changes only
//! where AWS says that nothing was done; a message to a topic is one attempt, since who sends it knows how long there is.
//! Clients are made when they are first asked for.

mod access;
mod arn;
mod balancer;
mod cloud;
mod cloudwatch;
mod codedeploy;
mod direct;
mod ecr;
mod ecs;
mod identity;
mod keys;
mod lifecycle;
mod logs;
mod machine;
mod metadata;
mod patience;
mod problem;
mod profile;
mod task_definition;
#[cfg(test)]
mod tests;
mod topic;
mod trouble;

pub use access::{Access, AccessError, region};
pub use arn::{Arn, ArnError};
pub use balancer::{Balancer, Shares, TargetFacts, TargetState};
pub use cloud::{Cloud, Service};
pub use cloudwatch::{CloudWatch, Metric, PERIOD_SECONDS};
pub use codedeploy::{
    CodeDeploy, DESCRIPTION_MAX, Deployment, DeploymentTarget, Event, Group, NewDeployment, Routing, SetFacts, Status,
    Wait, gave_up,
};
pub use ecr::{Ecr, RegistryKey, Replica, Replicated, Repository};
pub use ecs::{
    Controller, Ecs, Ended, NativeDeployment, NativePause, NativeRevision, NativeService, NativeSide, NativeStatus,
    NativeStrategy, NativeWish, PauseAt, Registered, RollingService, RollingWish, ServiceFacts, TaskFacts,
    TaskSetFacts, TaskSetStatus, TaskSetWish,
};
pub use identity::{AllowedAccounts, Identity, RoleWish};
pub use keys::{KEYS_END, KEYS_ROLE, Keys};
pub use lifecycle::{DEPLOYED_TAG, deployed_tag, is_same_policy, lifecycle_policy};
pub use logs::{LogStream, Logs};
pub use machine::Machine;
pub use patience::{Turns, in_turn};
pub use problem::{Fault, Problem};
pub use task_definition::{Flaw, TaskDefinition};
pub use topic::{Note, Topic};
pub use trouble::explained;
