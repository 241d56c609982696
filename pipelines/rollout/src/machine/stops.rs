//! What makes a rollout go back at once, whatever the evidence and whoever is being waited for.

use super::{Rollout, Station};
use crate::cause::Cause;
use crate::observation::Observation;
use crate::plan::Weight;

/// Restarts of green's containers that are a crash loop.
const RESTARTS_MAX: u64 = 3;
/// Looks in a row at which not all of green is healthy, without one that ended.
const BAD_LOOKS_MAX: u32 = 2;
/// Failures in a row that are too many where blue gets nothing to be compared with.
const FAILURES_ALONE_MAX: u64 = 20;
/// So often the share is set again that somebody else has changed.
const DRIFTS_MAX: u32 = 3;

/// Where the rest of the traffic is while green has all of it, nothing is left to compare with.
fn failures_alone(seen: &Observation) -> Option<String> {
    let failures = seen.green.counters.errors_in_a_row;
    (seen.weight == Some(Weight::ALL) && failures >= FAILURES_ALONE_MAX)
        .then(|| format!("green's last {failures} answers all failed"))
}

impl Rollout {
    /// Takes what is seen into the counts that stops are made of, and says what stops it now.
    pub(super) fn stop_by(&mut self, seen: &Observation) -> Option<(Cause, String)> {
        let green = &seen.green;
        let before = *self.restarts_before.get_or_insert(if self.found.green_is_warm { green.restarts } else { 0 });
        let restarts = green.restarts.saturating_sub(before);
        let is_starting = matches!(self.station, Station::Start | Station::Healthy);
        let is_bad = match is_starting {
            true => green.failed > 0,
            false => green.failed > 0 || green.healthy < green.wanted,
        };
        self.bad_looks = if is_bad { self.bad_looks + 1 } else { 0 };
        let trouble = green.trouble.as_deref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
        if restarts >= RESTARTS_MAX {
            return Some((
                Cause::CrashLoop,
                format!("green's containers ended and were started again {restarts} times{trouble}"),
            ));
        }
        // One that ended is no blip once green was healthy; one that becomes so may have a first bad moment.
        if self.bad_looks >= BAD_LOOKS_MAX || (green.failed > 0 && !is_starting) {
            let words = match green.failed {
                0 => format!("{} of {} containers of green are healthy", green.healthy, green.wanted),
                failed => format!("{failed} of {} containers of green ended or are unhealthy", green.wanted),
            };
            return Some((Cause::Unhealthy, format!("{words}{trouble}")));
        }
        if !seen.alarms.is_empty() {
            let is = if seen.alarms.len() == 1 { "alarm is on" } else { "alarms are on" };
            return Some((Cause::Alarm, format!("the {is}: {}", seen.alarms.join(", "))));
        }
        if let Some(words) = self.judge.failures().or_else(|| failures_alone(seen)) {
            return Some((Cause::Failures, words));
        }
        (self.drifts > DRIFTS_MAX).then(|| {
            let words = format!(
                "somebody else has changed the split {} times; see who else steers it, then roll out again",
                self.drifts
            );
            (Cause::Call, words)
        })
    }
}
