//! What a verdict is made of, without what was looked at: so it can be made again with other advisories, and with nothing else.
//!
//! A scan reads an image or sources into a [`Case`] and judges that; a later look judges the same case. There is one way
//! from packages to a verdict, so the two differ by advisories and time alone.

use std::collections::BTreeSet;
use std::io::Read as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::advisory::Index;
use crate::finding::Finding;
use crate::package::Inventory;
use crate::policy::{self, Baseline, BaselineState, Database, Input, Policy, Verdict, Warning, decide};
use crate::secret::Known;
use crate::vex::Statement;

/// The version of the stored form; it grows when a field changes its meaning.
const FORM: u32 = 1;
/// Most bytes of a case once it is unpacked: a file system of three million packages has fewer.
const BYTES_MAX: u64 = 512 * 1024 * 1024;
/// How hard it is packed: a case is written once and read every night.
const LEVEL: i32 = 6;

/// What a verdict is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Form of what is stored; [`Case::unpack`] refuses others than its own.
    pub form: u32,
    /// What is there.
    pub inventory: Inventory,
    /// Whether packages are held against advisories.
    pub is_matched: bool,
    /// What was found without advisories: secrets, rules, reports of others.
    pub findings: Vec<Finding>,
    pub statements: Vec<Statement>,
    /// Secrets that were known before the scan.
    #[serde(default)]
    pub known: Option<Known>,
    /// Why nothing that is decided can be trusted, whatever the advisories say.
    pub doubts: Vec<String>,
    pub warnings: Vec<Warning>,
    pub compared: Compared,
    /// The path of the Dockerfile, where it is known.
    pub dockerfile: Option<String>,
    pub policy: Policy,
    /// Fingerprints of what the scan found itself; what is none of these came later.
    pub found: BTreeSet<String>,
}

/// What findings are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// Nobody asked for it.
    NotAsked,
    /// Nothing stands there.
    Nothing,
    /// It could not be had, and why: everything counts as new.
    Unavailable(String),
    /// What is in it; it is judged with the same advisories.
    Inventory(Box<Inventory>),
}

/// Why a stored case cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("what was kept of a scan cannot be unpacked: {0}; scan the image again")]
    Packed(#[from] std::io::Error),
    #[error("what was kept of a scan cannot be read: {0}; scan the image again")]
    Unreadable(#[from] serde_json::Error),
    #[error("what was kept of a scan has form {0}, and this program reads form {FORM}: scan the image again")]
    Form(u32),
}

impl Case {
    /// A case without packages and findings, to be filled.
    #[must_use]
    pub const fn new(inventory: Inventory, policy: Policy) -> Self {
        Self {
            form: FORM,
            inventory,
            is_matched: false,
            findings: Vec::new(),
            statements: Vec::new(),
            known: None,
            doubts: Vec::new(),
            warnings: Vec::new(),
            compared: Compared::NotAsked,
            dockerfile: None,
            policy,
            found: BTreeSet::new(),
        }
    }

    /// What these advisories make of it, and the findings, in the verdict's order. An error in place of an index is a doubt.
    #[must_use]
    pub fn judge(&self, index: Result<&Index, &str>, now: Timestamp) -> (Vec<Finding>, Verdict) {
        let (mut findings, mut doubts) = (Vec::new(), Vec::new());
        let database =
            if self.is_matched { self.matched(index, &mut findings, &mut doubts) } else { Database::NotNeeded };
        let used = index.ok().filter(|_| matches!(database, Database::Used { .. }));
        doubts.extend(self.doubts.iter().cloned());
        let mut others = self.findings.clone();
        if let Some(Err(error)) = used.map(|index| index.enrich(&mut others)) {
            doubts.push(format!("what is known of attacks cannot be read: {error}"));
        }
        findings.extend(others);
        let baseline = self.baseline(used);
        let mut verdict = decide(&Input {
            policy: &self.policy,
            inventory: &self.inventory,
            findings: &findings,
            baseline: baseline.as_ref().map_or_else(Clone::clone, BaselineState::Known),
            statements: &self.statements,
            known: self.known.as_ref(),
            database,
            doubts: &doubts,
            dockerfile: self.dockerfile.as_deref(),
            now,
        });
        verdict.warnings.extend(self.warnings.iter().cloned());
        (findings, verdict)
    }

    /// Notes what a verdict of the scan itself found.
    pub fn note(&mut self, verdict: &Verdict) {
        self.found = verdict.judged.iter().map(|one| one.fingerprint.clone()).collect();
    }

    fn matched(&self, index: Result<&Index, &str>, findings: &mut Vec<Finding>, doubts: &mut Vec<String>) -> Database {
        let index = match index {
            Ok(index) => index,
            Err(error) => return Database::Missing(error.to_owned()),
        };
        match index.matching(&self.inventory) {
            Ok(matches) => {
                findings.extend(matches.findings);
                doubts.extend(matches.uncovered.iter().map(ToString::to_string));
                Database::Used { digest: index.digest(), updated: index.as_of() }
            }
            Err(error) => Database::Missing(error.to_string()),
        }
    }

    fn baseline(&self, index: Option<&Index>) -> Result<Baseline, BaselineState<'static>> {
        let unavailable = |why: String| Err(BaselineState::Unavailable(why));
        let inventory = match &self.compared {
            Compared::NotAsked => return Err(BaselineState::NotAsked),
            Compared::Nothing => return Err(BaselineState::Empty),
            Compared::Unavailable(why) => return unavailable(why.clone()),
            Compared::Inventory(inventory) => inventory,
        };
        let Some(index) = index else { return unavailable("there are no advisories to judge it with".to_owned()) };
        match index.matching(inventory) {
            Ok(matches) => {
                let name = inventory.image_id.clone().unwrap_or_else(|| inventory.target.clone());
                Ok(Baseline::of(name, &matches.findings))
            }
            Err(error) => unavailable(error.to_string()),
        }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// It cannot be packed.
    pub fn pack(&self) -> Result<Vec<u8>, CaseError> {
        Ok(zstd::encode_all(serde_json::to_vec(self)?.as_slice(), LEVEL)?)
    }

    /// What [`Case::pack`] made.
    ///
    /// # Errors
    /// It is damaged, or of another form.
    pub fn unpack(bytes: &[u8]) -> Result<Self, CaseError> {
        #[derive(Deserialize)]
        struct Form {
            form: u32,
        }
        let mut text = Vec::new();
        zstd::Decoder::new(bytes)?.take(BYTES_MAX).read_to_end(&mut text)?;
        let Form { form } = serde_json::from_slice(&text)?;
        if form != FORM {
            return Err(CaseError::Form(form));
        }
        Ok(serde_json::from_slice(&text)?)
    }
}

/// What came since the scan, of what a later verdict says: fingerprints are compared, so another version or line is no other finding.
pub fn since<'a>(case: &'a Case, verdict: &'a Verdict) -> impl Iterator<Item = &'a policy::Judged> {
    verdict.judged.iter().filter(|one| !case.found.contains(&one.fingerprint))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::finding::{Severity, SeveritySource};
    use crate::policy::{BaselineMode, BaselineRule, Ignore, Pattern, Stance, Threshold, sample};

    /// Everything that a policy may say.
    fn policy() -> Policy {
        Policy {
            fail_on: vec![
                Threshold::Severity(Severity::High),
                Threshold::Cvss(9.0),
                Threshold::Kev,
                Threshold::Epss(0.5),
            ],
            only_fixed: true,
            unknown_severity: Stance::Warn,
            grace: vec![(Severity::High, SignedDuration::from_hours(168))],
            baseline: Some(BaselineRule { image: "production".into(), mode: BaselineMode::OnlyNew }),
            base_image: Stance::Pass,
            severity_sources: vec![SeveritySource::Nvd],
            ignores: vec![Ignore {
                id: "CVE-1".into(),
                purl: Some("pkg:npm/a".into()),
                path: None,
                reason: "r".into(),
                expires: jiff::civil::date(2027, 1, 31),
                owner: "ada".into(),
                line: 3,
            }],
            vex: vec![Pattern { text: "vex/*.json".into(), line: 9 }],
            coverage: Some(policy::CoverageRule { lines: Some(85.0), branches: None, each_file: None }),
            ..Policy::built_in()
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut case = Case::new(Inventory { target: "shop/web".into(), ..Inventory::default() }, policy());
        case.findings = vec![sample::package(crate::package::Ecosystem::Npm, "a", "1")];
        case.compared = Compared::Inventory(Box::default());
        case.statements = crate::vex::read(
            "v.json",
            br#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [
            {"vulnerability": {"name": "CVE-1"}, "products": [{"@id": "pkg:npm/a"}], "status": "fixed"}]}"#,
        )
        .unwrap();
        assert_eq!(case.statements.len(), 1);
        let packed = case.pack().unwrap();
        assert_eq!(Case::unpack(&packed).unwrap(), case);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (findings, verdict) = case.judge(Err("none here"), now);
        assert_eq!(
            (findings.len(), verdict.outcome),
            (1, Case::unpack(&packed).unwrap().judge(Err(""), now).1.outcome)
        );
        assert_eq!(since(&case, &verdict).count(), 1);
        case.note(&verdict);
        assert_eq!(since(&case, &verdict).count(), 0);
    }

    #[test]
    fn what_is_damaged_or_newer_is_said() {
        let case = Case { form: FORM + 1, ..Case::new(Inventory::default(), Policy::built_in()) };
        let error = Case::unpack(&case.pack().unwrap()).unwrap_err().to_string();
        assert!(error.contains("has form 2") && error.contains("scan the image again"), "{error}");
        let packed = Case::new(Inventory::default(), Policy::built_in()).pack().unwrap();
        for bytes in [&packed[..packed.len() / 2], b"", b"not packed", &zstd::encode_all(&b"{}"[..], 1).unwrap()] {
            assert!(Case::unpack(bytes).unwrap_err().to_string().contains("scan the image again"));
        }
    }
}
