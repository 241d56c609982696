//! What the data plane of each listener has to do: routes by path, groups with exact shares, addresses of targets. Conditions
//! other than `path-pattern` cannot be carried out; rules with them get no requests.

use serde_json::Value;

use super::health::Health;
use super::listeners::Rule;
use crate::value::Input as _;
use crate::world::World;

/// What a listener's proxy has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerWish {
    pub(crate) listener: String,
    pub(crate) routes: Vec<RouteWish>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteWish {
    pub(crate) rule: String,
    pub(crate) path: String,
    pub(crate) colours: Vec<ColourWish>,
}

/// One group's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColourWish {
    /// The group's name.
    pub(crate) group: String,
    /// In thousandths; those of a route are a thousand together, or all zero.
    pub(crate) share: u16,
    /// Where its targets answer; none means that its share is answered with 503.
    pub(crate) targets: Vec<(String, u16)>,
}

impl World {
    /// What each listener has to do now.
    pub(crate) fn listener_wishes(&self) -> Vec<ListenerWish> {
        let wish = |arn: &String| {
            let mut rules: Vec<_> = self.elb.rules.iter().filter(|(_, rule)| rule.listener == *arn).collect();
            rules.sort_by_key(|(_, rule)| rule.priority.unwrap_or(i64::MAX));
            let mut routes: Vec<RouteWish> = Vec::new();
            for (rule_arn, rule) in rules {
                let paths = if rule.priority.is_none() { vec!["/".to_owned()] } else { paths(rule) };
                for path in paths {
                    if routes.iter().all(|known| known.path != path) {
                        routes.push(RouteWish { rule: rule_arn.clone(), path, colours: self.colours(rule) });
                    }
                }
            }
            ListenerWish { listener: arn.clone(), routes }
        };
        self.elb.listeners.keys().map(wish).collect()
    }

    fn colours(&self, rule: &Rule) -> Vec<ColourWish> {
        let forwards = rule.forwards();
        let shares = shares(&forwards.iter().map(|(_, weight)| *weight).collect::<Vec<_>>());
        let colour = |((arn, _), share): (&(String, i64), u16)| {
            let group = self.elb.groups.get(arn)?;
            let of = |wanted: fn(Health) -> bool| -> Vec<(String, u16)> {
                group.targets.iter().filter(|(_, target)| wanted(target.health)).map(|(key, _)| key.clone()).collect()
            };
            let healthy = of(|health| health == Health::Healthy);
            // If none is healthy, a balancer fails open: all get requests.
            let targets =
                if healthy.is_empty() { of(|health| !matches!(health, Health::Draining(_))) } else { healthy };
            Some(ColourWish { group: group.name.clone(), share, targets })
        };
        forwards.iter().zip(shares).filter_map(colour).collect()
    }
}

/// Thousandths by weights; what rounding leaves goes to those that lost most by it.
fn shares(weights: &[i64]) -> Vec<u16> {
    let total: i64 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let mut shares: Vec<i64> = weights.iter().map(|weight| weight * 1_000 / total).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(weights[*at] * 1_000 % total));
    let mut left = 1_000 - shares.iter().sum::<i64>();
    for at in order {
        if left > 0 {
            shares[at] += 1;
            left -= 1;
        }
    }
    shares.into_iter().map(|share| u16::try_from(share).unwrap_or_default()).collect()
}

/// Paths as our proxy has them: a path and all below it.
fn paths(rule: &Rule) -> Vec<String> {
    let [condition] = rule.conditions.as_slice() else { return Vec::new() };
    if condition.text("Field") != Some("path-pattern") {
        return Vec::new();
    }
    let config = condition.get("PathPatternConfig").unwrap_or(&Value::Null);
    let mut values = condition.texts("Values");
    values.extend(config.texts("Values"));
    let plain = |pattern: String| {
        let path = pattern.trim_end_matches('*').trim_end_matches('/');
        let is_plain = path.starts_with('/') && !path.contains(['*', '?']);
        is_plain.then(|| path.to_owned())
    };
    values.into_iter().filter_map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact() {
        for (weights, expected) in [
            (vec![90, 10], vec![900, 100]),
            (vec![1], vec![1_000]),
            (vec![0, 0], vec![0, 0]),
            (vec![1, 1, 1], vec![334, 333, 333]),
            (vec![999, 1], vec![999, 1]),
            (vec![100, 0], vec![1_000, 0]),
        ] {
            assert_eq!(shares(&weights), expected, "{weights:?}");
        }
    }
}
