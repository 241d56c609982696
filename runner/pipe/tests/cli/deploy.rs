//! `pipe deploy` and `pipe env`: told in words, ordered with words, ended by kind.

use std::path::Path;

use engine::sealing::{KeySource, Vault};
use engine::store::audit::Audit;
use engine::store::rollouts::{Addition, NewRollout, RolloutState, Rollouts};
use engine::store::{Database, Options};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::world::World;

fn view(environment: &str, service: &str) -> Json {
    let colour = |version: &str, id: u64, weight: u64, requests: u64, errors: u64| {
        json!({
            "revision": {
                "id": id, "image": format!("shop/{service}@sha256:{}", "ab".repeat(32)), "version": version,
                "commit": "1a38bd2".repeat(5),
            },
            "weight": weight, "wanted": 2, "healthy": 2, "restarts": 0, "requests": requests, "errors": errors, "in_flight": 1,
            "p50_ms": 12.5, "p95_ms": 4.25, "trouble": null,
        })
    };
    let step = |weight: u64, state: &str| {
        json!({
            "weight": weight, "hold_seconds": 300.0, "state": state, "started_at": null, "ended_at": null, "analyse": weight < 1_000,
            "pause": false, "words": "",
        })
    };
    json!({
        "id": 0, "environment": environment, "service": service, "repository": "octo/shop", "by": "ada", "phase": "holding",
        "outcome": null, "cause": null, "words": "v2 has 10 % of the traffic; evidence is gathered", "weight": 100,
        "blue": colour("v1", 0, 900, 1_800, 9), "green": colour("v2", 1, 100, 200, 7),
        "steps": [step(100, "running"), step(500, "pending"), step(1_000, "pending")],
        "evidence": [{
            "metric": "errors", "e_value": 3.2, "limit": 50.0, "green_events": 7, "blue_events": 9, "verdict": "inconclusive",
            "words": "green has 7 of the 16 errors at 10 % of the traffic",
        }],
        "timeline": [{ "at": "2026-01-01T10:00:00Z", "words": "asked for by ada\u{1b}[2J", "is_bad": false }],
        "orders": ["promote", "promote-full", "pause", "abort"], "next_at": null, "blue_until": null, "irreversible": null,
        "rollback_of": null, "plan_hash": "abc", "started_at": "2026-01-01T10:00:00Z", "ended_at": null,
    })
}

/// Opens the folder as long as `deed` goes on.
async fn within<T>(data: &Path, deed: impl AsyncFnOnce(&Rollouts) -> T) -> T {
    std::fs::create_dir_all(data).unwrap();
    let vault = Vault::new(KeySource::choose(&|_| None, data).read(true).unwrap());
    let database = Database::open(&data.join("pipe.db"), Options::SERVER).unwrap();
    drop(Audit::open(database.clone(), &vault).await.unwrap());
    let done = deed(&Rollouts::on(database.clone())).await;
    database.close().await;
    done
}

async fn begin(rollouts: &Rollouts, environment: &str, service: &str) -> u64 {
    let new = NewRollout {
        key: format!("{environment} {service}"),
        environment: environment.into(),
        service: service.into(),
        repository: "octo/shop".into(),
        run: None,
        job: "deploy".into(),
        actor: "ada".into(),
        plan_hash: "abc".into(),
        fact: json!({ "fact": "planned" }),
        view: view(environment, service),
        at: Timestamp::UNIX_EPOCH,
    };
    rollouts.create(new).await.unwrap().id
}

async fn end(rollouts: &Rollouts, id: u64, outcome: &str, words: &str) {
    let row = rollouts.get(id).await.unwrap().unwrap();
    let mut view = row.view;
    (view["phase"], view["outcome"], view["words"]) = ("ended".into(), outcome.into(), words.into());
    (view["ended_at"], view["orders"]) = ("2026-01-01T10:05:30Z".into(), json!([]));
    let facts = vec![(Timestamp::UNIX_EPOCH, json!({ "fact": "ended" }))];
    rollouts
        .append(id, Addition { seq: row.seq, token: None, facts, view, state: RolloutState::Closed, passing: None })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_are_told_and_steered() {
    let world = World::new(&[]);
    let data = world.root().join("data");
    within(&data, async |_| ()).await;
    let run = |line: &str| {
        let words: Vec<_> = line.split(' ').chain(["--data", "data"]).collect();
        let output = world.output(&words, "");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    };
    #[track_caller]
    fn check((code, text): (i32, String), expected: i32, parts: &[&str]) {
        let is_there = parts.iter().all(|part| text.contains(part));
        assert!(code == expected && is_there && !text.contains('\u{1b}'), "{code}: {text}");
    }
    check(run("deploy status"), 4, &["there is no rollout", "pipe/deploy-local"]);
    check(run("env ls"), 0, &["no environments"]);
    let id = within(&data, async |rollouts| begin(rollouts, "production", "orders").await).await;
    let told =
        ["production · orders  holding  rollout 1", "███  10 % green v2, 90 % blue v1", "3.50 %", "7 of the 16 errors"];
    check(run("deploy status"), 0, &told);
    check(
        run("deploy status production"),
        0,
        &["▶   10 %  for 5m, compared with blue", "promote|promote --full|pause|abort"],
    );
    check(run("deploy status staging"), 4, &["there is no rollout to staging"]);
    check(run("deploy status --json"), 0, &["\"may_order\": [", "\"phase\": \"holding\""]);
    check(run("deploy explain"), 0, &["Evidence", "E = 3.2, goes back at 50", "10:00:00  asked for by ada"]);
    check(run("deploy diff"), 0, &["version  v1 → v2", "not compared"]);
    check(run("env ls"), 0, &["production", "v1", "1a38bd2", "holding, green 10 %"]);
    check(run("deploy resume"), 1, &["takes no `resume` now", "it takes promote, promote-full, pause, abort"]);
    check(run("deploy pause production -m lunch"), 0, &["rollout 1 of orders to production: pause is ordered"]);
    check(run("deploy promote --full --service orders"), 0, &["promote-full is ordered"]);
    check(run("deploy rollback production"), 0, &["rollback is ordered"]);
    check(run("deploy abort --rollout 7"), 2, &["there is no rollout 7"]);
    let orders = within(&data, async |rollouts| rollouts.orders_after(id, 0).await.unwrap()).await;
    let orders: Vec<_> = orders.iter().map(|order| format!("{} {}", order.word, order.comment)).collect();
    assert_eq!(orders, ["pause lunch", "promote-full ", "abort "]);
    within(&data, async |rollouts| {
        end(rollouts, id, "succeeded", "green has all of the traffic").await;
        let bad = begin(rollouts, "production", "products").await;
        end(rollouts, bad, "rolled-back", "green had too many errors").await;
        begin(rollouts, "staging", "orders").await;
    })
    .await;
    check(run("deploy status production --watch --service orders"), 0, &["asked for by ada", "succeeded"]);
    check(run("deploy status production --watch --service products"), 1, &["rolled-back", "too many errors"]);
    check(run("deploy history production"), 0, &["succeeded", "rolled-back", "5m30s", "green had too many errors"]);
    check(run("deploy promote --rollout 1"), 1, &["it has ended"]);
    check(
        run("deploy explain production"),
        2,
        &["say which one: production --service orders, production --service products"],
    );
    let nothing = ["nothing was deployed of products in production yet"];
    check(run("deploy rollback production --service products"), 1, &nothing);
    let (_, listed) = run("env ls");
    assert_eq!((listed.matches("production").count(), listed.matches("staging").count()), (1, 1), "{listed}");
    check(run("audit ls"), 0, &["rollout.pause", "rollout.promote-full", "rollout.abort"]);
}
