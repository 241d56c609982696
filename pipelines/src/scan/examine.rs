//! One scan: read, compare, decide. It blocks, and asks nobody for anything over a network.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use scanners::advisory::{Database, Index};
use scanners::files::{Ask, FileScanners};
use scanners::finding::Finding;
use scanners::package::Inventory;
use scanners::policy::{self, Input, Policy, Verdict, decide};
use scanners::report::Report;
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
    /// What is there.
    pub inventory: Inventory,
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
        let Self { inventory, findings, verdict, is_of_daemon: _ } = self;
        Report { inventory, findings, verdict: Some(verdict), made: verdict.decided, version }
    }
}

/// Scans. It blocks.
///
/// # Errors
/// There is no image or folder to speak of. Everything else that is wrong makes the verdict untrusted.
pub fn examine(source: Source, order: &Order, standing: Standing) -> Result<Scanned, SourceError> {
    let options = inventory::Options {
        target: order.target.clone(),
        cache: order.cache.clone(),
        dockerfile: order.dockerfile.as_ref().map(|file| file.text.clone()),
        dockerfile_target: order.stage.clone(),
        development: order.development,
        ..inventory::Options::default()
    };
    let Scanners { vulnerabilities: _, secrets, misconfigurations, code } = order.scanners;
    let today = order.now.to_zoned(TimeZone::UTC).date();
    let files =
        FileScanners::new(Ask { secrets, misconfigurations, code }, today).with_actions(crate::action::catalogue());
    let is_repository = source.repository().is_some();
    let (mut inventory, looked) = inventory::read_with(source, &options, Some(&files))?;
    inventory.image_id = inventory.image_id.or_else(|| order.image.clone());
    let (mut findings, mut doubts) = (Vec::new(), looked.doubts);
    let (database, index) = compare(order, &inventory, &mut findings, &mut doubts);
    if order.scanners.misconfigurations
        && let Some(file) = &order.dockerfile
    {
        findings.extend(dockerfile::check(&file.path, &file.text));
    }
    findings.extend(looked.findings);
    findings.extend(foreign::imported(&order.foreign, index.as_ref(), &mut doubts));
    let mut warnings = Vec::new();
    findings.extend(foreign::covered(&order.foreign, &order.policy, is_repository, &mut doubts, &mut warnings));
    let vex = match &order.policy_folder {
        Some(folder) => vex::load(folder, &order.policy.vex, &order.policy.name),
        None => vex::Loaded::without_folder(&order.policy.vex, &order.policy.name),
    };
    doubts.extend(vex.doubts);
    let baseline = baseline::known(standing, index.as_ref(), &options);
    let mut verdict = decide(&Input {
        policy: &order.policy,
        inventory: &inventory,
        findings: &findings,
        baseline: baseline.state(),
        statements: &vex.statements,
        database,
        doubts: &doubts,
        dockerfile: order.dockerfile.as_ref().map(|file| file.path.as_str()),
        now: order.now,
    });
    verdict.warnings.extend(vex.warnings.into_iter().chain(warnings));
    Ok(Scanned { inventory, findings, verdict, is_of_daemon: order.image.is_some() })
}

/// Findings of advisories, and with which.
fn compare(
    order: &Order,
    inventory: &Inventory,
    findings: &mut Vec<Finding>,
    doubts: &mut Vec<String>,
) -> (policy::Database, Option<Index>) {
    if !order.scanners.vulnerabilities {
        return (policy::Database::NotNeeded, None);
    }
    let index = match order.database.open(order.now) {
        Ok(index) => index,
        Err(error) => return (policy::Database::Missing(error.to_string()), None),
    };
    match index.matching(inventory) {
        Ok(matches) => {
            findings.extend(matches.findings);
            doubts.extend(matches.uncovered.iter().map(ToString::to_string));
        }
        Err(error) => return (policy::Database::Missing(error.to_string()), None),
    }
    (policy::Database::Used { digest: index.digest(), updated: index.as_of() }, Some(index))
}
