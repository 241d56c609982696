//! `AppSpec` files of services of ECS: read, checked, and made.
//! <https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html#reference-appspec-file-structure-resources-ecs>

use std::fmt;

use serde_json::{Map, Value, json};

/// Events at which functions can be called.
const HOOKS: [&str; 5] =
    ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];

/// Members as AWS spells them. The official action takes any case, and nothing says that CodeDeploy does.
const MEMBERS: [&str; 18] = [
    "AssignPublicIp",
    "AwsvpcConfiguration",
    "Base",
    "CapacityProvider",
    "CapacityProviderStrategy",
    "ContainerName",
    "ContainerPort",
    "Hooks",
    "LoadBalancerInfo",
    "NetworkConfiguration",
    "PlatformVersion",
    "Properties",
    "Resources",
    "SecurityGroups",
    "Subnets",
    "TaskDefinition",
    "Type",
    "Weight",
];

/// An `AppSpec`, in which the task definition is still to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec(Value);

/// What is wrong with one, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpecFlaw {
    /// `Resources[0].TargetService.Properties`.
    pub path: String,
    /// What, and what to do.
    pub words: String,
}

impl fmt::Display for AppSpecFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.words) } else { write!(f, "{}: {}", self.path, self.words) }
    }
}

fn flaw(path: &str, words: impl Into<String>) -> AppSpecFlaw {
    AppSpecFlaw { path: path.to_owned(), words: words.into() }
}

impl AppSpec {
    /// Reads a file's text, YAML or JSON.
    ///
    /// # Errors
    /// All that is wrong, with paths.
    pub fn parse(text: &str) -> Result<Self, Vec<AppSpecFlaw>> {
        let json = serde_yaml::from_str(text).map_err(|error| vec![flaw("", format!("it is no YAML: {error}"))])?;
        Self::of(json)
    }

    /// Of JSON.
    ///
    /// # Errors
    /// All that is wrong, with paths.
    pub fn of(json: Value) -> Result<Self, Vec<AppSpecFlaw>> {
        let flaws = flaws(&json);
        if flaws.is_empty() { Ok(Self(spelled(json))) } else { Err(flaws) }
    }

    /// The least one: this container gets the requests.
    #[must_use]
    pub fn of_container(name: &str, port: u16) -> Self {
        let balanced = json!({ "ContainerName": name, "ContainerPort": port });
        let properties = json!({ "TaskDefinition": "", "LoadBalancerInfo": balanced });
        let service = json!({ "Type": "AWS::ECS::Service", "Properties": properties });
        Self(json!({ "version": 0.0, "Resources": [{ "TargetService": service }] }))
    }

    /// The container that gets the requests.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        let resource = member(&self.0, "Resources")?.as_array()?.first()?.as_object()?.values().next()?;
        let balanced = member(member(resource, "Properties")?, "LoadBalancerInfo")?;
        member(balanced, "ContainerName")?.as_str()
    }

    /// As JSON.
    #[must_use]
    pub const fn json(&self) -> &Value {
        &self.0
    }

    /// Its text with this task definition, the same each time.
    #[must_use]
    pub fn with(&self, task_definition: &str) -> String {
        let mut json = self.0.clone();
        if let Some(properties) = service(&mut json).and_then(|service| member_mut(service, "Properties")) {
            let key = key_of(properties, "TaskDefinition").unwrap_or_else(|| "TaskDefinition".to_owned());
            properties[key.as_str()] = json!(task_definition);
        }
        json.to_string()
    }
}

/// The same with members as AWS spells them.
fn spelled(value: Value) -> Value {
    let member = |(key, value): (String, Value)| {
        let known = MEMBERS.iter().find(|known| known.eq_ignore_ascii_case(&key));
        (known.map_or(key, |known| (*known).to_owned()), spelled(value))
    };
    match value {
        Value::Object(of) => Value::Object(of.into_iter().map(member).collect()),
        Value::Array(all) => Value::Array(all.into_iter().map(spelled).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// The name under which a member stands, whatever the case of its letters.
fn key_of(value: &Value, name: &str) -> Option<String> {
    value.as_object()?.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.get(key_of(value, name)?)
}

fn member_mut<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let key = key_of(value, name)?;
    value.get_mut(key)
}

/// The only resource, whatever it is called.
fn service(spec: &mut Value) -> Option<&mut Value> {
    let first = member_mut(spec, "Resources")?.as_array_mut()?.first_mut()?;
    first.as_object_mut().and_then(|of: &mut Map<String, Value>| of.values_mut().next())
}

fn flaws(spec: &Value) -> Vec<AppSpecFlaw> {
    let mut flaws = Vec::new();
    let resources = member(spec, "Resources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [resource] = resources else {
        let words = format!("{} resources; an AppSpec of ECS has one, `- TargetService: …`", resources.len());
        flaws.push(flaw("Resources", words));
        return flaws;
    };
    let service = resource.as_object().and_then(|of| of.iter().next());
    let Some((name, service)) = service else {
        return vec![flaw("Resources[0]", "begin it with `TargetService:`")];
    };
    let at = format!("Resources[0].{name}");
    match member(service, "Type").and_then(Value::as_str) {
        Some("AWS::ECS::Service") | None => {}
        Some(other) => flaws.push(flaw(&format!("{at}.Type"), format!("`{other}` is no AWS::ECS::Service"))),
    }
    let at = format!("{at}.Properties.LoadBalancerInfo");
    let balanced = member(service, "Properties").and_then(|of| member(of, "LoadBalancerInfo"));
    let container = balanced.and_then(|of| member(of, "ContainerName")).and_then(Value::as_str).unwrap_or_default();
    if container.is_empty() {
        flaws.push(flaw(&format!("{at}.ContainerName"), "missing; the container that gets the requests"));
    }
    let port = balanced.and_then(|of| member(of, "ContainerPort")).and_then(Value::as_u64).unwrap_or(0);
    if !(1..=65_535).contains(&port) {
        flaws.push(flaw(&format!("{at}.ContainerPort"), "missing, or no port from 1 to 65535"));
    }
    let hooks = member(spec, "Hooks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names = hooks
        .iter()
        .enumerate()
        .flat_map(|(at, hook)| hook.as_object().into_iter().flat_map(Map::keys).map(move |name| (at, name)));
    for (at, name) in names.filter(|(_, name)| !HOOKS.contains(&name.as_str())) {
        let words = format!("no function can be called at `{name}`; possible: {}", HOOKS.join(", "));
        flaws.push(flaw(&format!("Hooks[{at}]"), words));
    }
    flaws
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        \
        TaskDefinition: <TASK_DEFINITION>\n        LoadBalancerInfo:\n          ContainerName: app\n          ContainerPort: 8080\n\
        Hooks:\n  - AfterAllowTestTraffic: smoke\n";

    #[test]
    fn the_definition_is_put_in_and_the_rest_stays() {
        let spec = AppSpec::parse(FILE).unwrap();
        let with: Value = serde_json::from_str(&spec.with("arn:td:8")).unwrap();
        let properties = &with["Resources"][0]["TargetService"]["Properties"];
        assert_eq!(properties["TaskDefinition"], "arn:td:8");
        assert_eq!(properties["LoadBalancerInfo"], json!({ "ContainerName": "app", "ContainerPort": 8080 }));
        assert_eq!(with["Hooks"], json!([{ "AfterAllowTestTraffic": "smoke" }]));
        assert_eq!(spec.with("arn:td:8"), AppSpec::parse(FILE).unwrap().with("arn:td:8"), "the same each time");
        let small = r#"{"resources":[{"TargetService":{"properties":{"taskDefinition":"x","loadBalancerInfo":{"containerName":"a","containerPort":1}}}}]}"#;
        let with = AppSpec::parse(small).unwrap().with("arn:td:9");
        let spelled = r#"{"Resources":[{"TargetService":{"Properties":{"TaskDefinition":"arn:td:9","LoadBalancerInfo":{"ContainerName":"a","ContainerPort":1}}}}]}"#;
        let [with, spelled] = [&*with, spelled].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(with, spelled);
        assert_eq!((spec.container(), AppSpec::parse(small).unwrap().container()), (Some("app"), Some("a")));
        let made: Value = serde_json::from_str(&AppSpec::of_container("app", 80).with("arn")).unwrap();
        assert_eq!(AppSpec::of(made.clone()).unwrap().json(), &made);
    }

    #[test]
    fn mistakes_have_places() {
        for (text, place, words) in [
            ("a: [", "", "it is no YAML"),
            ("version: 0.0", "Resources", "0 resources"),
            ("Resources: [1]", "Resources[0]", "begin it with `TargetService:`"),
            ("Resources: [{T: {Type: AWS::Lambda::Function}}]", "Resources[0].T.Type", "is no AWS::ECS::Service"),
            ("Resources: [{T: {}}]", "Resources[0].T.Properties.LoadBalancerInfo.ContainerName", "missing"),
        ] {
            let flaws = AppSpec::parse(text).unwrap_err();
            assert!(flaws[0].path == place && flaws[0].words.contains(words), "{text}: {}", flaws[0]);
        }
        let flaws = AppSpec::parse(&FILE.replace("AfterAllowTestTraffic", "Install")).unwrap_err();
        assert_eq!(flaws[0].path, "Hooks[0]");
        assert!(flaws[0].words.contains("possible: BeforeInstall, AfterInstall"), "{}", flaws[0]);
    }
}
