//! What Terraform says while it works: lines for people out of its JSON, and the problems that it names.
//!
//! The lines are those of <https://developer.hashicorp.com/terraform/internals/machine-readable-ui>. What is no JSON (warnings about
//! the program's own settings, output of other programs) goes to the log as it is.

use serde::Deserialize;

use super::super::script::Reader;

/// Longest line that is read as JSON; a longer one goes to the log as it is.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most problems that are kept.
const PROBLEMS_MAX: usize = 100;
/// What is kept of plain text, for explanations.
const PLAIN_BYTES_MAX: usize = 16 * 1024;

/// A problem that Terraform named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Whether it stops the work.
    pub(super) is_error: bool,
    /// Its headline.
    pub(super) summary: String,
    /// The rest, maybe many lines.
    pub(super) detail: String,
    /// File and line.
    pub(super) place: Option<(String, u32)>,
}

/// Reads its output.
#[derive(Debug, Default)]
pub(super) struct Said {
    line: Vec<u8>,
    is_long: bool,
    /// What it named.
    pub(super) problems: Vec<Problem>,
    plain: String,
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "@message")]
    message: String,
    #[serde(rename = "type", default)]
    kind: String,
    diagnostic: Option<Diagnostic>,
}

/// As `validate -json` and the lines above have it.
#[derive(Debug, Deserialize)]
pub(super) struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    range: Option<Range>,
}

#[derive(Debug, Deserialize)]
struct Range {
    filename: String,
    start: Start,
}

#[derive(Debug, Deserialize)]
struct Start {
    line: u32,
}

impl From<Diagnostic> for Problem {
    fn from(said: Diagnostic) -> Self {
        Self {
            is_error: said.severity == "error",
            summary: said.summary,
            detail: said.detail,
            place: said.range.map(|range| (range.filename, range.start.line)),
        }
    }
}

impl Problem {
    /// For the log.
    pub(super) fn lines(&self) -> String {
        let word = if self.is_error { "Error" } else { "Warning" };
        let mut text = format!("{word}: {}\n", self.summary);
        if let Some((file, line)) = &self.place {
            text.push_str(&format!("  in {file}, line {line}\n"));
        }
        for line in self.detail.trim_end().lines() {
            text.push_str(&format!("  {line}\n"));
        }
        text
    }
}

impl Said {
    /// Problems that stopped it; where it named none, the plain text that it ended with.
    pub(super) fn errors(&self) -> Vec<Problem> {
        let named: Vec<Problem> = self.problems.iter().filter(|problem| problem.is_error).cloned().collect();
        if !named.is_empty() || self.plain.trim().is_empty() {
            return named;
        }
        let text = self.plain.trim();
        let text = text.split_once("Error: ").map_or(text, |(_, error)| error);
        let (summary, detail) = text.split_once('\n').unwrap_or((text, ""));
        vec![Problem { is_error: true, summary: summary.trim().into(), detail: detail.trim().into(), place: None }]
    }

    fn whole_line(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.line);
        let Ok(said) = serde_json::from_slice::<Line>(&line) else {
            return self.plain_line(line);
        };
        if let Some(diagnostic) = said.diagnostic {
            let problem = Problem::from(diagnostic);
            let lines = problem.lines().into_bytes();
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(problem);
            }
            return lines;
        }
        match said.kind.as_str() {
            // Each of them was announced, and what they found is in the plan.
            "refresh_complete" | "outputs" => Vec::new(),
            _ => format!("{}\n", said.message).into_bytes(),
        }
    }

    fn plain_line(&mut self, mut line: Vec<u8>) -> Vec<u8> {
        let room = PLAIN_BYTES_MAX.saturating_sub(self.plain.len());
        self.plain.extend(String::from_utf8_lossy(&line).chars().take(room));
        self.plain.push('\n');
        line.push(b'\n');
        line
    }
}

impl Reader for Said {
    fn read(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if self.is_long {
                shown.extend_from_slice(part);
                self.is_long = !ends;
                continue;
            }
            self.line.extend_from_slice(text);
            if ends {
                shown.extend(self.whole_line());
            } else if self.line.len() > LINE_BYTES_MAX {
                shown.append(&mut self.line);
                self.is_long = true;
            }
        }
        shown
    }

    fn end(&mut self) -> Vec<u8> {
        self.is_long = false;
        if self.line.is_empty() { Vec::new() } else { self.whole_line() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = concat!(
        r#"{"@level":"info","@message":"terraform_data.a: Plan to create","type":"planned_change"}"#,
        "\nWarning: not ours\n",
        r#"{"@level":"info","@message":"x: Refresh complete","type":"refresh_complete"}"#,
        "\n",
        r#"{"@level":"error","@message":"Error: No","type":"diagnostic","diagnostic":{"severity":"error","summary":"No","detail":"It is\nso.","range":{"filename":"main.tf","start":{"line":3,"column":1,"byte":9},"end":{"line":3,"column":2,"byte":10}}}}"#,
    );
    const SHOWN: &str =
        "terraform_data.a: Plan to create\nWarning: not ours\nError: No\n  in main.tf, line 3\n  It is\n  so.\n";

    #[test]
    fn lines_are_for_people_wherever_they_are_cut() {
        for at in 0..PLAN.len() {
            let mut said = Said::default();
            let mut shown = said.read(&PLAN.as_bytes()[..at]);
            shown.extend(said.read(&PLAN.as_bytes()[at..]));
            shown.extend(said.end());
            assert_eq!(String::from_utf8(shown).unwrap(), SHOWN, "{at}");
            assert_eq!(said.errors()[0].place, Some(("main.tf".to_owned(), 3)));
        }
    }

    #[test]
    fn plain_errors_are_errors_and_long_lines_pass() {
        let mut said = Said::default();
        said.read(b"Initializing\n\nError: Failed\n\nCould not.\n");
        let errors = said.errors();
        assert_eq!((errors[0].summary.as_str(), errors[0].detail.as_str()), ("Failed", "Could not."));
        let long = vec![b'x'; LINE_BYTES_MAX + 2];
        let mut said = Said::default();
        let shown = [said.read(&long), said.read(b"y\n{\"@message\":\"m\"}\n")].concat();
        assert_eq!(shown.len(), long.len() + "y\n".len() + "m\n".len());
    }
}
