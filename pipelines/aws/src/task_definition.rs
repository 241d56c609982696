//! Task definitions of ECS as files: read, checked against the shape that AWS has for them, and changed.
//!
//! The shape is AWS's own, out of botocore (`task_definition.json`; a test compares the two where botocore is at hand). What is
//! wrong is said with its path in the file, all at once, before anything is registered.

use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

/// Members that `describe-task-definition` shows and that cannot be registered.
const SHOWN_ONLY: [&str; 8] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
];
/// Flaws that are told of one file.
const FLAWS_MAX: usize = 20;
const ROOT: &str = "RegisterTaskDefinitionRequest";

/// A task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDefinition {
    json: Value,
    /// Members that were left out: AWS shows them, and takes them from nobody.
    pub left_out: Vec<&'static str>,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// `containerDefinitions[0].image`; empty for the whole.
    pub path: String,
    /// What.
    pub words: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.words) } else { write!(f, "{}: {}", self.path, self.words) }
    }
}

fn flaw(path: impl Into<String>, words: impl Into<String>) -> Flaw {
    Flaw { path: path.into(), words: words.into() }
}

impl TaskDefinition {
    /// Reads a file's text.
    ///
    /// # Errors
    /// All that is wrong, with paths.
    pub fn parse(text: &str) -> Result<Self, Vec<Flaw>> {
        let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| vec![flaw("", format!("it is no JSON: {error}"))])?;
        Self::of(json)
    }

    /// Of JSON.
    ///
    /// # Errors
    /// All that is wrong, with paths.
    pub fn of(mut json: Value) -> Result<Self, Vec<Flaw>> {
        // As `aws ecs describe-task-definition` prints it.
        if let Some(inner) = json.get_mut("taskDefinition").filter(|inner| inner.is_object()) {
            json = inner.take();
        }
        let mut left_out = Vec::new();
        if let Some(map) = json.as_object_mut() {
            left_out.extend(SHOWN_ONLY.iter().copied().filter(|name| map.remove(*name).is_some()));
            // What describes nothing is left out too, as the official action does.
            map.retain(|_, value| !value.is_null());
        }
        let this = Self { json, left_out };
        let flaws = this.flaws();
        if flaws.is_empty() { Ok(this) } else { Err(flaws) }
    }

    /// The JSON that is registered.
    #[must_use]
    pub const fn json(&self) -> &Value {
        &self.json
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> &str {
        self.json["family"].as_str().unwrap_or_default()
    }

    /// Names of containers, in order.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.json["containerDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["name"].as_str().unwrap_or_default())
    }

    /// The image of a container.
    #[must_use]
    pub fn image(&self, container: &str) -> Option<&str> {
        let all = self.json["containerDefinitions"].as_array()?;
        all.iter().find(|one| one["name"] == container)?["image"].as_str()
    }

    /// The platform that its tasks run on, as images name theirs: `linux/amd64`.
    #[must_use]
    pub fn platform(&self) -> (&'static str, &'static str) {
        let platform = &self.json["runtimePlatform"];
        let os = match platform["operatingSystemFamily"].as_str() {
            Some(family) if family.starts_with("WINDOWS") => "windows",
            Some(_) | None => "linux",
        };
        (os, if platform["cpuArchitecture"] == "ARM64" { "arm64" } else { "amd64" })
    }

    /// Why an image of that platform cannot run in its tasks: what ECS would say as `exec format error`, minutes later.
    #[must_use]
    pub fn refuses_platform(&self, os: &str, architecture: &str) -> Option<String> {
        self.refuses_platforms(&[(os, architecture)])
    }

    /// The same of an image for several platforms (system, architecture), of which one has to fit; an empty part fits.
    #[must_use]
    pub fn refuses_platforms(&self, platforms: &[(&str, &str)]) -> Option<String> {
        let (wants_os, wants) = self.platform();
        let fits = |(os, architecture): &(&str, &str)| {
            (os.is_empty() || *os == wants_os) && (architecture.is_empty() || *architecture == wants)
        };
        if platforms.is_empty() || platforms.iter().any(fits) {
            return None;
        }
        let all: Vec<String> = platforms.iter().map(|(os, architecture)| format!("{os}/{architecture}")).collect();
        let family =
            if platforms.iter().any(|(_, architecture)| *architecture == "arm64") { "ARM64" } else { "X86_64" };
        Some(format!(
            "the image is for {}, and tasks of `{}` run on {wants_os}/{wants}: they would end with `exec format error`. Build it \
             for {wants_os}/{wants}, or write \"runtimePlatform\": {{\"cpuArchitecture\": \"{family}\"}}",
            all.join(", "),
            self.family()
        ))
    }

    /// Changes a container.
    ///
    /// # Errors
    /// There is none of that name, or what came of it is no task definition.
    pub fn change(&mut self, container: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Vec<Flaw>> {
        let names = self.containers().collect::<Vec<_>>().join(", ");
        let all = self.json.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        let found = all.into_iter().flatten().find(|one| one["name"] == container).and_then(Value::as_object_mut);
        let missing =
            || vec![flaw("containerDefinitions", format!("there is no container `{container}`; there are {names}"))];
        change(found.ok_or_else(missing)?);
        let flaws = self.flaws();
        if flaws.is_empty() { Ok(()) } else { Err(flaws) }
    }

    /// Sets a member of the whole.
    ///
    /// # Errors
    /// What came of it is no task definition.
    pub fn set(&mut self, member: &str, value: Value) -> Result<(), Vec<Flaw>> {
        self.json[member] = value;
        let flaws = self.flaws();
        if flaws.is_empty() { Ok(()) } else { Err(flaws) }
    }

    /// Adds a tag, by which it is found again.
    pub fn tag(&mut self, key: &str, value: &str) {
        let tag = json!({ "key": key, "value": value });
        match self.json.get_mut("tags").and_then(Value::as_array_mut) {
            Some(tags) => {
                tags.retain(|one| one["key"] != key);
                tags.push(tag);
            }
            None => self.json["tags"] = json!([tag]),
        }
    }

    fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        check(&Value::from(ROOT), &self.json, "", &mut flaws);
        if flaws.is_empty() {
            self.rules(&mut flaws);
        }
        flaws.truncate(FLAWS_MAX);
        flaws
    }

    /// What the shape alone does not say:
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>.
    fn rules(&self, flaws: &mut Vec<Flaw>) {
        let json = &self.json;
        let is_family = |text: &str| {
            !text.is_empty()
                && text.len() <= 255
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !is_family(self.family()) {
            flaws.push(flaw("family", "it has up to 255 letters, digits, - and _"));
        }
        let containers: Vec<&Value> = json["containerDefinitions"].as_array().into_iter().flatten().collect();
        if containers.is_empty() {
            flaws.push(flaw("containerDefinitions", "there is no container"));
        }
        let is_fargate =
            json["requiresCompatibilities"].as_array().is_some_and(|all| all.iter().any(|one| one == "FARGATE"));
        if is_fargate {
            for member in ["cpu", "memory"].into_iter().filter(|member| json.get(*member).is_none()) {
                flaws.push(flaw(member, "FARGATE needs it for the whole task"));
            }
            if json["networkMode"] != "awsvpc" {
                flaws.push(flaw("networkMode", "FARGATE needs `awsvpc`"));
            }
        }
        for (number, container) in containers.iter().enumerate() {
            rules_of_container(container, number, &containers, flaws);
            let has_secrets = container["secrets"].as_array().is_some_and(|all| !all.is_empty());
            if has_secrets && json.get("executionRoleArn").is_none() {
                let path = format!("containerDefinitions[{number}].secrets");
                flaws.push(flaw(path, "secrets need an `executionRoleArn` that may read them"));
            }
        }
    }
}

fn rules_of_container(container: &Value, number: usize, all: &[&Value], flaws: &mut Vec<Flaw>) {
    let at = |member: &str| format!("containerDefinitions[{number}].{member}");
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        flaws.push(flaw(at("name"), "each container has a name"));
    } else if all.iter().filter(|one| one["name"] == name).count() > 1 {
        flaws.push(flaw(at("name"), format!("`{name}` is there twice")));
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        flaws.push(flaw(at("image"), "each container has an image"));
    }
    for (index, variable) in container["environment"].as_array().into_iter().flatten().enumerate() {
        let name = variable["name"].as_str().unwrap_or_default();
        let is_secret = |one: &Value| one["name"] == name;
        if container["secrets"].as_array().is_some_and(|all| all.iter().any(is_secret)) {
            let path = format!("{}[{index}].name", at("environment"));
            flaws.push(flaw(path, format!("`{name}` is among `secrets` too; AWS takes it once")));
        }
    }
}

fn shapes() -> &'static Value {
    static SHAPES: OnceLock<Value> = OnceLock::new();
    SHAPES.get_or_init(|| serde_json::from_str(include_str!("task_definition.json")).unwrap_or_default())
}

/// Compares a value with a shape: a name, a list of one, a map of one, or a kind of scalar.
fn check(shape: &Value, value: &Value, path: &str, flaws: &mut Vec<Flaw>) {
    if flaws.len() >= FLAWS_MAX {
        return;
    }
    let mut wrong = |what: &str| flaws.push(flaw(path, format!("{} is no {what}", short(value))));
    match shape {
        Value::Array(of) => match value.as_array() {
            None => wrong("list"),
            Some(all) => {
                for (number, one) in all.iter().enumerate() {
                    check(&of[0], one, &format!("{path}[{number}]"), flaws);
                }
            }
        },
        Value::Object(of) => match value.as_object() {
            None => wrong("map"),
            Some(all) => {
                for (key, one) in all {
                    check(&of["*"], one, &format!("{path}.{key}"), flaws);
                }
            }
        },
        Value::String(name) => match name.as_str() {
            "string" if !value.is_string() => wrong("text: write it in quotes"),
            "integer" | "long" if !value.is_i64() => wrong("whole number: write it without quotes"),
            "boolean" if !value.is_boolean() => wrong("`true` or `false`"),
            "string" | "integer" | "long" | "boolean" => {}
            words if words.contains('|') || shapes().get(words).is_none() => word(words, value, path, flaws),
            name => members(&shapes()[name], value, path, flaws),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn word(words: &str, value: &Value, path: &str, flaws: &mut Vec<Flaw>) {
    if !value.as_str().is_some_and(|text| words.split('|').any(|word| word == text)) {
        flaws.push(flaw(path, format!("{} is none of {}", short(value), words.replace('|', ", "))));
    }
}

fn members(shape: &Value, value: &Value, path: &str, flaws: &mut Vec<Flaw>) {
    let Some(given) = value.as_object() else {
        flaws.push(flaw(path, format!("{} is no object", short(value))));
        return;
    };
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let known: Vec<(&str, bool, &Value)> = shape
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, of)| (name.trim_end_matches('!'), name.ends_with('!'), of))
        .collect();
    for (name, required, of) in &known {
        match given.get(*name) {
            Some(value) => check(of, value, &at(name), flaws),
            None if *required => flaws.push(flaw(at(name), "it is missing")),
            None => {}
        }
    }
    for name in given.keys().filter(|name| !known.iter().any(|(known, ..)| known == name)) {
        let near = known.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(known, ..)| *known);
        let near = near.or_else(|| known.iter().map(|(known, ..)| *known).find(|known| is_near(known, name)));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        flaws.push(flaw(at(name), format!("AWS knows no such member{hint}")));
    }
}

/// One letter more, less or other, or two that changed places.
fn is_near(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let front = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let back = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let has_turned = one.len() == other.len()
        && front + back + 2 == one.len()
        && (one[front], one[front + 1]) == (other[front + 1], other[front]);
    has_turned || one.len().abs_diff(other.len()) <= 1 && front + back + 1 >= one.len().max(other.len())
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("`{cut}…`") } else { format!("`{cut}`") }
}
