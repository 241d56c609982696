//! `pipe/test-report`: results of tests from JUnit files are kept with the run, and failures become annotations.

use async_trait::async_trait;
use workflow::catalogue::Form;
use workflow::command::{Annotation, AnnotationLevel};

use super::super::kept::{flag, switch};
use super::{FILES, NO_FILES, failed, files, input, origin, read_all, tell_problems, text, words};
use crate::reports::{CASES_MAX, Case, Places, Totals, junit, place};
use crate::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

/// Failures that are told one by one.
const TOLD_MAX: usize = 50;
/// Details of all cases together that are kept.
const DETAILS_BYTES_MAX: usize = 4 << 20;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestReport;

/// What was read.
#[derive(Debug, Default)]
struct Gathered {
    cases: Vec<Case>,
    more: u64,
    files: u64,
    problems: Vec<(String, String)>,
}

#[async_trait]
impl BuiltInAction for TestReport {
    fn name(&self) -> &'static str {
        "pipe/test-report"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        const INPUTS: &[InputFacts] = &[
            FILES,
            input("format", "auto", false, "auto or junit").form(Form::Words(&["auto", "junit"])),
            input("name", "Tests", false, "What the report is called"),
            switch("fail-on-error", "true", "Whether the step fails where a test has failed"),
            NO_FILES,
        ];
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let fails = flag(call, "fail-on-error")?;
        let files = files(call).await?;
        if files.is_empty() {
            outputs(call, &Totals::default());
            return Ok(());
        }
        let mut gathered = read_all(call, &files, Gathered::default(), gather).await?;
        tell_problems(call, &gathered.problems, gathered.files > 0).await?;
        clean(call, &mut gathered.cases);
        let totals = Totals::of(&gathered.cases);
        let plural = if gathered.files == 1 { "" } else { "s" };
        let (count, time) = (gathered.files, words::seconds(totals.time_ms));
        call.log.line(&format!("{count} file{plural}: {} in {time}", totals.words())).await;
        if gathered.more > 0 {
            let warning = format!("{} more tests are not kept: a report has at most {CASES_MAX}", gathered.more);
            call.log.warning(&warning).await;
        }
        tell_failures(call, &gathered.cases).await;
        *call.summary = words::of_tests(&call.masker.mask(text(call, "name")), &totals, &gathered.cases);
        outputs(call, &totals);
        if let Some(reports) = call.run.reports.clone() {
            let kept = reports.keep_tests(origin(call), gathered.cases, gathered.files, gathered.more).await;
            kept.map_err(|error| failed(format!("cannot keep the report: {error}")))?;
        }
        if fails && totals.bad() > 0 {
            return Err(failed(format!("{} of {} tests failed", totals.bad(), totals.all())));
        }
        Ok(())
    }
}

fn gather(gathered: &mut Gathered, path: &str, bytes: &[u8]) {
    let before = gathered.cases.len();
    let result = junit::read(bytes, &mut |case| {
        if gathered.cases.len() < CASES_MAX {
            gathered.cases.push(case);
        } else {
            gathered.more += 1;
        }
        true
    });
    // What a damaged file says before its end counts.
    gathered.files += u64::from(result.is_ok() || gathered.cases.len() > before);
    if let Err(error) = result {
        gathered.problems.push((path.to_owned(), error.to_string()));
    }
}

/// Secrets hidden, places found, details within bounds.
fn clean(call: &ActionCall<'_>, cases: &mut [Case]) {
    let workspace = call.workspace;
    let is_there = |path: &str| workspace.shared && workspace.host.join(path).symlink_metadata().is_ok();
    let places = Places { workspace: &workspace.inside, is_there: &is_there };
    let mut room = DETAILS_BYTES_MAX;
    for case in cases {
        if case.outcome.is_bad()
            && let Some((file, line)) = place(case, places)
        {
            (case.file, case.line) = (Some(file), line);
        }
        for text in [&mut case.suite, &mut case.class, &mut case.name] {
            *text = call.masker.mask(text);
        }
        for text in [&mut case.file, &mut case.message, &mut case.details].into_iter().flatten() {
            *text = call.masker.mask(text);
        }
        let size = case.details.as_ref().map_or(0, String::len);
        if size > room {
            case.details = None;
        } else {
            room -= size;
        }
    }
}

async fn tell_failures(call: &mut ActionCall<'_>, cases: &[Case]) {
    let mut bad = cases.iter().filter(|case| case.outcome.is_bad());
    for case in bad.by_ref().take(TOLD_MAX) {
        call.log.annotate(annotation(case)).await;
    }
    let more = bad.count();
    if more > 0 {
        call.log.line(&format!("and {more} more failures")).await;
    }
}

fn annotation(case: &Case) -> Annotation {
    let message = case.message.as_deref().unwrap_or("failed");
    let details = case.details.as_deref().unwrap_or_default();
    let says_it = details.trim_start().starts_with(message.lines().next().unwrap_or_default());
    let text = match (details.is_empty(), says_it) {
        (true, _) => format!("{}: {message}", case.title()),
        (false, true) => format!("{}: {details}", case.title()),
        (false, false) => format!("{}: {message}\n{details}", case.title()),
    };
    Annotation { file: case.file.clone(), line: case.line, ..Annotation::new(AnnotationLevel::Error, text) }
}

fn outputs(call: &mut ActionCall<'_>, totals: &Totals) {
    let values = [
        ("total", totals.all().to_string()),
        ("passed", totals.passed.to_string()),
        ("failed", totals.bad().to_string()),
        ("skipped", totals.skipped.to_string()),
        ("flaky", totals.flaky.to_string()),
        ("time", format!("{:.3}", totals.time_ms as f64 / 1_000.0)),
    ];
    call.outputs.extend(values.map(|(name, value)| (name.to_owned(), value)));
}
