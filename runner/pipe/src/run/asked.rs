//! What a run was asked for, as it is kept beside it: enough for another process to ask for the same.
//!
//! No value of a secret is in it, only names. Files of values are read again, where they lie.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use workflow::event::Event;
use workflow::mask::Masker;

use super::order::Order;
use crate::args::{Pull, RunArgs, ValueArgs};
use crate::planning::Triggered;
use crate::terminal::{self, Terminal};
use crate::values::Values;

/// The form that this program writes, and the newest that it reads.
pub const ASKED_VERSION: u16 = 1;

/// What a run was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    /// Version of the form, see [`ASKED_VERSION`].
    pub v: u16,
    /// Where the command was given.
    pub folder: PathBuf,
    /// Its flags, without values of secrets.
    pub words: Vec<String>,
    /// What happened.
    pub event: Event,
    /// The workflow's name and that of each that it calls, and their texts. The first is the workflow.
    pub sources: IndexMap<String, String>,
    /// Names of all secrets that it had; `environment/NAME` for those of an environment.
    pub secrets: Vec<String>,
}

/// What another process needs to go on with this run; `None`, with a warning, where that would show a secret.
pub fn of(order: &Order<'_>, one: &Triggered<'_>) -> Option<Json> {
    let sources = one.reading.sources.iter().map(|file| (file.name().to_owned(), file.text().to_owned())).collect();
    let workflow = order.repository.root.join(&one.reading.name);
    let asked = Asked {
        v: ASKED_VERSION,
        folder: std::env::current_dir().unwrap_or_else(|_| order.repository.root.clone()),
        words: words(order.args, one.event.name.as_str(), &workflow, &order.values),
        event: Event::clone(&one.event),
        sources,
        secrets: names(&order.values),
    };
    let text = serde_json::to_string(&asked).ok()?;
    if masker(&order.values).mask_str(&text) != text.as_str() {
        let said = "what this run is asked for (its event, or a flag) holds the value of a secret; nothing of it is \
                    kept, so it cannot be gone on with, should it be killed";
        terminal::warning(Terminal::stderr(order.global.color), said);
        return None;
    }
    serde_json::from_str(&text).ok()
}

/// Names of all secrets.
pub fn names(values: &Values) -> Vec<String> {
    let of_environments = values
        .environments
        .iter()
        .flat_map(|(environment, own)| own.secrets.keys().map(move |name| format!("{environment}/{name}")));
    values.secrets.keys().cloned().chain(of_environments).collect()
}

fn masker(values: &Values) -> Masker {
    let mut masker = Masker::new();
    let own = values.environments.values().flat_map(|one| one.secrets.values());
    for secret in values.secrets.values().chain(own) {
        // What is too short to be hidden was told.
        let _too_short = masker.add(secret.expose());
    }
    masker
}

/// The flags that ask for the same again.
fn words(args: &RunArgs, event: &str, workflow: &Path, values: &Values) -> Vec<String> {
    let mut words = vec![event.to_owned()];
    let mut flag = |name: &str, value: &str| words.push(format!("--{name}={value}"));
    flag("workflows", &workflow.display().to_string());
    args.jobs.iter().for_each(|job| flag("job", job));
    args.matrix.iter().for_each(|leg| flag("matrix", leg));
    args.platform.iter().for_each(|platform| flag("platform", platform));
    args.approve.iter().for_each(|environment| flag("approve", environment));
    let pull = match args.pull {
        Pull::Missing => "missing",
        Pull::Always => "always",
        Pull::Never => "never",
    };
    flag("pull", pull);
    if let Some(parallel) = args.parallel {
        flag("parallel", &parallel.to_string());
    }
    flag("builtin-actions", args.actions.builtin_actions.word());
    flag("actions-server", &args.actions.actions_server);
    for local in &args.actions.local_repository {
        let version = local.reference.as_ref().map(|reference| format!("@{reference}")).unwrap_or_default();
        flag("local-repository", &format!("{}{version}={}", local.repository, local.path.display()));
    }
    flag("remote-name", &args.event.remote_name);
    flag("github-instance", &args.event.github_instance);
    args.event.actor.iter().for_each(|actor| flag("actor", actor));
    args.event.defaultbranch.iter().for_each(|branch| flag("defaultbranch", branch));
    given(&args.values, values, &mut flag);
    for (name, is_given) in [
        ("host", args.host),
        ("bind", args.bind),
        ("locked", args.locked),
        ("offline", args.actions.offline),
        ("no-git", args.no_git),
        ("strict-secrets", args.strict_secrets),
    ] {
        words.extend(is_given.then(|| format!("--{name}")));
    }
    words
}

/// Values: of secrets only the names.
fn given(args: &ValueArgs, values: &Values, flag: &mut dyn FnMut(&str, &str)) {
    for given in args.secret.iter().map(workflow::secret::Secret::expose) {
        flag("secret", given.split_once('=').map_or(given, |(name, _)| name));
    }
    args.var.iter().for_each(|var| flag("var", var));
    for name in &args.env {
        // The name alone means the value that it had then.
        let value = values.env.get(name).filter(|_| !name.contains('='));
        flag("env", &value.map_or_else(|| name.clone(), |value| format!("{name}={value}")));
    }
    let files = [("secret-file", &args.secret_file), ("var-file", &args.var_file), ("env-file", &args.env_file)];
    for (name, file) in files {
        if let Some(file) = file {
            flag(name, &file.display().to_string());
        }
    }
}
