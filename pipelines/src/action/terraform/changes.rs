//! What a plan would do, out of `terraform show -json`: <https://developer.hashicorp.com/terraform/internals/json-format>.
//!
//! Pure. Values of attributes do not leave this module but as secrets to hide.

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// Most values that are hidden.
const SECRETS_MAX: usize = 1000;

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// It is removed.
    Destroy,
    /// It is removed and made anew.
    Replace,
    /// It is changed where it stands.
    Change,
    /// It is made.
    Add,
    /// It is there already, and taken over.
    Import,
    /// It stays, but Terraform no longer knows it.
    Forget,
}

impl Kind {
    /// All, the worst first.
    pub(super) const ALL: [Self; 6] =
        [Self::Destroy, Self::Replace, Self::Change, Self::Add, Self::Import, Self::Forget];

    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Destroy => "destroyed",
            Self::Replace => "replaced",
            Self::Change => "changed",
            Self::Add => "added",
            Self::Import => "imported",
            Self::Forget => "forgotten",
        }
    }

    /// Whether something that is there goes away.
    pub(super) fn destroys(self) -> bool {
        matches!(self, Self::Destroy | Self::Replace)
    }

    fn of(change: &Json) -> Option<Self> {
        let actions: Vec<&str> = change["actions"].as_array()?.iter().filter_map(Json::as_str).collect();
        let has = |action: &str| actions.contains(&action);
        Some(match (has("create"), has("delete")) {
            (true, true) => Self::Replace,
            (true, false) => Self::Add,
            (false, true) => Self::Destroy,
            (false, false) if has("update") => Self::Change,
            (false, false) if has("forget") => Self::Forget,
            (false, false) if change.get("importing").is_some() => Self::Import,
            (false, false) => return None,
        })
    }
}

/// A resource that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// Such as `module.vpc.aws_subnet.private[0]`.
    pub(super) address: String,
    /// What becomes of it.
    pub(super) kind: Kind,
    /// Attributes that change; of a resource that is made or removed none.
    pub(super) attributes: Vec<String>,
    /// Attributes that can only be changed by making it anew.
    pub(super) forced_by: Vec<String>,
}

/// What is read of a plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// Resources, sorted by kind and address.
    pub(super) resources: Vec<Change>,
    /// Outputs that change.
    pub(super) outputs: Vec<String>,
    /// Resources that are not as Terraform left them.
    pub(super) drift: Vec<Change>,
    /// Whether it can be applied.
    pub(super) is_applicable: bool,
}

impl Changes {
    /// Reads it.
    ///
    /// # Errors
    /// It is no plan of a form that is known; a sentence.
    pub(super) fn of(plan: &Json) -> Result<Self, String> {
        let version = plan["format_version"].as_str().unwrap_or_default();
        if version.split('.').next() != Some("1") {
            return Err(format!("the plan has the format {version:?}, and only versions 1.x are known"));
        }
        let outputs = plan["output_changes"].as_object().into_iter().flatten();
        let changed = |change: &Json| change["actions"].as_array().is_some_and(|all| all != &[Json::from("no-op")]);
        Ok(Self {
            resources: all(&plan["resource_changes"]),
            outputs: outputs.filter(|(_, change)| changed(change)).map(|(name, _)| name.clone()).collect(),
            drift: all(&plan["resource_drift"]),
            // Before version 1.6 of Terraform there was no such word.
            is_applicable: plan["applyable"].as_bool().unwrap_or(true) && plan["errored"] != Json::Bool(true),
        })
    }

    /// What is not as Terraform left it, by name: resources, and outputs that have another value than was written down, which tells of a
    /// state that somebody edited or lost a resource of.
    pub(super) fn drifted(&self) -> Vec<String> {
        let resources = self.drift.iter().map(|one| one.address.clone());
        resources.chain(self.outputs.iter().map(|name| format!("output.{name}"))).collect()
    }

    /// How many of a kind.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.resources.iter().filter(|change| change.kind == kind).count()
    }

    /// What goes away.
    pub(super) fn destroyed(&self) -> Vec<&Change> {
        self.resources.iter().filter(|change| change.kind.destroys()).collect()
    }

    /// `1 destroyed, 2 added`.
    pub(super) fn words(&self) -> String {
        let counts = Kind::ALL.map(|kind| (self.count(kind), kind.words()));
        let mut words: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if words.is_empty() && !self.outputs.is_empty() {
            words.push(format!("only outputs change: {}", self.outputs.join(", ")));
        }
        if words.is_empty() { "nothing changes".to_owned() } else { words.join(", ") }
    }
}

fn all(changes: &Json) -> Vec<Change> {
    let mut found: Vec<Change> = changes.as_array().into_iter().flatten().filter_map(one).collect();
    found.sort_by(|one, other| (one.kind, &one.address).cmp(&(other.kind, &other.address)));
    found
}

fn one(resource: &Json) -> Option<Change> {
    // Data sources are only read.
    if resource["mode"] == "data" {
        return None;
    }
    let change = &resource["change"];
    let kind = Kind::of(change)?;
    let empty = Map::new();
    let object = |name: &str| change[name].as_object().unwrap_or(&empty);
    let (before, after, unknown) = (object("before"), object("after"), object("after_unknown"));
    let mut attributes: Vec<String> = Vec::new();
    if matches!(kind, Kind::Change | Kind::Replace) {
        let names = before.keys().chain(after.keys()).chain(unknown.keys());
        attributes = names
            .filter(|name| before.get(*name) != after.get(*name) && !is_known_later(unknown.get(*name), kind))
            .cloned()
            .collect();
        attributes.sort();
        attributes.dedup();
    }
    let paths = change["replace_paths"].as_array().into_iter().flatten();
    let mut forced_by: Vec<String> =
        paths.filter_map(|path| Some(path.as_array()?.first()?.as_str()?.to_owned())).collect();
    forced_by.dedup();
    Some(Change { address: resource["address"].as_str()?.to_owned(), kind, attributes, forced_by })
}

/// What a new resource has instead of the old one's (its id and the like) is no change that anybody asked for.
fn is_known_later(unknown: Option<&Json>, kind: Kind) -> bool {
    kind == Kind::Replace && unknown == Some(&Json::Bool(true))
}

/// Texts and numbers that are marked as sensitive: in outputs, variables and attributes, before and after.
pub(super) fn secrets(plan: &Json) -> Vec<String> {
    let mut found = Vec::new();
    for (_, change) in plan["output_changes"].as_object().into_iter().flatten() {
        of_change(change, &mut found);
    }
    for list in ["resource_changes", "resource_drift"] {
        for resource in plan[list].as_array().into_iter().flatten() {
            of_change(&resource["change"], &mut found);
        }
    }
    let declared = plan["configuration"]["root_module"]["variables"].as_object();
    for (name, facts) in declared.into_iter().flatten() {
        if facts["sensitive"] == Json::Bool(true) {
            marked(&plan["variables"][name]["value"], &Json::Bool(true), &mut found);
        }
    }
    found.sort();
    found.dedup();
    found.truncate(SECRETS_MAX);
    found
}

fn of_change(change: &Json, found: &mut Vec<String>) {
    marked(&change["before"], &change["before_sensitive"], found);
    marked(&change["after"], &change["after_sensitive"], found);
}

/// `marks` has the form of `value`, with `true` where all below is sensitive.
pub(super) fn marked(value: &Json, marks: &Json, found: &mut Vec<String>) {
    match (marks, value) {
        (Json::Bool(true), Json::String(text)) => found.push(text.clone()),
        (Json::Bool(true), Json::Number(number)) => found.push(number.to_string()),
        (Json::Bool(true), Json::Array(all)) => all.iter().for_each(|one| marked(one, marks, found)),
        (Json::Bool(true), Json::Object(all)) => all.values().for_each(|one| marked(one, marks, found)),
        (Json::Array(marks), Json::Array(all)) => {
            marks.iter().zip(all).for_each(|(marks, one)| marked(one, marks, found));
        }
        (Json::Object(marks), Json::Object(all)) => {
            marks.iter().for_each(|(name, marks)| marked(all.get(name).unwrap_or(&Json::Null), marks, found));
        }
        // Nothing is marked, or nothing stands there yet.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_known() {
        let of = |actions: &[&str]| Kind::of(&json!({ "actions": actions }));
        assert_eq!(of(&["create"]), Some(Kind::Add));
        assert_eq!(of(&["delete"]), Some(Kind::Destroy));
        assert_eq!((of(&["delete", "create"]), of(&["create", "delete"])), (Some(Kind::Replace), Some(Kind::Replace)));
        assert_eq!((of(&["update"]), of(&["forget"])), (Some(Kind::Change), Some(Kind::Forget)));
        assert_eq!((of(&["no-op"]), of(&["read"])), (None, None));
        assert_eq!(Kind::of(&json!({"actions": ["no-op"], "importing": {"id": "x"}})), Some(Kind::Import));
    }

    #[test]
    fn the_worst_comes_first_and_later_versions_are_refused() {
        let resource = |address: &str, action: &str| json!({"address": address, "change": {"actions": [action]}});
        let plan = json!({
            "format_version": "1.2",
            "resource_changes": [resource("b", "create"), resource("a", "create"), resource("z", "delete"),
                {"address": "data.x", "mode": "data", "change": {"actions": ["update"]}}],
        });
        let changes = Changes::of(&plan).unwrap();
        assert_eq!(changes.resources.iter().map(|one| one.address.as_str()).collect::<Vec<_>>(), ["z", "a", "b"]);
        assert_eq!((changes.words().as_str(), changes.destroyed().len()), ("1 destroyed, 2 added", 1));
        assert!(Changes::of(&json!({"format_version": "2.0"})).is_err());
    }

    #[test]
    fn what_is_sensitive_is_found_wherever_it_is() {
        let plan = json!({
            "variables": {"key": {"value": "of a variable"}, "size": {"value": 3}},
            "configuration": {"root_module": {"variables": {"key": {"sensitive": true}, "size": {}}}},
            "output_changes": {"o": {"after": {"a": ["of an output", 12345]}, "after_sensitive": true}},
            "resource_changes": [{"change": {
                "before": null, "before_sensitive": false,
                "after": {"user": "ann", "auth": [{"password": "of a resource", "port": 1}]},
                "after_sensitive": {"auth": [{"password": true}]},
            }}],
        });
        assert_eq!(secrets(&plan), ["12345", "of a resource", "of a variable", "of an output"]);
    }
}
