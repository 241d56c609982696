//! `hooks:` of a deploy action: scripts and probes by stage.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::entry::{Entry, kind, unknown, yaml};
use super::{Mistakes, Reader};
use crate::plan::{Deed, Hook, Stage};

impl Stage {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 6] = [
        Self::BeforeInstall,
        Self::AfterInstall,
        Self::AfterAllowTestTraffic,
        Self::BeforeAllowTraffic,
        Self::AfterAllowTraffic,
        Self::OnRollback,
    ];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BeforeInstall => "BeforeInstall",
            Self::AfterInstall => "AfterInstall",
            Self::AfterAllowTestTraffic => "AfterAllowTestTraffic",
            Self::BeforeAllowTraffic => "BeforeAllowTraffic",
            Self::AfterAllowTraffic => "AfterAllowTraffic",
            Self::OnRollback => "OnRollback",
        }
    }
}

impl Hook {
    /// Reads a mapping of stages to scripts, each a text or a list of texts, and `probe: {…}` among them.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn read_all(text: &str) -> Result<Vec<Self>, Mistakes> {
        let mut reader = Reader::default();
        let mut hooks = Vec::new();
        let Some(value) = yaml(&mut reader, "hooks", text) else { return reader.end(hooks) };
        let keys = Stage::ALL.map(Stage::word);
        let example = "AfterAllowTestTraffic: ./smoke.sh";
        let Some(entry) = Entry::new(&mut reader, "hooks".to_owned(), &value, &keys, example) else {
            return reader.end(hooks);
        };
        for stage in Stage::ALL {
            let scripts = match entry.get(stage.word()) {
                None => continue,
                Some(Value::Sequence(scripts)) => scripts.iter().collect(),
                Some(script) => vec![script],
            };
            for script in scripts {
                hooks.extend(deed(&mut reader, entry.at(stage.word()), script).map(|deed| Self { stage, deed }));
            }
        }
        reader.end(hooks)
    }
}

fn deed(reader: &mut Reader, place: String, value: &Value) -> Option<Deed> {
    if let Some(script) = value.as_str().filter(|script| !script.trim().is_empty()) {
        return Some(Deed::Script(script.to_owned()));
    }
    let Some((Value::String(key), with)) =
        value.as_mapping().filter(|map| map.len() == 1).and_then(|map| map.iter().next())
    else {
        reader.wrong(place, format!("{} is not a script", kind(value)));
        return None;
    };
    if key != "probe" {
        reader.wrong(place, unknown("deed", key, &["probe"]));
        return None;
    }
    let mut keys = BTreeMap::new();
    for (key, value) in with.as_mapping().into_iter().flatten() {
        match (key.as_str(), text(value)) {
            (Some(key), Some(text)) => {
                keys.insert(key.to_owned(), text);
            }
            (key, None) => reader.wrong(&place, format!("{} of `{}` is no text", kind(value), key.unwrap_or_default())),
            (None, Some(_)) => reader.wrong(&place, format!("{} is no key", kind(key))),
        }
    }
    if !with.is_mapping() && !with.is_null() {
        reader.wrong(
            place,
            format!("{} where keys were expected; write it like `probe: {{openapi: /openapi.json}}`", kind(with)),
        );
        return None;
    }
    Some(Deed::Probe(keys))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}
