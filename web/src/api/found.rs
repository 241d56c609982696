//! Findings of a repository over time: what is there, since when, what of it stands somewhere, what is new since, what was fixed when.

mod sarif;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use engine::store::RunId;
use engine::store::deployments::DeploymentFilter;
use engine::store::scans::{FINDINGS_LISTED_MAX, FindingFilter, FindingRow, ScanRow, Scans, Which};
use serde::{Deserialize, Serialize};

use super::answer::{self, Query, bad, store};
use super::insights::PRODUCTION;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// Severities, the worst first.
pub(crate) const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "unknown"];
/// Deployments that are looked through for what stands; of each subject the newest that scanned it counts.
const DEPLOYMENTS: usize = 50;

/// What is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) repository: Option<String>,
    /// A branch, or a whole ref such as `refs/tags/v1`.
    pub(crate) branch: Option<String>,
    /// What stands there is compared with.
    pub(crate) environment: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) severity: Option<String>,
    /// `open`, `new`, `standing` or `fixed`.
    pub(crate) state: Option<String>,
    pub(crate) limit: Option<usize>,
}

/// Which findings are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Listed {
    /// Those of the newest scans.
    #[default]
    Open,
    /// Of those, what does not stand in the environment.
    New,
    /// What stands there.
    Standing,
    /// What is gone.
    Fixed,
}

/// The findings of a ref.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    /// Of which; empty where nothing was ever scanned.
    pub(crate) repository: String,
    #[serde(skip)]
    pub(crate) repositories: Vec<String>,
    #[serde(rename = "ref")]
    pub(crate) git_ref: String,
    pub(crate) refs: Vec<String>,
    /// With which what is there is compared; `None`: with none, since nothing was deployed.
    pub(crate) environment: Option<String>,
    pub(crate) environments: Vec<String>,
    pub(crate) state: Listed,
    /// Images and sources, as they were scanned last.
    pub(crate) subjects: Vec<Subject>,
    /// How many are listed, by severity, the worst first, whatever severity is asked for.
    pub(crate) counts: Vec<(&'static str, usize)>,
    pub(crate) findings: Vec<Shown>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// What was scanned.
#[derive(Debug, Serialize)]
pub(crate) struct Subject {
    /// Its newest scan.
    #[serde(flatten)]
    pub(crate) scan: ScanRow,
    /// How many are open, by severity.
    pub(crate) counts: Vec<(&'static str, usize)>,
    /// How many of them do not stand in the environment; `None`: what stands there was not scanned.
    pub(crate) new: Option<usize>,
    /// The run that scanned what stands there.
    pub(crate) standing: Option<RunId>,
}

/// A finding.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) row: FindingRow,
    /// Whether it stands in the environment; `None`: nobody knows.
    pub(crate) stands: Option<bool>,
}

/// The routes.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/findings", get(list)).route("/findings/sarif", get(as_sarif))
}

async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::json(&headers, &overview(&site, &allowed, wish).await?)
}

async fn as_sarif(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut response = answer::json(&headers, &sarif::report(&overview(&site, &allowed, wish).await?))?;
    let name = HeaderValue::from_static("attachment; filename=\"findings.sarif\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// What is told of a repository.
pub(crate) async fn overview(
    site: &Site,
    allowed: &Allowed<access::RunsRead>,
    wish: Wish,
) -> Result<Overview, Problem> {
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let state = state(given(wish.state).as_deref())?;
    let severity = given(wish.severity);
    if let Some(unknown) = severity.as_deref().filter(|one| !SEVERITIES.contains(one)) {
        return Err(bad("query", format!("`severity` is critical, high, medium, low or unknown, not {unknown}")));
    }
    let scans = Scans::on(site.api.database.clone());
    let mut repositories = scans.repositories().await.map_err(|error| store(&error))?;
    repositories.retain(|name| allowed.may_see(name));
    let repository = given(wish.repository).filter(|name| allowed.may_see(name));
    let repository = repository.or_else(|| repositories.first().cloned()).unwrap_or_default();
    let refs = scans.refs(&repository).await.map_err(|error| store(&error))?;
    let git_ref =
        given(wish.branch).map(|name| if name.starts_with("refs/") { name } else { format!("refs/heads/{name}") });
    let git_ref = git_ref.or_else(|| main_ref(&refs)).unwrap_or_default();
    let (environment, environments) = environments(site, &repository, given(wish.environment)).await?;
    let standing = standing(site, &scans, &repository, environment.as_deref()).await?;
    let filter = FindingFilter {
        repository: repository.clone(),
        git_ref: git_ref.clone(),
        limit: FINDINGS_LISTED_MAX,
        ..FindingFilter::default()
    };
    let open = scans.findings(filter.clone()).await.map_err(|error| store(&error))?;
    let newest = scans.newest(&repository, &git_ref).await.map_err(|error| store(&error))?;
    let subjects = newest.into_iter().map(|scan| standing.subject(scan, &open)).collect();
    let mut rows = match state {
        Listed::Open => open,
        Listed::New => open.into_iter().filter(|row| standing.has(row) == Some(false)).collect(),
        Listed::Standing => standing.rows.clone(),
        Listed::Fixed => {
            let fixed = FindingFilter { which: Which::Fixed, ..filter };
            scans.findings(fixed).await.map_err(|error| store(&error))?
        }
    };
    let subject = given(wish.subject);
    rows.retain(|row| subject.as_ref().is_none_or(|subject| *subject == row.subject));
    let counts = counts(rows.iter());
    rows.retain(|row| severity.as_ref().is_none_or(|severity| *severity == row.severity));
    let more = rows.len().saturating_sub(wish.limit.unwrap_or(FINDINGS_LISTED_MAX));
    rows.truncate(rows.len() - more);
    let findings = rows.into_iter().map(|row| Shown { stands: standing.has(&row), row }).collect();
    Ok(Overview {
        repository,
        repositories,
        git_ref,
        refs,
        environment,
        environments,
        state,
        subjects,
        counts,
        findings,
        more,
    })
}

fn state(word: Option<&str>) -> Result<Listed, Problem> {
    Ok(match word {
        None | Some("open") => Listed::Open,
        Some("new") => Listed::New,
        Some("standing") => Listed::Standing,
        Some("fixed") => Listed::Fixed,
        Some(other) => return Err(bad("query", format!("`state` is open, new, standing or fixed, not {other}"))),
    })
}

/// What most call it; else what was scanned last.
fn main_ref(refs: &[String]) -> Option<String> {
    let main = ["refs/heads/main", "refs/heads/master"].into_iter().find(|name| refs.iter().any(|one| one == name));
    main.map(str::to_owned).or_else(|| refs.first().cloned())
}

/// The environment that is meant, and all of the repository.
async fn environments(
    site: &Site,
    repository: &str,
    wanted: Option<String>,
) -> Result<(Option<String>, Vec<String>), Problem> {
    let deployed = site.deployments.standing(Some(repository.to_owned())).await.map_err(|error| store(&error))?;
    let names: Vec<String> = deployed.into_iter().map(|one| one.environment).collect();
    let named = |name: &str| names.iter().find(|one| one.eq_ignore_ascii_case(name)).cloned();
    let meant = match wanted {
        Some(name) => named(&name),
        None => PRODUCTION.iter().find_map(|name| named(name)).or_else(|| names.last().cloned()),
    };
    Ok((meant, names))
}

/// What stands in an environment.
#[derive(Debug, Default)]
struct Standing {
    /// The scan of what stands there, by subject.
    scans: BTreeMap<String, RunId>,
    rows: Vec<FindingRow>,
    there: BTreeSet<(String, String)>,
}

async fn standing(
    site: &Site,
    scans: &Scans,
    repository: &str,
    environment: Option<&str>,
) -> Result<Standing, Problem> {
    let Some(environment) = environment else { return Ok(Standing::default()) };
    let filter = DeploymentFilter {
        repository: Some(repository.to_owned()),
        environment: Some(environment.to_owned()),
        state: Some("success".to_owned()),
        limit: DEPLOYMENTS,
        ..DeploymentFilter::default()
    };
    let deployed = site.deployments.list(filter).await.map_err(|error| store(&error))?;
    let runs: Vec<RunId> = deployed.iter().map(|one| one.run).collect();
    let mut standing = Standing::default();
    for scan in scans.of_first(repository, &runs).await.map_err(|error| store(&error))? {
        if !scan.is_counted {
            continue;
        }
        let rows = scans.at(&scan).await.map_err(|error| store(&error))?;
        standing.there.extend(rows.iter().map(|row| (row.subject.clone(), row.fingerprint.clone())));
        standing.rows.extend(rows);
        standing.scans.insert(scan.subject, scan.run);
    }
    let rank = |row: &FindingRow| SEVERITIES.iter().position(|one| *one == row.severity);
    standing.rows.sort_by_key(rank);
    Ok(standing)
}

impl Standing {
    fn has(&self, row: &FindingRow) -> Option<bool> {
        let is_known = self.scans.contains_key(&row.subject);
        is_known.then(|| self.there.contains(&(row.subject.clone(), row.fingerprint.clone())))
    }

    fn subject(&self, scan: ScanRow, open: &[FindingRow]) -> Subject {
        let own = || open.iter().filter(|row| row.subject == scan.subject);
        let standing = self.scans.get(&scan.subject).copied();
        let new = standing.map(|_| own().filter(|row| self.has(row) == Some(false)).count());
        Subject { counts: counts(own()), new, standing, scan }
    }
}

fn counts<'a>(rows: impl Iterator<Item = &'a FindingRow>) -> Vec<(&'static str, usize)> {
    let mut counts = SEVERITIES.map(|severity| (severity, 0));
    for row in rows {
        let known = counts.iter_mut().find(|(severity, _)| *severity == row.severity);
        if let Some((_, count)) = known {
            *count += 1;
        }
    }
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}
