//! Calls and answers held against the service models that AWS publishes with botocore, so that the fake and whoever is tested
//! with it cannot agree on something that AWS would not understand. The models are read where they lie; none are kept here.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;

use crate::inner::lock;
use crate::value::stamped;
use crate::wire::Service;

/// Folders of botocore, by service.
const FOLDERS: [(Service, &str); 11] = [
    (Service::CodeDeploy, "codedeploy/2014-10-06"),
    (Service::Ecs, "ecs/2014-11-13"),
    (Service::Ecr, "ecr/2015-09-21"),
    (Service::Elb, "elbv2/2015-12-01"),
    (Service::CloudWatch, "cloudwatch/2010-08-01"),
    (Service::Sts, "sts/2011-06-15"),
    (Service::Iam, "iam/2010-05-08"),
    (Service::Secrets, "secretsmanager/2017-10-17"),
    (Service::Parameters, "ssm/2014-11-06"),
    (Service::Sns, "sns/2010-03-31"),
    (Service::Logs, "logs/2014-03-28"),
];
/// Those of a deployment.
const USUAL: [Service; 7] =
    [Service::CodeDeploy, Service::Ecs, Service::Ecr, Service::Elb, Service::CloudWatch, Service::Sts, Service::Logs];
/// Below this many levels nothing is looked at; models have circles.
const DEPTH_MAX: usize = 24;

/// Refusals that any service may give, which models do not name for each operation:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/CommonErrors.html>, and those of SDKs' protocols.
const COMMON: [&str; 22] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "InternalServiceError",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "MissingParameter",
    "SerializationException",
    "SignatureDoesNotMatch",
    "Throttling",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
    "InvalidAction",
    "InvalidParameterValue",
    "InvalidParameterCombination",
];

/// The models of all services that the fake has, each read when it is first looked at.
#[derive(Debug)]
pub(crate) struct Models {
    folder: PathBuf,
    services: Mutex<BTreeMap<Service, Arc<Model>>>,
}

/// What of a service's model is looked at. It is mostly documentation, which is not kept.
#[derive(Debug, Deserialize)]
struct Model {
    operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    input: Option<Reference>,
    output: Option<Reference>,
    #[serde(default)]
    errors: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    shape: String,
}

#[derive(Debug, Default, Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    members: BTreeMap<String, Reference>,
    member: Option<Reference>,
    #[serde(default, rename = "enum")]
    words: Vec<String>,
    error: Option<ErrorName>,
}

#[derive(Debug, Deserialize)]
struct ErrorName {
    code: Option<String>,
}

/// What of a call is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Models {
    /// Those in botocore's folder `data`; one process reads each once, and those that most tests need at once: while a clock
    /// runs fast, a call has no time to wait for them.
    ///
    /// # Errors
    /// One is not there; the text names it.
    pub(crate) fn of(data: &Path) -> Result<Arc<Self>, String> {
        static KNOWN: Mutex<BTreeMap<PathBuf, Arc<Models>>> = Mutex::new(BTreeMap::new());
        if let Some(missing) = FOLDERS.iter().map(|(_, folder)| data.join(folder)).find(|folder| !folder.is_dir()) {
            return Err(format!(
                "{} is not there: is {} the folder `data` of botocore?",
                missing.display(),
                data.display()
            ));
        }
        let made = || Arc::new(Self { folder: data.to_owned(), services: Mutex::default() });
        let models = Arc::clone(lock(&KNOWN).entry(data.to_owned()).or_insert_with(made));
        for service in USUAL {
            models.service(service)?;
        }
        Ok(models)
    }

    fn service(&self, service: Service) -> Result<Arc<Model>, String> {
        let mut services = lock(&self.services);
        if let Some(known) = services.get(&service) {
            return Ok(Arc::clone(known));
        }
        let folder = FOLDERS.iter().find(|(of, _)| *of == service).map_or("", |(_, folder)| folder);
        let read = Arc::new(read(&self.folder.join(folder))?);
        services.insert(service, Arc::clone(&read));
        Ok(read)
    }

    /// What AWS would not understand. `is_text` says that numbers and flags come as text, as in the query protocol.
    pub(crate) fn mistakes(
        &self,
        service: Service,
        operation: &str,
        side: Side,
        value: &Value,
        is_text: bool,
    ) -> Vec<String> {
        let model = match self.service(service) {
            Ok(model) => model,
            Err(error) => return vec![error],
        };
        let Some(known) = model.operations.get(operation) else {
            return vec![format!("{}.{operation}: there is no such operation", service.name())];
        };
        let (key, form) = match side {
            Side::Input => ("input", &known.input),
            Side::Output => ("output", &known.output),
        };
        let mut mistakes = Vec::new();
        match form {
            Some(form) => {
                let mut check = Check { shapes: &model.shapes, is_text, mistakes: &mut mistakes };
                check.shape(&form.shape, value, "", 0);
            }
            None if value.as_object().is_none_or(serde_json::Map::is_empty) => {}
            None => mistakes.push(format!("has no {key}")),
        }
        mistakes.into_iter().map(|text| format!("{}.{operation} {key}{text}", service.name())).collect()
    }

    /// Why the operation would never be refused with this code; `None`: it may be.
    pub(crate) fn no_refusal(&self, service: Service, operation: &str, code: &str) -> Option<String> {
        let model = self.service(service).ok()?;
        if COMMON.contains(&code) {
            return None;
        }
        let all = model.operations.get(operation).map_or(&[][..], |known| &known.errors);
        let known: Vec<&str> = all.iter().map(|one| one.shape.as_str()).collect();
        // In the query protocol an error has a name of its own.
        let own = |shape: &str| model.shapes.get(shape)?.error.as_ref()?.code.as_deref();
        let is_named = |shape: &&str| *shape == code || own(shape) == Some(code);
        let words = || format!("{}.{operation} error: `{code}` is none of {}", service.name(), known.join(", "));
        (!known.iter().any(is_named)).then(words)
    }
}

fn read(folder: &Path) -> Result<Model, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    let mut text = String::new();
    match std::fs::File::open(folder.join("service-2.json.gz")) {
        Ok(file) => flate2::read::GzDecoder::new(file).read_to_string(&mut text),
        Err(_) => {
            std::fs::File::open(folder.join("service-2.json")).and_then(|mut file| file.read_to_string(&mut text))
        }
    }
    .map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}

struct Check<'m> {
    shapes: &'m BTreeMap<String, Shape>,
    is_text: bool,
    mistakes: &'m mut Vec<String>,
}

impl Check<'_> {
    fn wrong(&mut self, place: &str, what: &str, value: &Value) {
        self.mistakes.push(format!("{place}: is not {what}: {value}"));
    }

    fn shape(&mut self, name: &str, value: &Value, place: &str, depth: usize) {
        if depth > DEPTH_MAX || value.is_null() {
            return;
        }
        let Some(shape) = self.shapes.get(name) else {
            return self.mistakes.push(format!("{place}: its shape {name} is not in the model"));
        };
        let text = |wanted: fn(&str) -> bool| self.is_text && value.as_str().is_some_and(wanted);
        match shape.kind.as_str() {
            "structure" => self.structure(shape, value, place, depth),
            "list" => match value.as_array() {
                Some(items) => {
                    let member = shape.member.as_ref().map_or("", |member| member.shape.as_str());
                    for (at, item) in items.iter().enumerate() {
                        self.shape(member, item, &format!("{place}[{at}]"), depth + 1);
                    }
                }
                // An empty list is an empty text in forms.
                None if text(str::is_empty) => {}
                None => self.wrong(place, "a list", value),
            },
            "map" => {
                if !value.is_object() && !self.is_text {
                    self.wrong(place, "a map", value);
                }
            }
            "string" => self.string(shape, value, place),
            "integer" | "long" => {
                if value.as_i64().is_none() && !text(|text| text.parse::<i64>().is_ok()) {
                    self.wrong(place, "a whole number", value);
                }
            }
            "double" | "float" => {
                if value.as_f64().is_none() && !text(|text| text.parse::<f64>().is_ok()) {
                    self.wrong(place, "a number", value);
                }
            }
            "boolean" => {
                if !value.is_boolean() && !text(|text| matches!(text, "true" | "false")) {
                    self.wrong(place, "true or false", value);
                }
            }
            "timestamp" => {
                let is_time = stamped(value).is_some()
                    || value.is_number()
                    || text(|text| text.parse::<jiff::Timestamp>().is_ok());
                if !is_time {
                    self.wrong(place, "a point in time", value);
                }
            }
            "blob" => {
                if !value.is_string() {
                    self.wrong(place, "bytes", value);
                }
            }
            other => self.mistakes.push(format!("{place}: its shape is {other}, which is not known")),
        }
    }

    fn string(&mut self, shape: &Shape, value: &Value, place: &str) {
        let Some(text) = value.as_str() else { return self.wrong(place, "a text", value) };
        if !shape.words.is_empty() && !shape.words.iter().any(|one| one == text) {
            self.mistakes.push(format!("{place}: `{text}` is none of {}", shape.words.join(", ")));
        }
    }

    fn structure(&mut self, shape: &Shape, value: &Value, place: &str, depth: usize) {
        let Some(members) = value.as_object() else {
            if !(self.is_text && value.as_str() == Some("")) {
                self.wrong(place, "a structure", value);
            }
            return;
        };
        for required in &shape.required {
            if members.get(required).is_none_or(Value::is_null) {
                self.mistakes.push(format!("{place}: {required} is missing"));
            }
        }
        for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            match shape.members.get(key) {
                Some(member) => self.shape(&member.shape, value, &format!("{place}.{key}"), depth + 1),
                None => self.mistakes.push(format!("{place}: {key} is no member")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_model_does_not_have_is_named() {
        let model = json!({
            "operations": { "Do": { "input": { "shape": "In" }, "errors": [{ "shape": "Busy" }, { "shape": "Gone" }] } },
            "shapes": {
                "In": { "type": "structure", "required": ["name"], "members": {
                    "name": { "shape": "Text" }, "kind": { "shape": "Kind" }, "sizes": { "shape": "Sizes" } } },
                "Text": { "type": "string" }, "Kind": { "type": "string", "enum": ["a", "b"] },
                "Busy": { "type": "structure" }, "Gone": { "type": "structure", "error": { "code": "NotFound" } },
                "Sizes": { "type": "list", "member": { "shape": "Size" } }, "Size": { "type": "integer" },
            },
        });
        let model = serde_json::from_value(model).unwrap();
        let services = Mutex::new([(Service::Ecs, Arc::new(model))].into());
        let models = Models { folder: PathBuf::new(), services };
        let check = |operation: &str, value: Value, is_text| {
            models.mistakes(Service::Ecs, operation, Side::Input, &value, is_text)
        };
        assert_eq!(check("Do", json!({ "name": "x", "kind": "a", "sizes": [1] }), false), Vec::<String>::new());
        assert_eq!(check("Do", json!({ "name": "x", "sizes": ["1"] }), true), Vec::<String>::new());
        assert_eq!(
            check("Do", json!({ "kind": "c", "sizes": ["1"], "more": 1 }), false),
            [
                "ECS.Do input: name is missing",
                "ECS.Do input.kind: `c` is none of a, b",
                "ECS.Do input.sizes[0]: is not a whole number: \"1\"",
                "ECS.Do input: more is no member",
            ]
        );
        assert_eq!(check("Other", json!({}), false), ["ECS.Other: there is no such operation"]);
        let refusal = |code: &str| models.no_refusal(Service::Ecs, "Do", code);
        for code in ["Busy", "Gone", "NotFound", "ThrottlingException"] {
            assert_eq!(refusal(code), None, "{code}");
        }
        assert_eq!(refusal("Late").as_deref(), Some("ECS.Do error: `Late` is none of Busy, Gone"));
    }
}
