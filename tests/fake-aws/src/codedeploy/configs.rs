//! Deployment configurations: how users' requests are shifted. CodeDeploy knows one step and the rest, or equal steps.

use serde_json::{Value, json};

use super::required;
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, MINUTE, Time, echo, stamp};
use crate::world::World;

/// How requests are shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routing {
    AllAtOnce,
    /// So many percent, then after a while the rest.
    Canary(i64, Time),
    /// So many percent more, each time.
    Linear(i64, Time),
}

/// Those that AWS brings.
const PREDEFINED: [(&str, Routing); 5] = [
    ("CodeDeployDefault.ECSAllAtOnce", Routing::AllAtOnce),
    ("CodeDeployDefault.ECSCanary10Percent5Minutes", Routing::Canary(10, 5 * MINUTE)),
    ("CodeDeployDefault.ECSCanary10Percent15Minutes", Routing::Canary(10, 15 * MINUTE)),
    ("CodeDeployDefault.ECSLinear10PercentEvery1Minutes", Routing::Linear(10, MINUTE)),
    ("CodeDeployDefault.ECSLinear10PercentEvery3Minutes", Routing::Linear(10, 3 * MINUTE)),
];

fn described(routing: Routing) -> Value {
    match routing {
        Routing::AllAtOnce => json!({ "type": "AllAtOnce" }),
        Routing::Canary(percent, wait) => json!({
            "type": "TimeBasedCanary",
            "timeBasedCanary": { "canaryPercentage": percent, "canaryInterval": wait / MINUTE },
        }),
        Routing::Linear(percent, wait) => json!({
            "type": "TimeBasedLinear",
            "timeBasedLinear": { "linearPercentage": percent, "linearInterval": wait / MINUTE },
        }),
    }
}

fn read(config: &Value) -> Result<Routing, AwsError> {
    let invalid = |message: &str| refuse("InvalidTrafficRoutingConfigurationException", message);
    let part = |name: &str, percent: &str, wait: &str| {
        let part = config.get(name)?;
        let (percent, wait) = (part.int(percent)?, part.int(wait)?);
        ((1..=99).contains(&percent) && wait > 0).then_some((percent, wait * MINUTE))
    };
    match config.text("type") {
        Some("AllAtOnce") => Ok(Routing::AllAtOnce),
        Some("TimeBasedCanary") => match part("timeBasedCanary", "canaryPercentage", "canaryInterval") {
            Some((percent, wait)) => Ok(Routing::Canary(percent, wait)),
            None => invalid("timeBasedCanary needs a canaryPercentage of 1 to 99 and a canaryInterval in minutes"),
        },
        Some("TimeBasedLinear") => match part("timeBasedLinear", "linearPercentage", "linearInterval") {
            Some((percent, wait)) => Ok(Routing::Linear(percent, wait)),
            None => invalid("timeBasedLinear needs a linearPercentage of 1 to 99 and a linearInterval in minutes"),
        },
        Some(_) | None => invalid("trafficRoutingConfig needs a type: TimeBasedCanary, TimeBasedLinear or AllAtOnce"),
    }
}

impl World {
    pub(super) fn create_deployment_config(&mut self, input: &Value) -> Answer {
        let name = required(input, "deploymentConfigName")?.to_owned();
        if name.starts_with("CodeDeployDefault.") {
            return refuse("InvalidDeploymentConfigNameException", "The name may not begin with CodeDeployDefault");
        }
        if self.deploys.configs.contains_key(&name) {
            let message = format!("Deployment Configuration {name} already exists");
            return refuse("DeploymentConfigAlreadyExistsException", message);
        }
        if input.text("computePlatform") != Some("ECS") {
            return refuse("InvalidComputePlatformException", "fake-aws has deployments of ECS only");
        }
        read(input.get("trafficRoutingConfig").unwrap_or(&Value::Null))?;
        let id = self.ids.uuid();
        let mut known =
            Value::Object(echo(input, &["deploymentConfigName", "computePlatform", "trafficRoutingConfig"]));
        known["deploymentConfigId"] = json!(id);
        known["createTime"] = stamp(self.now);
        self.deploys.configs.insert(name, known);
        Ok(json!({ "deploymentConfigId": id }))
    }

    pub(super) fn routing(&self, name: &str) -> Result<Routing, AwsError> {
        if let Some((_, routing)) = PREDEFINED.iter().find(|(known, _)| *known == name) {
            return Ok(*routing);
        }
        match self.deploys.configs.get(name) {
            Some(known) => read(&known["trafficRoutingConfig"]),
            None => refuse(
                "DeploymentConfigDoesNotExistException",
                format!("No Deployment Configuration found for name: {name}"),
            ),
        }
    }

    pub(super) fn get_deployment_config(&self, input: &Value) -> Answer {
        let name = required(input, "deploymentConfigName")?;
        let routing = self.routing(name)?;
        let predefined = json!({
            "deploymentConfigId": "00000000-0000-4000-8000-000000000000", "deploymentConfigName": name,
            "computePlatform": "ECS", "trafficRoutingConfig": described(routing),
        });
        Ok(json!({ "deploymentConfigInfo": self.deploys.configs.get(name).cloned().unwrap_or(predefined) }))
    }

    pub(super) fn list_deployment_configs(&self) -> Value {
        let names: Vec<_> =
            PREDEFINED.iter().map(|(name, _)| *name).chain(self.deploys.configs.keys().map(String::as_str)).collect();
        json!({ "deploymentConfigsList": names })
    }
}
