//! What is wanted of a visit, out of texts: inputs of a step, or keys of a hook.

use std::time::Duration;

use scanners::policy::Policy;
use workflow::secret::Secret;

use crate::action::health_check::probe::Url;

/// What is wanted, as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// A path of the service (`/openapi.json`), or a file in the workspace.
    pub(crate) openapi: Option<String>,
    /// The policy's file in the workspace.
    pub(crate) gate: Option<String>,
    /// What fails without one, as `severity` of `pipe/scan`.
    pub(crate) severity: Option<String>,
    headers: Vec<(String, Secret)>,
    is_free: bool,
    time: Duration,
    request_time: Duration,
    requests_max: usize,
}

/// Names that a wish is read from, each with what it is where nothing is written.
pub(crate) const NAMES: [(&str, &str); 8] = [
    ("openapi", ""),
    ("headers", ""),
    ("methods", "safe"),
    ("gate", ""),
    ("severity", ""),
    ("timeout", "60"),
    ("request-timeout", "10"),
    ("max-requests", "500"),
];

impl Wish {
    /// Reads it; `text` gives what was written under a name, empty if nothing was.
    ///
    /// # Errors
    /// All that is wrong, each a sentence that names the input.
    pub(crate) fn read(text: &dyn Fn(&str) -> String) -> Result<Self, Vec<String>> {
        let text = |name: &str| {
            let default = NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, default)| default);
            Some(text(name).trim().to_owned()).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let some = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
        let mut wrong = Vec::new();
        let mut add = |error: String| wrong.push(error);
        let headers = headers(&text("headers")).unwrap_or_else(|error| {
            add(error);
            Vec::new()
        });
        let is_free = match text("methods").as_str() {
            "safe" => false,
            "all" => true,
            other => {
                add(format!("`methods: {other}` is neither safe nor all"));
                false
            }
        };
        let mut seconds = |name: &str| {
            duration(name, &text(name)).unwrap_or_else(|error| {
                add(error);
                Duration::ZERO
            })
        };
        let (time, request_time) = (seconds("timeout"), seconds("request-timeout"));
        let requests_max = text("max-requests").parse().ok().filter(|count| (1..=100_000).contains(count));
        if requests_max.is_none() {
            wrong.push(format!("`max-requests: {}` is not a number from 1 to 100000", text("max-requests")));
        }
        if let Err(error) = crate::action::scan::inputs::policy(some("severity").as_deref(), false) {
            wrong.push(error);
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            openapi: some("openapi"),
            gate: some("gate"),
            severity: some("severity"),
            headers,
            is_free,
            time,
            request_time,
            requests_max: requests_max.unwrap_or_default(),
        })
    }

    /// The policy where no file is named.
    ///
    /// # Errors
    /// `severity` is none.
    pub(crate) fn policy(&self) -> Result<Policy, String> {
        match &self.severity {
            Some(text) => crate::action::scan::inputs::policy(Some(text), false),
            None => Ok(Policy::built_in()),
        }
    }

    /// With all that it needs, ready to go.
    #[must_use]
    pub(crate) fn order(&self, url: Url, description: Description, policy: Policy) -> Order {
        let Self { headers, is_free, time, request_time, requests_max, .. } = self.clone();
        Order { url, description, policy, headers, is_free, time, request_time, requests_max }
    }
}

/// Where the API is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Description {
    /// Nowhere.
    None,
    /// By the service, at a path below its address.
    Served(String),
    /// In a file.
    Text {
        /// For messages.
        name: String,
        /// What it holds.
        bytes: Vec<u8>,
    },
}

/// A visit.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(super) url: Url,
    pub(super) description: Description,
    pub(super) policy: Policy,
    headers: Vec<(String, Secret)>,
    pub(super) is_free: bool,
    pub(super) time: Duration,
    pub(super) request_time: Duration,
    pub(super) requests_max: usize,
}

impl Order {
    /// `http://host:port`
    pub(super) fn origin(&self) -> String {
        self.url.origin()
    }

    /// The path below which the service is, without a `/` at its end.
    pub(super) fn base(&self) -> &str {
        self.url.path.split('?').next().unwrap_or_default().trim_end_matches('/')
    }

    /// Of one request: what the question wants counts more.
    pub(super) fn headers<'a>(&'a self, own: &'a [(String, String)]) -> Vec<(&'a str, String)> {
        let is_own = |name: &str| own.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let always = self.headers.iter().filter(|(name, _)| !is_own(name));
        let always = always.map(|(name, value)| (name.as_str(), value.expose().to_owned()));
        always.chain(own.iter().map(|(name, value)| (name.as_str(), value.clone()))).collect()
    }

    pub(super) fn has_credentials(&self) -> bool {
        self.headers.iter().any(|(name, _)| {
            let name = name.to_ascii_lowercase();
            ["authorization", "cookie", "key", "token"].iter().any(|word| name.contains(word))
        })
    }
}

/// `Name: value`, one a line.
fn headers(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(index, line): (usize, &str)| {
        let wrong = || format!("`headers`: line {} is not `Name: value`", index + 1);
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let is_name = hyper::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let is_value = hyper::header::HeaderValue::from_str(value).is_ok();
        if is_name && is_value { Ok((name, Secret::new(value.to_owned()))) } else { Err(wrong()) }
    };
    lines.map(read).collect()
}

fn duration(name: &str, text: &str) -> Result<Duration, String> {
    crate::action::health_check::duration(name, text)
}
