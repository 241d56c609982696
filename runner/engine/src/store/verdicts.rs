//! What gates said of images, by the digests of image, advisories and policy, so that a deployment can ask before it begins.
//!
//! What a finding is, is not known here. A verdict is a repository's own: what one repository calls clean by its policy says
//! nothing to another. Of an image the last word counts.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::database::Database;
use super::{RunId, StoreError};

/// The word of a gate that lets something pass.
const PASS: &str = "pass";
/// Most findings that are kept of a verdict.
pub const FINDINGS_KEPT_MAX: usize = 2_000;
/// Most verdicts of one list.
pub const VERDICTS_LISTED_MAX: usize = 200;

/// A verdict about an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageVerdict {
    /// `owner/name`.
    pub repository: String,
    /// `sha256:…` of its configuration.
    pub image: String,
    /// As it was named.
    pub target: String,
    /// The run that asked.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// Which step of the job.
    pub step: u64,
    /// `pass`, `fail` or `untrusted`.
    pub outcome: String,
    /// In words.
    pub sentence: String,
    /// Digest of the advisories that it was compared with.
    pub advisories: Option<String>,
    /// When their sources were asked.
    pub advisories_at: Option<Timestamp>,
    /// Digest of the policy.
    pub policy: String,
    /// Its file.
    pub policy_name: String,
    /// When.
    pub at: Timestamp,
    /// What was found; `None`: it was said before that was kept.
    pub findings: Option<Found>,
    /// Whether newer advisories said it of what the scan had found, without looking at the image again.
    pub again: bool,
}

/// What a gate found, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// How many.
    pub count: usize,
    /// The worst first, at most [`FINDINGS_KEPT_MAX`].
    pub worst: Vec<FindingLine>,
}

/// A finding, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FindingLine {
    /// A name that stays when versions and lines change.
    pub fingerprint: String,
    /// `CVE-…`, or a rule.
    pub id: String,
    /// The package or the file.
    pub subject: String,
    /// `critical`, `high`, `medium`, `low` or `unknown`.
    pub severity: String,
    /// Whether it fails by the policy.
    pub fails: bool,
}

/// What an environment asks of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanRule {
    /// A verdict that is older is none.
    pub age_max: Option<SignedDuration>,
}

/// Whether an image may be deployed where scans are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its last verdict passes.
    Passed(Box<ImageVerdict>),
    /// It does not, or there is none; a sentence that says what to do.
    Refused(String),
}

/// The verdicts of a folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verdicts {
    database: Database,
}

impl Verdicts {
    /// Those of this database.
    #[must_use]
    pub const fn on(database: Database) -> Self {
        Self { database }
    }

    /// Keeps a verdict; one of the same step is replaced.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn record(&self, verdict: ImageVerdict) -> Result<(), StoreError> {
        self.database.write_surely(move |transaction| put(transaction, &verdict)).await
    }

    /// The last verdicts about an image, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_image(&self, repository: &str, image: &str, limit: usize) -> Result<Vec<ImageVerdict>, StoreError> {
        let (repository, image) = (repository.to_owned(), image.to_owned());
        let read = move |connection: &rusqlite::Connection| {
            let mut select = connection.prepare_cached(
                "SELECT * FROM verdicts WHERE image = ?1 AND repository = ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            select.query_map(params![image, repository, limit.min(VERDICTS_LISTED_MAX)], verdict)?.collect()
        };
        self.database.read(read).await
    }

    /// What a run said of images, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_run(&self, repository: &str, run: RunId) -> Result<Vec<ImageVerdict>, StoreError> {
        let repository = repository.to_owned();
        let read = move |connection: &rusqlite::Connection| {
            let mut select = connection
                .prepare_cached("SELECT * FROM verdicts WHERE run = ?1 AND repository = ?2 ORDER BY id LIMIT ?3")?;
            select.query_map(params![run.0, repository, VERDICTS_LISTED_MAX], verdict)?.collect()
        };
        self.database.read(read).await
    }

    /// Whether an image may be deployed: its last verdict passes, and is not too old.
    ///
    /// # Errors
    /// The store cannot be read; whoever asks must not take that for a pass.
    pub async fn standing(
        &self,
        repository: &str,
        image: &str,
        rule: ScanRule,
        now: Timestamp,
    ) -> Result<Standing, StoreError> {
        let Some(last) = self.of_image(repository, image, 1).await?.pop() else {
            let words = format!("no scan has looked at {image}: let `pipe/scan` look at it before it is deployed");
            return Ok(Standing::Refused(words));
        };
        if last.outcome != PASS {
            let ImageVerdict { run, sentence, .. } = &last;
            let words = if last.again {
                let at = last.at.strftime("%Y-%m-%d %H:%M UTC");
                format!("of {image}, scanned in run {run}, the advisories of {at} say {sentence}")
            } else {
                format!("the scan of {image} in run {run} says {sentence}")
            };
            return Ok(Standing::Refused(words));
        }
        let age = now.duration_since(last.at);
        if let Some(most) = rule.age_max.filter(|most| age > *most) {
            let words = format!(
                "the scan of {image} in run {} is {} hours old and {} are allowed: let `pipe/scan` look at it again",
                last.run,
                age.as_hours(),
                most.as_hours()
            );
            return Ok(Standing::Refused(words));
        }
        Ok(Standing::Passed(Box::new(last)))
    }

    /// Removes verdicts that are older; gives how many. The last word about each image stays.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn prune(&self, before: Timestamp) -> Result<usize, StoreError> {
        let before = before.as_millisecond();
        let prune = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute(
                "DELETE FROM verdicts WHERE at < ?1 AND EXISTS (SELECT 1 FROM verdicts AS later WHERE later.image =
                 verdicts.image AND later.repository = verdicts.repository AND later.id > verdicts.id)",
                [before],
            )
        };
        self.database.write_surely(prune).await
    }
}

/// Keeps a verdict as the last word about its image.
pub(super) fn put(transaction: &rusqlite::Transaction<'_>, verdict: &ImageVerdict) -> rusqlite::Result<()> {
    let kept = verdict.findings.as_ref().map(|found| &found.worst[..found.worst.len().min(FINDINGS_KEPT_MAX)]);
    let kept = kept.and_then(|worst| serde_json::to_string(worst).ok());
    // A new number: it is the last word.
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO verdicts (repository, image, target, run, job, step, outcome, sentence, advisories,
         advisories_at, policy, policy_name, at, found, findings, again)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    put.execute(params![
        verdict.repository,
        verdict.image,
        verdict.target,
        verdict.run.0,
        verdict.job,
        verdict.step,
        verdict.outcome,
        verdict.sentence,
        verdict.advisories,
        verdict.advisories_at.map(Timestamp::as_millisecond),
        verdict.policy,
        verdict.policy_name,
        verdict.at.as_millisecond(),
        verdict.findings.as_ref().map(|found| found.count),
        kept,
        verdict.again,
    ])
    .map(drop)
}

/// Keeps what newer advisories say of what a scan found. A pass is the last word only where that scan is the last: another one
/// may have looked for something else since.
pub(super) fn put_again(transaction: &rusqlite::Transaction<'_>, verdict: &ImageVerdict) -> rusqlite::Result<()> {
    let ImageVerdict { repository, image, run, job, step, .. } = verdict;
    let is_last: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM verdicts WHERE run = ?3 AND job = ?4 AND step = ?5 AND again = 0 AND id =
             (SELECT max(id) FROM verdicts WHERE image = ?1 AND repository = ?2 AND again = 0))",
        params![image, repository, run.0, job, step],
        |row| row.get(0),
    )?;
    if is_last || verdict.outcome != PASS {
        return put(transaction, verdict);
    }
    let gone = "DELETE FROM verdicts WHERE run = ?1 AND job = ?2 AND step = ?3 AND again = 1";
    transaction.execute(gone, params![run.0, job, step]).map(drop)
}

/// What cannot be read was written by a newer program; the verdict stands without.
fn found(row: &Row<'_>) -> rusqlite::Result<Option<Found>> {
    let (count, text): (Option<usize>, Option<String>) = (row.get("found")?, row.get("findings")?);
    let worst = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(count.zip(worst).map(|(count, worst)| Found { count, worst }))
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<ImageVerdict> {
    let time = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    Ok(ImageVerdict {
        repository: row.get("repository")?,
        image: row.get("image")?,
        target: row.get("target")?,
        run: RunId(row.get("run")?),
        job: row.get("job")?,
        step: row.get("step")?,
        outcome: row.get("outcome")?,
        sentence: row.get("sentence")?,
        advisories: row.get("advisories")?,
        advisories_at: row.get::<_, Option<i64>>("advisories_at")?.map(time),
        policy: row.get("policy")?,
        policy_name: row.get("policy_name")?,
        at: time(row.get("at")?),
        findings: found(row)?,
        again: row.get("again")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::database::Options;
    use super::*;

    const IMAGE: &str = "sha256:0a5e";

    fn said(run: u64, outcome: &str, at: i64) -> ImageVerdict {
        ImageVerdict {
            repository: "shop/web".into(),
            image: IMAGE.into(),
            target: "shop/web:1".into(),
            run: RunId(run),
            job: "scan".into(),
            step: 2,
            outcome: outcome.into(),
            sentence: format!("{outcome}: 1 of 1 findings"),
            advisories: Some("sha256:ad".into()),
            advisories_at: Some(Timestamp::from_second(at).unwrap()),
            policy: "sha256:90".into(),
            policy_name: ".pipe/gate.yml".into(),
            at: Timestamp::from_second(at).unwrap(),
            findings: (run != 3).then(|| Found {
                count: 1,
                worst: vec![FindingLine {
                    fingerprint: "0f".into(),
                    id: "CVE-2023-0286".into(),
                    subject: "openssl".into(),
                    severity: "high".into(),
                    fails: outcome != PASS,
                }],
            }),
            again: false,
        }
    }

    #[tokio::test]
    async fn the_last_word_about_an_image_counts() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let verdicts = Verdicts::on(database);
        let ask = async |repository: &str, hours: Option<i64>| {
            let rule = ScanRule { age_max: hours.map(SignedDuration::from_hours) };
            let now = Timestamp::from_second(100 * 3600).unwrap();
            match verdicts.standing(repository, IMAGE, rule, now).await.unwrap() {
                Standing::Passed(verdict) => format!("passed in {}", verdict.run),
                Standing::Refused(words) => words,
            }
        };
        assert!(ask("shop/web", None).await.starts_with("no scan has looked at sha256:0a5e"));
        verdicts.record(said(1, "pass", 3600)).await.unwrap();
        assert_eq!(ask("shop/web", None).await, "passed in 1");
        assert_eq!(ask("Shop/Web", Some(99)).await, "passed in 1");
        assert!(ask("shop/web", Some(98)).await.contains("99 hours old and 98 are allowed"));
        assert!(ask("else/where", None).await.starts_with("no scan has looked"), "each repository for itself");
        verdicts.record(said(2, "fail", 7200)).await.unwrap();
        assert_eq!(ask("shop/web", None).await, "the scan of sha256:0a5e in run 2 says fail: 1 of 1 findings");
        verdicts.record(said(3, "untrusted", 7300)).await.unwrap();
        assert!(ask("shop/web", None).await.contains("says untrusted"));
        // A step that is taken up says it again, last.
        verdicts.record(said(1, "pass", 7400)).await.unwrap();
        assert_eq!(ask("shop/web", None).await, "passed in 1");
        assert_eq!(
            verdicts.of_image("shop/web", IMAGE, 9).await.unwrap(),
            [said(1, "pass", 7400), said(3, "untrusted", 7300), said(2, "fail", 7200)]
        );
        assert_eq!(verdicts.of_run("shop/web", RunId(3)).await.unwrap(), [said(3, "untrusted", 7300)]);
        assert_eq!(verdicts.of_run("else/where", RunId(3)).await.unwrap(), []);
        // Of one step there are a scan's word and that of newer advisories, and no third.
        for at in [8_000, 9_000] {
            verdicts.record(ImageVerdict { again: true, ..said(1, "fail", at) }).await.unwrap();
        }
        let words = ask("shop/web", None).await;
        assert_eq!(
            words,
            "of sha256:0a5e, scanned in run 1, the advisories of 1970-01-01 02:30 UTC say fail: 1 of 1 findings"
        );
        assert_eq!(verdicts.of_run("shop/web", RunId(1)).await.unwrap().len(), 2);
        verdicts.record(ImageVerdict { again: true, ..said(1, "pass", 9_500) }).await.unwrap();
        assert_eq!(verdicts.prune(Timestamp::from_second(90_000).unwrap()).await.unwrap(), 3, "the last word stays");
        assert_eq!(ask("shop/web", None).await, "passed in 1");
    }
}
