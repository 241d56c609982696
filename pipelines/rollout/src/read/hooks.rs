//! `hooks:` of a deploy action: scripts by stage.

use serde_yaml::Value;

use super::entry::{Entry, kind, yaml};
use super::{Mistakes, Reader};
use crate::plan::{Hook, Stage};

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
    /// Reads a mapping of stages to scripts, each a text or a list of texts.
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
                match script.as_str().filter(|script| !script.trim().is_empty()) {
                    Some(script) => hooks.push(Self { stage, script: script.to_owned() }),
                    None => reader.wrong(entry.at(stage.word()), format!("{} is not a script", kind(script))),
                }
            }
        }
        reader.end(hooks)
    }
}
