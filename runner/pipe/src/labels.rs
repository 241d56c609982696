//! Labels of `runs-on`: what serves them here, and which nothing serves, told before anything runs.

use engine::runner_label::RunnerLabels;
use workflow::model::{Job, JobKind};
use workflow::plan::{Explanation, LegsExplanation};
use workflow::template::{Token, TokenKind};

use crate::args::RunArgs;
use crate::config::Settings;
use crate::exit::Failure;

/// The labels of the settings.
pub fn of_settings(settings: &Settings) -> RunnerLabels {
    let mut labels = RunnerLabels::default();
    for (label, image) in &settings.labels {
        labels.map(label, image);
    }
    labels
}

/// The labels of the settings, and those of a command line over them.
pub fn of_run(args: &RunArgs, settings: &Settings) -> Result<RunnerLabels, Failure> {
    let mut labels = of_settings(settings);
    for given in &args.platform {
        let (label, image) = given
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`-P {given}` has no image")).help("write `-P LABEL=IMAGE`"))?;
        labels.map(label, image);
    }
    if args.host {
        labels.use_host();
    }
    Ok(labels)
}

/// A sentence for each of these jobs that will fail because nothing here serves its labels, as far as those are known.
pub fn unserved(told: &Explanation, ids: &[String], labels: &RunnerLabels) -> Vec<String> {
    let mut sentences = Vec::new();
    for job in told.jobs.iter().filter(|job| job.status != "skipped" && ids.contains(&job.id)) {
        let wanted: Vec<&Vec<String>> = match &job.legs {
            LegsExplanation::Static { legs, .. } => legs.iter().filter_map(|leg| leg.runs_on.as_ref()).collect(),
            LegsExplanation::Single | LegsExplanation::Dynamic => job.runs_on.iter().collect(),
        };
        for wanted in wanted {
            let Err(unserved) = labels.resolve(wanted) else { continue };
            let sentence = format!("job `{}` will fail: {unserved}", job.id);
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
    }
    sentences
}

/// A sentence for each label of another system that a job names as a text, in `runs-on` or through its matrix.
pub fn foreign(job: &Job, labels: &RunnerLabels) -> Vec<String> {
    let JobKind::Steps(steps) = &job.kind else { return Vec::new() };
    let mut texts = Vec::new();
    let mut computed = false;
    literals(&steps.runs_on, &mut texts);
    steps.runs_on.each_expression(&mut |expression, _| computed |= expression.text().contains("matrix."));
    if let Some(matrix) = job.strategy.as_ref().and_then(|strategy| strategy.matrix.as_ref()).filter(|_| computed) {
        literals(matrix, &mut texts);
    }
    let mut sentences = Vec::new();
    for text in texts.iter().filter(|text| text.starts_with("windows-") || text.starts_with("macos-")) {
        if let Err(unserved) = labels.resolve(&[(*text).to_owned()]) {
            let sentence = format!("job `{}`: {unserved}", job.id.value);
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
    }
    sentences
}

/// Every text in a value.
fn literals<'a>(token: &'a Token, texts: &mut Vec<&'a str>) {
    match &token.kind {
        TokenKind::String(text) => texts.push(text),
        TokenKind::Sequence(items) => items.iter().for_each(|item| literals(item, texts)),
        TokenKind::Mapping(pairs) => pairs.iter().for_each(|(_, value)| literals(value, texts)),
        TokenKind::Null
        | TokenKind::Boolean(_)
        | TokenKind::Number(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => {}
    }
}
