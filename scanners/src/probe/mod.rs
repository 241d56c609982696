//! What a running service gives away, and whether it does what the description of its API says.
//!
//! Pure: [`Probe`] says what to ask next and is told the answer; whoever holds it makes the requests and sees to it that none
//! leaves the service. Safe methods alone are asked for unless somebody allows others. An answer is never taken at its status
//! alone where a page that answers everything (as those of single-page applications do) would look the same.

mod api;
mod ask;
mod headers;
mod leaks;
mod operation;
mod pattern;
mod rules;
mod sample;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use api::{Api, ApiError};

use self::operation::Case;
use self::rules::Rule;
use crate::finding::{Finding, Kind, Place, Subject};

/// Pages that are looked at because another page links to them.
const PAGES_MAX: usize = 24;
/// Folders of such links.
const FOLDERS_MAX: usize = 8;
/// A host that nobody has (RFC 6761), to lead astray to.
const ELSEWHERE: &str = "pipe-probe.invalid";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `GET`
    pub method: String,
    /// With its query, from the root of the host: begins with `/`.
    pub path: String,
    /// More headers than every request has.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Option<String>,
    aim: Aim,
}

/// What an answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Aim {
    /// A page, as somebody would visit it; links in it are followed.
    Page,
    /// Something that must not make the service stumble.
    Stumble,
    Folder,
    Trace,
    Origin(String),
    Redirect,
    /// Which of the paths in [`leaks`].
    Leak(usize),
    Operation(Case),
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in small letters, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// Its beginning, if it is long.
    pub body: Vec<u8>,
    /// Whether the body goes on.
    pub is_cut: bool,
}

impl Answer {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `text/html` of `text/html; charset=utf-8`, in small letters.
    fn media(&self) -> Option<String> {
        let media = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        Some(media).filter(|media| !media.is_empty())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn is_page(&self) -> bool {
        self.media().is_some_and(|media| media == "text/html" || media == "application/xhtml+xml")
    }
}

/// The service, and what may be asked of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Whether it is asked over TLS.
    pub is_tls: bool,
    /// The path below which it is, without a `/` at its end; empty at the root.
    pub base: String,
    /// Whether requests that change something may be sent.
    pub is_free: bool,
    /// Whether requests carry credentials.
    pub has_credentials: bool,
}

/// Where a rule was broken.
#[derive(Debug)]
struct Seen {
    rule: &'static Rule,
    /// What exactly, of the first place.
    detail: String,
    place: Option<String>,
    others: BTreeSet<String>,
}

/// A visit to a service.
#[derive(Debug)]
pub struct Probe {
    service: Service,
    api: Option<Api>,
    queue: VecDeque<Question>,
    pages: BTreeSet<String>,
    folders: BTreeSet<String>,
    seen: BTreeMap<(&'static str, String), Seen>,
    asked: usize,
}

impl Probe {
    /// A visit: the first page is asked for first.
    #[must_use]
    pub fn new(service: Service, api: Option<Api>) -> Self {
        let mut probe = Self {
            queue: ask::first(&service, api.as_ref()),
            service,
            api,
            pages: BTreeSet::new(),
            folders: BTreeSet::new(),
            seen: BTreeMap::new(),
            asked: 0,
        };
        probe.pages.extend(probe.queue.iter().filter(|one| one.aim == Aim::Page).map(|one| one.path.clone()));
        probe
    }

    /// What to ask now; none when all is known. How many there will be is known only at the end, as pages link to others.
    #[must_use]
    pub fn ask(&mut self) -> Option<Question> {
        let question = self.queue.pop_front();
        self.asked += usize::from(question.is_some());
        question
    }

    /// Questions that are known and were not asked so far.
    #[must_use]
    pub fn left(&self) -> usize {
        self.queue.len()
    }

    /// How many were asked.
    #[must_use]
    pub const fn asked(&self) -> usize {
        self.asked
    }

    /// Takes an answer in.
    pub fn answered(&mut self, question: &Question, answer: &Answer) {
        let at = self.place_of(&question.path);
        for (rule, detail) in text::look(answer) {
            self.note(rule, detail, &at);
        }
        match &question.aim {
            Aim::Page | Aim::Folder | Aim::Stumble => self.page(question, answer, &at),
            Aim::Trace => {
                let is_echo = answer.status == 200 && answer.text().contains(ask::ECHO);
                self.note_if(is_echo, &rules::TRACE, String::new(), &at);
            }
            Aim::Origin(origin) => {
                if let Some(rule) = headers::origin(answer, origin) {
                    self.note(rule, format!("to {origin}"), &at);
                }
            }
            Aim::Redirect => {
                let to = answer.header("location").filter(|to| (300..400).contains(&answer.status) && leads_away(to));
                if let Some(to) = to {
                    self.note(&rules::REDIRECT, format!("it leads to {to}"), &at);
                }
            }
            Aim::Leak(number) => {
                if let Some((rule, what)) = leaks::judge(*number, answer) {
                    self.note_alone(rule, what.to_owned(), &at);
                }
            }
            Aim::Operation(case) => self.operation(case, question, answer),
        }
    }

    /// Takes in that there was no answer, and why.
    pub fn unanswered(&mut self, question: &Question, why: &str) {
        let detail = format!("{} {}: {why}", question.method, question.path);
        match &question.aim {
            Aim::Operation(case) => self.note_alone(&rules::NO_ANSWER, detail, &case.place),
            // Whoever does not know a method may hang up.
            Aim::Trace => {}
            Aim::Page | Aim::Folder | Aim::Stumble | Aim::Origin(_) | Aim::Redirect | Aim::Leak(_) => {
                let at = self.place_of(&question.path);
                self.note(&rules::NO_ANSWER, detail, &at);
            }
        }
    }

    /// What was found, by rule and place.
    #[must_use]
    pub fn end(self) -> Vec<Finding> {
        self.seen.into_values().map(finding).collect()
    }

    fn page(&mut self, question: &Question, answer: &Answer, at: &Option<String>) {
        for (rule, detail) in headers::look(answer, self.service.is_tls) {
            self.note(rule, detail, at);
        }
        if answer.status >= 500 {
            let detail = format!("{} {} gets {}", question.method, question.path, answer.status);
            self.note(&rules::SERVER_ERROR, detail, at);
        }
        self.note_if(text::is_listing(answer), &rules::LISTING, String::new(), at);
        if question.aim == Aim::Page && answer.is_page() && answer.status < 400 {
            self.follow(&question.path, answer);
        }
    }

    /// Links to what is below the service, and to the folders of what they name.
    fn follow(&mut self, page: &str, answer: &Answer) {
        for path in text::links(page, &answer.text()) {
            let below =
                path.strip_prefix(&self.service.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if !below {
                continue;
            }
            let folder = path.split('?').next().unwrap_or_default();
            let folder = &folder[..=folder.rfind('/').unwrap_or_default()];
            let is_new = folder.len() > self.service.base.len() + 1 && !self.folders.contains(folder);
            if is_new && self.folders.len() < FOLDERS_MAX {
                self.folders.insert(folder.to_owned());
                self.queue.push_back(ask::get(folder.to_owned(), Aim::Folder));
            }
            if self.pages.len() < PAGES_MAX && self.pages.insert(path.clone()) {
                if let Some(led) = ask::astray(&path) {
                    self.queue.push_back(ask::get(led, Aim::Redirect));
                }
                self.queue.push_back(ask::get(path, Aim::Page));
            }
        }
    }

    fn operation(&mut self, case: &Case, question: &Question, answer: &Answer) {
        for (rule, detail) in headers::look_at_data(answer, self.service.is_tls) {
            self.note(rule, detail, &case.place);
        }
        let Some(api) = &self.api else { return };
        for (rule, detail) in case.judge(api, question, answer, self.service.has_credentials) {
            self.note_alone(rule, detail, &case.place);
        }
    }

    /// The path below the service, without its query; none for its root.
    fn place_of(&self, path: &str) -> Option<String> {
        let path = path.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(&self.service.base).unwrap_or(path).trim_matches('/');
        (!below.is_empty()).then(|| below.to_owned())
    }

    fn note_if(&mut self, is_so: bool, rule: &'static Rule, detail: String, at: &Option<String>) {
        if is_so {
            self.note(rule, detail, at);
        }
    }

    /// What is the same everywhere is one finding, at the first place.
    fn note(&mut self, rule: &'static Rule, detail: String, at: &Option<String>) {
        self.note_as(String::new(), rule, detail, at);
    }

    /// What is to be mended place by place is a finding for each.
    fn note_alone(&mut self, rule: &'static Rule, detail: String, at: &Option<String>) {
        self.note_as(at.clone().unwrap_or_default(), rule, detail, at);
    }

    fn note_as(&mut self, key: String, rule: &'static Rule, detail: String, at: &Option<String>) {
        let new = || Seen { rule, detail, place: at.clone(), others: BTreeSet::new() };
        let seen = self.seen.entry((rule.id, key)).or_insert_with(new);
        // Of one rule the worst counts.
        if rule.severity > seen.rule.severity {
            seen.rule = rule;
        }
        if seen.place != *at {
            seen.others.insert(at.clone().unwrap_or_default());
        }
    }
}

fn finding(seen: Seen) -> Finding {
    let Seen { rule, detail, place, others } = seen;
    // What is particular comes first, as tables cut off the end.
    let more = if others.is_empty() { String::new() } else { format!("and at {} more: ", others.len()) };
    let detail = if detail.is_empty() { String::new() } else { format!("{}: ", shown(&detail)) };
    let summary = format!("{detail}{more}{}", rule.words);
    let place = place.map(|file| Place { file, line: None, end_line: None, column: None, layer: None });
    let subject = place.map_or(Subject::Whole, Subject::Place);
    let mut finding = Finding::of_rule(Kind::Service, rule.id, summary, subject, rule.severity);
    finding.aliases = rule.zap.into_iter().map(str::to_owned).collect();
    finding
}

/// What a service says is shown in short and on one line.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 160;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether an address leads to [`ELSEWHERE`], as browsers read it: they take `\` for `/` and leave out tabs and line ends.
fn leads_away(to: &str) -> bool {
    let to: String = to.trim().chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
    let to = to.replace('\\', "/").to_ascii_lowercase();
    let rest = to.strip_prefix("https:").or_else(|| to.strip_prefix("http:")).unwrap_or(&to);
    let Some(rest) = rest.strip_prefix("//") else { return false };
    let host = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit('@').next().is_some_and(|host| host.split(':').next() == Some(ELSEWHERE))
}
