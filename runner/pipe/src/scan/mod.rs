//! `pipe scan`: what is in an image or folder, what is wrong with it, and whether the gate lets it pass.
//!
//! Asks no network; only `pipe scan db update`, `attest` and `verify` do. What a scan is, is [`pipelines::scan`]'s.

mod attest;
mod db;
mod diff;
mod fetch;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pipelines::scan::{
    self, Dockerfile, Foreign, Order, RequireScan, Scanned, Scanners, Standing, Target, TargetError,
};
use scanners::advisory::Database;
use scanners::finding::Kind;
use scanners::package::Inventory;
use scanners::policy::{self, Outcome, Policy};
use scanners::report::{Format, Terminal as Page};
use scanners::secret::{self, Known};
use scanners::source::{Held, SourceError};
use sha2::{Digest as _, Sha256};
use workflow::source::{SourceFile, SourceMap};

use crate::args::{Global, ScanArgs, ScanCommand, ScanHow, Scanner};
use crate::config::Paths;
use crate::exit::{Exit, Failure};
use crate::render;
use crate::terminal::{self, Terminal};

/// Where a repository keeps its policy.
const GATE_FILE: &str = ".pipe/gate.yml";
/// Where it keeps what it knows of its secrets.
const SECRETS_FILE: &str = ".pipe/secrets.json";
/// Longest policy.
const GATE_BYTES_MAX: u64 = 1 << 20;
/// Longest report that is compared with.
const REPORT_BYTES_MAX: u64 = 1 << 30;
/// Width of a report where there is no terminal.
const WIDTH: usize = 120;

/// Runs the command.
///
/// # Errors
/// The target, the policy or an argument is wrong.
pub fn run(args: ScanArgs, global: &Global) -> Result<Exit, Failure> {
    match args.command {
        Some(ScanCommand::Db(command)) => db::run(&command, global),
        Some(ScanCommand::Diff(args)) => diff::run(&args, global),
        Some(ScanCommand::Attest(args)) => attest::attach_all(&args),
        Some(ScanCommand::Verify(args)) => attest::verify(&args),
        Some(ScanCommand::Key(args)) => attest::key(&args),
        None => scan(&args, global),
    }
}

fn scan(args: &ScanArgs, global: &Global) -> Result<Exit, Failure> {
    let target = args.target.as_deref().unwrap_or(".");
    let scanned = perform(target, &args.how, global)?;
    if let Some(file) = &args.write_secret_baseline {
        return write_known(file, &scanned, global);
    }
    let report = scanned.report();
    for (form, file) in &args.reports {
        let format = Format::parse(form).ok_or_else(|| Failure::usage(format!("there is no form `{form}`")))?;
        let text = report.write(format, Page::PLAIN);
        std::fs::write(file, text)
            .map_err(|error| Failure::environment(format!("cannot write `{}`: {error}", file.display())))?;
    }
    let format = if args.json { Format::Json } else { Format::parse(&args.format).unwrap_or(Format::Table) };
    let mut output = terminal::results();
    output.write_all(report.write(format, page(global)).as_bytes())?;
    output.flush()?;
    // The table says it at its end; other forms are for programs.
    if format != Format::Table && !global.quiet {
        terminal::note(Terminal::stderr(global.color), &scanned.verdict.sentence());
    }
    Ok(exit(scanned.verdict.outcome))
}

/// Keeps what is there. What could not be read may hold more, so nothing is written then.
fn write_known(file: &Path, scanned: &Scanned, global: &Global) -> Result<Exit, Failure> {
    let unread = scanned.case.inventory.unread.len() + scanned.case.doubts.len();
    if unread > 0 {
        let message = format!("`{}` was not written: {}", file.display(), scanned.verdict.sentence());
        return Err(Failure::usage(message));
    }
    let cannot = |error| Failure::environment(format!("cannot write `{}`: {error}", file.display()));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), std::fs::create_dir_all).map_err(cannot)?;
    std::fs::write(file, Known::write(&scanned.findings)).map_err(cannot)?;
    let count = scanned.findings.iter().filter(|finding| finding.kind == Kind::Secret).count();
    let known = if count == 1 { "one secret is known" } else { "secrets are known" };
    let count = if count == 1 { String::new() } else { format!("{count} ") };
    let words = format!("{count}{known} now; whoever could read them may use them, so revoke what is in use");
    terminal::note(Terminal::stderr(global.color), &words);
    Ok(Exit::Success)
}

/// Secrets that are known: of the file that is named, or of sources that of the repository.
fn known_secrets(named: Option<&Path>, target: &Target) -> Result<Option<Known>, Failure> {
    let usual = Path::new(SECRETS_FILE);
    let usual = Some(usual).filter(|path| matches!(target, Target::Repository(_)) && path.is_file());
    let Some(path) = named.or(usual) else { return Ok(None) };
    let name = crate::files::display_name(path, None);
    let cannot = |reason: String| Failure::usage(format!("cannot read the known secrets `{name}`: {reason}"));
    let length = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if length > secret::KNOWN_BYTES_MAX {
        return Err(cannot(format!("it is longer than {} bytes", secret::KNOWN_BYTES_MAX)));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
    Known::read(&name, &bytes).map(Some).map_err(|error| Failure::usage(error.to_string()))
}

fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Pass => Exit::Success,
        Outcome::Fail => Exit::Failure,
        Outcome::Untrusted => Exit::Usage,
    }
}

fn page(global: &Global) -> Page {
    let terminal = Terminal::stdout(global.color);
    let width = terminal::variable("COLUMNS").and_then(|text| text.parse().ok());
    let width = width.or_else(|| terminal.interactive.then(terminal::columns).flatten());
    Page { width: width.unwrap_or(WIDTH), colour: terminal.color }
}

/// One scan, with the policy and the baseline that are wanted.
fn perform(target: &str, how: &ScanHow, global: &Global) -> Result<Scanned, Failure> {
    let paths = Paths::from_environment(&terminal::variable);
    let (policy, policy_folder) = gate(how.gate.as_deref(), global)?;
    let parsed = Target::parse(target);
    let has = |scanner| how.scanners.contains(&scanner);
    let mut order = Order {
        target: target.to_owned(),
        image: None,
        scanners: Scanners {
            vulnerabilities: has(Scanner::Vulnerabilities),
            secrets: has(Scanner::Secrets),
            misconfigurations: has(Scanner::Misconfigurations),
            code: has(Scanner::Code),
        },
        secret_rules: how.secret_rules.as_deref().map(secret_rules).transpose()?,
        known_secrets: known_secrets(how.secret_baseline.as_deref(), &parsed)?,
        database: database(how.db.as_deref())?,
        cache: (!how.no_cache).then(|| paths.cache.join("scan/layers")),
        dockerfile: how.dockerfile.as_deref().map(dockerfile).transpose()?,
        stage: how.stage.clone(),
        development: how.dev,
        foreign: foreign(how)?,
        policy,
        policy_folder: Some(policy_folder),
        now: Timestamp::now(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let (standing, leftover) = standing(how.baseline.as_deref(), &order.policy).await;
        let opened = scan::open(parsed, labels()).await.map_err(of_target)?;
        order.image = opened.image().map(str::to_owned);
        let (source, own) = opened.take();
        let scanned = tokio::task::spawn_blocking(move || scan::examine(source, &order, standing)).await;
        for leftover in [Some(own), leftover].into_iter().flatten() {
            if let Err(problem) = leftover.remove().await {
                terminal::warning(Terminal::stderr(global.color), &problem);
            }
        }
        scanned.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(|error| of_source(&error))
    })
}

/// Reports of other tools.
fn foreign(how: &ScanHow) -> Result<Foreign, Failure> {
    let held = |paths: &[PathBuf]| -> Result<Vec<Held>, Failure> {
        let open = |path: &PathBuf| {
            Held::at(path).map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))
        };
        paths.iter().map(open).collect()
    };
    let workspace = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    Ok(Foreign { reports: held(&how.import)?, coverage: held(&how.coverage)?, workspace })
}

/// Where scans of runs have their advisories: below this folder, unless `PIPE_DB` says where.
/// What environments ask for comes from `require`.
pub fn folders(below: &Path, require: RequireScan) -> pipelines::ScanFolders {
    let advisories = terminal::variable("PIPE_DB").map_or_else(|| below.join("advisories"), PathBuf::from);
    pipelines::ScanFolders { advisories, cache: below.join("scan"), require }
}

/// Labels of containers that are made to be read, by which the next command removes what a killed one left.
fn labels() -> HashMap<String, String> {
    let paths = Paths::from_environment(&terminal::variable);
    let mut labels: HashMap<String, String> =
        engine::placement::Owner::new(&paths.state).own_labels().into_iter().collect();
    labels.insert("dev.pipe.role".to_owned(), "scan".to_owned());
    labels
}

fn of_target(error: TargetError) -> Failure {
    match &error {
        TargetError::NoImage(_) | TargetError::Nothing(_) | TargetError::NothingHere { .. } | TargetError::Files(_) => {
            Failure::usage(error.to_string())
        }
        TargetError::Docker(_) | TargetError::Unreadable { .. } => Failure::environment(error.to_string()),
    }
}

fn of_source(error: &SourceError) -> Failure {
    Failure::usage(error.to_string())
}

/// The policy that is named, or the repository's, or the built-in one; and its folder.
fn gate(named: Option<&Path>, global: &Global) -> Result<(Policy, Held), Failure> {
    let (policy, folder) = policy_of(named, global)?;
    let held = Held::at(&folder);
    let held =
        held.map_err(|error| Failure::usage(format!("cannot read the folder `{}`: {error}", folder.display())))?;
    Ok((policy, held))
}

fn policy_of(named: Option<&Path>, global: &Global) -> Result<(Policy, PathBuf), Failure> {
    let here = PathBuf::from(".");
    let path = match named {
        Some(path) => path.to_owned(),
        None if Path::new(GATE_FILE).is_file() => PathBuf::from(GATE_FILE),
        None => return Ok((Policy::built_in(), here)),
    };
    let cannot = |reason: String| Failure::usage(format!("cannot read the policy `{}`: {reason}", path.display()));
    let length = std::fs::metadata(&path).map_err(|error| cannot(error.to_string()))?.len();
    if length > GATE_BYTES_MAX {
        return Err(cannot(format!("it is longer than {GATE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| cannot(error.to_string()))?;
    let name = crate::files::display_name(&path, None);
    let file = SourceFile::new(name.clone(), text);
    match policy::read(&file) {
        // Its paths are those of the repository that it lies in, `.pipe/` left aside.
        Ok(policy) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(&here);
            let folder = if folder.ends_with(".pipe") { folder.parent().unwrap_or(&here) } else { folder };
            let folder = if folder.as_os_str().is_empty() { &here } else { folder };
            Ok((policy, folder.to_owned()))
        }
        Err(diagnostics) => {
            let mut sources = SourceMap::default();
            sources.add(file);
            let finding = render::Finding { file: &name, sources: &sources, diagnostics: &diagnostics };
            let text = render::text::render(&finding, Terminal::stderr(global.color));
            let rest = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
            Err(Failure::usage(rest.trim_end().to_owned()).help("docs/scanning.md shows a policy with all of its keys"))
        }
    }
}

/// Advisories in a folder that is named are read as they lie there; the index of one that has none is kept with other
/// things that can be made again.
fn database(named: Option<&Path>) -> Result<Database, Failure> {
    let paths = Paths::from_environment(&terminal::variable);
    let Some(folder) = named else { return Ok(Database::at(&paths.cache.join("advisories"))) };
    let missing = |error| Failure::usage(format!("there are no advisories in `{}`: {error}", folder.display()));
    let whole = folder.canonicalize().map_err(missing)?;
    let own = Database::at(&whole);
    if own.index_path().is_file() {
        return Ok(own);
    }
    let digest = Sha256::digest(whole.as_os_str().as_encoded_bytes());
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(own.with_index(&paths.cache.join("scan").join(format!("{name}.index"))))
}

fn secret_rules(path: &Path) -> Result<secret::Rules, Failure> {
    let wrong = |reason: String| Failure::usage(format!("cannot use the rules in `{}`: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    secret::read_gitleaks(&text).map_err(|error| wrong(error.to_string()))
}

fn dockerfile(path: &Path) -> Result<Dockerfile, Failure> {
    let text = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read the Dockerfile `{}`: {error}", path.display())))?;
    let path = crate::files::display_name(path, None);
    Ok(Dockerfile { path, text: String::from_utf8_lossy(&text).into_owned() })
}

/// What is compared with; it may be a report of ours as well.
async fn standing(named: Option<&str>, policy: &Policy) -> (Standing, Option<scan::Leftover>) {
    let Some(name) = scan::compared_with(named, policy) else { return (Standing::NotAsked, None) };
    if Path::new(name).extension().is_some_and(|ending| ending == "json") && Path::new(name).is_file() {
        return (report(Path::new(name)), None);
    }
    scan::standing(name, Target::parse(name), labels()).await
}

/// The inventory in a report of ours.
fn report(path: &Path) -> Standing {
    let read = || -> Result<Inventory, String> {
        let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
        if length > REPORT_BYTES_MAX {
            return Err(format!("it is longer than {REPORT_BYTES_MAX} bytes"));
        }
        let text = std::fs::read(path).map_err(|error| error.to_string())?;
        let mut json: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let inventory = json.get_mut("inventory").map(serde_json::Value::take);
        let inventory = inventory.ok_or("it is no report of `pipe scan --json`")?;
        serde_json::from_value(inventory).map_err(|error| error.to_string())
    };
    match read() {
        Ok(inventory) => Standing::Report(Box::new(inventory)),
        Err(reason) => Standing::Unavailable(format!("{} cannot be read: {reason}", path.display())),
    }
}
