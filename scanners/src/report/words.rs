//! Words that several forms of a report share, and texts of others made harmless.
//!
//! Names and summaries come from images and databases: no terminal, page or workflow command may take them for its own.

use jiff::Timestamp;

use super::Report;
use crate::finding::{Finding, Subject};
use crate::policy::Origin;

/// Longest summary where a form has one line for it.
pub(super) const SUMMARY_CHARS_MAX: usize = 200;

/// `zlib1g`, `src/config.py:3`, `tests`.
pub(super) fn subject(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Package(package) => one_line(&package.name),
        Subject::Place(place) => match place.line {
            Some(line) => format!("{}:{line}", one_line(&place.file)),
            None => one_line(&place.file),
        },
        Subject::Whole => String::from("-"),
    }
}

/// `1.0 → 1.2`, `1.0, no fix yet`; empty where there is no package.
pub(super) fn versions(report: &Report<'_>, index: usize) -> String {
    let finding = &report.findings[index];
    let Some(package) = finding.package() else { return String::new() };
    let installed = one_line(&package.version);
    match fixed(report, index) {
        Some(fixed) => format!("{installed} → {}", one_line(&fixed)),
        None => installed,
    }
}

/// The version to go to.
pub(super) fn fixed(report: &Report<'_>, index: usize) -> Option<String> {
    let fix = report.judged(index).and_then(|judged| judged.fix.as_ref()).map(|fix| fix.fixed.clone());
    fix.or_else(|| report.findings[index].fixed_versions.first().cloned())
}

/// `Dockerfile:3: RUN …`, `base image`, `package-lock.json:7`.
pub(super) fn origin(report: &Report<'_>, index: usize) -> String {
    match report.judged(index) {
        Some(judged) => one_line(&judged.origin.words()),
        None => place(report, index).map_or_else(String::new, |(file, line)| match line {
            Some(line) => format!("{}:{line}", one_line(&file)),
            None => one_line(&file),
        }),
    }
}

/// The file and line at which tools show a finding: that of the Dockerfile, or where the package or secret stands.
pub(super) fn place(report: &Report<'_>, index: usize) -> Option<(String, Option<u32>)> {
    let finding = &report.findings[index];
    if let Some((file, line)) = report.judged(index).and_then(|judged| judged.origin.place()) {
        return Some((file.to_owned(), line));
    }
    match &finding.subject {
        Subject::Package(package) => package.locations.first().map(|location| (location.path.clone(), location.line)),
        Subject::Place(place) => Some((place.file.clone(), place.line)),
        Subject::Whole => None,
    }
}

/// Whether the place is one of a repository, so that a forge can show it; one in an image is not.
pub(super) fn is_of_repository(report: &Report<'_>, index: usize) -> bool {
    match report.judged(index).map(|judged| &judged.origin) {
        Some(Origin::Instruction { dockerfile, .. } | Origin::BaseImage { dockerfile, .. }) => dockerfile.is_some(),
        Some(Origin::File { .. }) | None => report.inventory.layers.is_empty(),
        Some(Origin::Target) => false,
    }
}

/// The summary in one line, cut.
pub(super) fn summary(finding: &Finding) -> String {
    cut(&one_line(&finding.summary), SUMMARY_CHARS_MAX)
}

/// At most so many characters, with a mark where some are missing.
pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some(_) => {
            let end = text.char_indices().nth(chars.saturating_sub(1)).map_or(0, |(end, _)| end);
            format!("{}…", text[..end].trim_end())
        }
        None => text.to_owned(),
    }
}

/// Whether a text is an address of the web as RFC 3986 writes it, so that it can stand in a document as it is.
pub(super) fn is_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(byte);
    let is_escape =
        |at: usize| rest.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let escapes = memchr::memchr_iter(b'%', rest.as_bytes());
    !rest.is_empty() && rest.bytes().all(|byte| is_plain(&byte)) && escapes.into_iter().all(is_escape)
}

/// Without line breaks, control characters and marks that turn the direction of text around.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if is_harmless(c) { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `3 critical, 2 high`; `no findings` where there are none.
pub(super) fn counts(report: &Report<'_>) -> String {
    let counts = report.counts().into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<_> = counts.map(|(severity, count)| format!("{count} {severity}")).collect();
    if words.is_empty() { "no findings".to_owned() } else { words.join(", ") }
}

/// To the second, in UTC, as standards of documents want it.
pub(super) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A name from a text that is always the same for it: a UUID (version 8, RFC 9562).
pub(super) fn uuid(text: &str) -> String {
    let digest = crate::policy::digest(text.as_bytes());
    let hex = digest.trim_start_matches("sha256:");
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// What documents of the same content on the same thing are named after.
pub(super) fn identity(report: &Report<'_>) -> String {
    let inventory = report.inventory;
    let of_image = inventory.image_id.as_deref().unwrap_or(&inventory.target);
    format!("{of_image}\n{}\n{}", inventory.target, report.made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_harmless() {
        assert_eq!(one_line("a\nb\t\u{1b}[31mred\u{202e}x\r\n"), "a b [31mred x");
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert!(
            is_address("https://x.example/a?b=%20#c") && !is_address("https://x.example/%2") && !is_address("ftp://x")
        );
        assert_eq!(uuid("a"), "ca978112-ca1b-8dca-8ac2-31b39a23dc4d");
    }
}
