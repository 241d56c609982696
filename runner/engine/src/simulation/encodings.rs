//! Every way of writing a secret, cut at every byte over two writes, on the real way of a step's output: from a placed
//! process through the log to notices, stored files and recorded facts.
//!
//! The encodings are written down here once more, by other means than the masker's own, so that both must agree.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{Outcome, Simulation};
use crate::job::{SharedMasker, StepLog};

/// Secrets of different kinds.
const SECRETS: [&str; 5] = [
    "p4ss/wörd+<&>\"x'$y z\\",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "k3y!",
    "{\"user\": \"mona\", \"key\": \"0xAFFE42\"}\n",
    "-----BEGIN KEY-----\r\nMIIEpQIBAAKCAQEA4f5wg5l2hKsTeNem/V41\r\nfGnJm6gOdrj8ym3rFkEjWT2btYK36hY+\r\n-----END KEY-----\r\n",
];

/// One way of writing a secret: its name, the text, and how many characters of it may stay visible because they hold
/// bits of what stands around the secret as well.
pub(super) struct Form {
    pub(super) name: String,
    pub(super) text: String,
    edge: usize,
}

fn percent(text: &str, kept: &str, upper: bool) -> String {
    let one = |byte: u8| match char::from(byte) {
        c if c.is_ascii_alphanumeric() || kept.contains(c) => c.to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(one).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn beyond_ascii(text: &str, escape: impl Fn(char) -> String) -> String {
    text.chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(c) }).collect()
}

fn xml(text: &str, quote: &str, apostrophe: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', quote).replace('\'', apostrophe)
}

fn hex(text: &str, between: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

fn backslashed(text: &str, special: &str) -> String {
    text.chars().map(|c| if special.contains(c) { format!("\\{c}") } else { c.to_string() }).collect()
}

/// All ways of writing one value.
fn encoded(value: &str) -> Vec<(String, String, usize)> {
    let mut forms: Vec<(&str, String)> = vec![
        ("value", value.to_owned()),
        ("percent, RFC 3986", percent(value, "-_.~", true)),
        ("percent, lower", percent(value, "-_.~", false)),
        ("percent, plus", percent(value, "-_.~", true).replace("%20", "+")),
        ("percent, path", percent(value, "-_.~/", true)),
        ("percent, component", percent(value, "-_.!~*'()", true)),
        ("percent, all but letters and digits", percent(value, "", true)),
        ("percent, PHP", percent(value, "-_.", true).replace("%20", "+")),
        ("percent, every byte", format!("%{}", hex(value, "%"))),
        ("percent, EVERY byte", format!("%{}", hex(value, "%").to_uppercase())),
        ("percent, twice", percent(&percent(value, "-_.~", true), "-_.~", true)),
        ("json", json(value)),
        ("json, slashes", json(value).replace('/', "\\/")),
        ("json, ascii", beyond_ascii(&json(value), |c| format!("\\u{:04x}", u32::from(c)))),
        ("json, html", json(value).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")),
        ("json, twice", json(&json(value))),
        ("xml", xml(value, "&quot;", "&apos;")),
        ("xml, numbers", xml(value, "&#34;", "&#39;")),
        ("xml, hex", xml(value, "&quot;", "&#x27;")),
        ("xml, element", xml(value, "\"", "'")),
        ("xml, ascii", beyond_ascii(&xml(value, "&quot;", "&#39;"), |c| format!("&#{};", u32::from(c)))),
        ("shell, '", value.replace('\'', "'\\''")),
        ("shell, '\"", value.replace('\'', "'\"'\"'")),
        ("shell, \"", backslashed(value, "\"\\$`")),
        ("python", backslashed(value, "'\\").replace('\r', "\\r").replace('\n', "\\n")),
        ("powershell", value.replace('`', "``").replace('"', "`\"").replace('$', "`$")),
        ("doubled '", value.replace('\'', "''")),
        ("doubled \"", value.replace('"', "\"\"")),
        ("hex", hex(value, "")),
        ("hex, upper", hex(value, "").to_uppercase()),
    ];
    if value.len() >= 8 {
        forms.extend([
            ("hex, spaces", hex(value, " ")),
            ("hex, colons", hex(value, ":")),
            ("hex, \\x", format!("\\x{}", hex(value, "\\x"))),
            ("hex, BitConverter", hex(value, "-").to_uppercase()),
        ]);
    }
    if !value.contains('\n') {
        let special = |c: &char| !(c.is_ascii_alphanumeric() || "-_./@%+:=,".contains(*c) || !c.is_ascii());
        forms.push(("printf %q", backslashed(value, &value.chars().filter(special).collect::<String>())));
    }
    let mut all: Vec<_> = forms.into_iter().map(|(name, text)| (name.to_owned(), text, 0)).collect();
    for before in ["", "u", "us", "x-access-token:"] {
        for behind in ["", "\n", "!!"] {
            let text = format!("{before}{value}{behind}");
            // Each foreign byte shows its own characters, and shares one with the secret.
            let edge = (before.len() + behind.len()) * 4 / 3 + 4;
            all.push((format!("base64 {before:?} {behind:?}"), STANDARD.encode(&text), edge));
            all.push((format!("base64url {before:?} {behind:?}"), URL_SAFE_NO_PAD.encode(&text), edge));
        }
    }
    all
}

/// All forms of a secret, of the whole and of a line of it.
pub(super) fn forms(secret: &str) -> Vec<Form> {
    let whole = secret.trim();
    let mut values = vec![("", whole.to_owned())];
    if whole.contains('\n') {
        values.extend(whole.lines().nth(1).map(|line| ("line: ", line.to_owned())));
        values.push(("LF: ", whole.replace("\r\n", "\n")));
        values.push(("in one line: ", whole.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let mut all: Vec<Form> = Vec::new();
    for (kind, value) in &values {
        // What a shell makes of it is not encoded any further.
        let known = if kind.starts_with("in one") { 1 } else { usize::MAX };
        for (name, text, edge) in encoded(value).into_iter().take(known) {
            if kind.is_empty() || !name.contains(", ") || !name.starts_with("hex") {
                all.push(Form { name: format!("{kind}{name}"), text, edge });
            }
        }
    }
    for width in [64, 76] {
        // Line breaks at its end are no part of the secret.
        let text = STANDARD.encode(secret);
        let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line)).collect();
        all.push(Form { name: format!("base64, {width} wide"), text: lines.join("\n"), edge: 6 });
    }
    all
}

/// What of a form can still be read in a text that was masked.
fn visible(masked: &str) -> usize {
    masked.replace("***", "").chars().filter(|c| !matches!(c, '\r' | '\n')).count()
}

fn check_output(form: &Form, output: &str) -> usize {
    let records: Vec<&str> = output.split("\u{2}\n").filter(|record| !record.is_empty()).collect();
    assert_eq!(records.len(), form.text.len() + 1, "{}: {output}", form.name);
    for (at, record) in records.iter().enumerate() {
        let masked = record.strip_prefix('\u{1}').unwrap_or_else(|| panic!("{}: {record:?}", form.name));
        assert!(masked.contains("***"), "{} cut at {at}: {masked:?}", form.name);
        assert!(visible(masked) <= form.edge, "{} cut at {at}: {masked:?} of {:?}", form.name, form.text);
    }
    records.len()
}

fn nowhere(outcome: &Outcome, forms: &[Form]) {
    let everything = outcome.everything();
    for form in forms {
        assert!(!everything.contains(&form.text), "{} is shown", form.name);
    }
}

async fn check_secret(secret: &str) -> usize {
    let forms = forms(secret);
    let mut jobs = "a:\n  $\n".to_owned();
    for form in &forms {
        jobs.push_str(&format!("    - run: cuts {}\n", hex(&form.text, "")));
    }
    let simulation = Simulation { secrets: vec![("KEY", secret.to_owned())], ..Simulation::default() };
    let outcome = simulation.run(&jobs).await;
    assert!(outcome.shown().starts_with("success"), "{}", outcome.shown());
    let mut combinations = 0;
    for (step, form) in (0..).zip(&forms) {
        combinations += check_output(form, &outcome.output("a", step));
        // The stored log is what was shown, its heading included.
        let stored = &outcome.logs[&format!("a/{step:04}.log")];
        assert!(stored.ends_with(&outcome.output("a", step)), "{}", form.name);
    }
    nowhere(&outcome, &forms);
    combinations
}

#[tokio::test]
async fn every_form_of_every_secret_is_hidden_wherever_it_is_cut() {
    let mut combinations = 0;
    for secret in SECRETS {
        combinations += check_secret(secret).await;
    }
    // So that nobody loses half of them without noticing.
    assert!(combinations > 20_000, "{combinations}");
    eprintln!("{combinations} combinations of a form and a cut");
}

/// A step that pauses between the halves of a secret shows neither, however short the first one is.
#[tokio::test]
async fn what_is_held_back_is_not_shown_when_a_step_falls_silent() {
    let mut combinations = 0;
    for secret in SECRETS {
        let masker = std::sync::Arc::new(SharedMasker::default());
        masker.add(secret).unwrap();
        for form in forms(secret) {
            let folder = tempfile::tempdir().unwrap();
            let mut log = StepLog::alone(folder.path(), std::sync::Arc::clone(&masker));
            let path = folder.path().join(StepLog::ALONE);
            let stored = || std::fs::read_to_string(&path).unwrap();
            for at in 0..=form.text.len() {
                log.output(&[b"\x01", &form.text.as_bytes()[..at]].concat()).await;
                log.idle().await;
                let shown = stored();
                let open = shown.rsplit("\u{2}\n").next().unwrap_or_default();
                assert!(visible(open) <= form.edge + 1, "{} cut at {at}: {open:?}", form.name);
                log.output(&form.text.as_bytes()[at..]).await;
                log.idle().await;
                log.output(b"\x02\n").await;
            }
            log.finish().await;
            combinations += check_output(&form, &stored());
        }
    }
    assert!(combinations > 20_000, "{combinations}");
}

/// The same through a process that takes its time.
#[tokio::test]
async fn a_step_that_pauses_within_a_secret_shows_nothing_of_it() {
    let secret = "hunter22-token";
    let cuts =
        (1..secret.len()).map(|at| format!("out \"{}\"\nsleep 150\nout \"{}\\n\"", &secret[..at], &secret[at..]));
    let steps: String = cuts
        .map(|script| format!("    - background: true\n      run: |\n        {}\n", script.replace('\n', "\n        ")))
        .collect();
    let simulation = Simulation { secrets: vec![("KEY", secret.to_owned())], ..Simulation::default() };
    let outcome = simulation.run(&format!("a:\n  $\n{steps}")).await;
    assert!(outcome.shown().starts_with("success"), "{}", outcome.shown());
    for step in 0..u32::try_from(secret.len() - 1).unwrap() {
        assert_eq!(outcome.output("a", step), "***\n", "cut at {}", step + 1);
    }
}

/// One line of 64 MB: it passes in parts, and a secret is hidden on every border of them.
#[tokio::test]
async fn a_secret_in_an_endless_line_is_hidden() {
    let secret = "hunter22-token";
    let limit = workflow::command::line_splitter::COMMAND_LINE_BYTES_MAX;
    let mut script = String::new();
    for before in 0..=secret.len() {
        let (one, other) = secret.split_at(before);
        script.push_str(&format!("fill {}\nout \"{one}\"\nout \"{other}\\n\"\n", limit - before));
    }
    script.push_str("fill 67108864\n");
    script.push_str(&format!("out {0:?}\nfill 65536\nout {0:?}\n", format!("={secret}=")));
    let simulation = Simulation { secrets: vec![("KEY", secret.to_owned())], ..Simulation::default() };
    let jobs = format!("a:\n  $\n    - run: |\n        {}\n", script.trim_end().replace('\n', "\n        "));
    let outcome = simulation.run(&jobs).await;
    let output = outcome.output("a", 0);
    let short = output.replace(&"x".repeat(4096), "").replace('x', "");
    assert_eq!(short, format!("{}=***==***=", "***\n".repeat(secret.len() + 1)));
    assert!(output.len() > 64 << 20, "{}", output.len());
}
