//! Variables with which a workflow brings commands back that were put out of use for being dangerous: whoever can make a step
//! print a line sets variables of the next one.
//!
//! What a step left in `GITHUB_ENV` brings nothing back: on GitHub it does, so that one line in a file opens all lines of the
//! output. It may take back what the workflow allows. Values are read as in `SetEnvCommandExtension` (`bool.TryParse`) and
//! `StringUtil.ConvertToBoolean` of actions/runner.

use super::processor::CommandSettings;

/// Brings back `set-env` and `add-path`.
const COMMANDS: &str = "ACTIONS_ALLOW_UNSECURE_COMMANDS";
/// Lets `stop-commands` have any token.
const STOP_TOKENS: &str = "ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS";

impl CommandSettings {
    /// With what the variables of a narrower place say, where they say anything: those of a step over those of its job.
    #[must_use]
    pub fn overlaid<'a>(self, variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let said = |name, otherwise| variable(name).map_or(otherwise, |value| is_true(name, value));
        Self {
            allow_unsecure_commands: said(COMMANDS, self.allow_unsecure_commands),
            allow_unsecure_stop_tokens: said(STOP_TOKENS, self.allow_unsecure_stop_tokens),
            ..self
        }
    }

    /// Without what is not allowed by the variables that the step has in the end.
    #[must_use]
    pub fn narrowed<'a>(self, variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let there = Self::default().overlaid(variable);
        Self {
            allow_unsecure_commands: self.allow_unsecure_commands && there.allow_unsecure_commands,
            allow_unsecure_stop_tokens: self.allow_unsecure_stop_tokens && there.allow_unsecure_stop_tokens,
            ..self
        }
    }
}

fn is_true(name: &str, value: &str) -> bool {
    let value = value.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    is("true") || (name == STOP_TOKENS && (is("1") || is("$true")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_runner_reads_them() {
        for (value, commands, tokens) in [
            ("true", true, true),
            (" True\n", true, true),
            ("TRUE", true, true),
            ("1", false, true),
            ("$true", false, true),
            ("yes", false, false),
            ("false", false, false),
            ("", false, false),
        ] {
            let found = CommandSettings::default().overlaid(|_| Some(value));
            let found = (found.allow_unsecure_commands, found.allow_unsecure_stop_tokens);
            assert_eq!(found, (commands, tokens), "{value:?}");
        }
    }

    #[test]
    fn the_narrowest_place_counts_and_nothing_is_added_by_what_steps_left() {
        let allowed = |settings: CommandSettings| settings.allow_unsecure_commands;
        let (yes, no) = (|_: &str| Some("true"), |_: &str| Some("false"));
        let job = CommandSettings { debug: true, ..CommandSettings::default() }.overlaid(yes);
        assert!(allowed(job) && allowed(job.overlaid(|_| None)) && !allowed(job.overlaid(no)));
        assert!(allowed(job.overlaid(no).overlaid(yes)));
        assert!(allowed(job.narrowed(yes)) && !allowed(job.narrowed(no)) && !allowed(job.narrowed(|_| None)));
        assert!(!allowed(CommandSettings::default().narrowed(yes)), "a step left it");
        assert!(job.overlaid(no).narrowed(no).debug);
    }
}
