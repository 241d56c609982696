//! What a workflow file and an action.yml may say: every key, the type of its value, and which contexts and functions
//! expressions in it may name.
//!
//! The facts are data (`workflow.schema`, `action.schema`, in a notation explained there), read once. What it does
//! not do: check a file (`template`), or know what keys mean to each other (`read`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax>.

mod load;
mod notation;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::LazyLock;

use indexmap::IndexMap;

use crate::expression::AllowedFunction;

/// The root of a workflow file, with every event known.
pub const WORKFLOW_ROOT: &str = "workflow-root-strict";
/// The root of a workflow file whose events are not looked into, but for `workflow_call`.
pub const WORKFLOW_ROOT_RELAXED: &str = "workflow-root";
/// The root of an action.yml as a runner reads it.
pub const ACTION_ROOT: &str = "action-root";
/// The root of an action.yml as an author should write it.
pub const ACTION_ROOT_STRICT: &str = "action-root-strict";

/// A definition of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DefinitionId(u16);

/// A mapping of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MappingId(u16);

/// A set of contexts and functions of a [`Schema`]; sets join with [`ContextSet::with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ContextSet(u32);

impl ContextSet {
    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it allows nothing, which means no expressions at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// All that a value may be. An empty definition allows nothing.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// What it allows in expressions, beyond what the definitions around it allow.
    pub context: ContextSet,
    /// Whether null is allowed.
    pub null: bool,
    /// Whether booleans are allowed.
    pub boolean: bool,
    /// Whether numbers are allowed.
    pub number: bool,
    /// The strings that are allowed; any of the rules may hold.
    pub strings: Vec<StringRule>,
    /// The type of the items, where a sequence is allowed.
    pub sequence: Option<DefinitionId>,
    /// The mappings that are allowed; the keys tell which one is meant.
    pub mappings: Vec<MappingId>,
}

/// Which strings are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringRule {
    /// Any.
    Any,
    /// Any but the empty one.
    NonEmpty,
    /// This one, in this case.
    Constant(&'static str),
    /// An expression, with or without its braces.
    Condition,
}

impl StringRule {
    /// Whether it allows this text.
    #[must_use]
    pub fn allows(self, text: &str) -> bool {
        match self {
            Self::Any | Self::Condition => true,
            Self::NonEmpty => !text.is_empty(),
            Self::Constant(constant) => constant == text,
        }
    }
}

/// The keys of a mapping.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// The well-known keys. Their case matters.
    pub properties: IndexMap<&'static str, Property>,
    /// The types of other keys and their values, where other keys are allowed.
    pub loose: Option<(DefinitionId, DefinitionId)>,
}

/// A well-known key.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The type of its value.
    pub value: DefinitionId,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for, in a sentence.
    pub description: Option<&'static str>,
}

/// Contexts and functions by name, as the expression parser takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedNames {
    /// Contexts.
    pub contexts: Vec<&'static str>,
    /// Functions beyond the built-in ones.
    pub functions: Vec<AllowedFunction>,
}

/// An event of `on:`.
#[derive(Debug, Clone)]
pub struct EventSyntax {
    /// Its name.
    pub name: &'static str,
    /// The values that `types:` may have; empty where it has no `types:`.
    pub types: Vec<&'static str>,
}

/// The definitions of one kind of file.
#[derive(Debug)]
pub struct Schema {
    definitions: Vec<Definition>,
    mappings: Vec<Mapping>,
    names: HashMap<&'static str, DefinitionId>,
    items: Vec<notation::Item>,
    events: Vec<EventSyntax>,
    any: DefinitionId,
}

impl Schema {
    /// The schema of workflow files.
    pub fn workflow() -> &'static Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| load::load(include_str!("workflow.schema")));
        &SCHEMA
    }

    /// The schema of action.yml.
    pub fn action() -> &'static Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| load::load(include_str!("action.schema")));
        &SCHEMA
    }

    /// The definition with that name, such as [`WORKFLOW_ROOT`].
    #[must_use]
    pub fn find(&self, name: &str) -> Option<DefinitionId> {
        self.names.get(name).copied()
    }

    /// A definition.
    #[must_use]
    pub fn definition(&self, id: DefinitionId) -> &Definition {
        &self.definitions[usize::from(id.0)]
    }

    /// A mapping.
    #[must_use]
    pub fn mapping(&self, id: MappingId) -> &Mapping {
        &self.mappings[usize::from(id.0)]
    }

    /// The definition that allows everything, at any depth.
    #[must_use]
    pub const fn any(&self) -> DefinitionId {
        self.any
    }

    /// The events of `on:`, in alphabetical order; none for an action.
    #[must_use]
    pub fn events(&self) -> &[EventSyntax] {
        &self.events
    }

    /// The names in a set.
    #[must_use]
    pub fn allowed(&self, set: ContextSet) -> AllowedNames {
        let mut names = AllowedNames::default();
        for (index, item) in self.items.iter().enumerate() {
            if set.0 >> index & 1 == 0 {
                continue;
            }
            match *item {
                notation::Item::Context(name) => names.contexts.push(name),
                notation::Item::Function(function) => names.functions.push(function),
            }
        }
        names
    }

    /// The key at a path such as `jobs.*.steps.*.run`, where `*` is any free key or any item: what it is for.
    #[must_use]
    pub fn describe(&self, root: &str, path: &[&str]) -> Option<&'static str> {
        let (last, parents) = path.split_last()?;
        let mut reached = vec![self.find(root)?];
        for step in parents {
            reached = reached.iter().flat_map(|id| self.children(*id, step)).map(|(id, _)| id).collect();
        }
        reached.iter().flat_map(|id| self.children(*id, last)).find_map(|(_, description)| description)
    }

    fn children(&self, id: DefinitionId, step: &str) -> Vec<(DefinitionId, Option<&'static str>)> {
        let definition = self.definition(id);
        let mappings = definition.mappings.iter().map(|id| self.mapping(*id));
        let mut found: Vec<_> =
            definition.sequence.filter(|_| step == "*").map(|item| (item, None)).into_iter().collect();
        for mapping in mappings {
            let known = mapping.properties.get(step).map(|property| (property.value, property.description));
            found.extend(known.or_else(|| mapping.loose.map(|(_, value)| (value, None))));
        }
        found
    }
}
