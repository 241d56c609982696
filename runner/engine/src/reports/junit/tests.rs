//! Reports as tools write them, and as nobody should.

use super::*;

fn check(report: &str, expect: &[&str]) {
    let (cases, result) = all(report.as_bytes());
    assert_eq!(result, Ok(()), "{report}");
    let shown: Vec<_> = cases.iter().map(shown).collect();
    assert_eq!(shown, expect, "{report}");
}

fn all(report: &[u8]) -> (Vec<Case>, Result<(), ReadError>) {
    let mut cases = Vec::new();
    let result = read(report, &mut |case| {
        cases.push(case);
        true
    });
    (cases, result)
}

fn shown(case: &Case) -> String {
    let Case { suite, class, name, outcome, .. } = case;
    let place = case.file.as_ref().map(|file| format!(" {file}:{}", case.line.unwrap_or(0))).unwrap_or_default();
    let time = case.time_us.map(|time| format!(" {time}us")).unwrap_or_default();
    let retries = if case.retries > 0 { format!(" +{}", case.retries) } else { String::new() };
    let message = case.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let details = case.details.as_ref().map(|details| format!(" [{details}]")).unwrap_or_default();
    format!("{suite}/{class}/{name} {}{place}{time}{retries}{message}{details}", outcome.word())
}

#[test]
fn surefire_with_reruns() {
    check(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0.1" name="com.x.FooTest" time="1,234.5" tests="3" errors="0" skipped="0" failures="1" flakes="1">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="broken" classname="com.x.FooTest" time="0.012">
    <failure message="expected:&lt;1&gt; but was:&lt;2&gt;" type="java.lang.AssertionError"><![CDATA[java.lang.AssertionError: expected
	at com.x.FooTest.broken(FooTest.java:12)
]]></failure>
    <rerunFailure message="again" type="java.lang.AssertionError"><stackTrace><![CDATA[trace]]></stackTrace><system-out>out</system-out></rerunFailure>
    <system-out><![CDATA[<failure>not one</failure>]]></system-out>
  </testcase>
  <testcase name="flaky" classname="com.x.FooTest" time="0.5">
    <flakyFailure message="once" type="x"><stackTrace>first
second</stackTrace><system-err>noise</system-err></flakyFailure>
  </testcase>
  <testcase name="fine" classname="com.x.FooTest" time="1,234"/>
</testsuite>"#,
        &[
            "com.x.FooTest/com.x.FooTest/broken failed 12000us +1: expected:<1> but was:<2> [java.lang.AssertionError: expected\n\tat com.x.FooTest.broken(FooTest.java:12)]",
            "com.x.FooTest/com.x.FooTest/flaky flaky 500000us +1: once [first\nsecond]",
            "com.x.FooTest/com.x.FooTest/fine passed 1234000us",
        ],
    );
}

#[test]
fn nextest_pytest_jest_and_go() {
    check(
        r#"<testsuites name="nextest-run" tests="2" failures="1" uuid="x" time="0.1">
    <testsuite name="workflow::suite" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="a::ok" classname="workflow::suite" timestamp="2026-01-01T00:00:00Z" time="0.001"></testcase>
        <testcase name="a::bad" classname="workflow::suite" time="0.002">
            <failure message="thread &apos;a::bad&apos; panicked at src/a.rs:7:5" type="test failure with exit code 101">thread panicked</failure>
            <rerunFailure type="test failure with exit code 101">x</rerunFailure>
        </testcase>
    </testsuite>
</testsuites>"#,
        &[
            "workflow::suite/workflow::suite/a::ok passed 1000us",
            "workflow::suite/workflow::suite/a::bad failed 2000us +1: thread 'a::bad' panicked at src/a.rs:7:5 [thread panicked]",
        ],
    );
    check(
        r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="1" failures="0" skipped="1" tests="3" time="0.05" timestamp="2026-01-01T00:00:00" hostname="h"><testcase classname="tests.test_a" name="test_x[1&amp;2]" file="tests/test_a.py" line="3" time="0.001" /><testcase classname="tests.test_a" name="test_y" time="0"><skipped type="pytest.skip" message="not here">tests/test_a.py:9: not here</skipped></testcase><testcase classname="" name="tests.test_b" time="0.0"><error message="collection failure">ImportError &#x2026; &unknown; &amp; &lt;</error></testcase></testsuite></testsuites>"#,
        &[
            "pytest/tests.test_a/test_x[1&2] passed tests/test_a.py:3 1000us",
            "pytest/tests.test_a/test_y skipped 0us: not here [tests/test_a.py:9: not here]",
            "pytest//tests.test_b error 0us: collection failure [ImportError … &unknown; & <]",
        ],
    );
    check(
        r#"<testsuites name="jest tests"><testsuite name="sums" file="src/a.test.js"><testcase classname="sums adds" name="sums adds" time="0.003"><failure>Error: expect(received).toBe(expected)
    at Object.&lt;anonymous&gt; (src/a.test.js:5:17)</failure></testcase></testsuite></testsuites>"#,
        &[
            "sums/sums adds/sums adds failed src/a.test.js:0 3000us: Error: expect(received).toBe(expected) [Error: expect(received).toBe(expected)\n    at Object.<anonymous> (src/a.test.js:5:17)]",
        ],
    );
    check(
        r#"<testsuites tests="1"><testsuite name="example.com/x/pkg" tests="1" failures="1"><properties></properties><testcase name="TestX" classname="example.com/x/pkg" time="0,25"><failure message="Failed"><![CDATA[    x_test.go:12: got 1]]></failure></testcase></testsuite></testsuites>"#,
        &["example.com/x/pkg/example.com/x/pkg/TestX failed 250000us: Failed [    x_test.go:12: got 1]"],
    );
}

#[test]
fn nested_suites_and_what_goes_wrong_around_tests() {
    check(
        r#"<testsuites><testsuite name="outer" file="/w/x.php"><testsuite name="inner"><testcase name="a" line="4"/></testsuite><testsuite><testcase name="b" status="notrun"/></testsuite><error message="boom"/><testcase name="c" result="suppressed"/></testsuite><testsuite name="next"><testcase/></testsuite></testsuites>"#,
        &[
            "inner//a passed /w/x.php:4",
            "outer//b skipped /w/x.php:0",
            "outer//outer error /w/x.php:0: boom",
            "outer//c skipped /w/x.php:0",
            "next//(without a name) passed",
        ],
    );
    check("<testsuites/>", &[]);
    check(
        "\u{feff}<testsuite name='x'><testcase name='both'><skipped/><failure type='T'/></testcase></testsuite>",
        &["x//both failed: T"],
    );
}

#[test]
fn what_is_no_report_is_refused_and_what_is_cut_counts_so_far() {
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><testsuites><testsuite name="&lol2;"/></testsuites>"#;
    let outside =
        r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>"#;
    for text in [bomb, outside] {
        assert_eq!(all(text.as_bytes()), (Vec::new(), Err(ReadError::Entities)));
    }
    assert_eq!(all(b"").1, Err(ReadError::Empty));
    assert_eq!(all(b"tests passed\n").1, Err(ReadError::Empty));
    assert!(matches!(all(b"<html></html>").1, Err(ReadError::OtherRoot { .. })));
    assert_eq!(all("<testsuite>".repeat(100).as_bytes()).1, Err(ReadError::Depth));
    for cut in ["", "<testcase name='b'>", "<testcase name='b'><fail", "<testcase na", "<![CDATA[x"] {
        let (cases, result) = all(format!("<testsuite><testcase name='a'/>{cut}").as_bytes());
        assert!(cases.len() == 1 && matches!(result, Err(ReadError::Cut(_))), "{cut}: {result:?}");
    }
    assert!(matches!(all(b"<testsuite><testcase></testsuite>").1, Err(ReadError::Malformed { .. })));
    let mut first = 0;
    read(b"<testsuite><testcase/><testcase/></testsuite>", &mut |_| {
        first += 1;
        false
    })
    .unwrap();
    assert_eq!(first, 1);
}

#[test]
fn texts_are_bounded_and_bytes_are_taken_as_they_come() {
    let long = "ä".repeat(40_000);
    let report =
        format!("<testsuite><testcase name='{long}'><failure message='{long}'>{long}</failure></testcase></testsuite>");
    let (cases, _) = all(report.as_bytes());
    let count = |text: &Option<String>| text.as_ref().unwrap().chars().count();
    assert_eq!(cases[0].name.chars().count(), NAME_CHARS_MAX);
    assert_eq!((count(&cases[0].message), count(&cases[0].details)), (MESSAGE_CHARS_MAX, 16 * 1_024 + 3));
    for (bytes, expect) in [
        (&b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='\xfc'/></testsuite>"[..], "ü"),
        (b"<testsuite><testcase name='\xfc'/></testsuite>", "\u{fffd}"),
    ] {
        assert_eq!(all(bytes).0[0].name, expect);
    }
    let wide: Vec<u8> =
        "\u{feff}<testsuite><testcase name='ü'/></testsuite>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(all(&wide).0[0].name, "ü");
    for (text, expect) in
        [("1.5", Some(1_500_000)), ("-1", None), ("NaN", None), ("1e99", None), ("x", None), ("", None)]
    {
        assert_eq!(seconds(text), expect, "{text}");
    }
}
