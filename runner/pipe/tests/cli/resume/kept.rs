//! Places of jobs that failed: kept, looked into, gone on in, removed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::docker::{self, IMAGE};
use super::{count, nothing_is_left, said, shown, state, text};
use crate::world::{CI, World};

/// `First` counts how often it runs and leaves all that a step can leave; `Test` fails as long as there is no file `go`.
fn workflow(folder: &Path) -> String {
    let path = folder.display();
    format!(
        "on: push
defaults: {{ run: {{ shell: sh }} }}
jobs:
  before:
    runs-on: ubuntu-latest
    outputs: {{ base: '${{{{ steps.say.outputs.base }}}}' }}
    steps: [{{ id: say, run: 'echo base=ground >> \"$GITHUB_OUTPUT\"; echo x >> {path}/before' }}]
  one:
    needs: before
    runs-on: ubuntu-latest
    steps:
      - name: First
        id: first
        run: |
          echo x >> {path}/first
          echo made > mark
          echo word=blue >> \"$GITHUB_OUTPUT\"
          echo LEFT=behind >> \"$GITHUB_ENV\"
          echo TOKEN_LEFT=${{{{ secrets.TOKEN }}}} >> \"$GITHUB_ENV\"
          echo /some/where >> \"$GITHUB_PATH\"
      - name: Test
        run: echo tried >> tries; test -e {path}/go
      - name: Use
        run: |
          test '${{{{ needs.before.outputs.base }}}} ${{{{ steps.first.outputs.word }}}}' = 'ground blue'
          test \"$LEFT $TOKEN_LEFT\" = 'behind correct-'horse
          case \"$PATH\" in /some/where:*) ;; *) exit 7;; esac
          test \"$(cat mark)\" = made
      - if: always()
        run: echo x >> {path}/always
"
    )
}

const SECRET: [&str; 2] = ["-s", "TOKEN=correct-horse"];

fn failed(world: &World, command: &mut Command) {
    let output = command.output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("`pipe shell 1/one`"), "{text}");
    let kept = std::fs::read_to_string(state(world).join("standing/1.one.json")).unwrap();
    assert!(kept.contains("Test") && !kept.contains("correct-horse") && !kept.contains("behind"), "{kept}");
}

#[test]
fn a_job_goes_on_in_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::repository(&[(CI, &workflow(folder.path()))]);
    let keep = [&["run", "--host", "--on-fail", "keep"][..], &SECRET].concat();
    failed(&world, &mut world.command(&keep));
    // Other commands leave it alone.
    assert_eq!(said(&world, &["list"]).0, Some(0));
    let listed: Json = serde_json::from_slice(&world.output(&["shell", "--json"], "").stdout).unwrap();
    assert_eq!((&listed["places"][0]["job"], &listed["places"][0]["step"][1]), (&"one".into(), &"Test".into()));
    let output = world.output(&["shell", "1/one"], "cat mark; echo $LEFT $GITHUB_JOB; exit 3\n");
    assert_eq!(text(&output), "made\nbehind one\n");
    assert_eq!(output.status.code(), Some(1), "as the shell ended");
    let again = |more: &[&str]| said(&world, &[&["run", "--resume", "1"], &SECRET[..], more].concat());
    for (from, expect) in [
        ("Frist", "did you mean `first`?"),
        ("use", "no kept job of run 1 has a step `use`"),
        ("4", "`4` comes after `Test`, which failed"),
    ] {
        let (code, text) = again(&["--from", from]);
        assert!(code == Some(2) && text.contains(expect), "{from}: {code:?} {text}");
    }
    // It fails again, and is kept again, under the number of the attempt.
    let (code, text) = again(&["--on-fail", "keep"]);
    assert!(code == Some(1) && text.contains("`pipe shell 2/one`"), "{code:?} {text}");
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (code, text) = said(&world, &[&["run", "--resume", "2"], &SECRET[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    let runs = ["before", "first", "always"].map(|name| count(&folder, name));
    assert_eq!(runs, [1, 1, 3], "only what failed, and what always runs");
    let run = shown(&world, "3");
    let job = run["jobs"].as_array().unwrap().iter().find(|job| job["key"] == "one").unwrap();
    assert_eq!(job["steps"][0]["conclusion"], "success", "{run}");
    nothing_is_left(&world);
    assert!(said(&world, &["shell"]).1.contains("no job's place is kept"));
}

#[test]
fn from_an_earlier_step_and_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::repository(&[(CI, &workflow(folder.path()))]);
    let keep = [&["run", "--host", "--on-fail", "keep"][..], &SECRET].concat();
    failed(&world, &mut world.command(&keep));
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (code, text) = said(&world, &[&["run", "--resume", "1", "--from", "first"], &SECRET[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_eq!((count(&folder, "before"), count(&folder, "first")), (1, 2));
    std::fs::remove_file(folder.path().join("go")).unwrap();
    let (code, text) = said(&world, &keep);
    assert_eq!(code, Some(1), "{text}");
    let (code, text) = said(&world, &["gc", "--dry-run"]);
    assert!(code == Some(0) && text.contains("place 3/one"), "{code:?} {text}");
    assert!(said(&world, &["gc"]).1.contains("place 3/one"));
    nothing_is_left(&world);
    let (code, text) = said(&world, &["shell", "3/one"]);
    assert!(code == Some(4) && text.contains("no place of run 3 is kept"), "{code:?} {text}");
    let (code, text) = said(&world, &[&["run", "--resume", "3", "--from", "Test"], &SECRET[..]].concat());
    assert!(code == Some(2) && text.contains("no place of run 3 is kept"), "{code:?} {text}");
}

#[test]
fn what_has_not_run_may_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let text = workflow(folder.path());
    let world = World::repository(&[(CI, &text)]);
    let keep = [&["run", "--host", "--on-fail", "keep"][..], &SECRET].concat();
    failed(&world, &mut world.command(&keep));
    let again = |more: &[&str]| said(&world, &[&["run", "--resume", "1"], &SECRET[..], more].concat());
    let first = text.replace("echo made > mark", "echo other > mark");
    for (mended, expect) in [
        (first.clone(), "step 1 (`First`) of job `one`, which has run,"),
        (
            text.replace("  before:\n", "  before:\n    timeout-minutes: 3\n"),
            "job `before`, of which results are kept,",
        ),
        (
            text.replace("    needs: before\n", "    needs: before\n    env: { A: 1 }\n"),
            "`env` of job `one`, which has begun,",
        ),
        (
            text.replace("- name: Use\n        run: |\n", "- uses: octo/say@v1\n      - run: |\n"),
            "what step 3 (`Use`) of job `one` uses",
        ),
    ] {
        assert_ne!(mended, text);
        world.write(CI, mended.as_bytes());
        let (code, said) = again(&[]);
        let expect = format!("run 1 cannot go on: `.github/workflows/ci.yml` has changed since: {expect}");
        assert!(code == Some(3) && said.contains(&expect), "{expect}: {code:?} {said}");
    }
    // From the changed step on it may be another one.
    world.write(CI, first.as_bytes());
    let (code, said_of_it) = again(&["--from", "first", "--on-fail", "keep"]);
    assert!(code == Some(1) && said_of_it.contains("`pipe shell 2/one`"), "{code:?} {said_of_it}");
    let mended = first
        .replace(&format!("test -e {}/go", folder.path().display()), "true")
        .replace("      - name: Use\n", "      - run: echo between >> tries\n      - name: Use\n")
        .replace("= made", "= other");
    let more = "  after:\n    needs: one\n    runs-on: ubuntu-latest\n    steps: [{ run: echo after }]\n";
    world.write(CI, format!("{mended}{more}").as_bytes());
    let (code, text) = said(&world, &[&["run", "--resume", "2"], &SECRET[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    let runs = ["before", "first", "always"].map(|name| count(&folder, name));
    assert_eq!(runs, [1, 2, 3], "only what was changed, what failed, and what always runs");
    let run = shown(&world, "3");
    let job = |key: &str| run["jobs"].as_array().unwrap().iter().find(|job| job["key"] == key).unwrap();
    assert_eq!(job("after")["conclusion"], "success", "{run}");
    assert_eq!(job("one")["steps"].as_array().unwrap().len(), 5, "{run}");
    nothing_is_left(&world);
}

#[test]
fn a_called_workflow_may_be_mended_where_its_job_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let [good, bad, inner] = ["good", "bad", "inner"].map(|name| format!(".github/workflows/{name}.yml"));
    let called = |jobs: &str| format!("on: workflow_call\ndefaults: {{ run: {{ shell: sh }} }}\njobs:\n{jobs}");
    let step = |run: &str| format!("{{ runs-on: ubuntu-latest, steps: [{{ run: '{run}' }}] }}\n");
    let texts = [
        (good.as_str(), called(&format!("  deep: {{ uses: ./{inner} }}\n"))),
        (inner.as_str(), called(&format!("  in: {}", step(&format!("echo x >> {path}/good"))))),
        (
            bad.as_str(),
            called(&format!("  first: {}  test: {}", step(&format!("echo x >> {path}/first")), step("exit 1"))),
        ),
    ];
    let ci = format!("on: push\njobs:\n  kept: {{ uses: ./{good} }}\n  fails: {{ needs: kept, uses: ./{bad} }}\n");
    let mut files = vec![(CI, ci.as_str())];
    files.extend(texts.iter().map(|(name, text)| (*name, text.as_str())));
    let world = World::repository(&files);
    assert_eq!(said(&world, &["run", "--host"]).0, Some(1));
    let again = || said(&world, &["run", "--resume", "1"]);
    for (name, from, to, expect) in [
        (inner.as_str(), "echo x", "echo y", "job `in`, of which job `kept` has results that are kept,"),
        (
            good.as_str(),
            "on: workflow_call",
            "on: workflow_call\nenv: { A: 1 }",
            "`env` of the workflow, of which job `kept`",
        ),
    ] {
        let old = &texts.iter().find(|(other, _)| *other == name).unwrap().1;
        let new = old.replace(from, to);
        assert_ne!(new, *old);
        world.write(name, new.as_bytes());
        let (code, said) = again();
        let expect = format!("run 1 cannot go on: `{name}` has changed since: {expect}");
        assert!(code == Some(3) && said.contains(&expect), "{expect}: {code:?} {said}");
        world.write(name, format!("# as it was\n{old}").as_bytes());
    }
    let mended = texts[2].1.replace("exit 1", "exit 0").replace("  test: ", "  more: ");
    world.write(&bad, mended.as_bytes());
    let (code, said_of_it) = again();
    assert_eq!(code, Some(0), "{said_of_it}");
    assert_eq!(["good", "first"].map(|name| count(&folder, name)), [1, 2], "what was kept has not run again");
    let run = shown(&world, "2");
    let keys: Vec<_> = run["jobs"].as_array().unwrap().iter().filter_map(|job| job["key"].as_str()).collect();
    assert!(keys.contains(&"fails/more") && !keys.contains(&"fails/test"), "{run}");
    nothing_is_left(&world);
}

#[test]
fn a_job_that_begins_again_may_be_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = workflow(folder.path());
    let world = World::repository(&[(CI, &text)]);
    assert_eq!(said(&world, &[&["run", "--host"], &SECRET[..]].concat()).0, Some(1));
    let mended = text
        .replace(&format!("test -e {}/go", folder.path().display()), "true")
        .replace("echo made > mark", "echo made >mark");
    world.write(CI, mended.as_bytes());
    let (code, text) = said(&world, &[&["run", "--resume", "1"], &SECRET[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_eq!((count(&folder, "before"), count(&folder, "first")), (1, 2));
    nothing_is_left(&world);
}

const IN_A_CONTAINER: &str = "on: push
defaults: { run: { shell: sh } }
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - name: First
        id: first
        run: |
          echo x >> firsts
          echo made > mark
          echo word=blue >> \"$GITHUB_OUTPUT\"
          echo LEFT=behind >> \"$GITHUB_ENV\"
          echo TOKEN_LEFT=${{ secrets.TOKEN }} >> \"$GITHUB_ENV\"
      - name: Test
        run: test -n \"$GO\"
      - run: test \"$(cat firsts) ${{ steps.first.outputs.word }} $LEFT\" = 'x blue behind'
";

#[test]
fn a_job_goes_on_in_its_own_container() {
    let world = World::repository(&[(CI, IN_A_CONTAINER)]);
    std::fs::create_dir_all(world.root().join("../home/.local/state")).unwrap();
    let platform = format!("ubuntu-latest={IMAGE}");
    let run = ["run", "--pull=never", "-P", &platform, "--on-fail", "keep", SECRET[0], SECRET[1]];
    failed(&world, &mut docker::command(&world, &run));
    assert_eq!(docker::command(&world, &["list"]).output().unwrap().status.code(), Some(0));
    assert!(!docker::left(&world).is_empty(), "its container stands");
    let mut shell = docker::command(&world, &["shell", "1"]);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(b"cat mark; echo $LEFT $GITHUB_JOB; exit 0\n").unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(text(&output), "made\nbehind one\n");
    let again = ["run", "--resume", "1", "--env", "GO=1", SECRET[0], SECRET[1]];
    let again = docker::command(&world, &again).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!(docker::left(&world), Vec::<String>::new());
    nothing_is_left(&world);
}

#[test]
fn a_place_is_left_alone_by_those_whose_state_lies_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::repository(&[(CI, &workflow(folder.path()))]);
    failed(&world, &mut world.command(&[&["run", "--host", "--on-fail", "keep"][..], &SECRET].concat()));
    // What killed processes left is looked for when a run begins, and by hand.
    let other =
        World::repository(&[(CI, "on: push\njobs: { a: { runs-on: ubuntu-latest, steps: [{ run: 'true' }] } }\n")]);
    assert_eq!(said(&other, &["run", "--host"]).0, Some(0));
    assert_eq!(said(&other, &["gc"]).0, Some(0));
    std::fs::write(folder.path().join("go"), "").unwrap();
    let (code, text) = said(&world, &[&["run", "--resume", "1"], &SECRET[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    nothing_is_left(&world);
}
