//! Looks for secrets in a folder and says how fast: `cargo run --release -p scanners --example secrets -- FOLDER [gitleaks.toml]`.
//!
//! One thread; reading the files counts.

use std::path::Path;
use std::time::Instant;

use scanners::secret::{Rules, Scanner, Work, read_gitleaks};

#[expect(clippy::print_stdout, reason = "an example says what it found")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: secrets FOLDER [gitleaks.toml]")?;
    let rules = match arguments.next() {
        Some(file) => read_gitleaks(&std::fs::read_to_string(file)?)?,
        None => Rules::built_in(),
    };
    let before = Instant::now();
    let scanner = Scanner::new(rules);
    let ready = before.elapsed();
    let mut work = Work::default();
    let mut found = Vec::new();
    let before = Instant::now();
    walk(Path::new(&folder), Path::new(""), &mut |path, name| {
        let findings = scanner.scan(name, std::fs::File::open(path)?, None, &mut work)?;
        found.extend(findings);
        Ok(())
    })?;
    let seconds = before.elapsed().as_secs_f64();
    for finding in &found {
        let place = finding.place().ok_or("a secret has a place")?;
        println!("{}:{} {} {}", place.file, place.line.unwrap_or(0), finding.id, finding.summary);
    }
    let speed = work.bytes as f64 / seconds / 1e9;
    println!(
        "{} files, {} skipped, {} bytes: {} findings, ready in {ready:?}, {seconds:.3} s, {speed:.3} GB/s",
        work.files,
        work.skipped,
        work.bytes,
        found.len()
    );
    Ok(())
}

type Look<'a> = dyn FnMut(&Path, &str) -> std::io::Result<()> + 'a;

fn walk(folder: &Path, below: &Path, look: &mut Look<'_>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &name, look)?;
        } else if entry.file_type()?.is_file() {
            look(&entry.path(), &name.to_string_lossy())?;
        }
    }
    Ok(())
}
