//! Settings: what the user's and the repository's files say, with flags and variables above them.
//!
//! A later source wins: the user's `$XDG_CONFIG_HOME/pipe/config.toml`, the repository's `.pipe.toml`, variables, flags.
//! A repository is not trusted with everything: it cannot put jobs on this machine, nor say whom clouds take them for. See
//! docs/configuration.md.

mod environments;
mod file;
mod identity;
mod paths;
mod size;

pub use environments::{EnvironmentTable, local_rules, problem as environments_problem, require_scan, rules};
pub use file::Size;
pub use identity::IdentityTable;
pub use paths::Paths;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use workflow::check::audits::Levels;
use workflow::diagnostic::suggest;

use crate::args::Global;
use crate::exit::Failure;
use crate::files::WORKFLOW_BYTES_MAX;
use crate::render;
use crate::terminal::{self, Terminal};

/// Name of the repository's file.
pub const REPOSITORY_FILE: &str = ".pipe.toml";

/// What holds for a command.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folders that hold workflows, from the repository's root; `None`: the usual ones.
    pub workflows: Option<Vec<PathBuf>>,
    /// Labels of `runs-on` to images, or `host`.
    pub labels: IndexMap<String, String>,
    /// Bounds.
    pub limits: Limits,
    /// How bad what audits find is.
    pub audits: Levels,
    /// Rules of environments.
    pub environments: IndexMap<String, EnvironmentTable>,
    /// Which claims make `sub` of identity tokens.
    pub identity: IdentityTable,
    /// Folders of ours.
    pub paths: Paths,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many jobs run at once; `None`: as many as there are processors.
    pub parallel: Option<usize>,
    /// Memory of a job's container in bytes.
    pub memory_bytes: Option<u64>,
    /// Processors of a job's container.
    pub cpus: Option<f64>,
    /// Largest log of a step in bytes; `None`: the engine's own.
    pub log_bytes: Option<u64>,
    /// Largest workflow file in bytes.
    pub workflow_file_bytes: u64,
}

impl Settings {
    /// Reads the files that exist.
    ///
    /// # Errors
    /// A file cannot be read or is wrong; the text says where.
    pub fn load(global: &Global, root: Option<&Path>) -> Result<Self, Failure> {
        let paths = Paths::from_environment(&terminal::variable);
        let limits = Limits {
            parallel: None,
            memory_bytes: None,
            cpus: None,
            log_bytes: None,
            workflow_file_bytes: WORKFLOW_BYTES_MAX,
        };
        let mut settings = Self {
            workflows: None,
            labels: IndexMap::new(),
            limits,
            audits: Levels::default(),
            environments: IndexMap::new(),
            identity: IdentityTable::default(),
            paths,
            files: Vec::new(),
        };
        let user = global.config.clone().unwrap_or_else(|| settings.paths.config.join("config.toml"));
        settings.add(&user, global, file::Trust::User, global.config.is_some())?;
        let repository = root.unwrap_or(Path::new(".")).join(REPOSITORY_FILE);
        settings.add(&repository, global, file::Trust::Repository, false)?;
        Ok(settings)
    }

    fn add(&mut self, path: &Path, global: &Global, trust: file::Trust, must_exist: bool) -> Result<(), Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(()),
            Err(error) => return Err(Failure::usage(format!("cannot read `{}`: {error}", path.display()))),
        };
        let name = crate::files::display_name(path, None);
        match file::parse(&name, &text, trust) {
            Ok(file) => file.apply(self),
            Err((sources, diagnostic)) => {
                let finding = render::Finding { file: &name, sources: &sources, diagnostics: &[*diagnostic] };
                let text = render::text::render(&finding, Terminal::stderr(global.color));
                let rest = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
                return Err(Failure::usage(rest.trim_end().to_owned()));
            }
        }
        self.files.push(path.to_path_buf());
        Ok(())
    }
}

/// "unknown field `x`, expected one of `a`, `b`", or a variant: which one is near.
pub fn meant(message: &str) -> Option<String> {
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown =
        (message.starts_with("unknown field") || message.starts_with("unknown variant")).then(|| words.next())??;
    suggest(unknown, words).map(str::to_owned)
}
