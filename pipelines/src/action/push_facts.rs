//! What both pushes, `pipe/push-ecr` and `pipe/push-registry`, take and give.

use engine::step::InputFacts;
use workflow::catalogue::{Form, Wrong};

use super::{OutputFacts, input, required};
use crate::push::tags;

pub(super) const IMAGE: InputFacts = required("image", "The image, by its id or by a tag of this machine's Docker");

pub(super) const TAGS: InputFacts = required("tags", "Its tags there, with commas or one a line; never deploy by one")
    .form(Form::Read(|name, text| Wrong::of(tags(text).map_err(|error| format!("`{name}`: {error}")))));

pub(super) const SCANNED_IMAGE: InputFacts =
    input("scanned-image", "", "Id of the image that was scanned (`image-id` of `pipe/scan`): another one is refused");

pub(super) const CONTAINER_NAME: InputFacts =
    input("container-name", "", "The container in `imagedefinitions`; empty: the last part of the repository");

pub(super) const DRY_RUN: InputFacts = input("dry-run", "false", "Only say what would be pushed where").switch();

pub(super) const REGISTRY: OutputFacts = OutputFacts::new("registry", "The registry's host");
pub(super) const DEPLOYED: OutputFacts = OutputFacts::new("image", "HOST/NAME@sha256:…, which is what is deployed");
pub(super) const DIGEST: OutputFacts = OutputFacts::new("digest", "Digest of its manifest, as the registry has it");
pub(super) const GIVEN_TAGS: OutputFacts = OutputFacts::new("tags", "Its tags, with commas");
pub(super) const PUSHED: OutputFacts = OutputFacts::new("pushed", "`false` where all of it was there already");
pub(super) const IMAGE_DEFINITIONS: OutputFacts =
    OutputFacts::new("imagedefinitions", "JSON of `imagedefinitions.json`, for ECS deployments of CodePipeline");
pub(super) const IMAGE_DETAIL: OutputFacts =
    OutputFacts::new("image-detail", "JSON of `imageDetail.json`, for CodeDeploy deployments of CodePipeline");
