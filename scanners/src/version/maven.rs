//! Versions of Maven artifacts. Follows the version order specification
//! (<https://maven.apache.org/pom.html#version-order-specification>).

use std::cmp::Ordering;

use super::{is_number, numbers};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (tokens(left), tokens(right));
    for at in 0..left.len().max(right.len()) {
        let order = match (left.get(at), right.get(at)) {
            (Some(a), Some(b)) => order(a, b),
            (Some(a), None) => order(a, &a.padding()),
            (None, Some(b)) => order(&b.padding(), b),
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// A number or a qualifier, and what stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    /// Whether a hyphen or a change between digits and letters is before it, rather than a dot.
    hyphen: bool,
    text: String,
}

impl Token {
    /// What the shorter version is made longer with.
    fn padding(&self) -> Self {
        let number = !self.hyphen && is_number(&self.text);
        Self { hyphen: self.hyphen, text: if number { "0".to_owned() } else { String::new() } }
    }

    /// `0`, `final`, `ga`, `release` and nothing say nothing at the end.
    fn is_null(&self) -> bool {
        matches!(self.text.as_str(), "" | "final" | "ga" | "release") || self.text.bytes().all(|byte| byte == b'0')
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let text = text.to_lowercase();
    let mut tokens: Vec<Token> = Vec::new();
    let mut hyphen = false;
    let mut rest = text.as_str();
    loop {
        let end = rest.bytes().position(|byte| matches!(byte, b'.' | b'-')).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        push_part(&mut tokens, hyphen, part);
        let Some(separator) = behind.bytes().next() else { break };
        hyphen = separator != b'.';
        rest = &behind[1..];
    }
    trim(tokens)
}

/// Cuts between digits and letters, where a hyphen might stand as well.
fn push_part(tokens: &mut Vec<Token>, hyphen: bool, part: &str) {
    if part.is_empty() {
        tokens.push(Token { hyphen, text: "0".to_owned() });
        return;
    }
    let mut hyphen = hyphen;
    let mut rest = part;
    while let Some(first) = rest.bytes().next() {
        let digit = first.is_ascii_digit();
        let end = rest.bytes().position(|byte| byte.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let number_follows = behind.starts_with(|c: char| c.is_ascii_digit());
        let text = match word {
            "a" if number_follows => "alpha",
            "b" if number_follows => "beta",
            "m" if number_follows => "milestone",
            "cr" => "rc",
            other => other,
        };
        tokens.push(Token { hyphen, text: text.to_owned() });
        hyphen = true;
        rest = behind;
    }
}

/// Takes off what says nothing, at the end and before each hyphen, but never the first token.
fn trim(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if token.hyphen {
            drop_nulls(&mut kept);
        }
        kept.push(token);
    }
    drop_nulls(&mut kept);
    kept
}

fn drop_nulls(tokens: &mut Vec<Token>) {
    while tokens.len() > 1 && tokens.last().is_some_and(Token::is_null) {
        tokens.pop();
    }
}

/// `.qualifier` < `-qualifier` < `-number` < `.number`
fn order(left: &Token, right: &Token) -> Ordering {
    let class = |token: &Token| match (is_number(&token.text), token.hyphen) {
        (false, false) => 0,
        (false, true) => 1,
        (true, true) => 2,
        (true, false) => 3,
    };
    class(left).cmp(&class(right)).then_with(|| {
        if is_number(&left.text) {
            numbers(&left.text, &right.text)
        } else {
            qualifier(&left.text).cmp(&qualifier(&right.text))
        }
    })
}

/// Known words in their order, then all others by their letters.
fn qualifier(text: &str) -> (usize, &str) {
    const KNOWN: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
    let text = if matches!(text, "final" | "ga" | "release") { "" } else { text };
    KNOWN.iter().position(|known| *known == text).map_or((KNOWN.len(), text), |at| (at, ""))
}
