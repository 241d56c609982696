//! What is seen of both colours: tasks by their task definition, whether their targets are healthy, alarms, and what ECS says.

use aws::{Ended, NativeStatus, ServiceFacts, TargetFacts, TargetState, TaskFacts, explained};
use rollout::{Observation, Side, Weight};

use super::super::troubles::last_lines;
use super::find::given_up;
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// Tasks and targets whose trouble is told.
const TROUBLES_MAX: usize = 3;

/// Tasks of the service, and the targets of each of its groups.
struct Seen {
    tasks: Vec<TaskFacts>,
    groups: Vec<Vec<TargetFacts>>,
}

impl Inner {
    /// See [`crate::rollout::Target::observe`].
    pub(super) async fn observation(&self, subject: &Subject) -> Result<Observation, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        // Before the tasks: who set an alarm off is among what is seen after it.
        let alarms = match settings.alarms.as_slice() {
            [] => Vec::new(),
            names => clients.watch.firing(names).await.map_err(refused)?,
        };
        let deployment = self.see(&clients, subject, &settings).await?;
        let green = self.revision(&clients, &deployment.green.revision).await?.task_definition;
        let service = self.service(&clients, &settings).await?;
        let mut seen = Seen { tasks: clients.ecs.tasks(&settings.service).await.map_err(refused)?, groups: Vec::new() };
        for group in &service.target_groups {
            seen.groups.push(clients.balancer.targets(group).await.map_err(refused)?);
        }
        let is_ours = service.task_definition == green;
        let mut given_up = given_up(&deployment, is_ours);
        let is_green = |task: &&TaskFacts| task.task_definition == green;
        let healthy = count(seen.tasks.iter().filter(is_green).filter(|task| seen.is_healthy(task)));
        let others = || seen.tasks.iter().filter(|task| !is_green(task));
        let (left, others) = (count(others()), count(others().filter(|task| seen.is_healthy(task))));
        let is_stopped = deployment.status == NativeStatus::Stopped && is_ours;
        let trouble = if given_up.is_some() || is_stopped || healthy < service.desired {
            self.trouble((&clients, &settings), &service, &seen, &green).await?
        } else {
            None
        };
        if let (Some(given_up), Some(trouble)) = (&mut given_up, &trouble) {
            given_up.words = format!("{}\n  {trouble}", given_up.words);
        }
        let wanted = service.desired.max(1);
        let failed = if is_stopped { wanted.saturating_sub(healthy).max(1) } else { 0 };
        let green = Side { wanted, healthy: healthy.min(wanted), failed, trouble, ..Side::default() };
        // Old ones are to go, so that as many are wanted as are left.
        let blue = subject.blue.as_ref().map(|_| Side { wanted: left, healthy: others, ..Side::default() });
        Ok(Observation {
            at: self.clock.now(),
            weight: Some(share(healthy, others)),
            blue,
            green,
            alarms,
            given_up: given_up.map(Box::new),
        })
    }

    /// Why green's tasks do not run.
    async fn trouble(
        &self,
        (clients, settings): (&Clients, &Settings),
        service: &ServiceFacts,
        seen: &Seen,
        green: &str,
    ) -> Result<Option<String>, CallError> {
        let mut words: Vec<String> = service.given_up.iter().cloned().collect();
        let ended = self.ended(clients, settings, green).await?;
        words.extend(ended.iter().take(TROUBLES_MAX).map(explained));
        words.extend(last_lines(&clients.cloud, &settings.task_definition, &settings.container, &ended).await);
        words.extend(seen.failing(green).take(TROUBLES_MAX));
        // Why no task could be started at all is only among the events.
        let is_stuck = |event: &&String| event.contains("unable to");
        words.extend(service.events.iter().find(is_stuck).cloned());
        Ok((!words.is_empty()).then(|| format!("service {}: {}", service.name, words.join("\n  "))))
    }

    /// Tasks of a definition that ended by themselves, or were ended because they failed.
    pub(super) async fn ended(
        &self,
        clients: &Clients,
        settings: &Settings,
        definition: &str,
    ) -> Result<Vec<Ended>, CallError> {
        let mut ended = clients.ecs.ended(&settings.service).await.map_err(refused)?;
        ended.retain(|one| one.task_definition == definition && !one.stopped.contains("Scaling activity"));
        Ok(ended)
    }
}

impl Seen {
    /// Whether it runs, and each group that the service is in sends it requests.
    fn is_healthy(&self, task: &TaskFacts) -> bool {
        let Some(address) = &task.address else { return task.is_running && !task.is_sick && self.groups.is_empty() };
        let is_its = |target: &&TargetFacts| is_at(target, address);
        let serves = |group: &Vec<TargetFacts>| {
            // A group whose load balancer asks nobody says nothing of health.
            group
                .iter()
                .find(is_its)
                .is_some_and(|one| matches!(one.state, TargetState::Healthy | TargetState::Unknown))
        };
        task.is_running && !task.is_sick && self.groups.iter().all(serves)
    }

    /// Targets of a definition's tasks that fail their checks, and why.
    fn failing<'a>(&'a self, definition: &'a str) -> impl Iterator<Item = String> + 'a {
        let tasks = move || self.tasks.iter().filter(move |task| task.task_definition == definition);
        let is_its = move |target: &TargetFacts| {
            tasks().filter_map(|task| task.address.as_deref()).any(|address| is_at(target, address))
        };
        let failing = self.groups.iter().flatten().filter(|target| target.state == TargetState::Unhealthy);
        failing.filter(move |target| is_its(target)).map(|target| format!("target {}: {}", target.address, target.why))
    }
}

fn is_at(target: &TargetFacts, address: &str) -> bool {
    target.address.rsplit_once(':').map_or(target.address.as_str(), |(host, _)| host) == address
}

fn count<'a>(tasks: impl Iterator<Item = &'a TaskFacts>) -> u32 {
    u32::try_from(tasks.count()).unwrap_or(u32::MAX)
}

/// Green's share of the healthy tasks, which the load balancer serves alike. Neither rounds to nothing nor to all.
fn share(healthy: u32, others: u32) -> Weight {
    let whole = u64::from(healthy) + u64::from(others);
    let part = (u64::from(healthy) * 1_000).checked_div(whole).unwrap_or(0);
    match (healthy, others) {
        (0, _) => Weight::NONE,
        (_, 0) => Weight::ALL,
        _ => Weight(u16::try_from(part.clamp(1, 999)).unwrap_or(999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_healthy_tasks() {
        for (healthy, others, expected) in
            [(0, 0, 0), (0, 3, 0), (1, 3, 250), (3, 0, 1_000), (1, 4_999, 1), (4_999, 1, 999)]
        {
            assert_eq!(share(healthy, others), Weight(expected), "{healthy} of {others}");
        }
    }

    #[test]
    fn a_task_is_healthy_where_all_of_its_groups_serve_it() {
        let task = |address: Option<&str>, is_running| TaskFacts {
            address: address.map(str::to_owned),
            is_running,
            ..TaskFacts::default()
        };
        let target = |address: &str, state| TargetFacts { address: address.into(), state, why: "no answer".into() };
        let both = |state| Seen {
            tasks: vec![task(Some("10.0.0.1"), true)],
            groups: vec![vec![target("10.0.0.1:8080", TargetState::Healthy)], vec![target("10.0.0.1:9090", state)]],
        };
        let (well, ill) = (both(TargetState::Healthy), both(TargetState::Unhealthy));
        assert!(well.is_healthy(&well.tasks[0]) && !ill.is_healthy(&ill.tasks[0]));
        assert!(!well.is_healthy(&task(Some("10.0.0.1"), false)) && !well.is_healthy(&task(Some("10.0.0.11"), true)));
        assert_eq!(ill.failing("").collect::<Vec<_>>(), ["target 10.0.0.1:9090: no answer"]);
        let alone = Seen { tasks: Vec::new(), groups: Vec::new() };
        assert!(alone.is_healthy(&task(None, true)), "a service without a load balancer has what runs");
        assert!(!alone.is_healthy(&TaskFacts { is_sick: true, ..task(None, true) }));
    }
}
