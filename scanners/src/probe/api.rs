//! The description of an API: OpenAPI 3.0 and 3.1, as JSON or YAML. <https://spec.openapis.org/oas/v3.1.0>
//!
//! References within the document are followed, others are not: nothing is fetched.

use serde_json::{Map, Value as Json};

use super::operation::{self, Operation, Parameter, PlaceOf, Response};
use super::{Question, sample};

/// Longest description that is read.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Operations that are asked for.
const OPERATIONS_MAX: usize = 500;
/// References that lead to references.
const REFERENCES_MAX: usize = 32;
/// Methods, those first that change nothing.
const METHODS: [&str; 8] = ["get", "head", "options", "trace", "post", "put", "patch", "delete"];

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    Long,
    #[error("it is neither JSON nor YAML: {0}")]
    Syntax(String),
    #[error("it is no description of OpenAPI 3: {0}")]
    Form(String),
}

/// A description.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    root: Json,
    operations: Vec<Operation>,
}

impl Api {
    /// Reads a description.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(ApiError::Long);
        }
        let root = match serde_json::from_slice::<Json>(bytes) {
            Ok(root) => root,
            Err(error) if bytes.trim_ascii_start().starts_with(b"{") => {
                return Err(ApiError::Syntax(error.to_string()));
            }
            Err(_) => {
                let read = serde_yaml::from_slice(bytes).map_err(|error| ApiError::Syntax(error.to_string()))?;
                of_yaml(read)
            }
        };
        let version = match root.get("openapi") {
            Some(Json::String(version)) => version.clone(),
            Some(Json::Number(version)) => version.to_string(),
            Some(_) | None => String::new(),
        };
        if !version.starts_with("3.") {
            let found =
                root.get("swagger").map_or("there is no `openapi: 3.…`", |_| "Swagger 2 has to be converted first");
            return Err(ApiError::Form(found.to_owned()));
        }
        let paths = root.get("paths").and_then(Json::as_object);
        let paths = paths.ok_or_else(|| ApiError::Form("`paths` is no mapping".to_owned()))?;
        let mut operations = Vec::new();
        for (path, item) in paths.iter().filter(|(path, _)| path.starts_with('/')) {
            let item = resolved(&root, item);
            for method in METHODS {
                if let Some(operation) = item.get(method).filter(|_| operations.len() < OPERATIONS_MAX) {
                    operations.push(read_operation(&root, path, method, item, operation));
                }
            }
        }
        Ok(Self { root, operations })
    }

    pub(super) const fn root(&self) -> &Json {
        &self.root
    }

    pub(super) fn operation(&self, number: usize) -> Option<&Operation> {
        self.operations.get(number)
    }

    /// How many operations it has, and how many of them change nothing.
    #[must_use]
    pub fn operations(&self) -> (usize, usize) {
        (self.operations.len(), self.operations.iter().filter(|one| one.is_safe()).count())
    }

    /// All questions about its operations: what is allowed before what is not.
    pub(super) fn questions(&self, base: &str, is_free: bool) -> Vec<Question> {
        let wanted = self.operations.iter().enumerate().filter(|(_, one)| is_free || one.is_safe());
        let (mut valid, mut others) = (Vec::new(), Vec::new());
        for (number, one) in wanted {
            for question in operation::questions(self, number, one, base) {
                if question.1 { valid.push(question.0) } else { others.push(question.0) }
            }
        }
        valid.extend(others);
        valid
    }

    /// The address of the first operation that reads.
    pub(super) fn first_read(&self, base: &str) -> Option<String> {
        let (number, one) = self.operations.iter().enumerate().find(|(_, one)| one.method == "GET")?;
        operation::questions(self, number, one, base).into_iter().next().map(|(question, _)| question.path)
    }
}

/// YAML has keys that are numbers: statuses mostly.
fn of_yaml(value: serde_yaml::Value) -> Json {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Null => Json::Null,
        Yaml::Bool(is) => Json::Bool(is),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or(Json::Null),
        Yaml::String(text) => Json::String(text),
        Yaml::Sequence(items) => items.into_iter().map(of_yaml).collect(),
        Yaml::Mapping(entries) => {
            let key = |key: Yaml| match key {
                Yaml::String(text) => text,
                other @ (Yaml::Null
                | Yaml::Bool(_)
                | Yaml::Number(_)
                | Yaml::Sequence(_)
                | Yaml::Mapping(_)
                | Yaml::Tagged(_)) => sample::text(&of_yaml(other)),
            };
            Json::Object(entries.into_iter().map(|(name, value)| (key(name), of_yaml(value))).collect())
        }
        Yaml::Tagged(tagged) => of_yaml(tagged.value),
    }
}

/// What a reference within the document means.
pub(super) fn resolved<'a>(root: &'a Json, value: &'a Json) -> &'a Json {
    let mut value = value;
    for _ in 0..REFERENCES_MAX {
        let target = value.get("$ref").and_then(Json::as_str).and_then(|text| text.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(&pointer.replace("%7B", "{").replace("%7D", "}"))) {
            Some(target) => value = target,
            None => return value,
        }
    }
    &Json::Null
}

fn read_operation(root: &Json, path: &str, method: &str, item: &Json, operation: &Json) -> Operation {
    let mut parameters: Vec<Parameter> = Vec::new();
    let lists = [item.get("parameters"), operation.get("parameters")];
    for parameter in lists.into_iter().flatten().filter_map(Json::as_array).flatten() {
        let Some(parameter) = read_parameter(root, resolved(root, parameter)) else { continue };
        // What the operation says counts more than what its path says.
        parameters.retain(|known| known.name != parameter.name || known.place != parameter.place);
        parameters.push(parameter);
    }
    let body = operation.get("requestBody").map(|body| resolved(root, body));
    let content = body.and_then(|body| body.get("content")).and_then(Json::as_object);
    let is_known = |list: Option<&Json>| {
        // An empty requirement among them means that nobody has to be known.
        list.and_then(Json::as_array)
            .is_some_and(|list| !list.is_empty() && !list.iter().any(|one| one.as_object().is_some_and(Map::is_empty)))
    };
    Operation {
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        parameters,
        body: content.and_then(|content| media_schema(root, content)),
        has_other_body: content.is_some_and(|content| media_schema(root, content).is_none()),
        responses: responses(root, operation),
        is_for_known: is_known(operation.get("security").or_else(|| root.get("security"))),
    }
}

fn read_parameter(root: &Json, parameter: &Json) -> Option<Parameter> {
    let place = match parameter.get("in")?.as_str()? {
        "path" => PlaceOf::Path,
        "query" => PlaceOf::Query,
        "header" => PlaceOf::Header,
        "cookie" => PlaceOf::Cookie,
        _ => return None,
    };
    let schema = parameter.get("schema").map_or(&Json::Null, |schema| resolved(root, schema)).clone();
    let examples = parameter.get("examples").and_then(Json::as_object);
    let first = examples.and_then(|all| all.values().next()).and_then(|one| resolved(root, one).get("value"));
    Some(Parameter {
        name: parameter.get("name")?.as_str()?.to_owned(),
        place,
        is_required: place == PlaceOf::Path || parameter.get("required").and_then(Json::as_bool).unwrap_or(false),
        schema,
        example: parameter.get("example").or(first).cloned(),
    })
}

/// The schema of the JSON among some types of content.
fn media_schema(root: &Json, content: &Map<String, Json>) -> Option<Json> {
    let json = content.iter().find(|(media, _)| super::text::is_json_type(&media.to_ascii_lowercase()))?.1;
    Some(json.get("schema").map_or(Json::Null, |schema| resolved(root, schema).clone()))
}

fn responses(root: &Json, operation: &Json) -> Vec<(String, Response)> {
    let all = operation.get("responses").and_then(Json::as_object).into_iter().flatten();
    let one = |(status, response): (&String, &Json)| {
        let content = resolved(root, response).get("content").and_then(Json::as_object);
        let read = |(media, one): (&String, &Json)| (media.to_ascii_lowercase(), one.get("schema").cloned());
        (status.to_ascii_uppercase(), Response { content: content.into_iter().flatten().map(read).collect() })
    };
    all.map(one).collect()
}
