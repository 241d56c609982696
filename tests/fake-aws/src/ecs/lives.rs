//! How tasks come and go: started until a set has what it should, registered with their groups, drained before they are
//! stopped, replaced when they end by themselves or fail the balancer's health checks.

use serde_json::{Value, json};

use super::tasks::{Task, TaskState};
use crate::elb::Health;
use crate::value::{Input as _, MINUTE, SECOND, Time};
use crate::world::{Misbehaviour, World};

/// Between two starts in a set whose tasks keep failing, at most.
const PAUSE_MAX: Time = MINUTE;
/// In a world without containers a task takes this long to run.
const SIMULATED_START: Time = 2 * SECOND;
/// And one that ends by itself runs this long.
const SIMULATED_LIFE: Time = 3 * SECOND;
/// Stopped tasks are shown this long.
const STOPPED_KEPT: Time = 60 * MINUTE;

/// Containers that somebody should start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Launch {
    pub(crate) task: String,
    /// Container definitions, with overrides put over them.
    pub(crate) containers: Vec<Value>,
    /// The definition's architecture, if it names one.
    pub(crate) architecture: Option<String>,
}

impl World {
    /// Starts and ends tasks so that sets have what they should.
    pub(crate) fn tick_tasks(&mut self) {
        let now = self.now;
        self.ecs.tasks.retain(|_, task| task.stopped.is_none_or(|at| now - at < STOPPED_KEPT));
        let sets: Vec<_> = self.ecs.sets.keys().cloned().collect();
        for set in sets {
            self.end_unhealthy(&set);
            self.fit_set(&set);
        }
        for task in self.ecs.tasks.values_mut() {
            if task.state == TaskState::Deactivating && task.stop_at <= now {
                (task.state, task.is_handed) = (TaskState::Stopping, false);
            }
        }
        self.note_steadiness();
    }

    fn fit_set(&mut self, id: &str) {
        let Some(set) = self.ecs.sets.get(id).cloned() else { return };
        let mut live: Vec<_> = self
            .ecs
            .tasks
            .iter()
            .filter(|(_, task)| task.set.as_deref() == Some(id) && task.is_wanted)
            .map(|(arn, task)| (task.state == TaskState::Running, task.created, arn.clone()))
            .collect();
        // Those that do not run yet go first, then the youngest.
        live.sort_by_key(|(runs, created, _)| (*runs, std::cmp::Reverse(*created)));
        let has = i64::try_from(live.len()).unwrap_or(i64::MAX);
        for (_, _, arn) in live.iter().take(usize::try_from(has - set.desired).unwrap_or(0)) {
            let reason = format!("Scaling activity initiated by (deployment {id})");
            self.end_task(arn, "ServiceSchedulerInitiated", &reason);
        }
        if has < set.desired && set.next_start <= self.now {
            let Some(cluster) = self.ecs.services.get(&set.service).map(|service| service.cluster.clone()) else {
                return;
            };
            let group = format!("service:{}", super::tail(&set.service));
            let launch = set.spec.text("launchType").unwrap_or("FARGATE");
            for _ in has..set.desired {
                let said = json!({ "group": group, "startedBy": id, "launchType": launch });
                self.add_task(&cluster, &set.definition, Some((id, &set.service)), said);
            }
            self.service_event(&set.service, &format!("has started {} tasks.", set.desired - has));
        }
    }

    /// Ends tasks that their balancer finds unhealthy, after the service's time of grace.
    fn end_unhealthy(&mut self, id: &str) {
        let Some(set) = self.ecs.sets.get(id).cloned() else { return };
        let grace = set.spec.int("healthCheckGracePeriodSeconds").unwrap_or(0) * SECOND;
        let mut bad = Vec::new();
        for (arn, task) in self.ecs.tasks.iter().filter(|(_, task)| task.set.as_deref() == Some(id)) {
            let (Some(address), Some(started)) = (&task.address, task.started) else { continue };
            if task.state != TaskState::Running || !task.is_wanted || self.now - started < grace {
                continue;
            }
            let unhealthy =
                |one: &&super::Balanced| self.health_of(&one.group, address, one.port) == Some(Health::Unhealthy);
            if let Some(one) = set.balanced.iter().find(unhealthy) {
                bad.push((arn.clone(), one.group.clone()));
            }
        }
        for (arn, group) in bad {
            let reason = format!("Task failed ELB health checks in (target-group {group})");
            self.service_event(&set.service, &format!("(task {}) failed ELB health checks", super::tail(&arn)));
            self.end_task(&arn, "ServiceSchedulerInitiated", &reason);
            self.count_failure(id, &reason);
        }
    }

    fn count_failure(&mut self, set: &str, reason: &str) {
        let now = self.now;
        if let Some(set) = self.ecs.sets.get_mut(set) {
            set.failed += 1;
            set.last_failure = Some(reason.to_owned());
            set.next_start = now + (set.failed * 2 * SECOND).min(PAUSE_MAX);
        }
    }

    /// Begins to end a task: its targets drain first.
    pub(crate) fn end_task(&mut self, arn: &str, code: &'static str, reason: &str) {
        let now = self.now;
        let Some(task) = self.ecs.tasks.get(arn) else { return };
        if !task.is_wanted {
            return;
        }
        let drained = self.leave_groups(&task.clone());
        let Some(task) = self.ecs.tasks.get_mut(arn) else { return };
        task.is_wanted = false;
        task.stopping = Some(now);
        (task.stop_code, task.stop_reason) = (Some(code), Some(reason.to_owned()));
        match task.state {
            TaskState::Running => (task.state, task.stop_at) = (TaskState::Deactivating, drained.unwrap_or(now)),
            // Nobody has begun to start it.
            TaskState::Provisioning => (task.state, task.stopped) = (TaskState::Stopped, Some(now)),
            TaskState::Pending => (task.state, task.is_handed) = (TaskState::Stopping, false),
            TaskState::Deactivating | TaskState::Stopping | TaskState::Stopped => {}
        }
    }

    fn leave_groups(&mut self, task: &Task) -> Option<Time> {
        let (set, address) = (self.ecs.sets.get(task.set.as_deref()?)?.clone(), task.address.clone()?);
        set.balanced.iter().filter_map(|one| self.deregister(&one.group, &address, Some(one.port))).max()
    }

    /// Tasks that somebody should start; each is handed out once.
    pub(crate) fn launches(&mut self) -> Vec<Launch> {
        let new =
            self.ecs.tasks.iter_mut().filter(|(_, task)| task.state == TaskState::Provisioning && !task.is_handed);
        let mut found = Vec::new();
        for (arn, task) in new {
            (task.is_handed, task.state) = (true, TaskState::Pending);
            found.push((arn.clone(), task.definition.clone(), task.said.get("overrides").cloned()));
        }
        let launch = |(task, definition, overrides): (String, String, Option<Value>)| {
            let spec = self.definition(&definition).ok()?.spec.clone();
            let containers = spec.items("containerDefinitions").iter().map(|one| overridden(one, overrides.as_ref()));
            let architecture = spec.get("runtimePlatform").and_then(|platform| platform.text("cpuArchitecture"));
            Some(Launch { task, containers: containers.collect(), architecture: architecture.map(str::to_owned) })
        };
        let launches: Vec<_> = found.into_iter().filter_map(launch).collect();
        launches.into_iter().filter_map(|launch| self.with_secrets(launch)).collect()
    }

    /// Puts secrets' values into the environment; without one, the task cannot start.
    fn with_secrets(&mut self, mut launch: Launch) -> Option<Launch> {
        for container in &mut launch.containers {
            let mut environment = container.items("environment").to_vec();
            for secret in container.items("secrets") {
                let name = secret.text("valueFrom").unwrap_or_default();
                let Some(value) = self.secrets.get(name) else {
                    let reason = format!(
                        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval \
                         failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to \
                         fetch secret {name} from secrets manager: ResourceNotFoundException: Secrets Manager can't find the \
                         specified secret."
                    );
                    self.task_ended(&launch.task, None, Some(&reason));
                    return None;
                };
                environment.push(json!({ "name": secret.text("name"), "value": value }));
            }
            container["environment"] = json!(environment);
        }
        Some(launch)
    }

    /// Tasks that somebody should stop; each is handed out once.
    pub(crate) fn halts(&mut self) -> Vec<String> {
        let ending = self.ecs.tasks.iter_mut().filter(|(_, task)| task.state == TaskState::Stopping && !task.is_handed);
        ending
            .map(|(arn, task)| {
                task.is_handed = true;
                arn.clone()
            })
            .collect()
    }

    /// A task's containers run at this address.
    pub(crate) fn task_runs(&mut self, arn: &str, address: &str, digests: Vec<String>) {
        let now = self.now;
        let Some(task) = self.ecs.tasks.get_mut(arn) else { return };
        task.address = Some(address.to_owned());
        task.digests = digests;
        if task.state != TaskState::Pending {
            return;
        }
        (task.state, task.started, task.is_handed) = (TaskState::Running, Some(now), false);
        let set = task.set.clone().and_then(|set| self.ecs.sets.get(&set).cloned());
        for one in set.into_iter().flat_map(|set| set.balanced) {
            self.register(&one.group, address, one.port);
        }
    }

    /// A task ended, or never began: `code` is its essential container's, if that ran.
    pub(crate) fn task_ended(&mut self, arn: &str, code: Option<i64>, reason: Option<&str>) {
        let now = self.now;
        let Some(task) = self.ecs.tasks.get_mut(arn) else { return };
        if task.state == TaskState::Stopped {
            return;
        }
        let was_wanted = std::mem::replace(&mut task.is_wanted, false);
        let was_running = task.started.is_some();
        (task.state, task.stopped) = (TaskState::Stopped, Some(now));
        task.stopping = task.stopping.or(Some(now));
        task.exit_code = code;
        task.container_reason = reason.filter(|_| was_wanted).map(str::to_owned);
        if !was_wanted {
            return;
        }
        let (stop_code, stop_reason) = if was_running {
            ("EssentialContainerExited", "Essential container in task exited".to_owned())
        } else {
            ("TaskFailedToStart", reason.unwrap_or("Task failed to start").to_owned())
        };
        (task.stop_code, task.stop_reason) = (Some(stop_code), Some(stop_reason.clone()));
        let task = task.clone();
        self.leave_groups(&task);
        if let Some(set) = &task.set {
            self.count_failure(set, &stop_reason);
        }
    }

    /// The image of the task at an address.
    pub(crate) fn image_at(&self, address: &str) -> Option<String> {
        let lives = |task: &&Task| {
            task.address.as_deref() == Some(address)
                && matches!(task.state, TaskState::Running | TaskState::Deactivating)
        };
        let task = self.ecs.tasks.values().find(lives)?;
        let spec = &self.definition(&task.definition).ok()?.spec;
        spec.items("containerDefinitions").first()?.text("image").map(str::to_owned)
    }

    /// In a world without containers, tasks do what their images were told to.
    pub(crate) fn simulate_tasks(&mut self) {
        let now = self.now;
        let mut due = Vec::new();
        for launch in self.launches() {
            let image = launch.containers.first().and_then(|one| one.text("image")).unwrap_or_default().to_owned();
            if self.misbehaviour(&image) == Some(&Misbehaviour::CannotPull) {
                let reason = format!("CannotPullContainerError: failed to resolve ref {image}: {image}: not found");
                self.task_ended(&launch.task, None, Some(&reason));
            }
        }
        for task in self.halts() {
            self.task_ended(&task, Some(0), None);
        }
        for (arn, task) in &self.ecs.tasks {
            let spec = self.definition(&task.definition).map(|found| found.spec.clone()).unwrap_or_default();
            let image =
                spec.items("containerDefinitions").first().and_then(|one| one.text("image")).unwrap_or_default();
            match (task.state, self.misbehaviour(image)) {
                (TaskState::Pending, _) if now - task.created >= SIMULATED_START => due.push((arn.clone(), None)),
                (TaskState::Running, Some(Misbehaviour::Exits(code)))
                    if task.started.is_some_and(|at| now - at >= SIMULATED_LIFE) =>
                {
                    due.push((arn.clone(), Some(*code)));
                }
                _ => {}
            }
        }
        for (arn, code) in due {
            if code.is_some() {
                self.task_ended(&arn, code, None);
            } else {
                self.ecs.addresses += 1;
                let number = self.ecs.addresses;
                self.task_runs(&arn, &format!("10.0.{}.{}", number / 250, number % 250 + 1), Vec::new());
            }
        }
    }

    fn note_steadiness(&mut self) {
        let now = self.now;
        let ids: Vec<_> = self.ecs.sets.keys().cloned().collect();
        for id in ids {
            let steady = self.is_steady(&id);
            if let Some(set) = self.ecs.sets.get_mut(&id) {
                set.steady_since = if steady { set.steady_since.or(Some(now)) } else { None };
            }
        }
    }
}

/// A container definition with a task's overrides put over it.
fn overridden(container: &Value, overrides: Option<&Value>) -> Value {
    let mut whole = container.clone();
    let all = overrides.map(|overrides| overrides.items("containerOverrides")).unwrap_or_default();
    for one in all.iter().filter(|one| one.text("name") == container.text("name")) {
        crate::value::over(&mut whole, one, &["command"]);
        let mut environment = container.items("environment").to_vec();
        for variable in one.items("environment") {
            environment.retain(|known| known.text("name") != variable.text("name"));
            environment.push(variable.clone());
        }
        whole["environment"] = json!(environment);
    }
    whole
}
