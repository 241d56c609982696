//! Verbs about what runs left.

use std::path::PathBuf;

use clap::Subcommand;

use super::Connect;

/// `pipe artifacts`.
#[derive(Debug, Subcommand)]
pub enum ArtifactsCommand {
    /// List what a run left
    #[command(visible_alias = "list")]
    Ls {
        /// Its number, or `latest`
        #[arg(value_name = "RUN", default_value = "latest")]
        run: String,
        /// Where
        #[command(flatten)]
        connect: Connect,
    },
    /// Get the files of one artifact, or of all, each into a folder of its name
    #[command(visible_alias = "download")]
    Get {
        /// The run's number, or `latest`
        #[arg(value_name = "RUN")]
        run: String,
        /// The artifact
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Where the files go
        #[arg(short, long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// Where to ask
        #[command(flatten)]
        connect: Connect,
    },
}
