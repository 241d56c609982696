//! Permissions as written become typed, and a called workflow is held to what its caller may do.
//!
//! What a token is given at run time is not decided here. Follows
//! <https://docs.github.com/en/actions/sharing-automations/reusing-workflows#supported-keywords-for-jobs-that-call-a-reusable-workflow>.

use indexmap::IndexMap;

use super::options::{PermissionsPolicy, ReadOptions};
use crate::model::{PermissionLevel, Permissions, SCOPES};
use crate::template::Token;

/// Scopes that a job may at most read.
const READ_AT_MOST: &[&str] = &["models", "vulnerability-alerts"];

/// Reads `permissions:`; the schema has checked names and levels.
pub(super) fn read(written: &Token) -> Permissions {
    match written.as_str() {
        Some("read-all") => return Permissions::ReadAll,
        Some(_) => return Permissions::WriteAll,
        None => {}
    }
    let pairs = written.as_mapping().unwrap_or_default();
    let scopes = pairs.iter().filter_map(|(scope, level)| {
        let (scope, level) = (scope.as_str()?, PermissionLevel::from_name(level.as_str()?)?);
        Some((scope.to_owned(), capped(scope, level)))
    });
    Permissions::Scopes(scopes.collect::<IndexMap<_, _>>())
}

/// Why `requested` goes beyond what is allowed: the two lists that GitHub's message shows, such as `contents: write`
/// and `contents: read`. `None` where it does not. Without `allowed`, the policy of the repository counts.
pub(super) fn excess(
    requested: &Permissions,
    allowed: Option<&Permissions>,
    options: &ReadOptions,
) -> Option<(String, String)> {
    let allowed = |scope: &str| match allowed {
        Some(allowed) => capped(scope, allowed.level(scope)),
        None => policy_level(scope, options),
    };
    let listed = SCOPES.iter().filter(|scope| requested.lists(scope));
    let (wanted, given): (Vec<String>, Vec<String>) = listed
        .map(|scope| (scope, capped(scope, requested.level(scope)), allowed(scope)))
        .filter(|(_, requested, allowed)| requested > allowed)
        .map(|(scope, requested, allowed)| {
            (format!("{scope}: {}", requested.name()), format!("{scope}: {}", allowed.name()))
        })
        .unzip();
    if wanted.is_empty() { None } else { Some((wanted.join(", "), given.join(", "))) }
}

fn capped(scope: &str, level: PermissionLevel) -> PermissionLevel {
    if READ_AT_MOST.contains(&scope) { level.min(PermissionLevel::Read) } else { level }
}

fn policy_level(scope: &str, options: &ReadOptions) -> PermissionLevel {
    match options.permissions_policy {
        PermissionsPolicy::LimitedRead if ["contents", "packages"].contains(&scope) => PermissionLevel::Read,
        PermissionsPolicy::LimitedRead => PermissionLevel::None,
        PermissionsPolicy::Write if scope == "id-token" && !options.called_workflows_trusted => PermissionLevel::None,
        PermissionsPolicy::Write => capped(scope, PermissionLevel::Write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(pairs: &[(&str, &str)]) -> Permissions {
        let level = |name: &str| PermissionLevel::from_name(name).expect("a level's name");
        Permissions::Scopes(pairs.iter().map(|(scope, name)| ((*scope).to_owned(), level(name))).collect())
    }

    fn check(requested: &Permissions, allowed: Option<&Permissions>, policy: PermissionsPolicy, expected: &str) {
        let options = ReadOptions { permissions_policy: policy, called_workflows_trusted: false, ..Default::default() };
        let found = excess(requested, allowed, &options).map(|(wanted, given)| format!("{wanted} | {given}"));
        assert_eq!(found.unwrap_or_default(), expected, "{requested:?} of {allowed:?}");
    }

    #[test]
    fn a_called_workflow_may_not_have_more() {
        use PermissionsPolicy::{LimitedRead, Write};
        let read = scopes(&[("actions", "read"), ("contents", "none")]);
        let write = scopes(&[("contents", "write"), ("actions", "write")]);
        check(&read, Some(&read), Write, "");
        check(&write, Some(&read), Write, "actions: write, contents: write | actions: read, contents: none");
        check(&write, Some(&Permissions::WriteAll), LimitedRead, "");
        check(&write, None, LimitedRead, "actions: write, contents: write | actions: none, contents: read");
        check(&scopes(&[("id-token", "write")]), None, Write, "id-token: write | id-token: none");
        check(&Permissions::ReadAll, Some(&Permissions::WriteAll), LimitedRead, "");
        check(&scopes(&[("attestations", "write")]), Some(&Permissions::WriteAll), LimitedRead, "");
        check(&scopes(&[("models", "write")]), Some(&Permissions::ReadAll), LimitedRead, "");
    }
}
