//! Row U01 at its full number: 200 and more payloads, in each place where a page shows what others wrote.

use axum::http::StatusCode;

use crate::artifacts::keep;
use crate::findings::find;
use crate::pages::hostile::{check_harmless, corpus, run_named};
use crate::world::World;

/// A run of which everything that somebody may choose is this text, its log too.
async fn run_of(world: &World, text: &str) -> engine::store::RunId {
    let run = run_named(world, text).await;
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(place, _)| place);
    let (begin, end) = text.split_at(half);
    let log = format!(
        "{text}\n\u{1b}[31m{begin}\u{1b}[1m{end}\u{1b}[0m\n\u{1b}]8;;{text}\u{1b}\\{text}\u{1b}]8;;\u{7}\n10%\r{text}\n##[error]{text}\n\
         ##[group]{text}\nhttps://a.b/{text}\n##[endgroup]\n"
    );
    world.log(run, "build", Some(1), &log);
    find(world, run, Some(1), text, Some(&format!("{text}\n\n[{text}]({text})\n\n| {text} |\n|---|\n| {text} |\n")));
    keep(world, run.0, text, b"x");
    run
}

#[tokio::test]
async fn u01_two_hundred_payloads_stay_text_wherever_they_are_shown() {
    let world = World::new().await;
    let texts = corpus();
    assert!(texts.len() > 200, "{}", texts.len());
    for text in &texts {
        let run = run_of(&world, text).await;
        let query: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/runs/{run}"),
            format!("/runs/{run}/jobs/build"),
            format!("/runs/{run}/jobs/build?q={query}&n=2"),
            format!("/?status={query}"),
            format!("/?branch={query}&actor={query}&workflow={query}"),
        ] {
            let is_filter = path.starts_with("/?");
            // A field holds what was typed, also what is not seen.
            if is_filter && text.chars().any(|c| c.is_control() || ('\u{200b}'..='\u{2069}').contains(&c)) {
                continue;
            }
            let page = world.browse(&path).await;
            assert!(page.status == StatusCode::OK || is_filter, "{path}: {}", page.text());
            check_harmless(page.text(), &format!("{path} of {text}"));
        }
    }
    // The newest fifty, with all that a list shows of each.
    let list = world.browse("/").await;
    assert_eq!(list.text().matches("data-row").count(), 50, "{}", list.text());
    check_harmless(list.text(), "the list");
}
