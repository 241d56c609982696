//! Environments, deployments and tests as pages: empty, filled, of others.

use axum::http::StatusCode;
use engine::store::tokens::Scope;

use crate::world::World;

#[tokio::test]
async fn what_is_not_there_yet_says_how_it_comes() {
    let world = World::new().await;
    for (path, text) in [
        ("/environments", "[environments.production]"),
        ("/deployments", "environment:"),
        ("/tests", "pipe/test-report@v1"),
    ] {
        let page = world.browse(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
        assert!(page.text().contains(text), "{path}: {}", page.text());
    }
    assert_eq!(world.browse("/tests/1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.browse("/tests?order=slow&text=%3Cb%3E&skip=50&repository=octo%2Felse").await.status,
        StatusCode::OK
    );
}

/// Every place that the menu leads to is there, for everybody who sees it.
#[tokio::test]
async fn the_menu_leads_somewhere() {
    let world = World::new().await;
    let viewer = world.token("viewer", &[Scope::RunsRead], &[]).await;
    for (token, least) in [(&world.admin, 7), (&viewer, 4)] {
        let page = world.get_of(token, "/", &[("accept", "text/html")]).await;
        let menu = page.text().split_once("<nav class=\"menu\"").unwrap().1.split_once("</nav>").unwrap().0.to_owned();
        let places: Vec<_> =
            menu.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&#x2f;", "/")).collect();
        assert!(places.len() >= least, "{places:?}");
        for place in places {
            let there = world.get_of(token, &place, &[("accept", "text/html")]).await;
            assert_eq!(there.status, StatusCode::OK, "{place}: {}", there.text());
        }
    }
}
