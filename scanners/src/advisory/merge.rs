//! Makes one finding of all that is said about one vulnerability of one package.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use super::matching::{Hit, timestamp};
use super::severity;
use crate::finding::{AffectedPackage, Finding, Kind, Rating, Severity, Status, Subject};
use crate::version::{Scheme, sort_by};

/// Most addresses named by one finding.
const REFERENCES_MAX: usize = 10;

/// What belongs together: the names of one vulnerability and the hits that are about it.
struct Group<'a> {
    names: BTreeSet<&'a str>,
    /// Errata that mend it, which are names to look it up by but not the same thing.
    errata: BTreeSet<&'a str>,
    hits: Vec<usize>,
}

/// The findings of one package.
pub(super) fn findings(scheme: Scheme, package: &AffectedPackage, version: &str, hits: &[Hit]) -> Vec<Finding> {
    groups(hits).into_iter().map(|group| finding(scheme, package, version, hits, group)).collect()
}

fn groups(hits: &[Hit]) -> Vec<Group<'_>> {
    let mut groups: Vec<Option<Group<'_>>> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (number, hit) in hits.iter().enumerate() {
        let advisory = &hit.advisory;
        if advisory.covers.is_empty() {
            let names = std::iter::once(&advisory.id).chain(&advisory.aliases).map(String::as_str).collect();
            join(&mut groups, &mut by_name, Group { names, errata: BTreeSet::new(), hits: vec![number] });
        }
        for covered in &advisory.covers {
            let names = BTreeSet::from([covered.as_str()]);
            let errata = BTreeSet::from([advisory.id.as_str()]);
            join(&mut groups, &mut by_name, Group { names, errata, hits: vec![number] });
        }
    }
    groups.into_iter().flatten().collect()
}

/// Puts a group together with all that share a name with it.
fn join<'a>(groups: &mut Vec<Option<Group<'a>>>, by_name: &mut HashMap<&'a str, usize>, mut group: Group<'a>) {
    let known: BTreeSet<usize> = group.names.iter().filter_map(|name| by_name.get(name).copied()).collect();
    for number in &known {
        if let Some(other) = groups[*number].take() {
            group.names.extend(other.names);
            group.errata.extend(other.errata);
            let mut hits = other.hits;
            hits.append(&mut group.hits);
            group.hits = hits;
        }
    }
    let place = match known.first() {
        Some(place) => *place,
        None => {
            groups.push(None);
            groups.len() - 1
        }
    };
    for name in &group.names {
        by_name.insert(name, place);
    }
    groups[place] = Some(group);
}

fn finding(scheme: Scheme, package: &AffectedPackage, version: &str, hits: &[Hit], group: Group<'_>) -> Finding {
    let mut seen = BTreeSet::new();
    let hits: Vec<&Hit> =
        group.hits.iter().filter(|number| seen.insert(**number)).map(|number| &hits[*number]).collect();
    let id = group.names.iter().min_by_key(|name| (rank(name), name.len(), **name)).copied().unwrap_or_default();
    let aliases = group.names.union(&group.errata).filter(|name| **name != id).map(|name| (*name).to_owned()).collect();
    let mut ratings: Vec<Rating> = Vec::new();
    for hit in &hits {
        ratings.extend(hit.rating.iter().chain(&hit.advisory.ratings).cloned());
    }
    severity::order(&mut ratings);
    let in_force = ratings.iter().find(|rating| rating.severity != Severity::Unknown);
    let fixed_versions = fixed_versions(scheme, version, &hits);
    let status = if !fixed_versions.is_empty() {
        Status::Affected
    } else if hits.iter().any(|hit| hit.will_not_fix) {
        Status::WillNotFix
    } else {
        Status::NoFixYet
    };
    Finding {
        kind: Kind::Vulnerability,
        summary: summary(&hits),
        subject: Subject::Package(package.clone()),
        severity: in_force.map_or(Severity::Unknown, |rating| rating.severity),
        severity_source: in_force.map(|rating| rating.source),
        cvss: severity::best_vector(&ratings),
        ratings,
        kev: None,
        epss: None,
        status,
        published: timestamp(hits.iter().filter_map(|hit| hit.advisory.published).min()),
        modified: timestamp(hits.iter().filter_map(|hit| hit.advisory.modified).max()),
        fix_available: if fixed_versions.is_empty() { None } else { timestamp(fix_available(&hits)) },
        references: references(id, &hits),
        fixed_versions,
        id: id.to_owned(),
        aliases,
    }
}

/// The name that most people know comes first.
fn rank(name: &str) -> usize {
    ["CVE-", "GHSA-", "PYSEC-", "RUSTSEC-", "GO-"].iter().position(|prefix| name.starts_with(prefix)).unwrap_or(5)
}

/// Every version with a fix that no other advisory of the vulnerability calls affected, the lowest first. When they contradict
/// each other, the highest.
fn fixed_versions(scheme: Scheme, version: &str, hits: &[&Hit]) -> Vec<String> {
    let mut fixed: Vec<String> = hits.iter().flat_map(|hit| hit.fixed.iter().cloned()).collect();
    fixed.retain(|fixed| scheme.compare(fixed, version) == Ordering::Greater);
    sort_by(&mut fixed, &|left, right| scheme.compare(left, right));
    fixed.dedup_by(|left, right| scheme.compare(left, right) == Ordering::Equal);
    let safe: Vec<String> =
        fixed.iter().filter(|fixed| !hits.iter().any(|hit| hit.applies_to(scheme, fixed))).cloned().collect();
    if safe.is_empty() { fixed.pop().into_iter().collect() } else { safe }
}

/// The day of the erratum that brought it; else the first on which it was seen to come, or which an advisory that had it from the
/// beginning gives itself.
fn fix_available(hits: &[&Hit]) -> Option<i64> {
    let with_fix = || hits.iter().filter(|hit| !hit.fixed.is_empty());
    let errata =
        with_fix().filter(|hit| !hit.advisory.covers.is_empty()).filter_map(|hit| hit.advisory.published).min();
    errata.or_else(|| with_fix().filter_map(|hit| hit.fix_seen.or(hit.advisory.published)).min())
}

/// What describes the vulnerability rather than an erratum.
fn summary(hits: &[&Hit]) -> String {
    let text = |erratum: bool| {
        let texts =
            hits.iter().filter(move |hit| hit.advisory.covers.is_empty() != erratum).map(|hit| &hit.advisory.summary);
        texts.into_iter().find(|text| !text.is_empty()).cloned()
    };
    text(false).or_else(|| text(true)).unwrap_or_default()
}

fn references(id: &str, hits: &[&Hit]) -> Vec<String> {
    let mut references = vec![address(id)];
    for url in hits.iter().flat_map(|hit| &hit.advisory.references) {
        if references.len() < REFERENCES_MAX && !references.contains(url) {
            references.push(url.clone());
        }
    }
    references
}

/// Where the advisory itself stands.
fn address(id: &str) -> String {
    if id.starts_with("CVE-") {
        format!("https://nvd.nist.gov/vuln/detail/{id}")
    } else if id.starts_with("GHSA-") {
        format!("https://github.com/advisories/{id}")
    } else {
        format!("https://osv.dev/vulnerability/{id}")
    }
}
