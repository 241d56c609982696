//! One scan: read, compare, decide. It blocks, and asks nobody for anything over a network.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use scanners::advisory::{Database, Index};
use scanners::case::Case;
use scanners::files::{Ask, FileScanners};
use scanners::finding::Finding;
use scanners::policy::{Policy, Verdict};
use scanners::report::Report;
use scanners::secret::{Known, Rules};
use scanners::source::{Held, Source, SourceError};
use scanners::vex;
use scanners::{dockerfile, inventory};

use super::baseline::{self, Standing};
use super::foreign::{self, Foreign};

/// Which scanners are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanners {
    /// Advisories for packages.
    pub vulnerabilities: bool,
    /// Credentials in files of a repository, and in layers of an image.
    pub secrets: bool,
    /// Rules for Dockerfiles and Terraform.
    pub misconfigurations: bool,
    /// Rules for source code.
    pub code: bool,
}

/// A Dockerfile that made an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// From the root of the repository, for reports.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What is wanted of a scan.
#[derive(Debug)]
pub struct Order {
    /// What the user named, for reports.
    pub target: String,
    /// Id of the image, where the daemon has it.
    pub image: Option<String>,
    /// Who is asked.
    pub scanners: Scanners,
    /// Other rules for secrets than the built-in ones.
    pub secret_rules: Option<Rules>,
    /// Secrets that are known already.
    pub known_secrets: Option<Known>,
    /// Where advisories are.
    pub database: Database,
    /// Keeps what was read of layers.
    pub cache: Option<PathBuf>,
    /// What made the image.
    pub dockerfile: Option<Dockerfile>,
    /// The stage of it.
    pub stage: Option<String>,
    /// Whether packages for development count.
    pub development: bool,
    /// What other tools found and measured.
    pub foreign: Foreign,
    /// What decides.
    pub policy: Policy,
    /// What the policy's paths are relative to; none where it cannot be reached.
    pub policy_folder: Option<Held>,
    /// When it is.
    pub now: Timestamp,
}

/// What a scan found, and what follows.
#[derive(Debug)]
pub struct Scanned {
    /// What is there, and what else it is judged by.
    pub case: Case,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What the gate says.
    pub verdict: Verdict,
    /// Whether it is an image that the daemon vouches for: an archive may name itself by any digest.
    pub is_of_daemon: bool,
}

impl Scanned {
    /// To be written in any form.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        let version = env!("CARGO_PKG_VERSION");
        let Self { case, findings, verdict, is_of_daemon: _ } = self;
        Report { inventory: &case.inventory, findings, verdict: Some(verdict), made: verdict.decided, version }
    }
}

/// Scans. It blocks.
///
/// # Errors
/// There is no image or folder to speak of. Everything else that is wrong makes the verdict untrusted.
pub fn examine(source: Source, order: &Order, standing: Standing) -> Result<Scanned, SourceError> {
    let options = inventory::Options {
        target: order.target.clone(),
        // What was kept of layers was found by the built-in rules.
        cache: order.cache.clone().filter(|_| order.secret_rules.is_none()),
        dockerfile: order.dockerfile.as_ref().map(|file| file.text.clone()),
        dockerfile_target: order.stage.clone(),
        development: order.development,
        ..inventory::Options::default()
    };
    let Scanners { vulnerabilities: _, secrets, misconfigurations, code } = order.scanners;
    let today = order.now.to_zoned(TimeZone::UTC).date();
    let mut files =
        FileScanners::new(Ask { secrets, misconfigurations, code }, today).with_actions(crate::action::catalogue());
    if let Some(rules) = &order.secret_rules {
        files = files.with_rules(rules.clone());
    }
    let is_repository = source.repository().is_some();
    let (mut inventory, looked) = inventory::read_with(source, &options, Some(&files))?;
    inventory.image_id = inventory.image_id.or_else(|| order.image.clone());
    let mut case = Case::new(inventory, order.policy.clone());
    case.is_matched = order.scanners.vulnerabilities;
    // Of sources all is looked at, so what is not found is gone.
    case.known = order.known_secrets.clone().filter(|_| secrets);
    if let Some(known) = &mut case.known {
        known.is_whole = is_repository;
    }
    case.doubts = looked.doubts;
    case.compared = baseline::compared(standing, &options);
    case.dockerfile = order.dockerfile.as_ref().map(|file| file.path.clone());
    if order.scanners.misconfigurations
        && let Some(file) = &order.dockerfile
    {
        case.findings.extend(dockerfile::check(&file.path, &file.text));
    }
    case.findings.extend(looked.findings);
    add_foreign(&mut case, order, is_repository);
    let vex = match &order.policy_folder {
        Some(folder) => vex::load(folder, &order.policy.vex, &order.policy.name),
        None => vex::Loaded::without_folder(&order.policy.vex, &order.policy.name),
    };
    case.doubts.extend(vex.doubts);
    // Those of files before those of what was measured.
    case.warnings.splice(0..0, vex.warnings);
    case.statements = vex.statements;
    let index = opened(&order.database, case.is_matched, order.now);
    let (findings, verdict) = case.judge(index.as_ref().map_err(String::as_str), order.now);
    case.note(&verdict);
    Ok(Scanned { case, findings, verdict, is_of_daemon: order.image.is_some() })
}

fn add_foreign(case: &mut Case, order: &Order, is_repository: bool) {
    let Case { findings, doubts, warnings, .. } = case;
    findings.extend(foreign::imported(&order.foreign, doubts));
    findings.extend(foreign::covered(&order.foreign, &order.policy, is_repository, doubts, warnings));
}

/// Advisories, where they are needed, or why there are none.
fn opened(database: &Database, is_needed: bool, now: Timestamp) -> Result<Index, String> {
    if !is_needed {
        return Err("nobody asked for them".to_owned());
    }
    database.open(now).map_err(|error| error.to_string())
}
