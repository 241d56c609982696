//! Records of the OSV schema (<https://ossf.github.io/osv-schema/>), and of databases that state what is patched instead of
//! ranges in `affected[].database_specific` (RustSec, ruby-advisory-db, FriendsOfPHP and the Node.js group in one-line form).
//!
//! Unknown fields are passed over; fields of an unexpected type count as absent, except for those without which nothing can be
//! said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::model::{Advisory, Affected};
use super::range::{self, Event};
use super::{names, severity, stated};
use crate::finding::{Rating, Severity, SeveritySource};

/// Longest summary that is kept, in characters; what is longer is cut at a word.
const SUMMARY_CHARACTERS_MAX: usize = 200;
/// Most addresses kept for one advisory.
const REFERENCES_MAX: usize = 6;
/// Names of advisories that mend several vulnerabilities at once and are not one themselves.
const ERRATA: [&str; 18] = [
    "DSA-",
    "DLA-",
    "DTSA-",
    "USN-",
    "LSN-",
    "ALSA-",
    "ALBA-",
    "ALEA-",
    "RLSA-",
    "RXSA-",
    "RHSA-",
    "RHBA-",
    "RHEA-",
    "SUSE-",
    "openSUSE-",
    "MGASA-",
    "OESA-",
    "PHSA-",
];
/// Names that a database gives to a vulnerability that has one already: `DEBIAN-CVE-2024-1` is CVE-2024-1.
const PREFIXES: [&str; 9] =
    ["DEBIAN-", "UBUNTU-", "ALPINE-", "BELL-", "ECHO-", "MINI-", "AZL-", "ROOT-OS-DEBIAN-", "CHAINGUARD-"];

#[derive(Deserialize)]
pub(crate) struct Record {
    id: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Option<Vec<SeverityEntry>>,
    #[serde(default)]
    affected: Option<Vec<AffectedEntry>>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    database_specific: Value,
    /// Vector or score of the databases in one-line form.
    #[serde(default)]
    cvss: Value,
}

#[derive(Deserialize)]
struct SeverityEntry {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    score: Value,
}

#[derive(Deserialize)]
struct AffectedEntry {
    #[serde(default)]
    package: Option<PackageEntry>,
    #[serde(default)]
    ranges: Option<Vec<RangeEntry>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    severity: Option<Vec<SeverityEntry>>,
    #[serde(default)]
    ecosystem_specific: Value,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct PackageEntry {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RangeEntry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<EventEntry>,
}

#[derive(Deserialize)]
struct EventEntry {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    last_affected: Option<String>,
    #[serde(default)]
    limit: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    url: String,
}

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Read {
    Advisory(Box<Advisory>),
    /// The database took it back.
    Withdrawn,
    /// It names no vulnerability (an erratum that mends bugs), or nothing that this program could find.
    Beside,
}

impl Record {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Seconds since 1970.
    pub(crate) fn modified(&self) -> Option<i64> {
        seconds(self.modified.as_deref())
    }

    /// The advisory in it.
    pub(crate) fn read(self) -> Read {
        if self.withdrawn.as_deref().is_some_and(|date| !date.is_empty()) {
            return Read::Withdrawn;
        }
        let erratum = ERRATA.iter().any(|prefix| self.id.starts_with(prefix));
        let mut aliases = self.aliases.unwrap_or_default();
        let upstream = self.upstream.unwrap_or_default();
        let mut covers = Vec::new();
        if erratum {
            let named = aliases.drain(..).chain(upstream).chain(self.related.unwrap_or_default());
            covers.extend(named.filter(|name| name.starts_with("CVE-") || name.starts_with("GHSA-")));
            sort(&mut covers);
            if covers.is_empty()
                && !matches!(self.id.split('-').next(), Some("DSA" | "DLA" | "DTSA" | "ALSA" | "RHSA" | "RLSA"))
            {
                return Read::Beside;
            }
        } else {
            aliases.extend(upstream);
            aliases.extend(PREFIXES.iter().filter_map(|prefix| self.id.strip_prefix(prefix)).map(str::to_owned));
            aliases.retain(|alias| *alias != self.id);
            sort(&mut aliases);
        }
        let informational = informational(&self.affected);
        let mut ratings = ratings(&self.id, &self.severity, &self.database_specific);
        ratings.extend(plain_rating(&self.cvss));
        let details = self.details.unwrap_or_default();
        let summary = self.summary.filter(|text| !text.trim().is_empty());
        if let Some(word) = summary.as_deref().filter(|_| erratum).and_then(|text| text.split(':').next())
            && let Some(severity) = severity::of_word(word)
        {
            ratings.push(Rating { source: SeveritySource::Vendor, severity, cvss: None });
        }
        let mut text = shortened(summary.as_deref().unwrap_or_else(|| first_line(&details)));
        if let Some(word) = &informational {
            // Such a notice is about the package as a whole, and no attack unless somebody scored one.
            if ratings.is_empty() {
                ratings.push(Rating { source: SeveritySource::Vendor, severity: Severity::Low, cvss: None });
            }
            text = if text.is_empty() { word.clone() } else { format!("{word}: {text}") };
        }
        let affected = merged(self.affected.unwrap_or_default().into_iter().filter_map(|entry| entry.read(&self.id)));
        if affected.is_empty() {
            return Read::Beside;
        }
        severity::order(&mut ratings);
        Read::Advisory(Box::new(Advisory {
            references: references(self.references.unwrap_or_default()),
            published: seconds(self.published.as_deref()),
            modified: seconds(self.modified.as_deref()),
            summary: text,
            id: self.id,
            aliases,
            covers,
            ratings,
            affected,
        }))
    }
}

impl AffectedEntry {
    fn read(self, id: &str) -> Option<Affected> {
        let package = self.package?;
        let release = names::of_osv(&package.ecosystem)?;
        let scheme = release.scheme;
        let mut affected = Affected {
            name: names::normal_name(&release.key, package.name.trim()),
            release: release.key,
            versions: self.versions.unwrap_or_default(),
            ..Affected::default()
        };
        for range in self.ranges.iter().flatten() {
            // Commits say nothing about versions; what is released is in `versions` then.
            if range.kind != "GIT" {
                let events: Vec<_> = range.events.iter().flat_map(EventEntry::events).collect();
                affected.intervals.extend(range::of_events(scheme, &events));
            }
        }
        if self.ranges.is_none() && affected.versions.is_empty() {
            stated::read(scheme, &self.database_specific, &mut affected);
        }
        let vendor = ratings(id, &self.severity, &self.ecosystem_specific);
        affected.rating = vendor.into_iter().next();
        let urgency = self.ecosystem_specific.get("urgency").and_then(Value::as_str).unwrap_or("");
        if let Some(severity) = severity::of_word(urgency) {
            affected.rating = Some(Rating { source: SeveritySource::Vendor, severity, cvss: None });
        }
        affected.will_not_fix = matches!(urgency, "unimportant" | "end-of-life");
        // Covered by the intervals already: most lists say the same again.
        let intervals = &affected.intervals;
        affected.versions.retain(|version| !intervals.iter().any(|interval| interval.contains(scheme, version)));
        (!affected.intervals.is_empty() || !affected.versions.is_empty()).then_some(affected)
    }
}

impl EventEntry {
    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let introduced = self.introduced.as_deref().map(Event::Introduced);
        let fixed = self.fixed.as_deref().map(Event::Fixed);
        let last = self.last_affected.as_deref().map(Event::LastAffected);
        let limit = self.limit.as_deref().map(Event::Limit);
        introduced.into_iter().chain(fixed).chain(last).chain(limit)
    }
}

/// One entry a package and release; errata list a package once for each architecture or stream.
fn merged(entries: impl Iterator<Item = Affected>) -> Vec<Affected> {
    let mut by_package: BTreeMap<(String, String), Affected> = BTreeMap::new();
    for entry in entries {
        match by_package.entry((entry.release.clone(), entry.name.clone())) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => {
                let known = occupied.get_mut();
                for interval in entry.intervals {
                    if !known.intervals.contains(&interval) {
                        known.intervals.push(interval);
                    }
                }
                known.versions.extend(entry.versions);
                known.fixed.extend(entry.fixed);
                known.will_not_fix &= entry.will_not_fix;
                known.rating = known.rating.take().or(entry.rating);
            }
        }
    }
    by_package.into_values().collect()
}

/// `unmaintained`, `unsound` or `notice` of RustSec.
fn informational(affected: &Option<Vec<AffectedEntry>>) -> Option<String> {
    let entries = affected.iter().flatten();
    entries.filter_map(|entry| entry.database_specific.get("informational")?.as_str()).next().map(str::to_owned)
}

/// Vectors and words, each with who said so.
fn ratings(id: &str, entries: &Option<Vec<SeverityEntry>>, specific: &Value) -> Vec<Rating> {
    let word = specific.get("severity").and_then(Value::as_str).and_then(severity::of_word);
    let mut ratings = Vec::new();
    if let Some(severity) = word {
        ratings.push(Rating { source: SeveritySource::Vendor, severity, cvss: None });
    }
    // Distributions hand on NVD's vectors under names of their own; GitHub's and others' are theirs.
    let from_nvd = id.starts_with("CVE-") || PREFIXES.iter().any(|prefix| id.starts_with(prefix));
    let source = if from_nvd { SeveritySource::Nvd } else { SeveritySource::Cvss };
    for entry in entries.iter().flatten() {
        let Some(score) = entry.score.as_str() else { continue };
        if let Some(cvss) = severity::of_vector(score) {
            ratings.push(severity::rating_of(source, cvss));
        } else if let Some(severity) = severity::of_word(score).filter(|_| !entry.kind.starts_with("CVSS")) {
            ratings.push(Rating { source: SeveritySource::Vendor, severity, cvss: None });
        }
    }
    ratings
}

/// A vector or, in Ruby's database, a score alone.
fn plain_rating(cvss: &Value) -> Option<Rating> {
    match cvss {
        Value::String(vector) => Some(severity::rating_of(SeveritySource::Cvss, severity::of_vector(vector)?)),
        Value::Number(score) => {
            let severity = Severity::of_score(score.as_f64()?);
            Some(Rating { source: SeveritySource::Cvss, severity, cvss: None })
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn references(entries: Vec<Reference>) -> Vec<String> {
    let rank = |reference: &Reference| match reference.kind.as_str() {
        "ADVISORY" => 0,
        "FIX" => 1,
        "REPORT" => 2,
        _ => 3,
    };
    let mut entries = entries;
    entries.sort_by_key(rank);
    entries.into_iter().map(|reference| reference.url).filter(|url| !url.is_empty()).take(REFERENCES_MAX).collect()
}

/// Years before this one are somebody's way of saying that there is no date.
const YEAR_MIN: i16 = 1980;

/// Seconds since 1970.
pub(crate) fn seconds(date: Option<&str>) -> Option<i64> {
    let time: Timestamp = date?.parse().ok()?;
    (time.to_zoned(jiff::tz::TimeZone::UTC).year() >= YEAR_MIN).then(|| time.as_second())
}

fn sort(names: &mut Vec<String>) {
    names.sort_unstable();
    names.dedup();
}

fn first_line(text: &str) -> &str {
    text.lines().map(|line| line.trim_start_matches(['#', ' ', '*'])).find(|line| !line.trim().is_empty()).unwrap_or("")
}

/// One line of bounded length.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SUMMARY_CHARACTERS_MAX) {
        None => line,
        Some((end, _)) => {
            let cut = &line[..end];
            format!("{}…", cut.rsplit_once(' ').map_or(cut, |(words, _)| words))
        }
    }
}
