//! What a run leaves: results of tests, coverage, annotations and artifacts, at its end and asked for later.

use serde_json::Value as Json;

use crate::world::{CI, World};

const WORKFLOW: &str = r#"
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: |
          mkdir -p out/deep src
          echo hello > out/deep/file.txt
          touch src/a.rs
          cat > out/junit.xml <<'END'
          <testsuite name="s"><testcase classname="C" name="good" time="0.5"/>
          <testcase classname="C" name="bad"><failure message="wrong hunterXX">at src/a.rs:7:1 hunterXX</failure></testcase></testsuite>
          END
          printf 'SF:src/a.rs\nDA:1,1\nDA:2,0\nend_of_record\n' > out/lcov.info
          sed -i s/XX/22/g out/junit.xml
          echo "::add-mask::hunter$((11 * 2))"
          echo "::warning file=src/a.rs,line=3::careful"
          echo '# Sum' >> "$GITHUB_STEP_SUMMARY"
      - uses: actions/upload-artifact@v4
        with: { name: files, path: out/deep }
      - uses: pipe/coverage-report@v1
        with: { files: "**/lcov.info" }
      - id: tests
        uses: pipe/test-report@v1
        with: { files: "out/**/junit*.xml\nout/none.xml" }
      - if: always()
        run: echo "counted ${{ steps.tests.outputs.failed }} of ${{ steps.tests.outputs.total }}"
"#;

#[test]
fn a_run_tells_what_it_left() {
    let world = World::repository(&[(CI, WORKFLOW)]);
    let output = world.output(&["run", "--host"], "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\nTests: 1 passed, 1 failed (C › bad)\n"), "{text}");
    assert!(text.contains("counted 1 of 2") && !text.contains("hunter22"), "{text}");
    let tell = |arguments: &[&str]| {
        let output = world.output(arguments, "");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let text = tell(&["show", "1"]);
    for expect in [
        "warning src/a.rs:3: careful",
        "error src/a.rs:7: C › bad: wrong ***",
        "tests: 1 passed, 1 failed (C › bad)",
        "coverage: 50.00 % of lines",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    let shown: Json = serde_json::from_str(&tell(&["show", "latest", "--json"])).unwrap();
    assert_eq!(shown["tests"]["totals"]["failed"], 1);
    assert!(shown["annotations"].as_array().unwrap().len() >= 2, "{shown}");
    assert_eq!(shown["coverage"][0]["lines"]["total"], 2);
}

#[test]
fn artifacts_are_listed_and_fetched() {
    let world = World::repository(&[(CI, WORKFLOW)]);
    assert_eq!(world.output(&["run", "--host", "-q"], "").status.code(), Some(1));
    let listed = world.output(&["artifacts", "ls"], "");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("files"), "{listed:?}");
    let listed = world.output(&["artifacts", "ls", "1", "--json"], "");
    let listed: Json = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed["artifacts"][0]["name"], &listed["artifacts"][0]["files"]), (&"files".into(), &1.into()));
    let got = world.output(&["artifacts", "get", "1", "files", "--dir", "got"], "");
    assert_eq!(got.status.code(), Some(0), "{}", String::from_utf8_lossy(&got.stderr));
    assert_eq!(std::fs::read_to_string(world.root().join("got/file.txt")).unwrap(), "hello\n");
    let all = world.output(&["artifacts", "get", "latest", "--dir", "all"], "");
    assert_eq!(all.status.code(), Some(0), "{}", String::from_utf8_lossy(&all.stderr));
    assert_eq!(std::fs::read_to_string(world.root().join("all/files/file.txt")).unwrap(), "hello\n");
    let missing = world.output(&["artifacts", "get", "1", "fiels"], "");
    assert!(missing.status.code() != Some(0) && String::from_utf8_lossy(&missing.stderr).contains("files"));
}
