//! Lifecycle policies: which images they would take away, and taking them away, once a day of the virtual clock.
//! <https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Repository;
use crate::error::{Answer, AwsError};
use crate::sts::is_like;
use crate::value::{Input as _, Time, stamp};
use crate::world::World;

/// A day of the virtual clock.
const DAY: Time = 24 * 3_600_000;

fn rules(text: &str) -> Result<Vec<Value>, AwsError> {
    let invalid = |message: String| {
        AwsError::invalid(format!("Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: {message}"))
    };
    let parsed: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let mut rules = parsed.items("rules").to_vec();
    if rules.is_empty() {
        return Err(invalid("a policy needs rules".to_owned()));
    }
    let mut seen = BTreeSet::new();
    for rule in &rules {
        let priority = rule
            .int("rulePriority")
            .filter(|one| *one > 0)
            .ok_or_else(|| invalid("rulePriority is missing".to_owned()))?;
        if !seen.insert(priority) {
            return Err(invalid(format!("rulePriority {priority} is there twice")));
        }
        let selection = rule.get("selection").cloned().unwrap_or_default();
        let tagged = selection.text("tagStatus");
        if !matches!(tagged, Some("tagged" | "untagged" | "any")) {
            return Err(invalid("tagStatus must be tagged, untagged or any".to_owned()));
        }
        let named = selection.items("tagPrefixList").len() + selection.items("tagPatternList").len();
        if (tagged == Some("tagged")) != (named > 0) {
            return Err(invalid(
                "tagStatus tagged needs a tagPrefixList or tagPatternList, others may not have one".to_owned(),
            ));
        }
        if !matches!(selection.text("countType"), Some("imageCountMoreThan" | "sinceImagePushed")) {
            return Err(invalid("countType must be imageCountMoreThan or sinceImagePushed".to_owned()));
        }
        if selection.int("countNumber").is_none_or(|number| number <= 0) {
            return Err(invalid("countNumber must be above 0".to_owned()));
        }
    }
    rules.sort_by_key(|rule| rule.int("rulePriority"));
    Ok(rules)
}

/// Digests that a policy takes away, with the priority of the rule that does. An image that one rule selects is no other's.
fn expired(repository: &Repository, rules: &[Value], now: Time) -> Vec<(String, i64)> {
    let mut taken = BTreeSet::new();
    let mut gone = Vec::new();
    for rule in rules {
        let selection = &rule["selection"];
        let (prefixes, patterns) = (selection.texts("tagPrefixList"), selection.texts("tagPatternList"));
        let is_selected = |digest: &String| {
            let tags: Vec<_> =
                repository.tags.iter().filter(|(_, known)| *known == digest).map(|(tag, _)| tag).collect();
            match selection.text("tagStatus") {
                Some("untagged") => tags.is_empty(),
                Some("tagged") => {
                    // All of the prefixes have to be met, each by some tag.
                    !tags.is_empty()
                        && prefixes.iter().all(|prefix| tags.iter().any(|tag| tag.starts_with(prefix.as_str())))
                        && patterns.iter().all(|pattern| tags.iter().any(|tag| is_like(tag, pattern)))
                }
                _ => true,
            }
        };
        let mut selected: Vec<_> =
            repository.images.iter().filter(|(digest, _)| is_selected(digest) && !taken.contains(*digest)).collect();
        selected.sort_by_key(|(_, image)| std::cmp::Reverse(image.pushed));
        let number = selection.int("countNumber").unwrap_or(i64::MAX);
        let is_by_count = selection.text("countType") == Some("imageCountMoreThan");
        for (at, (digest, image)) in selected.iter().enumerate() {
            let goes = if is_by_count {
                i64::try_from(at).is_ok_and(|at| at >= number)
            } else {
                now - image.pushed >= number * DAY
            };
            if goes {
                gone.push(((*digest).clone(), rule.int("rulePriority").unwrap_or_default()));
            }
        }
        taken.extend(selected.into_iter().map(|(digest, _)| digest.clone()));
    }
    gone
}

impl World {
    pub(super) fn put_lifecycle_policy(&mut self, input: &Value, region: &str) -> Answer {
        let (name, text) = (input.need("repositoryName")?, input.need("lifecyclePolicyText")?);
        rules(text)?;
        self.repository_mut(name, region)?.policy = Some(text.to_owned());
        Ok(json!({ "registryId": self.settings.account, "repositoryName": name, "lifecyclePolicyText": text }))
    }

    fn policy_text(&self, name: &str, region: &str) -> Result<String, AwsError> {
        let missing = || {
            let message = format!(
                "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{}'",
                self.settings.account
            );
            AwsError::new("LifecyclePolicyNotFoundException", message)
        };
        self.repository(name, region)?.policy.clone().ok_or_else(missing)
    }

    pub(super) fn get_lifecycle_policy(&self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        let text = self.policy_text(name, region)?;
        Ok(
            json!({ "registryId": self.settings.account, "repositoryName": name, "lifecyclePolicyText": text, "lastEvaluatedAt": stamp(self.now) }),
        )
    }

    pub(super) fn delete_lifecycle_policy(&mut self, input: &Value, region: &str) -> Answer {
        let answer = self.get_lifecycle_policy(input, region)?;
        self.repository_mut(input.need("repositoryName")?, region)?.policy = None;
        Ok(answer)
    }

    pub(super) fn lifecycle_preview(&self, operation: &str, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        let text = match input.text("lifecyclePolicyText") {
            Some(text) => text.to_owned(),
            None => self.policy_text(name, region)?,
        };
        let rules = rules(&text)?;
        let head = json!({ "registryId": self.settings.account, "repositoryName": name, "lifecyclePolicyText": text });
        if operation == "StartLifecyclePolicyPreview" {
            let mut answer = head;
            answer["status"] = json!("IN_PROGRESS");
            return Ok(answer);
        }
        let repository = self.repository(name, region)?;
        let gone = expired(repository, &rules, self.now);
        let result = |(digest, priority): &(String, i64)| {
            let tags: Vec<_> =
                repository.tags.iter().filter(|(_, known)| *known == digest).map(|(tag, _)| tag).collect();
            json!({
                "imageTags": tags, "imageDigest": digest, "imagePushedAt": stamp(repository.images[digest].pushed),
                "action": { "type": "EXPIRE" }, "appliedRulePriority": priority,
            })
        };
        let mut answer = head;
        answer["status"] = json!("COMPLETE");
        answer["previewResults"] = gone.iter().map(result).collect();
        answer["summary"] = json!({ "expiringImageTotalCount": gone.len() });
        Ok(answer)
    }

    /// Takes away what policies say, at each midnight that passes, and lets copies to other regions arrive.
    pub(crate) fn tick_ecr(&mut self) {
        self.tick_replication();
        let (now, before) = (self.now, self.now - 1_000);
        if now / DAY == before / DAY {
            return;
        }
        for repository in self.ecr.repositories.values_mut() {
            let Some(Ok(rules)) = repository.policy.as_deref().map(rules) else { continue };
            for (digest, _) in expired(repository, &rules, now) {
                repository.images.remove(&digest);
                repository.tags.retain(|_, known| *known != digest);
            }
        }
    }
}
