//! From statements to a [`Schema`]: names become numbers, alternatives are flattened, `on:` is made of its events.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::notation::{Alternative, Entry, Item, Statement, Type, item, statements};
use super::{ContextSet, Definition, DefinitionId, EventSyntax, Mapping, MappingId, Property, Schema, StringRule};

/// Filters of events that are one pattern or several.
const PATTERN_FILTER: &str = "text | [text]";

/// Reads a schema file. Panics on mistakes in it, which tests find.
pub(super) fn load(text: &'static str) -> Schema {
    let mut loader = Loader::default();
    let mut events = Vec::new();
    for statement in statements(text) {
        match statement {
            Statement::Set { name, items } => {
                let set = loader.set(items);
                loader.sets.insert(name, set);
            }
            Statement::Define { name, value } => {
                loader.types.insert(name, value);
            }
            Statement::Event { name, filters, types, value } => {
                let value = value.unwrap_or_else(|| event_type(&filters, &types));
                events.push((EventSyntax { name, types }, value));
            }
        }
    }
    loader.add_events(&events);
    loader.add_any();
    let names: Vec<&'static str> = loader.types.keys().copied().collect();
    for name in names {
        loader.named(name);
    }
    let any = loader.named("any");
    let names = loader.numbers;
    let events = events.into_iter().map(|(event, _)| event).collect();
    Schema { definitions: loader.definitions, mappings: loader.mappings, names, items: loader.items, events, any }
}

#[derive(Default)]
struct Loader {
    items: Vec<Item>,
    sets: HashMap<&'static str, ContextSet>,
    types: IndexMap<&'static str, Type>,
    numbers: HashMap<&'static str, DefinitionId>,
    blocks: HashMap<&'static str, MappingId>,
    definitions: Vec<Definition>,
    mappings: Vec<Mapping>,
}

impl Loader {
    fn set(&mut self, items: &'static str) -> ContextSet {
        let mut set = ContextSet::default();
        for word in items.split_whitespace() {
            if let Some(name) = word.strip_prefix('$') {
                set = set.with(*self.sets.get(name).expect("a set of the schema stands before its use"));
                continue;
            }
            let item = item(word);
            let index = self.items.iter().position(|known| *known == item).unwrap_or_else(|| {
                self.items.push(item);
                self.items.len() - 1
            });
            assert!(index < 32, "a schema has at most 32 contexts and functions");
            set = set.with(ContextSet(1 << index));
        }
        set
    }

    /// `on-strict`: one of the names, a list of names, or a mapping of events.
    fn add_events(&mut self, events: &[(EventSyntax, Type)]) {
        let names: Vec<_> = events.iter().map(|(event, _)| Alternative::Constant(event.name)).collect();
        let entries = events.iter().map(|(event, value)| property(event.name, value.clone())).collect();
        self.types.insert("event-name", Type { alternatives: names.clone(), context: "" });
        let mut alternatives = names;
        alternatives.push(Alternative::Sequence(Box::new(named_type("event-name"))));
        alternatives.push(Alternative::Mapping(entries));
        self.types.insert("on-strict", Type { alternatives, context: "" });
    }

    /// `any` and the two collections of it.
    fn add_any(&mut self) {
        let sequence = Alternative::Sequence(Box::new(named_type("any")));
        let mapping = Entry::Loose { key: named_type("string"), value: named_type("any") };
        let kinds = ["null", "boolean", "number", "string", "sequence", "mapping"];
        let any = kinds.map(Alternative::Name).to_vec();
        self.types.insert("sequence", Type { alternatives: vec![sequence], context: "" });
        self.types.insert("mapping", Type { alternatives: vec![Alternative::Mapping(vec![mapping])], context: "" });
        self.types.insert("any", Type { alternatives: any, context: "" });
    }

    /// The number of a definition with a name.
    fn named(&mut self, name: &'static str) -> DefinitionId {
        if let Some(id) = self.numbers.get(name) {
            return *id;
        }
        let value = self.types.get(name).cloned().unwrap_or_else(|| named_type(name));
        let id = self.reserve();
        self.numbers.insert(name, id);
        self.fill(id, name, &value);
        id
    }

    fn reserve(&mut self) -> DefinitionId {
        self.definitions.push(Definition::default());
        DefinitionId(u16::try_from(self.definitions.len() - 1).expect("a schema has few definitions"))
    }

    /// The number of a type that stands inside another. A plain name is that definition.
    fn inner(&mut self, value: &Type) -> DefinitionId {
        match value.alternatives.as_slice() {
            [Alternative::Name(name)] if value.context.is_empty() => self.named(name),
            _ => {
                let id = self.reserve();
                self.fill(id, "", value);
                id
            }
        }
    }

    fn fill(&mut self, id: DefinitionId, name: &'static str, value: &Type) {
        let mut definition = Definition { context: self.set(value.context), ..Definition::default() };
        self.flatten(&mut definition, name, value);
        self.definitions[usize::from(id.0)] = definition;
    }

    fn flatten(&mut self, definition: &mut Definition, name: &'static str, value: &Type) {
        for alternative in &value.alternatives {
            match alternative {
                Alternative::Name("null") => definition.null = true,
                Alternative::Name("boolean") => definition.boolean = true,
                Alternative::Name("number") => definition.number = true,
                Alternative::Name("string") => definition.strings.push(StringRule::Any),
                Alternative::Name("text") => definition.strings.push(StringRule::NonEmpty),
                Alternative::Name("condition") => definition.strings.push(StringRule::Condition),
                Alternative::Name(other) => {
                    let target = self.types.get(other).cloned();
                    let target = target.unwrap_or_else(|| panic!("the schema has no definition '{other}'"));
                    let outer = definition.context.with(self.set(target.context));
                    definition.context = outer;
                    self.flatten(definition, other, &target);
                }
                Alternative::Constant(constant) => definition.strings.push(StringRule::Constant(constant)),
                Alternative::Sequence(item) => definition.sequence = Some(self.inner(item)),
                Alternative::Mapping(entries) => {
                    let id = self.block(name, entries);
                    definition.mappings.push(id);
                }
            }
        }
    }

    /// The number of a mapping; those of named definitions are shared.
    fn block(&mut self, name: &'static str, entries: &[Entry]) -> MappingId {
        if let Some(id) = self.blocks.get(name) {
            return *id;
        }
        let id = MappingId(u16::try_from(self.mappings.len()).expect("a schema has few mappings"));
        self.mappings.push(Mapping::default());
        if !name.is_empty() {
            self.blocks.insert(name, id);
        }
        let mut mapping = Mapping::default();
        self.add_entries(&mut mapping, entries);
        self.mappings[usize::from(id.0)] = mapping;
        id
    }

    fn add_entries(&mut self, mapping: &mut Mapping, entries: &[Entry]) {
        for entry in entries {
            match entry {
                Entry::All(name) => {
                    let target = self.types.get(name).cloned();
                    for alternative in target.into_iter().flat_map(|target| target.alternatives) {
                        if let Alternative::Mapping(entries) = alternative {
                            self.add_entries(mapping, &entries);
                        }
                    }
                }
                Entry::Loose { key, value } => mapping.loose = Some((self.inner(key), self.inner(value))),
                Entry::Property { key, required, value, description } => {
                    let value = self.inner(value);
                    mapping.properties.insert(key, Property { value, required: *required, description: *description });
                }
            }
        }
    }
}

fn named_type(name: &'static str) -> Type {
    Type { alternatives: vec![Alternative::Name(name)], context: "" }
}

fn property(key: &'static str, value: Type) -> Entry {
    Entry::Property { key, required: false, value, description: None }
}

/// Null, or a mapping of `types` and filters; only null where there are none.
fn event_type(filters: &[&'static str], types: &[&'static str]) -> Type {
    let mut alternatives = vec![Alternative::Name("null")];
    let mut entries = Vec::new();
    if !types.is_empty() {
        let constants: Vec<_> = types.iter().map(|value| Alternative::Constant(value)).collect();
        let one = Type { alternatives: constants.clone(), context: "" };
        let mut one_or_several = constants;
        one_or_several.push(Alternative::Sequence(Box::new(one)));
        entries.push(property("types", Type { alternatives: one_or_several, context: "" }));
    }
    entries.extend(filters.iter().map(|filter| property(filter, super::notation::type_of(PATTERN_FILTER))));
    if !entries.is_empty() {
        alternatives.push(Alternative::Mapping(entries));
    }
    Type { alternatives, context: "" }
}
