//! Where our own files lie.
//!
//! See <https://specifications.freedesktop.org/basedir-spec/latest/>.

use std::path::{Path, PathBuf};

/// Folders of ours; they need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Settings.
    pub config: PathBuf,
    /// Runs: event logs and output.
    pub state: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
}

impl Paths {
    /// From `XDG_CONFIG_HOME`, `XDG_STATE_HOME`, `XDG_CACHE_HOME` and `HOME`. Relative paths there are ignored, as the
    /// specification asks.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let home = variable("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let place = |name: &str, below: &str| {
            let given = variable(name).map(PathBuf::from).filter(|path| Path::is_absolute(path));
            given.unwrap_or_else(|| home.join(below)).join("pipe")
        };
        Self {
            config: place("XDG_CONFIG_HOME", ".config"),
            state: place("XDG_STATE_HOME", ".local/state"),
            cache: place("XDG_CACHE_HOME", ".cache"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_then_home() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/a".to_owned()),
            "XDG_STATE_HOME" => Some("/state".to_owned()),
            "XDG_CACHE_HOME" => Some("relative".to_owned()),
            _ => None,
        };
        let paths = Paths::from_environment(&variable);
        assert_eq!(paths.config, Path::new("/home/a/.config/pipe"));
        assert_eq!(paths.state, Path::new("/state/pipe"));
        assert_eq!(paths.cache, Path::new("/home/a/.cache/pipe"));
    }
}
