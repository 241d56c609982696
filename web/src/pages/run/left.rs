//! What a run left: results of its tests, annotations, summaries and artifacts.

use engine::reports::Outcome;
use engine::store::findings::Findings;
use engine::store::listing::RunListed;
use engine::store::reports::{CaseFilter, Reports};
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde_json::{Value as Json, json};

use crate::Problem;
use crate::api::answer::{store, unreadable};
use crate::pages::filters::encoded;
use crate::pages::markdown;
use crate::site::Site;

/// Annotations of a page; all are in the logs.
const ANNOTATIONS_SHOWN: usize = 100;
/// Tests of a page, the failed ones first.
const TESTS_SHOWN: usize = 50;
/// Text of an annotation in the address that leads to its line.
const TEXT_CHARACTERS_MAX: usize = 200;

/// All of it, for `run-left.html`.
pub(super) async fn left(site: &Site, run: &RunListed) -> Result<Value, Problem> {
    let (_, artifacts) = crate::api::artifacts::of_visible(site, run).await?;
    let artifacts: Vec<_> = artifacts.iter().map(crate::api::artifacts::view).collect();
    let findings = Findings::of(site.api.folders.clone());
    let annotations = findings.annotations(run.id).await;
    let found = annotations.annotations.iter().take(ANNOTATIONS_SHOWN).map(|found| {
        let step = found.step.map_or_else(|| "s".to_owned(), |step| format!("s{}", step.0));
        let level = found.annotation.level.name();
        let line = found.annotation.message.lines().next().unwrap_or_default();
        let text: String = line.chars().take(TEXT_CHARACTERS_MAX).collect();
        let query = format!("step={step}&level={level}&text={}", encoded(&text));
        let link = format!("/runs/{}/jobs/{}/at?{query}", run.id, encoded(&found.job.to_string()));
        json!({ "job": found.job, "link": link, "level": level, "annotation": found.annotation })
    });
    let found: Vec<_> = found.collect();
    let more = annotations.more + (annotations.annotations.len().saturating_sub(ANNOTATIONS_SHOWN)) as u64;
    let summaries = findings.summaries(run.id).await;
    // Markdown of megabytes takes its time.
    let read = tokio::task::spawn_blocking(move || {
        let rendered = summaries.iter().map(|one| json!({ "job": one.job, "html": markdown::render(&one.markdown) }));
        rendered.collect::<Vec<_>>()
    });
    let summaries = read.await.map_err(|error| unreadable(&error))?;
    let (tests, coverage) = reported(site, run).await?;
    Ok(context! {
        artifacts => Serde(artifacts), annotations => Serde(found), more_annotations => more, summaries => Serde(summaries),
        tests => Serde(tests), coverage => Serde(coverage),
    })
}

/// Results of tests, and coverage.
async fn reported(site: &Site, run: &RunListed) -> Result<(Json, Vec<Json>), Problem> {
    let reports = Reports::on(site.api.database.clone());
    let coverage = reports.coverage_of_run(run.id).await.map_err(|error| store(&error))?;
    let shown = coverage.iter().map(|one| {
        json!({
            "name": one.name, "job": one.job, "percent": one.lines.percent(), "lines": one.lines, "change": one.delta(),
            "before": one.before.as_ref().map(|before| before.run),
        })
    });
    let coverage: Vec<_> = shown.collect();
    let tests = reports.tests_of_run(run.id).await.map_err(|error| store(&error))?;
    if tests.reports.is_empty() {
        return Ok((Json::Null, coverage));
    }
    let filter = CaseFilter { outcome: None, skip: 0, limit: TESTS_SHOWN };
    let cases = reports.cases(run.id, filter).await.map_err(|error| store(&error))?;
    let worth = |outcome: Outcome| match outcome {
        Outcome::Error | Outcome::Failed | Outcome::Flaky => true,
        Outcome::Skipped | Outcome::Passed => false,
    };
    let shown: Vec<_> = cases.into_iter().filter(|case| worth(case.outcome)).collect();
    let totals = &tests.totals;
    let bad = totals.bad();
    let seconds = totals.time_ms as f64 / 1_000.0;
    Ok((json!({ "words": totals.words(), "bad": bad, "seconds": seconds, "cases": shown }), coverage))
}
