//! Answers that were made for each rule, and a service that answers what it is told to.

mod described;

use super::*;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer { status, headers, body: body.into(), is_cut: false }
}

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/json");
const SAFE: [(&str, &str); 3] = [
    ("content-security-policy", "default-src 'self'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000"),
];

/// Asks until nothing is left, and gives the findings as `id at place: summary`.
fn visit(service: Service, api: Option<Api>, mut serve: impl FnMut(&Question) -> Option<Answer>) -> Vec<String> {
    let mut probe = Probe::new(service, api);
    while let Some(question) = probe.ask() {
        assert!(probe.asked() < 2_000, "it does not end");
        match serve(&question) {
            Some(answer) => probe.answered(&question, &answer),
            None => probe.unanswered(&question, "closed"),
        }
    }
    let words = |finding: Finding| {
        let place = finding.place().map_or("*", |place| place.file.as_str()).to_owned();
        format!("{} {place}: {}", finding.id, finding.summary)
    };
    probe.end().into_iter().map(words).collect()
}

/// The first page is this; there is nothing else.
fn page(is_tls: bool, root: &Answer) -> Vec<String> {
    visit(Service { is_tls, ..Service::default() }, None, |question| {
        let gone = answer(404, &[SAFE[1], SAFE[2], ("content-type", "text/plain")], "nothing here");
        Some(if question.path == "/" && question.method == "GET" { root.clone() } else { gone })
    })
}

fn ids(found: &[String]) -> Vec<&str> {
    found.iter().filter_map(|one| one.split(' ').next()).collect()
}

#[test]
fn rules_and_leaks_are_whole() {
    for rule in rules::ALL {
        assert!(rule.id.starts_with("probe-") && rule.words.len() > 20, "{rule:?}");
    }
    for number in 0..leaks::paths().count() {
        assert_eq!(leaks::judge(number, &answer(200, &[HTML], "<!doctype html><p>A shop</p>")), None, "{number}");
    }
    assert!(text::look(&Answer::default()).is_empty());
}

#[test]
fn a_safe_page_has_nothing() {
    let all = [&SAFE[..], &[HTML, ("set-cookie", "a=b; Secure; HttpOnly; SameSite=Lax"), ("server", "nginx")]].concat();
    assert_eq!(page(true, &answer(200, &all, "<!doctype html><p>A shop</p>")), Vec::<String>::new());
}

#[test]
fn heads_of_pages() {
    for (is_tls, headers, expected) in [
        (false, vec![HTML], vec!["probe-csp-missing", "probe-frames", "probe-nosniff"]),
        (true, vec![HTML, SAFE[0], SAFE[1]], vec!["probe-hsts"]),
        (true, vec![HTML, SAFE[0], SAFE[1], ("strict-transport-security", "max-age=60")], vec!["probe-hsts"]),
        (false, vec![JSON], vec!["probe-nosniff"]),
        (
            false,
            vec![HTML, SAFE[1], ("content-security-policy", "script-src 'self' 'unsafe-inline'; frame-ancestors *")],
            vec!["probe-csp-weak", "probe-frames"],
        ),
        (
            false,
            vec![
                HTML,
                SAFE[1],
                ("content-security-policy", "script-src 'nonce-1' 'unsafe-inline'"),
                ("x-frame-options", "deny"),
            ],
            vec![],
        ),
        // Of two policies both count, so a strict one makes up for a weak one.
        (false, vec![HTML, SAFE[1], SAFE[0], ("content-security-policy", "default-src *")], vec![]),
        (
            true,
            [&SAFE[..], &[HTML, ("set-cookie", "sid=1; SameSite=None")]].concat(),
            vec!["probe-cookie-httponly", "probe-cookie-samesite", "probe-cookie-secure"],
        ),
        (false, [&SAFE[..], &[HTML, ("set-cookie", "gone=; Max-Age=0")]].concat(), vec![]),
        (false, [&SAFE[..], &[HTML, ("server", "Apache/2.4.62 (Debian)")]].concat(), vec!["probe-version-leak"]),
        (false, [&SAFE[..], &[HTML, ("x-powered-by", "Express")]].concat(), vec!["probe-version-leak"]),
        (false, [&SAFE[..], &[("content-type", "application/json")]].concat(), vec!["probe-content-type-wrong"]),
        (false, SAFE[..2].to_vec(), vec!["probe-content-type-missing"]),
    ] {
        let body = if headers.contains(&JSON) && headers.len() == 1 { "[1]" } else { "<!doctype html><p>A shop</p>" };
        assert_eq!(ids(&page(is_tls, &answer(200, &headers, body))), expected, "{headers:?}");
    }
}

#[test]
fn bodies() {
    for (media, body, expected) in [
        ("text/html", "{\"a\": 1}", Some("JSON as text/html")),
        ("text/plain", "<!DOCTYPE html><html>", Some("HTML as text/plain")),
        ("application/json", "nonsense", Some("no JSON as application/json")),
        ("application/problem+json", "{}", None),
        ("text/plain", "Traceback (most recent call last):\n  File \"a.py\", line 1", Some("a traceback of Python")),
        ("text/html", "<pre>Error\n    at run (/app/src/server.js:12:5)\n</pre>", Some("a stack of JavaScript")),
        (
            "application/json",
            "{\"error\": \"x\\n    at run (/app/src/server.js:12:5)\\n\"}",
            Some("a stack of JavaScript"),
        ),
        ("text/plain", "\tat com.shop.Orders.find(Orders.java:42)", Some("a stack of Java")),
        ("text/plain", "goroutine 1 [running]:", Some("a stack of Go")),
        ("text/plain", "thread 'main' panicked at src/main.rs:1:1", Some("a panic of Rust")),
        ("text/plain", "connect ECONNREFUSED 10.0.0.3:5432", Some("an address of another service")),
        ("application/javascript", "// Traceback (most recent call last)", None),
        ("image/png", "Traceback (most recent call last)", None),
        ("text/plain", "We are sorry, something went wrong at the till.", None),
    ] {
        let found = text::look(&answer(200, &[("content-type", media)], body));
        let words: Vec<&str> = found.iter().map(|(_, detail)| detail.as_str()).collect();
        match expected {
            Some(expected) => assert!(words.len() == 1 && words[0].contains(expected), "{body}: {words:?}"),
            None => assert_eq!(words, Vec::<&str>::new(), "{body}"),
        }
    }
}

#[test]
fn what_is_open_is_known_by_its_content() {
    let serve = |catch_all: bool| {
        move |question: &Question| {
            let plain = |body: &str| answer(200, &[("content-type", "text/plain"), SAFE[1]], body);
            Some(match (question.method.as_str(), question.path.as_str()) {
                ("TRACE", _) => answer(
                    200,
                    &[("content-type", "message/http")],
                    "TRACE / HTTP/1.1\r\nx-pipe-probe: pipe-probe-echo",
                ),
                (_, "/shop/.git/HEAD") => plain("ref: refs/heads/main\n"),
                (_, "/shop/.env") => plain("# ours\nexport DB_PASSWORD=x\n"),
                (_, "/shop/metrics") => plain("# HELP up Whether it is.\nup 1\n"),
                _ if catch_all => answer(200, &[HTML, SAFE[0], SAFE[1]], "<!doctype html><div id=app></div>"),
                _ => answer(404, &[("content-type", "text/plain")], "no"),
            })
        }
    };
    let base = || Service { base: "/shop".into(), ..Service::default() };
    for catch_all in [false, true] {
        let found = visit(base(), None, serve(catch_all));
        assert_eq!(ids(&found), ["probe-leak", "probe-leak-secret", "probe-leak-source", "probe-trace"], "{found:?}");
        assert!(found[1].contains(".env: variables of the environment: a file with secrets is open"), "{found:?}");
        assert!(found[2].contains("probe-leak-source .git/HEAD"), "{found:?}");
    }
}

#[test]
fn links_are_followed_below_the_service_alone() {
    let mut asked = Vec::new();
    let found = visit(Service { base: "/shop".into(), ..Service::default() }, None, |question| {
        asked.push(question.path.clone());
        let html = |body: &str| answer(200, &[HTML, SAFE[0], SAFE[1]], body);
        Some(match question.path.as_str() {
            "/shop" => html(
                "<a href='/shop/go?next=/cart&amp;a=1'> <a href=\"/other/x\"> <a href='//evil.example/'> <a href='https://evil.example/shop/'>
                 <a href='mailto:a@b'> <img src='/shop/img/../img/a.png'> <a href='/shopping'>",
            ),
            "/shop/img/" => html("<title>Index of /img</title>"),
            path if path.starts_with("/shop/go?next=https") => answer(302, &[("location", "//pipe-probe.invalid/")], ""),
            _ => answer(404, &[("content-type", "text/plain")], "no"),
        })
    });
    assert_eq!(ids(&found), ["probe-directory-listing", "probe-open-redirect"], "{found:?}");
    assert!(found[0].contains("img") && found[1].contains(" go: "), "{found:?}");
    assert!(asked.contains(&"/shop/img/a.png".to_owned()), "{asked:?}");
    assert!(
        asked.iter().all(|path| path == "/shop" || path.starts_with("/shop/") || path.starts_with("/shop?")),
        "{asked:?}"
    );
    for (to, expected) in [
        ("https://pipe-probe.invalid/", true),
        ("/\\pipe-probe.invalid", true),
        ("https:\t//pipe-probe.invalid", true),
        ("https://shop@pipe-probe.invalid:80/x", true),
        ("/login?next=https://pipe-probe.invalid/", false),
        ("https://shop.example/https://pipe-probe.invalid/", false),
    ] {
        assert_eq!(leads_away(to), expected, "{to}");
    }
}

#[test]
fn origins() {
    let with = |origin: &str, user: &str, asked: &str| {
        let headers = [("access-control-allow-origin", origin), ("access-control-allow-credentials", user)];
        headers::origin(&answer(200, &headers, ""), asked).map(|rule| rule.id)
    };
    let elsewhere = "https://pipe-probe.invalid";
    assert_eq!(with(elsewhere, "true", elsewhere), Some("probe-cors-credentials"));
    assert_eq!(with(elsewhere, "false", elsewhere), Some("probe-cors-reflected"));
    assert_eq!(with("null", "true", "null"), Some("probe-cors-credentials"));
    assert_eq!(with("*", "", elsewhere), Some("probe-cors-any-origin"));
    assert_eq!(with("*", "true", elsewhere), Some("probe-cors-reflected"));
    assert_eq!(with("https://shop.example", "true", elsewhere), None);
}
