//! Profiles: `~/.aws/config` and `~/.aws/credentials`, with roles that are taken one from the other and processes that give keys.
//!
//! Follows <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>. Profiles of SSO are not read; the sentence says
//! how their keys are had.

use std::collections::BTreeMap;
use std::path::Path;

/// Longest file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All profiles of a user, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profiles(BTreeMap<String, BTreeMap<String, String>>);

/// Where a profile's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They stand there.
    Keys { id: String, secret: String, session: Option<String> },
    /// Of a role, for the keys of another profile.
    Role { role: String, source: RoleSource, session: Option<String>, external_id: Option<String>, seconds: i32 },
    /// A program prints them.
    Process(String),
}

/// For whose keys a role is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoleSource {
    Profile(String),
    Environment,
    Instance,
    Container,
    TokenFile(String),
}

impl Profiles {
    /// Reads both files; one that is not there has none.
    ///
    /// # Errors
    /// One is there and cannot be read.
    pub(crate) fn read(config: &Path, credentials: &Path) -> Result<Self, String> {
        let mut all = Self::default();
        all.add(&text(config)?, true);
        all.add(&text(credentials)?, false);
        Ok(all)
    }

    /// What credentials say comes over what the configuration says.
    fn add(&mut self, text: &str, is_config: bool) {
        let mut current = None;
        for line in text.lines() {
            let is_indented = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
                current = section(name.trim(), is_config);
                if let Some(name) = &current {
                    self.0.entry(name.clone()).or_default();
                }
                continue;
            }
            // What is indented belongs to the setting of a service before it.
            let Some((key, value)) = line.split_once('=').filter(|_| !is_indented) else { continue };
            let value = value.split(" #").next().unwrap_or_default().trim();
            if let Some(settings) = current.as_ref().and_then(|name| self.0.get_mut(name)) {
                settings.insert(key.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn setting(&self, name: &str, key: &str) -> Option<&str> {
        self.0.get(name)?.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// # Errors
    /// The profile gives no keys; what to do.
    pub(crate) fn origin(&self, name: &str) -> Result<Origin, String> {
        if !self.has(name) {
            let near = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if near.is_empty() { "there are none".to_owned() } else { format!("there are {near}") };
            return Err(format!("there is no profile `{name}` in ~/.aws/config or ~/.aws/credentials; {known}"));
        }
        let of = |key: &str| self.setting(name, key).map(str::to_owned);
        if let Some(role) = of("role_arn") {
            let source = self.role_source(name)?;
            let seconds = of("duration_seconds").and_then(|text| text.parse().ok()).unwrap_or(3_600);
            return Ok(Origin::Role {
                role,
                source,
                session: of("role_session_name"),
                external_id: of("external_id"),
                seconds,
            });
        }
        self.keys(name)
    }

    fn role_source(&self, name: &str) -> Result<RoleSource, String> {
        let of = |key: &str| self.setting(name, key);
        match (of("source_profile"), of("credential_source"), of("web_identity_token_file")) {
            (Some(source), None, None) => Ok(RoleSource::Profile(source.to_owned())),
            (None, Some("Environment"), None) => Ok(RoleSource::Environment),
            (None, Some("Ec2InstanceMetadata"), None) => Ok(RoleSource::Instance),
            (None, Some("EcsContainer"), None) => Ok(RoleSource::Container),
            (None, Some(other), None) => {
                Err(format!("profile `{name}` has `credential_source = {other}`, which is none"))
            }
            (None, None, Some(file)) => Ok(RoleSource::TokenFile(file.to_owned())),
            (None, None, None) => {
                Err(format!("profile `{name}` takes a role and does not say for whom: add `source_profile`"))
            }
            _ => Err(format!(
                "profile `{name}` says twice for whom it takes its role: leave one of `source_profile`, \
                              `credential_source`, `web_identity_token_file`"
            )),
        }
    }

    /// Those that stand beside a role.
    ///
    /// # Errors
    /// As for [`Self::origin`].
    pub(crate) fn keys(&self, name: &str) -> Result<Origin, String> {
        let of = |key: &str| self.setting(name, key).map(str::to_owned);
        match (of("aws_access_key_id"), of("aws_secret_access_key"), of("credential_process")) {
            (Some(id), Some(secret), _) => Ok(Origin::Keys { id, secret, session: of("aws_session_token") }),
            (Some(_), None, _) => Err(format!("profile `{name}` has no `aws_secret_access_key`")),
            (None, Some(_), _) => Err(format!("profile `{name}` has no `aws_access_key_id`")),
            (None, None, Some(command)) => Ok(Origin::Process(command)),
            (None, None, None) if of("sso_session").or_else(|| of("sso_start_url")).is_some() => Err(format!(
                "profile `{name}` signs in by SSO, which `pipe` does not do: `aws sso login --profile {name}`, then \
                 `eval \"$(aws configure export-credentials --profile {name} --format env)\"`"
            )),
            (None, None, None) => Err(format!("profile `{name}` has no keys, no role and no `credential_process`")),
        }
    }
}

fn section(name: &str, is_config: bool) -> Option<String> {
    match name.split_once(char::is_whitespace) {
        Some(("profile", rest)) if is_config => Some(rest.trim().trim_matches('"').to_owned()),
        // `[sso-session x]` and `[services x]` are no profiles.
        Some(_) if is_config => None,
        Some(_) | None if !is_config || name == "default" => Some(name.to_owned()),
        Some(_) | None => None,
    }
}

fn text(path: &Path) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", path.display());
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed(&error)),
        Ok(facts) if facts.len() > FILE_BYTES_MAX => Err(failed(&"it is longer than 1 MiB")),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| failed(&error)),
    }
}

/// A command line in words, with quotes as shells have them.
pub(crate) fn words(command: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut is_word) = (Vec::new(), String::new(), None, false);
    let mut rest = command.chars();
    while let Some(character) = rest.next() {
        match (character, quote) {
            (mark, Some(open)) if mark == open => quote = None,
            ('\\', None | Some('"')) => {
                word.extend(rest.next());
                is_word = true;
            }
            ('"' | '\'', None) => {
                quote = Some(character);
                is_word = true;
            }
            (space, None) if space.is_whitespace() => {
                if std::mem::take(&mut is_word) {
                    all.push(std::mem::take(&mut word));
                }
            }
            (plain, _) => {
                word.push(plain);
                is_word = true;
            }
        }
    }
    if is_word {
        all.push(word);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# mine\n[default]\nregion = eu-central-1\n[profile dev]\nrole_arn = arn:aws:iam::123456789012:role/dev # x\n\
        source_profile = default\ns3 =\n  role_arn = nested\n[profile job]\ncredential_process = \"/opt/my keys\" --json\n\
        [sso-session x]\nsso_start_url = y\n[profile corp]\nsso_session = x\n[profile lost]\nregion = x\n[profile both]\n\
        role_arn = r\nsource_profile = a\ncredential_source = Environment\n[ignored]\naws_access_key_id = A\n";

    #[test]
    fn files_become_profiles() {
        let mut all = Profiles::default();
        all.add(CONFIG, true);
        all.add(
            "[default]\naws_access_key_id = AKID\naws_secret_access_key=s=cret\n[other]\naws_access_key_id = B\n",
            false,
        );
        assert_eq!(all.setting("default", "region"), Some("eu-central-1"));
        let keys = Origin::Keys { id: "AKID".into(), secret: "s=cret".into(), session: None };
        assert_eq!(all.origin("default"), Ok(keys));
        let role = all.origin("dev").unwrap();
        let expected = Origin::Role {
            role: "arn:aws:iam::123456789012:role/dev".into(),
            source: RoleSource::Profile("default".into()),
            session: None,
            external_id: None,
            seconds: 3_600,
        };
        assert_eq!(role, expected, "what is nested is another setting");
        assert_eq!(all.origin("job"), Ok(Origin::Process("\"/opt/my keys\" --json".into())));
        for (name, words) in [
            ("corp", "signs in by SSO, which `pipe` does not do: `aws sso login --profile corp`"),
            ("lost", "has no keys, no role"),
            ("other", "has no `aws_secret_access_key`"),
            ("both", "says twice"),
            ("ignored", "there is no profile `ignored`"),
        ] {
            let error = all.origin(name).unwrap_err();
            assert!(error.contains(words), "{name}: {error}");
        }
    }

    #[test]
    fn commands_are_split_as_shells_do() {
        for (command, expected) in [
            ("a b  c", &["a", "b", "c"][..]),
            (r#""/opt/my keys" --x 'a "b"' c\ d"#, &["/opt/my keys", "--x", "a \"b\"", "c d"]),
            ("'' x", &["", "x"]),
            ("", &[]),
        ] {
            assert_eq!(words(command), expected, "{command}");
        }
    }
}
