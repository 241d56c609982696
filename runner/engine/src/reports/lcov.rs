//! Coverage as lcov's tracefiles have it. Follows <https://github.com/linux-test-project/lcov/blob/master/man/geninfo.1>,
//! section "TRACEFILE FORMAT". Functions and what single tests reach are passed over.

use super::coverage::{FileLines, Lines, Rate};
use super::xml::ReadError;

/// Reads a file; what it says of each source file is given to `add`.
pub(super) fn read(text: &str, add: &mut dyn FnMut(&str, FileLines)) -> Result<(), ReadError> {
    let mut open: Option<(String, FileLines)> = None;
    let mut is_any = false;
    for (index, line) in text.lines().enumerate() {
        let wrong = || ReadError::Line { line: index + 1 };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (kind, rest) = line.split_once(':').unwrap_or((line, ""));
        match (kind, &mut open) {
            ("SF", _) => {
                finish(&mut open, add);
                open = Some((rest.to_owned(), FileLines { lines: Lines::default(), branches: Rate::default() }));
            }
            ("end_of_record", _) => finish(&mut open, add),
            ("DA", Some((_, file))) => {
                let mut parts = rest.split(',');
                let line = parts.next().and_then(|line| line.trim().parse().ok()).ok_or_else(wrong)?;
                // Counts may be negative or not whole, where a tool has a bug.
                let hits: f64 = parts.next().and_then(|hits| hits.trim().parse().ok()).ok_or_else(wrong)?;
                file.lines.add(line, hits > 0.0);
            }
            ("BRF", Some((_, file))) => file.branches.total = rest.trim().parse().map_err(|_| wrong())?,
            ("BRH", Some((_, file))) => file.branches.covered = rest.trim().parse().map_err(|_| wrong())?,
            (kind, _) if is_known(kind) => {}
            (_, _) => return Err(wrong()),
        }
        is_any = true;
    }
    finish(&mut open, add);
    if is_any { Ok(()) } else { Err(ReadError::Empty) }
}

fn is_known(kind: &str) -> bool {
    !kind.is_empty() && kind.len() <= 6 && kind.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn finish(open: &mut Option<(String, FileLines)>, add: &mut dyn FnMut(&str, FileLines)) {
    if let Some((path, file)) = open.take() {
        add(&path, file);
    }
}
