//! Minutes, money and times: as a page and as JSON, of 100,000 runs fast enough.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use engine::insights::costs::{CostRules, Used, UsedJob, UsedStep};
use engine::store::deliveries::RunOfDelivery;
use engine::store::insights::{Insights, Uncounted};
use engine::store::tokens::Scope;
use engine::store::{NewRun, RunId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::world::World;

fn rules() -> CostRules {
    CostRules {
        currency: "EUR".into(),
        prices: BTreeMap::from([("gpu".to_owned(), 0.5)]),
        default_price: 0.01,
        budget: Some(10.0),
        alerts: vec![50, 80, 100],
    }
}

fn job(name: &str, labels: &str, minutes: u64, ended: Timestamp) -> UsedJob {
    UsedJob {
        job: name.into(),
        service: if name == "deploy" { "orders".into() } else { String::new() },
        labels: labels.into(),
        ms: minutes * 60_000,
        minutes,
        queue_ms: 2_000,
        failed: name == "test",
        ended,
    }
}

fn used(ended: Timestamp, minutes: u64) -> Used {
    let step = UsedStep { count: 2, ms: 90_000, longest_ms: 80_000 };
    Used {
        jobs: vec![job("test", "ubuntu-latest", minutes, ended), job("deploy", "self-hosted, gpu", 2, ended)],
        steps: BTreeMap::from([(("test".to_owned(), "Test".to_owned()), step)]),
        caches: [3, 1, 1],
        duration_ms: Some(300_000),
    }
}

async fn run(world: &World, repository: &str, workflow: &str) -> RunId {
    let run = NewRun { repository: repository.into(), workflow: workflow.into(), ..NewRun::default() };
    world.store.create_run(run).await.unwrap().id
}

fn of(run: RunId, repository: &str, workflow: &str, at: Timestamp) -> Uncounted {
    Uncounted { run, repository: repository.into(), workflow: workflow.into(), made_at: at, finished_at: at }
}

#[tokio::test]
async fn minutes_and_money_are_told() {
    let world = World::new().await;
    assert!(world.browse("/costs").await.text().contains("No job ran in these days"));
    let insights = Insights::on(world.deliveries.database().clone());
    insights.set_rules(rules()).await.unwrap();
    let now = Timestamp::now();
    for (repository, minutes) in [("octo/shop", 100), ("octo/shop", 300), ("octo/else", 50)] {
        let counted = of(run(&world, repository, "ci.yml").await, repository, "ci.yml", now);
        insights.count(vec![(counted.clone(), used(now, minutes))]).await.unwrap();
        // Each counts once, whatever happens.
        insights.count(vec![(counted, used(now, minutes))]).await.unwrap();
    }
    let costs = world.get("/costs?since=7d").await.json();
    // 450 minutes of 0.01 and 6 of 0.5.
    assert_eq!((&costs["total"]["minutes"], &costs["total"]["runs"]), (&json!(456), &json!(6)), "{costs}");
    assert!((costs["total"]["money"].as_f64().unwrap() - 7.5).abs() < 1e-9, "{costs}");
    let names = |list: &str| -> Vec<String> {
        costs[list].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("labels"), ["ubuntu-latest", "self-hosted, gpu"]);
    assert_eq!(names("services"), ["", "orders", "orders", ""]);
    let runs = costs["steps"].as_array().unwrap().iter().map(|step| step["runs"].as_u64().unwrap());
    assert_eq!((runs.sum::<u64>(), &costs["steps"][0]["longest_ms"]), (6, &json!(80_000)));
    assert!((costs["caches"][0]["hit_rate"].as_f64().unwrap() - 0.6).abs() < 1e-9);
    insights.check_budget(&rules(), &world.audit, now).await.unwrap();
    insights.check_budget(&rules(), &world.audit, now).await.unwrap();
    let alerts: Vec<_> = insights.alerts(0).await.unwrap().iter().map(|alert| (alert.id, alert.percent)).collect();
    assert_eq!(alerts, [(1, 50)]);
    let more = of(run(&world, "octo/shop", "ci.yml").await, "octo/shop", "ci.yml", now);
    insights.count(vec![(more, used(now, 200))]).await.unwrap();
    insights.check_budget(&rules(), &world.audit, now).await.unwrap();
    let alerts: Vec<_> = insights.alerts(1).await.unwrap().iter().map(|alert| alert.percent).collect();
    assert_eq!(alerts, [80, 100]);
    assert_eq!(world.deeds().await.iter().filter(|deed| deed.starts_with("pipe costs.budget budget 20")).count(), 3);
    let page = world.browse("/costs").await;
    for part in
        ["The budget is used up.", "By service", "<bdi>self-hosted, gpu</bdi>", "Slowest steps", "60.0 %", "10.5 EUR"]
    {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let speed = world.get("/insights/speed").await.json();
    let median = speed["all"]["run_p50_seconds"].as_f64().unwrap();
    assert!((median - 300.0).abs() < 8.0, "{speed}");
    assert_eq!(speed["slowest_jobs"][0]["job"], "test");
    assert!(world.browse("/insights").await.text().contains("How long runs take"));
    let other = world.token("other", &[Scope::RunsRead], &["octo/else"]).await;
    let seen = world.get_as(&other, "/costs").await.json();
    assert_eq!((&seen["total"]["minutes"], &seen["budget"]), (&json!(52), &json!(null)));
}

#[tokio::test]
async fn names_of_jobs_and_steps_stay_text() {
    for text in TEXTS.iter().map(|text| text.replace('\0', "")).filter(|text| !text.is_empty()) {
        let world = World::new().await;
        let insights = Insights::on(world.deliveries.database().clone());
        let now = Timestamp::now();
        let mut used = used(now, 1);
        used.jobs.push(job(&text, &text, 1, now));
        used.steps.insert((text.clone(), text.clone()), UsedStep { count: 1, ms: 1, longest_ms: 1 });
        let counted = of(run(&world, &text, &text).await, &text, &text, now);
        insights.count(vec![(counted, used)]).await.unwrap();
        for path in ["/costs", "/insights"] {
            let page = world.browse(path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
            check_harmless(page.text(), &text);
        }
    }
}

/// 100,000 runs of a year, of 50 workflows of ten repositories, with 200,000 jobs.
#[tokio::test]
async fn a_year_of_100_000_runs_is_read_fast() {
    let world = World::new().await;
    let insights = Insights::on(world.deliveries.database().clone());
    insights.set_rules(rules()).await.unwrap();
    let now = Timestamp::now();
    let names = |number: u64| (format!("owner/r{}", number % 10), format!("w{}.yml", number % 50));
    let new = |number: u64| {
        let (repository, workflow) = names(number);
        let run = NewRun { repository, workflow, ..NewRun::default() };
        RunOfDelivery { run, spec: None, facts: Box::new(|_| Vec::new()) }
    };
    let made = world.store.make_runs((0..100_000).map(new).collect()).await.unwrap();
    let counted = made.iter().zip(0_u64..).map(|(numbers, number)| {
        let ((repository, workflow), at) = (names(number), now - SignedDuration::from_mins((number * 5).cast_signed()));
        (of(numbers.id, &repository, &workflow, at), used(at, number % 30 + 1))
    });
    insights.count(counted.collect()).await.unwrap();
    for path in ["/costs?since=30d", "/costs?since=90d", "/insights?since=90d", "/costs?since=365d"] {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            assert_eq!(world.browse(path).await.status, StatusCode::OK);
            best = best.min(start.elapsed());
        }
        eprintln!("{path}: {best:?}");
        // 30 ms is the aim on an idle machine with optimised code; this one shares its processors.
        assert!(best < Duration::from_millis(if path.ends_with("365d") { 900 } else { 300 }), "{best:?} for {path}");
    }
}
