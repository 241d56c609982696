//! Mail: a subject, plain text and HTML that say the same.

use std::fmt::Write as _;

use crate::notify::Announcement;
use crate::notify::announcement::Tone;
use crate::notify::text::html as escaped;

/// Who sends mail, and who says to whom.
const FOOT: &str = "Sent by pipe. Who is told of what stands in the server's pipe.toml.";

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Letter {
    /// The text without the lines at its foot.
    pub(crate) fn text_alone(&self) -> &str {
        self.text.rsplit_once("\n-- \n").map_or(self.text.as_str(), |(text, _)| text).trim_end()
    }
}

/// Writes one. `own` is what the channel's template says in plain text; `extra` a link with words of its own.
pub(crate) fn letter(announcement: &Announcement, own: Option<&str>, extra: &[(String, String)]) -> Letter {
    let mut shown = announcement.shown();
    if !extra.is_empty() {
        shown.links.retain(|(label, _)| label != "Review");
    }
    let links: Vec<_> = extra.iter().chain(&shown.links).collect();
    let color = match shown.tone {
        Tone::Good => "#1a7534",
        Tone::Bad => "#b3261e",
        Tone::Wanted => "#9a6700",
        Tone::Plain => "#59626e",
    };
    let mut text = format!("{}\n\n", shown.headline);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title></head>\
         <body style=\"font:15px/1.5 system-ui,sans-serif\"><h1 style=\"font-size:18px;color:{color}\">{0}</h1>",
        escaped(&shown.headline)
    );
    let infallible = "writing to memory cannot fail";
    if let Some(own) = own {
        writeln!(text, "{own}").expect(infallible);
        write!(html, "<p style=\"white-space:pre-line\">{}</p>", escaped(own)).expect(infallible);
    } else {
        html.push_str("<table style=\"border-collapse:collapse\">");
        for (label, value) in &shown.facts {
            writeln!(text, "{label}: {value}").expect(infallible);
            write!(
                html,
                "<tr><th align=\"left\" style=\"padding-right:1em\">{label}</th><td>{}</td></tr>",
                escaped(value)
            )
            .expect(infallible);
        }
        html.push_str("</table>");
        for line in &shown.lines {
            writeln!(text, "{line}").expect(infallible);
            write!(html, "<p>{}</p>", escaped(line)).expect(infallible);
        }
    }
    for (label, url) in links {
        write!(text, "\n{label}:\n{url}\n").expect(infallible);
        write!(html, "<p><a href=\"{}\">{}</a></p>", escaped(url), escaped(label)).expect(infallible);
    }
    write!(text, "\n-- \n{FOOT}\n").expect(infallible);
    write!(html, "<p style=\"color:#59626e;font-size:13px\">{FOOT}</p></body></html>").expect(infallible);
    let subject = match &announcement.run {
        Some(run) => format!("[{}] {}", run.repository, headline_without(&shown.headline, &run.repository)),
        None => shown.headline,
    };
    Letter { subject: crate::notify::text::plain(&subject, 200), text, html }
}

/// The repository stands in front of a subject, not behind it.
fn headline_without(headline: &str, repository: &str) -> String {
    headline.strip_suffix(&format!(" ({repository})")).unwrap_or(headline).to_owned()
}
