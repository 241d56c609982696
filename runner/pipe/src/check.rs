//! `pipe check`: every diagnostic of many workflow files, without running anything.
//!
//! Files are read by several threads; results come in the order of the files. Needs no Docker and no network.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use engine::actions::lock::{LOCK_FILE, Lock};
use workflow::diagnostic::Diagnostic;
use workflow::source::SourceMap;

use crate::args::{CheckArgs, CheckFormat, Global};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::explain;
use crate::files;
use crate::labels;
use crate::reading::{Audits, Reader, Reading};
use crate::render::{self, Finding, Tally, count};
use crate::select;
use crate::terminal::{self, Terminal};

/// Runs the command.
pub fn run(args: &CheckArgs, global: &Global) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let root = files::repository_root(Path::new("."));
    let settings = Settings::load(global, root.as_deref())?;
    let files = wanted(&args.paths, root.as_deref(), &settings)?;
    let bytes_max = settings.limits.workflow_file_bytes;
    let locked = locked(root.as_deref())?;
    let mut levels = settings.audits.clone();
    levels.pedantic = args.pedantic;
    let audits = Some(Audits { levels, locked });
    let reader = Reader { root, bytes_max, actions: pipelines::catalogue(), elsewhere: None, audits };
    let mut readings = reader.read_all(&files);
    tell_once(&mut readings);
    let mut tally = Tally::default();
    for reading in &readings {
        tally.add(&reading.diagnostics);
    }
    print(args.format, &readings, tally, global, begun.elapsed())?;
    if args.format == CheckFormat::Text && !global.quiet {
        foreign(&readings, &settings, Terminal::stderr(global.color));
    }
    let invalid = tally.errors > 0 || args.strict && tally.warnings > 0;
    Ok(if invalid { Exit::Invalid } else { Exit::Success })
}

/// The actions whose commits the repository has written down.
fn locked(root: Option<&Path>) -> Result<HashSet<String>, Failure> {
    let path = root.unwrap_or(Path::new(".")).join(LOCK_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(Failure::environment(format!("cannot read `{}`: {error}", path.display()))),
    };
    let lock = Lock::parse(&text).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(lock.actions().map(str::to_owned).collect())
}

/// What is wrong with a file that several workflows call or use is told once: with the file itself if it is looked at, else with the
/// first of them.
fn tell_once(readings: &mut [Reading]) {
    let read: HashSet<String> = readings.iter().map(|reading| reading.name.clone()).collect();
    let place = |found: &Diagnostic, sources: &SourceMap| {
        let (file, start, end) = found.span.and_then(|span| sources.locate(span))?;
        Some((file.to_owned(), start, end, found.code, found.message.clone()))
    };
    // Of an action all is told with the action itself, but for what only a certain use brings about.
    let actions = readings.iter().filter(|reading| files::is_action(Path::new(&reading.name)));
    let mut told: HashSet<_> = actions
        .flat_map(|reading| reading.diagnostics.iter().map(|found| (&reading.name, place(found, &reading.sources))))
        .filter_map(|(name, place)| place.filter(|(file, ..)| file == name))
        .collect();
    for reading in readings {
        let Reading { name, sources, diagnostics, .. } = reading;
        diagnostics.retain(|found| {
            let Some(place) = place(found, sources) else { return true };
            if place.0 == *name {
                return true;
            }
            let is_elsewhere = read.contains(&place.0) && ABOUT_ACTIONS.contains(&found.code.0);
            told.insert(place) && !is_elsewhere
        });
    }
}

/// What is told of a called workflow is what calling it brings about, but for these.
const ABOUT_ACTIONS: [&str; 4] = ["P0418", "P0419", "P0420", "P0421"];

/// The files that are meant, each with its name. What does not exist stays in the list, to be reported.
fn wanted(paths: &[PathBuf], root: Option<&Path>, settings: &Settings) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let failed = |error| Failure::environment(format!("cannot read `{}`: {error}", path.display()));
            let mut found = files::search(path, true).map_err(failed)?;
            found.extend(files::search_actions(path).map_err(failed)?);
            if found.is_empty() {
                return Err(Failure::new(
                    Exit::Nothing,
                    format!("there are no workflow files in `{}`", path.display()),
                ));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    if paths.is_empty() {
        let top = root.unwrap_or(Path::new("."));
        let folders = files::folders(top, settings.workflows.as_deref());
        let failed = |error| Failure::environment(format!("cannot read `{}`: {error}", top.display()));
        let actions = files::search_actions(top).map_err(failed)?;
        if folders.is_empty() && actions.is_empty() {
            return Err(select::no_folder(top));
        }
        for folder in folders {
            files.extend(
                files::search(&folder, false)
                    .map_err(|error| Failure::environment(format!("cannot read `{}`: {error}", folder.display())))?,
            );
        }
        files.extend(actions);
    }
    // What the user named keeps that name; what was found is named from the root.
    let from = if paths.is_empty() { root } else { None };
    let named = |path: PathBuf| {
        let name = files::display_name(&path, from);
        (path, name)
    };
    Ok(files.into_iter().map(named).collect())
}

fn print(
    format: CheckFormat,
    readings: &[Reading],
    tally: Tally,
    global: &Global,
    time: Duration,
) -> Result<(), Failure> {
    let mut output = terminal::results();
    let findings = readings.iter().map(Reading::finding);
    match format {
        CheckFormat::Text => {
            let terminal = Terminal::stdout(global.color);
            for finding in findings {
                output.write_all(render::text::render(&finding, terminal).as_bytes())?;
            }
            if !global.quiet {
                let wrong = readings.iter().filter(|reading| !reading.diagnostics.is_empty());
                writeln!(output, "{}", summary(tally, wrong.clone().count(), readings.len(), time, terminal))?;
                if let Some(first) = wrong.flat_map(|reading| &reading.diagnostics).next() {
                    writeln!(output, "Explain one: pipe explain {}", first.code.0)?;
                }
            }
        }
        CheckFormat::Json => {
            for finding in findings {
                writeln!(output, "{}", render::json::file(&finding))?;
            }
        }
        CheckFormat::Sarif => {
            let findings: Vec<Finding<'_>> = findings.collect();
            let document = render::sarif::document(&findings, &|code| explain::title(code).map(str::to_owned));
            writeln!(output, "{document:#}")?;
        }
        CheckFormat::Github => {
            for finding in findings {
                output.write_all(render::github::render(&finding).as_bytes())?;
            }
        }
    }
    Ok(output.flush()?)
}

/// What is right for GitHub, but cannot run on this machine as it is set up.
fn foreign(readings: &[Reading], settings: &Settings, terminal: Terminal) {
    let labels = labels::of_settings(settings);
    for reading in readings {
        let jobs = reading.workflow.iter().flat_map(|workflow| workflow.jobs.values());
        for note in jobs.flat_map(|job| labels::foreign(job, &labels)) {
            terminal::note(terminal, &format!("{}: {note}", reading.name));
        }
    }
}

fn summary(tally: Tally, wrong: usize, all: usize, time: Duration, terminal: Terminal) -> String {
    let checked = format!("checked {} in {} ms", count(all, "file"), time.as_millis());
    let Tally { errors, warnings, notes } = tally;
    if errors + warnings + notes == 0 {
        return format!("{} ({checked})", terminal.strong(AnsiColor::Green, "No problems found"));
    }
    let parts: Vec<String> = [(errors, "error"), (warnings, "warning"), (notes, "note")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| count(number, noun))
        .collect();
    let color = if errors > 0 { AnsiColor::Red } else { AnsiColor::Yellow };
    format!("{} in {} ({checked})", terminal.strong(color, &parts.join(", ")), count(wrong, "file"))
}

#[cfg(test)]
mod tests {
    use workflow::diagnostic::Code;
    use workflow::source::{FileId, SourceFile, Span};

    use super::*;

    /// A file that brings others along, with mistakes by file and code.
    fn reading(files: &[&str], found: &[(u16, &'static str)]) -> Reading {
        let mut sources = SourceMap::default();
        for name in files {
            sources.add(SourceFile::new(*name, "uses: pipe/scna@v1\n"));
        }
        let at = |(file, code): &(u16, &'static str)| {
            Diagnostic::error(Code(code), Span::new(FileId(*file), 6, 15), "there is no such action")
        };
        Reading { name: files[0].to_owned(), sources, workflow: None, diagnostics: found.iter().map(at).collect() }
    }

    #[test]
    fn what_several_workflows_use_is_told_once() {
        let mut readings = [
            reading(&["a.yml", "called.yml", "release/action.yml"], &[(0, "P0418"), (1, "P0418"), (2, "P0418")]),
            reading(&["b.yml", "release/action.yml"], &[(1, "P0418"), (1, "P0420")]),
            reading(&["called.yml"], &[(0, "P0418")]),
            // What only the call brings about.
            reading(&["c.yml", "called.yml"], &[(1, "P0134")]),
        ];
        tell_once(&mut readings);
        let told = |reading: &Reading| {
            let places = reading.diagnostics.iter().map(|found| {
                let (file, ..) = found.span.and_then(|span| reading.sources.locate(span)).expect("it has a place");
                format!("{file} {}", found.code.0)
            });
            places.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            readings.iter().map(told).collect::<Vec<_>>(),
            [
                "a.yml P0418, release/action.yml P0418",
                "release/action.yml P0420",
                "called.yml P0418",
                "called.yml P0134",
            ]
        );
    }
}
