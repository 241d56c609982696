//! What scans said of the images of a run, and what of it is new against what stands.

use std::collections::{BTreeMap, BTreeSet};

use engine::store::RunId;
use engine::store::reports::Reports;
use engine::store::scans::image_name;
use engine::store::verdicts::{FindingLine, Found, ImageVerdict};
use jiff::Timestamp;
use serde::Serialize;

use super::answer::store;
use super::found::SEVERITIES;
use crate::Problem;
use crate::site::Site;

/// New findings that are told one by one.
const NEW_SHOWN_MAX: usize = 20;

/// What the last scan of a run said of an image.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Scan {
    /// As the image was named.
    pub(crate) target: String,
    /// Its id.
    pub(crate) image: String,
    /// `pass`, `fail` or `untrusted`.
    pub(crate) outcome: String,
    pub(crate) sentence: String,
    /// Key of the job that scanned.
    pub(crate) job: String,
    pub(crate) at: Timestamp,
    /// When the advisories' sources were asked.
    pub(crate) advisories_at: Option<Timestamp>,
    /// How many findings, by severity, the worst first, of those that are kept; `None`: they were not kept.
    pub(crate) counts: Option<Vec<(&'static str, usize)>>,
    /// What stands, as the last scan of it saw it; `None`: no scan is known of it.
    pub(crate) against: Option<Against>,
}

/// Against what stands.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Against {
    /// The run that scanned it.
    pub(crate) run: u64,
    pub(crate) image: String,
    /// When.
    pub(crate) at: Timestamp,
    /// How many findings it has not.
    pub(crate) new: usize,
    /// How many are gone.
    pub(crate) gone: usize,
    /// Those that are new, the worst first, at most twenty.
    pub(crate) worst: Vec<FindingLine>,
    /// Whether more was found than was kept, so that only the worst were compared.
    pub(crate) is_cut: bool,
}

/// The scans of a run; `standing` is the run of what stands, as far as there is one.
pub(crate) async fn scans(
    site: &Site,
    repository: &str,
    run: RunId,
    standing: Option<RunId>,
) -> Result<Vec<Scan>, Problem> {
    let verdicts = Reports::on(site.api.database.clone()).verdicts();
    let here = last(verdicts.of_run(repository, run).await.map_err(|error| store(&error))?);
    let there = match standing.filter(|_| !here.is_empty()) {
        Some(standing) => last(verdicts.of_run(repository, standing).await.map_err(|error| store(&error))?),
        None => BTreeMap::new(),
    };
    let mut scans = Vec::new();
    for (name, verdict) in here {
        // It may have been scanned again since, with newer advisories.
        let newest = match there.get(&name) {
            Some(old) => verdicts.of_image(repository, &old.image, 1).await.map_err(|error| store(&error))?.pop(),
            None => None,
        };
        scans.push(scan(verdict, newest));
    }
    Ok(scans)
}

/// The last verdict about each image, by its name without tag and digest.
fn last(verdicts: Vec<ImageVerdict>) -> BTreeMap<String, ImageVerdict> {
    verdicts.into_iter().map(|verdict| (image_name(&verdict.target).to_owned(), verdict)).collect()
}

fn scan(verdict: ImageVerdict, old: Option<ImageVerdict>) -> Scan {
    let against = verdict.findings.as_ref().zip(old.as_ref()).and_then(|(here, old)| against(here, old));
    Scan {
        counts: verdict.findings.as_ref().map(counts),
        target: verdict.target,
        image: verdict.image,
        outcome: verdict.outcome,
        sentence: verdict.sentence,
        job: verdict.job,
        at: verdict.at,
        advisories_at: verdict.advisories_at,
        against,
    }
}

fn counts(found: &Found) -> Vec<(&'static str, usize)> {
    let count = |severity: &str| found.worst.iter().filter(|one| one.severity == severity).count();
    SEVERITIES.into_iter().map(|severity| (severity, count(severity))).filter(|(_, count)| *count > 0).collect()
}

fn against(here: &Found, old: &ImageVerdict) -> Option<Against> {
    let there = old.findings.as_ref()?;
    let names = |found: &Found| found.worst.iter().map(|one| one.fingerprint.clone()).collect::<BTreeSet<_>>();
    let (now, before) = (names(here), names(there));
    let mut seen = BTreeSet::new();
    let mut new: Vec<FindingLine> =
        here.worst.iter().filter(|one| !before.contains(&one.fingerprint)).cloned().collect();
    new.retain(|one| seen.insert(one.fingerprint.clone()));
    Some(Against {
        run: old.run.0,
        image: old.image.clone(),
        at: old.at,
        new: new.len(),
        gone: before.difference(&now).count(),
        worst: new.into_iter().take(NEW_SHOWN_MAX).collect(),
        is_cut: here.count > here.worst.len() || there.count > there.worst.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(run: u64, found: Option<(usize, &[(&str, &str)])>) -> ImageVerdict {
        let line = |(fingerprint, severity): &(&str, &str)| FindingLine {
            fingerprint: (*fingerprint).to_owned(),
            id: format!("CVE-{fingerprint}"),
            subject: "openssl".into(),
            severity: (*severity).to_owned(),
            fails: *severity == "critical",
        };
        ImageVerdict {
            repository: "o/r".into(),
            image: format!("sha256:{run}"),
            target: "shop/orders:1".into(),
            run: RunId(run),
            job: "scan".into(),
            step: 1,
            outcome: "pass".into(),
            sentence: "pass".into(),
            advisories: None,
            advisories_at: None,
            policy: "sha256:90".into(),
            policy_name: "gate.yml".into(),
            at: Timestamp::UNIX_EPOCH,
            findings: found.map(|(count, lines)| Found { count, worst: lines.iter().map(line).collect() }),
            again: false,
        }
    }

    #[test]
    fn what_is_new() {
        let here = || verdict(2, Some((3, &[("a", "critical"), ("b", "low"), ("b", "low")])));
        let told = scan(here(), Some(verdict(1, Some((2, &[("b", "low"), ("c", "high")])))));
        assert_eq!(told.counts, Some(vec![("critical", 1), ("low", 2)]));
        let against = told.against.unwrap();
        let ids: Vec<_> = against.worst.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((against.run, against.new, against.gone, ids, against.is_cut), (1, 1, 1, vec!["CVE-a"], false));
        let cut = scan(here(), Some(verdict(1, Some((9, &[])))));
        assert!(cut.against.unwrap().is_cut);
        assert_eq!(scan(here(), None).against, None, "nothing stands, or nobody scanned it");
        assert_eq!(scan(here(), Some(verdict(1, None))).against, None, "scanned before findings were kept");
        assert_eq!(scan(verdict(2, None), Some(here())).counts, None);
    }
}
