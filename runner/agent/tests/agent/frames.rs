//! Frames survive any split, and bytes that are no frame are refused by name.

use agent::protocol::sync::{Scanner, marker, preamble};
use agent::protocol::{
    Cause, Decoder, Ending, Event, ExecRequest, ExitReport, FRAME_BYTES_MAX, Ladder, Request, Subject, encode,
};
use bytes::Bytes;
use proptest::prelude::*;

fn requests() -> Vec<Request> {
    let start = ExecRequest {
        id: u64::MAX,
        argv: vec!["bash".into(), "-c".into(), "echo \u{e4}\n".into()],
        env: vec![("A".into(), "=1".into())],
        cwd: Some("/".into()),
        timeout_ms: Some(1),
        ..ExecRequest::default()
    };
    vec![
        Request::Hello { version: 1 },
        Request::Start(start),
        Request::Cancel { id: 1, ladder: Some(Ladder::KILL) },
        Request::Signal { id: 1, signal: 10 },
        Request::AckOutput { id: 1, offset: u64::MAX },
        Request::AckExit { id: 1 },
        Request::Resume { id: 1, offset: 7 },
        Request::List,
        Request::WriteFile {
            ticket: 1,
            path: "/a".into(),
            mode: 0o755,
            append: true,
            bytes: Bytes::from_static(b"\0{}\xff"),
        },
        Request::ReadFile { ticket: 2, path: "/a".into(), offset: 0, max_bytes: 9 },
        Request::Remove { ticket: 3, path: "/a".into() },
        Request::MkdirAll { ticket: 4, path: "/a".into(), mode: 0o700 },
        Request::Shutdown { ladder: Ladder::default() },
    ]
}

fn events() -> Vec<Event> {
    let report = ExitReport {
        cause: Cause::OutOfMemory(Ending::Signal(9)),
        oom_kills: 2,
        user_ms: 1,
        system_ms: 2,
        max_rss_kib: 3,
        wall_ms: 4,
    };
    vec![
        Event::Output { id: 1, offset: 0, bytes: Bytes::from_static(b"\0\x01\x02\x03") },
        Event::Exited { id: 1, report, output_bytes: 4 },
        Event::File { ticket: 1, mode: 0o644, size: 3, bytes: Bytes::from_static(b"abc") },
        Event::Failed { about: Subject::Frame, reason: "x".into() },
        Event::Output { id: 2, offset: 1 << 40, bytes: Bytes::from(vec![7; 100_000]) },
        Event::Stopped { orphans: vec![] },
    ]
}

fn check_splits<M: agent::protocol::Message + PartialEq + std::fmt::Debug>(messages: &[M], pieces: &[usize]) {
    let mut bytes = Vec::new();
    for message in messages {
        encode(message, &mut bytes).unwrap();
    }
    let mut decoder = Decoder::<M>::new();
    let (mut got, mut rest) = (Vec::new(), bytes.as_slice());
    for piece in pieces.iter().copied().chain([usize::MAX]) {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        decoder.feed(now);
        rest = later;
        while let Some(message) = decoder.next().unwrap() {
            got.push(message);
        }
    }
    assert_eq!(got, messages);
    assert_eq!(decoder.pending_bytes(), 0);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages(pieces in prop::collection::vec(0_usize..300, 0..60)) {
        check_splits(&requests(), &pieces);
        check_splits(&events(), &pieces);
    }

    #[test]
    fn any_bytes_are_a_message_an_error_or_unfinished(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::<Event>::new();
        decoder.feed(&bytes);
        loop {
            match decoder.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) if error.is_fatal() => break,
                Err(_) => {}
            }
        }
    }

    #[test]
    fn a_preamble_is_found_in_any_split(before in prop::collection::vec(prop::sample::select(b"\0pipe-agent\0sync12".to_vec()), 0..60),
                                        size in 1_usize..9) {
        let wanted = marker("12");
        let mut stream = before;
        stream.extend_from_slice(&wanted);
        let end = stream.windows(wanted.len()).position(|window| window == wanted).unwrap() + wanted.len();
        let mut scanner = Scanner::new(wanted);
        let mut at = 0;
        let found = stream.chunks(size).find_map(|piece| {
            let found = scanner.scan(piece).map(|inside| at + inside);
            at += piece.len();
            found
        });
        prop_assert_eq!(found, Some(end));
    }
}

#[test]
fn bytes_one_at_a_time() {
    check_splits(&requests(), &[1; 2_000]);
}

#[test]
fn what_is_no_message_is_named_and_skipped() {
    let cases: [(&[u8], &str, bool); 7] = [
        (&[0, 0, 0, 0], "frame of 0 bytes, where 1 to 2097152 are allowed", true),
        (&[0xff, 0xff, 0xff, 0xff], "frame of 4294967295 bytes, where 1 to 2097152 are allowed", true),
        (&[0, 0, 0, 2, 9, 9], "unknown frame kind 9: the peer speaks a newer protocol", false),
        (&[0, 0, 0, 3, 3, 0, 0], "frame of kind 3 is cut short", false),
        (&[0, 0, 0, 6, 2, 0, 0, 0, 9, 0], "frame of kind 2 is cut short", false),
        (&[0, 0, 0, 2, 1, b'{'], "unreadable message: EOF while parsing an object at line 1 column 1", false),
        (b"\0\0\0\x09\x01\"dance!\"", "unreadable message: unknown variant `dance!`", false),
    ];
    for (bytes, wanted, fatal) in cases {
        let mut decoder = Decoder::<Event>::new();
        decoder.feed(bytes);
        let error = decoder.next().unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error} for {bytes:?}");
        assert_eq!(error.is_fatal(), fatal, "{error}");
        if !fatal {
            let mut next = Vec::new();
            encode(&Event::Done { ticket: 5 }, &mut next).unwrap();
            decoder.feed(&next);
            assert_eq!(decoder.next().unwrap(), Some(Event::Done { ticket: 5 }));
        }
    }
}

#[test]
fn too_many_raw_bytes_are_refused_and_leave_no_trace() {
    let mut into = b"before".to_vec();
    let long = Bytes::from(vec![0; FRAME_BYTES_MAX]);
    encode(&Event::Output { id: 1, offset: 0, bytes: long.clone() }, &mut into).unwrap_err();
    encode(&Request::WriteFile { ticket: 1, path: "/a".into(), mode: 0, append: false, bytes: long }, &mut into)
        .unwrap_err();
    let argv = vec!["x".repeat(FRAME_BYTES_MAX)];
    encode(&Request::Start(ExecRequest { argv, ..ExecRequest::default() }), &mut into).unwrap_err();
    assert_eq!(into, b"before");
}

#[test]
fn a_newer_peer_may_say_more() {
    let mut decoder = Decoder::<Request>::new();
    let json = br#"{"start":{"id":1,"argv":["true"],"colour":"red"}}"#;
    decoder.feed(&[&[0, 0, 0, u8::try_from(json.len() + 1).unwrap(), 1], json.as_slice()].concat());
    let wanted = ExecRequest { id: 1, argv: vec!["true".into()], ..ExecRequest::default() };
    assert_eq!(decoder.next().unwrap(), Some(Request::Start(wanted)));
}

#[test]
fn the_preamble_is_the_marker_and_the_nonce() {
    assert_eq!(preamble("t", [7; 16]), [marker("t"), vec![7; 16]].concat());
}
