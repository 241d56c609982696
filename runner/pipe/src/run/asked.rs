//! What a run was asked for, as it is kept beside it: enough for another process to ask for the same.
//!
//! No value of a secret is in it, only names. Files of values are read again, where they lie.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use workflow::event::Event;
use workflow::mask::Masker;

use super::order::Order;
use super::repeat;
use crate::planning::Triggered;
use crate::terminal::{self, Terminal};
use crate::values::Values;

/// The form that this program writes, and the newest that it reads.
pub const ASKED_VERSION: u16 = 1;

/// What a run was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    /// Version of the form, see [`ASKED_VERSION`].
    pub v: u16,
    /// Where the command was given.
    pub folder: PathBuf,
    /// Its flags, without values of secrets.
    pub words: Vec<String>,
    /// What happened.
    pub event: Event,
    /// The workflow's name and that of each that it calls, and their texts. The first is the workflow.
    pub sources: IndexMap<String, String>,
    /// Names of all secrets that it had; `environment/NAME` for those of an environment.
    pub secrets: Vec<String>,
}

/// What another process needs to go on with this run; `None`, with a warning, where that would show a secret.
pub fn of(order: &Order<'_>, one: &Triggered<'_>) -> Option<Json> {
    let sources = one.reading.sources.iter().map(|file| (file.name().to_owned(), file.text().to_owned())).collect();
    let workflow = order.repository.root.join(&one.reading.name);
    let asked = Asked {
        v: ASKED_VERSION,
        folder: std::env::current_dir().unwrap_or_else(|_| order.repository.root.clone()),
        words: repeat::whole(order.args, one.event.name.as_str(), &workflow, &order.values),
        event: Event::clone(&one.event),
        sources,
        secrets: names(&order.values),
    };
    let text = serde_json::to_string(&asked).ok()?;
    if masker(&order.values).mask_str(&text) != text.as_str() {
        let said = "what this run is asked for (its event, or a flag) holds the value of a secret; nothing of it is \
                    kept, so it cannot be gone on with, should it be killed";
        terminal::warning(Terminal::stderr(order.global.color), said);
        return None;
    }
    serde_json::from_str(&text).ok()
}

/// Names of all secrets.
pub fn names(values: &Values) -> Vec<String> {
    let of_environments = values
        .environments
        .iter()
        .flat_map(|(environment, own)| own.secrets.keys().map(move |name| format!("{environment}/{name}")));
    values.secrets.keys().cloned().chain(of_environments).collect()
}

/// What hides the values of all secrets.
pub fn masker(values: &Values) -> Masker {
    let mut masker = Masker::new();
    let own = values.environments.values().flat_map(|one| one.secrets.values());
    for secret in values.secrets.values().chain(own) {
        // What is too short to be hidden was told.
        let _too_short = masker.add(secret.expose());
    }
    masker
}
