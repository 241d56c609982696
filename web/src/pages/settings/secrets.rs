//! `/settings/secrets`: secrets and variables of jobs. A secret's value is never shown again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use engine::store::secrets::{Kind, Scope};
use minijinja::context;
use minijinja::value::{Serde, Value};
use workflow::secret::Secret;

use super::{back_to, tabs};
use crate::Problem;
use crate::access::{Allowed, Fields, SecretsWrite, Submitted};
use crate::api::answer::store;
use crate::api::values::{reachable, wrong_value};
use crate::pages::page;
use crate::site::Site;

pub(super) async fn list(State(site): State<Arc<Site>>, allowed: Allowed<SecretsWrite>) -> Result<Response, Problem> {
    let read = async |kind| {
        let mut all = site.api.settings.list(kind, None).await.map_err(|error| store(&error))?;
        all.retain(|one| one.scope.repository.is_empty() || allowed.may_see(&one.scope.repository));
        Ok::<_, Problem>(Value::from(Serde(&all)))
    };
    let context = context! {
        title => "Secrets", active => "settings", tab => "secrets", tabs => tabs(&allowed.holder),
        secrets => read(Kind::Secret).await?, variables => read(Kind::Variable).await?,
        is_of_all => allowed.holder.repositories.is_empty(),
    };
    page(&allowed.holder, "settings-secrets.html", context)
}

fn place(fields: &Fields) -> (Kind, Scope) {
    let kind = if fields.get("kind") == "variable" { Kind::Variable } else { Kind::Secret };
    let text = |name: &str| fields.get(name).to_owned();
    (kind, Scope { repository: text("repository"), environment: text("environment"), branch: text("branch") })
}

pub(super) async fn set(State(site): State<Arc<Site>>, form: Submitted<SecretsWrite>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    let (kind, scope) = place(&fields);
    reachable(&allowed, &scope)?;
    // Browsers send the lines of a text with CR LF.
    let value = Secret::new(fields.exact("value").replace("\r\n", "\n"));
    let set = site.api.settings.put(kind, fields.get("name"), scope, value, allowed.actor).await;
    set.map_err(|error| wrong_value(&error))?;
    back_to("secrets")
}

pub(super) async fn remove(State(site): State<Arc<Site>>, form: Submitted<SecretsWrite>) -> Result<Response, Problem> {
    let Submitted { allowed, fields } = form;
    let (kind, scope) = place(&fields);
    reachable(&allowed, &scope)?;
    let removed = site.api.settings.remove(kind, fields.get("name"), scope, allowed.actor).await;
    if !removed.map_err(|error| store(&error))? {
        return Err(crate::api::not_found("there is no such value"));
    }
    back_to("secrets")
}
