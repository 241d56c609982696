//! GitHub's own reader cases: the whole tree, or the exact texts of the errors with line and column.
//!
//! Every option that GitHub's harness is seen to know is honoured; one that we do not know is named where its case
//! fails. What it does not do: compare the order of names in an object, which says nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use workflow::read::{PermissionsPolicy, ReadOptions, WorkflowFiles, read_workflow};
use workflow::source::SourceFile;
use workflow::template::{BackgroundSteps, GITHUB_ERRORS_MAX};

use super::github_form::{self, Form};

#[derive(Deserialize)]
struct Case {
    file: String,
    kind: String,
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// The implementations of GitHub that do not run the case.
    #[serde(default)]
    skip: Vec<String>,
    workflow: String,
    #[serde(default)]
    reusable: Vec<CalledFile>,
    expected: Value,
}

#[derive(Deserialize)]
struct CalledFile {
    name: String,
    content: String,
}

impl Case {
    /// Adds the called files that were left out of it.
    fn complete(&mut self) {
        for (_, name, content) in LEFT_OUT.iter().filter(|(case, ..)| *case == self.file) {
            if self.reusable.iter().all(|file| file.name != *name) {
                self.reusable.push(CalledFile { name: (*name).to_owned(), content: (*content).to_owned() });
            }
        }
    }
}

/// Where we mean to differ: nowhere.
const DIFFERENT: &[super::Different] = &[];

/// Called files that a case speaks of and does not carry, since GitHub's own file names them in a way (with a leading
/// dot) that the collection of cases did not take for a name: case, reference, text. The text is what the tree asks for.
const LEFT_OUT: &[(&str, &str, &str)] = &[(
    "is-partial-rerun.yml",
    ".contoso/templates/.github/workflows/deploy.yml@v1",
    "on: workflow_call
jobs:
  job1:
    runs-on: ubuntu-latest
    steps:
      - run: echo hi from reusable workflow
",
)];

#[test]
fn workflows_are_read_as_github_reads_them() {
    let Some(mut cases) = super::load::<Case>("workflow-reader") else { return };
    cases.iter_mut().for_each(Case::complete);
    super::run("workflow-reader", &cases, |case| case.file.clone(), DIFFERENT, check);
}

/// Called files by their whole reference; a local reference finds the file of that path.
struct Called<'a>(&'a [CalledFile]);

impl WorkflowFiles for Called<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let local = reference.strip_prefix("./");
        let is_meant = |name: &str| {
            name == reference
                || local.is_some_and(|path| {
                    let bare = name.rsplit_once('@').map_or(name, |(bare, _)| bare);
                    bare == path || bare.ends_with(&format!("/{path}"))
                })
        };
        let found = self.0.iter().find(|file| is_meant(&file.name));
        Some(found.map_or_else(
            || Err("Unable to find reusable workflow".to_owned()),
            |file| Ok(SourceFile::new(file.name.as_str(), file.content.as_str())),
        ))
    }
}

fn check(case: &Case) -> Result<(), String> {
    let settings = settings(case)?;
    let unknown = &settings.unknown;
    compare(case, &settings).map_err(|failure| {
        if unknown.is_empty() { failure } else { format!("{failure}\n  options without a meaning here: {unknown:?}") }
    })
}

fn compare(case: &Case, settings: &Settings) -> Result<(), String> {
    let path = format!(".github/workflows/{}", case.file);
    let file = SourceFile::new(path, case.workflow.as_str());
    let reading = read_workflow(file, &Called(&case.reusable), &settings.options);
    // What no other reader runs is answered by the TypeScript one, which has neither places nor a limit on errors.
    let typescript = ["go", "c#"].iter().all(|name| case.skip.iter().any(|skip| skip.eq_ignore_ascii_case(name)));
    let errors_max = if typescript { usize::MAX } else { GITHUB_ERRORS_MAX };
    let errors = reading.errors.iter().take(errors_max);
    let errors: Vec<String> = errors.map(|error| error.github_text(&reading.sources)).collect();
    if case.kind == "errors" {
        return compare_errors(&case.expected, &errors);
    }
    let Some(workflow) = &reading.workflow else {
        return Err(format!("  a tree was expected\n  actual:{}", shown(&errors)));
    };
    let form =
        Form { source: settings.include_source && !typescript, typescript, files_by_name: settings.is_partial_rerun };
    let actual = github_form::tree(&reading, workflow, form);
    if super::same(&actual, &case.expected) {
        return Ok(());
    }
    let mut differences = Vec::new();
    differing(&case.expected, &actual, "", &mut differences);
    Err(format!("  differs at:{}", shown(&differences)))
}

fn compare_errors(expected: &Value, actual: &[String]) -> Result<(), String> {
    let expected = expected["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let expected: Vec<String> =
        expected.iter().map(|error| error["Message"].as_str().unwrap_or_default().to_owned()).collect();
    if actual == expected {
        return Ok(());
    }
    Err(format!("  expected:{}\n  actual:{}", shown(&expected), shown(actual)))
}

fn shown(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// What the options of a case say.
struct Settings {
    options: ReadOptions,
    /// Whether places are written.
    include_source: bool,
    /// Whether some jobs of the run are kept from an earlier attempt.
    is_partial_rerun: bool,
    /// Options without a meaning here.
    unknown: Vec<String>,
}

fn settings(case: &Case) -> Result<Settings, String> {
    // GitHub calls background steps an experiment.
    let background_steps = BackgroundSteps::Refused;
    // Only its TypeScript reader looks into events.
    let known_events_only = !case.skip.iter().any(|skip| skip.eq_ignore_ascii_case("typescript"));
    let mut options =
        ReadOptions { called_workflows_trusted: false, known_events_only, background_steps, ..ReadOptions::default() };
    let mut include_source = true;
    let mut is_partial_rerun = false;
    let mut unknown = Vec::new();
    for (name, value) in &case.options {
        let value = value.split('#').next().unwrap_or_default().trim();
        let number = || value.parse::<usize>().map_err(|error| format!("  option {name}: {value}: {error}"));
        match name.as_str() {
            "include-source" => include_source = value != "false",
            "max-file-size" => options.limits.file_chars_max = number()?,
            "max-result-size" => options.limits.result_bytes_max = number()?,
            "max-depth" => options.limits.depth_max = number()?,
            "max-events" | "max-parse-events" => options.limits.events_max = number()?,
            "max-files" => options.files_max = Some(number()?).filter(|most| *most > 0),
            "max-job-limit" | "max-jobs" => options.jobs_max = Some(number()?).filter(|most| *most > 0),
            "max-nested-reusable-workflows-depth" => options.nested_workflows_max = number()?,
            "skip-reusable-workflows" => options.read_called_workflows = value != "true",
            "permissions-policy" => {
                options.permissions_policy = match value {
                    "LimitedRead" => PermissionsPolicy::LimitedRead,
                    "Write" => PermissionsPolicy::Write,
                    other => return Err(format!("  option permissions-policy: unknown value {other}")),
                }
            }
            "experimental-features" => options.background_steps = BackgroundSteps::Proposed,
            "is-partial-rerun" => is_partial_rerun = value == "true",
            // Who runs the case, and features that we always have.
            "skip" | "allow-anchors" => {}
            _ => unknown.push(format!("{name}: {value}")),
        }
    }
    Ok(Settings { options, include_source, is_partial_rerun, unknown })
}

/// Where two trees part, with both sides.
fn differing(expected: &Value, actual: &Value, path: &str, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                differing(value, right.get(name).unwrap_or(&Value::Null), &format!("{path}/{name}"), found);
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                found.push(format!("{path}/{name}: not expected: {value}"));
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differing(left, right, &format!("{path}/{index}"), found);
            }
        }
        (left, right) if super::same(left, right) => {}
        (left, right) => found.push(format!("{path}: expected {left}, actual {right}")),
    }
}
