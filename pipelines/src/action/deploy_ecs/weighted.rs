//! `strategy: weighted`: two ECS services, or task sets of one, take turns behind the weights of a listener's rule.

use std::sync::Arc;

use async_trait::async_trait;
use engine::clock::SystemClock;
use engine::step::ActionError;
use rollout::View;
use rollout::plan::Plan;
use workflow::catalogue::Wrong;

use super::super::aws_step::failed;
use super::by_codedeploy::definition;
use super::inputs::{Pair, Wish, uncounted};
use super::strategy::{Made, Own, Way};
use crate::target::ecs::{Settings, Turns, Weighted};
use crate::target::{Clouds, mark_of};

/// The strategy.
pub(super) struct Weights;

#[async_trait]
impl Way for Weights {
    fn check(&self, wish: &Wish) -> Vec<Wrong> {
        let none = wish.text("listener-rule").is_empty();
        let none = none.then(|| {
            Wrong::new(
                "`listener-rule` is needed: the ARN of the listener's rule, or of the listener, that forwards users to the target \
                 groups of both services",
            )
        });
        let counted = wish.tasks.and_then(|_| uncounted(wish.text("services")));
        none.into_iter().chain(counted).collect()
    }

    async fn own(&self, made: &Made<'_>) -> Result<Own, ActionError> {
        let wish = made.wish;
        let test_rule = Some(wish.text("test-listener-rule")).filter(|arn| !arn.is_empty());
        let turns = turns(made).await?;
        let (places, who) = match &turns {
            Turns::Services { services } => ("services ", services.join(" and ")),
            Turns::TaskSets { task_sets_of, target_groups } => {
                let names = target_groups.each_ref().map(|arn| arn.split('/').nth(1).unwrap_or(arn));
                ("task sets", format!("of {task_sets_of} in {}", names.join(" and ")))
            }
        };
        let settings = Settings {
            account: made.account.clone(),
            region: made.cloud.region().to_owned(),
            cluster: wish.cluster.clone(),
            turns,
            rule: wish.text("listener-rule").to_owned(),
            test_rule: test_rule.map(str::to_owned),
            container: made.container.clone(),
            task_definition: made.definition.json().clone(),
            tasks: wish.tasks,
            alarms: wish.alarms.clone(),
        };
        let tasks =
            wish.tasks.map_or_else(|| "as many tasks as what stands".to_owned(), |count| format!("{count} tasks"));
        let lines = vec![
            format!("{places}    {who} in cluster {}, one of them gets {tasks}", wish.cluster),
            format!("weights      {}", settings.rule),
        ];
        Ok(Own {
            target: Weighted::NAME,
            settings: serde_json::to_value(settings).map_err(failed)?,
            lines,
            course: None,
        })
    }

    async fn calls(&self, made: &Made<'_>, plan: &Plan) -> Result<Vec<String>, ActionError> {
        let clouds = Clouds::default();
        clouds.hold(&made.account, &made.cloud);
        let target = Weighted::new(clouds, Arc::new(SystemClock));
        target.calls(&Arc::new(plan.clone())).await.map_err(failed)
    }

    async fn outputs(&self, made: &Made<'_>, view: &View) -> Vec<(&'static str, String)> {
        // A rollout that was rejected has registered none; the output is for people, and its absence is no failure.
        let arn = definition(made, &mark_of(view.id, &view.plan_hash)).await;
        vec![("task-definition-arn", arn)]
    }
}

/// Who takes turns. The two target groups of task sets are those of the rule, as it is now.
async fn turns(made: &Made<'_>) -> Result<Turns, ActionError> {
    let service = match &made.wish.pair {
        Pair::Services(services) => return Ok(Turns::Services { services: services.clone() }),
        Pair::TaskSets(service) => service,
    };
    let rule = made.wish.text("listener-rule");
    let shares = made.cloud.balancer().shares(rule).await.map_err(failed)?;
    let mut groups: Vec<String> = shares.0.into_iter().map(|(group, _)| group).collect();
    groups.sort();
    groups.dedup();
    let count = groups.len();
    let target_groups = groups.try_into().map_err(|groups: Vec<String>| {
        ActionError::Failed(format!(
            "{rule} forwards to {count} target group{} ({}), and task sets take turns in two: let it forward to both, all of the \
             weight where users are and 0 at the other one",
            if count == 1 { "" } else { "s" },
            groups.join(", ")
        ))
    })?;
    Ok(Turns::TaskSets { task_sets_of: service.clone(), target_groups })
}
