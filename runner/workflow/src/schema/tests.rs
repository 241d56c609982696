//! Our facts against GitHub's schema files, key by key.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use serde_json::Value as Json;

use super::*;

fn shared(file: &str) -> Option<Json> {
    let folder = std::env::var_os("PIPE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("workflow-reader").join(file)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Where ours is meant to differ: path, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("/jobs/*/snapshot", "contexts as in the runner's own schema, which the file for editors leaves out"),
    ("/jobs/*/snapshot/image-name", "as above"),
    ("/jobs/*/snapshot/version", "as above"),
    ("/jobs/*/snapshot/if", "as above"),
];

/// Keys that GitHub does not have, or that its published files lack so far, with the place of each.
const ADDED: &[(&str, &str)] = &[("/runs/steps/[]", "timeout-minutes"), ("", "cache-mode"), ("/jobs/*", "cache-mode")];

struct Compare<'a> {
    theirs: &'a Json,
    ours: &'static Schema,
    seen: HashSet<(String, DefinitionId, u32)>,
    differences: Vec<String>,
}

/// What GitHub's definition allows, flattened as ours is.
#[derive(Default)]
struct Theirs<'a> {
    scalars: BTreeSet<String>,
    items: Option<&'a str>,
    mappings: Vec<&'a Json>,
}

impl<'a> Compare<'a> {
    fn flatten(&self, name: &'a str, into: &mut Theirs<'a>) {
        match name {
            "any" => {
                return ["null", "boolean", "number", "string", "sequence", "mapping"]
                    .iter()
                    .for_each(|n| self.flatten(n, into));
            }
            "null" | "boolean" | "number" | "string" => drop(into.scalars.insert(name.to_owned())),
            "sequence" => into.items = Some("any"),
            "mapping" => into.mappings.push(&Json::Null),
            _ => {}
        }
        let definition = &self.theirs[name];
        let repository_dispatch = Json::from("repository_dispatch");
        for kind in ["null", "boolean", "number"] {
            if definition.get(kind).is_some() {
                into.scalars.insert(kind.to_owned());
            }
        }
        if let Some(string) = definition.get("string") {
            // GitHub's file has the name of another event here by mistake.
            let constant =
                if name == "repository-dispatch-string" { &repository_dispatch } else { &string["constant"] };
            into.scalars.insert(match (constant.as_str(), string["require-non-empty"].as_bool()) {
                (Some(constant), _) => format!("'{constant}'"),
                (None, Some(true)) => "text".to_owned(),
                (None, _) => "string".to_owned(),
            });
        }
        for value in definition["allowed-values"].as_array().into_iter().flatten() {
            into.scalars.insert(format!("'{}'", value.as_str().unwrap_or_default()));
        }
        if let Some(sequence) = definition.get("sequence") {
            into.items = sequence["item-type"].as_str();
        }
        if let Some(mapping) = definition.get("mapping") {
            into.mappings.push(mapping);
        }
        for other in definition["one-of"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            self.flatten(other, into);
        }
    }

    fn differ(&mut self, path: &str, what: &str, theirs: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug) {
        if !DIFFERENT.iter().any(|(known, _)| *known == path) {
            self.differences.push(format!("{path}: {what}: GitHub {theirs:?}, ours {ours:?}"));
        }
    }

    fn definitions(&mut self, path: &str, theirs: &'a str, id: DefinitionId, context: (BTreeSet<String>, ContextSet)) {
        let ours = self.ours.definition(id);
        let set = context.1.with(ours.context);
        if !self.seen.insert((theirs.to_owned(), id, set.0)) {
            return;
        }
        let mut names = context.0;
        names.extend(
            self.theirs[theirs]["context"].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned),
        );
        let mut flat = Theirs::default();
        self.flatten(theirs, &mut flat);
        let our_scalars = scalars(ours);
        let our_names = written(self.ours, set);
        if flat.scalars != our_scalars {
            self.differ(path, "scalars", &flat.scalars, &our_scalars);
        }
        if names != our_names {
            self.differ(path, "contexts", &names, &our_names);
        }
        match (flat.items, ours.sequence) {
            (Some(theirs), Some(ours)) => self.definitions(&format!("{path}/[]"), theirs, ours, (names.clone(), set)),
            (None, None) => {}
            (theirs, ours) => self.differ(path, "sequence", &theirs, &ours),
        }
        if flat.mappings.len() != ours.mappings.len() {
            self.differ(path, "mappings", &flat.mappings.len(), &ours.mappings.len());
        }
        for (theirs, ours) in flat.mappings.iter().zip(&ours.mappings) {
            self.mappings(path, theirs, self.ours.mapping(*ours), (&names, set));
        }
    }

    fn mappings(
        &mut self,
        path: &str,
        theirs: &'a Json,
        ours: &'static Mapping,
        context: (&BTreeSet<String>, ContextSet),
    ) {
        let context = || (context.0.clone(), context.1);
        let (key, value) = if theirs.is_null() {
            (Some("string"), Some("any"))
        } else {
            (theirs["loose-key-type"].as_str(), theirs["loose-value-type"].as_str())
        };
        match (key.zip(value), ours.loose) {
            (Some((key, value)), Some(loose)) => {
                self.definitions(&format!("{path}/<key>"), key, loose.0, context());
                self.definitions(&format!("{path}/*"), value, loose.1, context());
            }
            (None, None) => {}
            (theirs, ours) => self.differ(path, "other keys", &theirs, &ours),
        }
        let properties: Vec<(&'a String, &'a Json)> = theirs["properties"].as_object().into_iter().flatten().collect();
        let their_keys: BTreeSet<_> =
            properties.iter().map(|(key, value)| (key.as_str(), value["required"] == true)).collect();
        let properties_of_both = ours.properties.iter().filter(|(key, _)| !ADDED.contains(&(path, **key)));
        let our_keys: BTreeSet<_> = properties_of_both.map(|(key, value)| (*key, value.required)).collect();
        if their_keys != our_keys {
            self.differ(path, "keys", &their_keys, &our_keys);
        }
        for (key, property) in properties {
            let name = property.as_str().or_else(|| property["type"].as_str());
            if let (Some(name), Some(property)) = (name, ours.properties.get(key.as_str())) {
                self.definitions(&format!("{path}/{key}"), name, property.value, context());
            }
        }
    }
}

fn scalars(ours: &Definition) -> BTreeSet<String> {
    let flags = [("null", ours.null), ("boolean", ours.boolean), ("number", ours.number)];
    let strings = ours.strings.iter().map(|rule| match rule {
        StringRule::Any | StringRule::Condition => "string".to_owned(),
        StringRule::NonEmpty => "text".to_owned(),
        StringRule::Constant(constant) => format!("'{constant}'"),
    });
    flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()).chain(strings).collect()
}

fn written(schema: &Schema, set: ContextSet) -> BTreeSet<String> {
    let names = schema.allowed(set);
    let functions = names.functions.iter().map(|allowed| {
        let max = if allowed.max == usize::MAX { "MAX".to_owned() } else { allowed.max.to_string() };
        format!("{}({},{max})", allowed.function.name(), allowed.min)
    });
    names.contexts.iter().map(|name| (*name).to_owned()).chain(functions).collect()
}

fn check(file: &str, ours: &'static Schema, roots: &[&str]) {
    let Some(theirs) = shared(file) else { return };
    let mut compare = Compare { theirs: &theirs["definitions"], ours, seen: HashSet::new(), differences: Vec::new() };
    for root in roots {
        let id = ours.find(root).expect("the root is defined");
        compare.definitions("", root, id, (BTreeSet::new(), ContextSet::default()));
    }
    assert!(compare.differences.is_empty(), "{}", compare.differences.join("\n"));
}

#[test]
fn workflow_facts_are_githubs() {
    check("workflow-v1.0.json", Schema::workflow(), &[WORKFLOW_ROOT, WORKFLOW_ROOT_RELAXED]);
}

#[test]
fn action_facts_are_githubs() {
    check("action-v1.0.json", Schema::action(), &[ACTION_ROOT, ACTION_ROOT_STRICT]);
}

#[test]
fn keys_are_described() {
    let schema = Schema::workflow();
    for path in ["on", "jobs", "jobs.*.runs-on", "jobs.*.steps.*.run", "on.workflow_dispatch.inputs.*.options"] {
        let steps: Vec<&str> = path.split('.').collect();
        assert!(schema.describe(WORKFLOW_ROOT, &steps).is_some(), "{path}");
    }
    assert_eq!(schema.describe(WORKFLOW_ROOT, &["nothing"]), None);
}

#[test]
fn loading_is_cheap() {
    // Twenty loads within a second even in a debug build on a busy machine: a release build needs far below 1 ms for one.
    for _ in 0..20 {
        assert!(load::load(include_str!("workflow.schema")).definitions.len() > 100);
    }
}
