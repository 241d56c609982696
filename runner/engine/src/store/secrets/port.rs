//! Gives runs their secrets and variables, and channels of news their credentials. A run of somebody else's code gets no secrets.

use std::collections::BTreeMap;

use async_trait::async_trait;
use indexmap::IndexMap;
use workflow::secret::Secret;

use super::{For, NOTIFY, Settings};
use crate::job::SecretStore;
use crate::notify::SealedCredentials;
use crate::service::{PortError, RunSecrets, RunSpec, Trust};

#[async_trait]
impl RunSecrets for Settings {
    async fn secrets(
        &self,
        spec: &RunSpec,
        environment: Option<&str>,
        names: Option<&[String]>,
    ) -> Result<SecretStore, PortError> {
        match spec.trust {
            Trust::Fork => Ok(SecretStore::default()),
            Trust::Trusted => {
                let given = Self::secrets(self, &job(spec, environment), names).await;
                given.map_err(|error| PortError(error.to_string()))
            }
        }
    }

    async fn vars(&self, spec: &RunSpec, environment: Option<&str>) -> Result<IndexMap<String, String>, PortError> {
        let given = self.variables(&job(spec, environment)).await;
        given.map_err(|error| PortError(error.to_string()))
    }
}

#[async_trait]
impl SealedCredentials for Settings {
    async fn credentials(&self, names: &[String]) -> Result<BTreeMap<String, Secret>, String> {
        let channels = For { repository: NOTIFY, environment: None, git_ref: "" };
        let store = Self::secrets(self, &channels, Some(names)).await.map_err(|error| error.to_string())?;
        let found = names.iter().filter_map(|name| Some((name.clone(), Secret::new(store.get(name)?.expose()))));
        Ok(found.collect())
    }
}

fn job<'a>(spec: &'a RunSpec, environment: Option<&'a str>) -> For<'a> {
    For { repository: &spec.repository, environment, git_ref: spec.event.git_ref.as_str() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use workflow::event::{Event, Forge};
    use workflow::secret::Secret;

    use super::super::{Kind, Scope};
    use super::*;
    use crate::sealing::{MasterKey, MasterKeys, Vault};
    use crate::store::audit::{Actor, Audit};
    use crate::store::{Database, Options};

    #[tokio::test]
    async fn a_fork_gets_no_secrets_but_variables() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
        let vault = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap());
        let audit = Audit::open(database.clone(), &vault).await.unwrap();
        let settings = Settings::on(database, Arc::new(vault), audit);
        let by = || Actor { who: "ada".into(), origin: "command line".into() };
        for (kind, environment) in [(Kind::Secret, ""), (Kind::Secret, "production"), (Kind::Variable, "")] {
            let at = Scope { repository: "o/r".into(), environment: environment.into(), branch: String::new() };
            let value = Secret::new(format!("value {environment}"));
            settings.put(kind, "KEY", at, value, by()).await.unwrap();
        }
        let at = Scope { repository: "o/r".into(), environment: "production".into(), branch: String::new() };
        settings.put(Kind::Secret, "DEPLOY_KEY", at, Secret::new("value of production"), by()).await.unwrap();
        let payload = json!({
            "ref": "refs/heads/main", "after": "1".repeat(40), "sender": { "login": "ada" },
            "repository": { "full_name": "o/r", "default_branch": "main", "owner": { "login": "o" } },
        });
        let event = Event::parse("push", payload).unwrap();
        let trusted = RunSpec::new(Forge::Github, event, "ci.yml", IndexMap::new());
        let fork = RunSpec { trust: Trust::Fork, ..trusted.clone() };
        let port: &dyn RunSecrets = &settings;
        for (spec, environment, names, expected) in [
            (&trusted, None, None, Some("value ")),
            (&trusted, Some("production"), None, Some("value production")),
            (&trusted, None, Some(["key".to_owned()]), Some("value ")),
            (&trusted, None, Some(["OTHER".to_owned()]), None),
            // A06: what only an environment has, no job has that is not of it, whatever it names.
            (&trusted, None, Some(["DEPLOY_KEY".to_owned()]), None),
            (&trusted, Some("staging"), Some(["DEPLOY_KEY".to_owned()]), None),
            (&fork, None, None, None),
            (&fork, Some("production"), Some(["KEY".to_owned()]), None),
        ] {
            let names = names.as_ref().map(<[String; 1]>::as_slice);
            let store = port.secrets(spec, environment, names).await.unwrap();
            let environment_has_it =
                environment == Some("production") && names.is_none_or(|names| names[0] == "DEPLOY_KEY");
            assert_eq!(store.get("DEPLOY_KEY").is_some(), environment_has_it && spec.trust == Trust::Trusted);
            assert_eq!(store.get("KEY").map(Secret::expose), expected, "{environment:?} {names:?}");
            assert_eq!(port.vars(spec, environment).await.unwrap()["KEY"], "value ");
        }
    }
}
