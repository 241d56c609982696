//! Markdown of job summaries as HTML that does nothing: tables, lists, code, folds and links stay, all else goes (U01).
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary>.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{Options, Parser, html};

use super::filters::is_turning;

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
    let text: String = markdown.chars().filter(|c| !is_turning(*c)).collect();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut html = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut html, Parser::new_ext(&text, options));
    // Headings of a summary lie below those of the page.
    let html = CLEANER.clean(&html).to_string();
    let mut shifted = html;
    for level in (1..=3).rev() {
        let (from, to) = (level, level + 3);
        shifted = shifted.replace(&format!("<h{from}>"), &format!("<h{to}>"));
        shifted = shifted.replace(&format!("</h{from}>"), &format!("</h{to}>"));
    }
    shifted
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
            ("# One", "<h4>One</h4>"),
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
        ] {
            let html = render(markdown).to_lowercase();
            for bad in
                ["<script", "<img", "javascript:", "<svg", "style", "<form", "<button", "autofocus", " on", "<iframe"]
            {
                assert!(!html.contains(bad), "{markdown}: {html}");
            }
            for bad in ["/logout", "class=", " id=", "hx-", "data-", "type=\"text\"", "\u{202e}"] {
                assert!(!html.contains(bad), "{markdown}: {html}");
            }
        }
    }
}
