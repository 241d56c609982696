//! Trust policies of roles, as much as deployments use: `StringEquals` and `StringLike` on the claims of a token, principals
//! that are accounts, users or providers. A condition that is not understood allows nothing.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use serde_json::Value;

use crate::value::Input as _;

/// One text, or a list of them.
fn several(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn statements(policy: &Value) -> Vec<&Value> {
    match policy.get("Statement") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

fn applies(statement: &Value, action: &str) -> bool {
    statement.get("Action").map(several).is_some_and(|actions| actions.iter().any(|known| is_like(action, known)))
}

/// Allowed by one statement and denied by none.
fn decides(policy: &Value, action: &str, matches: impl Fn(&Value) -> bool) -> bool {
    let of = |effect: &str| {
        statements(policy)
            .into_iter()
            .filter(|statement| statement.text("Effect") == Some(effect) && applies(statement, action))
            .any(&matches)
    };
    of("Allow") && !of("Deny")
}

/// Whether a token's bearer may take the role.
pub(super) fn allows_token(policy: &Value, federated: &str, issuer: &str, claims: &Value, audience: &str) -> bool {
    decides(policy, "sts:AssumeRoleWithWebIdentity", |statement| {
        let principal = statement.get("Principal").and_then(|principal| principal.get("Federated"));
        let is_provider = principal.map(several).is_some_and(|all| all.contains(&federated));
        is_provider
            && holds(statement.get("Condition"), |key| {
                let claim = key.strip_prefix(issuer)?.strip_prefix(':')?;
                if claim == "aud" { Some(audience.to_owned()) } else { claims.text(claim).map(str::to_owned) }
            })
    })
}

/// Whether a user or a session may take the role.
pub(super) fn allows_caller(policy: &Value, caller: &str, account: &str) -> bool {
    let root = format!("arn:aws:iam::{account}:root");
    decides(policy, "sts:AssumeRole", |statement| {
        let principal = statement.get("Principal");
        let named = principal.and_then(|principal| principal.get("AWS")).map(several).unwrap_or_default();
        let is_all = principal.and_then(Value::as_str) == Some("*");
        let is_named = named.iter().any(|one| *one == "*" || *one == caller || *one == root || *one == account);
        (is_all || is_named) && holds(statement.get("Condition"), |_| None)
    })
}

fn holds(condition: Option<&Value>, value: impl Fn(&str) -> Option<String>) -> bool {
    let Some(Value::Object(operators)) = condition else { return condition.is_none() };
    operators.iter().all(|(operator, keys)| {
        let Value::Object(keys) = keys else { return false };
        keys.iter().all(|(key, wanted)| {
            let Some(value) = value(key) else { return false };
            let wanted = several(wanted);
            match operator.as_str() {
                "StringEquals" => wanted.contains(&value.as_str()),
                "StringNotEquals" => !wanted.contains(&value.as_str()),
                "StringLike" => wanted.iter().any(|pattern| is_like(&value, pattern)),
                _ => false,
            }
        })
    })
}

/// `*` stands for any text, `?` for one character.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<_>, Vec<_>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern, mut retry) = (0, 0, None);
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('*') => {
                retry = Some((at, in_pattern));
                in_pattern += 1;
            }
            Some(c) if *c == '?' || *c == text[at] => (at, in_pattern) = (at + 1, in_pattern + 1),
            Some(_) | None => match retry {
                Some((from, star)) => {
                    (at, in_pattern) = (from + 1, star + 1);
                    retry = Some((from + 1, star));
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_as_in_policies() {
        for (text, pattern, expected) in [
            ("repo:shop/orders:ref:refs/heads/main", "repo:shop/*:ref:refs/heads/main", true),
            ("repo:shop/orders:ref:refs/heads/dev", "repo:shop/*:ref:refs/heads/main", false),
            ("abcabc", "a*c", true),
            ("abcabd", "a*c", false),
            ("ab", "a?", true),
            ("", "*", true),
            ("a", "", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn tokens_are_held_against_the_policy() {
        let policy = |condition: Value| {
            json!({ "Statement": [{
                "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": { "Federated": "arn:p" }, "Condition": condition,
            }]})
        };
        let claims = json!({ "sub": "repo:shop:ref:refs/heads/main" });
        let allows = |condition| allows_token(&policy(condition), "arn:p", "ci.example", &claims, "sts.amazonaws.com");
        assert!(allows(json!({
            "StringEquals": { "ci.example:aud": "sts.amazonaws.com", "ci.example:sub": ["x", "repo:shop:ref:refs/heads/main"] }
        })));
        assert!(allows(json!({ "StringLike": { "ci.example:sub": "repo:shop:*" } })));
        assert!(!allows(json!({ "StringLike": { "ci.example:sub": "repo:other:*" } })));
        assert!(!allows(json!({ "StringEquals": { "other.example:sub": "repo:shop:ref:refs/heads/main" } })));
        assert!(!allows(json!({ "ArnLike": { "ci.example:sub": "*" } })));
        assert!(!allows_token(&policy(json!({})), "arn:other", "ci.example", &claims, "x"));
    }
}
