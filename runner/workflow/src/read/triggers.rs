//! `on:`: the events that start a workflow, with their filters, schedules and inputs.
//!
//! Whether an event matches is decided later (`trigger`). Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#on>.

use super::checks::Checks;
use super::{filters, inputs};
use crate::diagnostic::Code;
use crate::model::{CallDefinitions, Filters, Schedule, Trigger, Triggers};
use crate::source::Spanned;
use crate::template::Token;
use crate::trigger::cron::Cron;

/// A schedule that asks for more than GitHub does.
const TOO_FREQUENT: Code = Code("P0110");
/// A time zone that is no IANA name.
const NO_TIME_ZONE: Code = Code("P0111");

/// Reads `on:`: one event's name, a list of them, or a mapping of names to their settings.
pub(super) fn read(checks: &mut Checks<'_>, written: &Token) -> Triggers {
    let mut triggers = Triggers { span: written.span, ..Triggers::default() };
    for name in written.as_sequence().unwrap_or(std::slice::from_ref(written)) {
        if let Some(event) = name.as_str() {
            triggers.entries.insert(event.to_owned(), Trigger { span: name.span, ..Trigger::default() });
        }
    }
    for (name, settings) in written.as_mapping().unwrap_or_default() {
        if let Some(event) = name.as_str() {
            let mut trigger = read_trigger(checks, event, settings);
            trigger.span = name.span;
            trigger.written = Some(settings.clone());
            triggers.entries.insert(event.to_owned(), trigger);
        }
    }
    triggers
}

/// What stands below `workflow_call`, as written.
pub(super) fn call_definitions(on: &Token) -> CallDefinitions {
    let value = |key: &str| on.get("workflow_call").and_then(|call| call.get(key)).cloned();
    CallDefinitions { inputs: value("inputs"), secrets: value("secrets"), outputs: value("outputs") }
}

fn read_trigger(checks: &mut Checks<'_>, event: &str, settings: &Token) -> Trigger {
    match event {
        "schedule" => Trigger { schedule: read_schedule(checks, settings), ..Trigger::default() },
        "workflow_dispatch" => {
            Trigger { dispatch_inputs: inputs::read_dispatch(checks, settings.get("inputs")), ..Trigger::default() }
        }
        "workflow_call" => Trigger {
            call_inputs: inputs::read_call(checks, settings.get("inputs")),
            call_secrets: inputs::read_secrets(checks, settings.get("secrets")),
            call_outputs: inputs::read_outputs(settings.get("outputs")),
            ..Trigger::default()
        },
        _ => {
            let filters = read_filters(settings);
            filters::check(checks, &filters, settings);
            Trigger { filters, ..Trigger::default() }
        }
    }
}

fn read_filters(settings: &Token) -> Filters {
    let list = |key: &str| settings.get(key).map(strings);
    Filters {
        branches: list("branches"),
        branches_ignore: list("branches-ignore"),
        tags: list("tags"),
        tags_ignore: list("tags-ignore"),
        paths: list("paths"),
        paths_ignore: list("paths-ignore"),
        types: list("types"),
        workflows: list("workflows"),
        names: list("names"),
        versions: list("versions"),
    }
}

/// The texts of a list, or of one text that stands for a list of one.
pub(super) fn strings(written: &Token) -> Vec<Spanned<String>> {
    let items = written.as_sequence().unwrap_or(std::slice::from_ref(written));
    items.iter().filter_map(string).collect()
}

/// A text with its place.
pub(super) fn string(written: &Token) -> Option<Spanned<String>> {
    written.as_str().map(|text| Spanned::new(text.to_owned(), written.span))
}

fn read_schedule(checks: &mut Checks<'_>, settings: &Token) -> Vec<Schedule> {
    let mut schedule = Vec::new();
    for entry in settings.as_sequence().unwrap_or_default() {
        let Some(cron) = entry.get("cron").and_then(string) else {
            checks.event_error(entry.span, "Missing required key 'cron' in schedule entry", None);
            continue;
        };
        let timezone = entry.get("timezone").and_then(string);
        check_schedule(checks, &cron, timezone.as_ref());
        schedule.push(Schedule { cron, timezone });
    }
    schedule
}

fn check_schedule(checks: &mut Checks<'_>, cron: &Spanned<String>, timezone: Option<&Spanned<String>>) {
    // The zone is looked at below: whether there is one of that name is not the reader's to know.
    match Cron::parse(&cron.value, None) {
        Err(error) => {
            let message = "Invalid cron expression. Expected format: '* * * * *' (minute hour day month weekday)";
            checks.event_error(cron.span, message, Some(error.to_string()));
        }
        Ok(line) if line.is_too_frequent() => {
            let message = format!("`{}` asks for runs less than five minutes apart", cron.value);
            checks.warn(TOO_FREQUENT, cron.span, message, "GitHub starts a schedule every five minutes at most");
        }
        Ok(_) => {}
    }
    if let Some(zone) = timezone.filter(|zone| !is_time_zone(&zone.value)) {
        let message = format!("`{}` is no name of a time zone", zone.value);
        checks.refuse(NO_TIME_ZONE, zone.span, message, "write an IANA name, such as `Europe/Berlin` or `UTC`");
    }
}

/// Whether a name has the form of an IANA time zone. Whether there is one of that name, the time zone data of the
/// machine that runs the schedule knows.
fn is_time_zone(name: &str) -> bool {
    let legal = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    let parts = name.split('/').count();
    parts <= 3 && name.split('/').all(legal) && (parts > 1 || !name.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::is_time_zone;

    #[test]
    fn time_zones_are_known_by_form() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT", "Asia/Ust-Nera"]
        {
            assert!(is_time_zone(name), "{name}");
        }
        for name in ["", "Europe/", "/Berlin", "+02:00", "a/b/c/d", "Europe/New York", "Pacific_Time"] {
            assert!(!is_time_zone(name), "{name}");
        }
    }
}
