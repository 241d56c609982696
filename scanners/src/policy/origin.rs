//! Where a finding came into the image: the line of the Dockerfile, the base image, a file of the repository.

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Subject};
use crate::package::{Inventory, Location};

/// Longest part of an instruction that is shown.
const INSTRUCTION_CHARS_MAX: usize = 120;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// An instruction of the Dockerfile.
    Instruction {
        layer: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dockerfile: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
        text: String,
    },
    /// The image that the Dockerfile begins from.
    BaseImage {
        layer: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dockerfile: Option<String>,
        /// The line of its `FROM`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
    },
    /// A file of a repository.
    File {
        file: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
    },
    /// The target as a whole.
    Target,
}

impl Origin {
    /// Where a finding comes from.
    pub(super) fn of(finding: &Finding, inventory: &Inventory, dockerfile: Option<&str>) -> Self {
        let (layer, file, line) = match &finding.subject {
            Subject::Package(package) => {
                let location = package.locations.first();
                let layer = package.layer.or(location.and_then(|location| location.layer));
                (layer, location.map(|location| location.path.clone()), location.and_then(|location| location.line))
            }
            Subject::Place(place) => (place.layer, Some(place.file.clone()), place.line),
            Subject::Whole => return Self::Target,
        };
        let Some((number, layer)) = layer.and_then(|number| Some((number, inventory.layers.get(number)?))) else {
            return file.map_or(Self::Target, |file| Self::File { file, line });
        };
        let dockerfile = dockerfile.map(str::to_owned);
        if layer.base {
            return Self::BaseImage { layer: number, dockerfile, line: layer.dockerfile_line };
        }
        Self::Instruction {
            layer: number,
            dockerfile,
            line: layer.dockerfile_line,
            text: instruction(&layer.created_by),
        }
    }

    /// The file and the line to show a finding at, where there are any.
    #[must_use]
    pub fn place(&self) -> Option<(&str, Option<u32>)> {
        match self {
            Self::Instruction { dockerfile, line, .. } | Self::BaseImage { dockerfile, line, .. } => {
                dockerfile.as_deref().map(|file| (file, *line))
            }
            Self::File { file, line } => Some((file, *line)),
            Self::Target => None,
        }
    }

    /// For a person: `Dockerfile:7: RUN apt-get install …`, `base image (Dockerfile:1)`.
    #[must_use]
    pub fn words(&self) -> String {
        let at = |file: &Option<String>, line: &Option<u32>| match (file, line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (None, Some(line)) => format!("Dockerfile:{line}"),
            (Some(file), None) => file.clone(),
            (None, None) => String::new(),
        };
        match self {
            Self::Instruction { layer, dockerfile: _, line: None, text } => format!("layer {}: {text}", layer + 1),
            Self::Instruction { layer: _, dockerfile, line, text } => format!("{}: {text}", at(dockerfile, line)),
            Self::BaseImage { layer: _, dockerfile, line: line @ Some(_) } => {
                format!("base image ({})", at(dockerfile, line))
            }
            Self::BaseImage { layer: _, dockerfile: _, line: None } => "base image".to_owned(),
            Self::File { file, line } => at(&Some(file.clone()), line),
            Self::Target => "the target as a whole".to_owned(),
        }
    }
}

/// Whether every place of a finding is in the base image.
pub(super) fn is_of_base(finding: &Finding, inventory: &Inventory) -> bool {
    let is_base =
        |layer: Option<usize>| layer.and_then(|number| inventory.layers.get(number)).is_some_and(|layer| layer.base);
    match &finding.subject {
        Subject::Package(package) if package.locations.is_empty() => is_base(package.layer),
        Subject::Package(package) => package.locations.iter().all(|Location { layer, .. }| is_base(*layer)),
        Subject::Place(place) => is_base(place.layer),
        Subject::Whole => false,
    }
}

/// What made a layer, as somebody would have written it.
fn instruction(created_by: &str) -> String {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").map_or(text, str::trim_end);
    let text = text.strip_prefix("/bin/sh -c #(nop)").map_or(text, str::trim_start);
    let text = match text.strip_prefix("/bin/sh -c ").or_else(|| text.strip_prefix("RUN /bin/sh -c ")) {
        Some(command) => format!("RUN {command}"),
        None => text.to_owned(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(INSTRUCTION_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_read_as_written() {
        for (created_by, expect) in [
            ("RUN /bin/sh -c apt-get install -y  curl # buildkit", "RUN apt-get install -y curl"),
            ("/bin/sh -c #(nop) COPY file:abc in /app ", "COPY file:abc in /app"),
            ("/bin/sh -c npm ci", "RUN npm ci"),
            ("COPY . /app # buildkit", "COPY . /app"),
        ] {
            assert_eq!(instruction(created_by), expect);
        }
    }
}
