//! The name that an image has in the engine while it is sent, and what that name meant before.
//!
//! It does not decide whether the name stays.

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};

use super::PushError;
use crate::docker::{Docker, words};

/// A name that was given, and is taken back when this is dropped at the latest.
#[derive(Debug)]
pub(super) struct Name {
    docker: Docker,
    /// `HOST/NAME` and the tag.
    place: (String, String),
    before: Before,
}

/// What it meant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Before {
    /// This image, or it has to go on meaning it: without a name the engine would drop the image.
    Same,
    /// Nothing.
    Nothing,
    /// Another image, by its id.
    Other(String),
}

impl Before {
    async fn of(docker: &Docker, id: &str, reference: &str) -> Self {
        let known = docker.client.inspect_image(reference).await.ok().and_then(|found| found.id);
        match known {
            Some(known) if known == id => Self::Same,
            Some(other) => Self::Other(other),
            None => {
                let tags = docker.client.inspect_image(id).await.ok().and_then(|found| found.repo_tags);
                if tags.is_some_and(|tags| !tags.is_empty()) { Self::Nothing } else { Self::Same }
            }
        }
    }
}

impl Name {
    /// Gives it to the image of this id. `stays`: whether it is that image's from now on.
    pub(super) async fn give(
        docker: &Docker,
        (image, id): (&str, &str),
        place: (String, String),
        stays: bool,
    ) -> Result<Self, PushError> {
        let before =
            if stays { Before::Same } else { Before::of(docker, id, &format!("{}:{}", place.0, place.1)).await };
        // Until it is given there is nothing to take back.
        let mut this = Self { docker: docker.clone(), place, before: Before::Same };
        this.tag(image).await.map_err(|said| {
            PushError::Engine(format!("the image cannot be tagged {}:{}: {said}", this.place.0, this.place.1))
        })?;
        this.before = before;
        Ok(this)
    }

    /// Gives it once more.
    pub(super) async fn tag(&self, image: &str) -> Result<(), String> {
        let options = TagImageOptionsBuilder::default().repo(&self.place.0).tag(&self.place.1).build();
        self.docker.client.tag_image(image, Some(options)).await.map_err(|error| words(&error))
    }

    /// Lets it mean again what it did. What went wrong at that is for a person to read.
    pub(super) async fn take_back(mut self) -> Option<String> {
        self.put_back().await
    }

    async fn put_back(&mut self) -> Option<String> {
        let reference = format!("{}:{}", self.place.0, self.place.1);
        let done = match std::mem::replace(&mut self.before, Before::Same) {
            Before::Same => return None,
            Before::Other(other) => self.tag(&other).await,
            Before::Nothing => {
                let options = RemoveImageOptionsBuilder::default().noprune(true).build();
                let done = self.docker.client.remove_image(&reference, Some(options), None).await;
                done.map(drop).map_err(|error| words(&error))
            }
        };
        done.err().map(|said| format!("The name {reference} stays in the Docker engine: {said}"))
    }
}

impl Drop for Name {
    /// Where whoever sends was cancelled.
    fn drop(&mut self) {
        if self.before == Before::Same {
            return;
        }
        let before = std::mem::replace(&mut self.before, Before::Same);
        let mut left = Self { docker: self.docker.clone(), place: self.place.clone(), before };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(words) = left.put_back().await {
                    tracing::warn!(words, "a cancelled push");
                }
            });
        }
    }
}
