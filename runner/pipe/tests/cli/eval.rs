//! `pipe eval`, and the command line as such.

use crate::world::World;

#[test]
fn one_expression() {
    let world =
        World::new(&[("c.json", r#"{"github":{"ref":"refs/heads/main"},"m":{"a":[1,2]}}"#), ("list.json", "[]")]);
    insta::assert_snapshot!(world.told(&[
        &["eval", "1 + 1"],
        &["eval", "--json", "1 + 1"],
        &["eval", "format('{0}!', github.ref)", "--context", "c.json"],
        &["eval", "${{ m }}", "--context", "c.json"],
        &["eval", "--json", "m.a[1] == 2", "--context", "c.json"],
        &["eval", "--json", "-1"],
        &["eval", "nope"],
        &["eval", "1", "--context", "list.json"],
        &["eval", "1", "--context", "gone.json"],
        &["eval"],
    ]));
}

#[test]
fn thousands_in_one_process() {
    let world = World::new(&[]);
    let requests: String =
        (0..3000).map(|n| format!("{{\"expr\":\"a == {n}\",\"contexts\":{{\"a\":{n}}}}}\n")).collect();
    let output = world.output(&["eval", "--stdin"], &requests);
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), 3000);
    assert!(answers.lines().all(|line| line == r#"{"kind":"Boolean","value":true}"#));
}

#[test]
fn typing_errors_have_suggestions() {
    let world = World::new(&[]);
    insta::assert_snapshot!(world.told(&[
        &["chekc"],
        &["check", "--formt", "json"],
        &["check", "--format", "jsn"],
        &["--version"],
        &["-C", "gone", "list"],
    ]));
}

#[test]
fn variables_stand_for_flags() {
    let world = World::new(&[("empty.yml", "")]);
    let output = world.command(&["check", "empty.yml"]).env("PIPE_FORMAT", "json").output().unwrap();
    assert!(output.stdout.starts_with(b"{\"file\":\"empty.yml\""));
    let output = world.command(&["check", "empty.yml"]).env("PIPE_COLOR", "always").output().unwrap();
    assert!(output.stdout.contains(&b'\x1b'));
}

#[test]
fn completions_know_the_commands() {
    let world = World::new(&[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = world.output(&["completions", shell], "");
        assert!(String::from_utf8(output.stdout).unwrap().contains("doctor"), "{shell}");
    }
}
