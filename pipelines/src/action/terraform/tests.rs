//! With the real Terraform and resources that need no cloud, and a server that answers as GitHub does.

use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use engine::step::trial::{Trial, Tried};

use super::super::answering::answers;
use super::super::job_here::JobHere;
use super::*;

/// A workspace with a configuration in `infra`.
struct Place {
    folder: tempfile::TempDir,
    trial: Trial,
    runtime: tokio::runtime::Runtime,
}

const MAIN: &str = r#"
variable "size" {
  default = 1
}
resource "terraform_data" "network" {
  input = "v${var.size}"
}
resource "terraform_data" "server" {
  count            = 2
  triggers_replace = var.size
}
output "address" {
  value = terraform_data.network.output
}
output "password" {
  value     = "hunter2-and-more"
  sensitive = true
}
"#;

impl Place {
    /// `None`: there is no Terraform here, and that is said.
    fn new(test: &str) -> Option<Self> {
        let is_here = Process::new("terraform").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !is_here.is_ok_and(|status| status.success()) {
            eprintln!("pipe/terraform {test}: SKIPPED, no `terraform` is here");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("w");
        std::fs::create_dir_all(workspace.join("infra")).unwrap();
        let job = Arc::new(JobHere::new(folder.path().to_path_buf()));
        let mut trial = Trial::new(folder.path().to_path_buf(), workspace.clone(), folder.path());
        trial.workspace.inside = workspace.to_string_lossy().into_owned();
        trial.job = Some(job as _);
        trial.run.sha = "0123456789abcdef".into();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let place = Self { folder, trial, runtime };
        place.write("main.tf", MAIN);
        Some(place)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("w/infra").join(name), text).unwrap();
    }

    fn run(&self, command: &str, more: &[(&str, &str)]) -> Tried {
        let inputs = [&[("command", command), ("working-directory", "infra"), ("lock-timeout", "0s")], more].concat();
        self.runtime.block_on(self.trial.run(&Terraform, &inputs))
    }

    /// A plan that must come about; its digest.
    fn planned(&self, more: &[(&str, &str)]) -> String {
        let tried = self.run("plan", more);
        assert!(tried.result.is_ok(), "{}", tried.log);
        tried.outputs["digest"].clone()
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("w/infra/terraform.tfstate")
    }
}

fn error(tried: &Tried) -> String {
    tried.result.as_ref().expect_err(&tried.log).to_string()
}

#[test]
fn a_plan_is_told_and_exactly_it_is_applied() {
    let Some(place) = Place::new("a_plan_is_told_and_exactly_it_is_applied") else { return };
    let tried = place.run("plan", &[]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let out = |name: &str| tried.outputs[name].as_str();
    assert_eq!((out("outcome"), out("add"), out("destroy"), out("plan-file")), ("changes", "3", "0", "infra/tfplan"));
    assert!(out("changes").contains(r#"{"address":"terraform_data.network","kind":"add""#), "{}", out("changes"));
    for line in [
        "terraform_data.network: Plan to create",
        "Plan: 3 added",
        "  added terraform_data.server[1]",
        "Digest sha256:",
    ] {
        assert!(tried.log.contains(line), "{line}: {}", tried.log);
    }
    assert!(!tried.log.contains("hunter2") && !tried.log.contains("@message"), "{}", tried.log);
    let digest = out("digest").to_owned();

    let dry = place.run("apply", &[("digest", &digest), ("dry-run", "true")]);
    assert!(dry.result.is_ok() && dry.outputs["outcome"] == "not-applied" && !place.state().exists(), "{}", dry.log);
    let wrong = error(&place.run("apply", &[("digest", "sha256:00")]));
    assert!(wrong.starts_with("this is not the plan that was approved: `digest` is sha256:00"), "{wrong}");
    let applied = place.run("apply", &[("digest", &digest)]);
    assert!(applied.result.is_ok() && place.state().exists(), "{}", applied.log);
    assert_eq!(applied.outputs["outcome"], "applied");
    assert_eq!(applied.outputs["outputs"], r#"{"address":"v1"}"#, "what is sensitive is no output");
    assert!(applied.log.contains("Apply complete! Resources: 3 added"), "{}", applied.log);
    // The same once more.
    let again = error(&place.run("apply", &[("digest", &digest)]));
    assert!(
        again.contains("the plan is stale, nothing was applied: the state has changed (then none, now number"),
        "{again}"
    );
    let none = place.run("plan", &[]);
    assert_eq!(none.outputs["outcome"], "no-changes", "{}", none.log);
}

#[test]
fn what_is_destroyed_must_be_allowed() {
    let Some(place) = Place::new("what_is_destroyed_must_be_allowed") else { return };
    let digest = place.planned(&[]);
    assert!(place.run("apply", &[("digest", &digest)]).result.is_ok());
    let tried = place.run("plan", &[("var", "size=2")]);
    let out = |name: &str| tried.outputs[name].as_str();
    assert_eq!((out("add"), out("change"), out("replace")), ("0", "1", "2"), "{}", tried.log);
    assert!(tried.log.contains("  replaced terraform_data.server[0]: because of triggers_replace"), "{}", tried.log);
    assert!(
        tried.log.contains("##[warning]2 go away with this plan") && !tried.log.contains("size=2"),
        "{}",
        tried.log
    );
    let digest = out("digest").to_owned();
    let refused = error(&place.run("apply", &[("digest", &digest)]));
    assert!(
        refused.starts_with(
            "the plan removes or replaces 2, nothing was applied: terraform_data.server[0], terraform_data.server[1]. If that is"
        ),
        "{refused}"
    );
    let allowed = place.run("apply", &[("digest", &digest), ("allow-destroy", "true")]);
    assert!(allowed.result.is_ok() && allowed.outputs["outputs"] == r#"{"address":"v2"}"#, "{}", allowed.log);
}

#[test]
fn what_changed_since_the_plan_refuses_it() {
    let Some(place) = Place::new("what_changed_since_the_plan_refuses_it") else { return };
    let digest = place.planned(&[]);
    place.write("more.tf", "resource \"terraform_data\" \"more\" {}\n");
    let refused = error(&place.run("apply", &[("digest", &digest)]));
    assert!(refused.starts_with("the plan is stale, nothing was applied: the configuration has changed."), "{refused}");
    let plan = place.folder.path().join("w/infra/tfplan");
    std::fs::remove_file(&plan).unwrap();
    let gone = error(&place.run("apply", &[("digest", &digest)]));
    assert!(gone.starts_with("there is no plan infra/tfplan: make one with `command: plan`"), "{gone}");
    assert!(!place.state().exists());
}

/// The only provider that is built in has nothing that somebody could change behind its back. So what is found is told by a
/// stand-in, which has the real Terraform do all else.
#[test]
fn drift_is_found_and_named() {
    let Some(place) = Place::new("drift_is_found_and_named") else { return };
    let digest = place.planned(&[]);
    assert!(place.run("apply", &[("digest", &digest)]).result.is_ok());
    let none = place.run("drift", &[]);
    assert!(none.result.is_ok(), "{}", none.log);
    assert_eq!((none.outputs["outcome"].as_str(), none.outputs["drift"].as_str()), ("no-drift", "false"));
    assert!(!place.folder.path().join("w/infra/.pipe-drift.tfplan").exists());

    let found = r#"{"format_version":"1.2","resource_drift":[{"address":"aws_vpc.shop","mode":"managed","change":{"actions":["update"],
        "before":{"tags":{"a":"s3cr3t-tag"}},"after":{"tags":{}},"before_sensitive":{"tags":{"a":true}}}},
        {"address":"aws_eip.nat","mode":"managed","change":{"actions":["delete"],"before":{},"after":null}}]}"#;
    place.write("found.json", found);
    place.write("stand-in", "#!/bin/sh\ncase $1 in show) cat found.json ;; plan) terraform \"$@\"; exit 2 ;; *) exec terraform \"$@\" ;; esac\n");
    let program = place.folder.path().join("w/infra/stand-in");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tried = place.run("drift", &[("program", program.to_str().unwrap())]);
    assert_eq!((tried.outputs["outcome"].as_str(), tried.outputs["drift"].as_str()), ("drift", "true"));
    assert!(
        error(&tried).starts_with("aws_eip.nat, aws_vpc.shop: somebody changed them without Terraform."),
        "{}",
        tried.log
    );
    let lines = "Drift: 2 not as Terraform left them\n  destroyed aws_eip.nat\n  changed aws_vpc.shop: tags\n";
    assert!(tried.log.contains(lines) && !tried.log.contains("s3cr3t"), "{}", tried.log);
    let told = place.run("drift", &[("program", program.to_str().unwrap()), ("fail-on-drift", "false")]);
    assert!(told.result.is_ok() && told.outputs["drift"] == "true", "{}", told.log);
}

#[test]
fn a_lock_that_is_held_is_explained() {
    let Some(place) = Place::new("a_lock_that_is_held_is_explained") else { return };
    // It holds the lock until this test closes what it reads from.
    let fifo = place.folder.path().join("go");
    assert!(Process::new("mkfifo").arg(&fifo).status().unwrap().success());
    let began = place.folder.path().join("began");
    let command = format!("echo > '{}'; cat '{}'", began.display(), fifo.display());
    assert!(Process::new("mkfifo").arg(&began).status().unwrap().success());
    let slow = format!(
        "resource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    command = \"{command}\"\n  }}\n}}\n"
    );
    place.write("main.tf", &slow);
    let infra = place.folder.path().join("w/infra");
    let terraform = |arguments: &[&str]| {
        let mut process = Process::new("terraform");
        process.args(arguments).current_dir(&infra).stdout(Stdio::null()).stderr(Stdio::null());
        process
    };
    assert!(terraform(&["init", "-input=false"]).status().unwrap().success());
    let mut holder = terraform(&["apply", "-auto-approve", "-input=false"]).spawn().unwrap();
    // Opening waits until the other side has opened it too.
    drop(std::fs::read(&began).unwrap());
    let refused = error(&place.run("plan", &[]));
    let release = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    drop(release);
    assert!(holder.wait().unwrap().success());
    for part in [
        "terraform plan: the state",
        " is locked: ",
        " applies a plan since 20",
        " UTC (lock ",
        "`lock-timeout: 10m` waits for it",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(place.run("plan", &[]).result.is_ok());
}

#[test]
fn files_are_checked() {
    let Some(place) = Place::new("files_are_checked") else { return };
    assert_eq!(place.run("validate", &[]).outputs["outcome"], "valid");
    place.write("main.tf", "resource \"terraform_data\" \"a\" {\n    input=1\n}\n");
    let tried = place.run("fmt", &[]);
    assert!(tried.log.contains("main.tf") && tried.log.contains("+  input = 1"), "{}", tried.log);
    let unformatted = error(&tried);
    assert!(
        unformatted.ends_with("run `terraform fmt -recursive` in infra and commit what it changes"),
        "{unformatted}"
    );
    place.write("main.tf", "resource \"terraform_data\" \"a\" {\n  inputt = 1\n}\n");
    assert_eq!(place.run("fmt", &[]).outputs["outcome"], "formatted");
    let invalid = error(&place.run("validate", &[]));
    assert!(
        invalid
            .starts_with("the configuration is not valid: Unsupported argument (main.tf, line 2): An argument named"),
        "{invalid}"
    );
    let refused = error(&place.run("plan", &[("var", "nobody=1")]));
    assert!(refused.starts_with("terraform plan: "), "{refused}");
    place.write("main.tf", MAIN);
    assert!(error(&place.run("plan", &[("workspace", "nobody")])).starts_with("there is no workspace `nobody`"));
    let made = place.run("plan", &[("workspace", "blue"), ("create-workspace", "true")]);
    assert!(made.result.is_ok(), "{}", made.log);
}

#[test]
fn inputs_are_refused_in_words() {
    let Some(place) = Place::new("inputs_are_refused_in_words") else { return };
    assert_eq!(
        error(&place.run("plan", &[("lock_timeout", "1s")])),
        "pipe/terraform has no input `lock_timeout`; did you mean `lock-timeout`?"
    );
    assert!(error(&place.run("aply", &[])).contains("did you mean `apply`?"));
    assert!(error(&place.run("apply", &[])).starts_with("`command: apply` needs `digest`"));
    assert!(
        error(&place.run("plan", &[("program", "no-such-program")]))
            .starts_with("there is no `no-such-program` in this job")
    );
    assert!(error(&place.run("plan", &[("plan-file", "../x")])).contains("is outside of the workspace"));
    let nowhere =
        place.runtime.block_on(place.trial.run(&Terraform, &[("command", "plan"), ("working-directory", "nowhere")]));
    assert!(error(&nowhere).starts_with("`working-directory`: there is no folder nowhere"));
}

/// A place whose run is of pull request 7, at a server that says these things.
fn asked(test: &str, said: Vec<(&'static str, String)>) -> Option<(Place, std::sync::mpsc::Receiver<String>)> {
    let mut place = Place::new(test)?;
    let (address, got) = answers(said);
    place.trial.run.git_ref = "refs/pull/7/merge".into();
    place.trial.env.insert("GITHUB_API_URL".into(), address);
    Some((place, got))
}

const COMMENT: [(&str, &str); 2] = [("comment", "true"), ("github-token", "ghs_token_of_the_run")];

#[test]
fn the_pull_request_is_told_once_and_then_again_in_place() {
    let made = ("201 Created", r#"{"id": 11, "html_url": "https://forge.example/pull/7#issuecomment-11"}"#.to_owned());
    let test = "the_pull_request_is_told_once_and_then_again_in_place";
    let Some((place, got)) = asked(test, vec![("200 OK", "[]".to_owned()), made]) else { return };
    let tried = place.run("plan", &COMMENT);
    assert_eq!(tried.outputs["comment-url"], "https://forge.example/pull/7#issuecomment-11", "{}", tried.log);
    let got: Vec<String> = got.try_iter().collect();
    assert!(got[0].starts_with("GET /repos/local/repository/issues/7/comments?per_page=100&page=1 "), "{}", got[0]);
    assert!(got[1].starts_with("POST /repos/local/repository/issues/7/comments "), "{}", got[1]);
    assert!(got[1].contains("authorization: Bearer ghs_token_of_the_run"), "{}", got[1]);
    let body: Json =
        serde_json::from_str(got[1].split_once("\n{").map(|(_, rest)| format!("{{{rest}")).unwrap().as_str()).unwrap();
    let text = body["body"].as_str().unwrap();
    for part in [
        "<!-- pipe/terraform: infra default -->\n### Terraform: 3 added\n\n`infra`, workspace `default`, commit `0123456`",
        "| added | `terraform_data.network` |  |",
        "Outputs that change: `address`, `password`",
        "<details><summary>The plan</summary>",
        "+ resource \"terraform_data\" \"network\" {",
        "Digest `sha256:",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter2") && !tried.log.contains("ghs_token"), "{text}");
}

#[test]
fn a_comment_of_somebody_else_is_left_alone() {
    let marked = |id: u64, kind: &str| serde_json::json!({"id": id, "body": "<!-- pipe/terraform: infra default -->\nold", "user": {"login": "x", "type": kind}});
    let listed = serde_json::json!([marked(4, "User"), {"id": 5, "body": "Looks good"}, marked(6, "Bot")]).to_string();
    let said = vec![
        ("200 OK", listed),
        ("403 Forbidden", r#"{"message": "Resource not accessible by integration"}"#.to_owned()),
        ("200 OK", r#"{"id": 6, "html_url": "https://forge.example/6"}"#.to_owned()),
    ];
    let Some((place, got)) = asked("a_comment_of_somebody_else_is_left_alone", said) else { return };
    assert_eq!(place.run("plan", &COMMENT).outputs["comment-url"], "https://forge.example/6");
    let got: Vec<String> = got.try_iter().collect();
    assert!(
        got[1].starts_with("GET /user ") && got[2].starts_with("PATCH /repos/local/repository/issues/comments/6 "),
        "{got:?}"
    );
    assert_eq!(got.len(), 3);
}

#[test]
fn that_nobody_could_be_told_does_not_fail_a_plan() {
    let said = vec![("403 Forbidden", r#"{"message": "Resource not accessible by integration"}"#.to_owned())];
    let Some((mut place, _got)) = asked("that_nobody_could_be_told_does_not_fail_a_plan", said) else { return };
    let tried = place.run("plan", &COMMENT);
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert!(
        tried.log.contains("##[warning]the pull request was not told: the token may not write comments"),
        "{}",
        tried.log
    );
    assert!(error(&place.run("plan", &COMMENT[..1])).starts_with("`comment: true` needs `github-token`"));
    place.trial.run.git_ref = "refs/heads/main".into();
    assert!(place.run("plan", &COMMENT).log.contains("This run is of no pull request"));
}
