//! What is looked for in answers. Names of ZAP's rules are kept as aliases, so that exceptions which name them go on to count.

use crate::finding::Severity;

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    /// What ZAP calls it (<https://www.zaproxy.org/docs/alerts/>), where it has it.
    pub(super) zap: Option<&'static str>,
    pub(super) severity: Severity,
    /// What is wrong and what to do about it.
    pub(super) words: &'static str,
}

const fn rule(id: &'static str, zap: Option<&'static str>, severity: Severity, words: &'static str) -> Rule {
    Rule { id, zap, severity, words }
}

use Severity::{Critical, High, Low, Medium};

pub(super) static CSP_MISSING: Rule = rule(
    "probe-csp-missing",
    Some("zap-10038"),
    Medium,
    "a page has no Content-Security-Policy: send one, such as default-src 'self'",
);
pub(super) static CSP_WEAK: Rule = rule(
    "probe-csp-weak",
    Some("zap-10055"),
    Medium,
    "the Content-Security-Policy lets scripts of anybody run: name hosts, and nonces or digests instead of unsafe-inline",
);
pub(super) static FRAMES: Rule = rule(
    "probe-frames",
    Some("zap-10020"),
    Medium,
    "other sites may show a page in a frame: send frame-ancestors in the Content-Security-Policy, or X-Frame-Options",
);
pub(super) static NOSNIFF: Rule = rule(
    "probe-nosniff",
    Some("zap-10021"),
    Low,
    "browsers may guess another type than the one given: send X-Content-Type-Options: nosniff",
);
pub(super) static HSTS: Rule = rule(
    "probe-hsts",
    Some("zap-10035"),
    Low,
    "browsers are not told to stay with TLS: send Strict-Transport-Security with a max-age of half a year or more",
);
pub(super) static COOKIE_SCRIPTS: Rule = rule(
    "probe-cookie-httponly",
    Some("zap-10010"),
    Low,
    "scripts can read a cookie: set it with HttpOnly, unless they have to",
);
pub(super) static COOKIE_PLAIN: Rule =
    rule("probe-cookie-secure", Some("zap-10011"), Medium, "a cookie also goes without TLS: set it with Secure");
pub(super) static COOKIE_SITES: Rule = rule(
    "probe-cookie-samesite",
    Some("zap-10054"),
    Low,
    "a cookie goes with requests of other sites as the browser likes: set it with SameSite (None needs Secure)",
);
pub(super) static VERSION: Rule = rule(
    "probe-version-leak",
    Some("zap-10036"),
    Low,
    "an answer names the program and version that runs: leave it out",
);
pub(super) static STACK_TRACE: Rule = rule(
    "probe-error-details",
    Some("zap-90022"),
    Medium,
    "an answer tells the inside of the program: tell users that it failed, and the log why",
);
pub(super) static TRACE: Rule =
    rule("probe-trace", Some("zap-40025"), Medium, "TRACE sends back what it got, credentials included: refuse it");
pub(super) static CORS_ANYBODY: Rule = rule(
    "probe-cors-any-origin",
    Some("zap-10098"),
    Low,
    "scripts of any site may read answers: name the origins that may, unless everything there is public",
);
pub(super) static CORS_REFLECTED: Rule = rule(
    "probe-cors-reflected",
    Some("zap-40040"),
    Medium,
    "whatever origin asks is allowed to read answers: compare it with a list",
);
pub(super) static CORS_CREDENTIALS: Rule = rule(
    "probe-cors-credentials",
    Some("zap-40040"),
    High,
    "scripts of any site may read answers as the user who is logged in: compare the origin with a list",
);
pub(super) static LISTING: Rule =
    rule("probe-directory-listing", Some("zap-10033"), Medium, "a folder shows the list of its files: switch that off");
pub(super) static REDIRECT: Rule = rule(
    "probe-open-redirect",
    Some("zap-20019"),
    High,
    "a link of this service leads to whatever site it names: allow paths of the service alone",
);
pub(super) static TYPE_MISSING: Rule = rule(
    "probe-content-type-missing",
    Some("zap-10019"),
    Low,
    "an answer with content does not say of which type it is",
);
pub(super) static TYPE_WRONG: Rule =
    rule("probe-content-type-wrong", None, Medium, "an answer is of another type than it says");
pub(super) static SERVER_ERROR: Rule =
    rule("probe-server-error", Some("zap-100000"), Medium, "a request ends with an error of the server");
pub(super) static SERVER_ERROR_VALID: Rule = rule(
    "probe-server-error",
    Some("zap-100000"),
    High,
    "a request that the description of the API allows ends with an error of the server",
);
pub(super) static NO_ANSWER: Rule = rule("probe-no-answer", None, Medium, "a request gets no answer");
pub(super) static STATUS: Rule = rule(
    "probe-undocumented-status",
    None,
    Low,
    "an answer has a status that the description of the API does not have",
);
pub(super) static MEDIA: Rule =
    rule("probe-undocumented-type", None, Low, "an answer has a type that the description of the API does not have");
pub(super) static SCHEMA: Rule =
    rule("probe-schema-mismatch", None, Medium, "an answer is not as the description of the API says");
pub(super) static ACCEPTED: Rule =
    rule("probe-invalid-accepted", None, Low, "a value that the description of the API rules out is taken");
pub(super) static OPEN: Rule = rule(
    "probe-authentication-missing",
    None,
    High,
    "what the description of the API keeps for known users is answered without credentials",
);
pub(super) static LEAK: Rule =
    rule("probe-leak", Some("zap-40035"), Medium, "a file or page is open that tells the inside");
pub(super) static LEAK_SECRET: Rule = rule(
    "probe-leak-secret",
    Some("zap-40034"),
    Critical,
    "a file with secrets is open: close it, and replace the secrets",
);
pub(super) static LEAK_SOURCE: Rule =
    rule("probe-leak-source", Some("zap-40035"), High, "sources or data are open that belong to nobody outside");

/// All of them, for documentation and tests.
#[cfg(test)]
pub(super) static ALL: [&Rule; 29] = [
    &CSP_MISSING,
    &CSP_WEAK,
    &FRAMES,
    &NOSNIFF,
    &HSTS,
    &COOKIE_SCRIPTS,
    &COOKIE_PLAIN,
    &COOKIE_SITES,
    &VERSION,
    &STACK_TRACE,
    &TRACE,
    &CORS_ANYBODY,
    &CORS_REFLECTED,
    &CORS_CREDENTIALS,
    &LISTING,
    &REDIRECT,
    &TYPE_MISSING,
    &TYPE_WRONG,
    &SERVER_ERROR,
    &SERVER_ERROR_VALID,
    &NO_ANSWER,
    &STATUS,
    &MEDIA,
    &SCHEMA,
    &ACCEPTED,
    &OPEN,
    &LEAK,
    &LEAK_SECRET,
    &LEAK_SOURCE,
];
