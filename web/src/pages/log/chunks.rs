//! Lines as HTML, 200 to a chunk, so that a browser lays out only those that are seen; groups as `<details>`.
//!
//! A group that is cut by the end of a part goes on in the next one: [`Segment`] says what belongs into it.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::index::State;
use super::paint::paint;
use super::times::Stamp;

/// Lines of one chunk.
const CHUNK_LINES: usize = 200;

/// A piece of a log in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) kind: Kind,
    pub(crate) html: String,
    /// Whether it has a line of an error.
    pub(crate) has_error: bool,
}

/// Where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines outside of groups; an open group ends before it.
    Lines,
    /// Lines of the open group.
    InGroup,
    /// The head of a group, which opens.
    Group,
}

impl Kind {
    /// For scripts.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Lines => 0,
            Self::InGroup => 1,
            Self::Group => 2,
        }
    }
}

/// What runs write before a line: how it is shown, and a word for it.
const MARKS: [(&str, &str, &str); 6] = [
    ("##[error]", "e", "Error: "),
    ("##[warning]", "w", "Warning: "),
    ("##[notice]", "n", "Notice: "),
    ("##[debug]", "d", "Debug: "),
    ("##[command]", "c", ""),
    ("[command]", "c", ""),
];

/// Lines from number `first` on (from 1) of the step that is called `step` in addresses.
#[cfg(test)]
fn segments(step: &str, first: u64, lines: &[Vec<u8>], state: &mut State) -> Vec<Segment> {
    stamped(step, first, lines, state, &[])
}

/// Lines from number `first` on (from 1) of the step that is called `step` in addresses, with the times that are given.
pub(crate) fn stamped(step: &str, first: u64, lines: &[Vec<u8>], state: &mut State, times: &[Stamp]) -> Vec<Segment> {
    let mut all = Vec::new();
    let (mut times, mut time) = (times.iter().peekable(), String::new());
    let (mut html, mut count, mut has_error) = (String::new(), 0, false);
    for (number, line) in (first..).zip(lines) {
        let line = String::from_utf8_lossy(line);
        while let Some((_, ms)) = times.next_if(|(from, _)| *from <= number) {
            time = attribute(*ms);
        }
        let title = line.strip_prefix("##[group]");
        let ends = line.starts_with("##[endgroup]");
        if title.is_some() || ends || count == CHUNK_LINES {
            close(&mut all, state.in_group, &mut html, &mut count, &mut has_error);
        }
        if let Some(title) = title {
            state.in_group = true;
            let mut html = String::new();
            // What can be opened holds no link.
            write!(html, "<div id={step}-L{number}{time} class=g><i>{number}</i>")
                .expect("writing to memory cannot fail");
            paint(&mut state.style, title, &mut html);
            html.push_str("</div>");
            all.push(Segment { kind: Kind::Group, html, has_error: false });
            continue;
        }
        if ends {
            state.in_group = false;
            continue;
        }
        let mark = MARKS.iter().find(|(mark, _, _)| line.starts_with(mark));
        let (text, class, word) =
            mark.map_or((&*line, "", ""), |(mark, class, word)| (&line[mark.len()..], *class, *word));
        number_of(step, number, class, &time, &mut html);
        html.push_str(word);
        paint(&mut state.style, text, &mut html);
        html.push_str("</div>");
        has_error |= class == "e";
        count += 1;
    }
    close(&mut all, state.in_group, &mut html, &mut count, &mut has_error);
    all
}

/// When a line came, for the style sheet to show: it is no part of the text.
fn attribute(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.strftime(" data-t=%H:%M:%S").to_string()).unwrap_or_default()
}

fn number_of(step: &str, number: u64, class: &str, time: &str, html: &mut String) {
    let class = if class.is_empty() { String::new() } else { format!(" class={class}") };
    write!(html, "<div id={step}-L{number}{time}{class}><a href=#{step}-L{number} tabindex=-1>{number}</a>")
        .expect("writing to memory cannot fail");
}

fn close(all: &mut Vec<Segment>, in_group: bool, html: &mut String, count: &mut usize, has_error: &mut bool) {
    if *count > 0 {
        let kind = if in_group { Kind::InGroup } else { Kind::Lines };
        let html = format!("<div class=chunk>{html}</div>");
        all.push(Segment { kind, html, has_error: *has_error });
    }
    html.clear();
    (*count, *has_error) = (0, false);
}

/// Pieces as one text. A group that holds an error is open.
pub(crate) fn assemble(segments: &[Segment]) -> String {
    let mut html = String::with_capacity(segments.iter().map(|segment| segment.html.len() + 64).sum());
    let mut is_open = false;
    for (place, segment) in segments.iter().enumerate() {
        if is_open && segment.kind != Kind::InGroup {
            html.push_str("</details>");
            is_open = false;
        }
        if segment.kind == Kind::Group {
            let of_group = segments[place + 1..].iter().take_while(|segment| segment.kind == Kind::InGroup);
            let open = if of_group.into_iter().any(|segment| segment.has_error) { " open" } else { "" };
            write!(html, "<details class=group{open}><summary>{}</summary>", segment.html)
                .expect("writing to memory cannot fail");
            is_open = true;
        } else {
            html.push_str(&segment.html);
        }
    }
    if is_open {
        html.push_str("</details>");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Vec<u8>> {
        text.lines().map(|line| line.as_bytes().to_vec()).collect()
    }

    #[test]
    fn groups_fold_and_those_with_errors_are_open() {
        let text = "a\n##[group]One\nb\n##[endgroup]\n##[group]Two\n##[error]no\n##[group]Three\nc";
        let html = assemble(&segments("s2", 1, &lines(text), &mut State::default()));
        assert_eq!(html.matches("<details class=group><summary>").count(), 2, "{html}");
        assert_eq!(html.matches("<details class=group open><summary>").count(), 1, "{html}");
        assert_eq!(html.matches("</details>").count(), 3, "{html}");
        assert!(html.contains("<div id=s2-L6 class=e><a href=#s2-L6 tabindex=-1>6</a>Error: no</div>"), "{html}");
    }

    #[test]
    fn lines_tell_when_they_came() {
        let times = [(1, 0), (3, 3_723_000)];
        let html = assemble(&stamped("s", 1, &lines("a\nb\n##[group]c\nd"), &mut State::default(), &times));
        for part in ["L1 data-t=00:00:00>", "L2 data-t=00:00:00>", "L3 data-t=01:02:03 class=g>", "L4 data-t=01:02:03>"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let text = "a\n##[group]One\n\u{1b}[31mb\nc\nd\n##[endgroup]\ne\u{1b}[0m\nf";
        let all = lines(text);
        let whole = segments("s", 1, &all, &mut State::default());
        for cut in 0..=all.len() {
            let mut state = State::default();
            let mut parts = segments("s", 1, &all[..cut], &mut state);
            parts.extend(segments("s", cut as u64 + 1, &all[cut..], &mut state));
            let text = |segments: &[Segment]| assemble(segments).replace("</div><div class=chunk>", "");
            assert_eq!(text(&parts), text(&whole), "{cut}");
        }
    }

    #[test]
    fn many_groups_nest_nowhere() {
        let all: Vec<_> = (0..10_000).map(|number| format!("##[group]{number}").into_bytes()).collect();
        let html = assemble(&segments("s", 1, &all, &mut State::default()));
        assert!(!html.contains("</summary><details"), "groups lie side by side");
    }
}
