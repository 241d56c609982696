//! The shipped pipeline for two regions, its file unchanged, with a fake of AWS for each region: one approval, a copy of the image that is
//! awaited, the second region after the first, and never where the first has failed. Tasks are in the fakes' minds.

use std::time::Duration;

use fake_aws::Options;
use serde_json::{Value as Json, json};

use crate::account::{Account, NAME, NUMBER, PROJECT, Place};
use crate::aws::{command, pipe, repository, role, serve, told, variables};
use crate::serve::Server;
use crate::world::World;

const SETTINGS: &str = "[labels]\nubuntu-latest = 'host'\nself-hosted = 'host'\n[environments.production]\nreviewers = ['local']\n\
    prevent-self-review = false\n[environments.production-first]\n[environments.production-second]\n";
const STANDS: &str = "r.example/orders:1";
const REGIONS: [&str; 2] = ["eu-central-1", "us-west-2"];
const NAMES: [&str; 2] = ["production-first", "production-second"];
/// What changes a region.
const CHANGES: [&str; 4] =
    ["ECS.RegisterTaskDefinition", "ECS.UpdateService", "ELBv2.ModifyRule", "STS.AssumeRoleWithWebIdentity"];
const PATIENCE: Duration = Duration::from_secs(120);

struct Scene {
    world: World,
    server: Server,
    regions: [Account; 2],
    places: [Place; 2],
}

/// An alarm whose metric nobody has: what that means says whether it is on.
fn alarm(silence: &str) -> Json {
    json!({
        "AlarmName": "orders-5xx", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": silence,
    })
}

impl Scene {
    fn new() -> Self {
        let file = (".github/workflows/two-regions.yml", include_str!("../../../../pipelines/two-regions.yml"));
        let world = repository(file, SETTINGS);
        let regions = REGIONS
            .map(|region| Account::new(Options { region: region.to_owned(), speed: 60.0, ..Options::default() }));
        let rule = json!({ "destinations": [{ "region": REGIONS[1], "registryId": NUMBER }] });
        let rules = json!({ "replicationConfiguration": { "rules": [rule] } });
        regions[0].call("ECR", "PutReplicationConfiguration", &rules);
        let server = serve(&world);
        let place = |at: usize| {
            let account = &regions[at];
            account.trust(server.address(), &NAMES);
            account.call("CloudWatch", "PutMetricAlarm", &alarm("notBreaching"));
            let mut place = account.environment("production", &["orders"], Some(STANDS));
            place.services["orders"]["alarms"] = json!("orders-5xx");
            account.fake.advance(Duration::from_secs(120));
            place
        };
        let places = [place(0), place(1)];
        Self { world, server, regions, places }
    }

    fn tell(&self) {
        let endpoints = self.regions.each_ref().map(|region| region.fake.endpoint());
        // The registries of both regions are the first fake's, which keeps what each of them has apart.
        let registry = endpoints[0].trim_start_matches("http://");
        let push = role("push");
        variables(
            &self.world,
            &[
                ("AWS_ENDPOINT_URL", &endpoints[0], ""),
                ("AWS_REGION", REGIONS[0], ""),
                ("AWS_SECOND_REGION", REGIONS[1], ""),
                ("AWS_ACCOUNT", NUMBER, ""),
                ("AWS_PUSH_ROLE", &push, ""),
                ("AWS_PROJECT", PROJECT, ""),
                ("AWS_REGISTRY", registry, ""),
                ("SCAN_DB", "services/advisories", ""),
                ("SCAN_GATE", "pipelines/gate.yml", ""),
                ("ROLLOUT_SHARES", "{weight: 10, for: 1s}", ""),
                ("ROLLOUT_ANALYSIS", "{metrics: [restarts], min-requests: 1, inconclusive: promote}", ""),
            ],
        );
        for at in 0..2 {
            let (role, services) = (role(&format!("deploy-{}", NAMES[at])), self.places[at].services.to_string());
            variables(
                &self.world,
                &[
                    ("AWS_ENDPOINT_URL", &endpoints[at], NAMES[at]),
                    ("AWS_REGION", REGIONS[at], NAMES[at]),
                    ("AWS_DEPLOY_ROLE", &role, NAMES[at]),
                    ("AWS_SERVICES", &services, NAMES[at]),
                ],
            );
        }
    }

    /// Starts it and goes on to the approval, which changes nothing.
    fn begin(&self) {
        let before = [self.changes(0), self.changes(1)];
        let given = ["--input", "services=[\"orders\"]", "--input", "bake=2s"];
        pipe(&self.world, &[&["dispatch", "two-regions.yml", "--repo", NAME], &given[..]].concat());
        let waits = pipe(&self.world, &["watch", "latest", "--until-review"]);
        assert!(waits.contains("waits for a review of production"), "{waits}");
        assert!(waits.contains("us-west-2"), "the copy was awaited: {waits}");
        // The push took a role; services were left alone.
        assert_eq!([&self.changes(0)[..3], &self.changes(1)[..]], [&before[0][..3], &before[1][..]]);
        pipe(&self.world, &["approve", "latest", "production"]);
    }

    fn end(&self) -> (bool, String) {
        let output = command(&self.world, &["watch", "latest"]).output().unwrap();
        (output.status.success(), told(&output))
    }

    fn changes(&self, region: usize) -> [usize; 4] {
        CHANGES.map(|call| self.regions[region].fake.effects(call))
    }

    /// Shares of the two services in a region.
    fn shares(&self, region: usize) -> [i64; 2] {
        let rule = self.places[region].services["orders"]["listener-rule"].as_str().unwrap();
        self.regions[region].weights(rule)
    }
}

#[test]
fn the_second_region_follows_the_first_and_is_left_alone_where_that_fails() {
    let scene = Scene::new();
    scene.tell();
    scene.begin();
    let (passed, text) = scene.end();
    assert!(passed, "{text}");
    for region in 0..2 {
        assert!(scene.shares(region)[1] > 0 && scene.shares(region)[0] == 0, "{:?}: {text}", scene.shares(region));
    }
    let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("{line}: {text}"));
    assert!(at("orders in the first region (") < at("[orders in the second region]"), "{text}");

    // Once more; this time an alarm of the first region goes on when users come to what is new.
    let second = scene.changes(1);
    scene.begin();
    let shifted = scene.regions[0].fake.wait_for(PATIENCE, |_| (scene.shares(0)[0] > 0).then_some(()));
    assert!(shifted.is_some(), "{}", scene.end().1);
    scene.regions[0].call("CloudWatch", "PutMetricAlarm", &alarm("breaching"));
    let (passed, text) = scene.end();
    assert!(!passed && text.contains("the alarm is on: orders-5xx"), "{text}");
    assert_eq!(scene.shares(0)[0], 0, "the first region is back: {text}");
    assert_eq!(scene.changes(1), second, "nothing was asked of the second region: {text}");
    assert!(text.contains("second skipped"), "{text}");
    scene.server.stop();
}
