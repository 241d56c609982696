//! The reader: events and a schema to a token, with everything that is wrong on the way.
//!
//! It goes through a file once and in order, and never stops at what a schema refuses, only at what makes going on
//! senseless: broken YAML and used-up budgets. Order and words of the errors are those of GitHub's own reader.

use std::sync::Arc;

use super::budget::{Budget, Exceeded};
use super::keys::Keys;
use super::literal::{key_text, not_allowed};
use super::{BackgroundSteps, Cause, Limit, ReadError, Repairs, Token, TokenKind};
use crate::schema::{AllowedNames, ContextSet, Definition, DefinitionId, MappingId, Schema};
use crate::source::{FileId, SourceFile, Span};
use crate::yaml::{self, Cursor, CursorError, Ending, EventKind, Literal, Stream};

/// What a reading is done with: the same for all files of one reading.
#[derive(Debug)]
pub struct Reading<'a> {
    /// What files may say.
    pub schema: &'static Schema,
    /// The definition that a file has to fit, such as [`crate::schema::WORKFLOW_ROOT`].
    pub root: &'a str,
    /// What may be spent.
    pub budget: &'a mut Budget,
    /// Whether steps may run in the background.
    pub background_steps: BackgroundSteps,
    /// What some scalars should have said.
    pub repairs: Option<&'a Repairs>,
    /// Receives what is wrong.
    pub errors: &'a mut Vec<ReadError>,
}

/// Reads a file. The token is what could be read, also where there are errors; there is none where nothing could.
pub fn read(source: &SourceFile, file: FileId, reading: Reading<'_>) -> Option<Token> {
    let Reading { schema, root, budget, background_steps, repairs, errors } = reading;
    if let Err(exceeded) = budget.add_file(source.name()) {
        errors.push(ReadError::unplaced(exceeded.message()).because(exceeded.cause()));
        return None;
    }
    let chars_max = budget.limits().file_chars_max;
    if source.text().len() > chars_max && crate::expression::utf16_length(source.text()) > chars_max {
        let message = format!("{}: The maximum file size of {chars_max} characters has been exceeded", source.name());
        errors.push(ReadError::unplaced(message).because(Cause::Limit(Limit::FileSize)));
        return None;
    }
    let definition = schema.find(root)?;
    let stream = yaml::parse(source.text(), file);
    let result = Cursor::new(&stream).map_err(|error| cursor_error(file, error)).and_then(|cursor| {
        let allowed = Vec::new();
        let mut reader = Reader { schema, source, file, cursor, budget, errors, background_steps, repairs, allowed };
        reader.document(&stream, Place { definition, context: ContextSet::default() })
    });
    budget.surface();
    match result {
        Ok(token) => Some(token),
        Err(stop) => {
            errors.push(*stop);
            None
        }
    }
}

/// What ends a reading. Boxed, since it is rare and large.
pub(super) type Stop = Box<ReadError>;

/// What is allowed at a place: a definition, and the contexts of all definitions around it.
#[derive(Clone, Copy)]
struct Place {
    definition: DefinitionId,
    context: ContextSet,
}

pub(super) struct Reader<'a> {
    pub(super) schema: &'static Schema,
    pub(super) source: &'a SourceFile,
    pub(super) file: FileId,
    cursor: Cursor<'a>,
    budget: &'a mut Budget,
    pub(super) errors: &'a mut Vec<ReadError>,
    pub(super) background_steps: BackgroundSteps,
    repairs: Option<&'a Repairs>,
    /// The names of the context sets met so far; there are few.
    pub(super) allowed: Vec<(ContextSet, Arc<AllowedNames>)>,
}

/// A scalar with its type, before expressions are looked for.
pub(super) struct TypedScalar {
    pub(super) literal: Literal,
    pub(super) span: Span,
}

impl Reader<'_> {
    fn document(&mut self, stream: &Stream, root: Place) -> Result<Token, Stop> {
        if self.cursor.current().is_none() && stream.ending == Ending::Empty {
            let error = ReadError::in_file(self.file, "Expected document start parse event");
            return Err(Box::new(error.because(Cause::EmptyFile)));
        }
        let token = self.value(root)?;
        if let Ending::AnotherDocument(span) = stream.ending {
            let error = ReadError::in_file(self.file, "Expected stream end parse event");
            self.errors.push(error.because(Cause::AnotherDocument).precisely(span));
        }
        Ok(token)
    }

    fn value(&mut self, place: Place) -> Result<Token, Stop> {
        self.spend(Budget::event)?;
        if let Some(scalar) = self.scalar()? {
            let definition = self.schema.definition(place.definition);
            let token = self.parse_scalar(scalar, place.context.with(definition.context));
            let token = self.validate(token, definition, place.context.with(definition.context));
            self.spend_scalar(&token)?;
            return Ok(token);
        }
        let schema = self.schema;
        let definition = schema.definition(place.definition);
        let context = place.context.with(definition.context);
        let Some(event) = self.cursor.current() else { return Err(self.no_value()) };
        let start = event.span;
        match event.kind {
            EventKind::SequenceStart => {
                self.open()?;
                self.spend(Budget::add_value)?;
                let (kind, end) = self.sequence(definition, context, start)?;
                Ok(Token::new(kind, Span { end: end.max(start.end), ..start }))
            }
            EventKind::MappingStart => {
                self.open()?;
                self.spend(Budget::add_value)?;
                let (kind, end) = self.mapping(definition, context, start)?;
                Ok(Token::new(kind, Span { end: end.max(start.end), ..start }))
            }
            EventKind::Scalar(_) | EventKind::SequenceEnd | EventKind::MappingEnd | EventKind::Alias(_) => {
                Err(self.no_value())
            }
        }
    }

    fn sequence(
        &mut self,
        definition: &Definition,
        context: ContextSet,
        start: Span,
    ) -> Result<(TokenKind, u32), Stop> {
        let mut items = Vec::new();
        let mut end = start.end;
        if let Some(item) = definition.sequence {
            while !self.closes(&EventKind::SequenceEnd, &mut end)? {
                let token = self.value(Place { definition: item, context })?;
                end = token.span.end;
                items.push(token);
            }
        } else {
            self.errors.push(
                ReadError::at(start, "A sequence was not expected")
                    .because(Cause::SequenceNotExpected)
                    .expecting(definition),
            );
            while !self.closes(&EventKind::SequenceEnd, &mut end)? {
                end = self.skip()?;
            }
        }
        self.budget.shallower();
        Ok((TokenKind::Sequence(items), end))
    }

    fn mapping(&mut self, definition: &Definition, context: ContextSet, start: Span) -> Result<(TokenKind, u32), Stop> {
        let mut pairs = Vec::new();
        let mut end = start.end;
        match definition.mappings.as_slice() {
            [] => {
                self.errors.push(
                    ReadError::at(start, "A mapping was not expected")
                        .because(Cause::MappingNotExpected)
                        .expecting(definition),
                );
                while !self.closes(&EventKind::MappingEnd, &mut end)? {
                    self.skip()?;
                    end = self.skip()?;
                }
            }
            mappings => {
                let mut candidates = mappings.to_vec();
                self.pairs(start, &mut candidates, context, &mut pairs, &mut end)?.check(self, &candidates, start);
                if !self.closes(&EventKind::MappingEnd, &mut end)? {
                    return Err(self.key_not_scalar());
                }
            }
        }
        self.budget.shallower();
        Ok((TokenKind::Mapping(pairs), end))
    }

    /// The pairs of a mapping up to its end, narrowing the candidates to those that have all the keys.
    fn pairs(
        &mut self,
        start: Span,
        candidates: &mut Vec<MappingId>,
        context: ContextSet,
        pairs: &mut Vec<(Token, Token)>,
        end: &mut u32,
    ) -> Result<Keys, Stop> {
        let first = self.schema.mapping(candidates[0]);
        let loose = first.loose;
        let well_known = candidates.len() > 1 || !first.properties.is_empty() || loose.is_none();
        let mut keys = Keys::default();
        while let Some(scalar) = self.scalar()? {
            let mut key = self.parse_scalar(scalar, context);
            if matches!(key.kind, TokenKind::Expression(_) | TokenKind::Insert) {
                keys.has_expression = true;
                if context.is_empty() {
                    *end = self.expression_not_allowed(&key)?;
                    continue;
                }
                self.spend_scalar(&key)?;
                let any = if well_known { None } else { loose.map(|(_, value)| value) };
                let value = self.value(Place { definition: any.unwrap_or(self.schema.any()), context })?;
                *end = value.span.end;
                pairs.push((key, value));
                continue;
            }
            let name = key_text(&mut key);
            if let Some(first) = keys.seen.insert(&name, key.span) {
                let error = ReadError::at(key.span, format!("'{name}' is already defined"));
                self.errors.push(error.because(Cause::DuplicateKey { key: name.to_string(), first }));
                *end = self.skip()?;
                continue;
            }
            let Some(definition) = self.type_of_value(candidates, &name, loose.map(|(_, value)| value)) else {
                self.unexpected_key(&key, start, candidates, &keys);
                *end = self.skip()?;
                continue;
            };
            let (definition, is_loose) = definition;
            if is_loose && let Some((key_definition, _)) = loose {
                let rules = self.schema.definition(key_definition);
                key = self.validate(key, rules, context.with(rules.context));
            }
            self.spend_scalar(&key)?;
            let value = self.value(Place { definition, context })?;
            *end = value.span.end;
            pairs.push((key, value));
        }
        Ok(keys)
    }

    /// The type of a key's value, and whether the key is a free one. Narrows the candidates.
    fn type_of_value(
        &self,
        candidates: &mut Vec<MappingId>,
        name: &str,
        loose: Option<DefinitionId>,
    ) -> Option<(DefinitionId, bool)> {
        let refused = self.background_steps == BackgroundSteps::Refused
            && matches!(name, "background" | "wait" | "wait-all" | "cancel");
        let mut known = candidates.iter().filter_map(|id| self.schema.mapping(*id).properties.get(name));
        if let Some(property) = known.next().filter(|_| !refused) {
            let value = property.value;
            candidates.retain(|id| self.schema.mapping(*id).properties.contains_key(name));
            return Some((value, false));
        }
        loose.map(|value| (value, true))
    }

    fn unexpected_key(&mut self, key: &Token, mapping: Span, candidates: &[MappingId], keys: &Keys) {
        let name = key.as_str().unwrap_or_default();
        let properties = candidates.iter().flat_map(|id| self.schema.mapping(*id).properties.keys().copied());
        let mut candidates: Vec<&'static str> = properties.filter(|name| !keys.seen.contains(name)).collect();
        candidates.sort_unstable();
        candidates.dedup();
        let error = ReadError::at(key.span, format!("Unexpected value '{name}'"));
        self.errors.push(error.because(Cause::UnexpectedKey { key: name.to_owned(), candidates, mapping }));
    }

    fn expression_not_allowed(&mut self, key: &Token) -> Result<u32, Stop> {
        self.errors.push(not_allowed(key.span));
        self.skip()
    }

    /// Passes over a value of which nothing is kept; gives its end.
    fn skip(&mut self) -> Result<u32, Stop> {
        self.spend(Budget::event)?;
        if let Some(scalar) = self.scalar()? {
            return Ok(scalar.span.end);
        }
        let Some(event) = self.cursor.current() else { return Err(self.no_value()) };
        let mut end = event.span.end;
        match event.kind {
            EventKind::SequenceStart => {
                self.open()?;
                while !self.closes(&EventKind::SequenceEnd, &mut end)? {
                    end = self.skip()?;
                }
            }
            EventKind::MappingStart => {
                self.open()?;
                while !self.closes(&EventKind::MappingEnd, &mut end)? {
                    self.skip()?;
                    end = self.skip()?;
                }
            }
            EventKind::Scalar(_) | EventKind::SequenceEnd | EventKind::MappingEnd | EventKind::Alias(_) => {
                return Err(self.no_value());
            }
        }
        self.budget.shallower();
        Ok(end)
    }

    /// The scalar here, if one is here, and goes on.
    fn scalar(&mut self) -> Result<Option<TypedScalar>, Stop> {
        let Some(event) = self.cursor.current() else { return Ok(None) };
        let EventKind::Scalar(scalar) = &event.kind else { return Ok(None) };
        let span = event.span;
        let literal = match self.repairs.and_then(|repairs| repairs.get(&span)) {
            Some(repaired) => Literal::String(Arc::clone(repaired)),
            None => yaml::resolve(scalar).map_err(|error| self.scalar_error(span, error))?,
        };
        self.advance()?;
        Ok(Some(TypedScalar { literal, span }))
    }

    /// Whether a collection ends here, and goes on if so. A flow collection's bracket belongs to it.
    fn closes(&mut self, kind: &EventKind, end: &mut u32) -> Result<bool, Stop> {
        let Some(event) = self.cursor.current().filter(|event| event.kind == *kind) else { return Ok(false) };
        let (from, to) = (event.span.start as usize, event.span.end as usize);
        if matches!(self.source.text().get(from..to), Some("]" | "}")) {
            *end = event.span.end;
        }
        self.advance()?;
        Ok(true)
    }

    fn open(&mut self) -> Result<(), Stop> {
        self.advance()?;
        self.spend(Budget::deeper)
    }

    fn advance(&mut self) -> Result<(), Stop> {
        self.cursor.advance().map_err(|error| cursor_error(self.file, error))
    }

    fn spend(&mut self, what: impl FnOnce(&mut Budget) -> Result<(), Exceeded>) -> Result<(), Stop> {
        what(self.budget).map_err(|exceeded| {
            let at = self.cursor.current().map(|event| event.span);
            Box::new(ReadError::in_file(self.file, exceeded.message()).because(exceeded.cause()).precisely(at))
        })
    }

    fn spend_scalar(&mut self, token: &Token) -> Result<(), Stop> {
        match &token.kind {
            TokenKind::String(text) => self.spend(|budget| budget.add_string(text)),
            TokenKind::Expression(expression) => self.spend(|budget| budget.add_string(expression.text())),
            TokenKind::Null
            | TokenKind::Boolean(_)
            | TokenKind::Number(_)
            | TokenKind::Sequence(_)
            | TokenKind::Mapping(_)
            | TokenKind::Insert => self.spend(Budget::add_value),
        }
    }

    fn key_not_scalar(&self) -> Stop {
        let at = self.cursor.current().map(|event| event.span);
        Box::new(ReadError::in_file(self.file, "Expected mapping end").because(Cause::KeyNotScalar).precisely(at))
    }

    fn no_value(&self) -> Stop {
        let message = "Expected a scalar value, a sequence, or a mapping";
        Box::new(ReadError::in_file(self.file, message))
    }
}

fn cursor_error(file: FileId, error: CursorError) -> Stop {
    Box::new(match error {
        CursorError::Syntax(error) => {
            let text = error.message.clone();
            let span = error.span;
            ReadError::in_file(file, text).because(Cause::Syntax(error)).precisely(span)
        }
        CursorError::TooManyNodes(alias) => {
            let exceeded = Exceeded(Limit::Aliases);
            ReadError::in_file(file, exceeded.message()).because(exceeded.cause()).precisely(alias)
        }
    })
}
