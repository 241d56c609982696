//! The keys that a mapping has had so far, whatever their case, and what is missing among them at its end.

use std::collections::HashMap;

use super::read::Reader;
use super::{Cause, ReadError};
use crate::expression::equal_ignoring_case;
use crate::schema::{MappingId, Schema};
use crate::source::Span;

/// The keys of a mapping so far.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) seen: KeySet,
    /// A key is an expression, so that any key may be there.
    pub(super) has_expression: bool,
}

impl Keys {
    /// At the end of a mapping: it must be clear which one is meant, and have all that this one needs.
    pub(super) fn check(&self, reader: &mut Reader<'_>, candidates: &[MappingId], at: Span) {
        match candidates {
            [only] if !self.has_expression => {
                for (name, property) in &reader.schema.mapping(*only).properties {
                    if property.required && !self.seen.contains(name) {
                        let error = ReadError::at(at, format!("Required property is missing: {name}"));
                        reader.errors.push(error.because(Cause::MissingProperty { name }));
                    }
                }
            }
            [] | [_] => {}
            several => {
                let names = telling(reader.schema, several);
                let told = names.iter().copied().filter(|name| reader.background_steps.tells(name));
                let told = told.collect::<Vec<_>>().join(", ");
                let message =
                    format!("There's not enough info to determine what you meant. Add one of these properties: {told}");
                reader.errors.push(ReadError::at(at, message).because(Cause::NotEnoughInfo { candidates: names }));
            }
        }
    }
}

/// The keys that only one of several mappings has, in alphabetical order: any of them tells which one is meant.
pub(super) fn telling(schema: &Schema, mappings: &[MappingId]) -> Vec<&'static str> {
    let keys = mappings.iter().flat_map(|id| schema.mapping(*id).properties.keys().copied());
    let mut keys: Vec<&'static str> = keys.collect();
    keys.sort_unstable();
    keys.chunk_by(|a, b| a == b).filter(|same| same.len() == 1).map(|same| same[0]).collect()
}

/// Keys beyond this many are looked up by hash.
const FEW: usize = 12;

/// A set of keys, each with its place. Most mappings have few, for which a list is fastest.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    few: Vec<(Box<str>, Span)>,
    many: HashMap<String, Span>,
}

impl KeySet {
    /// Adds a key; gives the place of the same key if it was there before.
    pub(super) fn insert(&mut self, key: &str, span: Span) -> Option<Span> {
        if let Some(first) = self.find(key) {
            return Some(first);
        }
        if self.few.len() < FEW {
            self.few.push((key.into(), span));
        } else {
            self.many.insert(fold(key), span);
        }
        None
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<Span> {
        let few = self.few.iter().find(|(known, _)| equal_ignoring_case(known, key)).map(|(_, span)| *span);
        few.or_else(|| if self.many.is_empty() { None } else { self.many.get(&fold(key)).copied() })
    }
}

fn fold(key: &str) -> String {
    key.chars().flat_map(char::to_uppercase).collect()
}
