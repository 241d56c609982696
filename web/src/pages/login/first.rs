//! The first administrator: whoever has the code that the server printed at its start chooses a name and a password.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::store::people::{NewUser, PASSWORD_CHARACTERS_MIN, PeopleError, Way};
use jiff::Timestamp;
use minijinja::context;
use workflow::secret::Secret;

use super::Sender;
use crate::Problem;
use crate::access::Refusal;
use crate::api::answer::people;
use crate::pages::bare;
use crate::site::Site;

/// Under which name tries with a code are counted; it is no name of a user.
const COUNTED: &str = "first administrator";

pub(super) fn form(
    code: &str,
    name: &str,
    full_name: &str,
    notice: Option<&str>,
    status: StatusCode,
) -> Result<Response, Problem> {
    let context = context! {
        title => "Welcome", code, name, full_name, notice, characters => PASSWORD_CHARACTERS_MIN,
    };
    let mut response = bare("first.html", context)?;
    *response.status_mut() = status;
    Ok(response)
}

pub(super) async fn submit(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Refusal> {
    let sender = Sender::of(&site, request).await?;
    let (entrance, fields) = (&site.api.entrance, &sender.fields);
    let used =
        || Problem::new(StatusCode::FORBIDDEN, "code", "this code was used, or is of an earlier start of the server");
    let code = fields.get("code");
    if !entrance.first.is(code) {
        let taken = entrance.limit.take(sender.address(), COUNTED, Instant::now());
        return Err(taken.map_or_else(|wait| used().retry_after(wait.time), |()| used()).into());
    }
    let (name, full_name) = (fields.get("name"), fields.get("full_name"));
    if fields.exact("password") != fields.exact("again") {
        let notice = Some("the two passwords differ");
        return Ok(form(code, name, full_name, notice, StatusCode::UNPROCESSABLE_ENTITY)?);
    }
    let new = NewUser {
        name: name.to_owned(),
        full_name: full_name.to_owned(),
        password: Some(Secret::new(fields.exact("password"))),
        roles: Vec::new(),
    };
    let made = entrance.people.create_first(new, sender.actor(name), Timestamp::now()).await;
    let user = match made {
        Ok(user) => user,
        Err(PeopleError::Wish(problem)) => {
            return Ok(form(code, name, full_name, Some(&problem), StatusCode::UNPROCESSABLE_ENTITY)?);
        }
        Err(error) => return Err(people(&error).into()),
    };
    entrance.first.close();
    Ok(sender.let_in(&site, (user, name), Way::Code, "/").await?)
}
