//! Runs without an engine: workflows as text, a script of what happens, and what follows from it.
//!
//! The cases lie in `tests/run/*.txt`. After `# title` stands a workflow, after `----` the script: lines that begin with
//! `>` happen, the others are what the run makes of it. `UPDATE=1` writes the files anew; read the difference.

mod environments;
mod hidden;
mod logs;
mod plan;
mod random;
mod steps;
mod world;

use std::path::{Path, PathBuf};

use world::World;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn cases(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("# ").filter(|(at, _)| *at == 0 || text[..*at].ends_with('\n')).map(|(at, _)| at);
    let starts: Vec<_> = starts.chain([text.len()]).collect();
    (1..starts.len()).map(move |index| &text[starts[index - 1]..starts[index]]).collect::<Vec<_>>().into_iter()
}

/// Plays a case; gives it back as it should be written.
fn play(case: &str) -> String {
    let (workflow, script) = case.split_once("----\n").unwrap_or_else(|| panic!("no script in\n{case}"));
    let mut world = World::new(workflow.split_once('\n').expect("a title").1);
    for line in script.lines().filter_map(|line| line.strip_prefix("> ")) {
        world.script(line);
    }
    format!("{workflow}----\n{}\n", world.transcript())
}

/// Plays every case of a folder's files and compares.
fn check(name: &str, files_min: usize, play: fn(&str) -> String) {
    let mut wrong = String::new();
    let mut files: Vec<_> = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= files_min, "the cases are gone");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let played: String = cases(&text).map(play).collect();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, played).unwrap();
            continue;
        }
        for (written, found) in cases(&text).zip(cases(&played)).filter(|(written, found)| written != found) {
            wrong.push_str(&format!("{}:\n{written}--- but found\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn runs_go_as_github_documents_it() {
    check("run", 5, play);
}
