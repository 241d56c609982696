//! No byte of a secret in anything that a run stores or shows, however it is written.

use super::{Outcome, Simulation};

const SECRET: &str = "p4ss/wörd+<&>\"x";

fn with_secret(value: &str) -> Simulation {
    Simulation { secrets: vec![("KEY", value.to_owned())], ..Simulation::default() }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Steps, a line of script each entry.
fn steps(scripts: &[String]) -> String {
    let mut text = "a:\n  $\n".to_owned();
    for script in scripts {
        text.push_str(&format!("    - run: |\n        {}\n", script.replace('\n', "\n        ")));
    }
    text
}

fn hidden(outcome: &Outcome, forms: &[&str]) {
    let everything = outcome.everything();
    for form in forms {
        // What scripts say stands in their headers too, in its quoted form.
        assert!(!everything.contains(form), "{form} is shown in\n{everything}");
    }
}

#[tokio::test]
async fn a_secret_split_anywhere_over_two_writes_is_hidden() {
    let positions: Vec<usize> = SECRET.char_indices().map(|(at, _)| at).collect();
    let scripts: Vec<_> = positions
        .iter()
        .map(|at| {
            format!("out {}\nout {}", json(&format!("[{}", &SECRET[..*at])), json(&format!("{}]\n", &SECRET[*at..])))
        })
        .collect();
    let outcome = with_secret(SECRET).run(&steps(&scripts)).await;
    assert!(outcome.shown().starts_with("success"), "{}", outcome.shown());
    for step in 0..u32::try_from(scripts.len()).unwrap() {
        assert_eq!(outcome.output("a", step), "[***]\n", "split at {}", positions[step as usize]);
    }
    hidden(&outcome, &[SECRET]);
}

#[tokio::test]
async fn every_form_of_a_secret_is_hidden_wherever_it_gets_to() {
    let forms = [
        SECRET.to_owned(),
        json(SECRET).trim_matches('"').to_owned(),
        "p4ss%2Fw%C3%B6rd%2B%3C%26%3E%22x".to_owned(),
        "p4ss/wörd+&lt;&amp;&gt;&quot;x".to_owned(),
        "cDRzcy93w7ZyZCs8Jj4ieA==".to_owned(),
        "703473732f77c3b672642b3c263e2278".to_owned(),
    ];
    let mut scripts: Vec<_> = forms.iter().map(|form| format!("out {}", json(&format!("{form}\n")))).collect();
    for form in &forms {
        scripts.push(format!("file STEP_SUMMARY {}", json(form)));
        scripts.push(format!("file OUTPUT {}", json(&format!("o={form}\n"))));
        scripts.push(format!("out {}", json(&format!("::error title={form},file={form}::{form}\n"))));
        scripts.push(format!("out {}", json(&format!("::group::{form}\n"))));
    }
    scripts.push("lost".to_owned());
    let outcome = with_secret(SECRET).run(&steps(&scripts)).await;
    hidden(&outcome, &forms.each_ref().map(String::as_str));
}

#[tokio::test]
async fn masks_that_are_added_count_from_their_own_line_on() {
    let many = "first line of it\nsecond line of it";
    let jobs = r#"a:
  name: "job ${{ github.token }}"
  outputs: { clear: "${{ steps.s.outputs.clear }}", hidden: "${{ steps.s.outputs.hidden }}" }
  $
    - { id: s, run: 'out "::add-mask::added-later\nadded-later\n"' }
    - { id: t, run: "out \"added-la\"\nout \"ter\"" }
    - { run: 'out "::add-mask::without-feed"' }
    - { run: 'out "without-feed"' }
    - { run: 'out "first line of it and second line of it"', name: "named added-later" }
    - { id: u, run: "file OUTPUT \"clear=yes\\n\"\nfile OUTPUT \"hidden=added-later\\n\"" }
b:
  needs: a
  name: "after ${{ needs.a.outputs.hidden }}"
  strategy: { matrix: { n: ["${{ github.token }}"] } }
  $
    - { run: exit 0 }"#
        .replace("steps.s.outputs", "steps.u.outputs");
    let mut simulation = with_secret(many);
    simulation.secrets.push(("GITHUB_TOKEN", "ghs_token_of_the_run".to_owned()));
    let outcome = simulation.run(&jobs).await;
    assert!(outcome.shown().starts_with("success"), "{}", outcome.shown());
    assert_eq!(outcome.output("a", 0), "***\n");
    assert_eq!(outcome.output("a", 1), "***");
    assert_eq!(outcome.output("a", 3), "***");
    assert_eq!(outcome.output("a", 4), "*** and ***");
    let outputs = &outcome.run.as_ref().unwrap().jobs["a"].runs[0].outputs;
    assert_eq!(outputs.keys().collect::<Vec<_>>(), ["clear"]);
    assert_eq!(outcome.run.as_ref().unwrap().jobs["a"].runs[0].leg.name, "job ***");
    assert_eq!(outcome.run.as_ref().unwrap().jobs["b"].runs[0].leg.name, "after ");
    let mut shown = outcome;
    // The matrix itself stays as it is in the store: the run goes by it. Watchers get it hidden.
    shown.events.clear();
    shown.logs.retain(|path, _| !path.ends_with("0000.log") || path.starts_with('b'));
    hidden(&shown, &["ghs_token_of_the_run", "second line of it"]);
    let log = &shown.logs["a/0004.log"];
    assert!(!log.contains("added-later"), "{log}");
}

#[tokio::test]
async fn secrets_that_overlap_leave_nothing_of_either() {
    let simulation =
        Simulation { secrets: vec![("A", "abcdef".to_owned()), ("B", "defghi".to_owned())], ..Simulation::default() };
    let outcome = simulation.run(&steps(&["out \"[abcd\"\nout \"efghi]\"".to_owned()])).await;
    assert_eq!(outcome.output("a", 0), "[***]");
}
