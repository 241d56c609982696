//! The notation of the schema files, line by line: sets, definitions, mappings, events.
//!
//! The files are part of the program and checked by tests, so a mistake in one is a bug and panics.

use crate::expression::{AllowedFunction, Function};

/// A context or a function of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// `github`
    Context(&'static str),
    /// `hashFiles(1,255)`
    Function(AllowedFunction),
}

/// A type as written.
#[derive(Debug, Clone, Default)]
pub(super) struct Type {
    pub(super) alternatives: Vec<Alternative>,
    /// The items after `in`.
    pub(super) context: &'static str,
}

/// One of the things between `|`.
#[derive(Debug, Clone)]
pub(super) enum Alternative {
    /// `text`, `job`
    Name(&'static str),
    /// `'inherit'`
    Constant(&'static str),
    /// `[text]`
    Sequence(Box<Type>),
    /// `{text: string}`, or a block
    Mapping(Vec<Entry>),
}

/// A line of a mapping.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// `runs-on!: runs-on -- Labels.`
    Property { key: &'static str, required: bool, value: Type, description: Option<&'static str> },
    /// `<text>: any`
    Loose { key: Type, value: Type },
    /// `...container-mapping`
    All(&'static str),
}

/// A line, or several for a mapping.
#[derive(Debug)]
pub(super) enum Statement {
    /// `set job = github inputs`
    Set { name: &'static str, items: &'static str },
    /// `cron = { … }`, `level = 'read' | 'write'`
    Define { name: &'static str, value: Type },
    /// `event push branches`
    Event { name: &'static str, filters: Vec<&'static str>, types: Vec<&'static str>, value: Option<Type> },
}

/// All statements of a schema file.
pub(super) fn statements(text: &'static str) -> Vec<Statement> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        found.push(if let Some(rest) = line.strip_prefix("set ") {
            let (name, items) = pair(rest, '=');
            Statement::Set { name, items }
        } else if let Some(rest) = line.strip_prefix("values ") {
            let (name, values) = pair(rest, '=');
            let alternatives = values.split_whitespace().map(Alternative::Constant).collect();
            Statement::Define { name, value: Type { alternatives, context: "" } }
        } else if let Some(rest) = line.strip_prefix("event ") {
            event(rest)
        } else {
            let (name, value) = pair(line, '=');
            let value = if value == "{" {
                let entries = lines.by_ref().take_while(|line| *line != "}").map(entry).collect();
                Type { alternatives: vec![Alternative::Mapping(entries)], context: "" }
            } else {
                type_of(value)
            };
            Statement::Define { name, value }
        });
    }
    found
}

fn event(rest: &'static str) -> Statement {
    let (head, value) = match rest.split_once('=') {
        Some((head, value)) => (head, Some(type_of(value.trim()))),
        None => (rest, None),
    };
    let mut words = head.split_whitespace();
    let name = words.next().expect("an event of the schema has a name");
    let filters = words.by_ref().take_while(|word| *word != "types").collect();
    Statement::Event { name, filters, types: words.collect(), value }
}

fn entry(line: &'static str) -> Entry {
    if let Some(name) = line.strip_prefix("...") {
        return Entry::All(name);
    }
    let (line, description) = match line.split_once(" -- ") {
        Some((line, description)) => (line.trim(), Some(description.trim())),
        None => (line, None),
    };
    let (key, value) = pair(line, ':');
    if let Some(key) = key.strip_prefix('<').and_then(|key| key.strip_suffix('>')) {
        return Entry::Loose { key: type_of(key), value: type_of(value) };
    }
    let required = key.ends_with('!');
    Entry::Property { key: key.trim_end_matches('!'), required, value: type_of(value), description }
}

/// A type on one line: alternatives, then perhaps `in` and its items.
pub(super) fn type_of(text: &'static str) -> Type {
    let (text, context) = text.split_once(" in ").unwrap_or((text, ""));
    let alternatives = text.split('|').map(|part| alternative(part.trim())).collect();
    Type { alternatives, context }
}

fn alternative(text: &'static str) -> Alternative {
    let between = |open: char, close: char| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    if let Some(constant) = between('\'', '\'') {
        Alternative::Constant(constant)
    } else if let Some(item) = between('[', ']') {
        Alternative::Sequence(Box::new(type_of(item)))
    } else if let Some(inner) = between('{', '}') {
        let (key, value) = pair(inner, ':');
        Alternative::Mapping(vec![Entry::Loose { key: type_of(key), value: type_of(value) }])
    } else {
        Alternative::Name(text)
    }
}

fn pair(text: &'static str, separator: char) -> (&'static str, &'static str) {
    let (left, right) = text.split_once(separator).expect("a line of the schema has a name and a value");
    (left.trim(), right.trim())
}

/// A context, or a function with its least and most arguments.
pub(super) fn item(text: &'static str) -> Item {
    let Some((name, counts)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return Item::Context(text);
    };
    let (min, max) = pair(counts, ',');
    let number = |text: &str| match text {
        "MAX" => usize::MAX,
        _ => text.parse().expect("a function of the schema has numbers of arguments"),
    };
    let function = Function::from_name(name).expect("a function of the schema exists");
    Item::Function(AllowedFunction::new(function, number(min), number(max)))
}
