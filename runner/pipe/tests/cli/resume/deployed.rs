//! A run that is killed while it deploys to ECS: taken up, its rollout goes on where it stands; given up, it goes back.

use std::process::Command;
use std::time::Duration;

use fake_aws::{ACCESS_KEY, Options, SECRET_KEY};
use serde_json::json;

use super::{Going, said};
use crate::account::{Account, Place};
use crate::world::World;

/// It waits for a person at 10 %. At 50 % it stands for longer than what is left behind is left alone.
const DEPLOY: &str = r#"on: workflow_dispatch
jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: production
    env:
      AWS_REGION: eu-central-1
      AWS_ACCESS_KEY_ID: "${{ secrets.AWS_ACCESS_KEY_ID }}"
      AWS_SECRET_ACCESS_KEY: "${{ secrets.AWS_SECRET_ACCESS_KEY }}"
      AWS_ENDPOINT_URL: "${{ vars.AWS_ENDPOINT_URL }}"
    steps:
      - uses: actions/checkout@v4
      - uses: pipe/deploy-ecs@v1
        with:
          task-definition: taskdef.json
          cluster: shop-production
          service: orders
          services: shop-production-orders-a,shop-production-orders-b
          listener-rule: ${{ vars.RULE }}
          steps: "[{weight: 10, pause: true}, {weight: 50, for: 12s}, {weight: 100, bake: 1s}]"
          analysis: "{metrics: [restarts], min-requests: 1, inconclusive: promote}"
"#;
/// Goes on until it is told to end.
const OTHER: &str = "on: push\njobs:\n  other:\n    runs-on: ubuntu-latest\n    steps:\n      - name: Wait\n        run: until test -e \"$STOP\"; do sleep 0.1; done\n";
const PATIENCE: Duration = Duration::from_secs(120);

struct Scene {
    world: World,
    account: Account,
    place: Place,
}

impl Scene {
    fn new() -> Self {
        let definition = json!({
            "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "containerDefinitions": [{
                "name": "orders", "image": format!("r.example/orders@sha256:{}", "a".repeat(64)),
                "portMappings": [{ "containerPort": 8080 }],
            }],
        });
        let world = World::repository(&[
            (".github/workflows/deploy.yml", DEPLOY),
            (".github/workflows/other.yml", OTHER),
            ("taskdef.json", &definition.to_string()),
        ]);
        let account = Account::new(Options { speed: 60.0, ..Options::default() });
        let place = account.environment("production", &["orders"], Some("r.example/orders:1"));
        account.fake.advance(Duration::from_secs(120));
        Self { world, account, place }
    }

    fn rule(&self) -> &str {
        self.place.services["orders"]["listener-rule"].as_str().unwrap()
    }

    fn run(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(&["run", "--host", "--json"]);
        command.args(words).args(["-s", &format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}")]);
        command.args(["-s", &format!("AWS_SECRET_ACCESS_KEY={SECRET_KEY}")]);
        command
    }

    fn deploy(&self) -> Going {
        let (endpoint, rule) = (self.account.fake.endpoint(), self.rule());
        let variables = [format!("AWS_ENDPOINT_URL={endpoint}"), format!("RULE={rule}")];
        let words = ["workflow_dispatch", "-W", ".github/workflows/deploy.yml"];
        Going::start(self.run(&words).args(variables.iter().flat_map(|one| ["--var", one])))
    }

    /// Per cent of the users that have the second service.
    fn share(&self) -> i64 {
        let [a, b] = self.account.weights(self.rule());
        100 * b / (a + b)
    }

    fn until_share(&self, wanted: i64) {
        let is_there = |_: &fake_aws::Fake| (self.share() == wanted).then_some(());
        assert!(self.account.fake.wait_for(PATIENCE, is_there).is_some(), "{:?}", self.account.weights(self.rule()));
    }
}

/// Until the log of its step has this.
fn until_said(going: &mut Going, words: &str) {
    going.until(|fact| fact["type"] == "log" && fact.to_string().contains(words));
}

#[test]
fn killed_while_it_deploys() {
    let scene = Scene::new();
    let mut going = scene.deploy();
    until_said(&mut going, "10 %");
    scene.until_share(10);
    going.kill();

    // Any other command removes what was left behind, but not what can be gone on with.
    assert_eq!(said(&scene.world, &["runs"]).0, Some(0));
    let mut again = Going::start(&mut scene.run(&["--resume", "latest"]));
    until_said(&mut again, "taken up");
    until_said(&mut again, "waits");
    let (code, text) = said(&scene.world, &["deploy", "promote", "production", "--service", "orders"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(again.end(), ("success".into(), Some(0)));
    assert_eq!(scene.share(), 100);
    let journal = scene.account.fake.journal();
    let made = |name: &str| journal.iter().filter(|call| call.operation == name && call.status == 200).count();
    assert_eq!((made("RegisterTaskDefinition"), made("ModifyRule")), (1, 3), "each was done once");
}

#[test]
fn killed_while_it_deploys_and_given_up() {
    let scene = Scene::new();
    let mut going = scene.deploy();
    until_said(&mut going, "10 %");
    scene.until_share(10);
    going.kill();
    let stop = scene.world.root().join("stop");
    let set = format!("STOP={}", stop.display());
    // The keys of the job ended with its process: they are the machine's that it goes back with.
    let mut command = scene.run(&["push", "-W", ".github/workflows/other.yml", "--env", &set]);
    command.env("PIPE_AWS_MACHINE_KEYS", "allow").env("AWS_ENDPOINT_URL", scene.account.fake.endpoint());
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "eu-central-1");
    let mut other = Going::start(&mut command);
    other.until_step("Wait");
    scene.until_share(0);
    std::fs::write(stop, "").unwrap();
    assert_eq!(other.end(), ("success".into(), Some(0)));
}
