//! Values that a workflow gets from outside: secrets, which no log may show, and variables, which it may.
//!
//! A `Secret` cannot be printed, serialised or compared by accident; whoever wants the text has to say `expose()`. Where
//! values come from (files, the environment, a vault) is not decided here, and hiding them in output is [`crate::mask`].
//! Follows <https://docs.github.com/en/actions/concepts/security/secrets>.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A value that must not appear in output.
///
/// It has no `Display`, no `Serialize` and no `PartialEq`, its `Debug` shows only the type, and its memory is overwritten
/// when the last copy is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; no other copy is kept.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The text itself. The one way in, easy to grep for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is the empty text, which is what `secrets.UNKNOWN` gives on GitHub.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

/// Shows the names of pairs whose values may be secrets, for `Debug` of what holds an environment.
pub struct Names<'a, T>(pub &'a T);

impl<'a, T, K, V> fmt::Debug for Names<'a, T>
where
    &'a T: IntoIterator<Item = (K, V)>,
    K: fmt::Debug,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.into_iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

/// A configuration value of `vars`, free to appear in output.
///
/// Follows <https://docs.github.com/en/actions/concepts/workflows-and-actions/variables>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variable(String);

impl Variable {
    /// Takes the text over.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Variable> for String {
    fn from(variable: Variable) -> Self {
        variable.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Secret, Variable};

    #[test]
    fn debug_shows_no_content() {
        let secret = Secret::new("hunter22");
        assert_eq!(format!("{secret:?} {:?}", Some(secret.clone())), "Secret(***) Some(Secret(***))");
        assert_eq!(secret.expose(), "hunter22");
        let pairs = std::collections::BTreeMap::from([("TOKEN", "hunter22")]);
        assert_eq!(format!("{:?}", Names(&pairs)), r#"["TOKEN"]"#);
        assert!(!secret.is_empty() && Secret::new("").is_empty());
    }

    #[test]
    fn variables_are_plain_text() {
        let variable = Variable::new("eu-west-1");
        assert_eq!(serde_json::to_string(&variable).unwrap(), "\"eu-west-1\"");
        assert_eq!((variable.as_str().len(), String::from(variable)), (9, "eu-west-1".to_owned()));
    }
}
