//! What is asked, before any answer is known.

use std::collections::VecDeque;

use super::{Aim, Api, ELSEWHERE, Question, Service, leaks};

/// What TRACE would send back.
pub(super) const ECHO: &str = "pipe-probe-echo";
/// Names under which services take the place to go on to.
const PLACES: [&str; 16] = [
    "url",
    "redirect",
    "redirect_uri",
    "redirect_url",
    "redirectUrl",
    "return",
    "returnUrl",
    "return_to",
    "returnTo",
    "next",
    "goto",
    "target",
    "continue",
    "dest",
    "destination",
    "back",
];

pub(super) fn get(path: String, aim: Aim) -> Question {
    Question { method: "GET".to_owned(), path, headers: Vec::new(), body: None, aim }
}

/// The first page, what is always tried on it, what must not be open, and each operation.
pub(super) fn first(service: &Service, api: Option<&Api>) -> VecDeque<Question> {
    let base = &service.base;
    let root = if base.is_empty() { "/" } else { base };
    let below = |rest: &str| format!("{base}/{rest}");
    let mut all = VecDeque::from([get(root.to_owned(), Aim::Page)]);
    all.push_back(get(below("pipe-probe-not-there"), Aim::Stumble));
    all.push_back(get(below("pipe-probe'%22%3C%3E;%25"), Aim::Stumble));
    all.push_back(get(format!("{root}?id[]=%27%22%3C&page=-1"), Aim::Stumble));
    let echo = vec![("x-pipe-probe".to_owned(), ECHO.to_owned())];
    all.push_back(Question { method: "TRACE".to_owned(), headers: echo, ..get(root.to_owned(), Aim::Trace) });
    for origin in [format!("https://{ELSEWHERE}"), "null".to_owned()] {
        let mut paths = vec![root.to_owned()];
        paths.extend(api.and_then(|api| api.first_read(base)));
        for path in paths {
            let headers = vec![("origin".to_owned(), origin.clone())];
            all.push_back(Question { headers, ..get(path, Aim::Origin(origin.clone())) });
        }
    }
    let places: Vec<_> = PLACES.iter().map(|name| format!("{name}=https%3A%2F%2F{ELSEWHERE}%2F")).collect();
    for path in [root.to_owned(), below("login"), below("logout"), below("redirect")] {
        all.push_back(get(format!("{path}?{}", places.join("&")), Aim::Redirect));
    }
    all.extend(leaks::paths().enumerate().map(|(number, path)| get(below(path), Aim::Leak(number))));
    if let Some(api) = api {
        all.extend(api.questions(base, service.is_free));
    }
    all
}

/// The address of a link whose query names a place to go on to, with another place in it; none where it names none.
pub(super) fn astray(path: &str) -> Option<String> {
    let (page, query) = path.split_once('?')?;
    let mut is_led = false;
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if PLACES.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                is_led = true;
                format!("{name}=https%3A%2F%2F{ELSEWHERE}%2F")
            }
            Some(_) | None => part.to_owned(),
        })
        .collect();
    is_led.then(|| format!("{page}?{}", parts.join("&")))
}

/// Whether a parameter names a place to go on to.
pub(super) fn is_place(name: &str) -> bool {
    PLACES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// As it stands in a path or query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => escaped.push(char::from(byte)),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
