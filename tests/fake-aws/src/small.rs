//! A little of the services beside: secrets and parameters that tasks name, topics that messages go to, and logs of tasks.

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::Input as _;
use crate::world::World;

impl World {
    /// Answers Secrets Manager.
    pub(crate) fn secrets_manager(&mut self, operation: &str, input: &Value) -> Answer {
        let id = input.text("SecretId").or_else(|| input.text("Name")).unwrap_or_default().to_owned();
        if operation == "CreateSecret" {
            let suffix = self.ids.capitals(6);
            let arn = self.arn("secretsmanager", &format!("secret:{id}-{suffix}"));
            if self.secret(&id).is_some() {
                return refuse(
                    "ResourceExistsException",
                    format!("The operation failed because the secret {id} already exists."),
                );
            }
            self.secrets.insert(arn.clone(), input.text("SecretString").unwrap_or_default().to_owned());
            return Ok(json!({ "ARN": arn, "Name": id }));
        }
        let Some((arn, value)) = self.secret(&id) else {
            return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
        };
        let short =
            arn.rsplit(':').next().and_then(|tail| tail.rsplit_once('-')).map_or(id, |(name, _)| name.to_owned());
        match operation {
            "GetSecretValue" => {
                Ok(json!({ "ARN": arn, "Name": short, "SecretString": value, "VersionStages": ["AWSCURRENT"] }))
            }
            "DescribeSecret" => Ok(json!({ "ARN": arn, "Name": short })),
            other => Err(AwsError::unknown("SecretsManager", other)),
        }
    }

    /// A secret by its ARN, or by its name.
    fn secret(&self, id: &str) -> Option<(String, String)> {
        let is_it = |arn: &str| {
            arn == id
                || arn
                    .rsplit_once(":secret:")
                    .is_some_and(|(_, tail)| tail.rsplit_once('-').is_some_and(|(name, _)| name == id))
        };
        self.secrets.iter().find(|(arn, _)| is_it(arn)).map(|(arn, value)| (arn.clone(), value.clone()))
    }

    /// Answers the parameters of Systems Manager.
    pub(crate) fn parameters(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "PutParameter" => {
                let name = input.need("Name")?;
                let arn = self.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')));
                if self.secrets.contains_key(&arn) && !input.flag("Overwrite").unwrap_or(false) {
                    return refuse(
                        "ParameterAlreadyExists",
                        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
                    );
                }
                self.secrets.insert(arn, input.need("Value")?.to_owned());
                Ok(json!({ "Version": 1, "Tier": "Standard" }))
            }
            "GetParameter" => match self.parameter(input.need("Name")?) {
                Some(found) => Ok(json!({ "Parameter": found })),
                None => refuse("ParameterNotFound", format!("Parameter {} not found.", input.need("Name")?)),
            },
            "GetParameters" => {
                let (mut found, mut invalid) = (Vec::new(), Vec::new());
                for name in input.texts("Names") {
                    match self.parameter(&name) {
                        Some(one) => found.push(one),
                        None => invalid.push(name),
                    }
                }
                Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
            }
            other => Err(AwsError::unknown("SSM", other)),
        }
    }

    fn parameter(&self, name: &str) -> Option<Value> {
        let short = name.rsplit_once(":parameter/").map_or(name, |(_, tail)| tail).trim_start_matches('/');
        let arn = self.arn("ssm", &format!("parameter/{short}"));
        let value = self.secrets.get(&arn)?;
        Some(
            json!({ "Name": name, "Type": "SecureString", "Value": value, "Version": 1, "ARN": arn, "DataType": "text" }),
        )
    }

    /// Answers SNS. What was published is in the journal.
    pub(crate) fn topics(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "CreateTopic" => {
                let arn = self.arn("sns", input.need("Name")?);
                self.topic_arns.insert(arn.clone());
                Ok(json!({ "TopicArn": arn }))
            }
            "Publish" => {
                let arn = input.need("TopicArn")?;
                if !self.topic_arns.contains(arn) {
                    return Err(AwsError::new("NotFound", "Topic does not exist").with_status(404));
                }
                Ok(json!({ "MessageId": self.ids.uuid() }))
            }
            other => Err(AwsError::unknown("SNS", other)),
        }
    }

    /// Answers CloudWatch Logs: the last lines of tasks that ended, under the stream that `awslogs` gives them,
    /// `prefix/container/task`.
    pub(crate) fn log_events(&self, operation: &str, input: &Value) -> Answer {
        if operation != "GetLogEvents" {
            return Err(AwsError::unknown("Logs", operation));
        }
        let missing = |what: &str| {
            AwsError::new("ResourceNotFoundException", format!("The specified log {what} does not exist."))
        };
        let (group, stream) = (input.need("logGroupName")?, input.need("logStreamName")?);
        let found = self.ecs.tasks.iter().find(|(arn, task)| {
            let spec = self.definition(&task.definition).map(|found| found.spec.clone()).unwrap_or_default();
            spec.items("containerDefinitions").iter().any(|container| {
                let options = container
                    .get("logConfiguration")
                    .and_then(|config| config.get("options"))
                    .cloned()
                    .unwrap_or_default();
                let prefix = options.text("awslogs-stream-prefix").unwrap_or_default();
                let name = container.text("name").unwrap_or_default();
                options.text("awslogs-group") == Some(group)
                    && stream == format!("{prefix}/{name}/{}", crate::ecs::tail(arn))
            })
        });
        let (arn, task) = found.ok_or_else(|| missing("stream"))?;
        let at = task.stopped.unwrap_or(self.now);
        let lines = self.logs.get(arn).cloned().unwrap_or_default();
        let events: Vec<_> =
            lines.iter().map(|line| json!({ "timestamp": at, "ingestionTime": at, "message": line })).collect();
        Ok(json!({ "events": events, "nextForwardToken": "f/0", "nextBackwardToken": "b/0" }))
    }
}
