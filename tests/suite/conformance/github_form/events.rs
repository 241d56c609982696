//! The `events` part, which GitHub's TypeScript reader adds: filters, schedules, inputs.

use serde_json::{Map, Value, json};
use workflow::model::{CallInput, CallSecret, DispatchInput, Filters, InputType, Schedule, Trigger, Triggers};
use workflow::source::Spanned;
use workflow::template::{Token, TokenKind};

use super::Fields;

pub(super) fn events(triggers: &Triggers) -> Value {
    let event = |(name, trigger): (&String, &Trigger)| (name.clone(), self::trigger(name, trigger));
    Value::Object(triggers.entries.iter().map(event).collect())
}

fn trigger(name: &str, trigger: &Trigger) -> Value {
    let written = |key: &str| trigger.written.as_ref().and_then(|written| written.get(key));
    match name {
        "schedule" => trigger.schedule.iter().map(schedule).collect(),
        "workflow_dispatch" => {
            let mut fields = Fields::default();
            let inputs = trigger.dispatch_inputs.iter();
            let value = |settings| objects(inputs.clone(), settings, dispatch_input);
            fields.put("inputs", written("inputs").map(value));
            fields.value()
        }
        "workflow_call" => {
            let mut fields = Fields::default();
            let inputs = |settings| objects(trigger.call_inputs.iter(), settings, call_input);
            fields.put("inputs", written("inputs").map(inputs));
            let secrets = |settings| objects(trigger.call_secrets.iter(), settings, secret);
            fields.put("secrets", written("secrets").map(secrets));
            fields.value()
        }
        _ => filters(&trigger.filters),
    }
}

/// Named entries, each with its own settings as written.
fn objects<'a, T: 'a>(
    entries: impl Iterator<Item = (&'a String, &'a T)>,
    written: &Token,
    value: impl Fn(&T, Option<&Token>) -> Value,
) -> Value {
    let entry = |(name, entry): (&'a String, &'a T)| (name.clone(), value(entry, written.get(name)));
    Value::Object(entries.map(entry).collect::<Map<_, _>>())
}

fn schedule(schedule: &Schedule) -> Value {
    let mut fields = Fields::default();
    fields.put("cron", Value::from(schedule.cron.value.as_str()));
    fields.put("timezone", schedule.timezone.as_ref().map(|zone| Value::from(zone.value.as_str())));
    fields.value()
}

fn filters(filters: &Filters) -> Value {
    let list = |list: &Option<Vec<Spanned<String>>>| list.as_deref().map(strings);
    let mut fields = Fields::default();
    fields.put("branches", list(&filters.branches));
    fields.put("branches-ignore", list(&filters.branches_ignore));
    fields.put("tags", list(&filters.tags));
    fields.put("tags-ignore", list(&filters.tags_ignore));
    fields.put("paths", list(&filters.paths));
    fields.put("paths-ignore", list(&filters.paths_ignore));
    fields.put("types", list(&filters.types));
    fields.put("versions", list(&filters.versions));
    fields.put("names", list(&filters.names));
    fields.put("workflows", list(&filters.workflows));
    fields.value()
}

fn strings(list: &[Spanned<String>]) -> Value {
    list.iter().map(|text| Value::from(text.value.as_str())).collect()
}

fn dispatch_input(input: &DispatchInput, written: Option<&Token>) -> Value {
    let mut fields = input_fields(input.kind, input.description.as_ref(), input.default.as_ref());
    fields.put("required", required(input.required, written));
    let options = written.and_then(|written| written.get("options")).map(|_| strings(&input.options));
    fields.put("options", options);
    fields.value()
}

fn call_input(input: &CallInput, written: Option<&Token>) -> Value {
    let mut fields = input_fields(input.kind, input.description.as_ref(), input.default.as_ref());
    fields.put("required", required(input.required, written));
    fields.value()
}

/// That reader does not know the type `number`, and keeps a default only where it is a literal of its type.
fn input_fields(kind: InputType, description: Option<&String>, default: Option<&Token>) -> Fields {
    let default = default.and_then(|default| match (kind, &default.kind) {
        (InputType::Boolean, TokenKind::Boolean(value)) => Some(json!(value)),
        (InputType::String | InputType::Choice | InputType::Environment, TokenKind::String(text)) => Some(json!(text)),
        _ => None,
    });
    let mut fields = Fields::default();
    let known = kind != InputType::Number;
    fields.put("type", known.then(|| serde_json::to_value(kind).expect("the name of a type")));
    fields.put("description", description.map(|text| Value::from(text.as_str())));
    fields.put("default", default);
    fields
}

fn secret(secret: &CallSecret, written: Option<&Token>) -> Value {
    let mut fields = Fields::default();
    fields.put("description", secret.description.as_ref().map(|text| Value::from(text.as_str())));
    fields.put("required", required(secret.required, written));
    fields.value()
}

/// Only where it is written.
fn required(required: bool, written: Option<&Token>) -> Option<Value> {
    written.and_then(|written| written.get("required")).map(|_| Value::from(required))
}
