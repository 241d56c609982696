//! Diagnostics as workflow commands, which GitHub turns into annotations of the commit.
//!
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message>.

use workflow::diagnostic::{Diagnostic, Severity};

use super::{Finding, advice};

/// A line for each diagnostic.
pub fn render(finding: &Finding<'_>) -> String {
    finding.diagnostics.iter().map(|diagnostic| one(finding, diagnostic)).collect()
}

fn one(finding: &Finding<'_>, diagnostic: &Diagnostic) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let place = match finding.locate(diagnostic.span) {
        None => format!("file={}", property(finding.file)),
        // GitHub takes columns only for a place in one line.
        Some(at) if at.start.line != at.end.line => {
            format!("file={},line={},endLine={}", property(at.file), at.start.line, at.end.line)
        }
        Some(at) => format!(
            "file={},line={},endLine={},col={},endColumn={}",
            property(at.file),
            at.start.line,
            at.end.line,
            at.start.column,
            at.end.column
        ),
    };
    let help = advice(diagnostic).map(|help| format!("\n{help}")).unwrap_or_default();
    let message = data(&format!("{}{help}", diagnostic.message));
    format!("::{command} {place},title={}::{message}\n", property(diagnostic.code.0))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use workflow::diagnostic::Code;
    use workflow::source::{FileId, SourceFile, SourceMap, Span};

    use super::*;

    #[test]
    fn lines_are_escaped() {
        let mut sources = SourceMap::default();
        sources.add(SourceFile::new("a,b.yml", "on: push\njobs: 1\n"));
        let at = |start, end| Span::new(FileId(0), start, end);
        let diagnostics = [
            Diagnostic::error(Code("P0001"), at(0, 2), "100% wrong\nreally").help("mend it"),
            Diagnostic::warning(Code("P0002"), at(0, 12), "long"),
            Diagnostic::error(Code("P0003"), None, "no place"),
        ];
        let finding = Finding { file: "a,b.yml", sources: &sources, diagnostics: &diagnostics };
        assert_eq!(
            render(&finding),
            "::error file=a%2Cb.yml,line=1,endLine=1,col=1,endColumn=3,title=P0001::100%25 wrong%0Areally%0Amend it\n\
             ::warning file=a%2Cb.yml,line=1,endLine=2,title=P0002::long\n\
             ::error file=a%2Cb.yml,title=P0003::no place\n"
        );
    }
}
