//! `actions/setup-node` and `actions/setup-python` natively: a version that the job's image has, its tool cache, or, of Node.js,
//! one that is kept for actions. Nothing is downloaded; where none fits, those that are there are named.

pub mod node;
pub mod python;
mod ranges;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use engine::step::{ActionCall, ActionError};

use self::ranges::{Range, Version, version};
use super::aws_step::{failed, given};
use super::script::{self, Output, Script};

/// What a job is asked for may say so much.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest file that names a version.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A version that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    version: Version,
    /// Where it lies, for a person: `image`, `tool cache`, `kept`.
    place: String,
    /// Its program.
    program: String,
}

impl Found {
    fn text(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

/// A tool of which a job may have several versions.
struct Tool {
    /// `Node.js`.
    name: &'static str,
    /// Inputs with a version, and with a file that names one.
    inputs: [&'static str; 2],
    /// Prints a line `PLACE<tab>PROGRAM<tab>VERSION` for each that is there; the job's own first.
    look: &'static str,
    /// How versions of it are written, for a person.
    example: &'static str,
    /// Images that have it, for whoever finds none: `node:%`.
    image: &'static str,
}

impl Tool {
    /// All that are there.
    async fn found(&self, call: &mut ActionCall<'_>) -> Result<Vec<Found>, ActionError> {
        let script = Script { number: 1, text: self.look, env: Vec::new() };
        let ran = script::run(call, &script, Output::Kept(ANSWER_BYTES_MAX)).await?;
        ran.forget();
        if let Some(problem) = ran.problem() {
            return Err(failed(format!(
                "the job cannot be asked for its versions of {}: what asks {problem}",
                self.name
            )));
        }
        let text = String::from_utf8_lossy(&ran.output).into_owned();
        let mut found: Vec<Found> = Vec::new();
        for line in text.lines() {
            let mut parts = line.split('\t');
            let (Some(place), Some(program), Some(said)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let Some(version) = version(said) else { continue };
            if !found.iter().any(|other| other.program == program) {
                found.push(Found { version, place: place.to_owned(), program: program.to_owned() });
            }
        }
        Ok(found)
    }

    /// What the step wants: the text, and which input says so.
    async fn wanted(
        &self,
        call: &ActionCall<'_>,
        read: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<Option<(String, String)>, ActionError> {
        let [version, file] = self.inputs;
        if let Some(text) = given(call, version) {
            return Ok(Some((text.to_owned(), version.to_owned())));
        }
        let Some(path) = given(call, file) else { return Ok(None) };
        let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", call.workspace.inside) };
        let content =
            call.job.read_file(&whole, FILE_BYTES_MAX).await.map_err(|error| failed(format!("`{file}`: {error}")))?;
        let content = content
            .ok_or_else(|| failed(format!("The specified {} version file at: {whole} does not exist", self.name)))?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let text = read(name, &String::from_utf8_lossy(&content));
        let text = text.ok_or_else(|| failed(format!("`{file}: {path}` names no version of {}", self.name)))?;
        Ok(Some((text, path.to_owned())))
    }

    /// The best of those that fit.
    fn chosen(&self, found: &[Found], wanted: &str, fits: impl Fn(Version) -> bool) -> Result<Found, ActionError> {
        // Of equal ones the job's own is the first.
        let best = found.iter().filter(|one| fits(one.version)).rev().max_by_key(|one| one.version);
        best.cloned().ok_or_else(|| failed(self.none_fits(found, wanted)))
    }

    /// A range, or an error that names the input.
    fn range(&self, input: &str, text: &str) -> Result<Range, ActionError> {
        let example = self.example;
        Range::parse(text)
            .ok_or_else(|| failed(format!("`{input}`: `{text}` is no version: write one such as {example}")))
    }

    fn none_fits(&self, found: &[Found], wanted: &str) -> String {
        let mut text = format!("no {} {wanted} is here", self.name);
        match found {
            [] => text.push_str(": the job's image has none"),
            found => {
                let mut found = found.to_vec();
                found.sort_by_key(|one| std::cmp::Reverse(one.version));
                let mut list: Vec<_> = found.iter().map(|one| format!("{} ({})", one.text(), one.place)).collect();
                // The same one may have several names.
                list.dedup();
                let _infallible = write!(text, "; there are {}", list.join(", "));
            }
        }
        let number: String = wanted.chars().filter(|one| one.is_ascii_digit() || *one == '.').collect();
        let image = self.image.replace('%', number.trim_matches('.'));
        let _infallible = write!(
            text,
            ". Write one of those, let the job run in an image that has it (`container: {image}`), or let the action itself download it \
             (`--builtin-actions never`, with a network)"
        );
        text
    }
}

/// The line of a tool in `.tool-versions`, as asdf and mise write it.
fn of_tool_versions(text: &str, tools: &[&str]) -> Option<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.find_map(|words| match words[..] {
        [tool, version, ..] if tools.contains(&tool) => Some(version.trim_start_matches('v').to_owned()),
        [..] => None,
    })
}

/// The folder of a program.
fn folder_of(program: &str) -> String {
    program.rsplit_once('/').map_or_else(|| ".".to_owned(), |(folder, _)| folder.to_owned())
}
