//! Deployment groups and configurations: what is deployed, and how its requests are shifted.

use aws_sdk_codedeploy::types::{
    ComputePlatform, DeploymentGroupInfo, DeploymentReadyAction, InstanceAction, TimeBasedCanary, TimeBasedLinear,
    TrafficRoutingConfig, TrafficRoutingType,
};

use super::{CodeDeploy, unsaid, words};
use crate::patience::{changing, reading};
use crate::{Fault, Problem};

/// How requests are shifted; nothing else can be said of it at CodeDeploy:
/// <https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// All of them at once.
    AllAtOnce,
    /// A part, then the rest.
    Canary {
        /// The part, from 1 to 99.
        percent: u32,
        /// So many minutes later.
        minutes: u32,
    },
    /// Equal parts.
    Linear {
        /// Each part, from 1 to 99.
        percent: u32,
        /// So many minutes apart.
        minutes: u32,
    },
}

impl Routing {
    /// The configuration that AWS has for it, if it has one.
    #[must_use]
    pub const fn predefined(self) -> Option<&'static str> {
        match self {
            Self::AllAtOnce => Some("CodeDeployDefault.ECSAllAtOnce"),
            Self::Canary { percent: 10, minutes: 5 } => Some("CodeDeployDefault.ECSCanary10Percent5Minutes"),
            Self::Canary { percent: 10, minutes: 15 } => Some("CodeDeployDefault.ECSCanary10Percent15Minutes"),
            Self::Linear { percent: 10, minutes: 1 } => Some("CodeDeployDefault.ECSLinear10PercentEvery1Minutes"),
            Self::Linear { percent: 10, minutes: 3 } => Some("CodeDeployDefault.ECSLinear10PercentEvery3Minutes"),
            Self::Canary { .. } | Self::Linear { .. } => None,
        }
    }

    /// The name of the configuration: AWS's, or the one under which ours is made.
    #[must_use]
    pub fn name(self) -> String {
        match (self.predefined(), self) {
            (Some(name), _) => name.to_owned(),
            (None, Self::Canary { percent, minutes }) => format!("pipe-canary-{percent}-percent-{minutes}-minutes"),
            (None, Self::Linear { percent, minutes }) => {
                format!("pipe-linear-{percent}-percent-every-{minutes}-minutes")
            }
            (None, Self::AllAtOnce) => "CodeDeployDefault.ECSAllAtOnce".to_owned(),
        }
    }
}

/// A deployment group of a service of ECS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub service: String,
    /// Its configuration.
    pub config: String,
    /// Minutes for which it waits before users' requests are shifted, until somebody says that it goes on; `None`: it goes on
    /// by itself.
    pub waits: Option<u32>,
    /// Minutes for which the old tasks stay; `None`: for ever.
    pub keeps: Option<u32>,
    /// Names of the two target groups.
    pub target_groups: Vec<String>,
    /// ARN of the listener that users reach.
    pub listener: String,
    /// Whether tests reach the new tasks before users do.
    pub has_test_listener: bool,
    /// Alarms that end its deployments.
    pub alarms: Vec<String>,
}

impl CodeDeploy {
    /// A deployment group.
    ///
    /// # Errors
    /// It or its application does not exist, it deploys to something else than ECS, or AWS does not say.
    pub async fn group(&self, application: &str, name: &str) -> Result<Group, Problem> {
        let asked = self.asked("codedeploy:GetDeploymentGroup", name);
        let said = reading(|| async {
            let request = self.client.get_deployment_group().application_name(application).deployment_group_name(name);
            request.send().await.map_err(|error| words::of_group(Problem::of(&error, asked), application, name))
        });
        let said = said.await?;
        let info = said.deployment_group_info().ok_or_else(|| unsaid("the deployment group"))?;
        if info.compute_platform() != Some(&ComputePlatform::Ecs) {
            let platform = info.compute_platform().map_or("another platform", |platform| platform.as_str());
            return Err(Problem::plain(
                Fault::Request,
                format!("deployment group {name} of application {application} deploys to {platform}: name one of ECS"),
            ));
        }
        Ok(facts(info))
    }

    /// How a configuration shifts requests.
    ///
    /// # Errors
    /// It does not exist, or AWS does not say.
    pub async fn routing(&self, config: &str) -> Result<Routing, Problem> {
        let asked = self.asked("codedeploy:GetDeploymentConfig", config);
        let said = reading(|| async {
            let request = self.client.get_deployment_config().deployment_config_name(config);
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        let said = said.await?;
        let routing = said.deployment_config_info().and_then(|info| info.traffic_routing_config());
        let number = |number: i32| u32::try_from(number).unwrap_or(0);
        match routing.map(|routing| (routing.r#type(), routing.time_based_canary(), routing.time_based_linear())) {
            Some((Some(TrafficRoutingType::AllAtOnce), ..)) => Ok(Routing::AllAtOnce),
            Some((_, Some(canary), _)) => Ok(Routing::Canary {
                percent: number(canary.canary_percentage()),
                minutes: number(canary.canary_interval()),
            }),
            Some((_, _, Some(linear))) => Ok(Routing::Linear {
                percent: number(linear.linear_percentage()),
                minutes: number(linear.linear_interval()),
            }),
            Some(_) | None => Err(Problem::plain(
                Fault::Request,
                format!("deployment configuration {config} shifts no requests: it is of another platform than ECS"),
            )),
        }
    }

    /// Makes sure that there is a configuration for it; gives its name. A name stands for what it says, so that one that is
    /// there is the right one.
    ///
    /// # Errors
    /// As AWS says.
    pub async fn config_for(&self, routing: Routing) -> Result<String, Problem> {
        let name = routing.name();
        let config = match routing {
            Routing::AllAtOnce => return Ok(name),
            _ if routing.predefined().is_some() => return Ok(name),
            Routing::Canary { percent, minutes } => {
                let canary = TimeBasedCanary::builder().canary_percentage(whole(percent));
                let canary = canary.canary_interval(whole(minutes)).build();
                TrafficRoutingConfig::builder().r#type(TrafficRoutingType::TimeBasedCanary).time_based_canary(canary)
            }
            Routing::Linear { percent, minutes } => {
                let linear = TimeBasedLinear::builder().linear_percentage(whole(percent));
                let linear = linear.linear_interval(whole(minutes)).build();
                TrafficRoutingConfig::builder().r#type(TrafficRoutingType::TimeBasedLinear).time_based_linear(linear)
            }
        };
        match self.routing(&name).await {
            Ok(_) => return Ok(name),
            Err(problem) if problem.is("DeploymentConfigDoesNotExistException") => {}
            Err(problem) => return Err(problem),
        }
        let (config, asked) = (config.build(), self.asked("codedeploy:CreateDeploymentConfig", &name));
        let made = changing(|| async {
            let request = self.client.create_deployment_config().deployment_config_name(&name);
            let request = request.compute_platform(ComputePlatform::Ecs).traffic_routing_config(config.clone());
            request.send().await.map_err(|error| Problem::of(&error, asked))
        });
        match made.await {
            Err(problem) if problem.is("DeploymentConfigAlreadyExistsException") => Ok(name),
            // Nobody heard the answer: what is there says what was done.
            Err(problem) if problem.is_uncertain => match self.routing(&name).await {
                Err(missing) if missing.is("DeploymentConfigDoesNotExistException") => Err(problem),
                found => found.map(|_| name),
            },
            Err(problem) => Err(problem),
            Ok(_) => Ok(name),
        }
    }
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn facts(of: &DeploymentGroupInfo) -> Group {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let minutes = |number: i32| u32::try_from(number).unwrap_or(0);
    let service = of.ecs_services().first();
    let blue_green = of.blue_green_deployment_configuration();
    let ready = blue_green.and_then(|config| config.deployment_ready_option());
    let ends = blue_green.and_then(|config| config.terminate_blue_instances_on_deployment_success());
    let pair = of.load_balancer_info().and_then(|info| info.target_group_pair_info_list().first());
    let listeners = |route: Option<&aws_sdk_codedeploy::types::TrafficRoute>| {
        route.map(|route| route.listener_arns().to_vec()).unwrap_or_default()
    };
    let groups = pair.map(|pair| pair.target_groups()).unwrap_or_default();
    let alarms = of.alarm_configuration().filter(|config| config.enabled());
    let stops = ready.filter(|ready| ready.action_on_timeout() == Some(&DeploymentReadyAction::StopDeployment));
    let is_kept = ends.is_some_and(|ends| ends.action() == Some(&InstanceAction::KeepAlive));
    Group {
        cluster: text(service.and_then(|service| service.cluster_name())),
        service: text(service.and_then(|service| service.service_name())),
        config: text(of.deployment_config_name()),
        waits: stops.map(|ready| minutes(ready.wait_time_in_minutes())),
        keeps: (!is_kept).then(|| ends.map_or(0, |ends| minutes(ends.termination_wait_time_in_minutes()))),
        target_groups: groups.iter().filter_map(|group| group.name()).map(str::to_owned).collect(),
        listener: listeners(pair.and_then(|pair| pair.prod_traffic_route())).into_iter().next().unwrap_or_default(),
        has_test_listener: !listeners(pair.and_then(|pair| pair.test_traffic_route())).is_empty(),
        alarms: alarms
            .map(|config| config.alarms().iter().filter_map(|one| one.name()).map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}
