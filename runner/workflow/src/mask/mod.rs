//! Hides secrets in output: every form of every secret becomes `***`, also across the borders of writes.
//!
//! It knows values, not places: whoever lets text out of a job (log, annotation, summary, name, error) passes it through
//! here. What a list of patterns cannot find stays visible and is documented as such: reversed or rot13 text, characters
//! one by one or with colour codes between them, a dump that the value does not begin, and the up to four bits of a value
//! that share a base64 character with foreign text. Untrusted code therefore gets no secrets at all. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#masking-a-value-in-a-log>.

mod automaton;
mod dump;
mod encoding;
mod filter;
mod scan;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use self::automaton::PatternAutomaton;
pub use self::stream::MaskStream;

/// What stands in the output where a secret was.
pub const MASK: &str = "***";

/// Shortest secret that is masked, in characters; a shorter one would blank half of every log.
pub const SECRET_CHARACTERS_MIN: usize = 4;

/// The secret has fewer than [`SECRET_CHARACTERS_MIN`] characters and is *not* masked: whoever adds it knows its name
/// and can warn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret of {characters} characters is too short to be masked, at least {SECRET_CHARACTERS_MIN} are needed")]
pub struct TooShort {
    /// Length without surrounding whitespace; 0 for an empty value, which there is no need to warn about.
    pub characters: usize,
}

/// The set of all secrets of a job in all their forms.
///
/// A clone is a cheap snapshot: adding to one leaves the other as it was. The automaton is built on first use after a
/// change, so adding a hundred values in a row costs one build.
#[derive(Clone, Default)]
pub struct Masker(Arc<Patterns>);

#[derive(Default)]
struct Patterns {
    all: BTreeSet<Vec<u8>>,
    automaton: OnceLock<PatternAutomaton>,
}

impl Masker {
    /// A masker that hides nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides `value`, each of its lines, and every encoding of both from now on. Whitespace around them does not count.
    pub fn add(&mut self, value: &str) -> Result<(), TooShort> {
        let characters = value.trim().chars().count();
        if characters < SECRET_CHARACTERS_MIN {
            return Err(TooShort { characters });
        }
        let mut added = BTreeSet::new();
        encoding::add_patterns(value, &mut added);
        self.extend(added);
        Ok(())
    }

    /// Hides a signed token that was issued here (a JSON web token, <https://datatracker.ietf.org/doc/html/rfc7519>): as it
    /// is, and its signature in every form. What stands before that are claims, which are no secret and open nothing without it;
    /// in every form they would be ten times the patterns of an ordinary secret, and each job has such a token.
    pub fn add_signed(&mut self, token: &str) -> Result<(), TooShort> {
        self.add(token.rsplit('.').next().unwrap_or(token))?;
        self.extend(BTreeSet::from([token.trim().as_bytes().to_vec()]));
        Ok(())
    }

    fn extend(&mut self, mut added: BTreeSet<Vec<u8>>) {
        if added.is_subset(&self.0.all) {
            return;
        }
        added.extend(self.0.all.iter().cloned());
        self.0 = Arc::new(Patterns { all: added, automaton: OnceLock::new() });
    }

    /// Whether there is nothing to hide; masking then costs nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.all.is_empty()
    }

    /// The text with every run of secret characters replaced by [`MASK`]. Line breaks stay, so that lines stay lines.
    #[must_use]
    pub fn mask_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => match String::from_utf8(masked) {
                Ok(masked) => Cow::Owned(masked),
                Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        }
    }

    /// As [`Masker::mask_str`], for bytes in any encoding.
    #[must_use]
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(automaton) = self.automaton() else { return Cow::Borrowed(bytes) };
        let mut scan = scan::Scan::new(automaton);
        scan.read(automaton, bytes, 0);
        if scan.found.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        scan.emit(bytes, bytes.len(), &mut out);
        Cow::Owned(out)
    }

    fn automaton(&self) -> Option<&PatternAutomaton> {
        (!self.is_empty()).then(|| self.0.automaton.get_or_init(|| PatternAutomaton::new(&self.0.all)))
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Masker({} patterns)", self.0.all.len())
    }
}
