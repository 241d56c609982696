//! `pipe run` on the host placement: what it says and how it ends.

use crate::world::{CI, World};

const WORKFLOW: &str = r#"
name: CI
on: [push, workflow_dispatch]
jobs:
  good:
    runs-on: ubuntu-latest
    steps:
      - name: Say hello
        run: |
          echo "::group::Words"
          echo hello
          echo "::endgroup::"
          echo "::warning file=a.js,line=3::careful"
  bad:
    needs: good
    runs-on: ubuntu-latest
    steps:
      - name: Break
        run: |
          echo before
          exit 3
  after:
    needs: bad
    runs-on: ubuntu-latest
    steps: [{run: 'true'}]
"#;

#[test]
fn ends_have_their_codes() {
    let world = World::repository(&[(CI, WORKFLOW)]);
    insta::assert_snapshot!(world.told(&[
        &["run", "--host", "-j", "good"],
        &["run", "--host", "--quiet"],
        &["run", "-j", "god"],
        &["run", "release"],
        &["run", "psuh"],
        &["run", "-W", "gone"],
        &["run"],
        &["run", "--list"],
        &["run", "--host", "-j", "good", "-q", "--reuse", "-P", "x"],
        &["run", "-n", "-j", "good"],
        &["run", "-s", "NO_SUCH", "--host"],
    ]));
}

#[test]
fn json_lines_are_events() {
    let world = World::repository(&[(CI, WORKFLOW)]);
    let output = world.output(&["run", "--host", "--json"], "");
    assert_eq!(output.status.code(), Some(1));
    let events: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["v"] == 1 && event["at"].is_string() && event["run"] == 1));
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"run_created"));
    assert_eq!(kinds.last(), Some(&"run_finished"));
    assert!(events.iter().any(|event| event["type"] == "log" && event["text"] == "hello" && event["job"] == "good"));
    assert!(events.iter().any(|event| event["type"] == "annotation" && event["annotation"]["line"] == 3));
}

#[test]
fn secrets_are_named_before_anything_runs_and_never_shown() {
    let workflow =
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \"<${{ secrets.TOKEN }}>\"\n";
    let world = World::repository(&[(CI, workflow)]);
    insta::assert_snapshot!(world.told(&[
        &["run", "--host", "--strict-secrets"],
        &["run", "--host", "-q"],
        &["run", "--host", "-s", "token=correct-horse"],
    ]));
    let output = world.command(&["run", "--host", "-s", "TOKEN"]).env("TOKEN", "correct-horse").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("<***>") && !text.contains("correct-horse"), "{text}");
}

#[test]
fn actrc_comes_before_the_command_line() {
    let world =
        World::repository(&[(CI, WORKFLOW), (".actrc", "--host\n-j good\n--container-architecture linux/amd64\n")]);
    let output = world.output(&["run", "-q"], "");
    assert_eq!(output.status.code(), Some(2));
    world.write(".actrc", b"--host\n-j good\n--reuse\n");
    let output = world.output(&["run"], "");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    world.write(".actrc", b"--hots\n");
    insta::assert_snapshot!(world.told(&[&["run"]]));
}

#[test]
fn a_cancelled_run_says_so_and_ends_its_steps() {
    let workflow = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ready; sleep 1000\n      - if: always()\n        run: touch ../../always; echo cleaned\n";
    let world = World::repository(&[(CI, workflow)]);
    let mut child = world.command(&["run", "--host"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    lines.find(|line| line.as_ref().is_ok_and(|line| line.ends_with("  ready"))).unwrap().unwrap();
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("Cancelling")), "{rest:#?}");
    assert!(rest.iter().any(|line| line.ends_with("cleaned")), "{rest:#?}");
}
