//! The shipped pipeline for infrastructure, with the real Terraform and resources that need no cloud: plan, approval, application of
//! exactly that plan, a look for drift.

#![expect(clippy::print_stderr, reason = "what is skipped is named")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::world::World;

const PIPELINE: &str = include_str!("../../../../pipelines/infrastructure.yml");
const WORKFLOW: &str = ".github/workflows/infrastructure.yml";
const MAIN: &str = r#"terraform {
  backend "local" {}
}

variable "size" {
  type = number
}

resource "terraform_data" "network" {
  input = "size ${var.size}"
}

output "network" {
  value = terraform_data.network.output
}
"#;

struct Scene {
    world: World,
}

impl Scene {
    /// `None`: there is no Terraform here, and that is said.
    fn new(test: &str) -> Option<Self> {
        let is_here = Command::new("terraform").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !is_here.is_ok_and(|status| status.success()) {
            eprintln!("pipelines/infrastructure.yml {test}: SKIPPED, no `terraform` is here");
            return None;
        }
        let world = World::repository(&[
            (WORKFLOW, PIPELINE),
            ("services/infrastructure/main.tf", MAIN),
            ("services/infrastructure/environments/production.tfvars", "size = 1\n"),
            (".pipe.toml", "[environments.infrastructure-production]\nreviewers = ['ada']\n"),
        ]);
        Some(Self { world })
    }

    fn state(&self) -> std::path::PathBuf {
        self.world.root().join("../state/shop.tfstate")
    }

    /// Runs the pipeline; its exit code and what it printed.
    fn run(&self, more: &[&str]) -> (Option<i32>, String) {
        let backend = format!("TERRAFORM_BACKEND=path={}", self.state().display());
        let output =
            self.world.output(&[&["run", "push", "-W", WORKFLOW, "--host", "--var", &backend], more].concat(), "");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    fn size(&self, size: u32) {
        let name = "services/infrastructure/environments/production.tfvars";
        self.world.write(name, format!("size = {size}\n").as_bytes());
    }
}

const APPROVED: [&str; 2] = ["--approve", "infrastructure-production"];

#[test]
fn a_plan_is_approved_applied_and_looked_after() {
    let Some(scene) = Scene::new("a_plan_is_approved_applied_and_looked_after") else { return };
    let (code, text) = scene.run(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("Plan: 1 added") && text.contains("--approve infrastructure-production"), "{text}");
    assert!(!scene.state().exists(), "nobody has approved it");

    let (code, text) = scene.run(&APPROVED);
    assert_eq!(code, Some(0), "{text}");
    for line in ["Plan: 1 added", "Apply complete! Resources: 1 added", "No drift: everything is as it was left"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // Once more: there is nothing to approve.
    let (code, text) = scene.run(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Plan: nothing changes") && !text.contains("Apply complete"), "{text}");
}

#[test]
fn what_somebody_applied_in_between_refuses_the_plan() {
    let Some(scene) = Scene::new("what_somebody_applied_in_between_refuses_the_plan") else { return };
    assert_eq!(scene.run(&APPROVED).0, Some(0));
    scene.size(2);
    // The plan for people is the last that the job of the plan asks for. Then somebody applies something else.
    let other = scene.world.root().join("../other");
    std::fs::create_dir_all(&other).unwrap();
    let meanwhile = scene.world.root().join("../meanwhile");
    let (config, state) = (MAIN.replace("size ${", "other ${"), scene.state());
    std::fs::write(other.join("main.tf"), config).unwrap();
    let script = format!(
        "#!/bin/sh\nterraform \"$@\" || exit\n[ \"$1 $2\" = 'show -no-color' ] || exit 0\ncd '{}' &&\nterraform init -backend-config='path={}' \
         >&2 && terraform apply -auto-approve -var size=9 >&2\n",
        other.display(),
        state.display()
    );
    std::fs::write(&meanwhile, script).unwrap();
    std::fs::set_permissions(&meanwhile, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = format!("TERRAFORM={}", meanwhile.display());
    let (code, text) = scene.run(&[&APPROVED[..], &["--var", &program]].concat());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("Plan: 1 changed"), "{text}");
    assert!(text.contains("the plan is stale, nothing was applied: the state has changed (then number"), "{text}");
    let state = std::fs::read_to_string(scene.state()).unwrap();
    assert!(state.contains("other 9") && !state.contains("size 2"), "{state}");
}

/// What stands was made; then somebody works on the state, by hand and with Terraform itself.
#[test]
fn what_is_not_as_it_was_left_is_found() {
    let Some(scene) = Scene::new("what_is_not_as_it_was_left_is_found") else { return };
    assert_eq!(scene.run(&APPROVED).0, Some(0));
    let drift = || {
        let backend = format!("TERRAFORM_BACKEND=path={}", scene.state().display());
        let words = ["run", "schedule", "-W", WORKFLOW, "--host", "--var", &backend];
        let output = scene.world.output(&words, "");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, text) = drift();
    assert!(code == Some(0) && text.contains("No drift: everything is as it was left"), "{text}");

    let state = std::fs::read_to_string(scene.state()).unwrap();
    let edited = state.replacen("\"value\": \"size 1\"", "\"value\": \"size 9\"", 1);
    assert_ne!(edited, state);
    std::fs::write(scene.state(), edited).unwrap();
    let (code, text) = drift();
    let named = "output.network: somebody changed them without Terraform, or the state";
    assert!(code == Some(1) && text.contains("Drift: 1 not as Terraform left them") && text.contains(named), "{text}");
    std::fs::write(scene.state(), state).unwrap();

    let removed = Command::new("terraform")
        .args(["state", "rm", "-state"])
        .arg(scene.state())
        .arg("terraform_data.network")
        .current_dir(scene.world.root().join(".."))
        .output()
        .unwrap();
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    let (code, text) = drift();
    assert!(code == Some(1) && text.contains(named), "{text}");
    // A plan makes again what the state has lost.
    let (code, text) = scene.run(&APPROVED);
    assert!(code == Some(0) && text.contains("Plan: 1 added"), "{text}");
}
