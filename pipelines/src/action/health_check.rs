//! `pipe/health-check`: a service answers, or an image does once it is started.
//!
//! Asks again until it is healthy several times in a row or time is up. HTTP, or HTTPS with the certificates that this machine trusts.
//! A container that it starts has no capabilities, writes nowhere but to memory, and is removed whatever happens.

mod container;
mod inputs;
pub(crate) mod probe;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

pub use self::inputs::{INPUTS, OUTPUTS};

use self::container::Started;
use self::inputs::{Order, Target};
use self::probe::{Answer, Url};

/// The longest that one question may take.
const PROBE_MAX: Duration = Duration::from_secs(5);

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
        call.log
            .line(&format!(
                "Asking {url} every {} s, for {} s at most",
                order.interval.as_secs_f64(),
                order.timeout.as_secs_f64()
            ))
            .await;
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
        let left = order.timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            let said = if last.is_empty() { "nothing was asked" } else { &last };
            let text =
                format!("{url} is not healthy after {} s and {attempts} attempts: {said}", order.timeout.as_secs_f64());
            return Err(ActionError::Failed(text));
        }
        if let Some(started) = started
            && let Some(ended) = started.ended().await
        {
            return Err(ActionError::Failed(format!("the container ended by itself, {ended}")));
        }
        attempts += 1;
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = probe::ask(url, left.min(PROBE_MAX)) => answer,
            () = call.cancel.cancelled() => return Err(ActionError::Cancelled),
        };
        // Cut off by the end of all: what was answered before tells more.
        if answer.is_err() && asked.elapsed() >= left && !last.is_empty() {
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
        tokio::select! {
            () = tokio::time::sleep(order.interval) => {}
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
