//! What a run is given by the user: secrets, variables, environment, inputs; from flags and files.
//!
//! A flag wins over a file. Values of secrets are never shown.

mod dotenv;
mod environments;
mod file;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use workflow::secret::Secret;

use crate::args::ValueArgs;
use crate::exit::Failure;
use crate::terminal;

pub use environments::OfEnvironments;

/// Files that are read where none is named.
const SECRETS: &str = ".secrets";
const VARS: &str = ".vars";

/// Everything that a run is given.
#[derive(Debug)]
pub struct Values {
    /// By name in capitals, as GitHub keeps them.
    pub secrets: IndexMap<String, Secret>,
    /// By name in capitals.
    pub vars: IndexMap<String, String>,
    /// By name as written.
    pub env: IndexMap<String, String>,
    /// Those of environments.
    pub environments: OfEnvironments,
}

/// Asks a person for a secret's value.
pub type Ask<'a> = &'a dyn Fn(&str) -> Result<String, Failure>;

impl Values {
    /// Reads flags and files.
    ///
    /// # Errors
    /// A file that was named is not there, a text has no form that is known, a secret cannot be had.
    pub fn read(args: &ValueArgs, ask: Ask<'_>) -> Result<Self, Failure> {
        let mut secrets: IndexMap<String, Secret> = IndexMap::new();
        for (name, value) in from_file(args.secret_file.as_deref(), SECRETS)? {
            secrets.insert(name.to_uppercase(), Secret::new(value));
        }
        let mut environments = OfEnvironments::new();
        for (environment, values) in environments::beside(args.secret_file.as_deref().unwrap_or(Path::new(SECRETS)))? {
            let own = &mut environments.entry(environment).or_default().secrets;
            own.extend(values.into_iter().map(|(name, value)| (name.to_uppercase(), Secret::new(value))));
        }
        for given in args.secret.iter().map(Secret::expose) {
            let (name, value) = match given.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (given, ask(environments::split(given).1)?),
            };
            let (environment, name) = environments::split(name);
            let own = environment.map(|environment| &mut environments.entry(environment).or_default().secrets);
            own.unwrap_or(&mut secrets).insert(secret_name(name)?, Secret::new(value));
        }
        let mut vars = IndexMap::new();
        for (name, value) in from_file(args.var_file.as_deref(), VARS)? {
            vars.insert(name.to_uppercase(), value);
        }
        for (environment, values) in environments::beside(args.var_file.as_deref().unwrap_or(Path::new(VARS)))? {
            let own = &mut environments.entry(environment).or_default().vars;
            own.extend(values.into_iter().map(|(name, value)| (name.to_uppercase(), value)));
        }
        for given in &args.var {
            let (name, value) = pair("--var", given)?;
            let (environment, name) = environments::split(&name);
            let own = environment.map(|environment| &mut environments.entry(environment).or_default().vars);
            own.unwrap_or(&mut vars).insert(name.to_uppercase(), value);
        }
        let mut env: IndexMap<String, String> = from_file(args.env_file.as_deref(), ".env")?.into_iter().collect();
        for given in &args.env {
            let (name, value) = match given.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                // As docker does: the name alone passes the value on.
                None => (given.clone(), terminal::variable(given).unwrap_or_default()),
            };
            env.insert(name, value);
        }
        Ok(Self { secrets, vars, env, environments })
    }
}

/// Inputs of `workflow_dispatch`, from flags and a file.
///
/// # Errors
/// As [`Values::read`].
pub fn inputs(flags: &[String], path: Option<&Path>) -> Result<IndexMap<String, String>, Failure> {
    let mut inputs: IndexMap<String, String> = from_file(path, ".input")?.into_iter().collect();
    for given in flags {
        let (name, value) = pair("--input", given)?;
        inputs.insert(name, value);
    }
    Ok(inputs)
}

/// `KEY:VALUE` of `--matrix`.
///
/// # Errors
/// There is no `:`.
pub fn matrix(flags: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let split = |given: &String| {
        let (key, value) = given.split_once(':').or_else(|| given.split_once('=')).ok_or_else(|| {
            Failure::usage(format!("`--matrix {given}` has no value")).help("write `--matrix KEY:VALUE`")
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    flags.iter().map(split).collect()
}

fn pair(flag: &str, given: &str) -> Result<(String, String), Failure> {
    match given.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => {
            Err(Failure::usage(format!("`{flag} {given}` has no value")).help(format!("write `{flag} NAME=VALUE`")))
        }
    }
}

/// See <https://docs.github.com/en/actions/reference/security/secrets#naming-your-secrets>. `GITHUB_TOKEN` is allowed here: there is no other way to
/// give one to a local run.
fn secret_name(name: &str) -> Result<String, Failure> {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if name.is_empty() || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        let help = "letters, digits and `_`, not a digit first";
        return Err(Failure::usage(format!("`{name}` is no name for a secret")).help(help));
    }
    Ok(name.to_uppercase())
}

/// The values of a file that was named, or of the default one if it is there.
fn from_file(path: Option<&Path>, default: &str) -> Result<Vec<(String, String)>, Failure> {
    let (path, must_exist) = path.map_or_else(|| (PathBuf::from(default), false), |path| (path.to_path_buf(), true));
    match std::fs::read_to_string(&path) {
        Ok(text) => file::parse(&path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(Vec::new()),
        // A folder `.env` is a Python environment of that name.
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory && !must_exist => Ok(Vec::new()),
        Err(error) => Err(Failure::usage(format!("cannot read `{}`: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_files_and_names_are_capitals() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets");
        std::fs::write(&file, "token=file\nother=x").unwrap();
        let args = ValueArgs {
            secret: vec!["TOKEN=flag=1".into(), "asked".into(), "Prod/TOKEN=flag=2".into()],
            secret_file: Some(file),
            var: vec!["a=1".into()],
            var_file: Some("/dev/null".into()),
            env: vec!["Path=x".into()],
            env_file: Some("/dev/null".into()),
        };
        let values = Values::read(&args, &|name| Ok(format!("<{name}>"))).unwrap();
        let secrets: Vec<_> =
            values.secrets.iter().map(|(name, secret)| format!("{name}={}", secret.expose())).collect();
        assert_eq!(secrets, ["TOKEN=flag=1", "OTHER=x", "ASKED=<asked>"]);
        assert!(!format!("{args:?}{values:?}").contains("flag="), "{args:?}");
        assert_eq!(values.vars["A"], "1");
        assert_eq!(values.env["Path"], "x");
        assert_eq!(values.environments["prod"].secrets["TOKEN"].expose(), "flag=2");
    }

    #[test]
    fn wrong_forms_are_refused() {
        for name in ["", "1A", "A-B", "ä"] {
            assert!(secret_name(name).is_err(), "{name}");
        }
        assert!(matrix(&["os".into()]).is_err());
        assert_eq!(matrix(&["os:a:b".into()]).unwrap(), [("os".into(), "a:b".into())]);
        assert!(pair("--var", "=x").is_err());
    }
}
