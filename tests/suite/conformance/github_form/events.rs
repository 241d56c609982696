//! The `events` part, which GitHub's TypeScript reader adds: filters, schedules, inputs.

use serde_json::{Map, Value, json};
use workflow::model::{CallInput, CallSecret, DispatchInput, Filters, InputType, Schedule, Trigger, Triggers};
use workflow::source::Spanned;
use workflow::template::{Token, TokenKind};

pub(super) fn events(triggers: &Triggers) -> Value {
    let event = |(name, trigger): (&String, &Trigger)| (name.clone(), self::trigger(name, trigger));
    Value::Object(triggers.entries.iter().map(event).collect())
}

fn trigger(name: &str, trigger: &Trigger) -> Value {
    let written = |key: &str| trigger.written.as_ref().and_then(|written| written.get(key));
    match name {
        "schedule" => trigger.schedule.iter().map(schedule).collect(),
        "workflow_dispatch" => {
            let mut fields = Map::new();
            let inputs = trigger.dispatch_inputs.iter();
            let value = |settings| objects(inputs.clone(), settings, dispatch_input);
            put(&mut fields, "inputs", written("inputs").map(value));
            Value::Object(fields)
        }
        "workflow_call" => {
            let mut fields = Map::new();
            let inputs = |settings| objects(trigger.call_inputs.iter(), settings, call_input);
            put(&mut fields, "inputs", written("inputs").map(inputs));
            let secrets = |settings| objects(trigger.call_secrets.iter(), settings, secret);
            put(&mut fields, "secrets", written("secrets").map(secrets));
            Value::Object(fields)
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
    let mut fields = Map::new();
    put(&mut fields, "cron", Value::from(schedule.cron.value.as_str()));
    put(&mut fields, "timezone", schedule.timezone.as_ref().map(|zone| Value::from(zone.value.as_str())));
    Value::Object(fields)
}

fn filters(filters: &Filters) -> Value {
    let list = |list: &Option<Vec<Spanned<String>>>| list.as_deref().map(strings);
    let mut fields = Map::new();
    put(&mut fields, "branches", list(&filters.branches));
    put(&mut fields, "branches-ignore", list(&filters.branches_ignore));
    put(&mut fields, "tags", list(&filters.tags));
    put(&mut fields, "tags-ignore", list(&filters.tags_ignore));
    put(&mut fields, "paths", list(&filters.paths));
    put(&mut fields, "paths-ignore", list(&filters.paths_ignore));
    put(&mut fields, "types", list(&filters.types));
    put(&mut fields, "versions", list(&filters.versions));
    put(&mut fields, "names", list(&filters.names));
    put(&mut fields, "workflows", list(&filters.workflows));
    Value::Object(fields)
}

fn strings(list: &[Spanned<String>]) -> Value {
    list.iter().map(|text| Value::from(text.value.as_str())).collect()
}

fn dispatch_input(input: &DispatchInput, written: Option<&Token>) -> Value {
    let mut fields = input_fields(input.kind, input.description.as_ref(), input.default.as_ref());
    put(&mut fields, "required", required(input.required, written));
    let options = written.and_then(|written| written.get("options")).map(|_| strings(&input.options));
    put(&mut fields, "options", options);
    Value::Object(fields)
}

fn call_input(input: &CallInput, written: Option<&Token>) -> Value {
    let mut fields = input_fields(input.kind, input.description.as_ref(), input.default.as_ref());
    put(&mut fields, "required", required(input.required, written));
    Value::Object(fields)
}

/// That reader does not know the type `number`, and keeps a default only where it is a literal of its type.
fn input_fields(kind: InputType, description: Option<&String>, default: Option<&Token>) -> Map<String, Value> {
    let default = default.and_then(|default| match (kind, &default.kind) {
        (InputType::Boolean, TokenKind::Boolean(value)) => Some(json!(value)),
        (InputType::String | InputType::Choice | InputType::Environment, TokenKind::String(text)) => Some(json!(text)),
        _ => None,
    });
    let mut fields = Map::new();
    let known = kind != InputType::Number;
    put(&mut fields, "type", known.then(|| serde_json::to_value(kind).expect("the name of a type")));
    put(&mut fields, "description", description.map(|text| Value::from(text.as_str())));
    put(&mut fields, "default", default);
    fields
}

fn secret(secret: &CallSecret, written: Option<&Token>) -> Value {
    let mut fields = Map::new();
    put(&mut fields, "description", secret.description.as_ref().map(|text| Value::from(text.as_str())));
    put(&mut fields, "required", required(secret.required, written));
    Value::Object(fields)
}

/// Only where it is written.
fn required(required: bool, written: Option<&Token>) -> Option<Value> {
    written.and_then(|written| written.get("required")).map(|_| Value::from(required))
}

fn put(fields: &mut Map<String, Value>, name: &str, value: impl Into<Option<Value>>) {
    fields.extend(value.into().map(|value| (name.to_owned(), value)));
}
