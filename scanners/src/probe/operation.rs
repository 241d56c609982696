//! One operation of an API: what is asked of it, and what its answers may be.

use serde_json::{Value as Json, json};

use super::api::{Api, resolved};
use super::ask::{escaped, is_place};
use super::rules::{self, Rule};
use super::{Aim, Answer, ELSEWHERE, Question, leads_away, sample, schema, text};

/// Values that are ruled out and tried of one operation.
const WRONG_MAX: usize = 16;
/// A text that is longer than anybody thought of.
const LONG: usize = 5_000;

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceOf {
    Path,
    Query,
    Header,
    Cookie,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: PlaceOf,
    pub(super) is_required: bool,
    pub(super) schema: Json,
    pub(super) example: Option<Json>,
}

/// Types of content, each with its schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Response {
    pub(super) content: Vec<(String, Option<Json>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) parameters: Vec<Parameter>,
    /// The schema of its JSON.
    pub(super) body: Option<Json>,
    /// Whether its body is something else.
    pub(super) has_other_body: bool,
    /// By status, `2XX` or `DEFAULT`.
    pub(super) responses: Vec<(String, Response)>,
    /// Whether credentials are needed.
    pub(super) is_for_known: bool,
}

/// Which question of an operation it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    operation: usize,
    /// `products/{id}`
    pub(super) place: Option<String>,
    expected: Expected,
    /// What is unusual about it, for a person.
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The description allows it.
    Fine,
    /// The description rules it out.
    Refused,
    /// The description says nothing against it: only stumbling is wrong.
    Whatever,
}

impl Operation {
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn response(&self, status: u16) -> Option<&Response> {
        let exact = status.to_string();
        let range = format!("{}XX", status / 100);
        let by = |key: &str| self.responses.iter().find(|(known, _)| known == key).map(|(_, response)| response);
        by(&exact).or_else(|| by(&range)).or_else(|| by("DEFAULT"))
    }
}

/// A request that is being put together: parameter by parameter its text, none where it is left out.
#[derive(Clone)]
struct Draft<'a> {
    operation: &'a Operation,
    values: Vec<Option<String>>,
    body: Option<String>,
}

impl Draft<'_> {
    fn question(&self, base: &str, case: Case) -> Question {
        let mut path = self.operation.path.clone();
        let (mut query, mut headers, mut cookies) = (Vec::new(), Vec::new(), Vec::new());
        for (parameter, value) in self.operation.parameters.iter().zip(&self.values) {
            let Some(value) = value else { continue };
            let name = &parameter.name;
            match parameter.place {
                PlaceOf::Path => path = path.replace(&format!("{{{name}}}"), &escaped(value)),
                PlaceOf::Query => query.push(format!("{}={}", escaped(name), escaped(value))),
                PlaceOf::Header => headers.push((name.to_ascii_lowercase(), printable(value))),
                PlaceOf::Cookie => cookies.push(format!("{name}={}", escaped(value))),
            }
        }
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), cookies.join("; ")));
        }
        if self.body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        Question {
            method: self.operation.method.clone(),
            path: format!("{base}{}{query}", path.replace(['{', '}'], "")),
            headers,
            body: self.body.clone(),
            aim: Aim::Operation(case),
        }
    }
}

/// All questions of an operation, and whether each is one that the description allows.
pub(super) fn questions(api: &Api, number: usize, operation: &Operation, base: &str) -> Vec<(Question, bool)> {
    let place = Some(operation.path.trim_matches('/').to_owned()).filter(|place| !place.is_empty());
    let case = |expected, what: String| Case { operation: number, place: place.clone(), expected, what };
    let good = |parameter: &Parameter| -> Option<String> {
        let value = parameter.example.clone().or_else(|| sample::valid(api.root(), &parameter.schema))?;
        Some(sample::text(&value))
    };
    let all: Vec<Option<String>> = operation.parameters.iter().map(good).collect();
    let needed = operation.parameters.iter().zip(&all);
    let needed = needed.map(|(parameter, value)| value.clone().filter(|_| parameter.is_required)).collect();
    let body = operation.body.as_ref().map(|schema| sample::valid(api.root(), schema).unwrap_or_else(|| json!({})));
    let text = body.as_ref().map(ToString::to_string);
    let least = Draft { operation, values: needed, body: text };
    let whole = Draft { values: all.clone(), ..least.clone() };
    // What has no value that the schema allows cannot be asked as the description has it.
    let lacks = operation.parameters.iter().zip(&least.values).any(|(one, value)| one.is_required && value.is_none());
    let fine = if lacks || operation.has_other_body { Expected::Whatever } else { Expected::Fine };
    let mut found = vec![(least.question(base, case(fine, String::new())), true)];
    if whole.values != least.values {
        found.push((whole.question(base, case(fine, "all parameters".to_owned())), true));
    }
    let mut wrong = Vec::new();
    for (index, parameter) in operation.parameters.iter().enumerate() {
        for (expected, value, what) in strange(api.root(), parameter) {
            let mut draft = least.clone();
            draft.values[index] = value;
            wrong.push((draft.question(base, case(expected, format!("{}: {what}", parameter.name))), false));
        }
    }
    if let (Some(schema), Some(body)) = (&operation.body, &body) {
        for (text, what) in sample::wrong_bodies(api.root(), schema, body) {
            let draft = Draft { body: Some(text), ..least.clone() };
            wrong.push((draft.question(base, case(Expected::Refused, what)), false));
        }
    }
    wrong.truncate(WRONG_MAX);
    found.extend(wrong);
    found
}

/// Values of a parameter that are ruled out, and those that nobody thought of.
fn strange(root: &Json, parameter: &Parameter) -> Vec<(Expected, Option<String>, String)> {
    let mut found = Vec::new();
    if parameter.is_required && parameter.place == PlaceOf::Query {
        found.push((Expected::Refused, None, "left out".to_owned()));
    }
    // A path with nothing in it, or one that has two parts more, is another path; headers are read in many ways.
    let is_told = parameter.place != PlaceOf::Header;
    for (value, what) in sample::wrong(root, &parameter.schema) {
        let is_other_path = parameter.place == PlaceOf::Path && value.is_empty();
        if is_told && !is_other_path {
            found.push((Expected::Refused, Some(value), what));
        }
    }
    if is_place(&parameter.name) {
        let away = format!("https://{ELSEWHERE}/");
        found.push((Expected::Whatever, Some(away), "another site".to_owned()));
    }
    if sample::is_free_text(root, &parameter.schema) {
        let quotes = "'\"<pipe>;--%\u{e9}".to_owned();
        found.push((Expected::Whatever, Some(quotes), "quotes".to_owned()));
        found.push((Expected::Whatever, Some("x".repeat(LONG)), format!("{LONG} characters")));
    }
    found
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii() && !c.is_control()).collect()
}

impl Case {
    /// What an answer breaks.
    pub(super) fn judge(
        &self,
        api: &Api,
        question: &Question,
        answer: &Answer,
        has_credentials: bool,
    ) -> Vec<(&'static Rule, String)> {
        let Some(operation) = api.operation(self.operation) else { return Vec::new() };
        let asked = match self.what.as_str() {
            "" => question.method.clone(),
            what => format!("{}, {what}", question.method),
        };
        let status = answer.status;
        let mut found = Vec::new();
        if status >= 500 {
            let rule = if self.expected == Expected::Fine { &rules::SERVER_ERROR_VALID } else { &rules::SERVER_ERROR };
            found.push((rule, format!("{asked}: {status}")));
            return found;
        }
        let is_taken = (200..300).contains(&status);
        if is_taken && self.expected == Expected::Refused {
            found.push((&rules::ACCEPTED, format!("{asked}: {status}")));
        }
        if is_taken && self.expected == Expected::Fine && operation.is_for_known && !has_credentials {
            found.push((&rules::OPEN, format!("{asked}: {status}")));
        }
        let away = answer.header("location").filter(|to| (300..400).contains(&status) && leads_away(to));
        found.extend(away.map(|to| (&rules::REDIRECT, format!("{asked}: it leads to {to}"))));
        match operation.response(status) {
            // What is unusual may well be met by whoever stands before the service.
            None if self.expected == Expected::Whatever => {}
            None => found.push((&rules::STATUS, format!("{asked}: {status}"))),
            Some(response) => found.extend(content(api, &asked, response, answer, question.method == "HEAD")),
        }
        found
    }
}

/// Whether content is as described.
fn content(
    api: &Api,
    asked: &str,
    response: &Response,
    answer: &Answer,
    is_head: bool,
) -> Option<(&'static Rule, String)> {
    let status = answer.status;
    if response.content.is_empty() || is_head || (answer.body.is_empty() && matches!(status, 204 | 304)) {
        return None;
    }
    let media = answer.media().unwrap_or_default();
    let fits = |known: &str| {
        let known = known.split(';').next().unwrap_or_default().trim();
        known == "*/*"
            || known == media
            || known.strip_suffix("/*").is_some_and(|kind| media.split('/').next() == Some(kind))
    };
    let Some((_, described)) = response.content.iter().find(|(known, _)| fits(known)) else {
        let media = if media.is_empty() { "no type" } else { &media };
        return Some((&rules::MEDIA, format!("{asked}: {media}")));
    };
    let described = resolved(api.root(), described.as_ref()?);
    if answer.is_cut || !text::is_json_type(&media) {
        return None;
    }
    // What is no JSON at all is told by its type.
    let value = serde_json::from_slice::<Json>(&answer.body).ok()?;
    let reason = schema::mismatch(api.root(), described, &value)?;
    Some((&rules::SCHEMA, format!("{asked}: {status}: {reason}")))
}
