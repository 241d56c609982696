//! lcov's tracefiles (`man geninfo`, section FILES) and coverage.py's JSON
//! (<https://coverage.readthedocs.io/en/latest/commands/cmd_json.html>).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Add, CoverageError};
use crate::policy::Rate;

pub(super) fn lcov(text: &str, add: &mut Add<'_>) -> Result<(), CoverageError> {
    let mut file: Option<String> = None;
    let mut lines: BTreeMap<u32, (bool, Rate)> = BTreeMap::new();
    let mut last = 0;
    for (index, row) in text.lines().enumerate() {
        last = index + 1;
        let row = row.trim_end();
        let wrong = |reason: String| CoverageError::Text { line: index + 1, reason };
        let number = |words: &str| words.split(',').next().and_then(|word| word.trim().parse::<u32>().ok());
        if let Some(path) = row.strip_prefix("SF:") {
            file = Some(path.to_owned());
            lines.clear();
        } else if let Some(words) = row.strip_prefix("DA:") {
            let line = number(words).ok_or_else(|| wrong(format!("`{row}` has no number of a line")))?;
            let hits = words.split(',').nth(1).and_then(|hits| hits.trim().parse::<f64>().ok());
            let hits = hits.ok_or_else(|| wrong(format!("`{row}` does not say how often")))?;
            lines.entry(line).or_default().0 |= hits > 0.0;
        } else if let Some(words) = row.strip_prefix("BRDA:") {
            let line = number(words).ok_or_else(|| wrong(format!("`{row}` has no number of a line")))?;
            let taken = words.rsplit(',').next().unwrap_or("-");
            let rate = &mut lines.entry(line).or_default().1;
            rate.total += 1;
            rate.covered += u64::from(!matches!(taken, "-" | "0"));
        } else if row == "end_of_record" {
            let path = file.take().ok_or_else(|| wrong("a record ends that has no file".to_owned()))?;
            for (line, (reached, branches)) in std::mem::take(&mut lines) {
                add(&path, line, reached, branches)?;
            }
        }
    }
    match file {
        Some(_) => Err(CoverageError::Text { line: last, reason: "the last record has no end".to_owned() }),
        None => Ok(()),
    }
}

pub(super) fn coverage_py(text: &str, add: &mut Add<'_>) -> Result<(), CoverageError> {
    let root: Json = serde_json::from_str(text).map_err(|error| CoverageError::Json(error.to_string()))?;
    let files = root.get("files").and_then(Json::as_object);
    let files = files.ok_or_else(|| CoverageError::Json("it has no `files`".to_owned()))?;
    for (path, file) in files {
        let list = |key: &str| file.get(key).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let line = |node: &Json| node.as_u64().and_then(|line| u32::try_from(line).ok());
        let mut branches: BTreeMap<u32, Rate> = BTreeMap::new();
        for (key, covered) in [("executed_branches", 1), ("missing_branches", 0)] {
            for from in list(key).iter().filter_map(|pair| line(pair.get(0)?)) {
                let rate = branches.entry(from).or_default();
                rate.total += 1;
                rate.covered += covered;
            }
        }
        for (key, reached) in [("executed_lines", true), ("missing_lines", false)] {
            for line in list(key).iter().filter_map(line) {
                add(path, line, reached, branches.get(&line).copied().unwrap_or_default())?;
            }
        }
    }
    Ok(())
}
