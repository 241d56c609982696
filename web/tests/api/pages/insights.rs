//! One deployment and figures over many: as pages and as JSON, with what people say of them and who may say it.

use axum::http::StatusCode;
use engine::insights::dora::{Label, Outcome, Stages};
use engine::mirror::CommitLine;
use engine::store::deployments::DeploymentChange;
use engine::store::insights::{Insights, Note};
use engine::store::outbox::{News, Outbox};
use engine::store::tokens::Scope;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use workflow::run::{Conclusion, JobRunKey, RunEvent, Terms};

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::world::World;

/// It was approved, and its job gave a digest on.
fn events(key: &JobRunKey, environment: &str, outputs: std::collections::BTreeMap<String, String>) -> [RunEvent; 3] {
    let terms = Terms { subject: "of-it".into(), ..Terms::default() };
    [
        RunEvent::ReviewRequested {
            key: key.clone(),
            environment: environment.into(),
            reviewers: vec!["ada".into()],
            wait_ms: 0,
            terms,
        },
        RunEvent::Reviewed {
            key: key.clone(),
            approved: true,
            by: "ada".into(),
            comment: "looks fine".into(),
            passed: true,
        },
        RunEvent::JobRunFinished { key: key.clone(), conclusion: Conclusion::Success, outputs, message: None },
    ]
}

/// A deployment that ended so many hours ago, an hour after the commit that it brought.
async fn deployed(world: &World, service: &str, environment: &str, hours: i64, label: Option<Label>) -> u64 {
    let run = world.run("octo/shop", "main").await;
    let key = JobRunKey::parse("deploy");
    let (mut outputs, image) = (std::collections::BTreeMap::new(), format!("sha256:{}", "a1".repeat(32)));
    outputs.insert(service.to_owned(), image);
    world.facts(run, 1, &events(&key, environment, outputs)).await;
    let database = world.deliveries.database().clone();
    let outbox = Outbox::on(database.clone());
    outbox.recover().await.unwrap();
    let position = outbox.open_runs().await.unwrap().into_iter().find(|one| one.run == run).unwrap();
    let now = Timestamp::now();
    let at = |minutes: i64| now - SignedDuration::from_hours(hours) - SignedDuration::from_mins(minutes);
    let change = DeploymentChange {
        job: key,
        repository: "octo/shop".into(),
        environment: environment.into(),
        state: "success",
        url: None,
        at: at(0),
        is_open: false,
    };
    outbox.record(position, 3, true, News { deployments: vec![change], ..News::default() }, now).await.unwrap();
    let insights = Insights::on(database);
    let of = insights.unnoted().await.unwrap().remove(0);
    let id = of.id;
    let stages = Stages {
        made: at(50),
        first: at(50),
        ready: at(40),
        asked: at(40),
        passed: at(10),
        started: at(10),
        done: at(0),
    };
    let commit = CommitLine {
        sha: "c".repeat(40),
        subject: format!("A change of {service}"),
        author: "mona".into(),
        committed_at: at(60).as_second(),
    };
    let note = Note {
        service: service.into(),
        outcome: Outcome::Succeeded,
        stages,
        previous: None,
        label,
        gone: 0,
        commit_times: vec![commit.committed_at],
        commits: vec![commit],
        problem: None,
        of,
    };
    insights.keep(note).await.unwrap();
    id
}

#[tokio::test]
async fn dora_is_told_by_service() {
    let world = World::new().await;
    assert!(world.browse("/insights").await.text().contains("Nothing was deployed yet"));
    deployed(&world, "orders", "production", 50, None).await;
    deployed(&world, "orders", "production", 40, Some(Label::Revert)).await;
    deployed(&world, "products", "Production", 30, None).await;
    deployed(&world, "orders", "staging", 20, None).await;
    // As numbers for Prometheus, by the same records.
    let routes = web::metrics_routes(world.database.clone(), None, None);
    let request = axum::http::Request::builder().uri("/metrics").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(routes, request).await.unwrap();
    let text = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let place = |service: &str| format!("{{repository=\"octo/shop\",environment=\"production\",service=\"{service}\"");
    for line in [
        format!("pipe_dora_deployments{}}} 2", place("orders")),
        format!("pipe_dora_deployments{}}} 1", place("products")),
        format!("pipe_dora_rework_ratio{}}} 0.5", place("orders")),
    ] {
        assert!(text.lines().any(|one| one.eq_ignore_ascii_case(&line)), "{line} is missing in\n{text}");
    }
    // A commit's time has whole seconds.
    let lead = format!("pipe_dora_lead_time_seconds{},quantile=\"0.5\"}} ", place("orders"));
    let lead = text.lines().find_map(|line| line.strip_prefix(&lead)).and_then(|value| value.parse::<f64>().ok());
    assert!(lead.is_some_and(|seconds| (3_600.0..3_601.0).contains(&seconds)), "{lead:?} in\n{text}");
    let figures = world.get("/insights/dora?since=7d").await.json();
    assert_eq!(
        (&figures["environment"], &figures["all"]["deployments"]),
        (&json!("production"), &json!(3)),
        "{figures}"
    );
    let services: Vec<_> = figures["services"].as_array().unwrap().iter().map(|one| one["service"].clone()).collect();
    assert_eq!(services, ["orders", "products"]);
    let orders = &figures["services"][0];
    assert_eq!(
        (&orders["failed"], &orders["rework"], &orders["change_fail_rate"]),
        (&json!(1), &json!(1), &json!(0.5))
    );
    let lead = orders["lead_time"]["median_seconds"].as_f64().unwrap();
    assert!((lead - 3_600.0).abs() < 1.5, "{lead}");
    assert_eq!(figures["failures"][0]["why"], "mended");
    let staging = world.get("/insights/dora?environment=STAGING").await.json();
    assert_eq!(staging["all"]["deployments"], 1);
    for (query, part) in [
        ("since=x", "length of time"),
        ("from=2026-01-01&since=3d", "either"),
        ("timezone=Mars", "time zone"),
        ("x=1", "x"),
    ] {
        let wrong = world.get(&format!("/insights/dora?{query}")).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(wrong.text().contains(part), "{query}: {}", wrong.text());
    }
    let page = world.browse("/insights?since=30d&environment=production").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    for part in [
        "Delivery to <bdi>production</bdi>",
        "66.7 %",
        "<bdi>products</bdi>",
        "class=\"parts\"",
        "the next one mends it",
    ] {
        let part = part.replace("66.7 %", "33.3 %");
        assert!(page.text().contains(&part), "{part}: {}", page.text());
    }
    let other = world.token("other", &[Scope::RunsRead], &["octo/else"]).await;
    let seen = world.get_as(&other, "/insights/dora?environment=production").await.json();
    assert_eq!((&seen["all"]["deployments"], &seen["environments"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn a_deployment_is_shown_and_marked() {
    let world = World::new().await;
    let id = deployed(&world, "orders", "production", 2, None).await;
    let path = format!("/deployments/{id}");
    let shown = world.get(&path).await.json();
    assert_eq!(
        (&shown["images"][0]["name"], &shown["images"][0]["is_of_service"]),
        (&json!("deploy.orders"), &json!(true))
    );
    assert_eq!((&shown["reviews"][0]["by"], &shown["reviews"][0]["comment"]), (&json!("ada"), &json!("looks fine")));
    assert_eq!((&shown["verdict"]["failed"], &shown["subject"]), (&json!(null), &json!("of-it")));
    let page = world.browse(&path).await;
    for part in
        ["A change of orders", "looks fine", "sha256:a1a1", "Waits for people or time", "It failed and hurt users"]
    {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    // Said in a form, seen in the figures, taken back by the API; all of it in the audit log.
    let said = world.submit(&format!("{path}/mark"), "mark=failed&reason=Carts+were+empty&minutes=90").await;
    assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, path.as_str()), "{}", said.text());
    let shown = world.get(&path).await.json();
    assert_eq!(
        (&shown["verdict"]["failed"], &shown["marks"][0]["reason"]),
        (&json!("marked"), &json!("Carts were empty"))
    );
    assert!(world.browse(&path).await.text().contains("Carts were empty"));
    assert_eq!(world.get("/insights/dora").await.json()["all"]["unrecovered"], 1);
    let marks = format!("{path}/marks");
    let put = async |mark: &str, body: serde_json::Value| {
        world.send_json("PUT", &format!("{marks}/{mark}"), &body, &[]).await.status.as_u16()
    };
    assert_eq!(put("unplanned", json!({ "reason": "an incident" })).await, 200);
    assert_eq!(put("bad", json!({ "reason": "x" })).await, 404);
    assert_eq!(put("failed", json!({ "reason": " " })).await, 422);
    assert_eq!(put("failed", json!({ "reason": "x", "at": "2100-01-01T00:00:00Z" })).await, 422);
    assert_eq!(put("failed", json!({})).await, 400);
    assert_eq!(world.send_json("DELETE", &format!("{marks}/failed"), &json!({}), &[]).await.status, StatusCode::OK);
    assert_eq!(
        world.send_json("DELETE", &format!("{marks}/failed"), &json!({}), &[]).await.status,
        StatusCode::NOT_FOUND
    );
    let figures = world.get("/insights/dora").await.json();
    assert_eq!((&figures["all"]["failed"], &figures["all"]["rework"]), (&json!(0), &json!(1)));
    let target = format!("octo/shop deployment {id} to production");
    let expected = ["mark", "mark", "unmark"].map(|what| format!("token admin deployment.{what} {target}"));
    assert_eq!(world.deeds().await, expected);
    assert_eq!(world.browse("/deployments/999").await.status, StatusCode::NOT_FOUND);
    let other = world.token("other", &[Scope::RunsRead, Scope::RunsWrite], &["octo/else"]).await;
    assert_eq!(world.get_as(&other, &path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_others_wrote_stays_text() {
    for text in TEXTS.iter().map(|text| text.replace('\0', "")).filter(|text| !text.is_empty()) {
        let world = World::new().await;
        let id = deployed(&world, &text, &text, 1, None).await;
        let environment: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/deployments/{id}"),
            "/deployments".to_owned(),
            format!("/insights?environment={environment}"),
            format!("/insights?repository={environment}&service={environment}&since=30d"),
        ] {
            let page = world.browse(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
            check_harmless(page.text(), &text);
        }
    }
}
