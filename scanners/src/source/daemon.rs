//! From what Docker says about an image (`GET /images/NAME/json`) to the folders that its layers are.
//!
//! Only overlay2 keeps layers as folders; with Docker's containerd store there are none, and the caller streams
//! `docker export` instead. See <https://docs.docker.com/engine/storage/drivers/overlayfs-driver/>.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::image::Config;
use super::{HistoryEntry, OverlayImage};
use crate::package::Layer;

impl OverlayImage {
    /// Reads Docker's answer. None when the image is not kept in overlay2, or its folders are not on this machine.
    #[must_use]
    pub fn from_inspect(inspect: &Json) -> Option<Self> {
        let driver = inspect.get("GraphDriver")?;
        if driver.get("Name")?.as_str()? != "overlay2" {
            return None;
        }
        let data = driver.get("Data")?;
        let upper = data.get("UpperDir")?.as_str()?;
        let lower = data.get("LowerDir").and_then(Json::as_str).unwrap_or_default();
        // Docker names the lower ones from the top.
        let mut folders: Vec<PathBuf> = lower.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        folders.reverse();
        folders.push(PathBuf::from(upper));
        let texts = |list: Option<&Json>| -> Vec<String> {
            let texts = list.and_then(Json::as_array).into_iter().flatten();
            texts.filter_map(Json::as_str).map(str::to_owned).collect()
        };
        let diff_ids = texts(inspect.get("RootFS").and_then(|root| root.get("Layers")));
        if diff_ids.len() != folders.len() {
            return None;
        }
        let image_id = inspect.get("Id").and_then(Json::as_str).map(str::to_owned);
        let history = image_id.as_deref().and_then(|id| history(upper, id)).unwrap_or_default();
        let layers = diff_ids
            .into_iter()
            .map(|diff_id| Layer { diff_id, created_by: String::new(), dockerfile_line: None, base: false })
            .collect();
        Some(Self { image_id, repository_digests: texts(inspect.get("RepoDigests")), layers, folders, history })
    }
}

/// Docker's answer leaves out which lines of the history made no layer; its own copy of the configuration has them.
fn history(upper: &str, image_id: &str) -> Option<Vec<HistoryEntry>> {
    let root = Path::new(upper).parent()?.parent()?.parent()?;
    let hex = image_id.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let text = fs::read(root.join("image/overlay2/imagedb/content/sha256").join(hex)).ok()?;
    serde_json::from_slice::<Config>(&text).ok()?.history
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_from_the_lowest() {
        let inspect = serde_json::json!({
            "Id": "sha256:ab", "RepoDigests": ["shop@sha256:cd"], "RootFS": {"Layers": ["sha256:1", "sha256:2", "sha256:3"]},
            "GraphDriver": {"Name": "overlay2", "Data": {"LowerDir": "/o/2/diff:/o/1/diff", "UpperDir": "/o/3/diff"}},
        });
        let image = OverlayImage::from_inspect(&inspect).unwrap();
        assert_eq!(image.folders, ["/o/1/diff", "/o/2/diff", "/o/3/diff"].map(PathBuf::from));
        assert_eq!(image.layers[2].diff_id, "sha256:3");
        let other = serde_json::json!({"Id": "sha256:ab", "GraphDriver": {"Name": "overlayfs", "Data": null}});
        assert!(OverlayImage::from_inspect(&other).is_none());
    }
}
