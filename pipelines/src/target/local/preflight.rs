//! Whether it can be done at all: the image, the machine, the proxy, and what stands.

use futures_util::future::join_all;
use proxy::table::Table;
use rollout::fact::Found;
use rollout::plan::Revision;

use super::Inner;
use super::containers::{Containers, Known};
use super::settings::{DeadBlue, Settings};
use super::{alarms, health, image, observe, routes};
use crate::rollout::{CallError, Subject};

/// Lines of a log that people see of what is dead.
const LOG_LINES_MAX: usize = 20;

impl Inner {
    /// See [`rollout::Call::Preflight`].
    pub(super) async fn preflight(&self, subject: &Subject) -> Result<Found, CallError> {
        let plan = &subject.plan;
        let settings = Settings::of(plan)?;
        if settings.port == 0 || settings.replicas == 0 {
            return Err(CallError::last("`port` and `replicas` must be above 0"));
        }
        let containers = self.containers(&plan.environment).await?;
        if !containers.docker.is_here() {
            return Err(CallError::last(
                "the Docker engine that DOCKER_HOST names is on another machine; the proxy of target `local` reaches containers \
                 of this one only. Run `pipe` there",
            ));
        }
        let (image, proxy, alarms) = tokio::join!(
            image::ensure(&containers.docker, &plan.image),
            self.proxies.ensure(&plan.environment, settings.proxy_port, settings.test_port),
            alarms::firing(&settings.alarms),
        );
        image?;
        proxy?;
        quiet(subject, alarms.map_err(CallError::transient)?)?;
        let table = self.proxies.table(&plan.environment).await?;
        let all = containers.all().await?;
        let mine: Vec<_> = all.into_iter().filter(|one| one.service == plan.service).collect();
        let blue = match standing(&containers, subject, &table, &mine).await {
            Ok(blue) => blue,
            Err(_) if settings.dead_blue == DeadBlue::Replace => None,
            Err(words) => {
                return Err(CallError::last(format!(
                    "{words}\nmend it, or deploy over it with `dead-blue: replace`: the new one gets all of the traffic once it is \
                     healthy, and there is nothing to go back to"
                )));
            }
        };
        let is_warm = |revision: &Revision| {
            let running = mine.iter().filter(|one| one.revision.id == revision.id && one.runs).count();
            running >= settings.replicas as usize && blue.as_ref().is_none_or(|blue| blue.id != revision.id)
        };
        Ok(Found { green_is_warm: plan.reuse.as_ref().is_some_and(is_warm), blue })
    }
}

/// With an alarm that is on already, nobody could tell what the new one does. What goes back must not wait for that.
fn quiet(subject: &Subject, alarms: Vec<String>) -> Result<(), CallError> {
    let goes_by_them = subject.plan.rollback_on.alarm && subject.plan.rollback_of.is_none();
    if alarms.is_empty() || !goes_by_them {
        return Ok(());
    }
    Err(CallError::last(format!(
        "before anything was changed, alarms are on: {}. See to them first, or leave `alarm` out of `rollback-on`",
        alarms.join(", ")
    )))
}

/// What stands and answers; an error if what the proxy's table says and what runs differ, or it is dead.
async fn standing(
    containers: &Containers,
    subject: &Subject,
    table: &Table,
    mine: &[Known],
) -> Result<Option<Revision>, String> {
    let (service, generation) = (&subject.plan.service, table.generation);
    let running: Vec<_> = mine.iter().filter(|one| one.runs && one.revision.id != subject.rollout).collect();
    let Some(colour) = routes::standing(table, service) else {
        if running.is_empty() {
            return Ok(None);
        }
        return Err(format!(
            "{} of `{service}` run, but the proxy's table (generation {generation}) knows nothing of the service: it is from another \
             generation than they are. If nobody needs them: `docker rm --force {}`",
            names(&running),
            running.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" ")
        ));
    };
    let of = routes::revision(&colour.revision);
    let blue: Vec<_> = mine.iter().filter(|one| Some(one.revision.id) == of).collect();
    let known = blue.iter().any(|one| colour.backends.contains(&one.address));
    let Some(first) = blue.first().filter(|_| known) else {
        let backends = colour.backends.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let others = if running.is_empty() {
            "none of its containers run".to_owned()
        } else {
            format!("what runs is {}", names(&running))
        };
        return Err(format!(
            "the proxy's table (generation {generation}) sends `{service}` to {backends} (revision {}), where none of our containers \
             is; {others}: what stands is dead, or the table is from another generation",
            colour.revision
        ));
    };
    let answers = join_all(blue.iter().filter(|one| one.runs).map(|one| health::ask(one.address, &one.health_path)));
    let answers = answers.await;
    if answers.iter().any(Result::is_ok) {
        return Ok(Some(first.revision.clone()));
    }
    Err(dead(containers, first, answers.into_iter().find_map(Result::err)).await)
}

/// Why what stands is dead, with the end of its log.
async fn dead(containers: &Containers, known: &Known, said: Option<String>) -> String {
    let found = containers.inspect(&known.id).await.ok().flatten();
    let words = match (&found, said) {
        (_, Some(said)) => format!("is not healthy: {said}"),
        (Some(found), None) => observe::ended(found, 0),
        (None, None) => "is not there any more".to_owned(),
    };
    let mut text = format!("what stands (revision {}) is dead: {} {words}", known.revision.id, known.name);
    if let Some(found) = &found {
        let lines = containers.log(&known.id, found).await;
        let last = &lines[lines.len().saturating_sub(LOG_LINES_MAX)..];
        if !last.is_empty() {
            text.push_str(&format!("; the end of its log:\n  {}", last.join("\n  ")));
        }
    }
    text.push_str(&format!("\nstart it again with `docker start {}`", known.name));
    text
}

fn names(known: &[&Known]) -> String {
    let names = known.iter().map(|one| format!("{} (revision {})", one.name, one.revision.id));
    names.collect::<Vec<_>>().join(", ")
}
