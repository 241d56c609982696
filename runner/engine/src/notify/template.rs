//! A channel's own wording: a template out of the configuration, with what happened as values.
//!
//! Values are escaped for the channel's markup as they are put in, and never looked at as a template. A template works
//! for so long and writes so much; one that does not come to an end is passed over. See
//! <https://docs.rs/minijinja/latest/minijinja/syntax/>.

use std::sync::Arc;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};

use super::Announcement;
use super::text::{cut, plain};

/// Instructions of one rendering.
const FUEL: u64 = 20_000;
/// Longest text of a template that is used.
pub(super) const RENDERED_BYTES_MAX: usize = 2_800;
/// Longest value that is put in, in characters.
const VALUE_CHARS_MAX: usize = 1_000;
/// Longest template.
pub(super) const TEMPLATE_BYTES_MAX: u64 = 16 * 1_024;

/// How values are written.
pub(super) type Escape = fn(&str) -> String;

/// A template.
#[derive(Clone)]
pub(super) struct Template(Arc<Environment<'static>>);

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Template")
    }
}

impl Template {
    /// Reads one. `escape` is the channel's.
    ///
    /// # Errors
    /// It is none; the text says where.
    pub(super) fn new(text: String, escape: Escape) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(50);
        // What is marked as safe is a value all the same.
        environment.set_formatter(move |out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value| {
            if matches!(value.kind(), ValueKind::Undefined | ValueKind::None) {
                return Ok(());
            }
            out.write_str(&escape(&plain(&value.to_string(), VALUE_CHARS_MAX))).map_err(minijinja::Error::from)
        });
        environment.add_template_owned("message", text).map_err(|error| {
            let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", error.detail().unwrap_or("it is no template"))
        })?;
        Ok(Self(Arc::new(environment)))
    }

    /// The text, in the channel's markup. `None` where the template fails or says nothing.
    pub(super) fn render(&self, announcement: &Announcement) -> Option<String> {
        let mut values = serde_json::to_value(announcement).ok()?;
        values["headline"] = announcement.headline().into();
        let text =
            match self.0.get_template("message").and_then(|template| template.render(Value::from(Serde(&values)))) {
                Ok(text) => text,
                Err(error) => {
                    tracing::warn!(%error, "the template of a channel fails; what it would say is said in our words");
                    return None;
                }
            };
        let text = cut(text.trim(), RENDERED_BYTES_MAX);
        Some(text).filter(|text| !text.is_empty())
    }
}
