//! Markdown of job summaries as HTML that does nothing: tables, lists, code, folds and links stay, all else goes (U01).
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary>.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{Options, Parser, html};

use super::filters::is_turning;

/// Level of the first heading; its section has one of the level before.
const FIRST_LEVEL: u8 = 3;

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    let alerts = HashSet::from([
        "markdown-alert-note",
        "markdown-alert-tip",
        "markdown-alert-important",
        "markdown-alert-warning",
        "markdown-alert-caution",
    ]);
    cleaner
        .rm_tags(["img", "area", "map"])
        .add_tags(["input"])
        .add_tag_attributes("input", ["disabled", "checked"])
        .set_tag_attribute_value("input", "type", "checkbox")
        .set_tag_attribute_value("input", "disabled", "")
        .set_tag_attribute_value("input", "aria-label", "task")
        .allowed_classes(HashMap::from([("blockquote", alerts)]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"));
    cleaner
});

/// HTML that may stand in a page.
pub(super) fn render(markdown: &str) -> String {
    let is_seen = |c: &char| !is_turning(*c) && (!c.is_control() || c.is_whitespace());
    let text: String = markdown.chars().filter(is_seen).collect();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut html = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut html, Parser::new_ext(&text, options));
    below(&CLEANER.clean(&html).to_string())
}

/// Headings lie below those of the page, and none is more than one level below the one before it: readers of screens go
/// by levels.
fn below(html: &str) -> String {
    let mut all = String::with_capacity(html.len());
    // As written, and as given.
    let mut open: Vec<(u8, u8)> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find("<h") {
        let (before, heading) = rest.split_at(at);
        let level = heading.as_bytes().get(2).map_or(0, |digit| digit.wrapping_sub(b'0'));
        let end = format!("</h{level}>");
        let found = heading.find(&end).filter(|_| (1..=6).contains(&level) && heading.as_bytes().get(3) == Some(&b'>'));
        let Some(close) = found else {
            all.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        open.retain(|(written, _)| *written < level);
        let given = open.last().map_or(FIRST_LEVEL, |(_, given)| (given + 1).min(6));
        open.push((level, given));
        all.push_str(before);
        all.push_str(&format!("<h{given}>{}</h{given}>", &heading[4..close]));
        rest = &heading[close + end.len()..];
    }
    all.push_str(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn what_summaries_are_made_of_stays() {
        for (markdown, expected) in [
            ("| a |\n|---|\n| 1 |", "<table>"),
            ("<table><tr><td>x</td></tr></table>", "<td>x</td>"),
            ("<details><summary>s</summary>t</details>", "<summary>s</summary>"),
            ("- [x] done", "type=\"checkbox\""),
            ("> [!WARNING]\n> hot", "class=\"markdown-alert-warning\""),
            ("[x](https://a.b)", "<a href=\"https://a.b\" rel=\"noopener noreferrer nofollow\">"),
            ("# One", "<h3>One</h3>"),
            ("###### One\n# Two", "<h3>One</h3>\n<h3>Two</h3>"),
            ("## One\n#### *Two*\n### Three\n## Four", "<h4>Three</h4>\n<h3>Four</h3>"),
            ("# One\n### <h1>Two</h1>", "<h3>One</h3>\n<h4></h4><h3>Two</h3>"),
            ("<hr>a <h7>b</h7>", "<hr>a b"),
        ] {
            let html = render(markdown);
            assert!(html.contains(expected), "{markdown}: {html}");
        }
    }

    #[test]
    fn what_could_do_something_goes() {
        for markdown in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "![x](https://a.b/c.png)",
            "[x](javascript:alert(1))",
            "<a href=\" javascript:alert(1)\">x</a>",
            "<a href=\"/logout\">x</a>",
            "<svg onload=alert(1)></svg>",
            "<div style=\"position:fixed\">x</div>",
            "<form action=/x><button>y</button></form>",
            "<input type=text onfocus=alert(1) autofocus>",
            "<iframe srcdoc=x></iframe><object data=x></object><style>*{}</style>",
            "<p id=main class=top hx-get=/x data-do=theme>x</p>",
            "\u{202e}gpj",
            "\u{1b}]8;;x\u{7}y",
        ] {
            let html = render(markdown).to_lowercase();
            for bad in
                ["<script", "<img", "javascript:", "<svg", "style", "<form", "<button", "autofocus", " on", "<iframe"]
            {
                assert!(!html.contains(bad), "{markdown}: {html}");
            }
            for bad in ["/logout", "class=", " id=", "hx-", "data-", "type=\"text\"", "\u{202e}", "\u{1b}"] {
                assert!(!html.contains(bad), "{markdown}: {html}");
            }
        }
    }
}
