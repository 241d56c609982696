//! Values of environments: `NAME/` before the name in a flag, `.NAME` behind the name of a file.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use workflow::secret::Secret;

use super::file;
use crate::exit::Failure;

/// What jobs of one environment have over the rest.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentValues {
    /// By name in capitals.
    pub secrets: IndexMap<String, Secret>,
    /// By name in capitals.
    pub vars: IndexMap<String, String>,
}

/// By the environment's name in lower case, as GitHub compares them.
pub type OfEnvironments = IndexMap<String, EnvironmentValues>;

/// Names and values, as a file has them.
type Pairs = Vec<(String, String)>;

/// `production/TOKEN`: the environment, if one is named, and the rest.
pub fn split(name: &str) -> (Option<String>, &str) {
    match name.split_once('/') {
        Some((environment, rest)) if !environment.is_empty() => (Some(environment.to_lowercase()), rest),
        Some(_) | None => (None, name),
    }
}

/// The values in files beside `base`: of `.secrets.production` for the environment `production`. A file that YAML is named
/// after keeps its ending: `secrets.yml` has `secrets.production.yml` beside it.
///
/// # Errors
/// One has no form that is known.
pub fn beside(base: &Path) -> Result<Vec<(String, Pairs)>, Failure> {
    let Some(name) = base.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending @ ("yml" | "yaml"))) => (stem, format!(".{ending}")),
        Some(_) | None => (name, String::new()),
    };
    let folder = base.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(environment) = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_suffix(&ending)) else {
            continue;
        };
        if let Some(environment) =
            environment.strip_prefix('.').filter(|rest| !rest.is_empty() && entry.path().is_file())
        {
            found.push((environment.to_lowercase(), entry.path()));
        }
    }
    found.sort();
    let read = |(environment, path): (String, PathBuf)| {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
        Ok((environment, file::parse(&path, &text)?))
    };
    found.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_named_in_flags_and_files() {
        for (name, expected) in [
            ("TOKEN", (None, "TOKEN")),
            ("Production/TOKEN", (Some("production".to_owned()), "TOKEN")),
            ("/TOKEN", (None, "/TOKEN")),
        ] {
            assert_eq!(split(name), expected);
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (".secrets", "A=1"),
            (".secrets.Production", "A=2"),
            (".secretsx", "A=3"),
            ("s.yml", "A: 4"),
            ("s.staging.yml", "A: 5"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let check = |base: &str, environment: &str, value: &str| {
            let expected = vec![(environment.to_owned(), vec![("A".to_owned(), value.to_owned())])];
            assert_eq!(beside(&folder.path().join(base)).unwrap(), expected, "{base}");
        };
        check(".secrets", "production", "2");
        check("s.yml", "staging", "5");
    }
}
