//! What a process needs to deploy: who carries its rollouts, and the targets that it knows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::clock::Clock;
use engine::store::Database;
use engine::store::rollouts::Rollouts;

use crate::rollout::{Keeper, Target};
use crate::target::codedeploy::CodeDeployed;
use crate::target::ecs::Weighted;
use crate::target::local::{Local, Starter};
use crate::target::native::Native;
use crate::target::rolling::Rolling;
use crate::target::{Clouds, Keyed, Quiet};

/// Folder of the files by which processes know who carries a rollout.
const LOCKS_FOLDER: &str = "rollouts";

/// The means to deploy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deploying {
    /// Carries rollouts.
    pub keeper: Keeper,
    /// This machine.
    pub local: Local,
    /// AWS, as steps give it.
    pub clouds: Clouds,
}

impl Deploying {
    /// With the rollouts of a database. `state` is the installation's folder of state; proxies are started by `starter`.
    #[must_use]
    pub fn new(database: Database, state: &Path, installation: &str, starter: Starter, clock: Arc<dyn Clock>) -> Self {
        let local = Local::new(installation, state, starter);
        let clouds = Clouds::default();
        let mut targets = aws_targets(&clouds, &clock);
        targets.insert(Local::NAME, Arc::new(local.clone()));
        let keeper = Keeper::new(Rollouts::on(database), state.join(LOCKS_FOLDER), targets, clock);
        Self { keeper, local, clouds }
    }
}

/// The targets in AWS, by their names in plans.
pub(crate) fn aws_targets(clouds: &Clouds, clock: &Arc<dyn Clock>) -> BTreeMap<&'static str, Arc<dyn Target>> {
    fn quiet<T: Target + Clone + 'static>(target: T, clouds: &Clouds, clock: &Arc<dyn Clock>) -> Arc<dyn Target> {
        Arc::new(Quiet::new(Keyed::new(target, clouds.clone()), Arc::clone(clock)))
    }
    let (keys, time) = (|| clouds.clone(), || Arc::clone(clock));
    BTreeMap::from([
        (Weighted::NAME, quiet(Weighted::new(keys(), time()), clouds, clock)),
        (CodeDeployed::NAME, quiet(CodeDeployed::new(keys(), time()), clouds, clock)),
        (Native::NAME, quiet(Native::new(keys(), time()), clouds, clock)),
        (Rolling::NAME, quiet(Rolling::new(keys(), time()), clouds, clock)),
    ])
}
