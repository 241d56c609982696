//! `pipe check` and `pipe explain`.

use std::os::unix::fs::symlink;

use crate::world::{CI, World};

const GOOD: &str = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ls\n";
const BROKEN: &str = "on: push\njobs: {a: b: c}\n";

#[test]
fn files_folders_and_what_is_no_workflow() {
    let world =
        World::new(&[("good.yml", GOOD), ("broken.yml", BROKEN), ("empty.yml", "\n"), ("deep/more.yaml", GOOD)]);
    world.write("utf16.yml", b"\xFF\xFEo\0n\0");
    world.write("binary.yml", b"\x7fELF\0\x01\x02");
    world.write("huge.yml", &vec![b'#'; 600 * 1024]);
    symlink("gone.yml", world.root().join("link.yml")).unwrap();
    insta::assert_snapshot!(world.told(&[
        &["check", "good.yml"],
        &["check", "broken.yml", "god.yml"],
        &["check", "empty.yml", "utf16.yml", "binary.yml", "huge.yml", "link.yml", "/dev/null"],
        &["check", "--format", "json", "."],
        &["check", "--format", "github", "broken.yml"],
        &["check", "nowhere"],
        &["check"],
    ]));
}

#[test]
fn a_repository_is_checked_whole_and_calls_are_followed() {
    let caller = "on: push\njobs:\n  a:\n    uses: ./.github/workflows/called.yml\n  b:\n    uses: ./.github/workflows/calld.yml\n";
    let called = "on: workflow_call\njobs:\n  x:\n    runs-on: ubuntu-latest\n    steps: [{run: ls}]\n";
    let world = World::repository(&[(CI, caller), (".github/workflows/called.yml", called)]);
    let output = world.output(&["check", "--format", "json"], "");
    let lines: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["file"], ".github/workflows/called.yml");
    assert_eq!(lines[0]["valid"], true);
    assert_eq!(lines[1]["diagnostics"][0]["line"], 6);
    assert_eq!(lines[1]["diagnostics"][0]["col"], 11);
}

#[test]
fn sarif_has_a_result_for_each_diagnostic() {
    let world = World::new(&[("broken.yml", BROKEN)]);
    let output = world.output(&["check", "--format", "sarif", "broken.yml"], "");
    let sarif: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "broken.yml");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let world = World::new(&[("broken.yml", BROKEN)]);
    let mut command = world.command(&["check", "--format", "json", "broken.yml"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn codes_are_explained() {
    let world = World::new(&[]);
    insta::assert_snapshot!(world.told(&[&["explain", "P0003"], &["explain", "x9"]]));
}
