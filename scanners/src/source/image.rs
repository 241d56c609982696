//! From an archive or layout to an image: its configuration, its history, and a blob for each layer.
//!
//! Docker's `manifest.json` is taken where there is one; otherwise OCI's `index.json`, of which the image for this machine's
//! kind is taken, since that is the one that would run here.

use serde::Deserialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::store::Store;
use super::{HistoryEntry, Random, SourceError};

/// Indexes that lead to indexes.
const INDEX_DEPTH_MAX: usize = 4;
/// No builder makes more than 127.
const LAYERS_MAX: usize = 1024;

/// An image whose layers can be read.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) image_id: String,
    pub(crate) repository_digests: Vec<String>,
    pub(crate) history: Vec<HistoryEntry>,
    /// From the lowest to the uppermost.
    pub(crate) layers: Vec<LayerBlob>,
}

#[derive(Debug)]
pub(crate) struct LayerBlob {
    pub(crate) diff_id: String,
    pub(crate) blob: Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    /// None for an image without layers.
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// What is used of <https://github.com/opencontainers/image-spec/blob/main/config.md>.
#[derive(Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) history: Option<Vec<HistoryEntry>>,
    pub(crate) rootfs: RootFs,
}

#[derive(Deserialize)]
pub(crate) struct RootFs {
    #[serde(default)]
    pub(crate) diff_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize, Clone)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<serde_json::Map<String, Json>>,
}

#[derive(Deserialize, Clone)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Image {
    /// The image of that name, or the only one.
    pub(crate) fn open(store: &Store, name: Option<&str>) -> Result<Self, SourceError> {
        if store.file("manifest.json")?.is_some() {
            return Self::of_docker(store, name);
        }
        if store.file("index.json")?.is_some() {
            return Self::of_layout(store, name);
        }
        Err(SourceError::not_an_image(
            store.what(),
            "it has neither manifest.json (docker save) nor index.json (an OCI layout)",
        ))
    }

    fn of_docker(store: &Store, name: Option<&str>) -> Result<Self, SourceError> {
        let images: Vec<DockerImage> = parse(store, "manifest.json")?;
        let tags = |image: &DockerImage| image.repo_tags.clone().unwrap_or_default();
        let there: Vec<String> = images.iter().flat_map(tags).collect();
        let image = match name {
            Some(name) => images
                .iter()
                .find(|image| tags(image).iter().any(|tag| is_named(tag, name)) || is_id(&image.config, name)),
            None if images.len() > 1 => {
                return Err(SourceError::WhichImage { what: store.what().to_owned(), there });
            }
            None => images.first(),
        };
        let image = image.ok_or_else(|| no_such(store, name, there))?;
        let blobs = image.layers.iter().flatten().map(|layer| blob(store, layer)).collect::<Result<_, _>>()?;
        Self::assemble(store, &image.config, blobs, Vec::new())
    }

    fn of_layout(store: &Store, name: Option<&str>) -> Result<Self, SourceError> {
        let index: Index = parse(store, "index.json")?;
        let images: Vec<Descriptor> = index.manifests.into_iter().filter(is_image).collect();
        let there: Vec<String> = images.iter().filter_map(reference).collect();
        let mut chosen = match name {
            Some(name) => images
                .iter()
                .find(|image| image.digest == name || reference(image).is_some_and(|there| is_named(&there, name))),
            None if images.len() > 1 && images.iter().all(|image| image.platform.is_none()) => {
                return Err(SourceError::WhichImage { what: store.what().to_owned(), there });
            }
            None => of_this_machine(&images),
        }
        .cloned()
        .ok_or_else(|| no_such(store, name, there))?;
        for _ in 0..INDEX_DEPTH_MAX {
            let path = path_of(store, &chosen.digest)?;
            let text = store.json(&path)?;
            if let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) {
                return Self::of_manifest(store, &manifest, &chosen.digest, name);
            }
            let index: Index = parse(store, &path)?;
            let images: Vec<Descriptor> = index.manifests.into_iter().filter(is_image).collect();
            chosen = of_this_machine(&images).cloned().ok_or_else(|| no_such(store, name, Vec::new()))?;
        }
        Err(SourceError::not_an_image(store.what(), "its indexes lead to indexes without end"))
    }

    fn of_manifest(store: &Store, manifest: &Manifest, digest: &str, name: Option<&str>) -> Result<Self, SourceError> {
        let blobs = manifest
            .layers
            .iter()
            .map(|layer| blob(store, &path_of(store, &layer.digest)?))
            .collect::<Result<_, _>>()?;
        let repository = name.map(|name| name.rsplit_once(':').map_or(name, |(before, _)| before));
        let digests = repository.map(|repository| format!("{repository}@{digest}")).into_iter().collect();
        Self::assemble(store, &path_of(store, &manifest.config.digest)?, blobs, digests)
    }

    fn assemble(
        store: &Store,
        config: &str,
        blobs: Vec<Random>,
        repository_digests: Vec<String>,
    ) -> Result<Self, SourceError> {
        let text = store.json(config)?;
        let image_id = format!("sha256:{:x}", Sha256::digest(&text));
        let config: Config =
            serde_json::from_slice(&text).map_err(|error| broken_json(store, "its configuration", &error))?;
        let diff_ids = config.rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() != blobs.len() || blobs.len() > LAYERS_MAX {
            let reason = format!("its configuration names {} layers, but it has {}", diff_ids.len(), blobs.len());
            return Err(SourceError::not_an_image(store.what(), reason));
        }
        let layers = diff_ids.into_iter().zip(blobs).map(|(diff_id, blob)| LayerBlob { diff_id, blob }).collect();
        Ok(Self { image_id, repository_digests, history: config.history.unwrap_or_default(), layers })
    }
}

fn parse<T: for<'de> Deserialize<'de>>(store: &Store, name: &str) -> Result<T, SourceError> {
    serde_json::from_slice(&store.json(name)?).map_err(|error| broken_json(store, name, &error))
}

fn broken_json(store: &Store, name: &str, error: &serde_json::Error) -> SourceError {
    SourceError::not_an_image(store.what(), format!("{name} is not what it should be: {error}"))
}

fn no_such(store: &Store, name: Option<&str>, there: Vec<String>) -> SourceError {
    match name {
        Some(name) => SourceError::NoSuchImage { what: store.what().to_owned(), wanted: name.to_owned(), there },
        None => SourceError::not_an_image(store.what(), "it holds no image"),
    }
}

fn blob(store: &Store, path: &str) -> Result<Random, SourceError> {
    store.file(path)?.ok_or_else(|| SourceError::not_an_image(store.what(), format!("its layer {path} is missing")))
}

/// `sha256:abc…` as `blobs/sha256/abc…`.
fn path_of(store: &Store, digest: &str) -> Result<String, SourceError> {
    match digest.split_once(':') {
        Some((algorithm, hex))
            if algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && hex.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            Ok(format!("blobs/{algorithm}/{hex}"))
        }
        Some(_) | None => Err(SourceError::not_an_image(store.what(), format!("`{digest}` is not a digest"))),
    }
}

/// `shop/orders` is `shop/orders:latest`; `docker.io/` and `library/` may be left out, as with Docker.
fn is_named(there: &str, wanted: &str) -> bool {
    let full = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        if has_tag { name.to_owned() } else { format!("{name}:latest") }
    };
    there == wanted || full(there) == full(wanted)
}

/// Whether a configuration's file is that of an image id.
fn is_id(config: &str, wanted: &str) -> bool {
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    hex.len() >= 12 && config.rsplit('/').next().is_some_and(|file| file.starts_with(hex))
}

/// Attestations lie beside images and say so by an unknown platform.
fn is_image(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

fn reference(descriptor: &Descriptor) -> Option<String> {
    let annotations = descriptor.annotations.as_ref()?;
    ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
        .iter()
        .find_map(|key| annotations.get(*key)?.as_str())
        .map(str::to_owned)
}

fn of_this_machine(images: &[Descriptor]) -> Option<&Descriptor> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |image: &&Descriptor| {
        image.platform.as_ref().is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture)
    };
    images.iter().find(fits).or_else(|| images.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_docker_does() {
        for (there, wanted, expected) in [
            ("shop/orders:latest", "shop/orders", true),
            ("docker.io/library/node:20", "node:20", true),
            ("shop/orders:1", "shop/orders", false),
            ("localhost:5000/orders:latest", "localhost:5000/orders", true),
        ] {
            assert_eq!(is_named(there, wanted), expected, "{there} {wanted}");
        }
    }
}
