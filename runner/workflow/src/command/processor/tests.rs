//! What each command of a step leads to: a script of lines, and for each its effects and what the log shows.

use super::{CommandProcessor, CommandSettings, Effect, LogLine, MASKS_PER_STEP_MAX};

fn show_line(line: &LogLine<'_>) -> String {
    match line {
        LogLine::Plain(text) => format!("={}", String::from_utf8_lossy(text)),
        LogLine::Group(title) => format!("group {title}"),
        LogLine::EndGroup => "endgroup".to_owned(),
        LogLine::Debug(text) => format!("debug {text}"),
        LogLine::Message(level, text) => format!("{} {}", level.name(), first_words(text)),
    }
}

fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::SetOutput { name, value } => format!("output {name}={value}"),
        Effect::SaveState { name, value } => format!("state {name}={value}"),
        Effect::SetEnvironment { name, value } => format!("env {name}={value}"),
        Effect::AddPath(path) => format!("path {path}"),
        Effect::AddMask(secret) => format!("mask {}", secret.expose()),
        Effect::Annotate(annotation) => {
            format!("annotate {} {}", annotation.level.name(), first_words(&annotation.message))
        }
        Effect::AddMatcher { file } => format!("matcher {file}"),
        Effect::RemoveMatcherOwner(owner) => format!("remove owner {owner}"),
        Effect::RemoveMatcherFile(file) => format!("remove file {file}"),
        Effect::FailStep => "fail".to_owned(),
    }
}

fn first_words(text: &str) -> String {
    text.chars().take(34).collect()
}

/// Each line with what it gives: `-` for ordinary output, else effects, `/`, lines of the log.
fn check(settings: CommandSettings, script: &[(&str, &str)]) {
    let mut processor = CommandProcessor::new(settings);
    for (line, expect) in script {
        let found = processor.process(line.as_bytes()).map_or("-".to_owned(), |handled| {
            let effects: Vec<String> = handled.effects.iter().map(show_effect).collect();
            let lines: Vec<String> = handled.lines.iter().map(show_line).collect();
            format!("{} / {}", effects.join("; "), lines.join("; "))
        });
        assert_eq!(found, *expect, "line {line:?}");
    }
}

const PLAIN: CommandSettings =
    CommandSettings { debug: false, allow_unsecure_commands: false, allow_unsecure_stop_tokens: false };

#[test]
fn effects_of_commands() {
    let old_output = "annotate warning The `set-output` command is deprec";
    check(
        PLAIN,
        &[
            ("hello", "-"),
            ("", "-"),
            ("::unknown::x", "-"),
            (
                "::set-output name=a::b%0Ac",
                &format!("{old_output}; output a=b\nc / warning The `set-output` command is deprec"),
            ),
            ("::set-output name=a::", "output a= / "),
            (
                "::set-output::b",
                "annotate error Unable to process command '::set-o; annotate error Required field 'name' is missing i; fail / \
                 error Unable to process command '::set-o; error Required field 'name' is missing i",
            ),
            ("::error file=a::boom", "annotate error boom / error boom"),
            ("::notice::", "annotate notice  / "),
            ("::group::G 1", " / group G 1"),
            ("::endgroup::ignored", " / endgroup"),
            ("::debug::x", " / "),
            ("::add-mask::s3cret", "mask s3cret / "),
            ("::add-matcher::m.json", "matcher m.json / "),
            ("::add-matcher::", "annotate warning File path must be specified. / warning File path must be specified."),
            ("::remove-matcher owner=o::", "remove owner o / "),
            ("::remove-matcher::f", "remove file f / "),
            (
                "::remove-matcher owner=o::f",
                "annotate warning Either specify an owner name or a  / warning Either specify an owner name or a ",
            ),
            (
                "::remove-matcher::",
                "annotate warning Either an owner name or a file pat / warning Either an owner name or a file pat",
            ),
            (
                "::add-mask::%0A ",
                "annotate warning Can't add secret mask for empty st / warning Can't add secret mask for empty st",
            ),
        ],
    );
}

#[test]
fn refused_commands_fail_the_step() {
    let refused = |name: &str| {
        let head = first_words(&format!("Unable to process command '::{name} name=x::y' successfully."));
        let text = first_words(&format!("The `{name}` command is disabled. Please"));
        format!("annotate error {head}; annotate error {text}; fail / error {head}; error {text}")
    };
    check(PLAIN, &[("::set-env name=x::y", &refused("set-env")), ("::add-path name=x::y", &refused("add-path"))]);
    let allowed = CommandSettings { allow_unsecure_commands: true, ..PLAIN };
    check(
        allowed,
        &[
            ("::set-env name=x::y", "env x=y / "),
            ("##[add-path]/y", "path /y / "),
            (
                "::set-env name=node_options::y",
                "annotate error Can't update NODE_OPTIONS environm / error Can't update NODE_OPTIONS environm",
            ),
        ],
    );
}

#[test]
fn stop_and_resume() {
    check(
        PLAIN,
        &[
            ("##[stop-commands]stopToken", "mask stopToken / =##[stop-commands]stopToken"),
            ("::add-mask::abcdef", "-"),
            ("::stop-commands::other", "-"),
            ("::other::", "-"),
            ("::STOPTOKEN::", " / =::STOPTOKEN::"),
            ("::group::g", " / group g"),
            ("::stopToken::", "-"),
            ("::stop-commands::short", " / =::stop-commands::short"),
            ("##[short]", " / =##[short]"),
        ],
    );
    let text = "You cannot use a endToken that is ";
    for token in ["", "set-env", "Stop-Commands", "pause-logging", "Notice"] {
        let expect = format!("annotate error {text}; fail / error {text}");
        check(PLAIN, &[(&format!("::stop-commands::{token}"), &expect), ("::endgroup::", " / endgroup")]);
    }
    let allowed = CommandSettings { allow_unsecure_stop_tokens: true, ..PLAIN };
    check(
        allowed,
        &[
            ("::stop-commands::group", " / =::stop-commands::group"),
            ("::endgroup::", "-"),
            ("::group::", " / =::group::"),
            ("::endgroup::", " / endgroup"),
        ],
    );
}

#[test]
fn echo_shows_commands() {
    check(
        PLAIN,
        &[
            ("::echo::on", " / "),
            ("::add-matcher::m", "matcher m / =::add-matcher::m"),
            ("::add-mask::abcdef", "mask abcdef / =::add-mask::***"),
            ("::warning::w", "annotate warning w / warning w"),
            ("::group::g", " / =::group::g; group g"),
            ("::echo::Off  ", " / =::echo::Off  "),
            ("::add-matcher::m", "matcher m / "),
            (
                "::echo::invalid",
                "annotate error Unable to process command '::echo:; annotate error Invalid echo command value. Possib; fail / \
                 error Unable to process command '::echo:; error Invalid echo command value. Possib",
            ),
        ],
    );
    let debug = CommandSettings { debug: true, ..PLAIN };
    check(
        debug,
        &[
            ("::debug::a%0Ab", " / debug a; debug b"),
            ("::endgroup::", " / =::endgroup::; endgroup"),
            (
                "::error line=2,endLine=1::m",
                "annotate error m / debug Invalid error command value. 'endLine' cannot be less than 'line'.; error m",
            ),
        ],
    );
}

#[test]
fn masks_are_bounded_and_bytes_tolerated() {
    let mut processor = CommandProcessor::new(PLAIN);
    for index in 0..MASKS_PER_STEP_MAX {
        let line = format!("::add-mask::value{index}");
        assert!(matches!(processor.process(line.as_bytes()).unwrap().effects[0], Effect::AddMask(_)));
    }
    let refused = processor.process(b"::add-mask::one more").unwrap();
    assert!(matches!(refused.effects.last(), Some(Effect::FailStep)));
    assert!(!format!("{refused:?}").contains("one more"), "the value itself is not shown");
    let handled = processor.process(b"::group::\xff\xfe").unwrap();
    assert_eq!(handled.lines, [LogLine::Group("\u{fffd}\u{fffd}".to_owned())]);
    assert!(processor.process(b"\xff\xfe::group::").is_none());
}
