//! Places of events, and that nothing makes the parser panic.

use proptest::prelude::*;

use super::*;
use crate::source::{FileId, SourceFile};

/// `what line:column` of each event but ends and aliases.
fn places(text: &str) -> Vec<String> {
    let file = SourceFile::new("t.yml", text);
    let stream = parse(text, FileId(0));
    let place = |event: &Event| {
        let position = file.position(event.span.start);
        format!("{}:{}", position.line, position.column)
    };
    let mut seen: Vec<String> = stream
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Scalar(scalar) => Some(format!("{} {}", scalar.text.escape_debug(), place(event))),
            EventKind::SequenceStart => Some(format!("[ {}", place(event))),
            EventKind::MappingStart => Some(format!("{{ {}", place(event))),
            EventKind::SequenceEnd | EventKind::MappingEnd | EventKind::Alias(_) => None,
        })
        .collect();
    match stream.ending {
        Ending::Complete => {}
        Ending::Empty => seen.push("empty".to_owned()),
        Ending::AnotherDocument(_) => seen.push("another".to_owned()),
        Ending::Broken(error) => seen.push(error.message),
    }
    seen
}

#[test]
fn events_are_where_github_says() {
    for (text, expected) in [
        ("on: push", "{ 1:1|on 1:1|push 1:5"),
        ("a:\n  b: # c\n  c:\nd:", "{ 1:1|a 1:1|{ 2:3|b 2:3| 2:5|c 3:3| 3:5|d 4:1| 4:3"),
        ("a:\n- 1\n-\n- # x\nb: 2", "{ 1:1|a 1:1|[ 2:1|1 2:3| 3:2| 4:2|b 5:1|2 5:4"),
        ("a:\n- &x b\n- c\nd: &y\n- e", "{ 1:1|a 1:1|[ 2:1|b 2:3|c 3:3|d 4:1|[ 4:4|e 5:3"),
        (
            "a:\n- []\n- -\nd: !!x\n- >\n  e\n- &x\n-",
            "{ 1:1|a 1:1|[ 2:1|[ 2:3|[ 3:3| 3:4|d 4:1|[ 4:4|e\\n 5:3| 7:3| 8:2",
        ),
        ("a: # c\n  - b: 1\n    c:\n  - d", "{ 1:1|a 1:1|[ 2:3|{ 2:5|b 2:5|1 2:8|c 3:5| 3:7|d 4:5"),
        ("a: |  # c\n  b\n\nc: >-\n  d\n", "{ 1:1|a 1:1|b\\n 1:4|c 4:1|d 4:4"),
        ("- |\n a\n- - >\n    b", "[ 1:1|a\\n 1:3|[ 3:3|b 3:5"),
        ("a: !!str 1\nb: &x 2\nc: &y !!int\n  3", "{ 1:1|a 1:1|1 1:4|b 2:1|2 2:4|c 3:1|3 3:4"),
        ("a: !!str |\n  x\nb: &m\n  c: 1", "{ 1:1|a 1:1|x\\n 1:4|b 3:1|{ 3:4|c 4:3|1 4:6"),
        ("ä: 'ü' # é\nb: [\"x\", {y: z}]", "{ 1:1|ä 1:1|ü 1:4|b 2:1|[ 2:4|x 2:5|{ 2:10|y 2:11|z 2:14"),
        ("a: |\n  b", "{ 1:1|a 1:1|b 1:4"),
        ("a: |\n  b\n  ", "{ 1:1|a 1:1|b\\n 1:4"),
        ("a: |+\n  b\n\n", "{ 1:1|a 1:1|b\\n\\n 1:4"),
        ("", "empty"),
        ("# only this\n", "empty"),
        ("---\na\n---\nb", "a 2:1|another"),
        (
            "a: b: c",
            "{ 1:1|a 1:1|b 1:4|(Line: 1, Col: 5, Idx: 4) - (Line: 1, Col: 5, Idx: 4): Mapping values are not allowed in this context.",
        ),
        (
            "a: @b",
            "{ 1:1|a 1:1|(Line: 1, Col: 4, Idx: 3) - (Line: 1, Col: 4, Idx: 3): While scanning for the next token, found character that cannot start any token.",
        ),
    ] {
        assert_eq!(places(text).join("|"), expected, "{text}");
    }
}

#[test]
fn brackets_may_hold_lines_of_any_indentation() {
    for (text, expected) in [
        ("a:\n  b: [\nx, y\n]\n  c: 1", "{ 1:1|a 1:1|{ 2:3|b 2:3|[ 2:6|x 3:1|y 3:4|c 5:3|1 5:6"),
        ("a:\n  b: [\n  \"x\"\n  ]\nc: 1", "{ 1:1|a 1:1|{ 2:3|b 2:3|[ 2:6|x 3:3|c 5:1|1 5:4"),
        (
            "- - {\nx: 1, # ]\n y: 'its ]',\n\nz: dt' }\n  - 2",
            "[ 1:1|[ 1:3|{ 1:5|x 2:1|1 2:4|y 3:2|its ] 3:5|z 5:1|dt\\' 5:4|2 6:5",
        ),
        (
            "a:\n  ä: [ü,\n\"x\n y\"\n]\n  b: {\nc: [\n1\n]}\nd: 2",
            "{ 1:1|a 1:1|{ 2:3|ä 2:3|[ 2:6|ü 2:7|x y 3:1|b 6:3|{ 6:6|c 7:1|[ 7:4|1 8:1|d 10:1|2 10:4",
        ),
        // What is wrong elsewhere is told where it was written.
        (
            "a:\n  b: [\nx\n]\n  c: d: e",
            "{ 1:1|a 1:1|{ 2:3|b 2:3|[ 2:6|x 3:1|c 5:3|d 5:6|(Line: 5, Col: 7, Idx: 20) - (Line: 5, Col: 7, Idx: 20): Mapping values are not allowed in this context.",
        ),
        // Without an end it stays what it was.
        (
            "a:\n  b: [\nx\nc: 1",
            "{ 1:1|a 1:1|{ 2:3|b 2:3|[ 2:6|(Line: 3, Col: 1, Idx: 10) - (Line: 3, Col: 1, Idx: 10): Invalid indentation.",
        ),
    ] {
        assert_eq!(places(text).join("|"), expected, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)] {
        let stream = parse(&text, FileId(0));
        assert!(
            matches!(stream.ending, Ending::Broken(ref error) if error.kind == SyntaxKind::TooDeep),
            "{:?}",
            stream.ending
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_stream(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(text) = decode(&bytes) {
            let _ = parse(&text, FileId(0));
        }
    }

    #[test]
    fn any_yaml_like_text_has_sound_places(text in "[-a:?&*!|>'\"\\[\\]{},# \n\té%@`x1]{0,60}") {
        let stream = parse(&text, FileId(0));
        for event in &stream.events {
            prop_assert!(event.span.start <= event.span.end);
            prop_assert!(text.get(event.span.start as usize..event.span.end as usize).is_some());
        }
        if let Ok(mut cursor) = Cursor::new(&stream) {
            while cursor.current().is_some() && cursor.advance().is_ok() {}
        }
    }
}
