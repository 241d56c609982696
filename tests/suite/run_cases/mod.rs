//! `pipe run`, the real program, on workflows whose log and conclusions are known from GitHub's documentation.
//!
//! A case is a folder below `tests/cases`; `tests/cases/README.md` says what lies in it. Each is a test of its own, so
//! that one can be run by its name: `cargo nextest run -p tests run_cases::matrix_include`. `UPDATE_EXPECTED=1` writes
//! what was seen; whoever does that compares it with GitHub's documentation first, since the files are the documentation's
//! answers and not ours.

mod case;
mod nodes;
mod transcript;
mod world;

use std::path::{Path, PathBuf};

use case::Case;
use world::{Placement, World};

fn folder(group: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(group)
}

fn check(group: &str, name: &str) {
    let case = Case::read(&folder(group).join(name.replace('_', "-")));
    if let Some(reason) = case.obstacle() {
        return eprintln!("SKIPPED {group}/{name}: {reason}");
    }
    let mut failures = Vec::new();
    if case.host {
        failures.extend(check_on(&case, Placement::Host));
    } else if world::docker_answers() {
        failures.extend(check_on(&case, Placement::Docker));
    } else {
        eprintln!("SKIPPED {group}/{name} in Docker: no engine with the image of the cases (`make images`)");
    }
    if case.both {
        failures.extend(check_on(&case, Placement::Host));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check_on(case: &Case, placement: Placement) -> Vec<String> {
    let world = World::new(case);
    let outcome = world.run(case, placement);
    let seen = outcome.transcript.render(&outcome.exit, case.timeline, case.brief);
    let mut failures = Vec::new();
    let mut failed = |what: String| failures.push(format!("case {} ({placement:?}): {what}", case.name));
    let path = case.folder.join("expected.txt");
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if seen != expected && std::env::var("UPDATE_EXPECTED").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &seen).unwrap();
    } else if seen != expected {
        failed(format!(
            "the transcript differs (- expected, + seen)\n{}\nprinted:\n{}",
            diff(&expected, &seen),
            tail(&outcome.printed)
        ));
    }
    for text in &case.says {
        if !outcome.printed.contains(text) {
            failed(format!("it does not say `{text}`, but\n{}", tail(&outcome.printed)));
        }
    }
    for text in case.hides.iter().filter(|text| outcome.printed.contains(*text)) {
        failed(format!("it prints `{text}`"));
    }
    if !case.hides.is_empty() {
        world.found(case, placement).into_iter().for_each(&mut failed);
    }
    if let Some(then) = &case.then {
        let next = Case { signals: Vec::new(), args: Vec::new(), ..Case::read(&case.folder) };
        let after = world.pipe(&next, then);
        if after.exit != "0" {
            failed(format!("the command after it ended with {}:\n{}", after.exit, tail(&after.printed)));
        }
    }
    let left = world.leftovers(&outcome);
    if !left.is_empty() {
        failed(format!("this was left behind: {}", left.join(", ")));
    }
    failures
}

/// Lines that differ, each with its sign; equal ones around them stay for orientation.
fn diff(expected: &str, seen: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), seen.lines().collect());
    let mut lengths = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let longest = lengths[i + 1][j].max(lengths[i][j + 1]);
            lengths[i][j] = if old[i] == new[j] { lengths[i + 1][j + 1] + 1 } else { longest };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            out.push(format!("  {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            out.push(format!("- {}", old[i]));
            i += 1;
        } else {
            out.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    out.join("\n")
}

/// The end of what was printed, for a person.
fn tail(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<_> = text.lines().map(|line| line.chars().take(400).collect::<String>()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A test for each folder of a group, and one that no folder is without a test.
macro_rules! cases {
    ($group:literal, $all:ident: $($name:ident)*) => {
        $(#[test]
        fn $name() {
            check($group, stringify!($name));
        })*

        #[test]
        fn $all() {
            let mut folders: Vec<String> = std::fs::read_dir(folder($group))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().replace('-', "_"))
                .collect();
            folders.sort();
            let mut tests: Vec<&str> = vec![$(stringify!($name)),*];
            tests.sort_unstable();
            assert_eq!(folders, tests, "each folder of tests/cases/{} has its test, and no other", $group);
        }
    };
}

mod run {
    use super::*;

    cases! {
        "run", every_folder_has_its_test:
        actions_container actions_container_refused actions_fetched actions_locked actions_met_late actions_not_built_in
        actions_pre actions_stand_in add_mask annotations artifacts artifacts_wrong background background_cancel
        background_failure cache checkout_clean checkout_dirty composite composite_missing composite_timeout
        concurrency_cancel concurrency_queue concurrency_queue_max concurrency_workflow container_job context_values
        continue_on_error_job continue_on_error_step debug debug_variable default_variables defaults dispatch_defaults
        dispatch_inputs env_file env_precedence environments environments_rules event_file event_ids event_types
        exit_codes file_errors filters filters_pull_request filters_pull_request_base filters_tags functions github_context github_token groups
        hash_files if_jobs if_steps javascript job_outcome matrix_continue_on_error matrix_cross matrix_dynamic
        matrix_empty matrix_exclude matrix_expression_wrong matrix_fail_fast matrix_fail_fast_off
        matrix_fail_fast_queued matrix_include matrix_names matrix_picked needs_cancelled needs_failed needs_order needs_skipped
        old_commands output_forms outputs_job outputs_matrix parallel path_file poisoned_environment problem_matcher processes reusable
        reusable_elsewhere reusable_matrix reusable_nested schedule schedule_several secrets secrets_escaped
        secrets_everywhere secrets_kept_apart services_container services_failed services_of_actions services_runner shells state
        step_env_keys step_outputs stop_commands strategy_parallel sudo summary timeout_job timeout_step tool_cache
        unsecure_commands vars yaml_anchors
    }
}

mod bad {
    use super::*;

    cases! {
        "bad", every_folder_has_its_test:
        binary_output container_credentials container_on_host directory_missing disk_full dispatch_choice
        dispatch_missing dispatch_number docker_forbidden docker_not_needed docker_not_running if_fails if_invalid
        ignores_signals image_missing interrupt interrupt_in_container interrupt_twice killed killed_in_container
        killed_on_host label_windows long_line needs_typo no_workflow not_a_repository option_refused out_of_memory
        port_twice refused_by_github reusable_elsewhere_missing reusable_elsewhere_permissions reusable_input
        reusable_missing reusable_secret secret_undefined secret_undefined_strict service_dies service_unhealthy
        services_on_host terminate unknown_job workflow_binary workflow_empty workflow_huge workflow_missing
        workflow_symlink workflow_utf16
    }
}
