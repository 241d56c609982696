//! Filters of events that can match nothing, cron lines and time zones.

use super::lines;
use super::structure::span_of;
use super::visit::Visit;
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::model::Trigger;
use crate::source::{SourceFile, Span, Spanned};
use crate::template::ReadError;
use crate::trigger::cron::{Cron, CronError};

const CRON: Code = Code("P0403");
const TIME_ZONE: Code = Code("P0111");
const PATTERN: Code = Code("P0409");

pub(super) fn check(visit: &mut Visit<'_>) {
    let workflow = visit.workflow;
    for trigger in workflow.on.entries.values() {
        filters(visit, trigger);
        for zone in trigger.schedule.iter().filter_map(|entry| entry.timezone.as_ref()) {
            time_zone(visit, zone);
        }
    }
}

fn filters(visit: &mut Visit<'_>, trigger: &Trigger) {
    let filters = &trigger.filters;
    let refs = [
        ("branches", &filters.branches, "refs/heads/"),
        ("branches-ignore", &filters.branches_ignore, "refs/heads/"),
        ("tags", &filters.tags, "refs/tags/"),
        ("tags-ignore", &filters.tags_ignore, "refs/tags/"),
    ];
    for (name, patterns, prefix) in refs {
        for pattern in patterns.iter().flatten() {
            let bare = pattern.value.trim_start_matches('!');
            let found = if let Some(short) = bare.strip_prefix(prefix) {
                Some((
                    "patterns are compared with the short name, so this matches nothing",
                    format!("did you mean `{short}`?"),
                ))
            } else if bare.starts_with('/') {
                let short = bare.trim_start_matches('/');
                Some(("no name begins with `/`, so this matches nothing", format!("did you mean `{short}`?")))
            } else {
                None
            };
            tell(visit, pattern, name, found);
        }
    }
    for (name, patterns) in [("paths", &filters.paths), ("paths-ignore", &filters.paths_ignore)] {
        for pattern in patterns.iter().flatten() {
            let bare = pattern.value.trim_start_matches('!');
            let found = if bare.starts_with("./") || bare.starts_with('/') {
                let short = bare.trim_start_matches('.').trim_start_matches('/');
                Some((
                    "paths begin at the root without `./` or `/`, so this matches nothing",
                    format!("did you mean `{short}`?"),
                ))
            } else if bare.ends_with('/') {
                Some(("no file's path ends with `/`, so this matches nothing", format!("did you mean `{bare}**`?")))
            } else {
                None
            };
            tell(visit, pattern, name, found);
        }
    }
}

fn tell(visit: &mut Visit<'_>, pattern: &Spanned<String>, name: &str, found: Option<(&str, String)>) {
    let unclosed = pattern.value.contains('[')
        && !pattern.value.replace("\\[", "").split('[').skip(1).all(|rest| rest.contains(']'));
    let found = found.or_else(|| {
        unclosed.then(|| ("`[` is never closed, so it stands for itself", "add the `]`, or write `\\[`".to_owned()))
    });
    if let Some((why, help)) = found {
        let message = format!("`{}` in `{name}`: {why}", pattern.value);
        visit.diagnostics.push(Diagnostic::warning(PATTERN, pattern.span, message).help(help));
    }
}

/// Only where the data of time zones is there to compare with.
fn time_zone(visit: &mut Visit<'_>, zone: &Spanned<String>) {
    let unknown = |name: &str| matches!(Cron::parse("0 0 * * *", Some(name)), Err(CronError::TimeZone(_)));
    if unknown("Europe/Berlin") || unknown("America/New_York") || !unknown(&zone.value) {
        return;
    }
    if visit.diagnostics.iter().any(|found| found.span == Some(zone.span)) {
        return;
    }
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let found = Diagnostic::error(TIME_ZONE, zone.span, format!("there is no time zone `{}`", zone.value));
    visit.diagnostics.push(match suggest(&zone.value, names.iter().map(String::as_str)) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help("write an IANA name, such as `Europe/Berlin` or `UTC`"),
    });
}

/// A cron line that GitHub refuses: which field, and what it may be.
pub(super) fn cron_error(error: &ReadError, source: &SourceFile) -> Diagnostic {
    let Some(span) = span_of(error) else { return error.to_diagnostic(CRON) };
    if error.message.starts_with("Missing") {
        return Diagnostic::error(CRON, span, "the entry of `schedule` has no `cron`")
            .help("write `- cron: '0 6 * * *'`");
    }
    let raw = lines::raw(source, span);
    let line = raw.trim_matches(['\'', '"']);
    let from = raw.find(line).unwrap_or(0);
    match Cron::parse(line, None) {
        Err(CronError::Field { field, text, min, max }) => {
            let index =
                ["minute", "hour", "day of month", "month", "day of week"].iter().position(|name| *name == field);
            let place = index.and_then(|index| field_span(span, from, line, index)).unwrap_or(span);
            let mut found = Diagnostic::error(CRON, place, format!("`{text}` is no {field}"));
            found = found.help(format!(
                "the {field} is {min} to {max}, `*`, a list with `,`, a range with `-` or a step with `/`"
            ));
            if field == "day of week" && text == "7" {
                found = found.help("Sunday is 0 here: the day of week is 0 to 6");
            }
            found
        }
        Err(CronError::FieldCount(count)) => {
            Diagnostic::error(CRON, span, format!("a cron line has five fields, this has {count}"))
                .help("they are minute, hour, day of month, month and day of week, such as `30 6 * * 1-5`")
        }
        Err(CronError::Nickname(name)) => {
            let instead = match name.as_str() {
                "@hourly" => Some("0 * * * *"),
                "@daily" | "@midnight" => Some("0 0 * * *"),
                "@weekly" => Some("0 0 * * 0"),
                "@monthly" => Some("0 0 1 * *"),
                "@yearly" | "@annually" => Some("0 0 1 1 *"),
                _ => None,
            };
            let found = Diagnostic::error(CRON, span, format!("`{name}` is not supported"));
            found.help(format!("write the five fields: `{}`", instead.unwrap_or("0 6 * * *")))
        }
        Err(CronError::TimeZone(_)) | Ok(_) => error.to_diagnostic(CRON),
    }
}

fn field_span(span: Span, from: usize, line: &str, index: usize) -> Option<Span> {
    let mut at = 0;
    for (number, field) in line.split_whitespace().enumerate() {
        let start = at + line.get(at..)?.find(field)?;
        at = start + field.len();
        if number == index {
            return Some(span.part(from + start, from + at));
        }
    }
    None
}
