//! Names of secrets and variables, by GitHub's rules.
//!
//! Follows <https://docs.github.com/en/actions/reference/security/secrets#naming-your-secrets>.

/// Longest name.
const NAME_BYTES_MAX: usize = 255;

/// Why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be a name: {reason}")]
pub struct NameError {
    name: String,
    reason: &'static str,
}

/// The name in capitals, as it is kept.
///
/// # Errors
/// It is none.
pub fn check_name(name: &str) -> Result<String, NameError> {
    let wrong = |reason| Err(NameError { name: name.chars().take(80).collect(), reason });
    if name.is_empty() {
        return wrong("it is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return wrong("it is too long");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return wrong("it may hold letters, digits and `_`");
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return wrong("it may not begin with a digit");
    }
    let name = name.to_ascii_uppercase();
    if name.starts_with("GITHUB_") {
        return wrong("names that begin with `GITHUB_` are the system's");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_githubs() {
        for (name, expected) in [("token", "TOKEN"), ("_A1", "_A1"), ("DEPLOY_KEY", "DEPLOY_KEY"), ("github", "GITHUB")]
        {
            assert_eq!(check_name(name).unwrap(), expected);
        }
        let long = "a".repeat(256);
        for name in ["", "1A", "A-B", "A B", "GITHUB_X", "github_token", "ä", "A.B", &long, "A\0"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
