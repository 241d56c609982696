//! What is wrong with the file of an action, in the words of actions: the reader's own speak of workflows and jobs.

use super::Walk;
use crate::check::slips::{self, Slip};
use crate::check::structure::{self, span_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::template::{Cause, ReadError};

const EMPTY: Code = Code("P0003");
const UNKNOWN_KEY: Code = Code("P0101");
const MISSING_KEY: Code = Code("P0102");

/// What each kind of action has to say.
const KINDS: &str =
    "an action has `using: composite` with `steps:`, `using: node24` with `main:`, or `using: docker` with `image:`";

impl Walk<'_> {
    /// Tells what is wrong with the file of an action; what only follows from a slip of the pen is not told beside it.
    pub(super) fn unreadable(&mut self, errors: &[ReadError]) {
        let slip = |error: &ReadError| slips::find_in(error, self.sources.get(error.file()?)?);
        let slips: Vec<Option<Slip>> = errors.iter().map(slip).collect();
        for (error, slip) in errors.iter().zip(&slips) {
            let follows = matches!(&error.cause, Cause::MissingProperty { name }
                if slips.iter().flatten().any(|slip| slip.meant == *name));
            match slip.as_ref().zip(error.file().and_then(|file| self.sources.get(file))) {
                Some((slip, source)) => self.diagnostics.push(slip.diagnostic(source)),
                None if follows => {}
                None => match told(error) {
                    Some(found) => self.diagnostics.push(found),
                    None => structure::tell(error, self.sources, self.diagnostics),
                },
            }
        }
    }
}

/// An error of the parts that only actions have.
fn told(error: &ReadError) -> Option<Diagnostic> {
    let span = span_of(error);
    let say = |code, message: String, help: &str| {
        let mut found = Diagnostic::error(code, span, message).help(help);
        found.github = Some(error.message.clone());
        Some(found)
    };
    let (cause, message) = (&error.cause, error.message.as_str());
    if *cause == Cause::EmptyFile {
        return say(EMPTY, "the file holds no action".to_owned(), "an action has at least `runs:`");
    }
    if message.starts_with("Top level 'runs:'") {
        return say(MISSING_KEY, "`runs` is missing".to_owned(), KINDS);
    }
    if message.starts_with("'using: ' is not supported") {
        return say(MISSING_KEY, "`using` is missing in `runs`".to_owned(), KINDS);
    }
    if let Cause::NotEnoughInfo { candidates } = cause
        && !candidates.contains(&"run")
    {
        return say(MISSING_KEY, "`runs` does not say what to run".to_owned(), KINDS);
    }
    if let Cause::UnexpectedKey { key, candidates, .. } = cause
        && RUNS.iter().any(|name| candidates.contains(name))
    {
        return say(UNKNOWN_KEY, format!("unknown key `{key}` in `runs`"), KINDS);
    }
    None
}

/// Keys that only `runs` of an action has.
const RUNS: [&str; 4] = ["pre-if", "post-if", "pre-entrypoint", "post-entrypoint"];
