//! What somebody gets who is not let in: a program a problem, a person the page to sign in.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::origin::own_path;
use crate::Problem;
use crate::pages::{encoded, wants_page};

/// A mark of routes that are for programs: nobody is sent to a page there. In the extensions of their requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program;

/// Why a handler is not reached.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// This is why.
    Problem(Problem),
    /// First this page.
    SignIn(String),
    /// The same page again, this time from a page of ours: a browser keeps a strict cookie back when another site leads
    /// here, such as mail.
    Again(String),
}

impl Refusal {
    /// Nobody is signed in.
    pub(super) fn unknown(parts: &Parts) -> Self {
        let is_page = wants_page(&parts.headers) && parts.extensions.get::<Program>().is_none();
        if !is_page || parts.method != Method::GET {
            let detail = if parts.extensions.get::<Program>().is_some() {
                "send a token as `Authorization: Bearer …`; `pipe token create` makes one"
            } else {
                "nobody is signed in here, or not any more; sign in and do it again"
            };
            return Self::Problem(Problem::new(StatusCode::UNAUTHORIZED, "token", detail));
        }
        let here = own_path(parts.uri.path_and_query().map_or("/", |here| here.as_str()));
        let site = parts.headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        if matches!(site, Some("cross-site" | "same-site")) { Self::Again(here) } else { Self::SignIn(here) }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::SignIn(here) => {
                let next = if here == "/" { String::new() } else { format!("?next={}", encoded(&here)) };
                Redirect::to(&format!("/login{next}")).into_response()
            }
            Self::Again(here) => {
                // An own path holds no character that ends an attribute but these.
                let here = here.replace('&', "&amp;").replace('"', "%22").replace('<', "%3C").replace('\'', "%27");
                let page = format!(
                    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" \
                     content=\"0;url={here}\"><title>pipe</title><p><a href=\"{here}\">Go on</a></p></html>"
                );
                ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
            }
        }
    }
}
