//! What tools print, and what only looks like it.

use super::*;

fn found(text: &str) -> Vec<String> {
    let shown = |problem: &Problem| {
        let Annotation { level, message, file, line, column, code, .. } = &problem.annotation;
        let number = |number: &Option<u32>| number.map(|number| format!(":{number}")).unwrap_or_default();
        let code = code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        let others: Vec<_> = problem.others.iter().map(|(file, line)| format!(" < {file}:{line}")).collect();
        let place = format!("{}{}{}", file.as_deref().unwrap_or_default(), number(line), number(column));
        format!("{} {} {place}{code} {message}{}", problem.owner, level.name(), others.concat())
    };
    // However the output is cut into pieces, the same is found.
    let mut results = Vec::new();
    for lines in [1, 2, 1_000] {
        let mut finder = ProblemFinder::default();
        let all: Vec<_> = text.split_inclusive('\n').collect();
        all.chunks(lines).for_each(|piece| finder.look(piece.concat().as_bytes()));
        results.push(finder.take().iter().map(shown).collect::<Vec<_>>());
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{text}: {results:#?}");
    results.remove(0)
}

#[test]
fn tools_that_are_known() {
    for (text, expected) in [
        (
            "error[E0308]: mismatched types\n  --> src/main.rs:4:5\n   |\n",
            "rustc error src/main.rs:4:5 [E0308] mismatched types",
        ),
        ("warning: unused variable: `x`\n --> src/a.rs:2:9\n", "rustc warning src/a.rs:2:9 unused variable: `x`"),
        (
            "\x1b[1m\x1b[38;5;9merror[E1]\x1b[0m\x1b[1m: bad\x1b[0m\n  \x1b[1m\x1b[94m--> \x1b[0msrc/b.rs:1:2\n",
            "rustc error src/b.rs:1:2 [E1] bad",
        ),
        (
            "thread 'tests::adds' (123) panicked at src/lib.rs:9:8:\nassertion failed: a == b\n",
            "rustc error src/lib.rs:9:8 assertion failed: a == b",
        ),
        ("main.c:3:5: error: 'x' undeclared\n", "gcc error main.c:3:5 'x' undeclared"),
        ("src/m.cc:3:5: warning: unused [-Wunused]\n", "gcc warning src/m.cc:3:5 unused [-Wunused]"),
        ("a.c:1:10: fatal error: no.h: No such file\n", "gcc error a.c:1:10 no.h: No such file"),
        (
            "pkg/m.py:3: error: Name \"x\" is not defined  [name-defined]\n",
            "gcc error pkg/m.py:3 Name \"x\" is not defined  [name-defined]",
        ),
        (
            "src/a.ts(3,5): error TS2304: Cannot find name 'x'.\n",
            "tsc error src/a.ts:3:5 [TS2304] Cannot find name 'x'.",
        ),
        ("src/a.ts:3:5 - error TS2304: No name.\n", "tsc error src/a.ts:3:5 [TS2304] No name."),
        (
            "\n/w/src/a.js\n  1:5   error    'x' is unused  no-unused-vars\n  3:1   warning  Say why  @org/say-why\n\n✖ 2 problems\n",
            "eslint-stylish error /w/src/a.js:1:5 [no-unused-vars] 'x' is unused; eslint-stylish warning /w/src/a.js:3:1 [@org/say-why] Say why",
        ),
        (
            "/w/f.js: line 1, col 2, Error - msg (rule) x (no-x)\n",
            "eslint-compact error /w/f.js:1:2 [no-x] msg (rule) x",
        ),
        ("# example.com/m\n./main.go:5:2: undefined: x\n", "go error ./main.go:5:2 undefined: x"),
        (
            "--- FAIL: TestSum (0.00s)\n    sum_test.go:8: got 1\n    --- FAIL: TestSum/deep (0.00s)\n        sum_test.go:9: got 2\nFAIL\n",
            "go error sum_test.go:8 TestSum: got 1; go error sum_test.go:9 TestSum/deep: got 2",
        ),
        ("app/a.py:3:1: F401 'os' imported but unused\n", "flake8 error app/a.py:3:1 [F401] 'os' imported but unused"),
        ("app/a.py:3:0: C0114: Missing docstring (x)\n", "flake8 notice app/a.py:3:0 [C0114] Missing docstring (x)"),
        (
            "E       assert 1 == 2\n\ntests/test_a.py:2: AssertionError\n",
            "pytest error tests/test_a.py:2 AssertionError: assert 1 == 2",
        ),
        ("E   ValueError: no\n\ntests/test_a.py:7: ValueError\n", "pytest error tests/test_a.py:7 ValueError: no"),
        (
            "Traceback (most recent call last):\n  File \"/w/app.py\", line 9, in <module>\n    run()\n    ~~~^^\n  File \"/usr/lib/x.py\", line 3, in run\n    raise ValueError('bad')\nValueError: bad\n",
            "python error /usr/lib/x.py:3 ValueError: bad < /w/app.py:9",
        ),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyboardInterrupt\r\n",
            "python error a.py:1 KeyboardInterrupt",
        ),
    ] {
        assert_eq!(found(text).join("; "), expected, "{text}");
    }
}

#[test]
fn what_is_no_problem() {
    for text in [
        "",
        "error: aborting due to 1 previous error\n",
        "warning: `shop` (lib) generated 1 warning\n",
        "note: it is here\n  --> src/main.rs:4:5\n",
        "  --> src/main.rs:4:5\n",
        "2026-01-01 12:00:00: error: it went wrong\n",
        "curl: (7) Failed: error: no route\n",
        "npm warn deprecated a@1: use b\n",
        "  3:5  error  no file above it  some-rule\n",
        "12:30:01  error  queue  worker\n",
        "2026/01/01 12:00:00 main.go:12: listening\n",
        "test_a.py::test_x PASSED\n",
        "--- FAIL: TestA (0.00s)\n=== RUN   TestB\n    b_test.go:3: just told\n",
        "    b_test.go:3: just told\n",
        "tests/test_a.py:2: DeprecationWarning\n",
        "tests/test_a.py:12: in test_x\n",
        "Traceback (most recent call last):\n\nValueError: bad\n",
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in x\nwithout a form: of an exception name!\n",
        "He said: Traceback (most recent call last):\nx\n",
        "thread 'main' panicked at the disco:\nx\n",
        "http://host.example:80:443: error: x\n",
        "[app] src/a.c:1:2: error: quoted by somebody\n",
    ] {
        assert_eq!(found(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn there_is_a_bound() {
    let many: String = (1..1_000).map(|line| format!("a.c:{line}:1: error: x\n")).collect();
    assert_eq!(found(&many).len(), FOUND_MAX);
    let twice = "a.c:1:1: error: x\n".repeat(9);
    assert_eq!(found(&twice).len(), 1);
    let mut finder = ProblemFinder::default();
    finder.look(format!("a.c:1:1: error: {}\n", "x".repeat(LINE_BYTES_MAX)).as_bytes());
    finder.look(b"\xff\xfe.py:\xff Traceback (most recent call last):\n");
    assert!(finder.take().is_empty() && finder.before.len() <= BEFORE_BYTES_MAX);
}
