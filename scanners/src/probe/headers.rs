//! What the head of an answer says about safety. <https://owasp.org/www-project-secure-headers/>

use super::rules::{self, Rule};
use super::{Answer, ELSEWHERE};

/// Half a year: less is forgotten between two visits.
const HSTS_SECONDS_MIN: u64 = 15_552_000;

type Found = Vec<(&'static Rule, String)>;

/// Of a page.
pub(super) fn look(answer: &Answer, is_tls: bool) -> Found {
    let mut found = look_at_data(answer, is_tls);
    if answer.is_page() && (answer.status < 300 || answer.status >= 400) {
        found.extend(page(answer));
    }
    found
}

/// Of data, which no browser shows as a page.
pub(super) fn look_at_data(answer: &Answer, is_tls: bool) -> Found {
    let mut found = Found::new();
    let sniffed = !answer.body.is_empty() && answer.status < 300;
    let is_nosniff = |value: &str| value.trim().eq_ignore_ascii_case("nosniff");
    if sniffed && !answer.header("x-content-type-options").is_some_and(is_nosniff) {
        found.push((&rules::NOSNIFF, String::new()));
    }
    if is_tls && answer.status < 500 {
        let age = answer.header("strict-transport-security").map(max_age);
        match age {
            None => found.push((&rules::HSTS, String::new())),
            Some(seconds) if seconds < HSTS_SECONDS_MIN => {
                found.push((&rules::HSTS, format!("max-age is {seconds}")));
            }
            Some(_) => {}
        }
    }
    for cookie in answer.all("set-cookie") {
        found.extend(self::cookie(cookie, is_tls));
    }
    for name in ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator", "via"] {
        let tells =
            |value: &&str| value.chars().any(|c| c.is_ascii_digit()) && value.contains(['/', '.']) && name != "via";
        let names = name == "x-powered-by";
        if let Some(value) = answer.header(name).filter(|value| names || tells(value)) {
            found.push((&rules::VERSION, format!("{name}: {value}")));
        }
    }
    found
}

fn page(answer: &Answer) -> Found {
    let mut found = Found::new();
    // Each header is a policy of its own, and all of them count.
    let policies: Vec<Vec<Vec<String>>> = answer.all("content-security-policy").flat_map(policies).collect();
    if policies.is_empty() {
        found.push((&rules::CSP_MISSING, String::new()));
    } else if let Some(weak) = policies.iter().map(|policy| weakness(policy)).reduce(Option::and).flatten() {
        found.push((&rules::CSP_WEAK, weak));
    }
    let frames = |policy: &Vec<Vec<String>>| {
        policy.iter().any(|directive| {
            directive[0] == "frame-ancestors" && !directive[1..].iter().any(|source| is_anybody(source))
        })
    };
    let old = answer.header("x-frame-options").map(|value| value.trim().to_ascii_uppercase());
    if !policies.iter().any(frames) && !old.is_some_and(|value| matches!(value.as_str(), "DENY" | "SAMEORIGIN")) {
        found.push((&rules::FRAMES, String::new()));
    }
    found
}

/// Policies as lists of directives, each its name and its sources in small letters.
fn policies(header: &str) -> Vec<Vec<Vec<String>>> {
    let words =
        |directive: &str| -> Vec<String> { directive.split_whitespace().map(str::to_ascii_lowercase).collect() };
    let policy = |text: &str| -> Vec<Vec<String>> {
        text.split(';').map(words).filter(|directive| !directive.is_empty()).collect()
    };
    header.split(',').map(policy).filter(|policy| !policy.is_empty()).collect()
}

/// By what scripts of anybody could run. <https://www.w3.org/TR/CSP3/#directive-script-src>
fn weakness(policy: &[Vec<String>]) -> Option<String> {
    let named = |name: &str| policy.iter().find(|directive| directive[0] == name);
    let Some(scripts) = named("script-src").or_else(|| named("default-src")) else {
        return Some("it has neither script-src nor default-src".to_owned());
    };
    let sources = &scripts[1..];
    // With a nonce or digest browsers pass over `unsafe-inline`.
    let is_sealed = sources.iter().any(|source| source.starts_with("'nonce-") || source.starts_with("'sha"));
    let weak = sources.iter().find(|source| match source.as_str() {
        "'unsafe-inline'" => !is_sealed,
        "'unsafe-eval'" | "data:" => true,
        source => is_anybody(source),
    });
    weak.map(|source| format!("{} {source}", scripts[0]))
}

fn is_anybody(source: &str) -> bool {
    matches!(source, "*" | "http:" | "https:" | "http://*" | "https://*")
}

fn max_age(value: &str) -> u64 {
    let parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    let age = parts.filter_map(|part| {
        part.strip_prefix("max-age").map(|rest| rest.trim_start_matches([' ', '=', '"']).to_owned())
    });
    age.filter_map(|text| text.trim_end_matches('"').parse().ok()).next().unwrap_or(0)
}

/// RFC 6265. The value is nobody's business.
fn cookie(text: &str, is_tls: bool) -> Found {
    let mut parts = text.split(';');
    let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default().trim().to_owned();
    let attributes: Vec<String> = parts.map(|part| part.trim().to_ascii_lowercase()).collect();
    let has = |wanted: &str| attributes.iter().any(|one| one.split('=').next().is_some_and(|key| key.trim() == wanted));
    let site = attributes.iter().find_map(|one| one.strip_prefix("samesite=")).map(str::trim);
    // What is taken away has no value to keep.
    if attributes.iter().any(|one| one == "max-age=0") || name.is_empty() {
        return Found::new();
    }
    let mut found = Found::new();
    if !has("httponly") {
        found.push((&rules::COOKIE_SCRIPTS, name.clone()));
    }
    if is_tls && !has("secure") {
        found.push((&rules::COOKIE_PLAIN, name.clone()));
    }
    if site.is_none_or(|site| site == "none" && !has("secure")) {
        found.push((&rules::COOKIE_SITES, name));
    }
    found
}

/// What an answer lets scripts of an origin do. <https://fetch.spec.whatwg.org/#http-cors-protocol>
pub(super) fn origin(answer: &Answer, asked: &str) -> Option<&'static Rule> {
    let allowed = answer.header("access-control-allow-origin")?.trim();
    let is_with_user = answer.header("access-control-allow-credentials").is_some_and(|value| value.trim() == "true");
    let is_reflected = allowed == asked && (asked == "null" || allowed.contains(ELSEWHERE));
    match (is_reflected, allowed == "*", is_with_user) {
        (true, _, true) => Some(&rules::CORS_CREDENTIALS),
        (true, _, false) => Some(&rules::CORS_REFLECTED),
        // Browsers refuse both together; whoever sends them meant to allow it.
        (false, true, true) => Some(&rules::CORS_REFLECTED),
        (false, true, false) => Some(&rules::CORS_ANYBODY),
        (false, false, _) => None,
    }
}
