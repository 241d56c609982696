//! `pipe scan db`: advisories are fetched, and what there is is shown.

use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;
use scanners::advisory::{Database, Plan, Progress, UpdateError, update};
use serde_json::json;

use super::fetch::Http;
use crate::args::{Global, ScanDbCommand, ScanStatusArgs, ScanUpdateArgs};
use crate::config::Paths;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

pub(super) fn run(command: &ScanDbCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        ScanDbCommand::Update(args) => fetch(args, global),
        ScanDbCommand::Status(args) => status(args),
    }
}

fn own(folder: Option<&Path>) -> Database {
    let paths = Paths::from_environment(&terminal::variable);
    Database::at(&folder.map_or_else(|| paths.cache.join("advisories"), Path::to_owned))
}

fn fetch(args: &ScanUpdateArgs, global: &Global) -> Result<Exit, Failure> {
    let database = own(args.db.as_deref());
    let mut plan = Plan::default();
    if !args.ecosystem.is_empty() {
        plan.ecosystems.clone_from(&args.ecosystem);
        // Who names ecosystems wants those; what is said of any (KEV, EPSS) comes along.
        plan.documents.retain(|(name, _)| name.starts_with("kev") || name.starts_with("epss"));
    }
    if let Some(url) = &args.osv_url {
        url.trim_end_matches('/').clone_into(&mut plan.osv_url);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))?;
    let http = Http::new(runtime.handle().clone()).map_err(Failure::environment)?;
    let stderr = Terminal::stderr(global.color);
    let mut tell = |progress: Progress| {
        if !global.quiet {
            terminal::note(stderr, &words(&progress));
        }
    };
    let updated = update(&database, &plan, &http, Timestamp::now(), &mut tell).map_err(|error| failed(&error))?;
    let mut output = terminal::results();
    let digest = updated.index.digest();
    if args.json {
        let header = updated.index.header();
        writeln!(output, "{:#}", json!({ "digest": digest, "changed": updated.changed, "index": header }))?;
    } else {
        let word = if updated.changed { "new" } else { "nothing new" };
        writeln!(output, "{word}: {} advisories, {digest}", updated.index.header().advisories)?;
    }
    output.flush()?;
    Ok(Exit::Success)
}

fn words(progress: &Progress) -> String {
    match progress {
        Progress::NotModified { name } => format!("{name}: as before"),
        Progress::Fetched { name, bytes } => format!("{name}: {:.1} MB", *bytes as f64 / 1e6),
        Progress::Increments { ecosystem, records } => format!("{ecosystem}: {records} records have changed"),
        Progress::Indexing => "making the index".to_owned(),
    }
}

fn failed(error: &UpdateError) -> Failure {
    let failure = Failure::environment(error.to_string());
    match error {
        UpdateError::Fetch(_) => {
            failure.help("without this network: copy the folder from a machine that has one, and name it with --db")
        }
        UpdateError::Busy { .. } | UpdateError::Io { .. } | UpdateError::Build(_) => failure,
    }
}

fn status(args: &ScanStatusArgs) -> Result<Exit, Failure> {
    let (database, now) = (super::database(args.db.as_deref())?, Timestamp::now());
    database.open(now).map_err(|error| Failure::usage(error.to_string()))?;
    let status = database.status(now).map_err(|error| Failure::usage(error.to_string()))?;
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", json!(status))?;
    } else {
        write!(output, "{status}")?;
    }
    output.flush()?;
    Ok(Exit::Success)
}
