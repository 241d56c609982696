//! Whole workflows through the reader: what is refused, what is found, what the model then holds.

use std::fmt::Write as _;

use super::*;
use crate::model::{JobKind, StepKind, Uses};
use crate::template::Limits;

struct Called<'a>(&'a [(&'a str, &'a str)]);

impl WorkflowFiles for Called<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let (name, text) = self.0.iter().find(|(name, _)| *name == reference)?;
        Some(Ok(SourceFile::new(name.trim_start_matches("./"), *text)))
    }
}

fn read(text: &str, called: &[(&str, &str)], options: &ReadOptions) -> Reading {
    read_workflow(SourceFile::new("ci.yml", text), &Called(called), options)
}

/// The errors of a workflow, a line each; indented below them help and findings.
fn shown(reading: &Reading) -> String {
    let mut text = String::new();
    for error in &reading.errors {
        writeln!(text, "{}", error.github_text(&reading.sources)).unwrap();
        if let Some(help) = &error.help {
            writeln!(text, "  {help}").unwrap();
        }
    }
    for finding in &reading.findings {
        let (_, start, _) = reading.sources.locate(finding.span.expect("every finding has a place")).unwrap();
        writeln!(text, "{} {}:{} {}", finding.code.0, start.line, start.column, finding.message).unwrap();
    }
    text
}

fn check(text: &str, expected: &[&str]) {
    let reading = read(text, &[], &ReadOptions::default());
    assert_eq!(shown(&reading).lines().collect::<Vec<_>>(), expected, "\n{text}");
}

/// A workflow with these lines in its only job.
fn job(lines: &str) -> String {
    let mut text = "on: push\njobs:\n  build:\n    runs-on: x\n".to_owned();
    for line in lines.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    text
}

/// A workflow with a job for each pair of id and needs.
fn graph(jobs: &[(&str, &str)]) -> String {
    let mut text = "on: push\njobs:\n".to_owned();
    for (id, needs) in jobs {
        writeln!(text, "  {id}:\n    runs-on: x\n    needs: [{needs}]").unwrap();
    }
    text
}

#[test]
fn waits_that_never_end_are_named() {
    check(
        &graph(&[("a", ""), ("b", "d"), ("c", "b"), ("d", "c, a"), ("e", "d, zebra")]),
        &[
            "ci.yml (Line: 8, Col: 13): Job 'b' depends on job 'd' which creates a cycle in the dependency graph.",
            "  these wait for each other: b → d → c → b",
            "ci.yml (Line: 11, Col: 13): Job 'c' depends on job 'b' which creates a cycle in the dependency graph.",
            "  these wait for each other: b → d → c → b",
            "ci.yml (Line: 14, Col: 13): Job 'd' depends on job 'c' which creates a cycle in the dependency graph.",
            "  these wait for each other: b → d → c → b",
            "ci.yml (Line: 17, Col: 13): Job 'e' depends on job 'd' which creates a cycle in the dependency graph.",
            "  these wait for each other: b → d → c → b",
            "ci.yml (Line: 17, Col: 16): Job 'e' depends on unknown job 'zebra'.",
        ],
    );
    check(
        &graph(&[("one", "one")]),
        &[
            "ci.yml (Line: 3, Col: 3): The workflow must contain at least one job with no dependencies.",
            "  these wait for each other: one → one",
        ],
    );
    check(
        &graph(&[("build", ""), ("test", "biuld")]),
        &["ci.yml (Line: 8, Col: 13): Job 'test' depends on unknown job 'biuld'.", "  did you mean `build`?"],
    );
}

#[test]
fn needs_are_spelled_as_the_jobs_are() {
    let reading = read(&graph(&[("Build", ""), ("test", "BUILD, build")]), &[], &ReadOptions::default());
    let workflow = reading.workflow.expect("a workflow without errors");
    let needs: Vec<&str> = workflow.jobs["test"].needs.iter().map(|need| need.value.as_str()).collect();
    assert_eq!(needs, ["Build"]);
}

#[test]
fn steps_of_the_newer_kinds() {
    check(
        &job("steps:\n\
              - {id: a, run: x, background: true}\n\
              - wait: [a, b]\n\
              - {id: c, cancel: C}\n\
              - cancel: __run\n\
              - wait-all: false\n\
              - parallel:\n  - {run: y, background: false}\n  - wait: a\n  - parallel: [{run: z}]\n"),
        &[
            "ci.yml (Line: 7, Col: 17): Step references unknown step ID 'b'",
            "  only steps before this one can be named, by their `id:`",
            "ci.yml (Line: 8, Col: 23): Step 'c' cannot reference itself",
            "ci.yml (Line: 9, Col: 15): The identifier '__run' is invalid. IDs starting with '__' are reserved.",
            "ci.yml (Line: 10, Col: 17): The value of 'wait-all' must be true or omitted",
            "ci.yml (Line: 13, Col: 15): Step references unknown step ID 'a'",
            "  only steps before this one can be named, by their `id:`",
            "ci.yml (Line: 11, Col: 7): 'background' is not allowed inside a parallel block. Steps in a parallel block \
             are automatically run as background steps.",
            "ci.yml (Line: 11, Col: 7): 'wait' is not allowed inside a parallel block.",
            "ci.yml (Line: 11, Col: 7): Nested 'parallel' blocks are not allowed.",
        ],
    );
    let text = job("steps: [{run: a}, {uses: ./b}, {wait-all: }, {id: __x-, run: c}]").replace("__x-", "x");
    let reading = read(&text, &[], &ReadOptions::default());
    let workflow = reading.workflow.expect("a workflow without errors");
    let JobKind::Steps(steps) = &workflow.jobs["build"].kind else { panic!("a job with steps") };
    let ids: Vec<(&str, bool)> = steps.steps.iter().map(|step| (step.id.as_str(), step.id_written)).collect();
    assert_eq!(ids, [("__run", false), ("__self", false), ("__wait-all", false), ("x", true)]);
    assert!(matches!(&steps.steps[1].kind, StepKind::Uses { uses, .. } if matches!(uses.value, Uses::Local { .. })));
    assert!(matches!(steps.steps[2].kind, StepKind::WaitAll));
}

#[test]
fn settings_of_a_job() {
    let long = "g".repeat(401);
    for (lines, expected) in [
        ("container: docker://", &["ci.yml (Line: 5, Col: 16): Container image cannot be empty"][..]),
        ("container: ''", &[]),
        ("container: {image: 'docker://'}", &["ci.yml (Line: 5, Col: 16): Container image cannot be empty"]),
        ("services:\n  db: {image: 'docker://'}", &["ci.yml (Line: 6, Col: 11): Container image cannot be empty"]),
        ("services:\n  db: {ports: [1]}", &["ci.yml (Line: 6, Col: 11): Container image cannot be empty"]),
        ("services:\n  db: {image: 'docker://', options: '${{ github.x }}'}", &[]),
        ("services:\n  db: {image: a, entrypoint: b, command: c}", &[]),
        (
            "snapshot: {image-name: a, version: 1.x}",
            &["ci.yml (Line: 5, Col: 15): Expected format '{major-version}.*' Actual '1.x'"],
        ),
        ("snapshot: {image-name: a, version: 2.*, if: failure()}", &[]),
        (
            &format!("concurrency: {long}"),
            &["ci.yml (Line: 5, Col: 18): Concurrency group name must be less than 400 characters"],
        ),
        (
            "strategy: {matrix: {include: [{}], exclude: [{}, {a: 1}], b: [1]}}",
            &[
                "ci.yml (Line: 5, Col: 35): Matrix include mapping does not contain any values",
                "ci.yml (Line: 5, Col: 50): Matrix exclude filter must not be empty",
                "ci.yml (Line: 5, Col: 55): Matrix exclude key 'a' does not match any key within the matrix",
            ],
        ),
        ("strategy: {matrix: {exclude: [{a: 1}], b: ['${{ github.x }}']}}", &[]),
        ("strategy: {matrix: {include: []}}", &["ci.yml (Line: 5, Col: 24): Matrix must define at least one vector"]),
        (
            "if: nothing()",
            &["ci.yml (Line: 5, Col: 9): Unrecognized function: 'nothing'. Located at position 1 within expression: \
             nothing()"],
        ),
        (
            "if: failure('a') && secrets.b",
            &[
                "ci.yml (Line: 5, Col: 9): Unrecognized named-value: 'secrets'. Located at position 17 within expression: \
             failure('a') && secrets.b",
            ],
        ),
    ] {
        check(&job(lines), expected);
    }
}

#[test]
fn events() {
    for (on, expected) in [
        (
            "schedule: [{cron: '* * * *'}]",
            &[
                "ci.yml (Line: 1, Col: 24): Invalid cron expression. Expected format: '* * * * *' (minute hour day month \
             weekday)",
                "  a cron line has five fields (minute, hour, day of month, month, day of week), this has 4",
            ][..],
        ),
        (
            "schedule: [{cron: '*/2 * * * *', timezone: New York}]",
            &[
                "P0110 1:24 `*/2 * * * *` asks for runs less than five minutes apart",
                "P0111 1:49 `New York` is no name of a time zone",
            ],
        ),
        ("schedule: [{cron: '*/5 * * * *', timezone: Europe/Berlin}]", &[]),
        (
            "push: {branches: [a], branches-ignore: [b]}",
            &["P0112 1:28 `branches` and `branches-ignore` cannot both be given for one event"],
        ),
        ("push: {branches: ['**'], tags: ['!**']}", &[]),
        ("push: {tags: ['!**']}", &["P0113 1:20 `tags` has only patterns with `!`, so nothing can match"]),
        ("push: {paths: ['!a']}", &["P0113 1:21 `paths` has only patterns with `!`, so nothing can match"]),
        (
            "workflow_dispatch: {inputs: {a: {type: choice}}}",
            &["ci.yml (Line: 1, Col: 38): Missing 'options' for choice input"],
        ),
        (
            "workflow_dispatch: {inputs: {a: {options: [b]}}}",
            &["ci.yml (Line: 1, Col: 38): Input type is not 'choice', but 'options' is defined"],
        ),
        (
            "workflow_dispatch: {inputs: {a: {type: boolean, default: 'false'}}}",
            &["P0114 1:63 the default is not of the input's type"],
        ),
    ] {
        check(&format!("on: {{{on}}}\njobs: {{a: {{runs-on: x}}}}"), expected);
    }
}

const CALLER: &str = "on: push\njobs:\n  call:\n    uses: ./called.yml\n";

fn check_call(more: &str, called: &str, expected: &[&str]) {
    let text = format!("{CALLER}{more}");
    let reading = read(&text, &[("./called.yml", called)], &ReadOptions::default());
    assert_eq!(shown(&reading).lines().collect::<Vec<_>>(), expected, "\n{text}\n{called}");
}

#[test]
fn calls_are_compared_with_what_is_declared() {
    const INPUTS: &str = "on: {workflow_call: {inputs: {flag: {type: boolean, required: true}, count: {type: number, \
                          default: 1}}, secrets: {key: {required: true}}}}\njobs: {a: {runs-on: x}}";
    check_call(
        "",
        INPUTS,
        &[
            "ci.yml (Line: 4, Col: 11): Input flag is required, but not provided while calling.",
            "ci.yml (Line: 4, Col: 11): Secret key is required, but not provided while calling.",
        ],
    );
    check_call(
        "    with: {FLAG: yes, count: true, other: 1}\n    secrets: inherit",
        INPUTS,
        &[
            "ci.yml (Line: 5, Col: 18): Unexpected value 'yes'",
            "ci.yml (Line: 5, Col: 30): Unexpected value 'true'",
            "ci.yml (Line: 5, Col: 43): Invalid input, other is not defined in the referenced workflow.",
        ],
    );
    check_call("    with: {flag: '${{ github.x }}'}\n    secrets: {Key: a}", INPUTS, &[]);
    check_call(
        "",
        "on: push\njobs: {a: {runs-on: x}}",
        &[
            "In ci.yml (Line: 4, Col: 11): Error from called workflow called.yml (Line: 1, Col: 5): workflow_call key is \
         not defined in the referenced workflow.",
        ],
    );
    check_call(
        "",
        "on: [push, workflow_call]\njobs: {a: {runs-on: x, needs: b}}",
        &["In ci.yml (Line: 4, Col: 11): Error from called workflow called.yml (Line: 2, Col: 7): The workflow must \
         contain at least one job with no dependencies."],
    );
    let circle = "  it calls itself: `called.yml` → `called.yml`; take one of these calls out";
    let deep = ["Nested reusable workflow depth exceeded 9.", circle];
    check_call("", CALLER.replace("push", "workflow_call").as_str(), &deep);
}

#[test]
fn permissions_are_passed_down_and_never_grow() {
    let called = "on: workflow_call\njobs:\n  a: {runs-on: x}\n  b: {runs-on: x, permissions: {contents: write}}";
    check_call(
        "    permissions: {contents: read}",
        called,
        &["ci.yml (Line: 3, Col: 3): Error calling workflow './called.yml'. The nested job 'b' is requesting \
         'contents: write', but is only allowed 'contents: read'."],
    );
    let text = format!("permissions: write-all\n{CALLER}");
    let reading = read(&text, &[("./called.yml", called)], &ReadOptions::default());
    let workflow = reading.workflow.expect("a workflow without errors");
    let JobKind::Call(call) = &workflow.jobs["call"].kind else { panic!("a call") };
    let called = call.called.as_ref().expect("the port has it");
    assert_eq!(called.jobs["a"].permissions, Some(crate::model::Permissions::WriteAll));
    assert_eq!(reading.sources.iter().count(), 2);
}

#[test]
fn limits() {
    let options = ReadOptions { jobs_max: Some(2), ..ReadOptions::default() };
    let reading = read(&graph(&[("a", ""), ("b", ""), ("c", ""), ("d", "")]), &[], &options);
    assert_eq!(
        shown(&reading),
        "ci.yml (Line: 9, Col: 3): Workflows may not contain more than 2 jobs across all referenced files\n"
    );
    let options = ReadOptions { files_max: Some(1), ..ReadOptions::default() };
    let reading = read(CALLER, &[("./called.yml", "on: workflow_call")], &options);
    assert_eq!(
        shown(&reading),
        "In ci.yml (Line: 4, Col: 11): Error from called workflow The maximum file count of 1 has been exceeded\n"
    );
    let options = ReadOptions { limits: Limits { file_chars_max: 10, ..Limits::default() }, ..ReadOptions::default() };
    let reading = read(CALLER, &[], &options);
    assert_eq!(shown(&reading), "ci.yml: The maximum file size of 10 characters has been exceeded\n");
}

#[test]
fn the_server_leaves_events_to_the_trigger() {
    let text = "on: {schedule: [{cron: x}], push: {other: 1}, strange: }\njobs: {a: {runs-on: x}}";
    let options = ReadOptions { known_events_only: false, ..ReadOptions::default() };
    assert_eq!(shown(&read(text, &[], &options)), "");
    assert!(!read(text, &[], &ReadOptions::default()).errors.is_empty());
}

#[test]
fn errors_point_at_the_very_characters() {
    let text = job("steps:\n- run: x\n  if: ${{ success() && secrets.a }}");
    let reading = read(&text, &[], &ReadOptions::default());
    let precise = reading.errors[0].precise.expect("the condition stands in the file as it is");
    assert_eq!(&text[precise.start as usize..precise.end as usize], "secrets");
}

#[test]
fn large_files_are_linear() {
    let ids: Vec<String> = (0..500).map(|index| format!("j{index}")).collect();
    let needs = |index: usize| ids[index.saturating_sub(3)..index].join(", ");
    let jobs: Vec<(&str, String)> = ids.iter().enumerate().map(|(index, id)| (id.as_str(), needs(index))).collect();
    let jobs: Vec<(&str, &str)> = jobs.iter().map(|(id, needs)| (*id, needs.as_str())).collect();
    check(&graph(&jobs), &[]);
    let steps = "- run: echo something longer than nothing\n".repeat(10_000);
    check(&job(&format!("steps:\n{steps}")), &[]);
}
