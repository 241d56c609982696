//! `pipe list`, `graph` and `plan`: looking without running.

use crate::world::{CI, World};

const WORKFLOW: &str = r#"
name: CI
on: {push: {branches: [main]}, workflow_dispatch: {inputs: {level: {type: choice, options: [low, high]}}}}
jobs:
  build:
    runs-on: ${{ matrix.os }}
    strategy: {matrix: {os: [ubuntu-22.04, ubuntu-24.04]}}
    steps: [{run: 'echo ${{ secrets.TOKEN }}'}]
  test:
    needs: build
    runs-on: ubuntu-latest
    steps: [{run: make test}]
  release:
    needs: [build, test]
    if: startsWith(github.ref, 'refs/tags/')
    uses: ./.github/workflows/release.yml
"#;
const RELEASE: &str = r"
name: Release
on: [workflow_call, release]
jobs:
  publish: {runs-on: ubuntu-latest, steps: [{run: make publish}]}
";

fn world() -> World {
    World::repository(&[(CI, WORKFLOW), (".github/workflows/release.yml", RELEASE)])
}

#[test]
fn lists_and_graphs() {
    insta::assert_snapshot!(world().told(&[
        &["list"],
        &["list", "--json", "-W", "release"],
        &["list", "-W", "CI"],
        &["list", "-W", "relaese"],
        &["list", "fork"],
        &["graph", "ci"],
        &["graph", "ci", "--format", "dot"],
        &["graph", "ci", "--format", "mermaid"],
        &["graph", "Release", "--format", "svg"],
        &["graph", "--format", "svg"],
    ]));
}

#[test]
fn plans_say_why_not() {
    let world = world();
    world.write("event.json", br#"{"ref":"refs/heads/topic"}"#);
    world.write("list.json", b"[]");
    insta::assert_snapshot!(world.told(&[
        &["plan"],
        &["plan", "-e", "push", "--event-file", "event.json"],
        &["plan", "-e", "push", "--event-file", "list.json"],
        &["plan", "-j", "tset"],
        &["plan", "-j", "test"],
        &["plan", "pul_request"],
        &["plan", "workflow_dispatch", "--input", "level=mid"],
        &["plan", "--json", "release"],
    ]));
}

#[test]
fn folders_without_git_or_commits_work() {
    let plain = World::new(&[(CI, WORKFLOW), (".github/workflows/release.yml", RELEASE)]);
    insta::assert_snapshot!(plain.told(&[&["list"], &["plan", "-j", "build"]]));
    let empty = World::new(&[]);
    insta::assert_snapshot!(empty.told(&[&["list"], &["plan"], &["run"], &["graph"]]));
}

#[test]
fn settings_have_places_for_their_mistakes() {
    let world = World::new(&[(CI, RELEASE), (".pipe.toml", "[limits]\nparalel = 2\n")]);
    insta::assert_snapshot!(world.told(&[&["list"]]));
    world.write(".pipe.toml", b"[labels]\n\"self\" = 'host'\n");
    insta::assert_snapshot!(world.told(&[&["list"]]));
    world.write(".pipe.toml", b"[limits]\nworkflow-file = 10\n");
    insta::assert_snapshot!(world.told(&[&["check"]]));
}
