//! Environments: their rules, what stands there, what was deployed there and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::mirror::Lag;
use engine::store::deployments::{DeploymentFilter, LISTED_MAX};
use engine::store::secrets::{Kind, Scope};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::answer::{self, Query, bad, store};
use super::gates::is_gate;
use super::rollouts::{newest, standing};
use super::values::OfRepository;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

const LISTED: usize = 50;

/// Environments that have rules, secrets or variables of their own, or that something was deployed to.
pub(super) async fn list(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<EnvironmentQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let EnvironmentQuery { repository, by } = query;
    let is_by_name = match by.as_deref() {
        None => false,
        Some("name") => true,
        Some(_) => return Err(bad("query", "`by` is `name` or is left out".to_owned())),
    };
    let listed = environments(&shared, &allowed, OfRepository { repository }).await?;
    let listed = if is_by_name { by_name(listed) } else { listed };
    answer::json(&headers, &json!({ "environments": listed }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EnvironmentQuery {
    repository: Option<String>,
    by: Option<String>,
}

/// What the list holds, by name and repository.
pub(crate) async fn environments(
    shared: &Site,
    allowed: &Allowed<access::RunsRead>,
    filter: OfRepository,
) -> Result<Vec<Json>, Problem> {
    // By name in lower case, as they are compared, and repository; the empty one is for all.
    let mut found: BTreeMap<(String, String), Json> = BTreeMap::new();
    let mut entry = |name: &str, repository: &str, change: &dyn Fn(&mut Json)| {
        let key = (name.to_lowercase(), repository.to_lowercase());
        let one = found.entry(key).or_insert_with(|| {
            json!({
                "name": name, "repository": repository, "secrets": 0, "variables": 0, "reviewers": [], "wait_minutes": 0,
                "required_reviewers": 0, "prevent_self_review": false, "prevent_author_review": false, "branches": [],
                "frozen": null, "deployed": null, "lag": null, "services": [],
            })
        });
        change(one);
    };
    for (name, rules) in &shared.api.environments.rules {
        entry(name, "", &|one| {
            (one["reviewers"], one["wait_minutes"]) = (json!(rules.reviewers), json!(rules.wait_ms / 60_000));
            one["required_reviewers"] = json!(if rules.reviewers.is_empty() { 0 } else { rules.required });
            one["prevent_self_review"] = json!(!rules.self_review);
            one["prevent_author_review"] = json!(!rules.author_review);
            one["branches"] = json!(rules.branches);
            let frozen = rules.frozen(Timestamp::now());
            one["frozen"] = frozen.map_or(Json::Null, |(until, reason)| json!({ "until": until, "reason": reason }));
        });
    }
    for (kind, count) in [(Kind::Secret, "secrets"), (Kind::Variable, "variables")] {
        let settings = shared.api.settings.list(kind, filter.repository.clone()).await;
        for setting in settings.map_err(|error| store(&error))? {
            let Scope { repository, environment, branch: _ } = setting.scope;
            if !environment.is_empty() && (repository.is_empty() || allowed.may_see(&repository)) {
                entry(&environment, &repository, &|one| {
                    one[count] = (one[count].as_u64().unwrap_or_default() + 1).into();
                });
            }
        }
    }
    let is_wanted = |own: &str| filter.repository.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(own));
    for seen in newest(shared, &allowed.holder, None).await? {
        if is_wanted(&seen.row.repository) {
            // What a job asks people for does not stand there.
            let mut stands = None;
            if !is_gate(&seen.row) {
                stands = Some(json!(standing(shared, &allowed.holder, &seen).await?));
            }
            entry(&seen.row.environment, &seen.row.repository, &|one| {
                one["services"].as_array_mut().into_iter().for_each(|services| services.extend(stands.clone()));
            });
        }
    }
    let deployed = shared.deployments.standing(filter.repository.clone()).await.map_err(|error| store(&error))?;
    for deployed in deployed.iter().filter(|deployed| allowed.may_see(&deployed.repository)) {
        let lag = lag(shared, &deployed.repository, &deployed.sha).await;
        entry(&deployed.environment, &deployed.repository, &|one| {
            (one["deployed"], one["lag"]) = (json!(deployed), json!(lag));
        });
    }
    Ok(found.into_values().collect())
}

/// Rules that are for all repositories.
const OF_ALL: [&str; 7] = [
    "reviewers",
    "required_reviewers",
    "prevent_self_review",
    "prevent_author_review",
    "wait_minutes",
    "branches",
    "frozen",
];

/// The same by name: each environment once, with its rules, and in `stands` what stands there: services that were rolled
/// out, and of repositories without any what was deployed.
pub(crate) fn by_name(listed: Vec<Json>) -> Vec<Json> {
    let mut found: BTreeMap<String, Json> = BTreeMap::new();
    for one in listed {
        let name = one["name"].as_str().unwrap_or_default().to_lowercase();
        let whole = found.entry(name).or_insert_with(|| {
            let mut whole = one.clone();
            if let Json::Object(fields) = &mut whole {
                fields.retain(|field, _| !["repository", "deployed", "lag", "services"].contains(&field.as_str()));
            }
            (whole["secrets"], whole["variables"], whole["stands"]) = (0.into(), 0.into(), json!([]));
            whole
        });
        if one["repository"] == "" {
            OF_ALL.iter().for_each(|key| whole[*key] = one[*key].clone());
        }
        for count in ["secrets", "variables"] {
            whole[count] = (whole[count].as_u64().unwrap_or_default() + one[count].as_u64().unwrap_or_default()).into();
        }
        let services = one["services"].as_array().into_iter().flatten();
        let mut stands: Vec<Json> = services
            .map(|service| json!({ "repository": one["repository"], "service": service["service"], "rolled": service, "deployed": null, "lag": null }))
            .collect();
        if stands.is_empty() && !one["deployed"].is_null() {
            stands.push(json!({
                "repository": one["repository"], "service": one["deployed"]["service"], "rolled": null,
                "deployed": one["deployed"], "lag": one["lag"],
            }));
        }
        whole["stands"].as_array_mut().into_iter().for_each(|list| list.append(&mut stands));
    }
    found.into_values().collect()
}

/// How far what stands somewhere is from the default branch; `None` where that is not known.
pub(super) async fn lag(site: &Site, repository: &str, sha: &str) -> Option<Lag> {
    let registry = site.api.registry.as_ref()?;
    let repositories = site.repositories.all().await.ok()?;
    // Of two forges with repositories of one name only one has the commit.
    let named = repositories.iter().filter(|one| one.full_name.eq_ignore_ascii_case(repository));
    for repository in named {
        let sha = sha.to_owned();
        if let Ok(lag) = registry.mirrors.read(repository.id, move |mirror| Lag::of(mirror, &sha)).await {
            return Some(lag);
        }
    }
    None
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DeploymentQuery {
    repository: Option<String>,
    environment: Option<String>,
    state: Option<String>,
    cursor: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn deployments(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<DeploymentQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(LISTED).clamp(1, LISTED_MAX);
    let DeploymentQuery { repository, environment, state, cursor: before, .. } = query;
    let filter = DeploymentFilter { repository, environment, state, before, limit };
    let mut listed = shared.deployments.list(filter).await.map_err(|error| store(&error))?;
    let next = listed.last().filter(|_| listed.len() == limit).map(|last| last.id);
    listed.retain(|deployed| allowed.may_see(&deployed.repository));
    answer::json(&headers, &json!({ "deployments": listed, "next": next }))
}
