//! Slack: a line for notifications, and blocks. The limits are Block Kit's: <https://docs.slack.dev/reference/block-kit/blocks>.

use serde_json::{Value as Json, json};

use crate::notify::Announcement;
use crate::notify::announcement::Tone;
use crate::notify::text::{cut, slack as escaped};

/// Longest text of a section, in characters.
const SECTION_BYTES_MAX: usize = 2_900;
/// Longest value of a field, and all lines together: messages above 13,000 characters were seen to be refused.
const FIELD_BYTES_MAX: usize = 1_000;
const LINES_BYTES_MAX: usize = 2_000;
/// Fields of a section.
const FIELDS_MAX: usize = 10;
/// Longest address of a button.
const URL_BYTES_MAX: usize = 3_000;

/// The message: `text` and at most ten `blocks`. `own` is what the channel's template says, `mention` whom it calls.
pub(crate) fn message(announcement: &Announcement, own: Option<&str>, mention: Option<&str>) -> Json {
    let shown = announcement.shown();
    let mark = match shown.tone {
        Tone::Good => ":white_check_mark:",
        Tone::Bad => ":x:",
        Tone::Wanted => ":raised_hand:",
        Tone::Plain => ":information_source:",
    };
    let headline = escaped(&shown.headline);
    let mention = mention.map(|id| format!(" <@{id}>")).unwrap_or_default();
    let mut blocks = vec![section(&format!("{mark} *{headline}*{mention}"))];
    if let Some(own) = own {
        blocks.push(section(own));
    } else {
        let fields: Vec<Json> = shown
            .facts
            .iter()
            .take(FIELDS_MAX)
            .map(|(label, value)| text(&format!("*{label}*\n{}", cut(&escaped(value), FIELD_BYTES_MAX))))
            .collect();
        if !fields.is_empty() {
            blocks.push(json!({ "type": "section", "fields": fields }));
        }
        if !shown.lines.is_empty() {
            blocks.push(section(&cut(&escaped(&shown.lines.join("\n")), LINES_BYTES_MAX)));
        }
    }
    let buttons: Vec<Json> = shown
        .links
        .iter()
        .filter(|(_, url)| url.len() <= URL_BYTES_MAX)
        .enumerate()
        .map(|(at, (label, url))| {
            let label = json!({ "type": "plain_text", "text": label, "emoji": false });
            json!({ "type": "button", "action_id": format!("link-{at}"), "text": label, "url": url })
        })
        .collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    json!({
        "text": format!("{headline}{mention}"), "blocks": blocks,
        "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false,
    })
}

fn section(mrkdwn: &str) -> Json {
    json!({ "type": "section", "text": text(&cut(mrkdwn, SECTION_BYTES_MAX)) })
}

/// `verbatim`: no name and no address in it becomes a link.
fn text(mrkdwn: &str) -> Json {
    json!({ "type": "mrkdwn", "text": mrkdwn, "verbatim": true })
}

/// Whether this is a member of Slack, as mentions name them.
pub(crate) fn is_member(id: &str) -> bool {
    id.starts_with(['U', 'W']) && (3..=24).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
