//! `pipe eval`: one expression from the command line, or thousands from standard input, a line of JSON each.
//!
//! The JSON forms are those of [`workflow::expression::wire`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::{Value as Json, json};
use workflow::expression::wire;

use crate::args::EvalArgs;
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Longest request on standard input; a longer line is answered with an error.
const REQUEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<Exit, Failure> {
    let mut output = terminal::results();
    let Some(expression) = &args.expression else {
        answer_all(BufReader::with_capacity(64 * 1024, io::stdin().lock()), &mut output)?;
        return Ok(Exit::Success);
    };
    let contexts = args.context.as_deref().map_or(Ok(Json::Null), read_contexts)?;
    let answer = wire::evaluate(bare(expression), &contexts);
    if args.json {
        writeln!(output, "{answer}")?;
    } else if let Some(error) = answer.get("error") {
        let word = |key| error.get(key).and_then(Json::as_str).unwrap_or_default();
        return Err(Failure::new(Exit::Failure, format!("{} ({})", word("message"), word("kind"))));
    } else {
        writeln!(output, "{}", plain(answer.get("value").unwrap_or(&Json::Null)))?;
    }
    output.flush()?;
    Ok(if answer.get("error").is_some() { Exit::Failure } else { Exit::Success })
}

/// Without the `${{ }}` around it.
fn bare(expression: &str) -> &str {
    let trimmed = expression.trim();
    trimmed.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(expression)
}

/// As GitHub would put it into a text: strings as they are, objects and arrays as JSON.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        Json::Array(_) | Json::Object(_) => format!("{value:#}"),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

fn read_contexts(path: &Path) -> Result<Json, Failure> {
    let name = path.display();
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
    let contexts: Json =
        serde_json::from_str(&text).map_err(|error| Failure::usage(format!("`{name}` is not JSON: {error}")))?;
    if contexts.is_object() {
        return Ok(contexts);
    }
    let help = r#"such as {"github":{"ref":"refs/heads/main"}}"#;
    Err(Failure::usage(format!("`{name}` must hold an object of contexts")).help(help))
}

/// Answers every line until the end. What is answered is sent before the next line is waited for.
fn answer_all(mut input: BufReader<impl Read>, output: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(REQUEST_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return output.flush();
        }
        if line.last() != Some(&b'\n') && read as u64 == REQUEST_BYTES_MAX {
            skip_line(&mut input)?;
            writeln!(output, "{}", refused(&format!("the request is longer than {REQUEST_BYTES_MAX} bytes")))?;
        } else if !line.trim_ascii().is_empty() {
            writeln!(output, "{}", answer(&line))?;
        }
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        let end = part.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(part.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn answer(line: &[u8]) -> Json {
    let request: Json = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return refused(&format!("the request is not JSON: {error}")),
    };
    let Some(expression) = request.get("expr").and_then(Json::as_str) else {
        return refused("the request has no text `expr`");
    };
    wire::evaluate(expression, request.get("contexts").unwrap_or(&Json::Null))
}

fn refused(message: &str) -> Json {
    json!({ "error": { "kind": "request", "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(requests: &str, expected: &[&str]) {
        let mut output = Vec::new();
        answer_all(BufReader::new(requests.as_bytes()), &mut output).unwrap();
        assert_eq!(String::from_utf8(output).unwrap().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_line_an_answer() {
        check("", &[]);
        check(
            "{\"expr\":\"1\"}\n\n{\"expr\":\"a.b\",\"contexts\":{\"a\":{\"b\":\"c\"}}}",
            &[r#"{"kind":"Number","value":1}"#, r#"{"kind":"String","value":"c"}"#],
        );
        check(
            "nonsense\n{\"expr\":1}\n",
            &[
                r#"{"error":{"kind":"request","message":"the request is not JSON: expected ident at line 1 column 2"}}"#,
                r#"{"error":{"kind":"request","message":"the request has no text `expr`"}}"#,
            ],
        );
    }

    #[test]
    fn the_marks_around_an_expression_do_not_count() {
        assert_eq!(bare("${{ 1 }}"), " 1 ");
        assert_eq!(bare(" '${{' "), " '${{' ");
    }
}
