//! `pipe run` on the host placement: what it says and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

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
fn a_step_that_would_fail_for_its_words_keeps_all_from_running() {
    let step = |step: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: touch ../../../../../../ran\n      - {step}\n"
        )
    };
    let world = World::repository(&[]);
    for (words, code, said) in [
        ("uses: pipe/chnages@v1", "P0418", "did you mean `pipe/changes`?"),
        ("{ uses: pipe/notify, with: { mesage: x } }", "P0419", "did you mean `message`?"),
        ("uses: pipe/rollback", "P0420", "needs the input `service`"),
        ("{ uses: pipe/rollback, with: { service: a, dry-run: maybe } }", "P0421", "must be `true` or `false`"),
    ] {
        world.write(CI, step(words).as_bytes());
        let output = world.output(&["run", "--host"], "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{words}: {text}");
        assert!(text.contains(code) && text.contains(said), "{words}: {text}");
        assert!(text.contains("nothing was run"), "{text}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "no run was made");
        assert_eq!(world.output(&["run", "--host", "-n"], "").status.code(), Some(3), "{words}");
    }
    // Nothing of it was begun, and what does not run on the event is no hindrance.
    assert!(!world.root().join("../ran").exists());
    world.write(".github/workflows/other.yml", b"on: push\njobs: { b: { runs-on: x, steps: [{ run: 'true' }] } }");
    let broken = step("uses: pipe/chnages@v1").replace("on: push", "on: workflow_dispatch");
    world.write(CI, broken.as_bytes());
    let output = world.output(&["run", "push", "-P", "x=-self-hosted"], "");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
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

/// Workflows of one event, of which one waits for the group that another one holds.
const SEVERAL: [(&str, &str); 3] = [
    (
        ".github/workflows/a.yml",
        "name: A\non: push\nconcurrency: deploy\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      \
         - run: while [ ! -e ../../../../../../b-ran ]; do sleep 0.1; done",
    ),
    (
        ".github/workflows/b.yml",
        "name: B\non: push\njobs:\n  two:\n    runs-on: ubuntu-latest\n    steps:\n      \
         - run: touch ../../../../../../b-ran\n      - run: exit 1",
    ),
    (
        ".github/workflows/c.yml",
        "name: C\non: push\nconcurrency: DEPLOY\njobs:\n  three:\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'",
    ),
];

fn events(output: &std::process::Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn workflows_of_one_event_run_at_the_same_time() {
    let world = World::repository(&SEVERAL);
    let output = world.output(&["run", "--host", "--json", "--parallel", "2"], "");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let events = events(&output);
    let place = |kind: &str, run: u64| {
        let found = events.iter().position(|event| event["type"] == kind && event["run"] == run);
        found.unwrap_or_else(|| panic!("{kind} of {run} is missing"))
    };
    // The first one ends only because the second one ran beside it; it and the third one are of one group, and which of
    // them has it first is nobody's promise.
    assert!(place("run_finished", 1) > place("run_started", 2));
    let before = |one: u64, other: u64| place("run_finished", one) < place("run_started", other);
    assert!(before(1, 3) || before(3, 1));
    let ends: Vec<_> = events.iter().filter(|event| event["type"] == "run_finished").collect();
    let mut ends: Vec<_> = ends.iter().map(|event| format!("{} {}", event["run"], event["conclusion"])).collect();
    ends.sort();
    assert_eq!(ends, ["1 \"success\"", "2 \"failure\"", "3 \"success\""]);
}

#[test]
fn lines_of_several_workflows_carry_their_names() {
    let world = World::repository(&SEVERAL);
    let output = world.output(&["run", "--host", "--parallel", "2"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in ["[A / one] ▶ Run while", "[B 1/1] ✘ B / two", "C #1: success", "1 of 3 workflows did not succeed: B"]
    {
        assert!(text.contains(line), "`{line}` is missing in\n{text}");
    }
    let (before, summaries) = text.split_at(text.find("A #1: success").unwrap());
    assert!(!before.contains("B #1: failure") && summaries.contains("B #1: failure"), "summaries come last\n{text}");
}

#[test]
fn one_signal_cancels_all_workflows() {
    use std::io::{BufRead as _, BufReader};
    let world = World::repository(&SEVERAL[..1]);
    world.write(
        ".github/workflows/d.yml",
        b"name: D\non: push\njobs:\n  four:\n    runs-on: ubuntu-latest\n    steps:\n      - run: sleep 60",
    );
    let mut command = world.command(&["run", "--host", "--json", "--parallel", "2"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut started = 0;
    let mut text = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        started += usize::from(line.contains("\"step_started\""));
        if started == 2 && line.contains("\"step_started\"") {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        }
        text.push_str(&line);
        text.push('\n');
    }
    assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
    assert_eq!(text.matches("\"type\":\"run_finished\"").count(), 2, "{text}");
    assert_eq!(text.matches("\"conclusion\":\"cancelled\",\"seq\"").count(), 2, "{text}");
}

#[test]
fn labels_that_nothing_serves_are_told_before_anything_runs() {
    let text = "on: push\njobs:\n  build:\n    strategy: { matrix: { os: [ubuntu-latest, windows-2022] } }\n    \
                runs-on: ${{ matrix.os }}\n    steps: [{ run: 'true' }]\n  mac:\n    if: github.ref == 'x'\n    \
                runs-on: macos-latest\n    steps: [{ run: 'true' }]\n";
    let world = World::repository(&[(CI, text)]);
    let said = |arguments: &[&str]| {
        let output = world.output(arguments, "");
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let warning = "warning: job `build` will fail: `windows-2022` means a Windows machine";
    assert!(said(&["plan"]).contains(warning) && !said(&["plan"]).contains("macos-latest` means"));
    assert!(said(&["run", "-n"]).contains(warning));
    assert!(!said(&["run", "-n", "-P", "windows-2022=wine"]).contains(warning));
    assert!(!said(&["run", "-n", "--host"]).contains(warning));
    let checked = said(&["check"]);
    for note in ["note: .github/workflows/ci.yml: job `build`: `windows-2022` means", "`macos-latest` means"] {
        assert!(checked.contains(note), "{checked}");
    }
}

#[test]
fn when_to_pull_is_said_as_act_says_it() {
    let world = World::repository(&[(CI, WORKFLOW)]);
    let code = |flag: &str| world.output(&["run", "--host", "-n", flag], "").status.code();
    for flag in ["--pull", "-p", "--pull=false", "--pull=true", "--pull=never", "-p=always"] {
        assert_eq!(code(flag), Some(0), "{flag}");
    }
    assert_eq!(code("--pull=sometimes"), Some(2));
}

const DEPLOYMENTS: &str = "on: push\njobs:\n  stage:\n    runs-on: ubuntu-latest\n    environment: staging\n    steps:\n      \
    - run: test \"${{ secrets.TOKEN }} ${{ vars.REGION }} ${{ vars.ALL }}\" = 'of staging eu all'\n  \
    release:\n    needs: stage\n    runs-on: ubuntu-latest\n    environment: { name: Production }\n    steps:\n      \
    - run: test \"${{ secrets.TOKEN }} ${{ vars.REGION }} ${{ vars.ALL }}\" = 'of production us all'\n  \
    other:\n    runs-on: ubuntu-latest\n    steps:\n      \
    - run: test \"${{ secrets.TOKEN }} ${{ vars.REGION }} ${{ vars.ALL }}\" = 'of all  all'\n";

#[test]
fn environments_have_values_and_rules() {
    let world = World::repository(&[
        (CI, DEPLOYMENTS),
        (".pipe.toml", "[environments.production]\nreviewers = ['ada']\n"),
        (".secrets", "TOKEN=of all"),
        (".secrets.production", "TOKEN=of production"),
        (".vars.Staging", "REGION=eu"),
    ]);
    let given =
        ["run", "--host", "-s", "staging/TOKEN=of staging", "--var", "production/REGION=us", "--var", "ALL=all"];
    let refused = world.output(&given, "");
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("--approve Production"), "{text}");
    let approved = world.output(&[&given[..], &["--approve", "production"]].concat(), "");
    assert_eq!(approved.status.code(), Some(0), "{}", String::from_utf8_lossy(&approved.stdout));
    let said = |arguments: &[&str]| String::from_utf8_lossy(&world.output(arguments, "").stdout).into_owned();
    // There is no server that could run it again.
    assert!(said(&["watch", "1"]).ends_with("Run again: pipe run --resume 1\n"), "{}", said(&["watch", "1"]));
    assert!(!said(&["watch", "2"]).contains("Run again"), "{}", said(&["watch", "2"]));
    let shown = said(&["show", "2"]);
    assert!(shown.contains("Production approved by ") && shown.contains(": --approve\n"), "{shown}");
    world.write(".pipe.toml", b"[environments.production]\nwait-timer = 50000\n");
    let wrong = world.output(&given, "");
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && text.contains(".pipe.toml:2:1"), "{text}");
}

#[test]
fn a_job_that_waits_for_a_timer_says_so() {
    let world = World::repository(&[(CI, DEPLOYMENTS), (".pipe.toml", "[environments.staging]\nwait-timer = 2\n")]);
    let mut command = world.command(&["run", "--host"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told = lines.find(|line| line.starts_with("[stage]"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told.as_deref(), Some("[stage] waits 2 min 0 s: the wait timer of `staging`"));
    // Nobody is asked, so nobody is told to answer.
    let shown = world.output(&["show", "1"], "");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("the wait timer of staging") && !text.contains("pipe approve"), "{text}");
}
