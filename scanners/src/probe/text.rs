//! What the body of an answer tells: its type, errors with their inside, lists of files, links.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::Answer;
use super::rules::{self, Rule};

/// Longest beginning of a body that is looked at for its type.
const LOOKED_AT: usize = 512;
/// Longest beginning of a body that is searched for errors.
const SEARCHED: usize = 256 * 1024;

/// What programs print when they fail, by language; the second is its name.
const TRACES: [(&str, &str); 17] = [
    (r"Traceback \(most recent call last\)", "a traceback of Python"),
    (r"(?m)^\s+at .{1,200}\.[cm]?[jt]s:\d+:\d+\)?$", "a stack of JavaScript"),
    (r"(?m)\bat [\w.$<>]+\([\w$]+\.(java|kt|scala):\d+\)", "a stack of Java"),
    (r"(?m)^goroutine \d+ \[", "a stack of Go"),
    (r"(?m)^(PHP )?(Fatal|Parse) error:\s.{1,400} on line \d+|<b>(Fatal error|Warning|Notice)</b>:", "an error of PHP"),
    (r"(?m)^#\d+ /\S+\.php\(\d+\)", "a stack of PHP"),
    (r"(?m)\.rb:\d+:in [`']", "a stack of Ruby"),
    (r"(?m)^\s+at [\w.`<>]+\(.{0,200}\) in .{1,200}:line \d+", "a stack of .NET"),
    (r"thread '[^']{1,80}' (\(\d+\) )?panicked at", "a panic of Rust"),
    (r"You have an error in your SQL syntax|SQLSTATE\[\w+\]|\bORA-\d{5}\b", "an error of a database"),
    (r"psycopg2?\.errors\.|asyncpg\.exceptions\.|\bPG::\w+Error\b|sqlite3\.OperationalError", "an error of a database"),
    (r#"syntax error at or near "|unterminated quoted string at or near"#, "an error of PostgreSQL"),
    (r"Werkzeug Debugger|DEBUG = True</code>|<title>Action Controller: Exception caught", "a page for debugging"),
    (r"Whitelabel Error Page.{0,2000}(trace|Exception)", "an error of Spring"),
    (r"Microsoft OLE DB Provider|System\.Web\.HttpUnhandledException", "an error of ASP"),
    (r"(?m)^\s+File .{1,200}\.py., line \d+, in \w", "a traceback of Python"),
    (r"\b(ECONNREFUSED|ENOTFOUND) \S+:\d+", "an address of another service"),
];

static TRACE: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(TRACES.map(|(pattern, _)| pattern)).expect("the patterns are constants, and a test makes them")
});
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\b(?:href|src|action)\s*=\s*["']([^"'#<>\s]{1,500})"#).expect("the pattern is a constant")
});
static LISTING: LazyLock<Regex> = LazyLock::new(|| {
    let listing = r"(?i)<title>\s*(index of /|directory listing for /|listing directory /|directory: /)|<h1>\s*index of /|\[to parent directory\]";
    Regex::new(listing).expect("the pattern is a constant")
});

/// What every answer is looked at for.
pub(super) fn look(answer: &Answer) -> Vec<(&'static Rule, String)> {
    let mut found = Vec::new();
    let media = answer.media();
    let is_text = media.as_deref().is_none_or(|media| {
        media.starts_with("text/") || ["json", "xml", "javascript", "html"].iter().any(|word| media.contains(word))
    });
    if is_text {
        // JSON writes line ends as two characters.
        let start = &answer.body[..answer.body.len().min(SEARCHED)];
        let text = String::from_utf8_lossy(start).replace("\\n", "\n");
        let which = TRACE.matches(&text).into_iter().next().and_then(|number| TRACES.get(number));
        // Scripts and styles may tell of such texts themselves.
        let is_script = media.as_deref().is_some_and(|media| media.contains("javascript") || media == "text/css");
        found.extend(which.filter(|_| !is_script).map(|(_, name)| (&rules::STACK_TRACE, (*name).to_owned())));
    }
    found.extend(kind(answer, media.as_deref()));
    found
}

/// Whether the body is what its type says.
fn kind(answer: &Answer, media: Option<&str>) -> Option<(&'static Rule, String)> {
    let start = &answer.body[..answer.body.len().min(LOOKED_AT)];
    let start = String::from_utf8_lossy(start);
    let start = start.trim_start_matches('\u{feff}').trim_start();
    if start.is_empty() || matches!(answer.status, 204 | 304) {
        return None;
    }
    let Some(media) = media else { return Some((&rules::TYPE_MISSING, String::new())) };
    let lower = start.to_ascii_lowercase();
    let is_page = lower.starts_with("<!doctype html") || lower.starts_with("<html");
    let wrong = |what: &str| Some((&rules::TYPE_WRONG, format!("{what} as {media}")));
    match media {
        "text/html" if start.starts_with(['{', '[']) && is_json(answer) => wrong("JSON"),
        media if is_json_type(media) && is_page => wrong("HTML"),
        media if is_json_type(media) && !answer.is_cut && !is_json(answer) => wrong("something that is no JSON"),
        media if is_page && !media.contains("html") && !media.contains("xml") => wrong("HTML"),
        _ => None,
    }
}

pub(super) fn is_json_type(media: &str) -> bool {
    media == "application/json"
        || media == "text/json"
        || (media.starts_with("application/") && media.ends_with("+json"))
}

fn is_json(answer: &Answer) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok()
}

/// Whether it is the list of a folder's files.
pub(super) fn is_listing(answer: &Answer) -> bool {
    answer.status == 200 && answer.is_page() && LISTING.is_match(&answer.text())
}

/// Paths of the same host that a page links to.
pub(super) fn links(page: &str, text: &str) -> Vec<String> {
    let here = page.split('?').next().unwrap_or("/");
    let folder = &here[..=here.rfind('/').unwrap_or_default()];
    let found = LINK.captures_iter(text).filter_map(|captures| captures.get(1));
    found.filter_map(|link| joined(here, folder, &link.as_str().replace("&amp;", "&"))).collect()
}

/// RFC 3986, section 5.2, as far as a path goes; none for what leads to another host or is no page.
fn joined(here: &str, folder: &str, link: &str) -> Option<String> {
    let is_plain = link.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !matches!(byte, b'\\' | b'{' | b'}' | b'`'));
    let has_scheme = link.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    if !is_plain || has_scheme || link.starts_with("//") {
        return None;
    }
    let (path, query) = link.split_once('?').map_or((link, None), |(path, query)| (path, Some(query)));
    let whole = match path {
        "" => here.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{folder}{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("/{}{query}", parts.join("/")))
}
