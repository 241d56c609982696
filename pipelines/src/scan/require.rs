//! Which environments take only images that a scan has let pass, and whether an image is one.

use std::collections::BTreeMap;

use engine::step::ActionCall;
use engine::store::verdicts::{ScanRule, Standing};
use jiff::Timestamp;

/// What environments ask for, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequireScan(BTreeMap<String, ScanRule>);

impl RequireScan {
    /// Those that ask for something. Names are compared as GitHub does, whatever the case of their letters.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (String, ScanRule)>) -> Self {
        Self(rules.into_iter().map(|(name, rule)| (name.to_lowercase(), rule)).collect())
    }

    /// What an environment asks for.
    #[must_use]
    pub fn rule(&self, environment: &str) -> Option<ScanRule> {
        self.0.get(&environment.to_lowercase()).copied()
    }

    /// Why an image may not be deployed to an environment, in a sentence; none where it may. `image` is the id that Docker
    /// shows (`sha256:…`), not a tag, which may be moved. What cannot be found out is no pass.
    pub async fn refusal(&self, call: &ActionCall<'_>, environment: &str, image: &str) -> Option<String> {
        let rule = self.rule(environment)?;
        let needed = format!("`{environment}` takes only images that a scan has let pass");
        let Some(reports) = &call.run.reports else {
            return Some(format!("{needed}, and here is nothing in which verdicts are kept"));
        };
        match reports.verdicts().standing(&call.repository.name, image, rule, Timestamp::now()).await {
            Ok(Standing::Passed(_)) => None,
            Ok(Standing::Refused(why)) => Some(format!("{needed}: {why}")),
            Err(error) => Some(format!("{needed}, and its verdicts cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_environments_have_no_case() {
        let rules = RequireScan::new([("Production".to_owned(), ScanRule::default())]);
        assert_eq!(rules.rule("pRODUCTION"), Some(ScanRule::default()));
        assert_eq!(rules.rule("staging"), None);
    }
}
