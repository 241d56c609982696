//! Calls and answers held against the service models that AWS publishes with botocore, so that the fake and whoever is tested
//! with it cannot agree on something that AWS would not understand. The models are read where they lie; none are kept here.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::value::{Input as _, stamped};
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
/// Below this many levels nothing is looked at; models have circles.
const DEPTH_MAX: usize = 24;

/// The models of all services that the fake has.
#[derive(Debug)]
pub(crate) struct Models {
    services: BTreeMap<Service, Value>,
}

/// What of a call is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Models {
    /// Reads them from botocore's folder `data`.
    ///
    /// # Errors
    /// One cannot be read; the text names it.
    pub(crate) fn load(data: &Path) -> Result<Self, String> {
        let mut services = BTreeMap::new();
        for (service, folder) in FOLDERS {
            let place: PathBuf = data.join(folder);
            let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", place.display());
            let packed = std::fs::File::open(place.join("service-2.json.gz"));
            let mut text = String::new();
            match packed {
                Ok(file) => flate2::read::GzDecoder::new(file).read_to_string(&mut text),
                Err(_) => std::fs::File::open(place.join("service-2.json"))
                    .and_then(|mut file| file.read_to_string(&mut text)),
            }
            .map_err(|error| wrong(&error))?;
            services.insert(service, serde_json::from_str(&text).map_err(|error| wrong(&error))?);
        }
        Ok(Self { services })
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
        let Some(model) = self.services.get(&service) else { return Vec::new() };
        let Some(known) = model["operations"].get(operation) else {
            return vec![format!("{}.{operation}: there is no such operation", service.name())];
        };
        let key = if side == Side::Input { "input" } else { "output" };
        let mut mistakes = Vec::new();
        match known.get(key).and_then(|shape| shape.text("shape")) {
            Some(shape) => {
                let mut check = Check { shapes: &model["shapes"], is_text, mistakes: &mut mistakes };
                check.shape(shape, value, "", 0);
            }
            None if value.as_object().is_none_or(serde_json::Map::is_empty) => {}
            None => mistakes.push(format!("has no {key}")),
        }
        mistakes.into_iter().map(|text| format!("{}.{operation} {key}{text}", service.name())).collect()
    }
}

struct Check<'m> {
    shapes: &'m Value,
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
        let shape = &self.shapes[name];
        let text = |wanted: fn(&str) -> bool| self.is_text && value.as_str().is_some_and(wanted);
        match shape.text("type").unwrap_or_default() {
            "structure" => self.structure(shape, value, place, depth),
            "list" => match value.as_array() {
                Some(items) => {
                    let member = shape["member"].text("shape").unwrap_or_default().to_owned();
                    for (at, item) in items.iter().enumerate() {
                        self.shape(&member, item, &format!("{place}[{at}]"), depth + 1);
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

    fn string(&mut self, shape: &Value, value: &Value, place: &str) {
        let Some(text) = value.as_str() else { return self.wrong(place, "a text", value) };
        let allowed = shape.texts("enum");
        if !allowed.is_empty() && !allowed.iter().any(|one| one == text) {
            self.mistakes.push(format!("{place}: `{text}` is none of {}", allowed.join(", ")));
        }
    }

    fn structure(&mut self, shape: &Value, value: &Value, place: &str, depth: usize) {
        let Some(members) = value.as_object() else {
            if !(self.is_text && value.as_str() == Some("")) {
                self.wrong(place, "a structure", value);
            }
            return;
        };
        for required in shape.texts("required") {
            if members.get(&required).is_none_or(Value::is_null) {
                self.mistakes.push(format!("{place}: {required} is missing"));
            }
        }
        for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            match shape["members"].get(key).and_then(|member| member.text("shape")) {
                Some(member) => self.shape(member, value, &format!("{place}.{key}"), depth + 1),
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
            "operations": { "Do": { "input": { "shape": "In" } } },
            "shapes": {
                "In": { "type": "structure", "required": ["name"], "members": {
                    "name": { "shape": "Text" }, "kind": { "shape": "Kind" }, "sizes": { "shape": "Sizes" } } },
                "Text": { "type": "string" }, "Kind": { "type": "string", "enum": ["a", "b"] },
                "Sizes": { "type": "list", "member": { "shape": "Size" } }, "Size": { "type": "integer" },
            },
        });
        let models = Models { services: [(Service::Ecs, model)].into() };
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
    }
}
