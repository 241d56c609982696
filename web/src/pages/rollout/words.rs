//! Words, pictures and figures of rollouts.

use rollout::view::{ColourView, Phase};
use rollout::{Cause, Outcome};

/// Characters of a digest that are shown.
const DIGEST_SHOWN: usize = 12;

/// What people call a colour: its version, else its commit.
pub(super) fn name(colour: &ColourView) -> String {
    let revision = &colour.revision;
    match (revision.version.as_str(), revision.commit.as_str()) {
        ("", "") => digest(&revision.image),
        ("", commit) => commit.chars().take(7).collect(),
        (version, _) => version.to_owned(),
    }
}

pub(super) fn digest(image: &str) -> String {
    let hex = image.rsplit_once("sha256:").map_or(image, |(_, hex)| hex);
    hex.chars().take(DIGEST_SHOWN).collect()
}

pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "Waits for another rollout",
        Phase::Preflight => "Looks whether it can be done",
        Phase::Starting => "Starts",
        Phase::Testing => "Is tested",
        Phase::Shifting => "Shifts traffic",
        Phase::Holding => "Gathers evidence",
        Phase::Paused => "Waits for a person",
        Phase::Finalising => "Finishes",
        Phase::RollingBack => "Rolls back",
        Phase::Ended => "Ended",
    }
}

pub(super) const fn short(phase: Phase, outcome: Option<Outcome>) -> &'static str {
    match (outcome, phase) {
        (Some(Outcome::Succeeded), _) => "succeeded",
        (Some(Outcome::RolledBack), _) => "rolled back",
        (Some(Outcome::Rejected), _) => "rejected",
        (Some(Outcome::Stuck), _) => "stuck",
        (None, Phase::Waiting) => "waiting",
        (None, Phase::Preflight | Phase::Starting) => "starting",
        (None, Phase::Testing) => "testing",
        (None, Phase::Shifting) => "shifting",
        (None, Phase::Holding) => "holding",
        (None, Phase::Paused) => "paused",
        (None, Phase::Finalising | Phase::Ended) => "finishing",
        (None, Phase::RollingBack) => "going back",
    }
}

pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "Succeeded",
        Outcome::RolledBack => "Rolled back",
        Outcome::Rejected => "Rejected",
        Outcome::Stuck => "Stuck",
    }
}

pub(super) const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Call => "a call failed",
        Cause::Hook => "a script failed",
        Cause::Unhealthy => "green is not healthy",
        Cause::CrashLoop => "green ends again and again",
        Cause::Failures => "green's answers fail in a row",
        Cause::Alarm => "an alarm",
        Cause::Analysis => "the evidence",
        Cause::Inconclusive => "not enough evidence",
        Cause::Timeout => "time is up",
        Cause::Cancelled => "the job was cancelled",
        Cause::Ordered => "somebody ordered it",
        Cause::Superseded => "a newer one took its place",
        Cause::Busy => "another one goes on",
    }
}

pub(super) const fn picture(phase: Phase, outcome: Option<Outcome>) -> &'static str {
    match (outcome, phase) {
        (Some(Outcome::Succeeded), _) => "success",
        (Some(Outcome::RolledBack | Outcome::Stuck), _) => "failure",
        (Some(Outcome::Rejected), _) => "cancelled",
        (None, Phase::Waiting) => "queued",
        (None, Phase::Paused) => "waiting",
        (
            None,
            Phase::Preflight
            | Phase::Starting
            | Phase::Testing
            | Phase::Shifting
            | Phase::Holding
            | Phase::Finalising
            | Phase::RollingBack
            | Phase::Ended,
        ) => "in_progress",
    }
}

/// A number that may be tiny or huge.
pub(super) fn figure(value: f64) -> String {
    if value >= 1e6 || (value > 0.0 && value < 0.01) {
        return format!("{value:.1e}");
    }
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, expected) in
            [(0.0, "0.00"), (0.004, "4.0e-3"), (1.5, "1.50"), (123.4, "123"), (23_260.0, "23260"), (3.3e7, "3.3e7")]
        {
            assert_eq!(figure(value), expected);
        }
    }

    #[test]
    fn digests_are_cut() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(digest(&format!("shop/orders@sha256:{hex}")), "0123456789ab");
        assert_eq!(digest("orders"), "orders");
    }
}
