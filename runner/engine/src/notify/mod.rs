//! News for people: what is told on which occasion, to whom, and how it is written for Slack, mail, Teams, Discord and
//! hooks.
//!
//! The reader of [`crate::reporting`] makes an [`Announcement`] of a fact for each [`Audience`] that wants it and puts it
//! into the outbox; the worker there brings it to a channel, which writes it in its own form. What users wrote is only
//! ever a value: templates come from the configuration. Nothing here is waited for by a run.

mod announcement;
mod audience;
mod direct;
mod forms;
mod herald;
mod late;
mod mail;
mod occasion;
mod open;
mod post;
mod slack_bot;
mod story;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use announcement::{Announcement, Author, Deployed, Gathered, ReviewWanted, RunToldOf};
pub use audience::Audience;
pub use direct::{Direct, MailServer, PlainText, Unsent, checked_address};
pub use herald::{Channel, Herald, Notice, TellError};
pub use late::SealedCredentials;
pub use occasion::Occasion;
pub use table::{EmailLink, Form, MailTls, NotifyTable};

pub(crate) use audience::News;
pub(crate) use herald::tell_of_held;
pub(crate) use open::open;
pub(crate) use story::Story;

/// What the outbox calls a message that people get.
pub(crate) const KIND: &str = "notification";
/// What it calls one that changes a message that is there.
pub(crate) const UPDATE: &str = "update";
/// What the names of targets for people begin with.
pub(crate) const TARGET: &str = "notify ";
