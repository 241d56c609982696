//! A stand-in for AWS on this machine that checks signatures as AWS does, and what SNS is told.

mod cloud;
mod codedeploy;
mod deploy;
mod machine;
mod task_definition;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::topic::{cut, group, subject};
use crate::{Access, AccessError, Arn, Note, Problem, Topic};

const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:deployments";

struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether the body's form has that name with that value, as it is written there.
    fn has(&self, name: &str, value: &str) -> bool {
        self.body.split('&').any(|pair| pair == format!("{name}={value}"))
    }

    /// Worked out from the page, not by the SDK:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
    fn signature(&self) -> String {
        let authorization = self.header("authorization");
        let part = |name: &str| authorization.split([' ', ',']).find_map(|part| part.strip_prefix(name)).unwrap();
        let scope = part("Credential=").split_once('/').unwrap().1;
        let names = part("SignedHeaders=");
        let headers: String = names.split(';').map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hex(&Sha256::digest(&self.body)));
        let text =
            format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.header("x-amz-date"), hex(&Sha256::digest(canonical)));
        let mut key = format!("AWS4{KEY}").into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part);
        }
        hex(&hmac(&key, &text))
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers each request with the next status and body, the last for ever.
fn server(answers: Vec<(&'static str, String)>) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (send, got) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let mut request = Request { line: line.trim_end().to_owned(), headers: Vec::new(), body: String::new() };
            loop {
                line.clear();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                request.headers.push((name.to_lowercase(), value.to_owned()));
            }
            let mut body = vec![0; request.header("content-length").parse().unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            request.body = String::from_utf8(body).unwrap();
            // Before its answer: who has that finds what was asked.
            let _nobody_asks_any_more = send.send(request);
            let (status, body) = &answers[number.min(answers.len() - 1)];
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n", body.len());
            write!(reader.get_mut(), "{head}Connection: close\r\n\r\n{body}").unwrap();
        }
    });
    (address, got)
}

fn taken() -> (&'static str, String) {
    let inner = "<PublishResult><MessageId>567910cd-659e-55d4</MessageId></PublishResult>";
    ("200 OK", format!("<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">{inner}</PublishResponse>"))
}

fn refused(status: &'static str, code: &str, message: &str) -> (&'static str, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, format!("<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">{error}</ErrorResponse>"))
}

fn access(endpoint: &str) -> Access {
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE"),
        "AWS_SECRET_ACCESS_KEY" => Some(KEY),
        "AWS_SESSION_TOKEN" => Some("the+session/token"),
        "AWS_ENDPOINT_URL_SNS" => Some(endpoint),
        "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:1"),
        _ => None,
    };
    Access::of(variable, "SNS").unwrap()
}

fn publish(arn: &str, endpoint: &str, note: &Note) -> Result<String, Problem> {
    let topic = Topic::new(Topic::named(arn).unwrap(), &access(endpoint));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(topic.publish(note))
}

#[test]
fn a_message_is_signed_and_whole() {
    let (endpoint, got) = server(vec![taken()]);
    let note = Note {
        subject: "ci.yml #7 failed\n— on main".into(),
        text: "it is 15 %".into(),
        attributes: vec![("event", "run_failed".into()), ("environment", String::new())],
        group: "o/r".into(),
        id: "pipe-9".into(),
    };
    assert_eq!(publish(ARN, &endpoint, &note).unwrap(), "567910cd-659e-55d4");
    let got = got.recv().unwrap();
    assert!(got.has("Action", "Publish") && got.has("TopicArn", &ARN.replace(':', "%3A")), "{}", got.body);
    assert!(got.has("Message", "it%20is%2015%20%25"), "{}", got.body);
    assert!(got.has("Subject", "ci.yml%20%237%20failed%20%3F%20on%20main"), "{}", got.body);
    assert!(got.has("MessageAttributes.entry.1.Name", "event"), "{}", got.body);
    assert!(!got.body.contains("entry.2") && !got.body.contains("MessageGroupId"), "{}", got.body);
    let authorization = got.header("authorization");
    assert!(
        authorization.contains("Credential=AKIDEXAMPLE/") && authorization.contains("/eu-central-1/sns/aws4_request")
    );
    assert!(authorization.contains("x-amz-security-token"), "{authorization}");
    assert_eq!(got.header("x-amz-security-token"), "the+session/token");
    assert!(authorization.ends_with(&format!("Signature={}", got.signature())), "{authorization}");
}

#[test]
fn a_fifo_topic_has_a_group_and_takes_an_id_once() {
    let (endpoint, got) = server(vec![taken()]);
    let note = Note { group: "deployment 7".into(), id: "pipe-9".into(), text: "x".into(), ..Note::default() };
    publish(&format!("{ARN}.fifo"), &endpoint, &note).unwrap();
    let got = got.recv().unwrap();
    assert!(got.has("MessageGroupId", "deployment-7") && got.has("MessageDeduplicationId", "pipe-9"), "{}", got.body);
}

#[test]
fn failures_say_whose_fault_they_are() {
    let note = Note { text: "x".into(), ..Note::default() };
    let table = [
        (
            "403 Forbidden",
            "AuthorizationError",
            "no",
            false,
            "may not do `sns:Publish` on arn:aws:sns:eu-central-1:123456789012:deployments: allow it",
        ),
        ("403 Forbidden", "ExpiredToken", "old", false, "the credentials have expired"),
        ("403 Forbidden", "InvalidClientTokenId", "what", false, "AWS does not know the access key"),
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match",
            false,
            "the secret key does not belong",
        ),
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            "Signature expired: 20260101T000000Z is now earlier",
            false,
            "the clocks of this machine and of AWS differ",
        ),
        ("404 Not Found", "NotFound", "Topic does not exist", false, "does not exist in eu-central-1: check its name"),
        ("400 Bad Request", "InvalidParameter", "Subject", false, "AWS refused `sns:Publish` on arn:aws:sns"),
        (
            "400 Bad Request",
            "Throttling",
            "Rate exceeded",
            true,
            "AWS asks to come back later (Throttling: Rate exceeded)",
        ),
        ("500 Oh", "InternalFailure", "", true, "AWS asks to come back later (InternalFailure)"),
    ];
    for (status, code, message, is_for_now, words) in table {
        let (endpoint, got) = server(vec![refused(status, code, message)]);
        let problem = publish(ARN, &endpoint, &note).unwrap_err();
        assert!(problem.words.contains(words) && problem.words.contains(code), "{code}: {}", problem.words);
        assert_eq!(problem.is_for_now, is_for_now, "{code}");
        assert_eq!(got.try_iter().count(), 1, "{code}: one attempt");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let problem = publish(ARN, &nobody, &note).unwrap_err();
    assert!(problem.is_for_now && problem.words.starts_with("AWS was not reached: "), "{}", problem.words);
    assert!(problem.words.contains("refused"), "{}", problem.words);
}

#[test]
fn names_are_checked() {
    let problem = |arn: &str| Topic::named(arn).unwrap_err().to_string();
    assert_eq!(
        problem("deployments"),
        "`deployments` is no ARN of a topic, such as `arn:aws:sns:eu-central-1:123456789012:deployments`: it has 1 of 6 parts \
         between colons"
    );
    assert!(problem("arn:aws:sqs:eu-central-1:123456789012:x").ends_with("its service is `sqs`, not `sns`"));
    assert!(problem("arn:aws:sns::123456789012:x").ends_with("`` is no region, such as `eu-central-1`"));
    assert!(problem("arn:aws:sns:eu-central-1:1234:x").ends_with("`1234` is no account: it has 12 digits"));
    assert!(problem("arn:gcp:sns:eu-central-1:123456789012:x").ends_with("it begins with `arn:aws`"));
    assert!(problem("arn:aws:sns:eu-central-1:123456789012:a b").ends_with("its last part names nothing"));
    let arn = Arn::of("arn:aws-cn:sns:cn-north-1:123456789012:x:y", "sns", "").unwrap();
    assert_eq!((arn.region(), arn.account(), arn.resource()), ("cn-north-1", "123456789012", "x:y"));
}

#[test]
fn access_is_of_the_steps_variables() {
    let of = |given: &'static [(&'static str, &'static str)]| {
        Access::of(|name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| *value), "SNS")
    };
    assert_eq!(of(&[]).unwrap_err(), AccessError::NoCredentials);
    let half = of(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", " ")]).unwrap_err();
    assert_eq!(half.to_string(), "AWS_SECRET_ACCESS_KEY is not set or empty; a secret that is not set is empty");
    let whole = of(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "sesame-open"),
        ("AWS_ENDPOINT_URL", "http://localhost:4566"),
    ]);
    let whole = whole.unwrap();
    assert_eq!(whole.endpoint(), Some("http://localhost:4566"));
    assert!(!format!("{whole:?}").contains("sesame"), "{whole:?}");
    let ignored = of(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
    ]);
    assert_eq!(ignored.unwrap().endpoint(), None);
}

#[test]
fn what_sns_does_not_take_is_replaced() {
    assert_eq!(subject("  two\nlines — and é "), "two lines ? and ?");
    assert_eq!((subject("\n").as_str(), subject(&"x".repeat(300)).len()), ("pipe", 99));
    assert_eq!((group("a b/ü").as_str(), group("").as_str(), group(&"x".repeat(300)).len()), ("a-b/-", "pipe", 128));
    assert_eq!((cut("äöü", 3), cut("abc", 9)), ("ä", "abc"));
}
