//! Teams: an Adaptive Card for the webhook of a workflow ("Post to a channel when a webhook request is received").
//!
//! What users wrote stands in runs of text, which know no Markdown. See <https://adaptivecards.io/explorer/RichTextBlock.html>
//! and <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>.

use serde_json::{Value as Json, json};

use crate::notify::Announcement;
use crate::notify::announcement::Tone;
use crate::notify::text::teams as escaped;

/// Buttons of a card.
const ACTIONS_MAX: usize = 5;

/// The message.
pub(crate) fn message(announcement: &Announcement, own: Option<&str>) -> Json {
    let shown = announcement.shown();
    let color = match shown.tone {
        Tone::Good => "good",
        Tone::Bad => "attention",
        Tone::Wanted => "warning",
        Tone::Plain => "default",
    };
    let headline = json!({ "type": "TextRun", "text": escaped(&shown.headline), "weight": "bolder", "size": "medium", "color": color });
    let mut body = vec![block(vec![headline])];
    match own {
        Some(own) => body.extend(own.lines().map(|line| block(vec![run(line, false)]))),
        None => {
            for (label, value) in &shown.facts {
                body.push(block(vec![run(&format!("{label}: "), true), run(&escaped(value), false)]));
            }
            body.extend(shown.lines.iter().map(|line| block(vec![run(&escaped(line), false)])));
        }
    }
    let actions: Vec<Json> = shown
        .links
        .iter()
        .take(ACTIONS_MAX)
        .map(|(label, url)| json!({ "type": "Action.OpenUrl", "title": label, "url": url }))
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "fallbackText": escaped(&shown.headline), "body": body, "actions": actions, "msteams": { "width": "Full" },
    });
    let attachment =
        json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    json!({ "type": "message", "attachments": [attachment] })
}

fn block(inlines: Vec<Json>) -> Json {
    json!({ "type": "RichTextBlock", "inlines": inlines })
}

fn run(text: &str, is_label: bool) -> Json {
    json!({ "type": "TextRun", "text": text, "weight": if is_label { "bolder" } else { "default" } })
}
