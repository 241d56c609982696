//! What is known of actions before they run: their names, their inputs, and which texts an input takes.
//!
//! An action declares this once. The check of a workflow file goes by the declaration, and so does whoever runs the action, so that
//! both refuse the same in the same words. Which actions there are is data that the caller of a check hands in: this crate runs none.
//! GitHub's form of the declaration is <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax>.

use std::collections::BTreeMap;
use std::fmt;

use crate::diagnostic::suggest;

/// An input that an action takes.
#[derive(Debug, Clone, Copy)]
pub struct InputFacts {
    /// Its name. Names are compared without case.
    pub name: &'static str,
    /// What it has when it is not written.
    pub default: &'static str,
    /// Whether it must be written, with something in it.
    pub required: bool,
    /// One line for a person.
    pub description: &'static str,
    /// Which texts it takes.
    pub form: Form,
}

/// Which texts an input takes. White space around a text does not count, and an empty one is as good as none.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Any.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// The same, in whatever case.
    AnyCase(&'static [&'static str]),
    /// What its action's own reader takes: given the input's name and the text, all that is wrong with it.
    Read(fn(&str, &str) -> Vec<Wrong>),
    /// The same for one whose sense depends on others.
    Beside(fn(&str, &str, Others<'_>) -> Vec<Wrong>),
}

/// The text of another input, by its name: as it is written, or what it has when it is not; `None`: only a run will tell.
pub type Others<'others> = &'others dyn Fn(&str) -> Option<String>;

/// Something that is wrong with the text of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What, naming the input: one sentence.
    pub message: String,
    /// What to do, where the sentence does not say it.
    pub help: Option<String>,
    /// Where in the text, if the text is YAML: `[2].weight`, entries counting from 1, and `[2].wieght:` for a key itself; empty: as
    /// a whole.
    pub place: String,
}

impl Wrong {
    /// About the text as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, place: String::new() }
    }

    /// The mistake of a reader that stops at the first one.
    pub fn of<T>(read: Result<T, impl fmt::Display>) -> Vec<Self> {
        read.err().map(|error| Self::new(error.to_string())).into_iter().collect()
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

/// The words of a switch.
pub const SWITCH: &[&str] = &["true", "false"];

impl InputFacts {
    /// One that may be left out, for any text.
    #[must_use]
    pub const fn new(name: &'static str, default: &'static str, description: &'static str) -> Self {
        Self { name, default, required: false, description, form: Form::Text }
    }

    /// One that must be written.
    #[must_use]
    pub const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, default: "", required: true, description, form: Form::Text }
    }

    /// The same, for texts of a form.
    #[must_use]
    pub const fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The same, for `true` and `false`.
    #[must_use]
    pub const fn switch(self) -> Self {
        self.form(Form::Words(SWITCH))
    }

    /// All that is wrong with a text for it.
    #[must_use]
    pub fn judge(&self, text: &str) -> Vec<Wrong> {
        self.judge_beside(text, &|_| None)
    }

    /// The same, beside the other inputs of the step.
    #[must_use]
    pub fn judge_beside(&self, text: &str, others: Others<'_>) -> Vec<Wrong> {
        let whole = text;
        let text = whole.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let (words, is_one) = match self.form {
            Form::Text => return Vec::new(),
            Form::Read(read) => return read(self.name, whole),
            Form::Beside(read) => return read(self.name, whole, others),
            Form::Words(words) => (words, words.contains(&text)),
            Form::AnyCase(words) => (words, words.iter().any(|word| word.eq_ignore_ascii_case(text))),
        };
        if is_one {
            return Vec::new();
        }
        let help = suggest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let message = format!("`{}` must be {}, not `{text}`", self.name, either(words));
        vec![Wrong { message, help, place: String::new() }]
    }
}

/// `` `a`, `b` or `c` ``.
fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.join(""),
    }
}

/// What is known of one action.
#[derive(Debug, Clone, Copy)]
pub struct ActionFacts {
    /// As `uses:` has it before the `@`, in lower case.
    pub name: &'static str,
    /// Its inputs.
    pub inputs: &'static [InputFacts],
    /// Whether inputs that it does not have are an error, and not only warned of as on GitHub.
    pub refuses_unknown: bool,
}

/// Actions by name. Of others nothing is known, but that there are none in the name space `pipe/`; an empty catalogue knows
/// nothing at all.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(BTreeMap<&'static str, ActionFacts>);

impl Catalogue {
    /// The action of that name, without case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ActionFacts> {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.0.get(name.to_ascii_lowercase().as_str());
        }
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<ActionFacts> for Catalogue {
    fn from_iter<I: IntoIterator<Item = ActionFacts>>(actions: I) -> Self {
        Self(actions.into_iter().map(|action| (action.name, action)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(input: InputFacts, text: &str) -> String {
        input.judge(text).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn forms_take_what_they_name() {
        let input = InputFacts::new("kind", "", "");
        let switch = input.switch();
        let sizes = input.form(Form::AnyCase(&["small", "large", "huge"]));
        let even = input.form(Form::Read(|name, text| {
            if text.len().is_multiple_of(2) { Vec::new() } else { vec![Wrong::new(format!("`{name}` is odd"))] }
        }));
        for (input, text, expected) in [
            (input, "whatever", ""),
            (switch, "true", ""),
            (switch, " false\n", ""),
            (switch, "", ""),
            (switch, "True", "`kind` must be `true` or `false`, not `True`; did you mean `true`?"),
            (switch, "maybe", "`kind` must be `true` or `false`, not `maybe`"),
            (sizes, "LARGE", ""),
            (sizes, "lagre", "`kind` must be `small`, `large` or `huge`, not `lagre`; did you mean `large`?"),
            (even, "ab", ""),
            (even, "", ""),
            (even, "abc", "`kind` is odd"),
        ] {
            assert_eq!(said(input, text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_found_without_case() {
        let all: Catalogue =
            [ActionFacts { name: "pipe/scan", inputs: &[], refuses_unknown: false }].into_iter().collect();
        assert!(all.get("Pipe/SCAN").is_some() && all.get("pipe/scam").is_none());
        assert!(Catalogue::default().is_empty());
    }
}
