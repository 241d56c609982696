//! `pipe/coverage-report`: which lines tests reach, from lcov or Cobertura files, kept with the run and compared with the
//! last green run of the default branch.

use async_trait::async_trait;
use workflow::catalogue::Form;

use super::{FILES, NO_FILES, failed, files, input, origin, read_all, tell_problems, words};
use crate::reports::{COVERED_FILES_MAX, Coverage};
use crate::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

/// Forms of reports; which of the two it is, is seen in the file.
const FORMATS: [&str; 3] = ["auto", "lcov", "cobertura"];

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoverageReport;

/// What was read.
#[derive(Debug, Default)]
struct Gathered {
    coverage: Coverage,
    files: u64,
    problems: Vec<(String, String)>,
}

#[async_trait]
impl BuiltInAction for CoverageReport {
    fn name(&self) -> &'static str {
        "pipe/coverage-report"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        const INPUTS: &[InputFacts] = &[
            FILES,
            input("format", "auto", false, "auto, lcov or cobertura").form(Form::Words(&FORMATS)),
            input("name", "Coverage", false, "What the report is called; it is compared with those of the same name"),
            NO_FILES,
        ];
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let files = files(call).await?;
        if files.is_empty() {
            return Ok(());
        }
        let workspace = call.workspace.inside.clone();
        let gather = move |gathered: &mut Gathered, path: &str, bytes: &[u8]| {
            let result = gathered.coverage.read(bytes, &workspace);
            gathered.files += u64::from(result.is_ok());
            if let Err(error) = result {
                gathered.problems.push((path.to_owned(), error.to_string()));
            }
        };
        let gathered = read_all(call, &files, Gathered::default(), gather).await?;
        tell_problems(call, &gathered.problems, gathered.files > 0).await?;
        if gathered.coverage.is_cut {
            call.log.warning(&format!("not all is kept: a report has at most {COVERED_FILES_MAX} files")).await;
        }
        let mut files = gathered.coverage.files();
        for file in &mut files {
            file.path = call.masker.mask(&file.path);
        }
        let Some(reports) = call.run.reports.clone() else { return Ok(()) };
        let kept = reports.keep_coverage(origin(call), files.clone(), &call.run.default_branch).await;
        let kept = kept.map_err(|error| failed(format!("cannot keep the report: {error}")))?;
        let count = files.len();
        let plural = if count == 1 { "" } else { "s" };
        call.log.line(&format!("{count} file{plural}: {}", words::of_lines(&kept))).await;
        let percent = |percent: Option<f64>| percent.map(|percent| format!("{percent:.2}")).unwrap_or_default();
        for (name, value) in [
            ("lines", percent(kept.lines.percent())),
            ("branches", percent(kept.branches.percent())),
            ("change", percent(kept.delta())),
            ("files", count.to_string()),
        ] {
            call.outputs.insert(name.to_owned(), value);
        }
        *call.summary = words::of_coverage(&kept, &files);
        Ok(())
    }
}
