//! Diagnostics for the terminal: what is wrong, the lines with marks, what to do.

use std::fmt::Write;

use anstyle::AnsiColor;
use workflow::diagnostic::{Diagnostic, Severity};
use workflow::source::{FileId, SourceFile, Span};

use super::snippet::{self, Mark};
use super::{Finding, word};
use crate::terminal::Terminal;

/// All diagnostics of a file, an empty line after each.
pub fn render(finding: &Finding<'_>, terminal: Terminal) -> String {
    let mut text = String::new();
    for diagnostic in finding.diagnostics {
        one(finding, diagnostic, terminal, &mut text);
        text.push('\n');
    }
    text
}

fn color(severity: Severity) -> AnsiColor {
    match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    }
}

fn one(finding: &Finding<'_>, diagnostic: &Diagnostic, terminal: Terminal, text: &mut String) {
    let color = color(diagnostic.severity);
    let head = format!("{}[{}]", word(diagnostic.severity), diagnostic.code.0);
    line(
        text,
        format_args!("{}{}", terminal.strong(color, &head), terminal.bold(&format!(": {}", diagnostic.message))),
    );
    let groups = marks(finding, diagnostic);
    let width = groups.iter().flat_map(|(_, marks)| marks).map(|mark| mark.line.to_string().len()).max().unwrap_or(1);
    let rule = |sign: &str| terminal.tint(AnsiColor::Blue, &format!("{:width$} {sign}", ""));
    for (file, marks) in &groups {
        let Some(source) = finding.sources.get(*file) else { continue };
        let first = marks.iter().find(|mark| mark.primary).or(marks.first());
        let place = first.map(|mark| format!("{}:{}:{}", source.name(), mark.line, mark.column)).unwrap_or_default();
        line(text, format_args!("{} {place}", rule("┌─")));
        line(text, format_args!("{}", rule("│")));
        lines(source, marks, terminal, color, width, text);
    }
    if groups.is_empty() && !diagnostic.message.contains(finding.file) {
        line(text, format_args!("{} {}", rule("┌─"), finding.file));
    }
    if let Some(help) = &diagnostic.help {
        let mut words = help.lines();
        let first = words.next().unwrap_or_default();
        line(text, format_args!("{} {} {first}", rule("="), terminal.bold("help:")));
        for more in words {
            line(text, format_args!("{:width$}         {more}", ""));
        }
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.write_fmt(words).and_then(|()| text.write_char('\n')).expect("a String takes everything");
}

/// The marks by file, that of the diagnostic first, each file's by line.
fn marks(finding: &Finding<'_>, diagnostic: &Diagnostic) -> Vec<(FileId, Vec<Mark>)> {
    let primary = diagnostic.span.map(|span| (span, diagnostic.label.clone().unwrap_or_default(), true));
    let related = diagnostic.related.iter().map(|(span, words)| (*span, words.clone(), false));
    let mut groups: Vec<(FileId, Vec<Mark>)> = Vec::new();
    for (span, words, primary) in primary.into_iter().chain(related) {
        let Some(mark) = mark(finding, span, words, primary) else { continue };
        match groups.iter_mut().find(|(file, _)| *file == span.file) {
            Some((_, marks)) => marks.push(mark),
            None => groups.push((span.file, vec![mark])),
        }
    }
    for (_, marks) in &mut groups {
        marks.sort_by_key(|mark| (mark.line, mark.column));
    }
    groups
}

/// Of a span over several lines the first is marked.
fn mark(finding: &Finding<'_>, span: Span, words: String, primary: bool) -> Option<Mark> {
    let located = finding.locate(Some(span))?;
    let (start, end) = (located.start, located.end);
    let end_column = if end.line > start.line { u32::MAX } else { end.column };
    Some(Mark { line: start.line, column: start.column, end_column, words, primary })
}

fn lines(source: &SourceFile, marks: &[Mark], terminal: Terminal, color: AnsiColor, width: usize, text: &mut String) {
    let blue = |words: &str| terminal.tint(AnsiColor::Blue, words);
    let mut last = None;
    for mark in marks {
        let shown = snippet::show(source, mark);
        if last.is_some_and(|last| mark.line > last + 1) {
            line(text, format_args!("{}", blue(&format!("{:width$} ·", ""))));
        }
        if last != Some(mark.line) {
            let number = blue(&format!("{:>width$} │", mark.line));
            line(text, format_args!("{}", format!("{number} {}", shown.code).trim_end()));
        }
        let (sign, color) = if mark.primary { ("^", color) } else { ("─", AnsiColor::Blue) };
        let under = terminal.strong(color, format!("{} {}", sign.repeat(shown.length), mark.words).trim_end());
        line(
            text,
            format_args!("{} {:indent$}{under}", blue(&format!("{:width$} │", "")), "", indent = shown.indentation),
        );
        last = Some(mark.line);
    }
}

#[cfg(test)]
mod tests {
    use workflow::diagnostic::Code;
    use workflow::source::SourceMap;

    use super::*;

    const TEXT: &str = "on: push\njobs:\n  build:\n    runs-on: x\n  test:\n    needs: biuld\n";

    fn check(diagnostic: Diagnostic, expected: &str) {
        let mut sources = SourceMap::default();
        sources.add(SourceFile::new("ci.yml", TEXT));
        let finding = Finding { file: "ci.yml", sources: &sources, diagnostics: &[diagnostic] };
        let terminal = Terminal { color: false, interactive: false };
        assert_eq!(render(&finding, terminal), expected);
    }

    fn span(words: &str) -> Span {
        let start = u32::try_from(TEXT.find(words).unwrap()).unwrap();
        Span::new(FileId(0), start, start + u32::try_from(words.len()).unwrap())
    }

    #[test]
    fn marks_stand_below_their_words() {
        let diagnostic =
            Diagnostic::error(Code("P0511"), span("biuld"), "job `test` needs `biuld`, which does not exist");
        check(
            diagnostic
                .label("unknown job")
                .related(span("build"), "a similar name")
                .help("did you mean `build`?\nor not"),
            "error[P0511]: job `test` needs `biuld`, which does not exist\n  ┌─ ci.yml:6:12\n  │\n3 │   build:\n  │   ───── \
             a similar name\n  ·\n6 │     needs: biuld\n  │            ^^^^^ unknown job\n  = help: did you mean \
             `build`?\n          or not\n\n",
        );
        let whole = Diagnostic::warning(Code("P0001"), None, "nothing to see");
        check(whole, "warning[P0001]: nothing to see\n  ┌─ ci.yml\n\n");
        let lines = Diagnostic::warning(Code("P0001"), span("build:\n    runs-on"), "two lines");
        check(lines, "warning[P0001]: two lines\n  ┌─ ci.yml:3:3\n  │\n3 │   build:\n  │   ^^^^^^\n\n");
    }
}
