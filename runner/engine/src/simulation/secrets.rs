//! No byte of a secret in anything that a run stores or shows, however it is written.

use std::sync::Arc;

use indexmap::IndexMap;
use workflow::run::Run;

use super::{Outcome, Simulation};
use crate::notice::Notices;
use crate::placement::{Credentials, ExecRequest, ImageSpec, Limits, ServiceSpec};

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
    hidden_in(&outcome.everything(), forms);
}

fn hidden_in(everything: &str, forms: &[&str]) {
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
  concurrency: "group ${{ matrix.n }}"
  $
    - { run: exit 0, if: matrix.n == github.token }"#
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
    assert!(outcome.shown().ends_with("b(0) success [success]"), "the run goes by the value: {}", outcome.shown());
    hidden(&outcome, &["ghs_token_of_the_run", "second line of it"]);
    let log = &outcome.logs["a/0004.log"];
    assert!(!log.contains("added-later"), "{log}");
}

#[tokio::test]
async fn secrets_that_overlap_leave_nothing_of_either() {
    let simulation =
        Simulation { secrets: vec![("A", "abcdef".to_owned()), ("B", "defghi".to_owned())], ..Simulation::default() };
    let outcome = simulation.run(&steps(&["out \"[abcd\"\nout \"efghi]\"".to_owned()])).await;
    assert_eq!(outcome.output("a", 0), "[***]");
}

/// A value that one job asks to hide is hidden in its background steps and in other jobs that go on at that time.
#[tokio::test]
async fn a_mask_reaches_all_that_goes_on() {
    let jobs = r#"a:
  env: { VALUE: later-added-value }
  $
    - background: true
      run: |
        meet background
        print VALUE
    - run: |
        out "::add-mask::"
        print VALUE
        out "\n"
        meet background
        meet job
    - { run: out "too::add-mask::ab1\n::add-mask::ab1\n" }
b:
  env: { VALUE: later-added-value }
  $
    - run: |
        out "before "
        meet job
        print VALUE
        out "\n"
        print VALUE
        file STEP_SUMMARY "later-"
        file STEP_SUMMARY "added-value"
"#;
    let outcome = Simulation::default().run(jobs).await;
    assert!(outcome.shown().starts_with("success"), "{}", outcome.shown());
    assert_eq!(outcome.output("a", 0), "***");
    assert_eq!(outcome.output("b", 0), "before ***\n***");
    let refused = "##[warning]a secret of 3 characters is too short to be masked, at least 4 are needed\n";
    assert_eq!(outcome.output("a", 2), format!("too::add-mask::ab1\n{refused}"));
    // Three steps had begun, and with them the headers that show their variables, before anybody hid the value.
    let header = "env:\n  VALUE: later-added-value\n##[endgroup]";
    let everything = outcome.everything();
    let begun = everything.matches(header).count();
    assert_eq!(begun, 6, "shown live and stored");
    assert!(everything.contains("env:\n  VALUE: ***\n##[endgroup]"), "the step that began afterwards");
    hidden_in(&everything.replace(header, ""), &["later-added-value"]);
}

/// Every place that a text of a step can get to.
#[tokio::test]
async fn no_place_shows_a_secret() {
    let jobs = r#"a:
  name: "job ${{ github.token }}"
  outputs: { o: "${{ steps.s.outputs.o }}", p: "${{ steps.s.outputs.p }}" }
  $
    - name: "step ${{ secrets.KEY }}"
      id: s
      env: { SHOWN: "${{ secrets.KEY }}" }
      run: |
        out "::group::"
        print SHOWN
        out "\n::error file="
        print SHOWN
        out ",title="
        print SHOWN
        out "::"
        print SHOWN
        out "\n::warning::cannot open "
        print SHOWN
        out "\n::set-output name=p::"
        print SHOWN
        out "\n##[debug]"
        print SHOWN
    - { id: t, run: 'file OUTPUT ${{ toJSON(format(''{0}=1{1}o={0}{1}'', secrets.KEY, fromJSON(''"\n"''))) }}' }
    - { run: 'file ENV ${{ toJSON(secrets.KEY) }}', continue-on-error: true }
    - { run: 'file STEP_SUMMARY ${{ toJSON(secrets.KEY) }}' }
    - { run: 'no such word ${{ toJSON(secrets.KEY) }}', continue-on-error: true }
    - { run: 'out "x"', working-directory: "${{ secrets.KEY }}", continue-on-error: true }
    - { run: 'out "x"', timeout-minutes: "${{ fromJSON(secrets.KEY) }}", continue-on-error: true }
b:
  runs-on: "${{ github.token }}"
  steps:
    - { run: 'out "x"' }
c:
  if: "fromJSON(github.token)"
  $
    - { run: 'out "x"' }
d:
  strategy: { matrix: { "n": ["${{ github.token }}"], include: [{ m: { "o": "${{ github.token }}" } }] } }
  concurrency: { group: "${{ github.token }}" }
  $
    - { run: 'out "x"' }"#;
    let mut simulation = with_secret(SECRET);
    simulation.secrets.push(("GITHUB_TOKEN", "ghs_token_of_the_run".to_owned()));
    let outcome = simulation.run(jobs).await;
    let log = &outcome.logs["a/0000.log"];
    assert!(log.contains("##[group]***\n##[error]***\n##[warning]cannot open ***\n"), "{log}");
    hidden(&outcome, &[SECRET, json(SECRET).trim_matches('"'), "ghs_token_of_the_run"]);
}

/// What a developer prints while looking for a mistake.
#[test]
fn debug_of_what_carries_secrets_shows_none() {
    let root = tempfile::tempdir().unwrap();
    let simulation = with_secret(SECRET);
    let settings = simulation.settings(root.path(), &Arc::default(), &Notices::default());
    let run = Run::new(Arc::new(super::facts("a:\n  $\n    - { run: x }")));
    let env = IndexMap::from([("TOKEN".to_owned(), SECRET.to_owned())]);
    let mut exec = ExecRequest::new(["sh"], "/");
    exec.env = env.clone().into_iter().collect();
    let mut image = ImageSpec::new("postgres");
    image.credentials = Some(Credentials { username: "me".into(), password: SECRET.into() });
    let service = ServiceSpec {
        id: "db".into(),
        image: image.clone(),
        env,
        ports: Vec::new(),
        volumes: Vec::new(),
        options: format!("-e TOKEN={SECRET}"),
        entrypoint: None,
        command: Some(SECRET.into()),
        limits: Limits::default(),
    };
    let shown = format!("{settings:?} {run:?} {exec:?} {image:?} {service:?} {:?}", settings.masker.current());
    for part in [SECRET, "wörd", "ghs_token"] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.contains("TOKEN") && shown.contains("Secret(***)"), "{shown}");
}
