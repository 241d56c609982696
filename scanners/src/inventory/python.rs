//! Python: what is installed says so in METADATA or PKG-INFO.
//! <https://packaging.python.org/en/latest/specifications/core-metadata/>.

use super::facts::{Said, Stated};
use crate::package::Ecosystem;

/// Headers as of a mail, up to the first empty line.
pub(crate) fn metadata(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let (mut name, mut version, mut licence) = (None, None, None);
    let mut classified = Vec::new();
    for line in text.lines() {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match field {
            "Name" if name.is_none() => name = Some(value),
            "Version" if version.is_none() => version = Some(value),
            "License-Expression" => licence = Some(value),
            // Some put the whole text there; its first line names none.
            "License" if licence.is_none() && value.len() < 80 => licence = Some(value),
            "Classifier" => {
                classified.extend(value.strip_prefix("License :: ").and_then(|rest| rest.rsplit(" :: ").next()))
            }
            _ => {}
        }
    }
    match (name, version) {
        (Some(name), Some(version)) if !name.is_empty() && !version.is_empty() => {
            let licences = match licence.filter(|text| !text.is_empty() && *text != "UNKNOWN") {
                Some(licence) => vec![licence.to_owned()],
                None => classified.into_iter().map(str::to_owned).collect(),
            };
            Said::packages(vec![Stated::new(Ecosystem::PyPi, name, version).licensed(licences)])
        }
        _ => Said::unread("it names no package, or no version"),
    }
}
