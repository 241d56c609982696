//! `pipe backup` and `pipe restore`. What they do is [`engine::store::backup`]'s.

use std::io::Write as _;
use std::path::Path;

use engine::sealing::KeySource;
use engine::store::StoreError;
use engine::store::backup::{self, Checked};
use jiff::Timestamp;
use serde_json::json;

use crate::args::{BackupArgs, Global, RestoreArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

/// Makes a backup, beside a server that may run.
///
/// # Errors
/// It cannot be made.
pub fn run(args: &BackupArgs, global: &Global) -> Result<Exit, Failure> {
    let key = match (args.with_key, KeySource::choose(&terminal::variable, &args.data)) {
        (false, _) => None,
        (true, KeySource::File(path)) => Some(path),
        (true, KeySource::Variable(_)) => {
            return Err(Failure::usage("the master key comes from PIPE_MASTER_KEY, so no backup can hold it"));
        }
    };
    let made = backup::make(&args.data, &args.target, key.as_deref(), Timestamp::now()).map_err(failed)?;
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", json!(made))?;
    } else {
        let bytes: u64 = made.files.iter().map(|kept| kept.bytes).sum();
        let (count, target) = (made.files.len(), args.target.display());
        writeln!(output, "{count} files, {:.1} MB: {target}", bytes as f64 / 1e6)?;
        writeln!(output, "check it: pipe restore {target} --verify")?;
    }
    output.flush()?;
    let text = "artifacts, caches and mirrors are not in it: the folders `kept` and `mirrors` hold them";
    terminal::note(Terminal::stderr(global.color), text);
    if !made.has_key {
        let text =
            "the master key is not in it: keep a copy of it elsewhere, or secrets cannot be opened after a restore";
        terminal::note(Terminal::stderr(global.color), text);
    }
    Ok(Exit::Success)
}

/// Checks a backup, and puts it into a folder unless only that was asked.
///
/// # Errors
/// It is not whole, or the folder is not empty.
pub fn restore(args: &RestoreArgs, global: &Global) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))?;
    let keys = keys(args);
    let checked = runtime.block_on(backup::check(&args.backup, &keys)).map_err(failed)?;
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", json!(checked))?;
    } else {
        output.write_all(text(&checked).as_bytes())?;
    }
    output.flush()?;
    if !checked.problems.is_empty() {
        return Err(Failure::new(Exit::Failure, "the backup is not whole, so nothing was restored"));
    }
    if args.verify {
        return Ok(Exit::Success);
    }
    let Some(data) = &args.data else {
        return Err(Failure::usage("give the folder to restore to: --data DIR, or --verify to only check"));
    };
    backup::restore(&args.backup, &checked.backup, data, Timestamp::now()).map_err(failed)?;
    let terminal = Terminal::stderr(global.color);
    terminal::note(terminal, &format!("restored to {}", data.display()));
    terminal::note(terminal, "tokens of the API were taken back: make new ones with `pipe token create`");
    if !checked.backup.has_key {
        terminal::note(terminal, "put the master key there as well: the backup does not hold it");
    }
    Ok(Exit::Success)
}

/// The key in the backup, or the one that is named, or that of the folder.
fn keys(args: &RestoreArgs) -> KeySource {
    let own = KeySource::choose(&|_| None, &args.backup);
    let is_there = |folder: &Path| folder.join(engine::sealing::KEY_FILE).exists();
    if is_there(&args.backup) {
        return own;
    }
    KeySource::choose(&terminal::variable, args.data.as_deref().unwrap_or(&args.backup))
}

fn text(checked: &Checked) -> String {
    let mut text = format!(
        "made {}: {} files, {} runs with {} facts",
        checked.backup.made_at,
        checked.backup.files.len(),
        checked.runs,
        checked.facts
    );
    match checked.audited {
        Some(count) => text.push_str(&format!(", {count} rows of the audit log hold together\n")),
        None => text.push_str("; the audit log was not checked: the master key is not here\n"),
    }
    for problem in &checked.problems {
        text.push_str(&format!("✘ {problem}\n"));
    }
    if checked.problems.is_empty() {
        text.push_str("✔ it is whole\n");
    }
    text
}

fn failed(error: StoreError) -> Failure {
    Failure::environment(format!("cannot {error}"))
}
