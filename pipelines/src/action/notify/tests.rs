//! Hooks and a mail server of our own on this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use engine::step::trial::{Trial, Tried};
use workflow::secret::Secret;

use super::super::answering::answers;
use super::*;

/// A hook that answers each request with the next status, the last one for ever; what it got comes out of the receiver.
fn hook(statuses: &[&'static str]) -> (String, Receiver<String>) {
    let (address, got) = answers(statuses.iter().map(|status| (*status, "answer".to_owned())).collect());
    (format!("{address}/T0/B0/hook-token-XYZ"), got)
}

fn run(inputs: &[(&str, &str)]) -> Tried {
    run_with(inputs, &[])
}

fn run_with(inputs: &[(&str, &str)], env: &[(&str, &str)]) -> Tried {
    let scratch = tempfile::tempdir().unwrap();
    let mut trial = Trial::new(scratch.path().to_path_buf(), scratch.path().join("w"), scratch.path());
    trial.secrets = vec![Secret::new("s3cr3t-value")];
    trial.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    trial.run.environment = Some("production".into());
    trial.run.git_ref = "refs/heads/main".into();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(trial.run(&Notify, inputs))
}

fn error(inputs: &[(&str, &str)]) -> String {
    run(inputs).result.expect_err("it fails").to_string()
}

#[test]
fn slack_and_hooks_are_told_without_secrets() {
    let (slack, got) = hook(&["200 OK"]);
    let message = "rolled back: s3cr3t-value\n<!channel> *bold*";
    let tried = run(&[("slack-webhook", &slack), ("status", "rolled-back"), ("message", message)]);
    assert!(tried.result.is_ok(), "{}", tried.log);
    let got = got.recv().unwrap();
    assert!(got.contains(":x: *.github/workflows/ci.yml #1 on main was rolled back (local/repository)*"), "{got}");
    assert!(!got.contains("s3cr3t-value") && got.contains("rolled back: ***") && !got.contains("<!channel>"), "{got}");
    assert_eq!((tried.outputs["sent"].as_str(), tried.outputs["occasion"].as_str()), ("1", "rollback"));
    assert!(tried.log.contains("Told Slack (127.0.0.1)") && !tried.log.contains("hook-token"), "{}", tried.log);

    let (address, got) = hook(&["200 OK"]);
    let more = [
        ("webhook-secret", "key"),
        ("thread-by", "deployment 7"),
        ("title", "Out it goes"),
        ("url", "https://ci.example/1"),
    ];
    let tried = run(&[&[("webhook", address.as_str())], &more[..]].concat());
    assert!(tried.result.is_ok(), "{}", tried.log);
    let got = got.recv().unwrap();
    for part in [
        "x-pipe-event: message",
        "x-pipe-thread: deployment 7",
        "x-pipe-signature-256: sha256=",
        "\"title\":\"Out it goes\"",
        "\"environment\":\"production\"",
    ] {
        assert!(got.contains(part), "{part}: {got}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let (address, got) = hook(&["200 OK"]);
    let tried = run(&[("webhook", &address), ("status", "success"), ("on", "failure, rollback")]);
    assert!(tried.result.is_ok() && tried.outputs["sent"] == "0", "{}", tried.log);
    assert!(tried.log.contains("Nobody is told of success: `on` has failure, rollback"), "{}", tried.log);
    let dry = run(&[("webhook", &address), ("status", "failure"), ("dry-run", "true"), ("message", "s3cr3t-value")]);
    assert!(
        dry.log.contains("Dry run: this would go to a hook (127.0.0.1):\n{\"event\":\"run_failed\""),
        "{}",
        dry.log
    );
    assert!(!dry.log.contains("s3cr3t-value") && dry.outputs["plan-hash"].starts_with("sha256:"));
    let same = run(&[("webhook", &address), ("status", "failure"), ("dry-run", "true"), ("message", "s3cr3t-value")]);
    assert_eq!(dry.outputs["plan-hash"], same.outputs["plan-hash"]);
    assert!(got.try_recv().is_err(), "nothing came");
}

#[test]
fn it_is_tried_again_and_fails_only_where_asked_for() {
    let (address, got) = hook(&["503 Busy", "200 OK"]);
    assert_eq!(run(&[("webhook", &address)]).outputs["sent"], "1");
    assert_eq!(got.iter().take(2).count(), 2);
    let (address, _got) = hook(&["403 No"]);
    let tried = run(&[("webhook", &address)]);
    assert!(tried.result.is_ok() && tried.outputs["sent"] == "0");
    assert!(tried.log.contains("##[warning]a hook (127.0.0.1) was not told: 403 Forbidden"), "{}", tried.log);
    assert!(!tried.log.contains("answer"), "what the other side says is not shown: {}", tried.log);
    assert_eq!(
        error(&[("webhook", &address), ("required", "true")]),
        "not everybody was told: a hook (127.0.0.1): 403 Forbidden"
    );
}

#[test]
fn mail_goes_to_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let (send, got) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        reader.get_mut().write_all(b"220 here\r\n").unwrap();
        let (mut all, mut in_data) = (String::new(), false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                break;
            }
            all.push_str(&line);
            let answer: &[u8] = match line.trim_end() {
                "." => {
                    in_data = false;
                    send.send(std::mem::take(&mut all)).unwrap();
                    b"250 taken\r\n"
                }
                _ if in_data => continue,
                "DATA" => {
                    in_data = true;
                    b"354 go on\r\n"
                }
                "QUIT" => b"221 bye\r\n",
                _ => b"250 fine\r\n",
            };
            reader.get_mut().write_all(answer).unwrap();
        }
    });
    let mail = [("email", "ops@example.com"), ("mail-server", server.as_str()), ("mail-from", "pipe <ci@example.com>")];
    let tried = run(&[&mail[..], &[("status", "failure"), ("thread-by", "deployment 7")]].concat());
    assert!(tried.result.is_ok() && tried.outputs["sent"] == "1", "{}", tried.log);
    let got = got.recv().unwrap();
    for part in
        ["RCPT TO:<ops@example.com>", "In-Reply-To: <thread.", "X-Pipe-Event: run_failed", "ci.yml #1 on main failed"]
    {
        assert!(got.contains(part), "{part}: {got}");
    }
}

/// Signatures and failures of SNS: the crate `aws`.
#[test]
fn a_topic_is_told_with_the_steps_own_keys() {
    let (address, got) = hook(&["503 Busy", "200 OK"]);
    let endpoint = address.strip_suffix("/T0/B0/hook-token-XYZ").unwrap();
    let topic = ("sns-topic-arn", "arn:aws:sns:eu-central-1:123456789012:deployments");
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret-key-of-aws"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    let inputs =
        [topic, ("status", "failure"), ("message", "s3cr3t-value and the-secret-key-of-aws"), ("required", "true")];
    let tried = run_with(&inputs, &env);
    // The second answer is no XML: what it says is not known, so it is tried again, and that is said.
    assert!(tried.log.contains("arn:aws:sns:eu-central-1:123456789012:deployments"), "{}", tried.log);
    assert!(!tried.log.contains("the-secret-key-of-aws"), "{}", tried.log);
    let got: Vec<_> = got.try_iter().collect();
    assert!(got.len() >= 2, "{got:?}");
    for part in ["Action=Publish", "/eu-central-1/sns/aws4_request", "run_failed", "StringValue=production"] {
        assert!(got[0].contains(part), "{part}: {}", got[0]);
    }
    assert!(!got[0].contains("s3cr3t-value") && !got[0].contains("the-secret-key-of-aws"), "{}", got[0]);

    let dry = run_with(&[topic, ("status", "failure"), ("dry-run", "true")], &env[..2]);
    assert!(
        dry.log
            .contains("Dry run: this would go to SNS (arn:aws:sns:eu-central-1:123456789012:deployments):\nSubject: "),
        "{}",
        dry.log
    );
    assert!(!dry.log.contains("pipe.toml"), "{}", dry.log);

    let failed = |inputs: &[(&str, &str)], env: &[(&str, &str)]| run_with(inputs, env).result.unwrap_err().to_string();
    assert!(
        failed(&[topic], &[])
            .starts_with("`sns-topic-arn`: the step has no credentials of AWS: give it AWS_ACCESS_KEY_ID")
    );
    assert!(failed(&[("sns-topic-arn", "deployments")], &env).contains("is no ARN of a topic"));
    let plain = [env[0], env[1], ("AWS_ENDPOINT_URL", "http://sns.example")];
    assert!(failed(&[topic], &plain).contains("AWS_ENDPOINT_URL cannot be used: "), "{}", failed(&[topic], &plain));
}

#[test]
fn inputs_are_checked() {
    let check = |inputs: &[(&str, &str)], expect: &str| assert_eq!(error(inputs), expect);
    let nobody = error(&[]);
    assert!(nobody.starts_with("pipe/notify needs somebody to tell: `slack-webhook`"), "{nobody}");
    check(&[("slack-webhok", "x")], "pipe/notify has no input `slack-webhok`; did you mean `slack-webhook`?");
    let here = ("webhook", "http://127.0.0.1:9/");
    check(&[here, ("status", "failure"), ("on", "failur")], "`on` has `failur`; did you mean `failure`?");
    check(&[here, ("on", "failure")], "`on` needs `status`: write `status: ${{ job.status }}`");
    check(&[("email", "a@b.example"), ("mail-from", "x <a@b.example>")], "`email` needs `mail-server`");
    check(&[here, ("required", "yes")], "`required` must be `true` or `false`, not `yes`");
    let plain = error(&[("webhook", "http://hooks.example/secret-path")]);
    assert!(plain.contains("it must be https://") && !plain.contains("secret-path"), "{plain}");
    let template = error(&[("slack-webhook", "https://hooks.example/x"), ("template", "{{ headline")]);
    assert!(template.starts_with("`slack-webhook`: the template cannot be used:"), "{template}");
}
