//! Why an image cannot be had, and what to do.

/// An image that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image `{reference}`: {problem}. {}", problem.help(reference))]
pub struct ImageError {
    /// As written.
    pub reference: String,
    /// Why.
    pub problem: PullProblem,
}

/// Reasons of an [`ImageError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullProblem {
    /// Not a reference at all.
    #[error("not an image name: {0}")]
    Malformed(String),
    /// Not here, and pulling was not allowed.
    #[error("not on this machine, and pulling is off")]
    MissingHere,
    /// The registry has no such repository or tag, or hides it.
    #[error("the registry has no such image, or it is private ({0})")]
    NotFound(String),
    /// The registry wants other credentials.
    #[error("the registry refused the credentials ({0})")]
    Denied(String),
    /// The registry cannot be reached.
    #[error("the registry cannot be reached ({0})")]
    Unreachable(String),
    /// The registry limits pulls.
    #[error("the registry allows no more pulls for now ({0})")]
    RateLimited(String),
    /// There is none for this platform.
    #[error("there is none for this platform ({0})")]
    NoSuchPlatform(String),
    /// The disk is full.
    #[error("no space left to store it ({0})")]
    DiskFull(String),
    /// A credential helper failed.
    #[error("its credentials could not be read ({0})")]
    CredentialHelper(String),
    /// The image asks for something dangerous.
    #[error("refused: {0}")]
    Refused(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl PullProblem {
    /// What a person can do about it.
    #[must_use]
    pub fn help(&self, reference: &str) -> String {
        match self {
            Self::Malformed(_) => "A name looks like `postgres:15` or `ghcr.io/owner/name:tag`".to_owned(),
            Self::MissingHere => format!("Get it with `docker pull {reference}`, or allow pulling"),
            Self::NotFound(_) => format!(
                "Check the name with `docker pull {reference}`; a private image needs `credentials:` or `docker login`; \
                 for the image of a label use another one: `-P LABEL=IMAGE`"
            ),
            Self::Denied(_) => {
                format!("Set `credentials:` in the workflow, or log in: `docker login {}`", registry_host(reference))
            }
            Self::Unreachable(_) => format!(
                "Check the network with `docker pull {reference}`; without one, load the image (`docker load -i FILE`) \
                 or use one that is here: `-P LABEL=IMAGE`"
            ),
            Self::RateLimited(_) => {
                format!("Wait, or log in for a higher limit: `docker login {}`", registry_host(reference))
            }
            Self::NoSuchPlatform(_) => "Ask for another platform with `--platform` in `options:`".to_owned(),
            Self::DiskFull(_) => "Free some: `docker system df`, `docker image prune`".to_owned(),
            Self::CredentialHelper(_) => "See `credHelpers` and `credsStore` in ~/.docker/config.json".to_owned(),
            Self::Refused(_) => "Use another image".to_owned(),
            Self::Other(_) => format!("Try `docker pull {reference}`"),
        }
    }
}

/// The host of the registry that a reference names, as `docker login` wants it.
pub(crate) fn registry_host(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        Some(_) | None => "docker.io",
    }
}
