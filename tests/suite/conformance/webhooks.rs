//! GitHub's example payloads: each becomes an event, or is refused for a stated reason.
//!
//! What it does not do: send them to a server.

use std::path::{Path, PathBuf};

use serde_json::Value;
use workflow::event::{Event, EventError};

/// Events that GitHub sends and no workflow can be started by.
const NO_WORKFLOW_EVENTS: [&str; 1] = ["ping"];

struct Payload {
    event: String,
    path: PathBuf,
}

#[test]
fn payloads_become_events() {
    let folder = super::folder().join("webhooks").join("github");
    if !folder.is_dir() && super::is_optional() {
        eprintln!("conformance webhooks: SKIPPED, {} is no folder", folder.display());
        return;
    }
    super::run("webhooks", &payloads(&folder), |payload| payload.path.display().to_string(), &[], check);
}

fn payloads(folder: &Path) -> Vec<Payload> {
    let mut payloads = Vec::new();
    for event in std::fs::read_dir(folder).expect("the folder of payloads can be listed") {
        let event = event.unwrap();
        for file in std::fs::read_dir(event.path()).unwrap() {
            payloads.push(Payload { event: event.file_name().into_string().unwrap(), path: file.unwrap().path() });
        }
    }
    payloads.sort_by(|left, right| left.path.cmp(&right.path));
    payloads
}

fn check(payload: &Payload) -> Result<(), String> {
    let text = std::fs::read_to_string(&payload.path).map_err(|error| error.to_string())?;
    let json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let refused = NO_WORKFLOW_EVENTS.contains(&payload.event.as_str());
    match Event::parse(&payload.event, json.clone()) {
        Err(EventError::NoWorkflowEvent(_)) if refused => Ok(()),
        Err(error) => Err(format!("  {error}")),
        Ok(_) if refused => Err("  should have been refused".to_owned()),
        Ok(event) => {
            let same = event.action.as_deref() == json["action"].as_str()
                && Some(event.repository.full_name.as_str()) == json["repository"]["full_name"].as_str()
                && Some(event.actor.login.as_str()) == json["sender"]["login"].as_str()
                && event.git_ref.as_str().starts_with("refs/")
                && *event.payload == json;
            if same { Ok(()) } else { Err(format!("  facts differ from the payload: {event:?}")) }
        }
    }
}
