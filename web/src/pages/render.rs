//! HTML of templates. All of them are part of the program, all escape what they are given, and a name that is not there
//! is an error, not an empty place.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use engine::store::tokens::{Holder, Scope};
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use super::{files, filters};
use crate::Problem;
use crate::api::answer::unreadable;

const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("../../templates/base.html")),
    ("macros.html", include_str!("../../templates/macros.html")),
    ("start.html", include_str!("../../templates/start.html")),
    ("live.html", include_str!("../../templates/live.html")),
    ("runs.html", include_str!("../../templates/runs.html")),
    ("runs-live.html", include_str!("../../templates/runs-live.html")),
    ("run.html", include_str!("../../templates/run.html")),
    ("run-head.html", include_str!("../../templates/run-head.html")),
    ("run-left.html", include_str!("../../templates/run-left.html")),
    ("run-body.html", include_str!("../../templates/run-body.html")),
    ("job.html", include_str!("../../templates/job.html")),
    ("job-head.html", include_str!("../../templates/job-head.html")),
    ("step-head.html", include_str!("../../templates/step-head.html")),
    ("environments.html", include_str!("../../templates/environments.html")),
    ("environment.html", include_str!("../../templates/environment.html")),
    ("rollouts.html", include_str!("../../templates/rollouts.html")),
    ("rollout.html", include_str!("../../templates/rollout.html")),
    ("rollout-live.html", include_str!("../../templates/rollout-live.html")),
    ("rollout-more.html", include_str!("../../templates/rollout-more.html")),
    ("rollout-story.html", include_str!("../../templates/rollout-story.html")),
    ("rollout-said.html", include_str!("../../templates/rollout-said.html")),
    ("rollout-orders.html", include_str!("../../templates/rollout-orders.html")),
    ("rollout-history.html", include_str!("../../templates/rollout-history.html")),
    ("deployments.html", include_str!("../../templates/deployments.html")),
    ("costs.html", include_str!("../../templates/costs.html")),
    ("deployment.html", include_str!("../../templates/deployment.html")),
    ("insights.html", include_str!("../../templates/insights.html")),
    ("tests.html", include_str!("../../templates/tests.html")),
    ("test.html", include_str!("../../templates/test.html")),
    ("review.html", include_str!("../../templates/review.html")),
    ("gate.html", include_str!("../../templates/gate.html")),
    ("environment-gates.html", include_str!("../../templates/environment-gates.html")),
    ("gates.html", include_str!("../../templates/gates.html")),
    ("review-changes.html", include_str!("../../templates/review-changes.html")),
    ("approval.html", include_str!("../../templates/approval.html")),
    ("approval-landing.html", include_str!("../../templates/approval-landing.html")),
    ("approval-decided.html", include_str!("../../templates/approval-decided.html")),
    ("dispatch.html", include_str!("../../templates/dispatch.html")),
    ("deliveries.html", include_str!("../../templates/deliveries.html")),
    ("delivery.html", include_str!("../../templates/delivery.html")),
    ("delivery-state.html", include_str!("../../templates/delivery-state.html")),
    ("error.html", include_str!("../../templates/error.html")),
    ("audit.html", include_str!("../../templates/audit.html")),
    ("settings.html", include_str!("../../templates/settings.html")),
    ("settings-users.html", include_str!("../../templates/settings-users.html")),
    ("settings-sessions.html", include_str!("../../templates/settings-sessions.html")),
    ("settings-tokens.html", include_str!("../../templates/settings-tokens.html")),
    ("settings-secrets.html", include_str!("../../templates/settings-secrets.html")),
    ("settings-notifications.html", include_str!("../../templates/settings-notifications.html")),
    ("settings-repositories.html", include_str!("../../templates/settings-repositories.html")),
    ("findings.html", include_str!("../../templates/findings.html")),
    ("first.html", include_str!("../../templates/first.html")),
    ("login.html", include_str!("../../templates/login.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).expect("our own templates are read by a test");
    }
    filters::add(&mut environment);
    environment.add_function("static", |name: String| files::url(&name).map(Value::from_safe_string));
    environment
});

/// A page in the layout for somebody: `context` holds at least `title`.
///
/// # Errors
/// The template or the context is wrong, which is a bug.
pub(crate) fn page(holder: &Holder, template: &str, context: Value) -> Result<Response, Problem> {
    html(template, context! { me => me(holder), ..context })
}

/// A page in the layout for nobody: no menu, no name.
///
/// # Errors
/// As [`page`].
pub(crate) fn bare(template: &str, context: Value) -> Result<Response, Problem> {
    html(template, context! { me => (), ..context })
}

/// What a template gives, without a response around it: a part of a page.
///
/// # Errors
/// As [`page`].
pub(crate) fn part(template: &str, context: Value) -> Result<String, Problem> {
    let text = ENVIRONMENT.get_template(template).and_then(|template| template.render(context));
    text.map_err(|error| unreadable(&format!("{error:#}: {}", error.display_debug_info())))
}

fn html(template: &str, context: Value) -> Result<Response, Problem> {
    let mut response = part(template, context)?.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(response)
}

/// Who looks, for the layout: a name, what the menu holds, and the token of forms.
pub(super) fn me(holder: &Holder) -> Value {
    let may = |scope| holder.scopes.allow(scope);
    context! {
        name => holder.person(),
        csrf => csrf(holder),
        may => context! {
            write => may(Scope::RunsWrite),
            review => may(Scope::ReviewsWrite),
            dispatch => may(Scope::Dispatch),
            deliveries => may(Scope::Deliveries),
            secrets => may(Scope::SecretsWrite),
            audit => may(Scope::AuditRead),
            admin => may(Scope::Admin),
        },
    }
}

/// The token that forms of this session carry; empty for who came without one.
fn csrf(holder: &Holder) -> String {
    holder.csrf.as_ref().map(|csrf| csrf.expose().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each template compiles, whatever its page's test looks at.
    #[test]
    fn all_templates_can_be_read() {
        for (name, _) in TEMPLATES {
            ENVIRONMENT.get_template(name).unwrap();
        }
    }
}
