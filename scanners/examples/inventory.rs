//! Prints what is installed in an image or folder, as JSON, and how long it took: for comparisons with other scanners.
//!
//! `cargo run --release -p scanners --example inventory -- archive|layout|root|repository|export|overlay PATH [CACHE [DOCKERFILE]]`.
//! `export` reads a tar from standard input; `overlay` reads Docker's answer (`docker inspect IMAGE`) from there.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use scanners::inventory::{Options, read};
use scanners::source::{Held, OverlayImage, Source};

/// The most memory that this process had, in KiB. What a parent measures includes its own.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (form, path) = (arguments.next().unwrap_or_default(), PathBuf::from(arguments.next().unwrap_or_default()));
    let options = Options {
        target: path.display().to_string(),
        cache: arguments.next().filter(|cache| !cache.is_empty()).map(PathBuf::from),
        dockerfile: arguments.next().and_then(|file| std::fs::read_to_string(file).ok()),
        ..Options::default()
    };
    let begun = Instant::now();
    let source = match form.as_str() {
        "archive" | "layout" | "root" | "repository" => {
            let held = match Held::at(&path) {
                Ok(held) => held,
                Err(error) => {
                    eprintln!("{}: {error}", path.display());
                    return ExitCode::from(2);
                }
            };
            match form.as_str() {
                "archive" => Source::Archive { file: held, name: None },
                "layout" => Source::OciLayout { folder: held, name: None },
                "root" => Source::RootFolder(held),
                _ => Source::Repository(held),
            }
        }
        "export" => Source::Export(Box::new(std::io::stdin())),
        "overlay" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text).ok();
            let answer: Option<serde_json::Value> = read.and_then(|_| serde_json::from_str(&text).ok());
            let answer = answer.as_ref().map(|answer| answer.get(0).unwrap_or(answer));
            let Some(image) = answer.and_then(OverlayImage::from_inspect) else {
                eprintln!("standard input is not what `docker inspect` says about an image in overlay2");
                return ExitCode::from(2);
            };
            Source::Overlay(image)
        }
        other => {
            eprintln!("`{other}` is none of archive, layout, root, repository, export, overlay");
            return ExitCode::from(2);
        }
    };
    match read(source, &options) {
        Ok(inventory) => {
            eprintln!(
                "{} packages in {:?}, {} KiB",
                inventory.packages.len(),
                begun.elapsed(),
                peak_kib().unwrap_or(0)
            );
            println!("{}", serde_json::to_string(&inventory).unwrap_or_default());
            if inventory.unread.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
