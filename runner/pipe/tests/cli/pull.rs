//! The shipped checks of a pull request, their file unchanged: three kinds side by side and one page with all of it. The services are
//! small ones in place of the shop's, whose own checks `pipelines/shop.yml` runs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::aws::{repository, told};
use crate::world::World;

const WORKFLOW: &str = ".github/workflows/pull-request.yml";
const FORMATTED: &str = "resource \"terraform_data\" \"network\" {\n  input = \"size 1\"\n}\n";
const UNFORMATTED: &str = "resource \"terraform_data\" \"network\" {\n input=\"size 1\"\n}\n";
/// What the pipeline promises.
const TIME_MAX: Duration = Duration::from_mins(5);

/// Runs it; whether it passed, and what it printed.
fn run(world: &World) -> (bool, String) {
    let begun = Instant::now();
    let mut command = world.command(&[
        "run",
        "pull_request",
        "-W",
        WORKFLOW,
        "--host",
        "--var",
        "SCAN_DB=services/advisories",
        "--var",
        "SCAN_GATE=pipelines/gate.yml",
    ]);
    let output = command.env_remove("DOCKER_HOST").stdin(Stdio::null()).output().unwrap();
    assert!(begun.elapsed() < TIME_MAX, "{:?}", begun.elapsed());
    (output.status.success(), told(&output))
}

#[test]
fn three_kinds_of_checks_run_side_by_side_and_one_page_says_all_of_it() {
    let is_here = Command::new("terraform").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_here.is_ok_and(|status| status.success()) {
        eprintln!("pipelines/pull-request.yml: SKIPPED, no `terraform` is here");
        return;
    }
    let world = repository((WORKFLOW, include_str!("../../../../pipelines/pull-request.yml")), "");
    world.write("services/infrastructure/main.tf", FORMATTED.as_bytes());
    let (passed, text) = run(&world);
    assert!(passed, "{text}");
    let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("{line}: {text}"));
    let jobs = ["Test products", "Test orders", "Test frontend", "Security", "Infrastructure"];
    // Nobody waits for another: all have begun before the slowest has ended, and the page comes last.
    let last_end = jobs.map(|job| at(&format!("✔ {job} ("))).into_iter().max().unwrap();
    for job in jobs {
        assert!(at(&format!("[{job}] ▶")) < last_end, "{job}: {text}");
    }
    assert!(at("[Summary] ▶") > last_end, "{text}");
    for line in [
        "| tests, with linters and coverage | success |",
        "| security: dependencies, secrets, settings, code | success |",
        "| infrastructure | success |",
    ] {
        at(line);
    }

    // One kind fails: the others are told all the same, and so is which it was.
    world.write("services/infrastructure/main.tf", UNFORMATTED.as_bytes());
    let (passed, text) = run(&world);
    assert!(!passed, "{text}");
    for line in [
        "| tests, with linters and coverage | success |",
        "| infrastructure | failure |",
        "files are not formatted",
        "✔ Security (",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
