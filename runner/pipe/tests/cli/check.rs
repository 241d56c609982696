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
fn audits_have_levels_and_actions_of_the_lock_are_pinned() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let text = "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: someone/thing@v1\n      - uses: actions/setup-node@v6\n";
    let world = World::repository(&[(CI, text)]);
    let told = |arguments: &[&str]| {
        let output = world.output(arguments, "");
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = line["diagnostics"].as_array().unwrap().iter();
        let found = found.map(|one| format!("{} {} {}", one["line"], one["severity"], one["code"]).replace('"', ""));
        (output.status.code(), found.collect::<Vec<_>>())
    };
    let json = ["check", "--format", "json"];
    assert_eq!(told(&json), (Some(0), vec!["7 warning P0601".to_owned()]));
    assert_eq!(told(&["check", "--format", "json", "--strict"]).0, Some(3));
    let pedantic = told(&["check", "--format", "json", "--pedantic"]);
    assert_eq!(pedantic, (Some(0), vec!["7 warning P0601".to_owned(), "8 note P0601".to_owned()]));
    world.write(".pipe.toml", b"[audits]\nunpinned-uses = 'deny'\n");
    assert_eq!(told(&json), (Some(3), vec!["7 error P0601".to_owned()]));
    world.write(".github/pipe.lock", format!("someone/thing@v1 {commit} {commit}\n").as_bytes());
    assert_eq!(told(&json), (Some(0), Vec::new()));
    let page = world.output(&["explain", "unpinned-uses"], "");
    assert!(String::from_utf8(page.stdout).unwrap().starts_with("P0601: "), "an audit is explained by its name");
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

#[test]
fn actions_are_checked_with_the_workflows_that_use_them_and_alone() {
    let broken = "name: a\nruns:\n  using: composite\n  steps:\n    - run: echo ${{ github.event.issue.title }}\n      shel: bash\n";
    let fine = "name: b\nruns:\n  using: composite\n  steps:\n    - run: echo ${{ github.event.issue.title }}\n      shell: bash\n";
    let workflow = "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./tools/a\n      - uses: ./.github/actions/b\n";
    let world = World::repository(&[
        (CI, workflow),
        (".github/workflows/more.yml", workflow),
        ("tools/a/action.yml", broken),
        (".github/actions/b/action.yaml", fine),
    ]);
    insta::assert_snapshot!(world.told(&[
        &["check"],
        &["check", "tools/a/action.yml"],
        &["check", "tools"],
        &["check", ".github/actions/b/action.yaml"],
        &["check", "--format", "json", ".github/actions/b/action.yaml"],
        &["check", "tools/action.yml"],
    ]));
    // By another way than from the root.
    let way = |from: &str, path: &str| {
        let output = world.command(&["check", path]).current_dir(world.root().join(from)).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap().contains("unknown key `shel`"))
    };
    for (from, path) in [(".github", "../tools/a/action.yml"), ("tools/a", "action.yml"), ("tools/a", "./action.yml")] {
        assert_eq!(way(from, path), (Some(3), true), "{from}: {path}");
    }
    // A repository of nothing but an action.
    let alone = World::repository(&[("action.yml", broken)]);
    insta::assert_snapshot!(alone.told(&[&["check"]]));
}
