//! A place that is told: what the engine knows to reach, or a topic of SNS.

use aws::{Access, Note, Topic};
use engine::notify::{Announcement, Direct, PlainText, Unsent, checked_address};

/// One of them.
#[derive(Debug)]
pub(super) enum Place {
    /// A hook or mail.
    Direct(Direct),
    /// A topic.
    Topic {
        /// Boxed: it is much larger than the others.
        topic: Box<Topic>,
        /// What it is told.
        words: PlainText,
    },
}

impl Place {
    /// The topic of that ARN. Only the step's own variables give access: what this process may do is not for steps.
    pub(super) fn topic<'a>(
        arn: &str,
        variable: impl Fn(&str) -> Option<&'a str>,
        template: Option<&str>,
    ) -> Result<Self, String> {
        let arn = Topic::named(arn).map_err(|error| error.to_string())?;
        let access = Access::of(variable, "SNS").map_err(|error| error.to_string())?;
        if let Some(endpoint) = access.endpoint() {
            checked_address(endpoint).map_err(|problem| format!("AWS_ENDPOINT_URL cannot be used: {problem}"))?;
        }
        Ok(Self::Topic { topic: Box::new(Topic::new(arn, &access)), words: PlainText::new(template)? })
    }

    /// Where it is, as far as that is no secret.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Direct(direct) => direct.place(),
            Self::Topic { topic, .. } => topic.arn().as_str(),
        }
    }

    /// What would be sent.
    pub(super) fn preview(&self, announcement: &Announcement) -> String {
        match self {
            Self::Direct(direct) => direct.preview(announcement),
            Self::Topic { words, .. } => {
                let (subject, text) = words.of(announcement);
                format!("Subject: {subject}\n\n{text}")
            }
        }
    }

    /// One attempt. `id` is the same for every attempt, `thread` for everything that belongs together.
    pub(super) async fn send(&self, announcement: &Announcement, id: u64, thread: Option<&str>) -> Result<(), Unsent> {
        match self {
            Self::Direct(direct) => direct.send(announcement, id, thread).await,
            Self::Topic { topic, words } => {
                let note = note(words, announcement, id, thread);
                let told = topic.publish(&note).await.map(drop);
                told.map_err(|problem| Unsent {
                    problem: problem.words,
                    after: problem.after,
                    is_for_now: problem.is_for_now,
                })
            }
        }
    }
}

fn note(words: &PlainText, announcement: &Announcement, id: u64, thread: Option<&str>) -> Note {
    let (subject, text) = words.of(announcement);
    let run = announcement.run.as_ref();
    let of_run = |part: fn(&engine::notify::RunToldOf) -> &String| run.map(part).cloned().unwrap_or_default();
    let attributes = vec![
        ("event", announcement.event.clone()),
        ("environment", announcement.environment.clone().unwrap_or_default()),
        ("repository", of_run(|run| &run.repository)),
        ("branch", of_run(|run| &run.branch)),
    ];
    let group = thread.map_or_else(|| of_run(|run| &run.repository), str::to_owned);
    Note { subject, text, attributes, group, id: format!("pipe-{id}") }
}
