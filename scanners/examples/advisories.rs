//! Makes an index of a folder of advisories and compares inventories with it, with the time that takes.
//!
//! `cargo run --release -p scanners --example advisories -- index FOLDER [RUNS]` makes the index again and again;
//! `… match FOLDER INVENTORY.json [RUNS]` compares what the example `inventory` printed, and prints the findings as JSON;
//! `… status FOLDER` shows what is in it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use scanners::advisory::{Database, Index};
use scanners::package::Inventory;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["index", folder] => index(folder, 1),
        ["index", folder, runs] => runs.parse().map_err(Into::into).and_then(|runs| index(folder, runs)),
        ["match", folder, inventory] => compare(folder, inventory, 1),
        ["match", folder, inventory, runs] => {
            runs.parse().map_err(Into::into).and_then(|runs| compare(folder, inventory, runs))
        }
        ["status", folder] => status(folder),
        _ => Err("expected index FOLDER [RUNS], match FOLDER INVENTORY.json [RUNS] or status FOLDER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn index(folder: &str, runs: usize) -> Result<(), Box<dyn Error>> {
    let database = Database::at(Path::new(folder));
    let mut times = Vec::new();
    for _ in 0..runs.max(1) {
        let begun = Instant::now();
        database.build(Timestamp::now())?;
        times.push(begun.elapsed());
    }
    let index = Index::open(database.index_path())?;
    let header = index.header();
    let records: u64 = header.sources.iter().map(|source| source.records + source.withdrawn + source.beside).sum();
    println!(
        "{records} records, {} advisories, {} rows: index made in {}",
        header.advisories,
        header.rows,
        median(times)
    );
    Ok(())
}

fn compare(folder: &str, inventory: &str, runs: usize) -> Result<(), Box<dyn Error>> {
    let inventory: Inventory = serde_json::from_slice(&std::fs::read(inventory)?)?;
    let path = Database::at(Path::new(folder)).index_path().to_owned();
    let (mut opened, mut matched) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..runs.max(1) {
        let begun = Instant::now();
        let index = Index::open(&path)?;
        opened.push(begun.elapsed());
        let begun = Instant::now();
        let found = index.matching(&inventory)?;
        matched.push(begun.elapsed());
        last = Some(found);
    }
    let found = last.unwrap_or_default();
    eprintln!(
        "{} packages: {} findings; opened in {}, compared in {}",
        inventory.packages.len(),
        found.findings.len(),
        median(opened),
        median(matched)
    );
    for uncovered in &found.uncovered {
        eprintln!("{uncovered}");
    }
    println!("{}", serde_json::to_string(&found.findings)?);
    Ok(())
}

fn status(folder: &str) -> Result<(), Box<dyn Error>> {
    println!("{}", Database::at(Path::new(folder)).status(Timestamp::now())?);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let (fastest, slowest) = (times[0], times[times.len() - 1]);
    format!("{:?} (median of {}, fastest {fastest:?}, slowest {slowest:?})", times[times.len() / 2], times.len())
}
