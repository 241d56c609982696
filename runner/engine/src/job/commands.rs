//! Which commands a step may print: those that the workflow brings back with variables, see [`CommandSettings::overlaid`].

use indexmap::IndexMap;
use workflow::command::{CommandProcessor, CommandSettings};

use super::facing::JobFacing;
use super::log::StepLog;

impl JobFacing {
    /// What a step may print whose own `env:` is `own`; `all` is what it has in the end, with what earlier steps left.
    pub(super) fn commands_of(
        &self,
        own: &IndexMap<String, String>,
        all: &IndexMap<String, String>,
    ) -> CommandSettings {
        self.commands.overlaid(|name| text(own, name)).narrowed(|name| text(all, name))
    }

    /// The same for the steps of an action that is used by a step with that `env:`.
    pub(super) fn allow(&mut self, own: &IndexMap<String, String>) {
        self.commands = self.commands.overlaid(|name| text(own, name));
    }
}

impl StepLog {
    /// What comes next is output of a step that may print these.
    pub(super) fn allow(&mut self, commands: CommandSettings) {
        self.settings = CommandSettings { debug: self.settings.debug, ..commands };
        self.processor = CommandProcessor::new(self.settings);
    }
}

fn text<'a>(env: &'a IndexMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str)
}
