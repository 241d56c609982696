//! Scalars with `${{ }}` in them: cut into literal parts and expressions, and joined into one expression.
//!
//! `ci-${{ github.ref }}` becomes `format('ci-{0}', github.ref)`, a lone `${{ 'x' }}` becomes the string `x`, and
//! `${{ insert }}` stands for itself.

use std::ops::Range;
use std::sync::Arc;

use super::{Cause, TokenKind};
use crate::expression::{Allowed, Expression, ExpressionError, find_end};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";
const INSERT: &str = "insert";

/// What is wrong with a scalar.
#[derive(Debug)]
pub(super) struct TextError {
    /// In GitHub's words.
    pub(super) message: String,
    /// Why.
    pub(super) cause: Cause,
    /// The expression to blame: the byte after its `${{`, and the bytes to blame counted from there.
    pub(super) expression: Option<(usize, Range<usize>)>,
}

enum Segment {
    Text(Range<usize>),
    Expression(Expression),
    Insert,
}

/// Whether a text has anything but literal characters.
pub(super) fn has_expression(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), OPEN.as_bytes()).is_some()
}

/// Reads a text with `${{` in it.
pub(super) fn parse(text: &str, allowed: &Allowed<'_>) -> Result<TokenKind, Box<TextError>> {
    let mut segments = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(OPEN) {
        let open = at + found;
        if open > at {
            segments.push(Segment::Text(at..open));
        }
        let body = open + OPEN.len();
        let Some(close) = find_end(text, body) else {
            let message = "The expression is not closed. An unescaped ${{ sequence was found, \
                           but the closing }} sequence was not found.";
            return Err(Box::new(TextError {
                message: message.to_owned(),
                cause: Cause::ExpressionNotClosed,
                expression: Some((body, 0..text.len() - body)),
            }));
        };
        let whole = open == 0 && close + CLOSE.len() == text.len();
        segments.push(segment(&text[body..close], body, whole, allowed)?);
        at = close + CLOSE.len();
    }
    if at < text.len() {
        segments.push(Segment::Text(at..text.len()));
    }
    if let [_] = segments.as_slice() {
        return Ok(match segments.pop() {
            Some(Segment::Expression(expression)) => match literal_string(expression.text()) {
                Some(literal) => TokenKind::String(Arc::from(literal)),
                None => TokenKind::Expression(expression),
            },
            Some(Segment::Insert) => TokenKind::Insert,
            Some(Segment::Text(_)) | None => TokenKind::String(Arc::from(text)),
        });
    }
    let joined = join(text, &segments);
    match Expression::parse(&joined, allowed) {
        Ok(expression) => Ok(TokenKind::Expression(expression)),
        Err(error) => Err(expression_error(error, None)),
    }
}

/// One pair of braces, whose content begins at `at`. `whole` says that the scalar is nothing else.
fn segment(body: &str, at: usize, whole: bool, allowed: &Allowed<'_>) -> Result<Segment, Box<TextError>> {
    let trimmed = body.trim();
    let start = body.len() - body.trim_start().len();
    let fail = |message: String, cause, range| Box::new(TextError { message, cause, expression: Some((at, range)) });
    if trimmed.is_empty() {
        return Err(fail("An expression was expected".to_owned(), Cause::EmptyExpression, 0..body.len()));
    }
    let range = start..start + trimmed.len();
    if let Some(parameters) = insert_parameters(trimmed) {
        if parameters > 0 {
            let message = format!(
                "Exactly 0 parameter(s) were expected following the directive '{INSERT}'. Actual parameter count: {parameters}"
            );
            return Err(fail(message, Cause::Directive, range));
        }
        if !whole {
            let message = format!(
                "The directive '{INSERT}' is not allowed in this context. Directives are not supported for expressions \
                 that are embedded within a string. Directives are only supported when the entire value is an expression."
            );
            return Err(fail(message, Cause::Directive, range));
        }
        return Ok(Segment::Insert);
    }
    let parsed = Expression::parse(trimmed, allowed);
    parsed.map(Segment::Expression).map_err(|error| expression_error(error, Some((at, start))))
}

fn expression_error(error: ExpressionError, place: Option<(usize, usize)>) -> Box<TextError> {
    let expression = place.map(|(at, start)| (at, start + error.span.start..start + error.span.end));
    Box::new(TextError { message: error.message.clone(), cause: Cause::Expression(error), expression })
}

/// How many words follow `insert`; none where it is not that directive.
fn insert_parameters(trimmed: &str) -> Option<usize> {
    let rest = trimmed.strip_prefix(INSERT)?;
    if rest.chars().next().is_some_and(|first| !first.is_whitespace()) {
        return None;
    }
    let (mut parameters, mut in_word, mut in_string, mut parentheses) = (0, false, false, 0_i64);
    for character in rest.chars() {
        if character.is_whitespace() && !in_string && parentheses == 0 {
            in_word = false;
            continue;
        }
        match character {
            '\'' => in_string = !in_string,
            '(' if !in_string => parentheses += 1,
            ')' if !in_string => parentheses -= 1,
            _ => {}
        }
        parameters += usize::from(!in_word);
        in_word = true;
    }
    Some(parameters)
}

/// The string that an expression is, if it is nothing but a string literal.
fn literal_string(expression: &str) -> Option<String> {
    let mut literal = String::new();
    let mut in_string = false;
    for (at, character) in expression.char_indices() {
        if character == '\'' {
            in_string = !in_string;
            if in_string && at != 0 {
                literal.push(character);
            }
        } else if in_string {
            literal.push(character);
        } else {
            return None;
        }
    }
    Some(literal)
}

/// All segments as one call of `format`.
fn join(text: &str, segments: &[Segment]) -> String {
    let mut format = String::from("format('");
    let mut arguments = String::new();
    let mut count = 0;
    for segment in segments {
        match segment {
            Segment::Text(range) => {
                for character in text[range.clone()].chars() {
                    format.push(character);
                    if matches!(character, '\'' | '{' | '}') {
                        format.push(character);
                    }
                }
            }
            Segment::Expression(expression) => {
                format.push_str(&format!("{{{count}}}"));
                arguments.push_str(", ");
                arguments.push_str(expression.text());
                count += 1;
            }
            // Never among several segments: `segment` refuses it there.
            Segment::Insert => {}
        }
    }
    format.push('\'');
    format.push_str(&arguments);
    format.push(')');
    format
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text, &Allowed::new(&["github", "env"], &[])) {
            Ok(TokenKind::Expression(expression)) => expression.text().to_owned(),
            Ok(TokenKind::String(text)) => format!("string {text}"),
            Ok(TokenKind::Insert) => "insert".to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("! {} {:?}", error.message, error.expression),
        }
    }

    #[test]
    fn scalars_become_expressions() {
        for (text, expected) in [
            ("${{ github.ref }}", "github.ref"),
            ("ci-${{ github.ref }}", "format('ci-{0}', github.ref)"),
            ("${{ env.a }}${{ env.b }}", "format('{0}{1}', env.a, env.b)"),
            ("it's {a} ${{ env.a }}", "format('it''s {{a}} {0}', env.a)"),
            ("${{ 'it''s' }}", "string it's"),
            ("${{ '' }}", "string "),
            ("${{ 'a' }}b", "format('{0}b', 'a')"),
            ("${{ '}}' }}", "string }}"),
            ("${{ insert }}", "insert"),
            ("${{insert}}", "insert"),
            ("a ${{ env.a }} }}", "format('a {0} }}}}', env.a)"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_say_which_expression() {
        for (text, start, place) in [
            ("x ${{ }}", "! An expression was expected", "Some((5, 0..1))"),
            ("${{ env.a", "! The expression is not closed. An unescaped ${{ sequence", "Some((3, 0..6))"),
            ("${{ 'a }}", "! The expression is not closed", ""),
            ("a ${{ insert }}", "! The directive 'insert' is not allowed in this context.", "Some((5, 1..7))"),
            (
                "${{ insert a (b c) }}",
                "! Exactly 0 parameter(s) were expected following the directive 'insert'. Actual parameter count: 2",
                "",
            ),
            (
                "${{ env.a }} ${{  githb.x }}",
                "! Unrecognized named-value: 'githb'. Located at position 1 within expression: githb.x",
                "Some((16, 2..7))",
            ),
            ("${{ inserts }}", "! Unrecognized named-value: 'inserts'.", ""),
        ] {
            let actual = read(text);
            assert!(actual.starts_with(start) && actual.ends_with(place), "{text}: {actual}");
        }
    }
}
