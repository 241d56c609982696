//! Findings over time: what is there, what of it stands in production, what is new, what was fixed when; as JSON, SARIF and a page.

use engine::store::RunId;
use engine::store::cases::{Cases, Matched, NewCase};
use engine::store::deployments::DeploymentChange;
use engine::store::outbox::{News, Outbox};
use engine::store::scans::{NewScan, Scans};
use engine::store::tokens::Scope;
use engine::store::verdicts::{FindingLine, Found, ImageVerdict, Verdicts};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use workflow::run::{JobRunKey, RunEvent};

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::world::World;

/// A scan of an image by a run; findings as `NAME:SEVERITY`.
async fn scan(world: &World, run: RunId, found: &[&str]) {
    let lines = found.iter().filter_map(|one| one.rsplit_once(':')).map(|(name, severity)| FindingLine {
        fingerprint: format!("of {name}"),
        id: name.to_owned(),
        subject: format!("openssl {name}"),
        severity: severity.to_owned(),
        fails: severity == "critical",
    });
    let worst: Vec<_> = lines.collect();
    let new = NewScan {
        repository: "octo/shop".into(),
        subject: "shop/orders".into(),
        is_image: true,
        run,
        job: "scan".into(),
        step: 1,
        outcome: "fail".into(),
        sentence: "fail: 1 <b>".into(),
        at: Timestamp::from_second(run.0.cast_signed() * 3_600).unwrap(),
        found: Found { count: worst.len(), worst },
    };
    Scans::on(world.database.clone()).record(new).await.unwrap();
}

async fn deployed(world: &World, run: RunId) {
    world.facts(run, 1, &[RunEvent::RunStarted]).await;
    let outbox = Outbox::on(world.database.clone());
    outbox.recover().await.unwrap();
    let position = outbox.open_runs().await.unwrap().into_iter().find(|one| one.run == run).unwrap();
    let change = DeploymentChange {
        job: JobRunKey::parse("deploy"),
        repository: "octo/shop".into(),
        environment: "production".into(),
        state: "success",
        url: None,
        at: Timestamp::now(),
        is_open: false,
    };
    let news = News { deployments: vec![change], ..News::default() };
    outbox.record(position, 1, false, news, Timestamp::now()).await.unwrap();
}

fn names(answer: &Json) -> Vec<String> {
    let all = answer["findings"].as_array().unwrap().iter();
    all.map(|one| {
        format!("{} {}-{} {}", one["name"].as_str().unwrap(), one["first_run"], one["last_run"], one["stands"])
    })
    .collect()
}

#[tokio::test]
async fn findings_are_told_against_what_stands() {
    let world = World::new().await;
    assert!(world.browse("/findings").await.text().contains("Nothing was scanned yet"));
    let (one, two) = (world.run("octo/shop", "main").await, world.run("octo/shop", "main").await);
    scan(&world, one, &["CVE-1:high", "CVE-2:low"]).await;
    deployed(&world, one).await;
    scan(&world, two, &["CVE-2:low", "CVE-3:critical"]).await;
    let told = async |query: &str| world.get(&format!("/findings?repository=octo%2Fshop{query}")).await.json();
    let open = told("").await;
    assert_eq!(names(&open), ["CVE-3 2-2 false", "CVE-2 1-2 true"], "{open}");
    assert_eq!((&open["environment"], &open["ref"]), (&json!("production"), &json!("refs/heads/main")));
    assert_eq!(open["counts"], json!([["critical", 1], ["low", 1]]));
    assert_eq!((&open["subjects"][0]["new"], &open["subjects"][0]["standing"]), (&json!(1), &json!(1)));
    assert_eq!(names(&told("&state=new").await), ["CVE-3 2-2 false"]);
    assert_eq!(names(&told("&state=standing").await), ["CVE-1 1-1 true", "CVE-2 1-2 true"]);
    let fixed = told("&state=fixed").await;
    assert_eq!(names(&fixed), ["CVE-1 1-1 true"], "mended, and not there yet");
    assert_eq!(fixed["findings"][0]["fixed_run"], 2);
    assert_eq!(names(&told("&severity=low").await), ["CVE-2 1-2 true"]);
    let cut = told("&limit=1").await;
    assert_eq!((names(&cut).len(), &cut["more"]), (1, &json!(1)));
    assert_eq!(names(&told("&branch=other").await), [""; 0]);
    for wrong in ["&severity=worst", "&state=gone", "&order=1"] {
        assert_eq!(world.get(&format!("/findings?repository=octo%2Fshop{wrong}")).await.status, 400, "{wrong}");
    }
    let sarif = world.get("/findings/sarif?repository=octo%2Fshop").await.json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let told: Vec<_> = results.iter().map(|one| (one["level"].as_str(), one["baselineState"].as_str())).collect();
    assert_eq!(told, [(Some("error"), Some("new")), (Some("note"), Some("unchanged"))]);
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"], json!([{ "id": "CVE-2" }, { "id": "CVE-3" }]));
    // Who may not see the repository is told nothing of it.
    let token = world.token("other", &[Scope::RunsRead], &["octo/else"]).await;
    let other = world.get_as(&token, "/findings?repository=octo%2Fshop").await.json();
    assert_eq!((&other["repository"], names(&other).len()), (&json!(""), 0));
}

#[tokio::test]
async fn the_page_shows_them_whatever_they_are_called() {
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    let found: Vec<String> = TEXTS.iter().map(|text| format!("{text}:high")).collect();
    scan(&world, run, &found.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for state in ["open", "new", "standing", "fixed"] {
        let page = world.browse(&format!("/findings?state={state}&severity=high")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        check_harmless(page.text(), state);
        assert!(page.text().contains("fail: 1 &lt;b&gt;"), "{}", page.text());
    }
}

/// Advisories that came after the scan: the page says so where they are about what it looked at, and the scan mends nothing by it.
#[tokio::test]
async fn what_came_after_the_scan_is_marked() {
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    scan(&world, run, &["CVE-1:high"]).await;
    let page = world.browse("/findings").await;
    assert!(!page.text().contains("new since the scan"), "{}", page.text());
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let later = FindingLine {
        fingerprint: "of CVE-9".into(),
        id: "CVE-9".into(),
        subject: "zlib <b>".into(),
        severity: "critical".into(),
        fails: true,
    };
    let known = FindingLine { id: "CVE-1".into(), fingerprint: "of CVE-1".into(), ..later.clone() };
    let verdict = ImageVerdict {
        repository: "octo/shop".into(),
        image: "sha256:ab".into(),
        target: "shop/orders:1".into(),
        run,
        job: "scan".into(),
        step: 1,
        outcome: "fail".into(),
        sentence: "fail: 1 of 1 finding fails".into(),
        advisories: None,
        advisories_at: None,
        policy: "sha256:90".into(),
        policy_name: "gate.yml".into(),
        at,
        findings: Some(Found { count: 1, worst: vec![known.clone()] }),
        again: false,
    };
    Verdicts::on(world.database.clone()).record(verdict.clone()).await.unwrap();
    let cases = Cases::on(world.database.clone());
    let new = NewCase {
        repository: "octo/shop".into(),
        image: "sha256:ab".into(),
        digests: Vec::new(),
        target: "shop/orders:1".into(),
        run,
        job: "scan".into(),
        step: 1,
        body: b"a case".to_vec(),
        at,
        advisories: Some("of yesterday".into()),
    };
    assert!(cases.keep(new).await.unwrap());
    let row = cases.of("octo/shop").await.unwrap().remove(0);
    let findings = Some(Found { count: 2, worst: vec![later, known] });
    let matched =
        Matched { verdict: ImageVerdict { findings, again: true, ..verdict }, since: ["of CVE-9".to_owned()].into() };
    assert!(cases.matched(&row, "of today".into(), matched).await.unwrap());
    let told = world.get("/findings?repository=octo%2Fshop").await.json();
    let marked: Vec<_> =
        told["findings"].as_array().unwrap().iter().map(|one| (&one["name"], &one["is_later"])).collect();
    assert_eq!(marked, [(&json!("CVE-9"), &json!(true)), (&json!("CVE-1"), &json!(false))], "{told}");
    let page = world.browse("/findings?repository=octo%2Fshop").await;
    let text = page.text();
    assert_eq!(text.matches("new since the scan").count(), 1, "{text}");
    let row = text.split("<tr").find(|row| row.contains("CVE-9")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains("new since the scan") && row.contains("zlib &lt;b&gt;"), "{row}");
}
