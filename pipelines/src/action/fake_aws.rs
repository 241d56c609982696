//! A few recorded answers of AWS on this machine, for tests of actions. The crate `aws` checks signatures, tests/fake-aws behaves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

/// A server that answers each request with the next status and body, the last one for ever, and what it got: head and body.
pub(super) fn answers(answers: Vec<(&'static str, String)>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (send, got) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() <= 2 {
                    break;
                }
                length =
                    line.to_lowercase().strip_prefix("content-length: ").map_or(length, |n| n.trim().parse().unwrap());
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            // Before its answer: who has that finds what was asked. Nobody may listen any more.
            let _over = send.send(format!("{head}\n{}", String::from_utf8_lossy(&body)));
            let (status, text) = &answers[number.min(answers.len() - 1)];
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, got)
}

/// What STS says of whose keys they are.
pub(super) fn identity(account: &str) -> (&'static str, String) {
    let inner = format!("<Arn>arn:aws:iam::{account}:user/ci</Arn><UserId>A</UserId><Account>{account}</Account>");
    ("200 OK", sts("GetCallerIdentity", &inner))
}

/// Keys of a role that STS gives for a token.
pub(super) fn role(action: &str) -> (&'static str, String) {
    let keys = "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret-value</SecretAccessKey>\
        <SessionToken>role-session-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>";
    ("200 OK", sts(action, keys))
}

fn sts(action: &str, inner: &str) -> String {
    let space = "https://sts.amazonaws.com/doc/2011-06-15/";
    format!("<{action}Response xmlns=\"{space}\"><{action}Result>{inner}</{action}Result></{action}Response>")
}
