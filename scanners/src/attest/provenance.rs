//! How an image was built: the predicate of SLSA's provenance. <https://slsa.dev/spec/v1.0/provenance>

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

/// What a build was. Nothing secret may be in it: whoever can read the image can read this.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// What the parameters mean: the address of a page about this kind of build.
    pub build_type: String,
    /// What whoever started it chose: the workflow, its inputs, its ref.
    pub external: Map<String, Json>,
    /// What the server chose: labels of the runner, say.
    pub internal: Map<String, Json>,
    /// What went into it: the commit, the base images.
    pub dependencies: Vec<Dependency>,
    /// Who built: the address of the server.
    pub builder: String,
    /// The version of this program.
    pub builder_version: String,
    /// The address of the run's attempt.
    pub invocation: String,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

/// Something that went into a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// `git+https://…@refs/heads/main`, `pkg:docker/debian@…`
    pub uri: String,
    /// Algorithm (`gitCommit`, `sha256`) and hexadecimal digits.
    pub digest: (String, String),
}

impl Provenance {
    /// The predicate.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let dependency = |one: &Dependency| {
            let (algorithm, hex) = &one.digest;
            json!({ "uri": one.uri, "digest": { algorithm: hex } })
        };
        let mut metadata = Map::new();
        metadata.insert("invocationId".to_owned(), json!(self.invocation));
        for (name, time) in [("startedOn", self.started), ("finishedOn", self.finished)] {
            if let Some(time) = time {
                metadata.insert(name.to_owned(), json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
            }
        }
        json!({
            "buildDefinition": {
                "buildType": self.build_type,
                "externalParameters": self.external,
                "internalParameters": self.internal,
                "resolvedDependencies": self.dependencies.iter().map(dependency).collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": self.builder, "version": { "pipe": self.builder_version } },
                "metadata": metadata,
            },
        })
    }
}
