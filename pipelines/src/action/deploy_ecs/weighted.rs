//! `strategy: weighted`: two ECS services take turns behind the weights of a listener's rule.

use std::sync::Arc;

use async_trait::async_trait;
use engine::clock::SystemClock;
use engine::step::ActionError;
use rollout::View;
use rollout::plan::Plan;
use workflow::catalogue::Wrong;

use super::super::aws_step::failed;
use super::by_codedeploy::definition;
use super::inputs::Wish;
use super::strategy::{Made, Own, Way};
use crate::target::ecs::{Settings, Weighted};
use crate::target::{Clouds, mark_of};

/// The strategy.
pub(super) struct Weights;

#[async_trait]
impl Way for Weights {
    fn check(&self, wish: &Wish) -> Vec<Wrong> {
        let none = wish.text("listener-rule").is_empty();
        none.then(|| {
            Wrong::new(
                "`listener-rule` is needed: the ARN of the listener's rule, or of the listener, that forwards users to the target \
                 groups of both services",
            )
        })
        .into_iter()
        .collect()
    }

    async fn own(&self, made: &Made<'_>) -> Result<Own, ActionError> {
        let wish = made.wish;
        let test_rule = Some(wish.text("test-listener-rule")).filter(|arn| !arn.is_empty());
        let settings = Settings {
            account: made.account.clone(),
            region: made.cloud.region().to_owned(),
            cluster: wish.cluster.clone(),
            services: wish.services.clone(),
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
            format!(
                "services     {} in cluster {}, one of them gets {tasks}",
                wish.services.join(" and "),
                wish.cluster
            ),
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
