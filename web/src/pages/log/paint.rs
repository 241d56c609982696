//! Colours and links of terminals as classes: a state machine over the control sequences of a line.
//!
//! What is not a colour, an attribute or a link to the web is dropped. Colours go on in the next line, links and
//! unfinished sequences do not, so that each line can be shown by itself.
//! Follows <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/> and
//! <https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda>.

use std::fmt::Write as _;

use super::style::Style;
use crate::pages::filters::is_turning;

/// Longest sequence that is understood; what is longer is dropped.
const SEQUENCE_BYTES_MAX: usize = 4_096;

/// Writes one line.
struct Painter<'a> {
    style: &'a mut Style,
    out: &'a mut String,
    /// Text that waits, all in one style.
    run: String,
    link: bool,
    is_shown: bool,
}

/// Appends a line as HTML. Of what a carriage return overwrites only the last is shown.
pub(crate) fn paint(style: &mut Style, line: &str, out: &mut String) {
    let line = line.trim_end_matches('\r');
    let shown = line.rfind('\r').map_or(0, |place| place + 1);
    let mut painter = Painter { style, out, run: String::new(), link: false, is_shown: false };
    painter.walk(&line[..shown]);
    painter.is_shown = true;
    painter.walk(&line[shown..]);
    painter.end_link();
}

/// What a line does to the style, without writing it.
pub(crate) fn pass(style: &mut Style, line: &str) {
    let mut painter = Painter { style, out: &mut String::new(), run: String::new(), link: false, is_shown: false };
    painter.walk(line);
}

/// The text alone, for searches.
pub(crate) fn plain(line: &str, out: &mut String) {
    let mut rest = line;
    // Controls are one byte below a space, or 0x7f, or two from 0xc2 on; what is between is copied in one go.
    while let Some(place) = rest.bytes().position(|byte| byte < b' ' || byte == 0x7f || byte == 0xc2) {
        out.push_str(&rest[..place]);
        let mut behind = rest[place..].chars();
        match behind.next() {
            Some(c @ ('\u{1b}' | '\u{9b}' | '\u{9d}')) => {
                sequence(c, &mut behind);
            }
            Some(c) if c == '\t' || !c.is_control() => out.push(c),
            Some(_) | None => {}
        }
        rest = behind.as_str();
    }
    out.push_str(rest);
}

/// What a sequence was.
enum Sequence<'a> {
    /// `CSI … m`.
    Style(&'a str),
    /// `OSC 8 ; … ; URL`.
    Link(&'a str),
    Other,
}

/// Takes a sequence whose first character is gone.
fn sequence<'a>(first: char, rest: &mut std::str::Chars<'a>) -> Sequence<'a> {
    let kind = match first {
        '\u{9b}' => '[',
        '\u{9d}' => ']',
        _ => match rest.next() {
            Some(kind) => kind,
            None => return Sequence::Other,
        },
    };
    match kind {
        '[' => {
            let whole = rest.as_str();
            for (place, c) in whole.char_indices() {
                rest.next();
                match c {
                    'm' => return Sequence::Style(begin(&whole[..place])),
                    '\u{40}'..='\u{7e}' => return Sequence::Other,
                    '\u{20}'..='\u{3f}' => {}
                    // What cannot stand in a sequence ends it.
                    _ => return Sequence::Other,
                }
            }
            Sequence::Other
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            let whole = rest.as_str();
            let end = whole.find(['\u{7}', '\u{9c}', '\u{1b}']).unwrap_or(whole.len());
            let mut behind = whole[end..].chars();
            if behind.next() == Some('\u{1b}') {
                // `ESC \` ends it; any other escape does too, and is dropped with it.
                behind.next();
            }
            *rest = behind;
            let url = begin(&whole[..end]).strip_prefix("8;").filter(|_| kind == ']');
            url.and_then(|text| text.split_once(';')).map_or(Sequence::Other, |(_, url)| Sequence::Link(url))
        }
        '(' | ')' | '*' | '+' | '#' | '%' | ' ' => {
            rest.next();
            Sequence::Other
        }
        _ => Sequence::Other,
    }
}

/// As much of a sequence as is understood.
fn begin(text: &str) -> &str {
    &text[..text.floor_char_boundary(SEQUENCE_BYTES_MAX)]
}

impl Painter<'_> {
    fn walk(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' | '\u{9b}' | '\u{9d}' => match sequence(c, &mut rest) {
                    Sequence::Style(parameters) => {
                        self.flush();
                        self.style.change(parameters);
                    }
                    Sequence::Link(url) => {
                        self.end_link();
                        self.begin_link(url);
                    }
                    Sequence::Other => {}
                },
                '\t' => self.run.push(c),
                c if c.is_control() || c == '\u{feff}' => {}
                c if self.is_shown => self.run.push(c),
                _ => {}
            }
        }
        if self.is_shown {
            self.flush();
        } else {
            self.run.clear();
        }
    }

    fn begin_link(&mut self, url: &str) {
        let is_web = ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
        if !is_web || !self.is_shown || url.chars().any(|c| c.is_control() || c.is_whitespace() || is_turning(c)) {
            return;
        }
        self.out.push_str("<a rel=\"noopener noreferrer nofollow\" href=\"");
        url.chars().for_each(|c| escape(c, self.out));
        self.out.push_str("\">");
        self.link = true;
    }

    fn end_link(&mut self) {
        self.flush();
        if std::mem::take(&mut self.link) {
            self.out.push_str("</a>");
        }
    }

    /// Writes what waits.
    fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() || !self.is_shown {
            return;
        }
        let is_styled = *self.style != Style::default();
        if is_styled {
            self.style.open(self.out);
        }
        if self.link {
            text(&run, self.out)
        } else {
            linked(&run, self.out)
        }
        if is_styled {
            self.out.push_str("</span>");
        }
        self.run = run;
        self.run.clear();
    }
}

/// Text with the addresses of the web in it as links.
fn linked(run: &str, out: &mut String) {
    let mut rest = run;
    while let Some(place) = rest.find("http") {
        let found = &rest[place..];
        let is_url = found.starts_with("https://") || found.starts_with("http://");
        let is_end = |c: char| c.is_whitespace() || c.is_control() || is_turning(c) || "<>\"'`|\\^{}".contains(c);
        let end = found.find(is_end).unwrap_or(found.len());
        let url = found[..end].trim_end_matches(['.', ',', ';', ':', ')', ']', '!', '?']);
        if !is_url || url.len() < 10 {
            text(&rest[..place + 4], out);
            rest = &found[4..];
            continue;
        }
        text(&rest[..place], out);
        out.push_str("<a rel=\"noopener noreferrer nofollow\" href=\"");
        text(url, out);
        out.push_str("\">");
        text(url, out);
        out.push_str("</a>");
        rest = &found[url.len()..];
    }
    text(rest, out);
}

fn text(run: &str, out: &mut String) {
    for c in run.chars() {
        if is_turning(c) {
            write!(out, "<span class=\"odd\">U+{:04X}</span>", c as u32).expect("writing to memory cannot fail");
        } else {
            escape(c, out);
        }
    }
}

fn escape(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let mut out = String::new();
        paint(&mut Style::default(), line, &mut out);
        assert_eq!(out, expected, "{line:?}");
    }

    #[test]
    fn colours_are_classes() {
        check("plain", "plain");
        check("\u{1b}[31mred\u{1b}[0m!", "<span class=\"a f1\">red</span>!");
        check("\u{1b}[1;4;92mx", "<span class=\"a f10 ab au\">x</span>");
        check("\u{1b}[7;31;42mx", "<span class=\"a f2 g1 av\">x</span>");
        check("\u{1b}[38;5;196mx\u{1b}[38;2;0;0;255my", "<span class=\"a f1\">x</span><span class=\"a f4\">y</span>");
        check("\u{1b}[38;5m\u{1b}[999mx", "x");
    }

    #[test]
    fn only_what_is_left_of_a_progress_bar_is_shown() {
        check("10%\r20%\r100%\r", "100%");
        check("\u{1b}[32m10%\r20%", "<span class=\"a f2\">20%</span>");
        check("a\r\r", "a");
    }

    #[test]
    fn links_lead_to_the_web_only() {
        let link = |url: &str| format!("\u{1b}]8;;{url}\u{1b}\\x\u{1b}]8;;\u{1b}\\");
        let rel = "rel=\"noopener noreferrer nofollow\"";
        check(&link("https://a.b/?x=1&y"), &format!("<a {rel} href=\"https://a.b/?x=1&amp;y\">x</a>"));
        check(&link("mailto:a@b.c"), &format!("<a {rel} href=\"mailto:a@b.c\">x</a>"));
        for url in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//a.b",
            "https://a b",
        ] {
            check(&link(url), "x");
        }
        check("see https://a.b/c.", &format!("see <a {rel} href=\"https://a.b/c\">https://a.b/c</a>."));
        check("http https:// x", "http https:// x");
    }

    #[test]
    fn what_is_no_colour_is_dropped() {
        check(
            "a\u{1b}[2J\u{1b}[1;1Hb\u{1b}]0;title\u{7}c\u{1b}]52;c;AAAA\u{7}\u{1b}(Bd\u{1b}Pq\u{1b}\\e\u{7}\u{8}\0",
            "abcde",
        );
        check("<script>&\"'", "&lt;script&gt;&amp;&quot;&#39;");
        check("rel\u{202e}gpj", "rel<span class=\"odd\">U+202E</span>gpj");
        check(
            "\u{1b}]8;;https://a.b/\"onx=1\u{7}x",
            "<a rel=\"noopener noreferrer nofollow\" href=\"https://a.b/&quot;onx=1\">x</a>",
        );
    }

    /// U02: wherever a sequence is cut, nothing of it becomes a link or an element.
    #[test]
    fn a_sequence_that_is_cut_anywhere_is_harmless() {
        let whole = "\u{1b}]8;;javascript:alert(1)\u{1b}\\x<b>\u{1b}]8;;\u{1b}\\\u{1b}[31my";
        for cut in 0..=whole.len() {
            let (mut style, mut out) = (Style::default(), String::new());
            paint(&mut style, &whole[..cut], &mut out);
            out.push('\n');
            paint(&mut style, &whole[cut..], &mut out);
            assert!(!out.contains("<a") && !out.contains("<b") && !out.contains("href"), "{cut}: {out}");
            assert!(!out.contains('\u{1b}'), "{cut}: {out}");
        }
    }

    #[test]
    fn colours_go_on_in_the_next_line_and_passing_does_the_same() {
        let lines = ["\u{1b}[31mone", "two", "\u{1b}[1mthree\u{1b}[0m", "four"];
        let (mut painted, mut passed) = (Style::default(), Style::default());
        for line in lines {
            let mut out = String::new();
            paint(&mut painted, line, &mut out);
            pass(&mut passed, line);
            assert_eq!(painted, passed, "{line}");
            assert_eq!(out.contains("f1"), line != "four", "{out}");
        }
    }
}
