//! What tests steer, under `/_fake`: clock, faults, journal, hooks, sessions, images that misbehave.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::span;
use crate::hooks::HookAnswer;
use crate::inner::{Inner, lock};
use crate::server::Whole;
use crate::value::Input as _;
use crate::wire::Written;
use crate::world::Misbehaviour;

fn said(status: u16, value: &Value) -> Written {
    let headers = vec![("content-type", "application/json".to_owned())];
    Written { status, headers, body: format!("{value:#}\n").into_bytes() }
}

/// Answers a request of a test.
pub(crate) async fn answer(inner: &Arc<Inner>, asked: &Whole) -> Written {
    let input: Value = if asked.body.is_empty() {
        json!({})
    } else {
        match serde_json::from_slice(&asked.body) {
            Ok(input) => input,
            Err(error) => return said(400, &json!({ "error": format!("the body is no JSON: {error}") })),
        }
    };
    match (asked.parts.method.as_str(), asked.path()) {
        ("POST", "/_fake/clock") => clock(inner, &input),
        ("GET", "/_fake/clock") => said(200, &json!({ "now": inner.look(|world| world.now), "speed": inner.speed() })),
        ("POST", "/_fake/faults") => match lock(&inner.faults).post(&input) {
            Ok(count) => said(200, &json!({ "added": count })),
            Err(error) => said(400, &json!({ "error": error })),
        },
        ("DELETE", "/_fake/faults") => {
            lock(&inner.faults).clear();
            said(200, &json!({}))
        }
        ("GET", "/_fake/journal") => {
            let calls: Vec<_> = lock(&inner.journal).calls.iter().map(crate::faults::Call::to_json).collect();
            said(200, &json!({ "calls": calls }))
        }
        ("GET", "/_fake/mistakes") => {
            said(200, &json!({ "mistakes": *lock(&inner.mistakes), "checked": inner.models.is_some() }))
        }
        ("GET", "/_fake/listeners") => {
            let all: serde_json::Map<_, _> =
                lock(&inner.listeners).iter().map(|(arn, address)| (arn.clone(), json!(address.to_string()))).collect();
            said(200, &Value::Object(all))
        }
        ("POST", "/_fake/functions") => function(inner, &input),
        ("GET", "/_fake/functions") => {
            said(200, &json!({ "calls": inner.look(|world| world.functions.calls.clone()) }))
        }
        ("POST", "/_fake/sessions/expire") => {
            let ended = inner.with(|world| world.expire_sessions(input.text("accessKeyId")));
            said(200, &json!({ "ended": ended }))
        }
        ("POST", "/_fake/images") => image(inner, &input),
        ("POST", "/_fake/replication") => {
            inner.with(|world| world.ecr.replication_hangs = input.flag("hangs").unwrap_or(false));
            said(200, &json!({}))
        }
        ("POST", "/_fake/secrets") => {
            for (name, value) in input.as_object().into_iter().flatten() {
                let value = value.as_str().unwrap_or_default().to_owned();
                inner.with(|world| world.secrets.insert(name.clone(), value));
            }
            said(200, &json!({}))
        }
        ("GET", path) if path.starts_with("/_fake/logs/") => {
            let task = path.rsplit('/').next().unwrap_or_default();
            let logs = inner
                .look(|world| world.logs.iter().find(|(arn, _)| arn.ends_with(task)).map(|(_, lines)| lines.clone()));
            said(200, &json!({ "lines": logs.unwrap_or_default() }))
        }
        (method, path) => said(404, &json!({ "error": format!("fake-aws has no {method} {path}") })),
    }
}

fn clock(inner: &Inner, input: &Value) -> Written {
    if let Some(speed) = input.number("speed") {
        inner.set_speed(speed);
    }
    if let Some(text) = input.text("skew") {
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
        match span(text) {
            Some(skew) => *lock(&inner.skew) = sign * skew,
            None => return said(400, &json!({ "error": format!("`skew` is no span: {text}") })),
        }
    }
    if let Some(text) = input.text("advance") {
        match span(text) {
            Some(by) => {
                inner.advance(by);
            }
            None => return said(400, &json!({ "error": format!("`advance` is no span such as 5m: {text}") })),
        }
    }
    said(200, &json!({ "now": inner.look(|world| world.now), "speed": inner.speed() }))
}

fn function(inner: &Inner, input: &Value) -> Written {
    let answer = match input.text("answer") {
        Some("succeeds") => HookAnswer::Succeeds,
        Some("fails") => HookAnswer::Fails,
        Some("waits") => HookAnswer::Waits,
        other => {
            return said(400, &json!({ "error": format!("`answer` is {other:?}, none of succeeds, fails, waits") }));
        }
    };
    let Some(name) = input.text("name") else { return said(400, &json!({ "error": "`name` is missing" })) };
    inner.with(|world| world.functions.set(name, answer));
    said(200, &json!({}))
}

fn image(inner: &Inner, input: &Value) -> Written {
    let how = match input.text("do") {
        Some("cannot-pull") => Some(Misbehaviour::CannotPull),
        Some("unhealthy") => Some(Misbehaviour::Unhealthy),
        Some("behave") => None,
        Some(text) if text.starts_with("exit:") => match text[5..].parse() {
            Ok(code) => Some(Misbehaviour::Exits(code)),
            Err(_) => return said(400, &json!({ "error": format!("`{text}` has no exit code") })),
        },
        other => {
            let error = format!("`do` is {other:?}, none of cannot-pull, exit:CODE, unhealthy, behave");
            return said(400, &json!({ "error": error }));
        }
    };
    let Some(part) = input.text("match") else { return said(400, &json!({ "error": "`match` is missing" })) };
    inner.with(|world| {
        world.misbehaviours.retain(|(known, _)| known != part);
        world.misbehaviours.extend(how.map(|how| (part.to_owned(), how)));
    });
    said(200, &json!({}))
}
