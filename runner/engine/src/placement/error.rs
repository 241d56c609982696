//! What can go wrong while a job is placed, worded for the person who reads it.
//!
//! A command that fails is not an error: see [`super::ExecOutcome`].

use std::path::PathBuf;

use crate::image::ImageError;

/// Why a job could not be placed or reached. Each text says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    /// Nothing listens where the engine should be.
    #[error(
        "Docker does not answer at {address}: {reason}. Start it (`sudo systemctl start docker`, or Docker Desktop), or point DOCKER_HOST at one that runs"
    )]
    DaemonNotRunning {
        /// Where it was looked for.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The socket is there, but not for this user.
    #[error(
        "this user may not use Docker's socket {path}. Join its group (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker"
    )]
    SocketForbidden {
        /// The socket.
        path: String,
    },
    /// No Docker at the usual place.
    #[error(
        "there is no Docker here: {path} does not exist. Install Docker Engine (https://docs.docker.com/engine/install/), or point DOCKER_HOST at one"
    )]
    DaemonNotFound {
        /// The socket.
        path: String,
    },
    /// DOCKER_HOST or the Docker context cannot be used.
    #[error("cannot use {setting}: {reason}")]
    AddressUnusable {
        /// `DOCKER_HOST=ssh://…`, `the Docker context "x"`.
        setting: String,
        /// Why, and what to use in its place.
        reason: String,
    },
    /// An image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A word of `options:` is not allowed.
    #[error("`options` of {owner}: `{option}` {reason}")]
    OptionRefused {
        /// `container` or ``service `db` ``.
        owner: String,
        /// The option as written.
        option: String,
        /// Why, and what to use in its place.
        reason: String,
    },
    /// An entry of `volumes:` is not allowed.
    #[error("`volumes` of {owner}: `{volume}` {reason}")]
    VolumeRefused {
        /// As in `OptionRefused`.
        owner: String,
        /// The entry as written.
        volume: String,
        /// Why, and what to use in its place.
        reason: String,
    },
    /// An entry of `ports:` cannot be used.
    #[error("`ports` of {owner}: `{port}` {reason}")]
    PortRefused {
        /// As in `OptionRefused`.
        owner: String,
        /// The entry as written.
        port: String,
        /// Why.
        reason: String,
    },
    /// A service is not coming up.
    #[error("{0}")]
    Service(Box<ServiceFailure>),
    /// The agent did not start, or is gone.
    #[error("the job's agent {reason}")]
    Agent {
        /// `did not start: …`, `is gone: …`.
        reason: String,
    },
    /// A file of the job.
    #[error("cannot {action} {path}: {reason}")]
    File {
        /// `read`, `write`, `upload`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The engine refused something else.
    #[error("Docker could not {action}: {reason}")]
    Engine {
        /// `create the container of job …`.
        action: String,
        /// What it said.
        reason: String,
    },
    /// Clean-up left something.
    #[error("could not remove {}: the next `pipe` command tries again", .0.join(", "))]
    NotRemoved(
        /// Each with the reason.
        Vec<String>,
    ),
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The workflow asks for something that cannot be.
    Workflow,
    /// The machine: Docker, disk, network. Exit code 6.
    Environment,
}

impl PlacementError {
    /// Whose fault it is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::OptionRefused { .. }
            | Self::VolumeRefused { .. }
            | Self::PortRefused { .. }
            | Self::Service(_)
            | Self::Image(_) => Blame::Workflow,
            Self::DaemonNotRunning { .. }
            | Self::SocketForbidden { .. }
            | Self::DaemonNotFound { .. }
            | Self::AddressUnusable { .. }
            | Self::Agent { .. }
            | Self::File { .. }
            | Self::Engine { .. }
            | Self::NotRemoved(_) => Blame::Environment,
        }
    }
}

/// A service that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFailure {
    /// Key in `services:`.
    pub service: String,
    /// Its image.
    pub image: String,
    /// `exited with code 1`, `is unhealthy after 5 probes`.
    pub what: String,
    /// What its last health check printed.
    pub probe: Option<String>,
    /// The last lines of its log, at most [`SERVICE_LOG_LINES_MAX`].
    pub log: Vec<String>,
}

/// Lines of a service's log that an error shows.
pub const SERVICE_LOG_LINES_MAX: usize = 50;

impl std::fmt::Display for ServiceFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "service `{}` ({}) {}", self.service, self.image, self.what)?;
        if let Some(probe) = &self.probe {
            write!(f, "\nits last health check said: {}", probe.trim_end())?;
        }
        if self.log.is_empty() {
            return f.write_str("\nits log is empty");
        }
        write!(f, "\nthe last {} lines of its log:", self.log.len())?;
        for line in &self.log {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
