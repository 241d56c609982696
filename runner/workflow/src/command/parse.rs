//! One line of output as a workflow command: `::name key=value,key=value::data` or the older `##[name key=value;]data`.
//!
//! It knows the syntax and the names, not what is allowed at the moment; that is `processor.rs`. Unlike GitHub's runner the
//! older form counts only at the start of a line (after whitespace), because text that a step merely quotes must not command
//! the runner. Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use super::annotation::{Annotation, AnnotationLevel};
use crate::secret::Secret;

/// A command before its meaning is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCommand {
    /// As written; names compare without regard to case.
    pub name: String,
    /// In the order written, values unescaped, none empty; keys compare without regard to case and the last one wins.
    pub properties: Vec<(String, String)>,
    /// The rest of the line, unescaped.
    pub data: String,
}

/// What a line of output asks for.
#[derive(Clone, Debug)]
pub enum WorkflowCommand {
    /// `::set-output name=…::value`, deprecated by GitHub; `name` is empty when it is missing.
    SetOutput { name: String, value: String },
    /// `::save-state name=…::value`, deprecated by GitHub; `name` is empty when it is missing.
    SaveState { name: String, value: String },
    /// `::set-env name=…::value`, refused unless the workflow opts in.
    SetEnv { name: String, value: String },
    /// `::add-path::directory`, refused unless the workflow opts in.
    AddPath(String),
    /// `::add-mask::value`
    AddMask(Secret),
    /// `::debug::text`
    Debug(String),
    /// `::notice …::text`, `::warning …::text`, `::error …::text`; the place is as written, not checked yet.
    Annotate(Annotation),
    /// `::group::title`
    Group(String),
    /// `::endgroup::`
    EndGroup,
    /// `::stop-commands::token`
    StopCommands(String),
    /// `::echo::on` or `off`; the value is as written.
    Echo(String),
    /// `::add-matcher::file`
    AddMatcher(String),
    /// `::remove-matcher owner=…::` or `::remove-matcher::file`; both as written, so both may be there or none.
    RemoveMatcher { owner: String, file: String },
    /// Any other name: ordinary output, or the token that ends `stop-commands`.
    Unknown(RawCommand),
}

/// Reads one line without its line break. `None` is ordinary output.
#[must_use]
pub fn parse_command(line: &str) -> Option<WorkflowCommand> {
    parse_current(line).or_else(|| parse_old(line)).map(typed)
}

/// With one of these a command begins, after white space.
pub(super) const COMMAND_MARKS: [&str; 2] = ["::", "##["];

/// Whether a line that starts with these bytes may be a command; false for nearly all output, at nearly no cost.
pub(super) fn may_be_command(line: &[u8]) -> bool {
    let start = line.iter().position(|byte| !is_ascii_space(*byte));
    // Unicode spaces begin with these bytes; the parser looks closer.
    start.is_some_and(|at| matches!(line[at], b':' | b'#' | 0xC2 | 0xE1 | 0xE2 | 0xE3))
}

fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0D)
}

impl RawCommand {
    /// A property; empty if it is not there.
    fn property(&self, key: &str) -> String {
        let found = self.properties.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.property(key).trim().parse().ok()
    }

    fn annotation(self, level: AnnotationLevel) -> WorkflowCommand {
        let text = |key| Some(self.property(key)).filter(|value| !value.is_empty());
        WorkflowCommand::Annotate(Annotation {
            level,
            title: text("title"),
            file: text("file"),
            line: self.number("line"),
            end_line: self.number("endLine"),
            column: self.number("col"),
            end_column: self.number("endColumn"),
            code: None,
            message: self.data,
        })
    }
}

fn typed(raw: RawCommand) -> WorkflowCommand {
    match raw.name.to_ascii_lowercase().as_str() {
        "set-output" => WorkflowCommand::SetOutput { name: raw.property("name"), value: raw.data },
        "save-state" => WorkflowCommand::SaveState { name: raw.property("name"), value: raw.data },
        "set-env" => WorkflowCommand::SetEnv { name: raw.property("name"), value: raw.data },
        "add-path" => WorkflowCommand::AddPath(raw.data),
        "add-mask" => WorkflowCommand::AddMask(Secret::new(raw.data)),
        "debug" => WorkflowCommand::Debug(raw.data),
        "notice" => raw.annotation(AnnotationLevel::Notice),
        "warning" => raw.annotation(AnnotationLevel::Warning),
        "error" => raw.annotation(AnnotationLevel::Error),
        "group" => WorkflowCommand::Group(raw.data),
        "endgroup" => WorkflowCommand::EndGroup,
        "stop-commands" => WorkflowCommand::StopCommands(raw.data),
        "echo" => WorkflowCommand::Echo(raw.data),
        "add-matcher" => WorkflowCommand::AddMatcher(raw.data),
        "remove-matcher" => WorkflowCommand::RemoveMatcher { owner: raw.property("owner"), file: raw.data },
        _ => WorkflowCommand::Unknown(raw),
    }
}

/// Whether `::name::` means something to the runner, so that it cannot serve as a stop token.
pub(super) fn is_command_name(name: &str) -> bool {
    let raw = RawCommand { name: name.to_owned(), properties: Vec::new(), data: String::new() };
    !matches!(typed(raw), WorkflowCommand::Unknown(_))
}

fn parse_current(line: &str) -> Option<RawCommand> {
    let (head, data) = line.trim_start().strip_prefix(COMMAND_MARKS[0])?.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let escapes = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
    Some(RawCommand {
        name: name.to_owned(),
        properties: parse_properties(properties.trim(), ',', &escapes),
        data: unescape(data, &escapes[..2]),
    })
}

fn parse_old(line: &str) -> Option<RawCommand> {
    let (head, data) = line.trim_start().strip_prefix(COMMAND_MARKS[1])?.split_once(']')?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let escapes = [("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%")];
    Some(RawCommand {
        name: name.to_owned(),
        properties: parse_properties(properties, ';', &escapes),
        data: unescape(data, &escapes),
    })
}

/// `key=value` pairs; a pair without a key or without a value does not count, and further `=` belong to the value.
fn parse_properties(text: &str, separator: char, escapes: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (key, value) = part.trim_start_matches('=').split_once('=')?;
        let value = value.trim_start_matches('=');
        (!value.is_empty()).then(|| (key.to_owned(), unescape(value, escapes)))
    };
    text.split(separator).filter_map(pair).collect()
}

/// Replaces one escape after the other, `%25` always last, so that `%250A` becomes `%0A`. Lower case is no escape.
fn unescape(text: &str, escapes: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    if text.contains('%') {
        for (escape, character) in escapes.iter().chain(&[("%25", "%")]) {
            text = text.replace(escape, character);
            if *escape == "%25" {
                break;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{RawCommand, is_command_name, may_be_command, parse_command, parse_current, parse_old};

    fn show(raw: Option<RawCommand>) -> String {
        raw.map_or("-".to_owned(), |raw| format!("{} {:?} {:?}", raw.name, raw.properties, raw.data))
    }

    #[test]
    fn current_form() {
        for (line, expect) in [
            ("::do-it k1=v1,::msg", r#"do-it [("k1", "v1")] "msg""#),
            ("::do-it::", r#"do-it [] """#),
            ("::do-it k1=;=%2C=%0D=%0A=]=%3A,::;-%0D-%0A-]-:-,", r#"do-it [("k1", ";=,=\r=\n=]=:")] ";-\r-\n-]-:-,""#),
            (
                "::do-it k1=;=%252C=%250D=%250A=]=%253A,::;-%250D-%250A-]-:-,",
                r#"do-it [("k1", ";=%2C=%0D=%0A=]=%3A")] ";-%0D-%0A-]-:-,""#,
            ),
            ("::do-it k1=,k2=,::", r#"do-it [] """#),
            ("::do-it =v,=k=v,a==b::", r#"do-it [("k", "v"), ("a", "b")] """#),
            ("   ::do-it k1=v1,::msg", r#"do-it [("k1", "v1")] "msg""#),
            ("\u{a0}\t::do-it::msg", r#"do-it [] "msg""#),
            ("   >>>   ::do-it k1=v1,::msg", "-"),
            ("::do-it  k1=v 1 , k2=v2 ::a::b", r#"do-it [("k1", "v 1 "), (" k2", "v2")] "a::b""#),
            ("::do-it::100%25 %3A %0a", r#"do-it [] "100% %3A %0a""#),
            ("::do-it", "-"),
            ("::do-it:", "-"),
            ("", "-"),
        ] {
            assert_eq!(show(parse_current(line)), expect, "{line}");
        }
    }

    #[test]
    fn old_form() {
        for (line, expect) in [
            ("##[do-it k1=v1;]msg", r#"do-it [("k1", "v1")] "msg""#),
            ("##[do-it]", r#"do-it [] """#),
            ("##[do-it k1=%3B=%0D=%0A=%5D;]%3B-%0D-%0A-%5D", r#"do-it [("k1", ";=\r=\n=]")] ";-\r-\n-]""#),
            ("##[do-it k1=%253B=%250D=%250A=%255D;]%253B-%250D", r#"do-it [("k1", "%3B=%0D=%0A=%5D")] "%3B-%0D""#),
            ("##[do-it k1=;k2=;]", r#"do-it [] """#),
            // GitHub accepts this one; see the head of the file.
            (">>>   ##[do-it k1=v1;]msg", "-"),
            ("##[do-it", "-"),
        ] {
            assert_eq!(show(parse_old(line)), expect, "{line}");
        }
    }

    #[test]
    fn typed_commands() {
        for (line, expect) in [
            ("::set-output name=a::b", r#"SetOutput { name: "a", value: "b" }"#),
            ("::SET-OUTPUT NAME=a::b", r#"SetOutput { name: "a", value: "b" }"#),
            ("::save-state name=a,name=c::b", r#"SaveState { name: "c", value: "b" }"#),
            ("##[set-env name=a;]b", r#"SetEnv { name: "a", value: "b" }"#),
            ("::add-path::/x", r#"AddPath("/x")"#),
            ("::add-mask::s%0At", "AddMask(Secret(***))"),
            ("::debug::x", r#"Debug("x")"#),
            ("::group::My title", r#"Group("My title")"#),
            ("##[group]My title", r#"Group("My title")"#),
            ("::endgroup::", "EndGroup"),
            ("::stop-commands::t", r#"StopCommands("t")"#),
            ("::echo::on", r#"Echo("on")"#),
            ("::add-matcher::m.json", r#"AddMatcher("m.json")"#),
            ("::remove-matcher owner=x::", r#"RemoveMatcher { owner: "x", file: "" }"#),
            ("::token::", r#"Unknown(RawCommand { name: "token", properties: [], data: "" })"#),
            (
                "::error file=a.js,line=10,endLine=11,col= 1 ,endColumn=x,title=T%3A::m%0An",
                r#"Annotate(Annotation { level: Error, message: "m\nn", title: Some("T:"), file: Some("a.js"), line: Some(10), end_line: Some(11), column: Some(1), end_column: None, code: None })"#,
            ),
        ] {
            assert_eq!(format!("{:?}", parse_command(line).unwrap()), expect, "{line}");
            assert!(may_be_command(line.as_bytes()) && may_be_command(format!(" \t{line}").as_bytes()));
        }
        for line in ["", "x", "echo ::error::", "x ##[error]", "::error", "#[error]", "   "] {
            assert!(parse_command(line).is_none(), "{line}");
        }
        assert!(!may_be_command(b"plain") && !may_be_command(b"  ") && may_be_command("\u{3000}::x::".as_bytes()));
        assert!(is_command_name("Set-Env") && is_command_name("stop-commands") && !is_command_name("token"));
    }
}
