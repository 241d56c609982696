//! A read workflow in the JSON form in which GitHub's servers keep it, so that whole trees can be compared.
//!
//! Only the tests need it: the product never writes this form. Follows the serialised fields of
//! <https://github.com/actions/runner/blob/main/src/Sdk/WorkflowParser/WorkflowTemplate.cs>.

mod events;
mod jobs;
mod steps;
mod tokens;

use serde_json::{Map, Value};
use workflow::model::{PermissionLevel, Permissions, SCOPES, Workflow};
use workflow::read::Reading;
use workflow::source::{SourceFile, SourceMap};

/// What to write of it.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// File, line and column of every value, and the table of files.
    pub(crate) source: bool,
    /// What GitHub's TypeScript reader keeps: the events too, but of jobs and steps only what an editor needs.
    pub(crate) typescript: bool,
    /// The table of files in the order of their names, as GitHub's servers write it again for a rerun of some jobs; the
    /// numbers of files elsewhere stay those of the order of reading.
    pub(crate) files_by_name: bool,
}

/// Writes values, with places or without.
#[derive(Clone, Copy)]
struct Writer<'a> {
    sources: &'a SourceMap,
    form: Form,
}

/// An object whose absent fields are left out, as GitHub leaves them out.
#[derive(Default)]
struct Fields(Map<String, Value>);

/// Fields that GitHub's TypeScript reader does not keep, anywhere.
const NOT_IN_TYPESCRIPT: &[&str] = &[
    "cancel-timeout-minutes",
    "defaults",
    "embedded-concurrency",
    "input-types",
    "permissions",
    "shell",
    "timeout-minutes",
    "with",
    "working-directory",
];

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into() {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn value(mut self, form: Form) -> Value {
        if form.typescript {
            self.0.retain(|name, _| !NOT_IN_TYPESCRIPT.contains(&name.as_str()));
        }
        Value::Object(self.0)
    }
}

/// The tree of a reading without errors.
pub(crate) fn tree(reading: &Reading, workflow: &Workflow, form: Form) -> Value {
    let writer = Writer { sources: &reading.sources, form };
    let mut fields = Fields::default();
    fields.put("input-types", input_types(workflow));
    fields.put("env", writer.optional(workflow.env.as_ref()));
    fields.put("permissions", workflow.permissions.as_ref().map(permissions));
    fields.put("defaults", writer.optional(workflow.defaults.as_ref()));
    fields.put("concurrency", writer.optional(workflow.concurrency.as_ref()));
    if form.typescript {
        fields.put("events", events::events(&workflow.on));
    }
    fields.put("jobs", writer.jobs(&workflow.jobs));
    if form.source {
        let mut names: Vec<&str> = reading.sources.iter().map(SourceFile::name).collect();
        if form.files_by_name {
            names.sort_unstable();
        }
        fields.put("file-table", Value::from(names));
    }
    fields.value(form)
}

fn input_types(workflow: &Workflow) -> Option<Value> {
    let inputs = &workflow.on.entries.get("workflow_dispatch")?.dispatch_inputs;
    let types = inputs
        .iter()
        .map(|(name, input)| (name.clone(), serde_json::to_value(input.kind).expect("the name of a type")));
    if inputs.is_empty() { None } else { Some(Value::Object(types.collect())) }
}

/// Scopes with a level other than none.
fn permissions(permissions: &Permissions) -> Value {
    let listed = SCOPES.iter().filter(|scope| permissions.lists(scope));
    let granted = listed.map(|scope| (scope, permissions.level(scope)));
    let granted = granted.filter(|(_, level)| *level != PermissionLevel::None);
    Value::Object(granted.map(|(scope, level)| ((*scope).to_owned(), level.name().into())).collect())
}
