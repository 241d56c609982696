//! Replication to other regions: images arrive there a while after they were pushed.

use serde_json::{Value, json};

use crate::error::{Answer, AwsError};
use crate::value::{Input as _, SECOND, Time};
use crate::world::World;

/// An image takes this long to another region.
const COPY_TIME: Time = 30 * SECOND;

/// An image on its way.
#[derive(Debug)]
pub(super) struct Copying {
    repository: String,
    digest: String,
    from: String,
    to: String,
    arrives: Time,
    is_there: bool,
}

impl World {
    pub(super) fn put_replication(&mut self, input: &Value) -> Answer {
        let missing = || AwsError::invalid("replicationConfiguration is missing");
        let config = input.get("replicationConfiguration").cloned().ok_or_else(missing)?;
        for rule in config.items("rules") {
            for destination in rule.items("destinations") {
                if destination.text("region") == Some(&self.settings.region) {
                    let message = "Invalid parameter: the destination is the registry's own region";
                    return Err(AwsError::new("ValidationException", message));
                }
            }
        }
        self.ecr.replication = Some(config.clone());
        Ok(json!({ "replicationConfiguration": config }))
    }

    /// Sends an image on its way, as the rules say.
    pub(super) fn replicate(&mut self, name: &str, region: &str, digest: &str) {
        let Some(config) = &self.ecr.replication else { return };
        let mut found = Vec::new();
        for rule in config.items("rules") {
            let filters = rule.items("repositoryFilters");
            let fits = |filter: &Value| filter.text("filter").is_some_and(|prefix| name.starts_with(prefix));
            if filters.is_empty() || filters.iter().any(fits) {
                found.extend(rule.items("destinations").iter().filter_map(|one| one.text("region").map(str::to_owned)));
            }
        }
        for to in found.into_iter().filter(|to| to != region) {
            let known = |one: &Copying| one.repository == name && one.digest == digest && one.to == to;
            if !self.ecr.on_the_way.iter().any(known) {
                self.ecr.on_the_way.push(Copying {
                    repository: name.to_owned(),
                    digest: digest.to_owned(),
                    from: region.to_owned(),
                    to,
                    arrives: self.now + COPY_TIME,
                    is_there: false,
                });
            }
        }
    }

    pub(super) fn tick_replication(&mut self) {
        if self.ecr.replication_hangs {
            return;
        }
        let now = self.now;
        let due: Vec<_> = self
            .ecr
            .on_the_way
            .iter_mut()
            .filter(|one| !one.is_there && one.arrives <= now)
            .map(|one| {
                one.is_there = true;
                (one.repository.clone(), one.digest.clone(), one.from.clone(), one.to.clone())
            })
            .collect();
        for (name, digest, from, to) in due {
            let Ok(source) = self.repository(&name, &from).cloned() else { continue };
            let Some(image) = source.images.get(&digest).cloned() else { continue };
            let new = self.new_repository(&name, &to);
            let place = self.ecr.repositories.entry((to, name)).or_insert(new);
            place.images.insert(digest.clone(), image);
            place.tags.extend(source.tags.into_iter().filter(|(_, known)| *known == digest));
        }
    }

    pub(super) fn replication_status(&self, input: &Value, region: &str) -> Answer {
        let name = input.need("repositoryName")?;
        let repository = self.repository(name, region)?;
        let id = input.get("imageId").cloned().unwrap_or_default();
        let missing = || AwsError::new("ImageNotFoundException", format!("The image with imageId {id} does not exist"));
        let reference = id.text("imageDigest").or_else(|| id.text("imageTag")).unwrap_or_default();
        let digest = repository.resolve(reference).ok_or_else(missing)?;
        let mine = self.ecr.on_the_way.iter().filter(|one| one.repository == name && one.digest == *digest);
        let all: Vec<_> = mine
            .map(|one| {
                json!({
                    "region": one.to, "registryId": self.settings.account,
                    "status": if one.is_there { "COMPLETE" } else { "IN_PROGRESS" },
                })
            })
            .collect();
        Ok(json!({ "repositoryName": name, "imageId": id, "replicationStatuses": all }))
    }
}
