//! ELBv2: how requests are shared between target groups, and who of them is healthy.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple, TargetHealthStateEnum,
};

use crate::cloud::Service;
use crate::patience::{changing, reading};
use crate::problem::Asked;
use crate::{Cloud, Fault, Problem};

/// Load balancers of a region.
#[derive(Debug, Clone)]
pub struct Balancer {
    client: Client,
    region: String,
}

/// Target groups with their weights, from 0 to 999, in the order of the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares(pub Vec<(String, u32)>);

impl Shares {
    /// What one of two groups gets, in thousandths; the other one gets the rest. ELB takes weights up to 999.
    #[must_use]
    pub fn of(green: &str, thousandths: u16, blue: &str) -> Self {
        let (green_weight, blue_weight) = match thousandths.min(1_000) {
            0 => (0, 100),
            1_000 => (100, 0),
            part => (u32::from(part), 1_000 - u32::from(part)),
        };
        Self(vec![(blue.to_owned(), blue_weight), (green.to_owned(), green_weight)])
    }

    /// The share of a group, in thousandths; `None`: nothing is shared at all.
    #[must_use]
    pub fn thousandths(&self, group: &str) -> Option<u16> {
        let all: u32 = self.0.iter().map(|(_, weight)| *weight).sum();
        let own: u32 = self.0.iter().filter(|(of, _)| of == group).map(|(_, weight)| *weight).sum();
        u16::try_from((own * 1_000).checked_div(all)?).ok()
    }

    /// Whether both share alike.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let groups = self.0.iter().chain(&other.0).map(|(group, _)| group);
        groups.into_iter().all(|group| self.thousandths(group).unwrap_or(0) == other.thousandths(group).unwrap_or(0))
    }
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// Its address and port.
    pub address: String,
    /// How it is.
    pub state: TargetState,
    /// Why it is not healthy.
    pub why: String,
}

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It is asked for the first times.
    Initial,
    /// It gets requests.
    Healthy,
    /// It gets none.
    Unhealthy,
    /// It gets no new ones.
    Draining,
    /// Nobody asks it: its group has no rule, or AWS does not know.
    Unknown,
}

impl Cloud {
    /// The load balancers of the region.
    #[must_use]
    pub fn balancer(&self) -> Balancer {
        let client = Client::new(&self.config(Service::LoadBalancers));
        Balancer { client, region: self.region().to_owned() }
    }
}

impl Balancer {
    fn asked<'a>(&'a self, action: &'a str, resource: &'a str) -> Asked<'a> {
        Asked { action, resource, region: &self.region }
    }

    async fn actions(&self, place: &str) -> Result<Vec<Action>, Problem> {
        let missing = || Problem::plain(Fault::Request, format!("{place} does not exist in {}", self.region));
        if is_rule(place) {
            let asked = self.asked("elasticloadbalancing:DescribeRules", place);
            let said = reading(|| async {
                self.client.describe_rules().rule_arns(place).send().await.map_err(|error| Problem::of(&error, asked))
            });
            return Ok(said.await?.rules().first().ok_or_else(missing)?.actions().to_vec());
        }
        let asked = self.asked("elasticloadbalancing:DescribeListeners", place);
        let said = reading(|| async {
            self.client
                .describe_listeners()
                .listener_arns(place)
                .send()
                .await
                .map_err(|error| Problem::of(&error, asked))
        });
        Ok(said.await?.listeners().first().ok_or_else(missing)?.default_actions().to_vec())
    }

    /// How a rule, or a listener by default, shares requests.
    ///
    /// # Errors
    /// It does not exist, forwards nothing, or AWS does not say.
    pub async fn shares(&self, place: &str) -> Result<Shares, Problem> {
        shares(place, &self.actions(place).await?)
    }

    /// Sets how it shares them, and reads it back. Its other actions stay. Weights are absolute: twice is once.
    ///
    /// # Errors
    /// As AWS says, or something else stands afterwards: somebody else changes it too.
    pub async fn share(&self, place: &str, wanted: &Shares) -> Result<(), Problem> {
        let actions = self.actions(place).await?;
        if shares(place, &actions)?.is_as(wanted) {
            return Ok(());
        }
        let actions = changed(place, actions, wanted)?;
        match self.set(place, actions).await {
            // Nobody heard the answer: what stands says what was done.
            Err(problem) if problem.is_uncertain => {}
            set => set?,
        }
        let stands = self.shares(place).await?;
        if stands.is_as(wanted) {
            return Ok(());
        }
        Err(Problem {
            is_for_now: true,
            ..Problem::plain(
                Fault::Request,
                format!(
                    "{place} shares requests otherwise than it was told to: does somebody else change it (Terraform, CodeDeploy)?"
                ),
            )
        })
    }

    async fn set(&self, place: &str, actions: Vec<Action>) -> Result<(), Problem> {
        if is_rule(place) {
            let asked = self.asked("elasticloadbalancing:ModifyRule", place);
            let set = changing(|| async {
                let request = self.client.modify_rule().rule_arn(place).set_actions(Some(actions.clone()));
                request.send().await.map_err(|error| Problem::of(&error, asked))
            });
            return set.await.map(drop);
        }
        let asked = self.asked("elasticloadbalancing:ModifyListener", place);
        let set = changing(|| async {
            let request = self.client.modify_listener().listener_arn(place).set_default_actions(Some(actions.clone()));
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        set.await.map(drop)
    }

    /// A target group by its name: its ARN, and those of the balancers that it is behind.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn group(&self, name: &str) -> Result<(String, Vec<String>), Problem> {
        let asked = self.asked("elasticloadbalancing:DescribeTargetGroups", name);
        let said = reading(|| async {
            self.client.describe_target_groups().names(name).send().await.map_err(|error| Problem::of(&error, asked))
        });
        let missing =
            || Problem::plain(Fault::Request, format!("there is no target group `{name}` in {}", self.region));
        let said = said.await?;
        let found = said.target_groups().first().ok_or_else(missing)?;
        Ok((found.target_group_arn().unwrap_or_default().to_owned(), found.load_balancer_arns().to_vec()))
    }

    /// The targets of a group.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn targets(&self, group: &str) -> Result<Vec<TargetFacts>, Problem> {
        let asked = self.asked("elasticloadbalancing:DescribeTargetHealth", group);
        let said = reading(|| async {
            self.client
                .describe_target_health()
                .target_group_arn(group)
                .send()
                .await
                .map_err(|error| Problem::of(&error, asked))
        });
        let target = |one: &aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
            let (of, health) = (one.target(), one.target_health());
            let port = of.and_then(|of| of.port()).map(|port| format!(":{port}")).unwrap_or_default();
            let why =
                [health.and_then(|of| of.reason()).map(|why| why.as_str()), health.and_then(|of| of.description())];
            TargetFacts {
                address: format!("{}{port}", of.and_then(|of| of.id()).unwrap_or_default()),
                state: match health.and_then(|of| of.state()) {
                    Some(TargetHealthStateEnum::Initial) => TargetState::Initial,
                    Some(TargetHealthStateEnum::Healthy) => TargetState::Healthy,
                    Some(TargetHealthStateEnum::Unhealthy) => TargetState::Unhealthy,
                    Some(TargetHealthStateEnum::Draining) => TargetState::Draining,
                    Some(_) | None => TargetState::Unknown,
                },
                why: why.into_iter().flatten().collect::<Vec<_>>().join(": "),
            }
        };
        Ok(said.await?.target_health_descriptions().iter().map(target).collect())
    }
}

fn is_rule(place: &str) -> bool {
    place.contains(":listener-rule/")
}

fn forwards(place: &str, actions: &[Action]) -> Result<usize, Problem> {
    let at = actions.iter().position(|one| one.r#type() == Some(&ActionTypeEnum::Forward));
    at.ok_or_else(|| Problem::plain(Fault::Request, format!("{place} forwards no requests: name the rule that does")))
}

fn shares(place: &str, actions: &[Action]) -> Result<Shares, Problem> {
    let action = &actions[forwards(place, actions)?];
    let groups = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    if groups.is_empty() {
        let only = action.target_group_arn().map(|group| (group.to_owned(), 1));
        return Ok(Shares(only.into_iter().collect()));
    }
    let share = |one: &TargetGroupTuple| {
        (one.target_group_arn().unwrap_or_default().to_owned(), u32::try_from(one.weight().unwrap_or(1)).unwrap_or(0))
    };
    Ok(Shares(groups.iter().map(share).collect()))
}

/// The same actions with other shares; whether clients stay with their group is kept.
fn changed(place: &str, mut actions: Vec<Action>, wanted: &Shares) -> Result<Vec<Action>, Problem> {
    let at = forwards(place, &actions)?;
    let tuple = |(group, weight): &(String, u32)| {
        let weight = i32::try_from(*weight).unwrap_or(999);
        TargetGroupTuple::builder().target_group_arn(group).weight(weight).build()
    };
    let sticky = actions[at].forward_config().and_then(|config| config.target_group_stickiness_config().cloned());
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(wanted.0.iter().map(tuple).collect()))
        .set_target_group_stickiness_config(sticky)
        .build();
    actions[at] =
        Action::builder().r#type(ActionTypeEnum::Forward).set_order(actions[at].order()).forward_config(config).build();
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares() {
        for (thousandths, weights) in [(0, (100, 0)), (100, (900, 100)), (500, (500, 500)), (1_000, (0, 100))] {
            let shares = Shares::of("green", thousandths, "blue");
            assert_eq!(shares.0, [("blue".to_owned(), weights.0), ("green".to_owned(), weights.1)]);
            assert_eq!(shares.thousandths("green"), Some(thousandths));
            assert_eq!(shares.thousandths("blue"), Some(1_000 - thousandths));
        }
        let pair = |blue: u32, green: u32| Shares(vec![("blue".into(), blue), ("green".into(), green)]);
        assert!(pair(9, 1).is_as(&Shares::of("green", 100, "blue")));
        assert!(!pair(9, 2).is_as(&Shares::of("green", 100, "blue")));
        assert!(Shares(vec![("blue".into(), 1)]).is_as(&Shares::of("green", 0, "blue")), "what is not named has none");
        assert_eq!(Shares::default().thousandths("blue"), None);
    }
}
