//! What the Docker of a job's steps knows of registries: a `config.json` of the job alone, gone with it.
//!
//! Jobs on one machine would share `~/.docker` of the user, so that the login of one were another one's, and a logout would
//! take it from both. So whoever logs in gives the steps behind it a `DOCKER_CONFIG` below the job's temporary folder,
//! unless the workflow names one itself. One that keeps passwords in a store of this machine is not written to: the store is
//! the user's, Docker would ask it and not the file, and a logout would take from it what was there before. What is no secret of
//! the configuration before it goes on: contexts and builders of Buildx stay where they are, plugins where Docker finds them. Follows
//! <https://docs.docker.com/reference/cli/docker/#configuration-files>, <https://docs.docker.com/engine/manage-resources/contexts/>,
//! <https://docs.docker.com/build/building/variables/#buildx_config> and
//! <https://docs.docker.com/reference/cli/docker/login/#credential-stores>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::step::{ActionCall, ActionError, PostWhen};
use serde_json::{Value, json};
use workflow::secret::Secret;

use super::aws_step::failed;
use crate::registry::Login;

/// Longest configuration of Docker.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Only the job's user reads it.
const MODE: u32 = 0o600;
/// The variable that names its folder.
const VARIABLE: &str = "DOCKER_CONFIG";
/// The variable that names the folder of Buildx, which lies in that of Docker otherwise.
const BUILDX_VARIABLE: &str = "BUILDX_CONFIG";
/// What a job gets of a configuration that is not the workflow's: all that holds no secret, by
/// <https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties>.
const SETTINGS: [&str; 19] = [
    "aliases",
    "cliPluginsExtraDirs",
    "configFormat",
    "currentContext",
    "detachKeys",
    "features",
    "imagesFormat",
    "networksFormat",
    "nodesFormat",
    "plugins",
    "pluginsFormat",
    "proxies",
    "psFormat",
    "secretFormat",
    "serviceInspectFormat",
    "servicesFormat",
    "statsFormat",
    "tasksFormat",
    "volumesFormat",
];
/// Under which state the folder and the hosts are kept for the end of the job.
const STATE: [&str; 2] = ["folder", "hosts"];
/// A host that there is never.
const NO_HOST: &str = "pipe.invalid";
/// As which Docker keeps the login of its own hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Names of the hub.
const HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// A registry with who asks it.
#[derive(Debug, Clone)]
pub(super) struct HostLogin {
    /// `ghcr.io`, `127.0.0.1:5000`.
    pub(super) host: String,
    pub(super) login: Login,
}

/// Whether a host is Docker's own hub.
pub(super) fn is_hub(host: &str) -> bool {
    HUB.contains(&host)
}

/// Logs the job in. Its steps find that from now on; it ends with the job where `logout` says so.
///
/// # Errors
/// The file cannot be written.
pub(super) async fn log_in(call: &mut ActionCall<'_>, logins: &[HostLogin], logout: bool) -> Result<(), ActionError> {
    let (folder, mut config) = place(call).await;
    // Whoever wrote the file may have left anything there.
    if !config.get("auths").is_some_and(Value::is_object) {
        config["auths"] = json!({});
    }
    for one in logins {
        let password = one.login.password.expose();
        let auth = STANDARD.encode(format!("{}:{password}", one.login.user));
        for secret in [password, &auth] {
            let _too_short = call.masker.add_found(secret);
        }
        config["auths"][key(&one.host)] = json!({ "auth": auth });
    }
    keep(call, &folder, &config).await?;
    if logout {
        let hosts: Vec<_> = logins.iter().map(|one| one.host.clone()).collect();
        for (name, value) in STATE.iter().zip([folder, hosts.join(",")]) {
            call.state.insert((*name).to_owned(), value);
        }
        call.post = Some(PostWhen::Always);
    }
    Ok(())
}

/// The folder that the job's logins go to, and what stands there.
async fn place(call: &mut ActionCall<'_>) -> (String, Value) {
    let (from, found) = match named(call) {
        None => {
            let folder = usual(call);
            let mut config = configuration(call, &folder).await.unwrap_or_else(|| json!({}));
            if let Some(config) = config.as_object_mut() {
                config.retain(|name, _| SETTINGS.contains(&name.as_str()));
            }
            (folder, config)
        }
        Some(folder) => {
            let config = configuration(call, &folder).await.unwrap_or_else(|| json!({}));
            if !has_store(&config) {
                return (folder, config);
            }
            let text = format!(
                "{folder} keeps passwords in a store of this machine, which is the user's: the job gets a {VARIABLE} of its own"
            );
            call.log.line(&text).await;
            (folder, config)
        }
    };
    let temporary = call.env.get("RUNNER_TEMP").filter(|folder| !folder.is_empty());
    let own = match temporary {
        Some(folder) => format!("{folder}/_docker"),
        None => format!("{}/_docker", call.job.facts().run_directory.trim_end_matches('/')),
    };
    call.exports.push((VARIABLE.to_owned(), own.clone()));
    if !call.env.contains_key(BUILDX_VARIABLE) && of_process(call, BUILDX_VARIABLE).is_none() {
        call.exports.push((BUILDX_VARIABLE.to_owned(), format!("{from}/buildx")));
    }
    let has_contexts = link_contexts(call, &from, &own).await;
    let config = configuration(call, &own).await.filter(|config| !has_store(config));
    (own, config.unwrap_or_else(|| without_store(found, &from, has_contexts)))
}

/// Where Docker looks in a job whose workflow says nothing.
fn usual(call: &ActionCall<'_>) -> String {
    of_process(call, VARIABLE).unwrap_or_else(|| format!("{}/.docker", call.run.home))
}

/// A variable that a job on this machine has of the process that carries it.
fn of_process(call: &ActionCall<'_>, name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| is_here(call) && !value.is_empty())
}

/// Whether the job runs on this machine itself.
fn is_here(call: &ActionCall<'_>) -> bool {
    let facts = call.job.facts();
    facts.container_id.is_none() && facts.files_are_shared
}

/// Contexts lie beside the file that names one, some with keys: those of this machine stay there, and are found from the job's
/// folder too. Whether they are.
async fn link_contexts(call: &ActionCall<'_>, from: &str, own: &str) -> bool {
    let contexts = format!("{from}/contexts");
    if !is_here(call) || !tokio::fs::metadata(&contexts).await.is_ok_and(|found| found.is_dir()) {
        return false;
    }
    let link = format!("{own}/contexts");
    let linked = match tokio::fs::create_dir_all(own).await {
        Ok(()) => tokio::fs::symlink(&contexts, &link).await,
        Err(error) => Err(error),
    };
    linked.is_ok() || tokio::fs::metadata(&link).await.is_ok()
}

/// Whether passwords are kept outside of the file.
fn has_store(config: &Value) -> bool {
    let is_one = |name: &Value| name.as_str().is_some_and(|name| !name.is_empty());
    let of_hosts = config.get("credHelpers").and_then(Value::as_object);
    config.get("credsStore").is_some_and(is_one) || of_hosts.is_some_and(|hosts| hosts.values().any(is_one))
}

/// What of a configuration in the folder `from` is for a job, too.
fn without_store(mut config: Value, from: &str, has_contexts: bool) -> Value {
    let extra = config.get("cliPluginsExtraDirs").and_then(Value::as_array).cloned().unwrap_or_default();
    let plugins: Vec<_> = std::iter::once(json!(format!("{from}/cli-plugins"))).chain(extra).collect();
    config["cliPluginsExtraDirs"] = json!(plugins);
    if let Some(config) = config.as_object_mut() {
        for name in ["credsStore", "credHelpers"] {
            config.remove(name);
        }
        if !has_contexts {
            // Docker does nothing at all where the one that is named is not there.
            config.remove("currentContext");
        }
        if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
            auths.retain(|_, login| login.get("auth").is_some());
        }
    }
    // Where no login stands, Docker takes the store that it finds installed: this says that there is none.
    config["credHelpers"] = json!({ NO_HOST: "" });
    config
}

/// Takes the logins of this step back.
///
/// # Errors
/// The file cannot be written.
pub(super) async fn log_out(call: &mut ActionCall<'_>) -> Result<(), ActionError> {
    let [folder, hosts] = STATE.map(|name| call.state.get(name).cloned().unwrap_or_default());
    let Some(mut config) = configuration(call, &folder).await else { return Ok(()) };
    if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
        auths.retain(|kept, _| !hosts.split(',').any(|host| key(host) == *kept));
    }
    keep(call, &folder, &config).await?;
    call.log.line(&format!("Logged out of {hosts}")).await;
    Ok(())
}

/// As whom the job is logged in at a registry.
pub(super) async fn login_at(call: &ActionCall<'_>, host: &str) -> Option<Login> {
    let config = configuration(call, &named(call)?).await?;
    let auth = config.get("auths")?.get(key(host))?.get("auth")?.as_str()?;
    let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login { user: user.to_owned(), password: Secret::new(password) })
}

fn named(call: &ActionCall<'_>) -> Option<String> {
    call.env.get(VARIABLE).filter(|folder| !folder.is_empty()).cloned()
}

fn key(host: &str) -> &str {
    if is_hub(host) { HUB_KEY } else { host }
}

/// What is there; what cannot be read is begun anew.
async fn configuration(call: &ActionCall<'_>, folder: &str) -> Option<Value> {
    let read = call.job.read_file(&path(folder), FILE_BYTES_MAX).await.ok().flatten();
    let json = read.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    json.filter(Value::is_object)
}

async fn keep(call: &ActionCall<'_>, folder: &str, config: &Value) -> Result<(), ActionError> {
    let path = path(folder);
    let written = call.job.write_file(&path, Bytes::from(format!("{config:#}\n")), MODE).await;
    written.map_err(|error| failed(format!("{path} of the job cannot be written: {error}")))
}

fn path(folder: &str) -> String {
    format!("{}/config.json", folder.trim_end_matches('/'))
}
