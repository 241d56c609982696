//! What people are told. One sentence each, the cause first, then what to do.

use jiff::SignedDuration;
use serde_json::Value;

use super::Rollout;
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::Fact;
use crate::observation::Side;
use crate::order::Order;
use crate::plan::{Stage, Weight};

/// Lines of a log that are shown.
const LOG_LINES_MAX: usize = 20;

pub(super) const GONE: &str = "what was to be used again has ended meanwhile";
pub(super) const TAKEN_UP: &str = "taken up again by another process";

pub(super) const fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Planned { .. } => "planned",
        Fact::Waits { .. } => "waits",
        Fact::Locked { .. } => "locked",
        Fact::Intent { .. } => "intent",
        Fact::Done { .. } => "done",
        Fact::Failed { .. } => "failed",
        Fact::Observed(_) => "observed",
        Fact::Unseen { .. } => "unseen",
        Fact::Passed { .. } => "passed",
        Fact::Extended { .. } => "extended",
        Fact::Asks { .. } => "asks",
        Fact::Ordered { .. } => "ordered",
        Fact::Cancelled { .. } => "cancelled",
        Fact::TurnsBack { .. } => "turns-back",
        Fact::Ended { .. } => "ended",
        Fact::Closed => "closed",
    }
}

/// `90 s`, `5 min`, `1 h 30 min`.
pub(super) fn time(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds % 3_600 / 60, seconds % 60) {
        (0, 0, 0) => format!("{} ms", duration.as_millis()),
        (0, 0, rest) => format!("{rest} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, rest) => format!("{minutes} min {rest} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

pub(super) fn planned(rollout: &Rollout) -> String {
    let plan = &rollout.plan;
    let what = match plan.rollback_of {
        Some(id) => format!("takes rollout {id} back to"),
        None => "asked for".to_owned(),
    };
    format!("{} {what} {} {} in {}", rollout.by, plan.service, plan.version, plan.environment)
}

pub(super) fn waits(behind: u64) -> String {
    format!("waits for rollout {behind}")
}

pub(super) fn by(by: &str, comment: &str) -> String {
    if comment.is_empty() { by.to_owned() } else { format!("{by}: {comment}") }
}

pub(super) fn ordered(order: Order, who: &str, comment: &str) -> String {
    let what = match order {
        Order::Promote => "lets it go on with the next step",
        Order::PromoteFull => "lets it go on to 100 %",
        Order::Pause => "pauses it",
        Order::Resume => "lets it go on",
        Order::Abort => "stops it",
        Order::Rollback => "takes it back",
    };
    let comment = if comment.is_empty() { String::new() } else { format!(": {comment}") };
    format!("{who} {what}{comment}")
}

/// What a call is called.
fn call(call: &Call) -> String {
    match call {
        Call::Preflight => "the check whether it can be done".to_owned(),
        Call::StartGreen => "starting green".to_owned(),
        Call::TestTraffic { on: true } => "opening green for tests".to_owned(),
        Call::TestTraffic { on: false } => "closing green for tests".to_owned(),
        Call::Hook { stage } => format!("the script of {}", stage.word()),
        Call::SetWeight { weight } => format!("giving green {weight} of the traffic"),
        Call::MakePrimary => "making green what stands".to_owned(),
        Call::StopBlue => "stopping blue".to_owned(),
        Call::StopGreen => "stopping green".to_owned(),
    }
}

pub(super) fn failed(failed: &Call, reason: &str) -> String {
    format!("{} failed: {reason}", call(failed))
}

/// What is said of a call that is done, and whether it is bad.
pub(super) fn done(rollout: &Rollout, done: &Call, result: &Value) -> (bool, Option<String>) {
    let words = match done {
        Call::Preflight => match result.get("blue").filter(|blue| blue.is_object()) {
            Some(blue) => {
                let text = |key: &str| blue.get(key).and_then(Value::as_str).unwrap_or_default();
                format!("it can be done: {} stands", called(text("version"), text("image")))
            }
            None => "it can be done: nothing stands yet, so green gets all of the traffic at once".to_owned(),
        },
        Call::StartGreen => format!("green ({}) was started", rollout.plan.version),
        Call::TestTraffic { on: true } => "tests can reach green".to_owned(),
        Call::TestTraffic { on: false } => return (false, None),
        Call::Hook { stage: Stage::OnRollback } => "the scripts of OnRollback ran".to_owned(),
        Call::Hook { stage } => format!("the scripts of {} passed", stage.word()),
        Call::SetWeight { weight: Weight::NONE } => "green has no traffic any more".to_owned(),
        Call::SetWeight { weight } => format!("green has {weight} of the traffic"),
        Call::MakePrimary => format!("{} is what stands", rollout.plan.version),
        Call::StopBlue => match result.get("cut").and_then(Value::as_u64) {
            Some(cut) if cut > 0 => return (true, Some(format!("blue was stopped; {cut} requests were cut off"))),
            Some(_) | None => "blue was stopped".to_owned(),
        },
        Call::StopGreen => format!("green was stopped{}", last_lines(result)),
    };
    (false, Some(words))
}

/// What green left: its exit codes and the end of its log.
fn last_lines(result: &Value) -> String {
    let codes = match result.get("exit_codes") {
        Some(Value::Array(codes)) if !codes.is_empty() => {
            format!(", exit codes {}", codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Some(Value::Object(codes)) if !codes.is_empty() => {
            let codes = codes.iter().map(|(name, code)| format!("{name}: {code}"));
            format!(", exit codes {}", codes.collect::<Vec<_>>().join(", "))
        }
        Some(_) | None => String::new(),
    };
    let logs = match result.get("logs") {
        Some(Value::String(logs)) => logs.clone(),
        Some(Value::Array(logs)) => logs.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        // Of several containers, the one that said something last.
        Some(Value::Object(logs)) => {
            let mut said = logs.values().filter_map(Value::as_str).filter(|log| !log.trim().is_empty());
            said.next_back().unwrap_or_default().to_owned()
        }
        Some(_) | None => String::new(),
    };
    let lines: Vec<&str> = logs.lines().collect();
    match &lines[lines.len().saturating_sub(LOG_LINES_MAX)..] {
        [] => codes,
        last => format!("{codes}; the end of its log:\n{}", last.join("\n")),
    }
}

pub(super) fn drifted(seen: Option<Weight>, wanted: Weight) -> String {
    let seen = seen.map_or_else(|| "an unknown share".to_owned(), |weight| weight.to_string());
    format!("somebody else gave green {seen} of the traffic; it is set to {wanted} again")
}

pub(super) fn healthy(green: &Side) -> String {
    match green.wanted {
        1 => "green is healthy".to_owned(),
        wanted => format!("all {wanted} containers of green are healthy"),
    }
}

pub(super) fn unseen(reason: &str) -> String {
    format!("nothing can be seen of the target: {reason}")
}

pub(super) fn unseen_for_long(reason: &str) -> String {
    format!("nothing could be seen of the target for {}: {reason}", time(super::UNSEEN_MAX))
}

pub(super) fn turns_back(cause: Cause, words: &str, has_shifted: bool) -> String {
    let what = match cause {
        Cause::Superseded | Cause::Busy => return words.to_owned(),
        Cause::Ordered => "ordered by ",
        Cause::Call
        | Cause::Hook
        | Cause::Unhealthy
        | Cause::CrashLoop
        | Cause::Failures
        | Cause::Alarm
        | Cause::Analysis
        | Cause::Inconclusive
        | Cause::Timeout
        | Cause::Cancelled => "",
    };
    if has_shifted { format!("goes back: {what}{words}") } else { format!("given up: {what}{words}") }
}

pub(super) fn may_not_go_back(words: &str, irreversible: Option<&str>) -> String {
    match irreversible {
        Some(migration) => format!(
            "{words}; it stays where it is, since a migration cannot be undone ({migration}): promote it, or order the rollback"
        ),
        None => format!("{words}; the plan says not to go back for that by itself: promote it, or order the rollback"),
    }
}

pub(super) fn passed_by(weight: Weight, who: &str) -> String {
    format!("{weight} passed, by {who}")
}

pub(super) fn passed(weight: Weight, evidence: Option<&str>) -> String {
    match evidence {
        Some(evidence) => format!("{weight} passed: {evidence}"),
        None => format!("{weight} passed: green stayed healthy"),
    }
}

pub(super) fn extended(weight: Weight, by: SignedDuration, missing: &str) -> String {
    format!("{weight} takes up to {} longer: {missing}", time(by))
}

pub(super) fn asks_for_evidence(weight: Weight, missing: &str) -> String {
    format!("waits for a person at {weight}, since the evidence does not suffice: {missing}")
}

pub(super) fn not_enough(missing: &str) -> String {
    format!("the evidence does not suffice: {missing}")
}

pub(super) fn gate(weight: Weight, evidence: Option<&str>) -> String {
    match evidence {
        Some(evidence) => format!("waits for a person at {weight}, as planned; {evidence}"),
        None => format!("waits for a person at {weight}, as planned"),
    }
}

pub(super) fn not_healthy_in_time(rollout: &Rollout) -> String {
    let within = time(rollout.plan.start_timeout);
    let seen = rollout.seen.as_ref().map(|seen| &seen.green);
    let trouble =
        seen.and_then(|green| green.trouble.as_deref()).map(|trouble| format!(": {trouble}")).unwrap_or_default();
    match (rollout.times_healthy, seen) {
        (times, _) if times > 1 => {
            format!("green did not stay healthy within {within}: it became so {times} times and lost it again{trouble}")
        }
        (_, Some(green)) => {
            format!(
                "green was not healthy within {within}: {} of {} containers were{trouble}",
                green.healthy, green.wanted
            )
        }
        (_, None) => format!("green was not healthy within {within}{trouble}"),
    }
}

pub(super) fn timed_out(timeout: SignedDuration) -> String {
    format!("it took longer than {}; raise `timeout` if it needs more", time(timeout))
}

pub(super) fn succeeded(rollout: &Rollout) -> String {
    let plan = &rollout.plan;
    format!("{} {} has all of the traffic in {}", plan.service, plan.version, plan.environment)
}

pub(super) fn went_back(rollout: &Rollout) -> String {
    let why = rollout.cause.as_ref().map(|(_, words)| words.as_str()).unwrap_or_default();
    if !rollout.has_shifted {
        return format!("rejected before any user saw it: {why}");
    }
    match &rollout.found.blue {
        Some(blue) => format!("rolled back, {} has all of the traffic: {why}", called(&blue.version, &blue.image)),
        None => format!("rolled back, nothing stands since nothing stood before: {why}"),
    }
}

/// How people call a revision: what somebody else deployed has no version.
const fn called<'a>(version: &'a str, image: &'a str) -> &'a str {
    if version.is_empty() { image } else { version }
}

pub(super) fn stuck(rollout: &Rollout, why: &str) -> String {
    format!(
        "stuck on the way back: {why}. The split may be anything and nothing else is deployed meanwhile: look at the target, then \
         order `rollback` to try again, or `abort` to leave all as it is and free the lock (`pipe deploy rollback|abort {}`)",
        rollout.plan.environment
    )
}

pub(super) fn tries_again(who: &str) -> String {
    format!("{who} has it tried again")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_green_leaves_is_told() {
        let long: String = (0..30).map(|line| format!("line {line}\n")).collect();
        let table = [
            (json!({}), ""),
            (json!({ "logs": "", "exit_codes": [] }), ""),
            (
                json!({ "logs": "no such module\n", "exit_codes": [1] }),
                ", exit codes 1; the end of its log:\nno such module",
            ),
            (
                json!({ "logs": { "a": "one", "b": "" }, "exit_codes": { "a": 1, "b": 137 } }),
                ", exit codes a: 1, b: 137; the end of its log:\none",
            ),
        ];
        for (result, expected) in table {
            assert_eq!(last_lines(&result), expected, "{result}");
        }
        let told = last_lines(&json!({ "logs": [long] }));
        assert!(told.contains("line 10\n") && !told.contains("line 9\n"), "{told}");
    }

    #[test]
    fn what_has_no_version_is_called_by_its_image() {
        assert_eq!(called("v1", "shop:1"), "v1");
        assert_eq!(called("", "shop:1"), "shop:1");
    }

    #[test]
    fn times_are_told_as_people_say_them() {
        let table = [(90, "1 min 30 s"), (300, "5 min"), (30, "30 s"), (3_600, "1 h"), (5_400, "1 h 30 min")];
        for (seconds, expected) in table {
            assert_eq!(time(SignedDuration::from_secs(seconds)), expected);
        }
        assert_eq!(time(SignedDuration::from_millis(500)), "500 ms");
    }
}
