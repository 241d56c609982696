//! What is written for each form: golden payloads, and texts of people who mean harm.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lettre::Address;
use serde_json::{Value as Json, json};
use workflow::secret::Secret;

use super::forms::{discord, letter::letter, slack, teams};
use super::mail::{Mail, Relay};
use super::post::{Wording, signature};
use super::table::MailTls;
use super::template::Template;
use super::{Announcement, text};
use crate::store::outbox::Message;

const GOLDEN: &str = include_str!("tests/announcements.json");
const HOSTILE: &str = include_str!("tests/hostile.txt");

/// The corpus, one text a line, written with the escapes of JSON.
fn hostile() -> Vec<String> {
    HOSTILE.lines().map(|line| serde_json::from_str(&format!("\"{line}\"")).expect(line)).collect()
}

fn golden() -> BTreeMap<String, Announcement> {
    serde_json::from_str(GOLDEN).unwrap()
}

/// An announcement in which everything that users can write is this.
fn with(text: &str) -> Announcement {
    let mut announcement = golden()["approval"].clone();
    announcement.environment = Some(text.to_owned());
    announcement.lines = vec![text.to_owned()];
    let run = announcement.run.as_mut().unwrap();
    for field in [&mut run.repository, &mut run.branch, &mut run.workflow, &mut run.actor, &mut run.title] {
        text.clone_into(field);
    }
    announcement.review.as_mut().unwrap().reviewers = vec![text.to_owned()];
    announcement
}

fn strings<'a>(value: &'a Json, found: &mut Vec<&'a str>) {
    match value {
        Json::String(text) => found.push(text),
        Json::Array(all) => all.iter().for_each(|one| strings(one, found)),
        Json::Object(all) => all.values().for_each(|one| strings(one, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn mail() -> Mail {
    let relay = Relay { host: "127.0.0.1".into(), port: 25, tls: MailTls::None, login: None, vouched_by: Vec::new() };
    let from = "pipe <ci@example.com>".parse().unwrap();
    Mail::new(relay, ("team", from), vec!["ops@example.com".parse().unwrap()], Wording::default()).unwrap()
}

fn message(announcement: &Announcement) -> Message {
    Message {
        id: 41,
        target: "notify team".into(),
        kind: super::KIND.into(),
        lane: "octo/shop 7".into(),
        subject: "run 7 end".into(),
        body: serde_json::to_string(announcement).unwrap(),
        attempts: 0,
        uncertain: false,
        created_at: Timestamp::from_second(1_800_000_000).unwrap(),
    }
}

#[test]
fn what_each_form_says() {
    for (name, announcement) in golden() {
        let mention = (announcement.event == "run_failed").then_some("U024BE7LH");
        insta::assert_json_snapshot!(format!("slack_{name}"), slack::message(&announcement, None, mention));
        insta::assert_json_snapshot!(format!("discord_{name}"), discord::message(&announcement, None, Some("1234567")));
        insta::assert_json_snapshot!(format!("teams_{name}"), teams::message(&announcement, None));
        let letter = letter(&announcement, None, &[]);
        let whole = json!({ "subject": letter.subject, "text": letter.text, "html": letter.html });
        insta::assert_json_snapshot!(format!("mail_{name}"), whole);
    }
}

#[test]
fn t12_slack_makes_nothing_of_what_users_wrote() {
    for text in hostile() {
        let message = slack::message(&with(&text), None, None);
        let mut found = Vec::new();
        strings(&message["blocks"], &mut found);
        found.extend(message["text"].as_str());
        for one in found {
            assert!(!one.contains('<') || one.starts_with("https://ci.example/"), "{text}: {one}");
        }
        let blocks = message["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 10 && message.to_string().len() < 12_000, "{text}");
        for block in blocks {
            let length = |value: &Json| value["text"].as_str().map_or(0, str::len);
            assert!(length(&block["text"]) <= 3_000);
            for field in block["fields"].as_array().into_iter().flatten() {
                assert!(length(field) <= 2_000 && field["verbatim"] == true, "{text}");
            }
        }
        assert!(message["text"].as_str().unwrap().len() <= 4_000 && message["parse"] == "none");
    }
}

#[test]
fn t12_discord_mentions_nobody_and_links_nowhere() {
    for text in hostile() {
        let message = discord::message(&with(&text), None, None);
        assert_eq!(message["allowed_mentions"], json!({ "parse": [] }), "{text}");
        let mut found = Vec::new();
        let mut embed = message["embeds"][0].clone();
        embed.as_object_mut().unwrap().remove("url");
        strings(&embed, &mut found);
        for one in found {
            let ours = one.replace("](<https://ci.example/", "");
            assert!(!ours.contains("](") && !ours.contains("://"), "{text}: {one}");
            for word in ["@everyone", "@here", "<@", "<#", "<https"] {
                assert!(!ours.contains(word) || ours.contains(&format!("\\{word}")), "{text}: {one}");
            }
        }
        assert!(message.to_string().len() < 12_000, "{text}");
    }
}

#[test]
fn t12_teams_shows_text_and_nothing_else() {
    for text in hostile() {
        let card = teams::message(&with(&text), None)["attachments"][0]["content"].clone();
        for block in card["body"].as_array().unwrap() {
            assert_eq!(block["type"], "RichTextBlock", "Markdown is read elsewhere");
            for run in block["inlines"].as_array().unwrap() {
                let said = run["text"].as_str().unwrap();
                assert!(!said.contains("://") && !said.contains("<at>"), "{text}: {said}");
            }
        }
        for action in card["actions"].as_array().unwrap() {
            assert!(action["url"].as_str().unwrap().starts_with("https://ci.example/"));
        }
        assert!(card.to_string().len() < 25_000);
    }
}

#[test]
fn nothing_gets_into_the_head_of_a_mail() {
    let to: Address = "ops@example.com".parse().unwrap();
    let known = [
        "from",
        "to",
        "date",
        "message-id",
        "subject",
        "list-id",
        "auto-submitted",
        "x-pipe-event",
        "in-reply-to",
        "references",
        "mime-version",
        "content-type",
    ];
    for text in hostile() {
        let announcement = with(&text);
        let mail = mail().write(&message(&announcement), &announcement, &to, &[]).unwrap();
        let whole = String::from_utf8(mail.formatted()).unwrap();
        let (head, _) = whole.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
            let name = line.split(':').next().unwrap().to_lowercase();
            assert!(known.contains(&name.as_str()), "{text}: {line}");
        }
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{text}");
        assert_eq!(mail.envelope().to(), std::slice::from_ref(&to));
        let letter = letter(&announcement, None, &[]);
        for word in ["<script", "<img", "<a href=\"javascript", "<svg"] {
            assert!(!letter.html.to_lowercase().contains(word), "{text}");
        }
        assert!(!letter.subject.contains(['\n', '\r', '\u{202e}']));
    }
}

#[test]
fn a_mail_belongs_to_its_run() {
    let announcement = golden()["failure"].clone();
    let mail = mail().write(&message(&announcement), &announcement, &"ops@example.com".parse().unwrap(), &[]).unwrap();
    let head = String::from_utf8(mail.formatted()).unwrap();
    for line in [
        "In-Reply-To: <run.7@example.com>",
        "References: <run.7@example.com>",
        "List-Id: <team.pipe.example.com>",
        "Auto-Submitted: auto-generated",
        "X-Pipe-Event: run_failed",
        "Message-ID: <41.",
        "From: pipe <ci@example.com>",
        "Subject: [octo/shop] CI #12 on main failed",
    ] {
        assert!(head.contains(&format!("\r\n{line}")) || head.starts_with(line), "{line} is not in\n{head}");
    }
}

#[test]
fn u11_what_users_wrote_is_no_template() {
    let own = |template: &str, title: &str| {
        let mut announcement = golden()["failure"].clone();
        announcement.run.as_mut().unwrap().title = title.to_owned();
        Template::new(template.to_owned(), text::slack).unwrap().render(&announcement)
    };
    for title in ["{{ 7*7 }}", "{% for i in range(10**9) %}x{% endfor %}", "{% include '/etc/passwd' %}", "{# x #}"] {
        assert_eq!(own("*{{ run.title }}*", title).as_deref(), Some(format!("*{title}*").as_str()));
        let without = serde_json::to_string(&slack::message(&with(title), None, None)).unwrap();
        assert!(without.contains(title) && !without.contains("49"), "{without}");
    }
    assert_eq!(own("{{ run.title|safe }}", "<!channel>").as_deref(), Some("&lt;!channel&gt;"));
    assert_eq!(
        own("{{ run.nothing.at.all }}{{ headline }}", "x").as_deref(),
        Some("CI #12 on main failed (octo/shop)")
    );
    // What does not come to an end is passed over.
    let forever = "{% for i in range(90000) %}{% for j in range(90000) %}{{ i }}{% endfor %}{% endfor %}";
    assert_eq!(own(forever, "x"), None);
    let wrong = Template::new("a\n{% if %}".to_owned(), text::slack).unwrap_err();
    assert!(wrong.starts_with("line 2"), "{wrong}");
    let long =
        own("{{ run.title }} {% for i in range(100) %}{{ run.title }} & {% endfor %}", &"<b>".repeat(100)).unwrap();
    assert!(long.len() <= 2_900 && long.ends_with('…'), "{}", long.len());
}

#[test]
fn a_hook_is_signed_as_github_signs() {
    // The example of GitHub's page on validating deliveries.
    let secret = Secret::new("It's a Secret to Everybody");
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signature(&secret, "Hello, World!"), expected);
}

#[test]
fn authors_are_mentioned_when_a_run_fails() {
    let people = BTreeMap::from([("mona@example.com".to_owned(), "U024BE7LH".to_owned())]);
    let wording = Wording { template: None, people };
    for (name, expected) in [("failure", Some("U024BE7LH")), ("recovery", None), ("approval", None)] {
        assert_eq!(wording.mention(&golden()[name]), expected, "{name}");
    }
}
