//! Expressions that cannot be read: which name or sign is wrong, and what was likely meant.

use super::known::CONTEXTS;
use super::lines;
use super::structure::{span_of, without_stop};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::expression::{Allowed, Cause as Why, Expression, ExpressionError, Function, find_end};
use crate::schema::AllowedNames;
use crate::source::{SourceFile, Span};
use crate::template::{Cause, Place, ReadError};

const UNKNOWN_NAME: Code = Code("P0201");
const UNKNOWN_FUNCTION: Code = Code("P0202");
const SYNTAX: Code = Code("P0203");
const NOT_CLOSED: Code = Code("P0204");
const NOT_ALLOWED: Code = Code("P0205");
const ARGUMENTS: Code = Code("P0206");
const NOT_HERE: Code = Code("P0207");
const LIMIT: Code = Code("P0208");

/// What is wrong with every expression of the value that an error is about, or with the first where the value's text in
/// the file is not what it means (escapes).
pub(super) fn tell(error: &ReadError, source: &SourceFile, diagnostics: &mut Vec<Diagnostic>) {
    let (Cause::Expression(first), Place::At(scalar)) = (&error.cause, error.place) else { return };
    let names = error.names.as_deref().cloned().unwrap_or_default();
    let raw = lines::raw(source, scalar);
    let from = diagnostics.len();
    if raw.contains("${{") && !raw.starts_with(['"', '\'']) {
        let allowed = Allowed::new(&names.contexts, &names.functions);
        let mut at = 0;
        while let Some(open) = raw[at..].find("${{").map(|open| at + open + 3) {
            let Some(close) = find_end(raw, open) else { break };
            let body = &raw[open..close];
            let start = open + body.len() - body.trim_start().len();
            if let Err(wrong) = Expression::parse(body.trim(), &allowed) {
                let span = scalar.part(start + wrong.span.start, start + wrong.span.end);
                diagnostics.push(one(&wrong, span, &names, source, scalar));
            }
            at = close;
        }
    }
    if diagnostics.len() == from {
        diagnostics.push(one(first, span_of(error).unwrap_or(scalar), &names, source, scalar));
    }
}

fn one(error: &ExpressionError, span: Span, names: &AllowedNames, source: &SourceFile, scalar: Span) -> Diagnostic {
    match &error.cause {
        Why::UnknownName(name) => unknown_name(name, span, names, lines::key_before(source, scalar)),
        Why::UnknownFunction(name) => unknown_function(name, span, names),
        Why::UnexpectedSymbol(symbol) => symbol_error(symbol, span),
        Why::UnexpectedEnd(symbol) => {
            Diagnostic::error(SYNTAX, span, format!("the expression stops after `{symbol}`, and something must follow"))
                .help("look for a missing `)`, `]` or operand")
        }
        Why::TooFewArguments(name) => {
            Diagnostic::error(ARGUMENTS, span, format!("`{name}` needs more arguments")).help(signature(name))
        }
        Why::TooManyArguments(name) => {
            Diagnostic::error(ARGUMENTS, span, format!("`{name}` takes fewer arguments")).help(signature(name))
        }
        Why::EvenArguments(name) => {
            Diagnostic::error(ARGUMENTS, span, format!("`{name}` needs an odd number of arguments"))
                .help(signature(name))
        }
        Why::TooDeep
        | Why::TooLong
        | Why::TooLarge
        | Why::Format
        | Why::Json
        | Why::CasePredicate
        | Why::HashFiles
        | Why::NotHere => Diagnostic::error(LIMIT, span, without_stop(&error.message)),
    }
}

fn signature(name: &str) -> String {
    let form = match Function::from_name(name) {
        Some(Function::Case) => "case(condition, value, …, default)",
        Some(Function::Contains) => "contains(search, item)",
        Some(Function::EndsWith) => "endsWith(text, end)",
        Some(Function::Format) => "format('{0} …', value, …)",
        Some(Function::FromJson) => "fromJSON(text)",
        Some(Function::Join) => "join(array, separator)",
        Some(Function::StartsWith) => "startsWith(text, start)",
        Some(Function::ToJson) => "toJSON(value)",
        Some(Function::Always) => "always()",
        Some(Function::Cancelled) => "cancelled()",
        Some(Function::Failure) => "failure()",
        Some(Function::Success) => "success()",
        Some(Function::HashFiles) => "hashFiles('**/package-lock.json', …)",
        None => name,
    };
    format!("it is called as `{form}`")
}

fn unknown_name(name: &str, span: Span, names: &AllowedNames, key: Option<&str>) -> Diagnostic {
    let known = names.contexts.join(", ");
    if CONTEXTS.iter().any(|context| context.eq_ignore_ascii_case(name)) {
        let at = key.map(|key| format!(" in `{key}`")).unwrap_or_default();
        let found = Diagnostic::error(NOT_HERE, span, format!("`{name}` cannot be used here{at}"));
        return match (name.to_ascii_lowercase().as_str(), key) {
            ("secrets", Some("if")) => found.help(
                "give the secret to the job or step as `env:` (`TOKEN: ${{ secrets.TOKEN }}`) and test `env.TOKEN != ''` in the `if` of a step",
            ),
            (_, _) if known.is_empty() => found.help("no context can be used here"),
            (_, _) => found.help(format!("these can be used here: {known}")),
        };
    }
    let found = Diagnostic::error(UNKNOWN_NAME, span, format!("there is no context `{name}`"));
    let near = suggest(name, names.contexts.iter().copied());
    let function = Function::from_name(name).map(Function::name);
    match (near, function) {
        (_, Some(function)) => found.help(format!("did you mean `{function}(…)`?")),
        (Some(near), None) => found.help(format!("did you mean `{near}`?")),
        (None, None) => {
            let text = format!("if it is a text, put it in single quotes: `'{name}'`");
            found.help(if known.is_empty() { text } else { format!("{text}; contexts here: {known}") })
        }
    }
}

fn unknown_function(name: &str, span: Span, names: &AllowedNames) -> Diagnostic {
    if let Some(function) = Function::from_name(name) {
        let help = if function.is_status() {
            "status functions belong into `if:`"
        } else {
            "`hashFiles` reads the workspace, so only steps can use it"
        };
        let message = format!("`{}()` cannot be used here", function.name());
        return Diagnostic::error(NOT_HERE, span, message).help(help);
    }
    let built_in = Function::ALL.into_iter().filter(|function| function.built_in().is_some());
    let here = built_in.chain(names.functions.iter().map(|allowed| allowed.function)).map(Function::name);
    let found = Diagnostic::error(UNKNOWN_FUNCTION, span, format!("there is no function `{name}`"));
    match suggest(name, here.clone()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help(format!("functions here: {}", here.collect::<Vec<_>>().join(", "))),
    }
}

fn symbol_error(symbol: &str, span: Span) -> Diagnostic {
    let say = |message: String, help: &str| Diagnostic::error(SYNTAX, span, message).help(help);
    let quote = |c: char| matches!(c, '“' | '”' | '‘' | '’' | '„' | '‚' | '«' | '»');
    let lower = symbol.to_ascii_lowercase();
    match lower.as_str() {
        "=" | "===" => say(format!("`{symbol}` is no operator"), "did you mean `==`?"),
        "&" | "and" => say(format!("`{symbol}` is no operator"), "did you mean `&&`?"),
        "|" | "or" => say(format!("`{symbol}` is no operator"), "did you mean `||`?"),
        "not" => say("`not` is no operator".to_owned(), "did you mean `!`?"),
        "is" | "eq" => say(format!("`{symbol}` is no operator"), "did you mean `==`?"),
        "+" | "-" | "/" | "%" | "*" => say(
            format!("there is no operator `{symbol}`"),
            "expressions have no arithmetic; join texts with `format('{0}{1}', a, b)`, calculate in a `run:`",
        ),
        "?" | ":" => say(
            format!("there is no operator `{symbol}`"),
            "write `condition && value || other`, or `case(condition, value, other)`",
        ),
        _ if symbol.contains(quote) => {
            say("typographic quotes are no quotes here".to_owned(), "texts stand in straight single quotes: `'text'`")
        }
        _ if symbol.contains('"') => {
            let meant = symbol.trim_matches('"');
            say("a text stands in single quotes, not in double ones".to_owned(), &format!("did you mean `'{meant}'`?"))
        }
        _ if symbol.contains('`') => {
            say("a text stands in single quotes".to_owned(), "texts stand in straight single quotes: `'text'`")
        }
        _ if symbol.starts_with('\'') => {
            say("the text is not closed".to_owned(), "add the closing `'`; a quote inside is written twice: `''`")
        }
        _ if symbol.starts_with('$') => say(
            format!("`{symbol}` is no name here"),
            "inside `${{ }}` names have no `$`; variables of the environment are `env.NAME`",
        ),
        _ => say(format!("`{symbol}` is not expected here"), "look for a missing operator, comma, bracket or quote"),
    }
}

/// Errors of the braces.
pub(super) fn around(error: &ReadError, source: &SourceFile) -> Diagnostic {
    let Place::At(scalar) = error.place else { return error.to_diagnostic(SYNTAX) };
    let span = span_of(error).unwrap_or(scalar);
    match &error.cause {
        Cause::ExpressionNotClosed => {
            let from = (span.start - scalar.start) as usize + 3;
            let raw = lines::raw(source, scalar);
            let open = raw.get(..from).or(Some(raw)).and_then(|before| {
                let at = before.rfind("${{")?;
                Some(scalar.part(at, at + 3))
            });
            Diagnostic::error(NOT_CLOSED, open.unwrap_or(scalar), "`${{` is never closed")
                .help("add `}}` after the expression")
        }
        Cause::EmptyExpression => {
            let raw = lines::raw(source, scalar);
            let at = raw.find("${{").filter(|_| error.precise.is_none());
            let span = at.map_or(Span { start: span.start.saturating_sub(3), end: span.end + 2, ..span }, |at| {
                scalar.part(at, raw.len())
            });
            Diagnostic::error(SYNTAX, span, "the expression is empty")
                .help("write something between `${{` and `}}`, or remove them")
        }
        Cause::ExpressionNotAllowed => {
            let key = lines::key_before(source, scalar);
            let message = key.map_or_else(
                || "no expression can stand here".to_owned(),
                |key| format!("no expression can stand in `{key}`"),
            );
            Diagnostic::error(NOT_ALLOWED, scalar, message)
                .help("this is settled when the file is read, before there are any values: write it out")
        }
        Cause::Directive => Diagnostic::error(SYNTAX, span, "`${{ insert }}` stands alone, as a key")
            .help("write `${{ insert }}: ${{ fromJSON(…) }}`"),
        Cause::Other
        | Cause::Syntax(_)
        | Cause::EmptyFile
        | Cause::AnotherDocument
        | Cause::KeyNotScalar
        | Cause::Scalar(_)
        | Cause::UnexpectedKey { .. }
        | Cause::MissingProperty { .. }
        | Cause::UnexpectedValue { .. }
        | Cause::DuplicateKey { .. }
        | Cause::SequenceNotExpected
        | Cause::MappingNotExpected
        | Cause::NotEnoughInfo { .. }
        | Cause::Expression(_)
        | Cause::Limit(_) => error.to_diagnostic(SYNTAX),
    }
}
