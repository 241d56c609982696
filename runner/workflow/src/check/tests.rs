//! Small cases of the check; whole files are in the table of planted mistakes of the product's tests.

use super::*;
use crate::read::{NoFiles, read_workflow};

/// `line:column code message | help` of each diagnostic.
fn told(text: &str) -> Vec<String> {
    let options = ReadOptions::default();
    let reading = read_workflow(SourceFile::new("ci.yml", text), &NoFiles, &options);
    let checked = check(&reading, &NoFiles, &options, &Catalogue::default());
    let line = |found: &Diagnostic| {
        let at = found.span.and_then(|span| checked.sources.locate(span)).map(|(_, start, _)| start);
        let place = at.map(|at| format!("{}:{}", at.line, at.column)).unwrap_or_default();
        format!("{place} {} {} | {}", found.code.0, found.message, found.help.clone().unwrap_or_default())
    };
    checked.diagnostics.iter().map(line).collect()
}

#[test]
fn one_slip_is_one_diagnostic_and_hides_no_other() {
    let text = "on: push\njbos:\n  a:\n    runs_on: x\n    steps:\n      - runn: y\n      - run: echo ${{ githb.sha }} ${{ gihub.x }}\n";
    assert_eq!(
        told(text),
        [
            "2:1 P0101 unknown key `jbos` | did you mean `jobs`?",
            "4:5 P0101 unknown key `runs_on` | did you mean `runs-on`?",
            "6:9 P0101 unknown key `runn` | did you mean `run`?",
            "7:23 P0201 there is no context `githb` | did you mean `github`?",
            "7:40 P0201 there is no context `gihub` | did you mean `github`?",
        ]
    );
}

#[test]
fn a_good_file_is_left_alone() {
    let text = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.sha }}\n";
    assert!(told(text).is_empty(), "{:?}", told(text));
}

#[test]
fn a_time_is_a_number_of_minutes() {
    let job = |minutes: &str| {
        format!("on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: {minutes}\n    steps:\n      - run: y\n")
    };
    for (minutes, expected) in [
        ("0.5", None),
        ("0", Some("`timeout-minutes` is 0, and must be above 0")),
        ("-.inf", Some("`timeout-minutes` is -.inf, and must be above 0")),
        (".inf", Some("`timeout-minutes` is .inf, and no time is as long")),
        (".nan", Some("`timeout-minutes` is .nan, and no time is as long")),
    ] {
        let told = told(&job(minutes));
        let expected =
            expected.map(|message| format!("5:22 P0406 {message} | write minutes, such as 10, or remove the key"));
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{minutes}");
    }
}
