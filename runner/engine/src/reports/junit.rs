//! Reports in the form that JUnit's Ant task began and every tool writes in its own way.
//!
//! There is no standard. Taken are `<testsuites>` or a bare `<testsuite>`, nested or not; what went wrong is in
//! `<failure>`, `<error>` or `<skipped>`; Surefire's and nextest's `<flakyFailure>`, `<rerunFailure>` and so on tell of
//! tries. Follows <https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd> and
//! <https://github.com/testmoapp/junitxml>. What a tool says beside that (properties, output) is passed over.

use quick_xml::events::BytesStart;

use super::case::{Case, MESSAGE_CHARS_MAX, NAME_CHARS_MAX, Outcome, cut, middle_out};
use super::xml::{Node, ReadError, Xml, attribute, decode, name};

/// What is held of one text while it is read.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Reads a report. Each case is given to `take`, which says whether more are wanted. What came before an error counts.
///
/// # Errors
/// It is none, or damaged.
pub fn read(bytes: &[u8], take: &mut dyn FnMut(Case) -> bool) -> Result<(), ReadError> {
    let text = decode(bytes);
    let mut xml = Xml::new(&text);
    let mut suites: Vec<(usize, Suite)> = Vec::new();
    loop {
        match xml.next()? {
            Node::End => return Ok(()),
            Node::Text(_) => {}
            Node::Close => suites.retain(|(depth, _)| *depth <= xml.depth()),
            Node::Open(start) => {
                let name = name(&start);
                let goes_on = match name.as_str() {
                    "testsuite" => {
                        suites.push((xml.depth(), Suite::of(&start, suites.last().map(|(_, suite)| suite))));
                        true
                    }
                    "testsuites" => true,
                    _ if xml.depth() == 1 => return Err(ReadError::OtherRoot { expected: "JUnit", found: name }),
                    "testcase" => {
                        let case = case(&mut xml, &start, suites.last().map(|(_, suite)| suite))?;
                        take(case)
                    }
                    // Something went wrong around the tests.
                    "failure" | "error" => {
                        let mut case = suites.last().map(|(_, suite)| suite.as_case()).unwrap_or_default();
                        case.meet(&name, Problem::read(&mut xml, &start)?);
                        take(case.finish())
                    }
                    _ => {
                        xml.skip()?;
                        true
                    }
                };
                if !goes_on {
                    return Ok(());
                }
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Suite {
    name: String,
    file: Option<String>,
}

impl Suite {
    fn of(start: &BytesStart<'_>, outer: Option<&Self>) -> Self {
        let name = attribute(start, "name").or_else(|| outer.map(|outer| outer.name.clone())).unwrap_or_default();
        let file = attribute(start, "file").or_else(|| attribute(start, "filepath"));
        Self { name: cut(&name, NAME_CHARS_MAX), file: file.or_else(|| outer?.file.clone()) }
    }

    fn as_case(&self) -> Building {
        Building { suite: self.name.clone(), name: self.name.clone(), file: self.file.clone(), ..Building::default() }
    }
}

/// What is wrong, or was.
struct Problem {
    message: Option<String>,
    details: String,
}

impl Problem {
    /// The element that was just opened, to its end.
    fn read(xml: &mut Xml<'_>, start: &BytesStart<'_>) -> Result<Self, ReadError> {
        let message = attribute(start, "message");
        let kind = attribute(start, "type");
        let outside = xml.depth() - 1;
        let mut details = String::new();
        while xml.depth() > outside {
            match xml.next()? {
                Node::Text(text) if details.len() < TEXT_BYTES_MAX => details.push_str(&text),
                Node::Text(_) | Node::Close => {}
                Node::Open(inner) => match name(&inner).as_str() {
                    "stackTrace" => {}
                    _ => xml.skip()?,
                },
                Node::End => break,
            }
        }
        let details = details.trim_matches(['\n', '\r']).trim_end().to_owned();
        let first = details.lines().map(str::trim).find(|line| !line.is_empty());
        let message = message.or_else(|| first.map(str::to_owned)).or(kind);
        Ok(Self { message, details })
    }
}

/// A case while it is read.
#[derive(Default)]
struct Building {
    suite: String,
    class: String,
    name: String,
    file: Option<String>,
    line: Option<u32>,
    time_us: Option<u64>,
    outcome: Option<Outcome>,
    problem: Option<Problem>,
    retries: u32,
}

impl Building {
    /// An element of the case.
    fn meet(&mut self, element: &str, problem: Problem) {
        let outcome = match element {
            "error" => Outcome::Error,
            "failure" => Outcome::Failed,
            "skipped" => Outcome::Skipped,
            "flakyFailure" | "flakyError" => {
                self.retries += 1;
                Outcome::Flaky
            }
            // A try of what has failed in the end.
            _ => {
                self.retries += 1;
                return;
            }
        };
        if self.outcome.is_none_or(|before| outcome < before) {
            self.outcome = Some(outcome);
            self.problem = Some(problem);
        }
    }

    fn finish(self) -> Case {
        let (message, details) = match self.problem {
            None => (None, None),
            Some(Problem { message, details }) => (message, (!details.is_empty()).then_some(details)),
        };
        let name = if self.name.is_empty() { "(without a name)".to_owned() } else { self.name };
        Case {
            suite: self.suite,
            class: cut(&self.class, NAME_CHARS_MAX),
            name: cut(&name, NAME_CHARS_MAX),
            file: self.file.map(|file| cut(&file, NAME_CHARS_MAX)),
            line: self.line,
            time_us: self.time_us,
            outcome: self.outcome.unwrap_or(Outcome::Passed),
            message: message.map(|message| cut(message.trim(), MESSAGE_CHARS_MAX)),
            details: details.map(|details| middle_out(&details)),
            retries: self.retries,
        }
    }
}

fn case(xml: &mut Xml<'_>, start: &BytesStart<'_>, suite: Option<&Suite>) -> Result<Case, ReadError> {
    let number = |name: &str| attribute(start, name).and_then(|text| text.trim().parse().ok());
    let mut case = Building {
        suite: suite.map(|suite| suite.name.clone()).unwrap_or_default(),
        class: attribute(start, "classname").or_else(|| attribute(start, "class")).unwrap_or_default(),
        name: attribute(start, "name").unwrap_or_default(),
        file: attribute(start, "file").or_else(|| suite?.file.clone()),
        line: number("line").filter(|line| *line > 0),
        time_us: attribute(start, "time").or_else(|| attribute(start, "duration")).and_then(|text| seconds(&text)),
        ..Building::default()
    };
    // GoogleTest and CTest say so without an element.
    let says = |name: &str| attribute(start, name).unwrap_or_default().to_ascii_lowercase();
    if matches!(says("status").as_str(), "notrun" | "disabled" | "skipped")
        || matches!(says("result").as_str(), "skipped" | "suppressed")
    {
        case.outcome = Some(Outcome::Skipped);
    }
    let outside = xml.depth() - 1;
    while xml.depth() > outside {
        let Node::Open(start) = xml.next()? else { continue };
        let element = name(&start);
        match element.as_str() {
            "failure" | "error" | "skipped" | "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => {
                let problem = Problem::read(xml, &start)?;
                case.meet(&element, problem);
            }
            _ => xml.skip()?,
        }
    }
    Ok(case.finish())
}

/// `0.5`, `1,234.5` and `0,5` in microseconds.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = if text.contains('.') { text.replace(',', "") } else { text.replace(',', ".") };
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && (0.0..1e9).contains(&seconds)).then(|| (seconds * 1e6).round() as u64)
}

#[cfg(test)]
mod tests;
