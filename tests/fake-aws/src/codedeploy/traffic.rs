//! Which listeners a deployment steers, and where they lead.

use serde_json::Value;

use super::Deployment;
use crate::ecs::Balanced;
use crate::value::Input as _;
use crate::world::World;

/// Listeners of a group's route: `prodTrafficRoute` or `testTrafficRoute`.
pub(super) fn listeners(settings: &Value, route: &str) -> Vec<String> {
    let pair = settings.get("loadBalancerInfo").map(|info| info.items("targetGroupPairInfoList")).unwrap_or_default();
    pair.first().and_then(|pair| pair.get(route)).map(|route| route.texts("listenerArns")).unwrap_or_default()
}

impl World {
    /// ARNs of the pair of target groups.
    pub(super) fn pair(&self, settings: &Value) -> Vec<String> {
        let pair =
            settings.get("loadBalancerInfo").map(|info| info.items("targetGroupPairInfoList")).unwrap_or_default();
        let groups = pair.first().map(|pair| pair.items("targetGroups")).unwrap_or_default();
        groups.iter().filter_map(|one| self.group_by_name(one.text("name")?)).collect()
    }

    fn group_of(&self, set: Option<&String>) -> Option<String> {
        self.ecs.sets.get(set?)?.balanced.first().map(|one| one.group.clone())
    }

    /// Where the new tasks are registered: the group that the serving ones do not use.
    pub(super) fn green_balanced(&self, one: &Deployment) -> Option<Balanced> {
        let blue = self.group_of(one.blue.as_ref());
        let group = self.pair(&one.settings).into_iter().find(|group| Some(group) != blue.as_ref())?;
        let port = u16::try_from(one.spec.port).ok()?;
        Some(Balanced { group, container: one.spec.container.clone(), port })
    }

    /// So many percent to the new tasks, on a route's listeners.
    pub(super) fn lead(&mut self, one: &Deployment, route: &str, percent: i64) {
        let pair = self.pair(&one.settings);
        let green = self.group_of(one.green.as_ref());
        let blue = self
            .group_of(one.blue.as_ref())
            .or_else(|| pair.iter().find(|group| Some(*group) != green.as_ref()).cloned());
        let mut groups: Vec<_> = blue.map(|group| (group, 100 - percent)).into_iter().collect();
        groups.extend(green.map(|group| (group, percent)));
        for listener in listeners(&one.settings, route) {
            for rule in self.rules_to(&listener, &pair) {
                self.set_forward(&rule, &groups);
            }
        }
    }

    /// Users' requests: so many percent to the new tasks.
    pub(super) fn shift_production(&mut self, one: &mut Deployment, percent: i64) {
        self.lead(one, "prodTrafficRoute", percent);
        (one.shifted, one.last_shift) = (percent, self.now);
    }
}
