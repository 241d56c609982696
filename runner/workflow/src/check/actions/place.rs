//! Where in a file a part of an input's text stands, if the text is YAML itself.
//!
//! The text is read again, and the part's line found in the file: a block (`|`) keeps lines, and a text of one line stands there
//! as it is. Where quoting or folding changed it, the whole value is all that can be said.

use std::ops::Range;

use super::super::lines;
use crate::source::{FileId, SourceFile, Span};
use crate::yaml::{Event, EventKind, parse};

/// The place of `path` ([`crate::catalogue::Wrong::place`]) in the value at `value` with this content; of the value if it is on one
/// line, else of its key, where nothing narrower can be told.
pub(super) fn find(source: &SourceFile, key: Span, value: Span, content: &str, path: &str) -> Span {
    let part = (!path.is_empty()).then(|| in_content(content, path)).flatten();
    if let Some(found) = part.and_then(|part| in_source(source, value, content, part)) {
        return found;
    }
    if lines::raw(source, value).contains('\n') { key } else { value }
}

/// The bytes of a part of YAML.
fn in_content(content: &str, path: &str) -> Option<Range<usize>> {
    let stream = parse(content, FileId(0));
    let (path, wants_key) = path.strip_suffix(':').map_or((path, false), |path| (path, true));
    let (mut at, mut rest) = (0, path);
    while !rest.is_empty() {
        let end = rest.char_indices().skip(1).find(|(_, c)| matches!(c, '.' | '[')).map_or(rest.len(), |(at, _)| at);
        let (segment, behind) = rest.split_at(end);
        rest = behind;
        let found = match segment.strip_prefix('.') {
            Some(name) => entry(&stream.events, at, name, wants_key && rest.is_empty()),
            None => item(&stream.events, at, segment.trim_matches(['[', ']']).parse().ok()?),
        };
        // What is missing is missing in what was found so far.
        let Some(found) = found else { break };
        at = found;
    }
    let span = stream.events.get(at)?.span;
    let last = stream.events.get(behind(&stream.events, at).checked_sub(1)?)?.span;
    Some(span.start as usize..(last.end.max(span.end)) as usize)
}

/// The index behind the node that begins at one.
fn behind(events: &[Event], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, event) in events.iter().enumerate().skip(at) {
        match event.kind {
            EventKind::SequenceStart | EventKind::MappingStart => depth += 1,
            EventKind::SequenceEnd | EventKind::MappingEnd => depth = depth.saturating_sub(1),
            EventKind::Scalar(_) | EventKind::Alias(_) => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    events.len()
}

/// Item `number`, from 1, of the sequence that begins at an index.
fn item(events: &[Event], at: usize, number: usize) -> Option<usize> {
    matches!(events.get(at)?.kind, EventKind::SequenceStart).then_some(())?;
    let mut index = at + 1;
    for _ in 1..number {
        index = behind(events, index);
    }
    (!matches!(events.get(index)?.kind, EventKind::SequenceEnd)).then_some(index)
}

/// The value of a key, or the key itself, of the mapping that begins at an index.
fn entry(events: &[Event], at: usize, name: &str, wants_key: bool) -> Option<usize> {
    matches!(events.get(at)?.kind, EventKind::MappingStart).then_some(())?;
    let mut index = at + 1;
    loop {
        let key = &events.get(index)?.kind;
        if matches!(key, EventKind::MappingEnd) {
            return None;
        }
        let value = behind(events, index);
        if matches!(key, EventKind::Scalar(key) if &*key.text == name) {
            return Some(if wants_key { index } else { value });
        }
        index = behind(events, value);
    }
}

/// The place in the file of some bytes of a scalar's content; the first line of them.
fn in_source(source: &SourceFile, value: Span, content: &str, part: Range<usize>) -> Option<Span> {
    let raw = lines::raw(source, value);
    let line_start = content.get(..part.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = content[line_start..].lines().next()?;
    let number = content[..line_start].matches('\n').count();
    let is_block = raw.starts_with('|');
    let (above, raw_line) = if is_block {
        let mut rest = raw.split_inclusive('\n');
        let above: usize = rest.by_ref().take(number + 1).map(str::len).sum();
        (above, rest.next()?)
    } else if content.trim_end_matches('\n').contains('\n') {
        return None;
    } else {
        (0, raw)
    };
    let start = above + raw_line.find(line)? + (part.start - line_start);
    let length = part.len().min(line.trim_end().len() - (part.start - line_start).min(line.trim_end().len()));
    Some(value.part(start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{NoFiles, ReadOptions, read_workflow};

    /// The marked text of a path in `steps:`.
    fn check(steps: &str, path: &str, expected: &str) {
        let text = format!(
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: a/b@c\n        with:\n          steps: {steps}\n"
        );
        let source = SourceFile::new("a.yml", text.as_str());
        let reading = read_workflow(source.clone(), &NoFiles, &ReadOptions::default());
        let workflow = reading.workflow.expect("it can be read");
        let job = workflow.jobs.values().next().expect("there is a job");
        let crate::model::JobKind::Steps(job) = &job.kind else { panic!("a job with steps") };
        let crate::model::StepKind::Uses { with: Some(with), .. } = &job.steps[0].kind else {
            panic!("a step with inputs")
        };
        let (key, value) = &with.as_mapping().expect("a mapping")[0];
        let content = value.literal_text().expect("a literal");
        let found = find(&source, key.span, value.span, &content, path);
        assert_eq!(lines::raw(&source, found), expected, "{steps}: {path}");
    }

    #[test]
    fn parts_of_texts_are_found_in_the_file() {
        let block = "|\n            # äöü\n            - { weight: 10, for: 5m }\n            - weight: 5\n              fro: 1m";
        check(block, "[1].weight", "10");
        check(block, "[2].weight", "5");
        check(block, "[2].fro:", "fro");
        check(block, "[1]", "{ weight: 10, for: 5m }");
        check(block, "[2].pause", "weight: 5");
        check(block, "[3].weight", "- { weight: 10, for: 5m }");
        check(block, "", "steps");
        check("'[{ weight: 10 }, { weight: 5 }]'", "[2].weight", "5");
        check("'[{ weight: 10 }]'", "", "'[{ weight: 10 }]'");
        check("\"[{ weight: \\x310 }]\"", "[1].weight", "\"[{ weight: \\x310 }]\"");
        check(">-\n            [{ weight: 10 },\n            { weight: 5 }]", "[2].weight", "steps");
    }
}
