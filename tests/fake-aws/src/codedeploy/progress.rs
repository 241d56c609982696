//! How deployments go on: event by event, by the clock, by what tasks, alarms and functions do.

use serde_json::json;

use super::configs::Routing;
use super::{Deployment, EVENTS, Hook, Step};
use crate::ecs::Kind;
use crate::hooks::{HOOK_TIME, HookAnswer};
use crate::value::{Input as _, MINUTE, SECOND};
use crate::world::World;

/// How an event stands.
enum Went {
    Done,
    Waits,
    Failed(&'static str, String),
}

impl World {
    /// Takes all deployments a step on.
    pub(crate) fn tick_codedeploy(&mut self) {
        for id in self.deploys.order.clone() {
            let Some(mut one) = self.deploys.deployments.remove(&id) else { continue };
            let goes_back = if one.is_over() { false } else { self.take_on(&mut one) };
            self.deploys.deployments.insert(id.clone(), one);
            if goes_back {
                self.put_back(&id);
            }
        }
    }

    /// Goes as far as it can. Whether it has to be put back by another deployment.
    fn take_on(&mut self, one: &mut Deployment) -> bool {
        if let Some(asked) = one.stops {
            let goes_back = asked.unwrap_or_else(|| rolls_back(one, "DEPLOYMENT_STOP_ON_REQUEST"));
            self.end(one, "Stopped", Some(("MANUAL_STOP", "The deployment was stopped manually".to_owned())));
            return goes_back && one.green.is_some();
        }
        if one.creator == "user"
            && one.started.is_some()
            && let Some(message) = self.alarm_rings(one)
        {
            self.end(one, "Failed", Some(("ALARM_ACTIVE", message)));
            return rolls_back(one, "DEPLOYMENT_STOP_ON_ALARM") && one.green.is_some();
        }
        loop {
            let before = one.step;
            if let Err((code, message)) = self.step(one) {
                let status = if code == "TIMEOUT" && before == Step::Ready { "Stopped" } else { "Failed" };
                self.end(one, status, Some((code, message)));
                return rolls_back(one, "DEPLOYMENT_FAILURE") && one.green.is_some();
            }
            if one.step == before || one.is_over() {
                return false;
            }
            one.entered = self.now;
        }
    }

    fn alarm_rings(&self, one: &Deployment) -> Option<String> {
        let overridden = one.input.get("overrideAlarmConfiguration");
        let config = overridden.or_else(|| one.settings.get("alarmConfiguration"))?;
        if !config.flag("enabled").unwrap_or(false) {
            return None;
        }
        let names = config.items("alarms").iter().filter_map(|alarm| alarm.text("name"));
        let rings: Vec<_> = names.filter(|name| self.watch.is_alarm(name)).collect();
        (!rings.is_empty()).then(|| format!("One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected deployments have been stopped. Activated alarms: <{}>", rings.join(", ")))
    }

    /// One step, if it is due.
    fn step(&mut self, one: &mut Deployment) -> Result<(), (&'static str, String)> {
        let waited = self.now - one.entered;
        match one.step {
            Step::Created if waited >= SECOND => {
                (one.step, one.status) = (Step::Queued, "Queued");
            }
            Step::Queued if waited >= SECOND => {
                (one.status, one.started) = ("InProgress", Some(self.now));
                one.step = if one.puts_back.is_some() { Step::Back } else { Step::Event(0) };
            }
            Step::Created | Step::Queued | Step::Over => {}
            Step::Back => self.go_back(one),
            Step::Event(at) => self.event(one, at)?,
            Step::Ready => self.ready(one)?,
            Step::Termination => self.terminate(one),
        }
        Ok(())
    }

    fn event(&mut self, one: &mut Deployment, at: usize) -> Result<(), (&'static str, String)> {
        let name = one.happenings[at].name;
        let now = self.now;
        if one.happenings[at].started.is_none() {
            (one.happenings[at].started, one.happenings[at].status) = (Some(now), "InProgress");
            one.hook = None;
            self.enter(one, at)?;
        }
        match self.look(one, name) {
            Went::Waits => return Ok(()),
            Went::Failed(code, message) => return Err((code, message)),
            Went::Done => {}
        }
        (one.happenings[at].ended, one.happenings[at].status) = (Some(now), "Succeeded");
        let next = one.happenings.get(at + 1).map(|next| next.name);
        let waits =
            one.settings.get("blueGreenDeploymentConfiguration").and_then(|config| config.get("deploymentReadyOption"));
        let stops = waits.is_some_and(|option| option.text("actionOnTimeout") == Some("STOP_DEPLOYMENT"));
        one.step = match next {
            Some("BeforeAllowTraffic") if stops => {
                one.status = "Ready";
                Step::Ready
            }
            Some(_) => Step::Event(at + 1),
            None => {
                one.status = "Baking";
                Step::Termination
            }
        };
        Ok(())
    }

    /// What begins with an event.
    fn enter(&mut self, one: &mut Deployment, at: usize) -> Result<(), (&'static str, String)> {
        let name = one.happenings[at].name;
        match name {
            "Install" => self.install(one),
            "AllowTestTraffic" => {
                self.lead(one, "testTrafficRoute", 100);
                Ok(())
            }
            "AllowTraffic" => {
                let first = match one.routing {
                    Routing::AllAtOnce => 100,
                    Routing::Canary(percent, _) | Routing::Linear(percent, _) => percent,
                };
                self.shift_production(one, first);
                Ok(())
            }
            _ => self.call_function(one, name),
        }
    }

    fn call_function(&mut self, one: &mut Deployment, name: &str) -> Result<(), (&'static str, String)> {
        debug_assert!(
            EVENTS.iter().any(|(scriptable, known)| *scriptable && *known == name),
            "others have no functions"
        );
        let Some(function) = one.spec.hooks.get(name).cloned() else { return Ok(()) };
        let id = format!("eyJ{}", self.ids.hex(40));
        let event = json!({ "DeploymentId": one.id, "LifecycleEventHookExecutionId": id });
        let (now, failed) = (self.now, "HOOK_EXECUTION_FAILURE");
        let answer = match self.functions.call(&function, event, now) {
            Some(HookAnswer::Succeeds) => Some(true),
            Some(HookAnswer::Fails) => Some(false),
            Some(HookAnswer::Waits) => None,
            None => return Err((failed, format!("The Lambda function {function} of the hook {name} does not exist"))),
        };
        one.hook = Some(Hook { id, expires: now + HOOK_TIME, answer });
        Ok(())
    }

    fn install(&mut self, one: &mut Deployment) -> Result<(), (&'static str, String)> {
        one.blue = self.primary_set(&one.service);
        let definition = self.active_definition(&one.spec.definition).map(|found| found.arn.clone());
        let definition = definition.map_err(|error| ("ECS_UPDATE_ERROR", error.message))?;
        let spec = self.definition(&definition).map(|found| found.spec.clone()).unwrap_or_default();
        let has_port = spec.items("containerDefinitions").iter().any(|container| {
            container.text("name") == Some(&one.spec.container)
                && container
                    .items("portMappings")
                    .iter()
                    .any(|mapping| mapping.int("containerPort") == Some(one.spec.port))
        });
        if !has_port {
            let message = format!(
                "The container {} did not have a container port {} defined.",
                one.spec.container, one.spec.port
            );
            return Err(("ECS_UPDATE_ERROR", message));
        }
        let balanced = self
            .green_balanced(one)
            .ok_or(("ELASTIC_LOAD_BALANCING_INVALID", "The target groups cannot be used".to_owned()))?;
        let desired = self.ecs.services.get(&one.service).map_or(0, |service| service.desired);
        let green = self.add_set(Kind::TaskSet, &one.service, &definition, vec![balanced], desired);
        if let Some(set) = self.ecs.sets.get_mut(&green) {
            set.started_by = Some("CODE_DEPLOY".to_owned());
            set.spec["externalId"] = json!(one.id);
        }
        one.green = Some(green);
        // So that the balancer asks the new tasks for their health.
        self.shift_production(one, 0);
        Ok(())
    }

    /// Whether an event is over.
    fn look(&mut self, one: &mut Deployment, name: &str) -> Went {
        match name {
            "Install" => {
                let is_up = one.green.as_deref().is_some_and(|green| self.is_up(green));
                if is_up {
                    return Went::Done;
                }
                if self.now - one.entered >= HOOK_TIME {
                    let message = "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is 60 minutes.";
                    return Went::Failed("TIMEOUT", message.to_owned());
                }
                Went::Waits
            }
            "AllowTraffic" => self.go_on_shifting(one),
            _ => match &one.hook {
                None => Went::Done,
                Some(Hook { answer: Some(true), .. }) => Went::Done,
                Some(Hook { answer: Some(false), .. }) => {
                    Went::Failed("HOOK_EXECUTION_FAILURE", format!("The lifecycle hook {name} failed"))
                }
                Some(hook) if hook.expires <= self.now => Went::Failed(
                    "HOOK_EXECUTION_FAILURE",
                    format!("The lifecycle hook {name} did not answer within an hour"),
                ),
                Some(_) => Went::Waits,
            },
        }
    }

    fn go_on_shifting(&mut self, one: &mut Deployment) -> Went {
        let waited = self.now - one.last_shift;
        match one.routing {
            Routing::Canary(_, wait) if one.shifted < 100 && waited >= wait => self.shift_production(one, 100),
            Routing::Linear(step, wait) if one.shifted < 100 && waited >= wait => {
                let percent = (one.shifted + step).min(100);
                self.shift_production(one, percent);
            }
            Routing::AllAtOnce | Routing::Canary(..) | Routing::Linear(..) => {}
        }
        if one.shifted < 100 {
            return Went::Waits;
        }
        if let Some(green) = &one.green {
            self.make_primary(&one.service, green);
        }
        Went::Done
    }

    fn ready(&mut self, one: &mut Deployment) -> Result<(), (&'static str, String)> {
        let option =
            one.settings.get("blueGreenDeploymentConfiguration").and_then(|config| config.get("deploymentReadyOption"));
        let minutes = option.and_then(|option| option.int("waitTimeInMinutes")).unwrap_or(0);
        if std::mem::take(&mut one.goes_on) {
            let at = one.happenings.iter().position(|known| known.name == "BeforeAllowTraffic").unwrap_or_default();
            (one.step, one.status) = (Step::Event(at), "InProgress");
        } else if self.now - one.entered >= minutes * MINUTE {
            let message = "The deployment was not continued within the time to wait before traffic is rerouted";
            return Err(("TIMEOUT", message.to_owned()));
        }
        Ok(())
    }

    fn terminate(&mut self, one: &mut Deployment) {
        let config = one.settings.get("blueGreenDeploymentConfiguration");
        let option = config
            .and_then(|config| config.get("terminateBlueInstancesOnDeploymentSuccess"))
            .cloned()
            .unwrap_or_default();
        let minutes = option.int("terminationWaitTimeInMinutes").unwrap_or(0);
        let ends = option.text("action") != Some("KEEP_ALIVE");
        if ends && !std::mem::take(&mut one.goes_on) && self.now - one.entered < minutes * MINUTE {
            return;
        }
        if let (true, Some(blue)) = (ends, &one.blue) {
            self.remove_set(blue);
        }
        self.end(one, "Succeeded", None);
    }

    fn go_back(&mut self, one: &mut Deployment) {
        self.lead(one, "testTrafficRoute", 0);
        self.shift_production(one, 0);
        if let Some(blue) = &one.blue {
            self.make_primary(&one.service, blue);
        }
        if let Some(green) = &one.green {
            self.remove_set(green);
        }
        self.end(one, "Succeeded", None);
    }

    fn end(&self, one: &mut Deployment, status: &'static str, error: Option<(&'static str, String)>) {
        let now = self.now;
        for happening in &mut one.happenings {
            match happening.status {
                "InProgress" => {
                    (happening.status, happening.ended) =
                        (if status == "Stopped" { "Skipped" } else { "Failed" }, Some(now));
                    happening.message = error.as_ref().map(|(_, message)| message.clone());
                }
                "Pending" => happening.status = "Skipped",
                _ => {}
            }
        }
        (one.step, one.status, one.completed, one.error) = (Step::Over, status, Some(now), error);
    }
}

/// Whether the group says that such an end is followed by a rollback.
fn rolls_back(one: &Deployment, event: &str) -> bool {
    let own = one.input.get("autoRollbackConfiguration");
    let config = own.or_else(|| one.settings.get("autoRollbackConfiguration")).cloned().unwrap_or_default();
    config.flag("enabled").unwrap_or(false) && config.texts("events").iter().any(|known| known == event)
}
