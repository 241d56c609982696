//! Messages to topics of SNS.

use std::time::Duration;

use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::config::{BehaviorVersion, Region};
use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sns::{Client, Config};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::problem::Asked;
use crate::{Access, Arn, ArnError, Problem};

/// How long one attempt may take.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest subject, in characters; SNS takes printable ASCII alone.
const SUBJECT_CHARS_MAX: usize = 99;
/// Longest message: 256 KiB with its attributes, of which we leave 2 KiB.
const MESSAGE_BYTES_MAX: usize = 254 * 1_024;
/// Longest name of a group of messages.
const GROUP_CHARS_MAX: usize = 128;
const EXAMPLE: &str = "a topic, such as `arn:aws:sns:eu-central-1:123456789012:deployments`";

/// A topic that messages are published to:
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
#[derive(Debug, Clone)]
pub struct Topic {
    arn: Arn,
    client: Client,
}

/// A message to a topic.
#[derive(Debug, Clone, Default)]
pub struct Note {
    /// The headline; what SNS does not take is replaced.
    pub subject: String,
    /// The text; what is too long is cut at its end.
    pub text: String,
    /// What subscribers can filter by. Empty values are left out: SNS refuses them.
    pub attributes: Vec<(&'static str, String)>,
    /// Which messages keep their order in a FIFO topic.
    pub group: String,
    /// The same for each attempt: a FIFO topic takes it once.
    pub id: String,
}

impl Topic {
    /// Reads the name of one.
    ///
    /// # Errors
    /// It names none.
    pub fn named(arn: &str) -> Result<Arn, ArnError> {
        Arn::of(arn, "sns", EXAMPLE)
    }

    /// The topic of that name. Nothing is asked yet.
    #[must_use]
    pub fn new(arn: Arn, access: &Access) -> Self {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let times = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .operation_attempt_timeout(ATTEMPT_TIME_MAX)
            .build();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(arn.region().to_owned()))
            .credentials_provider(access.credentials().clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(times)
            .http_client(http);
        if let Some(endpoint) = access.endpoint() {
            config = config.endpoint_url(endpoint);
        }
        Self { arn, client: Client::from_conf(config.build()) }
    }

    /// Its name.
    #[must_use]
    pub const fn arn(&self) -> &Arn {
        &self.arn
    }

    /// Whether it keeps the order of messages and takes each once.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.arn.resource().ends_with(".fifo")
    }

    /// Publishes a message: one attempt. Returns the id that SNS gives it.
    ///
    /// # Errors
    /// It was not taken, or nobody knows.
    pub async fn publish(&self, note: &Note) -> Result<String, Problem> {
        let asked = Asked { action: "sns:Publish", resource: self.arn.as_str(), region: self.arn.region() };
        let mut request = self
            .client
            .publish()
            .topic_arn(self.arn.as_str())
            .subject(subject(&note.subject))
            .message(cut(&note.text, MESSAGE_BYTES_MAX));
        for (name, value) in note.attributes.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.message_attributes(*name, attribute(value).map_err(|error| Problem::unmade(&error))?);
        }
        if self.is_fifo() {
            request = request.message_group_id(group(&note.group)).message_deduplication_id(group(&note.id));
        }
        let told = request.send().await.map_err(|error| Problem::of(&error, asked))?;
        Ok(told.message_id().unwrap_or_default().to_owned())
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build()
}

/// Printable ASCII that begins with no space, at most 99 characters.
pub(crate) fn subject(text: &str) -> String {
    let plain = |character: char| if character.is_ascii_graphic() || character == ' ' { character } else { '?' };
    let one_line: Vec<&str> = text.split_whitespace().collect();
    let subject: String = one_line.join(" ").chars().map(plain).take(SUBJECT_CHARS_MAX).collect();
    if subject.is_empty() { "pipe".to_owned() } else { subject }
}

/// Letters, digits and some signs alone, as names of groups and ids have them.
pub(crate) fn group(text: &str) -> String {
    let taken = |character: char| if character.is_ascii_graphic() { character } else { '-' };
    let group: String = text.chars().map(taken).take(GROUP_CHARS_MAX).collect();
    if group.is_empty() { "pipe".to_owned() } else { group }
}

pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
