//! What a rollout changes against what stands: the image, commits, settings of the target, migrations, and how it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::mirror::{Apart, FileChange};
use rollout::Plan;
use rollout::plan::Revision;
use serde::{Deserialize as _, Serialize};
use serde_json::Value as Json;

use super::super::answer::{self, Path, store, unreadable};
use super::{Seen, visible};
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

/// What each rollout has of its own: no difference that anybody looks for.
const OF_EACH: [&str; 11] = [
    "environment",
    "service",
    "repository",
    "commit",
    "image",
    "version",
    "settings",
    "rollback_of",
    "reuse",
    "irreversible",
    "target",
];

/// What a rollout changes.
#[derive(Debug, Serialize)]
pub(crate) struct Changes {
    pub(crate) rollout: u64,
    /// What stood when it began; `None`: nothing.
    pub(crate) old: Option<Revision>,
    /// What it brings.
    pub(crate) new: Revision,
    /// Commits and files between them.
    pub(crate) apart: Option<Apart>,
    /// Why they are not known.
    pub(crate) problem: Option<String>,
    /// Settings of the target that differ.
    pub(crate) settings: Vec<Setting>,
    /// What differs in how it is rolled out.
    pub(crate) plan: Vec<Setting>,
    /// Why settings are not compared.
    pub(crate) no_plan: Option<String>,
    /// Migrations of databases among the files.
    pub(crate) migrations: Vec<FileChange>,
    /// A migration that cannot be undone.
    pub(crate) irreversible: Option<String>,
}

/// A value that differs; `None`: it is not there.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) old: Option<Json>,
    pub(crate) new: Option<Json>,
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = visible(&site, &allowed.holder, id).await?;
    answer::json(&headers, &changes(&site, &seen).await?)
}

/// All of it.
pub(crate) async fn changes(site: &Site, seen: &Seen) -> Result<Changes, Problem> {
    let view = &seen.view;
    let old = view.blue.as_ref().map(|blue| blue.revision.clone());
    let new = view.green.revision.clone();
    let (apart, problem) = match apart(site, &seen.row.repository, old.as_ref(), &new).await {
        Ok(apart) => (Some(apart), None),
        Err(problem) => (None, Some(problem)),
    };
    let mut changes = Changes {
        rollout: seen.row.id,
        migrations: apart.iter().flat_map(|apart| apart.of_kind("migration").cloned()).collect(),
        irreversible: view.irreversible.clone(),
        settings: Vec::new(),
        plan: Vec::new(),
        no_plan: None,
        apart,
        problem,
        new,
        old,
    };
    let own = planned(site, seen.row.id).await?;
    let before = match &changes.old {
        Some(old) if old.id != seen.row.id => planned(site, old.id).await?,
        Some(_) | None => None,
    };
    match (own, before) {
        (Some(own), Some(before)) => {
            changes.settings = differences(&before.settings, &own.settings);
            changes.plan = differences(&rest(&before)?, &rest(&own)?);
        }
        (None, _) | (Some(_), None) => {
            let reason = if changes.old.is_none() {
                "nothing stood there before"
            } else {
                "what stands was not rolled out by this server"
            };
            changes.no_plan = Some(reason.to_owned());
        }
    }
    Ok(changes)
}

/// What was asked for; `None` where there is no such rollout any more.
async fn planned(site: &Site, id: u64) -> Result<Option<Plan>, Problem> {
    let fact = site.rollouts.first_fact(id).await.map_err(|error| store(&error))?;
    let plan = fact.map(|fact| Plan::deserialize(&fact["plan"]));
    Ok(plan.and_then(|plan| {
        plan.inspect_err(|error| tracing::warn!(%error, id, "the plan of a rollout cannot be read")).ok()
    }))
}

fn rest(plan: &Plan) -> Result<Json, Problem> {
    let mut value = serde_json::to_value(plan).map_err(|error| unreadable(&error))?;
    if let Json::Object(fields) = &mut value {
        fields.retain(|name, _| !OF_EACH.contains(&name.as_str()));
    }
    Ok(value)
}

/// Commits and files between two revisions.
async fn apart(site: &Site, repository: &str, old: Option<&Revision>, new: &Revision) -> Result<Apart, String> {
    let registry = site.api.registry.as_ref().ok_or("no server has a copy of the repository")?;
    let repositories = site.repositories.all().await.map_err(|error| error.to_string())?;
    let old = old.map(|old| old.commit.clone()).filter(|commit| !commit.is_empty());
    let mut reason = "the repository is not registered".to_owned();
    // Of two forges with repositories of one name only one has the commit.
    for one in repositories.iter().filter(|one| one.full_name.eq_ignore_ascii_case(repository)) {
        let (old, new) = (old.clone(), new.commit.clone());
        match registry.mirrors.read(one.id, move |mirror| Apart::between(mirror, old.as_deref(), &new)).await {
            Ok(apart) => return Ok(apart),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn differences(old: &Json, new: &Json) -> Vec<Setting> {
    let (mut before, mut now) = (BTreeMap::new(), BTreeMap::new());
    flatten(String::new(), old, &mut before);
    flatten(String::new(), new, &mut now);
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differ = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    differ
        .map(|name| Setting { name: name.clone(), old: before.get(name).cloned(), new: now.get(name).cloned() })
        .collect()
}

/// Values by their way through objects; lists are values.
fn flatten(way: String, value: &Json, into: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let way = if way.is_empty() { name.clone() } else { format!("{way}.{name}") };
                flatten(way, value, into);
            }
        }
        Json::Null => {}
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            if !way.is_empty() {
                into.insert(way, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let check = |old: Json, new: Json, expected: &[(&str, Json, Json)]| {
            let told: Vec<_> = differences(&old, &new)
                .into_iter()
                .map(|one| (one.name, one.old.unwrap_or_default(), one.new.unwrap_or_default()))
                .collect();
            let expected: Vec<_> =
                expected.iter().map(|(name, old, new)| ((*name).to_owned(), old.clone(), new.clone())).collect();
            assert_eq!(told, expected);
        };
        check(json!({ "port": 80 }), json!({ "port": 80 }), &[]);
        check(
            json!({ "port": 80, "health": { "path": "/", "times": 3 } }),
            json!({ "port": 81, "health": { "path": "/" }, "user": "1000" }),
            &[
                ("health.times", json!(3), json!(null)),
                ("port", json!(80), json!(81)),
                ("user", json!(null), json!("1000")),
            ],
        );
        check(json!({ "a": null, "b": [1] }), json!({ "b": [2] }), &[("b", json!([1]), json!([2]))]);
    }
}
