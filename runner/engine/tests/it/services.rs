//! Service containers: ready, reached, and what is said when they are not.

use engine::placement::{JobShape, PlacementProgress, TransportChoice};

use crate::world::{World, ok, service, shell};

/// Answers `hello` over HTTP.
const SERVER: &str = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www";

/// It does so from when the service is ready: of one without a check nobody knows.
const HEALTH: &str = "--health-cmd \"wget -q -O - localhost\" --health-interval 10s";

#[tokio::test]
async fn reached_by_localhost_and_by_name() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let mut spec = world.spec();
    let mut first = service("web", SERVER);
    first.ports = vec!["80".into()];
    first.options = format!("{HEALTH} --name other");
    let mut second = service("web2", SERVER);
    second.ports = vec!["8080:80".into()];
    second.options = HEALTH.into();
    spec.services = vec![first, second];
    let began = std::time::Instant::now();
    let job = world.start(&placement, spec).await.unwrap();
    assert!(began.elapsed().as_secs() < 9, "ready before the engine's first health check");
    let facts = job.facts();
    assert_eq!(facts.services["web"].ports[&80], 32768);
    assert_eq!(facts.services["web2"].ports[&80], 8080);
    assert_eq!(Some(&facts.services["web"].network), facts.network.as_ref());
    for address in ["localhost:32768", "127.0.0.1:8080", "web", "web2", "other"] {
        assert_eq!(ok(&*job, &format!("wget -q -O - http://{address}/")).await, "hello\n", "{address}");
    }
    let seen = world.progress.lock().unwrap().clone();
    assert!(seen.contains(&PlacementProgress::ServiceReady { service: "web".into() }), "{seen:?}");
    assert_eq!(seen.last(), Some(&PlacementProgress::Ready));
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn a_container_job_reaches_them_by_name_alone() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let mut spec = world.spec();
    spec.shape = JobShape::Container;
    let mut web = service("web", SERVER);
    web.ports = vec!["8080:80".into()];
    web.options = HEALTH.into();
    spec.services = vec![web];
    let job = world.start(&placement, spec).await.unwrap();
    assert_eq!(job.facts().shape, JobShape::Container);
    assert_eq!(ok(&*job, "wget -q -O - http://web/").await, "hello\n");
    assert!(!shell(&*job, "wget -q -O - http://localhost:8080/").await.0.is_success());
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn reached_over_stdio() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Stdio).await;
    let mut spec = world.spec();
    let mut web = service("web", SERVER);
    web.ports = vec!["8080:80".into()];
    web.options = HEALTH.into();
    spec.services = vec![web];
    let job = world.start(&placement, spec).await.unwrap();
    assert_eq!(ok(&*job, "wget -q -O - http://localhost:8080/").await, "hello\n");
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn failures_show_the_end_of_the_log() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let fails = async |command: &str, options: &str, expect: &[&str]| {
        let mut spec = world.spec();
        let mut failing = service("db", command);
        failing.options = options.into();
        spec.services = vec![service("fine", "exec sleep 100"), failing];
        // The job is there nevertheless, for its steps that run after a failure.
        let job = world.start(&placement, spec).await.unwrap();
        let error = job.facts().services_problem.clone().unwrap_or_default();
        for part in expect {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert_eq!(ok(&*job, "echo still here").await, "still here\n");
        job.stop().await.unwrap();
        world.assert_clean();
        error
    };
    let probe = "--health-cmd false --health-interval 200ms --health-retries 2";
    let error = fails(
        "seq 1 100; exec sleep 100",
        probe,
        &["service `db` (pipe-test/placement:1) is unhealthy after", "last 50 lines", "\n  51\n", "\n  100"],
    )
    .await;
    assert!(!error.contains("\n  50\n"), "{error}");
    fails(
        "echo no password; exit 7",
        "--health-cmd true --health-interval 30s",
        &["ended with code 7", "\n  no password"],
    )
    .await;
    let mut spec = world.spec();
    let mut broken = service("db", "true");
    broken.entrypoint = Some("/no/such/program".into());
    spec.services = vec![broken];
    let job = world.start(&placement, spec).await.unwrap();
    let error = job.facts().services_problem.clone().unwrap_or_default();
    assert!(error.contains("could not be started") && error.contains("/no/such/program"), "{error}");
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn ports_that_collide() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let mut spec = world.spec();
    spec.services = vec![service("a", SERVER), service("b", SERVER)];
    for service in &mut spec.services {
        service.ports = vec!["5432:80".into()];
    }
    let error = world.start(&placement, spec).await.unwrap_err().to_string();
    assert!(error.contains("`5432:80` is taken: service `a` has port 5432 already"), "{error}");
    world.assert_clean();
}
