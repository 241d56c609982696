//! Which advisories apply to what is installed.
//!
//! The versions decide, in the order of the ecosystem; names alone never do. Everything that several databases say about one
//! vulnerability becomes one finding for a package. It does not judge: the gate does.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering as AtomicOrdering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codec::{self, Row, Span};
use super::error::IndexError;
use super::index::{Index, Known, Page, Window, key};
use super::model::Advisory;
use super::{merge, names, severity};
use crate::finding::{AffectedPackage, Finding, Rating, Severity, SeveritySource};
use crate::package::{Ecosystem, Inventory, Package};
use crate::version::Scheme;

/// Threads that compare; more wait for the same memory.
const THREADS_MAX: usize = 4;
/// Packages that one of them takes at a time.
const LOOKUPS_AT_ONCE: usize = 48;

/// What a match found, and what it could say nothing about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matches {
    /// In the order of the packages, the worst first.
    pub findings: Vec<Finding>,
    /// Packages of which the index knows no advisories at all: without them a scan is not a pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<Uncovered>,
    /// Package URLs of what is installed in no released version, as the main module of a Go program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unversioned: Vec<String>,
}

/// Packages of one release of which the index has no advisories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    pub ecosystem: Ecosystem,
    /// `debian:13`, `npm`; none when nothing says which distribution it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How many packages that concerns.
    pub packages: usize,
}

impl std::fmt::Display for Uncovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ecosystem, release, packages } = self;
        match release {
            Some(release) => write!(
                f,
                "{packages} packages of {release} were not compared: the index has no advisories for it. Run `pipe scan db update \
                 --ecosystem` with its name, or scan a supported release"
            ),
            None => write!(
                f,
                "{packages} packages of type {ecosystem} were not compared: the image does not say which distribution it is \
                 (/etc/os-release)"
            ),
        }
    }
}

/// A row that applies to a package, with its advisory.
pub(super) struct Hit {
    pub(super) advisory: Rc<Advisory>,
    pub(super) will_not_fix: bool,
    pub(super) rating: Option<Rating>,
    /// Since when this machine knows that there is a fix, where it saw that come.
    pub(super) fix_seen: Option<i64>,
    /// Versions with the fix, as far as they are later than the one that is installed.
    pub(super) fixed: Vec<String>,
    /// The row as it lies in the index.
    row: Vec<u8>,
}

impl Hit {
    /// Whether the advisory applies to this version too.
    pub(super) fn applies_to(&self, scheme: Scheme, version: &str) -> bool {
        let applies = |span: Span<'_>| same_stream(scheme, &span, version) && span.contains(scheme, version);
        let equals = |listed: &str| scheme.compare(listed, version) == Ordering::Equal;
        codec::row_is(&self.row, applies, equals).unwrap_or(false)
    }
}

/// What is looked up for one package.
struct Lookup {
    key: Vec<u8>,
    version: String,
    package: usize,
}

impl Index {
    /// Compares everything in an inventory with the advisories.
    ///
    /// # Errors
    /// When the index is damaged where it was read, or cannot be read.
    pub fn matching(&self, inventory: &Inventory) -> Result<Matches, IndexError> {
        let mut matches = Matches::default();
        let mut lookups = self.lookups(inventory, &mut matches);
        lookups.sort_by(|left, right| left.key.cmp(&right.key));
        let mut found = self.shared_out(inventory, &lookups)?;
        found.sort_by_key(|(package, _)| *package);
        let mut ends = Vec::with_capacity(found.len());
        for (_, findings) in found {
            matches.findings.extend(findings);
            ends.push(matches.findings.len());
        }
        self.add_known(&mut matches.findings, true)?;
        let mut start = 0;
        for end in ends {
            matches.findings[start..end]
                .sort_by(|left, right| right.severity.cmp(&left.severity).then_with(|| left.id.cmp(&right.id)));
            start = end;
        }
        Ok(matches)
    }

    /// The same as [`Self::compared`], by several threads: comparing versions is what takes long. Neighbours lie in the same blocks of the
    /// index, so a thread takes some that follow each other; some have thousands of advisories, so it takes few at a time.
    fn shared_out(&self, inventory: &Inventory, lookups: &[Lookup]) -> Result<Vec<(usize, Vec<Finding>)>, IndexError> {
        let shares: Vec<&[Lookup]> = lookups.chunks(LOOKUPS_AT_ONCE).collect();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(THREADS_MAX).min(shares.len());
        if threads < 2 {
            return self.compared(inventory, lookups);
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            while let Some(share) = shares.get(next.fetch_add(1, AtomicOrdering::Relaxed)) {
                found.extend(self.compared(inventory, share)?);
            }
            Ok::<_, IndexError>(found)
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut found = work();
            for other in others {
                let more = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                if let Ok(found) = &mut found {
                    found.extend(more?);
                }
            }
            found
        })
    }

    /// The findings of some packages, with the number of each package.
    fn compared(&self, inventory: &Inventory, lookups: &[Lookup]) -> Result<Vec<(usize, Vec<Finding>)>, IndexError> {
        let mut page = Page::default();
        let mut advisories: HashMap<u64, Rc<Advisory>> = HashMap::new();
        let mut window = Window::default();
        let mut found: Vec<(usize, Vec<Finding>)> = Vec::new();
        for lookup in lookups {
            let package = &inventory.packages[lookup.package];
            let scheme = Scheme::of(package.ecosystem);
            let mut hits: Vec<(u64, usize, Hit)> = Vec::new();
            let equals = |listed: &str| scheme.compare(listed, &lookup.version) == Ordering::Equal;
            self.each_value(&mut page, &lookup.key, |bytes| {
                let applies = |span: Span<'_>| {
                    same_stream(scheme, &span, &lookup.version) && span.contains(scheme, &lookup.version)
                };
                match codec::row_is(bytes, applies, equals) {
                    Some(true) => codec::row(bytes)
                        .map(|row| hits.push((row.offset, row.length, hit(scheme, &row, bytes, &lookup.version))))
                        .is_some(),
                    other => other.is_some(),
                }
            })?;
            if hits.is_empty() {
                continue;
            }
            let mut complete = Vec::with_capacity(hits.len());
            for (offset, length, mut hit) in hits {
                let advisory = match advisories.get(&offset) {
                    Some(advisory) => Rc::clone(advisory),
                    None => {
                        let advisory = Rc::new(self.advisory(&mut window, offset, length)?);
                        advisories.insert(offset, Rc::clone(&advisory));
                        advisory
                    }
                };
                hit.advisory = advisory;
                if !hit.fixed.is_empty() {
                    hit.fix_seen = self.fixes.as_ref().and_then(|fixes| fixes.since(&lookup.key, &hit.advisory.id));
                }
                complete.push(hit);
            }
            found.push((
                lookup.package,
                merge::findings(scheme, &subject(package, inventory), &lookup.version, &complete),
            ));
        }
        Ok(found)
    }

    /// Adds what is known about attacks to findings that did not come from here, such as imported ones.
    ///
    /// # Errors
    /// When the index is damaged where it was read, or cannot be read.
    pub fn enrich(&self, findings: &mut [Finding]) -> Result<(), IndexError> {
        self.add_known(findings, false)
    }

    fn lookups(&self, inventory: &Inventory, matches: &mut Matches) -> Vec<Lookup> {
        let mut lookups = Vec::with_capacity(inventory.packages.len());
        let os = inventory.os.as_ref();
        for (number, package) in inventory.packages.iter().enumerate() {
            let release = names::of_package(package.ecosystem, os);
            let Some(known) = release.as_ref().filter(|release| self.header().releases.contains_key(*release)) else {
                let same = |other: &&mut Uncovered| other.ecosystem == package.ecosystem && other.release == release;
                match matches.uncovered.iter_mut().find(same) {
                    Some(uncovered) => uncovered.packages += 1,
                    None => matches.uncovered.push(Uncovered { ecosystem: package.ecosystem, release, packages: 1 }),
                }
                continue;
            };
            let (name, version) = names::looked_up(package, known);
            match names::normal_version(package.ecosystem, &name, version) {
                Some(version) => lookups.push(Lookup { key: key(known, &name), version, package: number }),
                None => matches.unversioned.push(package.purl(os)),
            }
        }
        lookups
    }

    /// Adds what is kept under the names of the vulnerabilities: attacks, and `severities` where the vendor says nothing.
    fn add_known(&self, findings: &mut [Finding], severities: bool) -> Result<(), IndexError> {
        // In the order in which they lie in the file, so that each block is read once.
        let mut names: Vec<&str> = findings.iter().flat_map(cves).collect();
        names.sort_unstable();
        names.dedup();
        let mut pages = [Page::default(), Page::default(), Page::default()];
        let mut known = HashMap::with_capacity(names.len());
        for name in names {
            let of_name = self.known(&mut pages, name)?;
            if !of_name.is_nothing() {
                known.insert(name.to_owned(), of_name);
            }
        }
        for finding in findings {
            let of_names: Vec<&Known> = cves(finding).filter_map(|name| known.get(name)).collect();
            for of_name in of_names {
                finding.kev = finding.kev.take().or_else(|| of_name.kev.clone());
                // Of several names the one that is attacked most.
                finding.epss = match (finding.epss, of_name.epss) {
                    (Some(a), Some(b)) => Some(if a.score >= b.score { a } else { b }),
                    (a, b) => a.or(b),
                };
                if severities && finding.severity == Severity::Unknown {
                    add_ratings(finding, &of_name.ratings);
                }
            }
        }
        Ok(())
    }
}

/// The names under which something may be kept.
fn cves(finding: &Finding) -> impl Iterator<Item = &str> {
    std::iter::once(&finding.id).chain(&finding.aliases).map(String::as_str).filter(|name| name.starts_with("CVE-"))
}

/// What others say of the vulnerability: by its vector, not by their word, which is about their packages.
fn add_ratings(finding: &mut Finding, ratings: &[Rating]) {
    for rating in ratings {
        let Some(cvss) = rating.cvss.clone() else { continue };
        let source = if rating.source == SeveritySource::Nvd { SeveritySource::Nvd } else { SeveritySource::Cvss };
        finding.ratings.push(severity::rating_of(source, cvss));
    }
    severity::order(&mut finding.ratings);
    if let Some(rating) = finding.ratings.iter().find(|rating| rating.severity != Severity::Unknown) {
        finding.severity = rating.severity;
        finding.severity_source = Some(rating.source);
        finding.cvss = severity::best_vector(&finding.ratings);
    }
}

/// What is kept of a row that applies to the version.
fn hit(scheme: Scheme, row: &Row<'_>, bytes: &[u8], version: &str) -> Hit {
    let ends = row.spans.iter().filter(|span| span.ends_with_fix && same_stream(scheme, span, version));
    let ends = ends.filter_map(|span| span.to.map(|(text, _)| text));
    let later = |fixed: &&str| scheme.compare(fixed, version) == Ordering::Greater;
    Hit {
        advisory: Rc::new(Advisory::default()),
        will_not_fix: row.will_not_fix,
        rating: row.rating.clone(),
        fix_seen: None,
        fixed: ends.chain(row.fixed.iter().copied()).filter(later).map(str::to_owned).collect(),
        row: bytes.to_vec(),
    }
}

/// An rpm of a module stream is never mended by one that is of none, nor the other way round: their versions do not compare.
fn same_stream(scheme: Scheme, span: &Span<'_>, version: &str) -> bool {
    const MODULE: &str = ".module";
    scheme != Scheme::Rpm || span.to.is_none_or(|(fixed, _)| fixed.contains(MODULE) == version.contains(MODULE))
}

fn subject(package: &Package, inventory: &Inventory) -> AffectedPackage {
    AffectedPackage {
        ecosystem: package.ecosystem,
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        source: package.source.clone(),
        purl: package.purl(inventory.os.as_ref()),
        layer: package.locations.first().and_then(|location| location.layer),
        locations: package.locations.clone(),
    }
}

/// A time of the index for a finding.
pub(super) fn timestamp(seconds: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_second(seconds?).ok()
}
