//! Lines that say it all, alone or with lines before them.

use std::sync::LazyLock;

use regex::Regex;

use super::Problem;
use crate::command::AnnotationLevel::{self, Error, Notice, Warning};

/// How far before a line another one may stand that belongs to it.
const LINES_BEFORE_MAX: usize = 60;

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("it is constant")
}

macro_rules! forms {
    ($($name:ident = $text:literal;)*) => { $(static $name: LazyLock<Regex> = LazyLock::new(|| regex($text));)* };
}

forms! {
    RUSTC_PLACE = r"^\s*--> (.+):(\d+):(\d+)$";
    RUSTC_MESSAGE = r"^(error|warning)(?:\[(\w+)\])?: (.+)$";
    GCC = r"^([^\s:()\[\]]+\.\w+):(\d+):(?:(\d+):)? (?:fatal )?(error|warning): (.+)$";
    TSC = r"^([^\s()][^()]*)\((\d+),(\d+)\): (error|warning) TS(\d+): (.+)$";
    TSC_PRETTY = r"^([^\s:][^:]*):(\d+):(\d+) - (error|warning) TS(\d+): (.+)$";
    STYLISH = r"^\s+(\d+):(\d+)\s+(error|warning)\s\s+(\S.*?)\s\s+([\w@/-]+)\s*$";
    COMPACT = r"^(\S.*): line (\d+), col (\d+), (Error|Warning) - (.+) \(([^()]+)\)$";
    GO = r"^(?:vet: )?([^\s:]+\.go):(\d+):(\d+): (.+)$";
    GO_TEST = r"^\s+([^\s:]+_test\.go):(\d+): (.+)$";
    GO_FAILED = r"^\s*--- FAIL: (\S+) \(";
    GO_RUNS = r"^=== (?:RUN|CONT|NAME)\s";
    LINT = r"^([^\s:][^:]*\.py):(\d+):(\d+): ([A-Z]{1,4}\d{3,4}):? (.+)$";
    PYTEST = r"^([^\s:][^:]*\.py):(\d+): ([A-Za-z_][A-Za-z0-9_.]*)$";
}

/// The problem of a line that has an anchor. `before` gives the lines before it, the last first.
pub(super) fn find<I: Iterator<Item = String>>(line: &str, before: impl Fn() -> I) -> Option<Problem> {
    rustc(line, &before)
        .or_else(|| gcc(line))
        .or_else(|| tsc(line))
        .or_else(|| eslint(line, &before))
        .or_else(|| go(line, &before))
        .or_else(|| python(line, &before))
}

fn level(word: &str) -> AnnotationLevel {
    if word.eq_ignore_ascii_case("error") { Error } else { Warning }
}

/// A problem with a column and a code.
fn problem(
    owner: &'static str,
    level: AnnotationLevel,
    message: &str,
    place: [&str; 3],
    code: Option<&str>,
) -> Problem {
    let [file, line, column] = place;
    let mut problem = Problem::new(owner, level, message, file, line);
    problem.annotation.column = column.parse().ok();
    problem.annotation.code = code.map(str::to_owned);
    problem
}

fn rustc<I: Iterator<Item = String>>(line: &str, before: &impl Fn() -> I) -> Option<Problem> {
    let place = RUSTC_PLACE.captures(line)?;
    let above = before().next()?;
    let said = RUSTC_MESSAGE.captures(&above)?;
    let code = said.get(2).map(|code| code.as_str());
    Some(problem("rustc", level(&said[1]), &said[3], [&place[1], &place[2], &place[3]], code))
}

fn gcc(line: &str) -> Option<Problem> {
    let found = GCC.captures(line)?;
    let column = found.get(3).map_or("", |column| column.as_str());
    Some(problem("gcc", level(&found[4]), &found[5], [&found[1], &found[2], column], None))
}

fn tsc(line: &str) -> Option<Problem> {
    let found = TSC.captures(line).or_else(|| TSC_PRETTY.captures(line))?;
    let code = format!("TS{}", &found[5]);
    Some(problem("tsc", level(&found[4]), &found[6], [&found[1], &found[2], &found[3]], Some(&code)))
}

fn eslint<I: Iterator<Item = String>>(line: &str, before: &impl Fn() -> I) -> Option<Problem> {
    if let Some(found) = COMPACT.captures(line) {
        let place = [&found[1], &found[2], &found[3]];
        return Some(problem("eslint-compact", level(&found[4]), &found[5], place, Some(&found[6])));
    }
    let found = STYLISH.captures(line)?;
    // The file stands above all of its problems.
    let file = before().take(LINES_BEFORE_MAX).find(|above| !STYLISH.is_match(above))?;
    let is_path = file.starts_with('/') && !file.contains(": ");
    is_path.then(|| {
        let place = [file.as_str(), &found[1], &found[2]];
        problem("eslint-stylish", level(&found[3]), &found[4], place, Some(&found[5]))
    })
}

/// The compiler and vet; what a test says of its failure, below the line that names the test.
fn go<I: Iterator<Item = String>>(line: &str, before: &impl Fn() -> I) -> Option<Problem> {
    if let Some(found) = GO.captures(line) {
        return Some(problem("go", Error, &found[4], [&found[1], &found[2], &found[3]], None));
    }
    let found = GO_TEST.captures(line)?;
    let mut above = before().take(LINES_BEFORE_MAX).take_while(|above| !GO_RUNS.is_match(above));
    let test = above.find_map(|above| Some(GO_FAILED.captures(&above)?[1].to_owned()))?;
    Some(problem("go", Error, &format!("{test}: {}", &found[3]), [&found[1], &found[2], ""], None))
}

/// flake8, ruff, pylint; the place of a failed test of pytest, whose message stands above it.
fn python<I: Iterator<Item = String>>(line: &str, before: &impl Fn() -> I) -> Option<Problem> {
    if let Some(found) = LINT.captures(line) {
        let (code, place) = (&found[4], [&found[1], &found[2], &found[3]]);
        let level = match code.as_bytes()[0] {
            b'E' | b'F' => Error,
            // Conventions and what might be written otherwise.
            b'C' | b'R' | b'I' => Notice,
            _ => Warning,
        };
        return Some(problem("flake8", level, &found[5], place, Some(code)));
    }
    let found = PYTEST.captures(line)?;
    let mut above = before().take(LINES_BEFORE_MAX);
    // pytest leaves an empty line between.
    let said = (above.next()?.is_empty()).then(|| above.next())??;
    let said = said.strip_prefix("E  ")?;
    let message = format!("{}: {}", &found[3], said.trim());
    let message = if said.trim().starts_with(&found[3]) { said } else { &message };
    Some(problem("pytest", Error, message, [&found[1], &found[2], ""], None))
}
