//! Both colours as the load balancer and CloudWatch see them, whoever shifts requests between them.

use std::sync::Arc;
use std::time::SystemTime;

use aws::{Balancer, CloudWatch, Metric, TargetState};
use engine::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use rollout::{Counters, Side};

use super::ecs::{Counted, METRICS, group_dimension};
use super::refused;
use crate::rollout::CallError;

/// Targets whose trouble is told.
const TROUBLES_MAX: usize = 3;
/// The first pause between two looks at what has not changed; each later one is twice as long.
const PAUSE_FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest.
const PAUSE_MAX: SignedDuration = SignedDuration::from_secs(8);

/// Who is asked of the colours.
pub(super) struct Eyes<'a> {
    pub(super) balancer: &'a Balancer,
    pub(super) watch: &'a CloudWatch,
    pub(super) counted: &'a Counted,
    /// `app/NAME/ID`, as metrics have it; empty: nothing is counted.
    pub(super) balancer_name: &'a str,
    pub(super) rollout: u64,
    pub(super) now: Timestamp,
}

/// One colour.
pub(super) struct Colour {
    /// ARN of its target group.
    pub(super) group: String,
    /// Tasks that should run.
    pub(super) wanted: u32,
    /// Those that run, as whoever shifts says.
    pub(super) running: u32,
    /// What is known of its troubles.
    pub(super) trouble: Vec<String>,
}

impl Eyes<'_> {
    /// What both have answered since then, in the order of the colours.
    pub(super) async fn counters(
        &self,
        colours: &[&Colour],
        from: Option<SystemTime>,
    ) -> Result<Vec<Counters>, CallError> {
        let Some(from) = from.filter(|_| !self.balancer_name.is_empty()) else {
            return Ok(colours.iter().map(|_| Counters::default()).collect());
        };
        let metric = |group: &str, name: &str| Metric {
            namespace: "AWS/ApplicationELB".to_owned(),
            name: name.to_owned(),
            dimensions: vec![
                ("TargetGroup".to_owned(), group_dimension(group)),
                ("LoadBalancer".to_owned(), self.balancer_name.to_owned()),
            ],
        };
        let metrics: Vec<_> =
            colours.iter().flat_map(|colour| METRICS.map(|name| metric(&colour.group, name))).collect();
        let sums = self.watch.sums_until(&metrics, from, self.now.into()).await.map_err(refused)?;
        let counted = |(colour, sums): (&&Colour, &[f64])| {
            let [requests, errors, lost] = std::array::from_fn(|at| sums.get(at).copied().unwrap_or(0.0));
            self.counted.grown(self.rollout, &colour.group, requests, errors + lost)
        };
        Ok(colours.iter().zip(sums.chunks(METRICS.len())).map(counted).collect())
    }

    /// A colour, with what it has answered.
    pub(super) async fn side(&self, colour: &Colour, counters: Counters) -> Result<Side, CallError> {
        let targets = self.balancer.targets(&colour.group).await.map_err(refused)?;
        let healthy = targets.iter().filter(|target| target.state == TargetState::Healthy).count();
        let healthy = u32::try_from(healthy).unwrap_or(u32::MAX).min(colour.wanted).min(colour.running);
        let mut words = colour.trouble.clone();
        if healthy < colour.wanted {
            let failing = targets.iter().filter(|target| target.state == TargetState::Unhealthy);
            words.extend(failing.take(TROUBLES_MAX).map(|target| format!("target {}: {}", target.address, target.why)));
        }
        let trouble = (!words.is_empty()).then(|| words.join("\n  "));
        Ok(Side { wanted: colour.wanted, healthy, counters, trouble, ..Side::default() })
    }
}

/// Pauses that grow while nothing changes.
#[derive(Debug)]
pub(super) struct Pauses {
    clock: Arc<dyn Clock>,
    next: SignedDuration,
}

impl Pauses {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), next: PAUSE_FIRST }
    }

    /// Waits, each time longer.
    pub(super) async fn pause(&mut self) {
        let until = self.clock.now().saturating_add(self.grown()).unwrap_or(Timestamp::MAX);
        self.clock.wait_until(until).await;
    }

    fn grown(&mut self) -> SignedDuration {
        let pause = self.next;
        self.next = (self.next * 2).min(PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let clock: Arc<dyn Clock> = Arc::new(engine::clock::SystemClock);
        let mut pauses = Pauses::new(&clock);
        let seconds: Vec<_> = (0..6).map(|_| pauses.grown().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 8, 8]);
    }
}
