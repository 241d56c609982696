//! `pipe/health-check`: a service answers, or an image does once it is started.
//!
//! Asks again until it is healthy several times in a row or time is up. HTTP, or HTTPS with the certificates that this machine trusts.
//! A container that it starts has no capabilities, writes nowhere but to memory, and is removed whatever happens.

mod container;
mod inputs;
mod pace;
pub(crate) mod probe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

pub use self::inputs::{INPUTS, OUTPUTS};

use self::container::Started;
use self::inputs::{Order, Target};
use self::pace::Pace;
pub(crate) use self::pace::duration;
use self::probe::{Answer, Url};

/// The action.
#[derive(Debug, Clone, Default)]
pub struct HealthCheck {
    /// Labels of the containers that it starts, by which clean-up finds them.
    pub labels: BTreeMap<String, String>,
}

#[async_trait]
impl BuiltInAction for HealthCheck {
    fn name(&self) -> &'static str {
        "pipe/health-check"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let order = Order::of(call).map_err(ActionError::Failed)?;
        let what = match &order.target {
            Target::Url(url) => url.to_string(),
            Target::Image { image, port } => format!("{image}, once it is started, at port {port}{}", order.path),
        };
        let plan = format!("{what} {}, healthy {} times in a row", order.pace, order.healthy_threshold);
        call.outputs.insert("plan-hash".into(), super::plan_hash(&plan.clone().into()));
        if order.dry_run {
            call.log.line(&format!("Dry run: would ask {plan}")).await;
            return Ok(());
        }
        let begun = Instant::now();
        let (url, started) = match &order.target {
            Target::Url(url) => (url.clone(), None),
            Target::Image { image, port } => {
                call.log.line(&format!("Starting {image}")).await;
                let started =
                    Started::start(image, *port, &order, &self.labels_of(call)).await.map_err(ActionError::Failed)?;
                (Url { path: order.path.clone(), ..started.url() }, Some(started))
            }
        };
        call.log.line(&format!("Asking {url} {}", order.pace)).await;
        let waited = wait(call, &order, &url, started.as_ref(), begun).await;
        let Some(started) = started else { return waited };
        if let Err(ActionError::Failed(_)) = &waited {
            let lines = started.log().await;
            call.log.line(&format!("The last {} lines of the container's log:", lines.len())).await;
            for line in lines {
                call.log.line(&format!("  {line}")).await;
            }
        }
        let removed = started.remove().await;
        waited.and(removed.map_err(ActionError::Failed))
    }
}

impl HealthCheck {
    fn labels_of(&self, call: &ActionCall<'_>) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("dev.pipe.run".into(), call.run.id.to_string());
        labels.insert("dev.pipe.job".into(), call.run.job.clone());
        labels.insert("dev.pipe.role".into(), "health-check".into());
        labels
    }
}

/// Asks until it is healthy often enough in a row.
async fn wait(
    call: &mut ActionCall<'_>,
    order: &Order,
    url: &Url,
    started: Option<&Started>,
    begun: Instant,
) -> Result<(), ActionError> {
    let (mut attempts, mut healthy) = (0_u32, 0_u32);
    let mut last = String::new();
    loop {
        let Some(left) = order.pace.next(attempts, begun.elapsed()) else {
            let said = if last.is_empty() { "nothing was asked" } else { &last };
            let after = match order.pace {
                Pace::Until { limit, .. } => format!("{} s and {attempts} attempts", limit.as_secs_f64()),
                Pace::Attempts { .. } => format!("{attempts} attempts"),
            };
            return Err(ActionError::Failed(format!("{url} is not healthy after {after}: {said}")));
        };
        if let Some(started) = started
            && let Some(ended) = started.ended().await
        {
            return Err(ActionError::Failed(format!("the container ended by itself, {ended}")));
        }
        attempts += 1;
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = probe::ask(url, left) => answer,
            () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
        };
        // Cut off by the end of all: what was answered before tells more.
        let was_cut = order.pace.ends_within_attempts() && order.pace.next(attempts, begun.elapsed()).is_none();
        if answer.is_err() && was_cut && asked.elapsed() >= left && !last.is_empty() {
            continue;
        }
        let now = order.judge(&answer);
        set_outputs(call, &answer, attempts, begun);
        let text = now.as_ref().map_or_else(Clone::clone, Clone::clone);
        healthy = if now.is_ok() { healthy + 1 } else { 0 };
        if text != last || now.is_ok() {
            call.log.line(&format!("attempt {attempts}: {text}")).await;
        }
        last = text;
        if healthy >= order.healthy_threshold {
            call.log.line(&format!("Healthy after {:.1} s", begun.elapsed().as_secs_f64())).await;
            return Ok(());
        }
        if order.pace.next(attempts, begun.elapsed()).is_none() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(order.pace.pause(attempts)) => {}
            () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
        }
    }
}

fn set_outputs(call: &mut ActionCall<'_>, answer: &Result<Answer, String>, attempts: u32, begun: Instant) {
    let status = answer.as_ref().map_or_else(|_| String::new(), |answer| answer.status.to_string());
    call.outputs.insert("status".into(), status);
    call.outputs.insert("attempts".into(), attempts.to_string());
    call.outputs.insert("duration-ms".into(), begun.elapsed().as_millis().to_string());
}
