//! Discord: one embed. The limits are those of <https://docs.discord.com/developers/resources/message#embed-object>.

use serde_json::{Value as Json, json};

use crate::notify::Announcement;
use crate::notify::announcement::Tone;
use crate::notify::text::{cut, discord as escaped};

/// Longest title, value of a field, and description.
const TITLE_BYTES_MAX: usize = 250;
const VALUE_BYTES_MAX: usize = 1_000;
const DESCRIPTION_BYTES_MAX: usize = 3_500;
/// Fields of an embed.
const FIELDS_MAX: usize = 25;

/// The message. Nobody is mentioned but `mention`, whatever stands in it.
pub(crate) fn message(announcement: &Announcement, own: Option<&str>, mention: Option<&str>) -> Json {
    let shown = announcement.shown();
    let color = match shown.tone {
        Tone::Good => 0x1a_75_34,
        Tone::Bad => 0xb3_26_1e,
        Tone::Wanted => 0x9a_67_00,
        Tone::Plain => 0x59_62_6e,
    };
    let mut description = match own {
        Some(own) => own.to_owned(),
        None => escaped(&shown.lines.join("\n")),
    };
    // Webhooks have no buttons; these links are ours.
    let links: Vec<_> = shown.links.iter().filter(|(_, url)| is_plain(url)).collect();
    let links: Vec<_> = links.iter().map(|(label, url)| format!("[{label}](<{url}>)")).collect();
    if !links.is_empty() {
        description = format!("{}\n{}", cut(&description, DESCRIPTION_BYTES_MAX), links.join(" · "));
    }
    let fields: Vec<Json> = shown
        .facts
        .iter()
        .filter(|_| own.is_none())
        .take(FIELDS_MAX)
        .map(|(label, value)| json!({ "name": label, "value": cut(&escaped(value), VALUE_BYTES_MAX), "inline": true }))
        .collect();
    let mut embed = json!({
        "title": cut(&escaped(&shown.headline), TITLE_BYTES_MAX), "color": color, "timestamp": announcement.at.to_string(),
        "description": description.trim(), "fields": fields,
    });
    if let Some((_, url)) = shown.links.first() {
        embed["url"] = url.as_str().into();
    }
    let mut message = json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
    if let Some(id) = mention {
        message["content"] = format!("<@{id}>").into();
        message["allowed_mentions"]["users"] = json!([id]);
    }
    message
}

fn is_plain(url: &str) -> bool {
    url.len() <= 500 && !url.contains(['<', '>', ')', ' '])
}

/// Whether this is a user of Discord, as mentions name them.
pub(crate) fn is_member(id: &str) -> bool {
    (5..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}
