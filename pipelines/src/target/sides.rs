//! Both colours as the load balancer and CloudWatch see them, whoever shifts requests between them.

use std::time::{Duration, SystemTime};

use aws::{Balancer, CloudWatch, Metric, TargetState};
use rollout::{Counters, Side};
use tokio::time::Instant;

use super::Pace;
use super::ecs::{Counted, METRICS, group_dimension};
use super::refused;
use crate::rollout::CallError;

/// Targets whose trouble is told.
const TROUBLES_MAX: usize = 3;
/// Pauses grow to so many times the pace.
const PAUSE_GROWTH_MAX: u32 = 8;
/// The shortest pause between two looks at what has not changed.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Who is asked of the colours.
pub(super) struct Eyes<'a> {
    pub(super) balancer: &'a Balancer,
    pub(super) watch: &'a CloudWatch,
    pub(super) pace: &'a Pace,
    pub(super) counted: &'a Counted,
    /// `app/NAME/ID`, as metrics have it; empty: nothing is counted.
    pub(super) balancer_name: &'a str,
    pub(super) rollout: u64,
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
        self.pace.turn().await;
        let sums = self.watch.sums(&metrics, from).await.map_err(refused)?;
        let counted = |(colour, sums): (&&Colour, &[f64])| {
            let [requests, errors, lost] = std::array::from_fn(|at| sums.get(at).copied().unwrap_or(0.0));
            self.counted.grown(self.rollout, &colour.group, requests, errors + lost)
        };
        Ok(colours.iter().zip(sums.chunks(METRICS.len())).map(counted).collect())
    }

    /// A colour, with what it has answered.
    pub(super) async fn side(&self, colour: &Colour, counters: Counters) -> Result<Side, CallError> {
        self.pace.turn().await;
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
    apart: Duration,
    next: Duration,
}

impl Pauses {
    pub(super) fn at(pace: &Pace) -> Self {
        let apart = pace.apart().max(PAUSE_MIN);
        Self { apart, next: apart }
    }

    /// Waits, each time longer.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.grown()).await;
    }

    fn grown(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.apart * PAUSE_GROWTH_MAX);
        pause
    }
}

/// What was described last, and for how long that is good enough: longer and longer while it stays the same.
#[derive(Debug)]
pub(super) struct Described<T> {
    seen: T,
    until: Instant,
    pauses: Pauses,
}

impl<T: Clone + PartialEq> Described<T> {
    pub(super) fn new(seen: T, pace: &Pace) -> Self {
        Self { seen, until: Instant::now() + pace.apart(), pauses: Pauses::at(pace) }
    }

    /// What was seen, if it is new enough. With a pace of nothing everything is asked anew.
    pub(super) fn fresh(&self) -> Option<T> {
        (Instant::now() < self.until).then(|| self.seen.clone())
    }

    /// Something was described anew.
    pub(super) fn again(&mut self, seen: T, pace: &Pace) {
        if seen != self.seen {
            self.pauses = Pauses::at(pace);
            self.seen = seen;
        }
        let pause = if pace.apart().is_zero() { Duration::ZERO } else { self.pauses.grown() };
        self.until = Instant::now() + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew_with_what_is_new() {
        let pace = Pace::of(Duration::from_secs(1));
        let mut pauses = Pauses::at(&pace);
        let seconds: Vec<_> = (0..6).map(|_| pauses.grown().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 8, 8]);
        let mut described = Described::new(1, &pace);
        assert_eq!(described.fresh(), Some(1));
        for _ in 0..3 {
            described.again(1, &pace);
        }
        let long = described.until;
        described.again(2, &pace);
        assert!(described.until < long && described.fresh() == Some(2));
        let none = Pace::of(Duration::ZERO);
        let mut described = Described::new(1, &none);
        described.again(1, &none);
        assert_eq!(described.fresh(), None, "everything is asked anew");
    }
}
