//! AppSpec files of ECS deployments, in YAML or JSON.
//! <https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file.html>

use std::collections::BTreeMap;

use serde_json::Value;

use super::EVENTS;
use crate::error::AwsError;
use crate::value::Input as _;

/// What one says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AppSpec {
    pub(super) definition: String,
    pub(super) container: String,
    pub(super) port: i64,
    /// Functions by event.
    pub(super) hooks: BTreeMap<String, String>,
}

/// Reads a revision's AppSpec.
///
/// # Errors
/// There is none, or it is not one of an ECS service.
pub(super) fn read(revision: &Value) -> Result<AppSpec, AwsError> {
    let invalid = |message: String| AwsError::new("InvalidRevisionException", message);
    let content = match revision.text("revisionType") {
        Some("AppSpecContent") => revision.get("appSpecContent").and_then(|one| one.text("content")),
        Some("String") => revision.get("string").and_then(|one| one.text("content")),
        Some(other) => return Err(invalid(format!("fake-aws takes AppSpecContent and String, not {other}"))),
        None => None,
    };
    let content = content.ok_or_else(|| invalid("The revision has no AppSpec content".to_owned()))?;
    let spec: Value = serde_yaml::from_str(content)
        .map_err(|error| invalid(format!("The AppSpec file cannot be parsed: {error}")))?;
    let member = |value: &Value, name: &str| {
        let found = value.as_object().and_then(|all| all.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value.clone())
    };
    let resources = member(&spec, "resources").unwrap_or_default();
    let properties = resources
        .as_array()
        .and_then(|all| all.first())
        .and_then(|one| member(one, "TargetService"))
        .and_then(|target| member(&target, "Properties"));
    let properties = properties
        .ok_or_else(|| invalid("The AppSpec file has no Resources with a TargetService and Properties".to_owned()))?;
    let balancer = member(&properties, "LoadBalancerInfo").unwrap_or_default();
    let text = |from: &Value, key: &str| {
        from.text(key).map(str::to_owned).ok_or_else(|| invalid(format!("The AppSpec file has no {key}")))
    };
    let port =
        balancer.int("ContainerPort").ok_or_else(|| invalid("The AppSpec file has no ContainerPort".to_owned()))?;
    let mut hooks = BTreeMap::new();
    for hook in member(&spec, "hooks").unwrap_or_default().as_array().into_iter().flatten() {
        for (event, function) in hook.as_object().into_iter().flatten() {
            if !EVENTS.iter().any(|(scriptable, name)| *scriptable && name == event) {
                return Err(invalid(format!("The AppSpec file has a hook at {event}, where there can be none")));
            }
            hooks.insert(event.clone(), function.as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(AppSpec {
        definition: text(&properties, "TaskDefinition")?,
        container: text(&balancer, "ContainerName")?,
        port,
        hooks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(content: &str) -> Result<AppSpec, String> {
        let revision = json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": content } });
        read(&revision).map_err(|error| error.message)
    }

    #[test]
    fn both_forms_are_read() {
        let yaml = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: arn:td\n        LoadBalancerInfo:\n          ContainerName: app\n          ContainerPort: 80\nHooks:\n  - AfterAllowTraffic: smoke\n";
        let json = r#"{"version":0.0,"resources":[{"TargetService":{"Properties":{"TaskDefinition":"arn:td","LoadBalancerInfo":{"ContainerName":"app","ContainerPort":80}}}}],"hooks":[{"AfterAllowTraffic":"smoke"}]}"#;
        let expected = AppSpec {
            definition: "arn:td".to_owned(),
            container: "app".to_owned(),
            port: 80,
            hooks: [("AfterAllowTraffic".to_owned(), "smoke".to_owned())].into(),
        };
        assert_eq!(check(yaml), Ok(expected.clone()));
        assert_eq!(check(json), Ok(expected));
    }

    #[test]
    fn mistakes_are_named() {
        for (content, words) in [
            ("a: [", "cannot be parsed"),
            ("version: 0.0", "no Resources"),
            ("Resources: [{TargetService: {Properties: {LoadBalancerInfo: {ContainerName: a}}}}]", "no ContainerPort"),
            (
                "Resources: [{TargetService: {Properties: {TaskDefinition: t, LoadBalancerInfo: {ContainerName: a, ContainerPort: 1}}}}]\nHooks: [{Install: f}]",
                "hook at Install",
            ),
        ] {
            let error = check(content).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
