//! What all pages have in common: headers, refusals, files.

use axum::http::StatusCode;

use crate::world::World;

const HEADERS: [(&str, &str); 4] = [
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
];

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = World::new().await;
    for path in
        ["/no-such-page", "/static/000/app.css", "/api/v1/runs", "/api/v1/no-such-page", "/%00", "//api/v1/runs"]
    {
        let answer = world.browse(path).await;
        for (name, value) in HEADERS {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_page_for_people_and_a_problem_for_programs() {
    let world = World::new().await;
    let page = world.browse("/no-such-page").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    assert!(page.text().contains("<h1>Not found</h1>"), "{}", page.text());
    let problem = world.get_of("", "/no-such-page", &[]).await;
    assert_eq!((problem.status, problem.problem()), (StatusCode::NOT_FOUND, "not_found".to_owned()));
}

#[tokio::test]
async fn files_are_kept_by_browsers_and_found_by_their_hash_only() {
    let world = World::new().await;
    let page = world.browse("/no-such-page").await;
    let text = page.text();
    let urls: Vec<&str> = text.split(['"', '#']).filter(|part| part.starts_with("/static/")).collect();
    assert!(urls.len() >= 4, "{text}");
    for url in urls {
        let file = world.browse(url).await;
        assert_eq!(file.status, StatusCode::OK, "{url}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        let packed = world.get_of("", url, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.len() < file.body.len() + 40, "{url}");
    }
    for url in ["/static/000000000000/app.css", "/static/x/../../../Cargo.toml", "/static/a/%2e%2e%2fCargo.toml"] {
        assert_eq!(world.browse(url).await.status, StatusCode::NOT_FOUND, "{url}");
    }
}
