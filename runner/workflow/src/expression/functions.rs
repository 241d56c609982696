//! The functions of the language.
//!
//! Arguments are evaluated when a function needs them, as GitHub does. What it does not do: count arguments (`parser`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#functions>.

use std::fmt::Write as _;

use super::compare::equal;
use super::context::Function;
use super::error::{Cause, ExpressionError};
use super::evaluate::{Evaluated, Evaluator, too_large};
use super::format::{Malformed, Piece, pieces};
use super::json::pretty;
use super::memory::TooLarge;
use super::node::Node;
use super::text::fold;
use super::value::Value;

impl Evaluator<'_> {
    /// Calls a function whose arguments lie at `level`.
    pub(super) fn call(
        &mut self,
        node: &Node,
        function: Function,
        arguments: &[Node],
        level: usize,
    ) -> Result<Evaluated, ExpressionError> {
        match function {
            Function::Case => self.case(node, arguments, level),
            Function::Contains => self.contains(arguments, level).map(Evaluated::from),
            Function::StartsWith => {
                self.compare_texts(arguments, level, |text, part| text.starts_with(part)).map(Evaluated::from)
            }
            Function::EndsWith => {
                self.compare_texts(arguments, level, |text, part| text.ends_with(part)).map(Evaluated::from)
            }
            Function::Format => self.format(node, arguments, level).map(Evaluated::from),
            Function::FromJson => self.parse_json(node, arguments, level),
            Function::Join => self.join(node, arguments, level).map(Evaluated::from),
            Function::ToJson => {
                let value = self.argument(arguments, 0, level)?;
                let mut counter = self.memory.counter();
                pretty(&value, &mut counter).map(Evaluated::from).map_err(|TooLarge| too_large(node))
            }
            Function::HashFiles => self.hash_files(node, arguments, level).map(Evaluated::from),
            Function::Always | Function::Cancelled | Function::Failure | Function::Success => {
                self.status(node, function, arguments, level).map(Evaluated::from)
            }
        }
    }

    /// The value of an argument; null where it was left out.
    fn argument(&mut self, arguments: &[Node], index: usize, level: usize) -> Result<Value, ExpressionError> {
        match arguments.get(index) {
            Some(argument) => Ok(self.evaluate(argument, level)?.value),
            None => Ok(Value::Null),
        }
    }

    fn case(&mut self, node: &Node, arguments: &[Node], level: usize) -> Result<Evaluated, ExpressionError> {
        for pair in arguments.chunks(2) {
            let [predicate, result] = pair else { break };
            match self.evaluate(predicate, level)?.value {
                Value::Boolean(true) => return self.evaluate(result, level),
                Value::Boolean(false) => {}
                Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    let message = "case predicate must evaluate to a boolean value".to_owned();
                    return Err(ExpressionError::evaluation(Cause::CasePredicate, message, predicate.span.clone()));
                }
            }
        }
        self.evaluate(arguments.last().unwrap_or(node), level)
    }

    fn contains(&mut self, arguments: &[Node], level: usize) -> Result<bool, ExpressionError> {
        let search = self.argument(arguments, 0, level)?;
        match &search {
            Value::Object(_) => Ok(false),
            Value::Array(items) if items.is_empty() => Ok(false),
            Value::Array(items) => {
                let item = self.argument(arguments, 1, level)?;
                Ok(items.iter().any(|candidate| equal(&item, candidate)))
            }
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
                let item = self.argument(arguments, 1, level)?;
                Ok(compare_folded(&search, &item, |text, part| text.contains(part)))
            }
        }
    }

    fn compare_texts(
        &mut self,
        arguments: &[Node],
        level: usize,
        holds: impl Fn(&str, &str) -> bool,
    ) -> Result<bool, ExpressionError> {
        let text = self.argument(arguments, 0, level)?;
        if !text.is_primitive() {
            return Ok(false);
        }
        let part = self.argument(arguments, 1, level)?;
        Ok(compare_folded(&text, &part, holds))
    }

    fn format(&mut self, node: &Node, arguments: &[Node], level: usize) -> Result<String, ExpressionError> {
        let text = self.argument(arguments, 0, level)?.to_display_string();
        let fail = |message: String| ExpressionError::evaluation(Cause::Format, message, node.span.clone());
        let exceeded = |TooLarge| too_large(node);
        let mut counter = self.memory.counter();
        // The whole text is read before any argument is evaluated.
        let mut list = Vec::new();
        for piece in pieces(&text) {
            let piece = piece.map_err(|Malformed| fail(format!("The following format string is invalid: {text}")))?;
            match piece {
                Piece::Text(part) => counter.add_string(part).map_err(exceeded)?,
                Piece::Argument(index) | Piece::Specified(index, _) => {
                    if usize::from(index) + 1 >= arguments.len() {
                        let reason = "The following format string references more arguments than were supplied";
                        return Err(fail(format!("{reason}: {text}")));
                    }
                }
            }
            list.push(piece);
        }
        let mut values = vec![None; arguments.len()];
        let mut result = String::new();
        for piece in list {
            let index = match piece {
                Piece::Text(part) => {
                    result.push_str(part);
                    continue;
                }
                Piece::Argument(index) | Piece::Specified(index, _) => usize::from(index) + 1,
            };
            if values[index].is_none() {
                values[index] = Some(self.argument(arguments, index, level)?);
            }
            let value = values[index].as_ref().unwrap_or(&Value::Null);
            if let Piece::Specified(_, specifiers) = piece {
                let (specifiers, kind) = (specifiers.replace("}}", "}"), value.kind());
                return Err(fail(format!(
                    "The format specifiers '{specifiers}' are not valid for objects of type '{kind}'"
                )));
            }
            let part = value.to_display_string();
            if !part.is_empty() {
                counter.add_string(&part).map_err(exceeded)?;
            }
            result.push_str(&part);
        }
        Ok(result)
    }

    fn parse_json(&mut self, node: &Node, arguments: &[Node], level: usize) -> Result<Evaluated, ExpressionError> {
        let text = self.argument(arguments, 0, level)?.to_display_string();
        Value::parse_json(&text).map(Evaluated::from).map_err(|reason| {
            let message = format!("Error parsing fromJson: {reason}");
            ExpressionError::evaluation(Cause::Json, message, node.span.clone())
        })
    }

    fn join(&mut self, node: &Node, arguments: &[Node], level: usize) -> Result<String, ExpressionError> {
        let items = self.argument(arguments, 0, level)?;
        let Value::Array(items) = &items else {
            return Ok(if items.is_primitive() { items.to_display_string().to_string() } else { String::new() });
        };
        let mut separator = ",".into();
        if items.len() > 1 && arguments.len() > 1 {
            let value = self.argument(arguments, 1, level)?;
            if value.is_primitive() {
                separator = value.to_display_string();
            }
        }
        let mut counter = self.memory.counter();
        let mut result = String::new();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                counter.add_string(&separator).map_err(|TooLarge| too_large(node))?;
                result.push_str(&separator);
            }
            let item = item.to_display_string();
            counter.add_string(&item).map_err(|TooLarge| too_large(node))?;
            result.push_str(&item);
        }
        Ok(result)
    }

    fn hash_files(&mut self, node: &Node, arguments: &[Node], level: usize) -> Result<String, ExpressionError> {
        let mut patterns = Vec::new();
        for index in 0..arguments.len() {
            patterns.push(self.argument(arguments, index, level)?.to_display_string().to_string());
        }
        self.scope.hash_files(&patterns).map_err(|reason| {
            let mut message = format!("hashFiles('{}') failed.", patterns.join(", ").replace('\'', "''"));
            write!(message, " {reason}").expect("writing to a string cannot fail");
            ExpressionError::evaluation(Cause::HashFiles, message, node.span.clone())
        })
    }

    fn status(
        &mut self,
        node: &Node,
        function: Function,
        arguments: &[Node],
        level: usize,
    ) -> Result<bool, ExpressionError> {
        let mut values = Vec::new();
        for index in 0..arguments.len() {
            values.push(self.argument(arguments, index, level)?);
        }
        self.scope.status_function(function, &values).ok_or_else(|| {
            let message = format!("{}() cannot be evaluated here", function.name());
            ExpressionError::evaluation(Cause::NotHere, message, node.span.clone())
        })
    }
}

/// Whether a relation holds between two values as upper-case texts; never with a collection.
fn compare_folded(text: &Value, part: &Value, holds: impl Fn(&str, &str) -> bool) -> bool {
    text.is_primitive()
        && part.is_primitive()
        && holds(&fold(&text.to_display_string()), &fold(&part.to_display_string()))
}
