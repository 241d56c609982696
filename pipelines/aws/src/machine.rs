//! Keys that a machine has by itself: out of its variables, profiles, a token file, the role of its container or instance.
//!
//! These are of whoever runs `pipe`, not of a step: who calls says whether a step may have them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::metadata::{self, ECS, IMDS};
use crate::profile::{Origin, Profiles, RoleSource, words};
use crate::{AccessError, Cloud, Fault, Keys, Problem, RoleWish};

/// Roles that are taken one from the other, at most.
const ROLES_MAX: usize = 5;
/// How long a program may take that prints keys.
const PROCESS_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest token.
const TOKEN_BYTES_MAX: usize = 64 * 1_024;

/// A machine, by its variables.
pub struct Machine<'a> {
    /// Gives the value of a variable.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// Which profile is wanted; else that of `AWS_PROFILE`, else `default`.
    pub profile: Option<&'a str>,
    /// Where STS is asked for roles.
    pub region: &'a str,
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Machine<'_> {
    fn set(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Its keys, in the order in which the SDKs look for them:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>. A profile that was asked for comes first.
    ///
    /// # Errors
    /// There are none, with where was looked, or what is there does not work.
    pub async fn keys(&self) -> Result<Keys, Problem> {
        let profiles = self.profiles().map_err(|words| Problem::plain(Fault::Credentials, words))?;
        if let Some(profile) = self.profile.map(str::to_owned) {
            return self.of_profile(&profiles, &profile).await;
        }
        if let Some(keys) = self.of_variables()? {
            return Ok(keys);
        }
        if let Some(file) = self.set("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let role = self.set("AWS_ROLE_ARN").ok_or_else(|| {
                Problem::plain(
                    Fault::Credentials,
                    "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not: which role is wanted?",
                )
            })?;
            return self.of_token_file(&file, &role, self.set("AWS_ROLE_SESSION_NAME"), 3_600).await;
        }
        let profile = self.set("AWS_PROFILE");
        if profile.is_some() || profiles.has("default") && profiles.origin("default").is_ok() {
            return self.of_profile(&profiles, profile.as_deref().unwrap_or("default")).await;
        }
        if let Some(found) = self.of_container().await {
            return found;
        }
        if self.set("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(none("AWS_EC2_METADATA_DISABLED is true, so no instance was asked"));
        }
        self.of_instance().await.map_err(|problem| none(&problem.words))
    }

    fn of_variables(&self) -> Result<Option<Keys>, Problem> {
        let values =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| (name, self.set(name)));
        let value =
            |name: &str| values.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_deref());
        match Keys::of(value) {
            Ok(keys) => Ok(Some(keys)),
            Err(AccessError::NoCredentials) => Ok(None),
            Err(error) => Err(Problem::plain(Fault::Credentials, error.to_string())),
        }
    }

    fn profiles(&self) -> Result<Profiles, String> {
        let home = self.set("HOME").map(PathBuf::from).unwrap_or_default();
        let path =
            |name: &str, usual: &str| self.set(name).map_or_else(|| home.join(".aws").join(usual), PathBuf::from);
        Profiles::read(&path("AWS_CONFIG_FILE", "config"), &path("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    }

    /// The region of a profile, if it has one.
    #[must_use]
    pub fn profile_region(&self) -> Option<String> {
        let name = self.profile.map(str::to_owned).or_else(|| self.set("AWS_PROFILE"));
        self.profiles().ok()?.setting(name.as_deref().unwrap_or("default"), "region").map(str::to_owned)
    }

    async fn of_profile(&self, profiles: &Profiles, name: &str) -> Result<Keys, Problem> {
        let failed = |words: String| Problem::plain(Fault::Credentials, words);
        let (mut roles, mut seen, mut next) = (Vec::new(), Vec::new(), name.to_owned());
        // From the profile that is wanted to the one that has keys, then back, a role at a time.
        let mut keys = loop {
            // A profile that names itself as its source has keys beside its role.
            let is_again = seen.last() == Some(&next);
            if seen.contains(&next) && !is_again || seen.len() > ROLES_MAX {
                return Err(failed(format!(
                    "profile `{name}` takes its role from itself: {} → {next}",
                    seen.join(" → ")
                )));
            }
            seen.push(next.clone());
            let origin = if is_again { profiles.keys(&next) } else { profiles.origin(&next) };
            match origin.map_err(failed)? {
                Origin::Keys { id, secret, session } => break Keys::new(id, secret, session, None, "profile"),
                Origin::Process(command) => break process(&command).await?,
                Origin::Role { role, source, session, external_id, seconds } => {
                    let session_name = session.unwrap_or_else(|| "pipe".to_owned());
                    let wish = RoleWish { role, session_name, seconds, external_id, policy: None };
                    match source {
                        RoleSource::Profile(source) => next = source,
                        RoleSource::TokenFile(file) => {
                            break self.of_token_file(&file, &wish.role, Some(wish.session_name), seconds).await?;
                        }
                        RoleSource::Environment => {
                            roles.push(wish);
                            break self.of_variables()?.ok_or_else(|| none("the variables have no keys"))?;
                        }
                        RoleSource::Instance => {
                            roles.push(wish);
                            break self.of_instance().await?;
                        }
                        RoleSource::Container => {
                            roles.push(wish);
                            let found = self.of_container().await;
                            break found.unwrap_or_else(|| Err(none("this is no container of ECS or EKS")))?;
                        }
                    }
                    roles.push(wish);
                }
            }
        };
        for wish in roles.iter().rev() {
            keys = self.sts()?.with_keys(keys).assume(wish).await?;
        }
        Ok(keys)
    }

    fn sts(&self) -> Result<Cloud, Problem> {
        let values: Vec<(&str, String)> =
            ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]
                .into_iter()
                .filter_map(|name| Some((name, self.set(name)?)))
                .collect();
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        Cloud::without_keys(Some(self.region), value).map_err(|error| Problem::plain(Fault::Request, error.to_string()))
    }

    async fn of_token_file(
        &self,
        file: &str,
        role: &str,
        session: Option<String>,
        seconds: i32,
    ) -> Result<Keys, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::plain(Fault::Credentials, format!("the token file {file} cannot be read: {error}"))
        };
        let token = tokio::fs::read_to_string(file).await.map_err(|error| failed(&error))?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(failed(&"it is longer than 64 KiB"));
        }
        let session_name = session.unwrap_or_else(|| "pipe".to_owned());
        let wish = RoleWish { role: role.to_owned(), session_name, seconds, ..RoleWish::default() };
        self.sts()?.assume_with_token(&wish, token.trim()).await
    }

    async fn of_container(&self) -> Option<Result<Keys, Problem>> {
        let url = match self.set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("{ECS}{path}"),
            None => self.set("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
        };
        let token = match self.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => tokio::fs::read_to_string(file).await.ok().map(|token| token.trim().to_owned()),
            None => self.set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        Some(metadata::of_container(&url, token.as_deref()).await)
    }

    async fn of_instance(&self) -> Result<Keys, Problem> {
        let base = self.set("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        metadata::of_instance(base.as_deref().unwrap_or(IMDS).trim_end_matches('/')).await
    }
}

fn none(why: &str) -> Problem {
    Problem::plain(
        Fault::Credentials,
        format!(
            "this machine has no credentials of AWS: no AWS_ACCESS_KEY_ID, no token file, no profile with keys, no role of a \
             container or an instance ({why})"
        ),
    )
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>
async fn process(command: &str) -> Result<Keys, Problem> {
    let words = words(command);
    let failed = |why: String| {
        let name = words.first().map_or("it is empty", String::as_str);
        Problem::plain(Fault::Credentials, format!("`credential_process` ({name}) gave no keys: {why}"))
    };
    let [program, arguments @ ..] = words.as_slice() else { return Err(failed("write a command".to_owned())) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROCESS_TIME_MAX, command.output()).await;
    let output = output.map_err(|_| failed(format!("it took longer than {} s", PROCESS_TIME_MAX.as_secs())))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("it ended with {}", output.status)));
    }
    metadata::read(&String::from_utf8_lossy(&output.stdout), "credential process")
}
