//! Rollouts on ECS outlive their jobs and the server's process: what an ended job deployed is finished and taken back by a server that
//! takes the job's role again, with a token that it issues itself; from another run, from the command line, after a restart.

use std::time::{Duration, Instant};

use fake_aws::Options;
use serde_json::{Value as Json, json};

use crate::account::{Account, NAME, NUMBER, Place};
use crate::aws::{command, pipe, role, told, variables};
use crate::serve::Server;
use crate::world::World;

const SETTINGS: &str = "[labels]\nubuntu-latest = 'host'\nself-hosted = 'host'\n[environments.production]\n\
                        [identity]\ninclude-claim-keys = ['repo', 'context', 'job_workflow_ref', 'event_name']\n";
/// What they make of the job: a token that is issued when the job is over has the same.
const SUBJECT: &str = "repo:acme/shop:environment:production:job_workflow_ref:acme/shop/.github/workflows/deploy.yml@refs/heads/main:\
                       event_name:workflow_dispatch";
const DEPLOY: &str = r#"on:
  workflow_dispatch:
    inputs: { digest: { type: string, required: true }, keep: { type: string, default: 1h } }
permissions: { id-token: write, contents: read }
jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: production
    env: { AWS_ENDPOINT_URL: "${{ vars.AWS_ENDPOINT_URL }}" }
    steps:
      - uses: actions/checkout@v4
      - uses: pipe/aws-credentials@v1
        with: { aws-region: eu-central-1, role-to-assume: "${{ vars.AWS_DEPLOY_ROLE }}" }
      - uses: pipe/deploy-ecs@v1
        with:
          task-definition: taskdef.json
          image: r.example/orders@sha256:${{ inputs.digest }}
          version: ${{ inputs.digest }}
          cluster: ${{ fromJSON(vars.AWS_SERVICES).orders.cluster }}
          service: orders
          services: ${{ fromJSON(vars.AWS_SERVICES).orders.services }}
          listener-rule: ${{ fromJSON(vars.AWS_SERVICES).orders.listener-rule }}
          steps: "[{weight: 50, for: 1s}, {weight: 100, bake: 1s}]"
          analysis: "{metrics: [restarts], min-requests: 1, inconclusive: promote}"
          keep-blue: ${{ inputs.keep }}
"#;
const PATIENCE: Duration = Duration::from_secs(120);

struct Scene {
    world: World,
    account: Account,
    place: Place,
    /// The server's, before and after a restart: its name is who issues tokens.
    port: u16,
}

/// The digest of an image that is called by one letter.
fn digest(letter: char) -> String {
    letter.to_string().repeat(64)
}

impl Scene {
    fn new() -> Self {
        let definition = json!({
            "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "containerDefinitions": [{ "name": "orders", "image": "x", "portMappings": [{ "containerPort": 8080 }] }],
        });
        let world = World::repository(&[
            (".github/workflows/deploy.yml", DEPLOY),
            (".github/workflows/rollback.yml", include_str!("../../../../pipelines/rollback.yml")),
            ("taskdef.json", &definition.to_string()),
        ]);
        world.write("data/pipe.toml", SETTINGS.as_bytes());
        let account = Account::new(Options { speed: 60.0, ..Options::default() });
        let place = account.environment("production", &["orders"], Some("r.example/orders:1"));
        account.fake.advance(Duration::from_secs(120));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        Self { world, account, place, port }
    }

    fn serve(&self) -> Server {
        Server::run(command(&self.world, &["serve", "--listen", &format!("127.0.0.1:{}", self.port)]))
    }

    /// Another process in place of this one, when all keys have ended.
    fn anew(&self, server: Server) -> Server {
        server.stop();
        assert!(self.account.fake.expire_sessions(None) > 0);
        self.serve()
    }

    fn tell(&self, server: &Server) {
        let url = self.world.root().display().to_string();
        pipe(&self.world, &["repo", "add", &url, "--name", NAME, "--forge", "push"]);
        self.account.trust(server.address(), &["production"]);
        self.account.trust_only(server.address(), "deploy-production", SUBJECT);
        let (role, services) = (role("deploy-production"), self.place.services.to_string());
        variables(
            &self.world,
            &[
                ("AWS_ENDPOINT_URL", &self.account.fake.endpoint(), ""),
                ("AWS_DEPLOY_ROLE", &role, "production"),
                ("AWS_SERVICES", &services, "production"),
            ],
        );
    }

    fn dispatch(&self, workflow: &str, inputs: &[&str]) -> String {
        let mut words = vec!["dispatch", workflow, "--repo", NAME, "--watch"];
        inputs.iter().for_each(|input| words.extend(["--input", input]));
        pipe(&self.world, &words)
    }

    /// The image that all users get.
    fn stands(&self) -> String {
        let rule = self.place.services["orders"]["listener-rule"].as_str().unwrap();
        let slot = match self.account.weights(rule) {
            [_, 0] => "a",
            [0, _] => "b",
            shares => panic!("{shares:?}"),
        };
        let service = self.service(slot);
        let input = json!({ "taskDefinition": service["taskDefinition"] });
        let found = self.account.call("ECS", "DescribeTaskDefinition", &input);
        found["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned()
    }

    fn service(&self, slot: &str) -> Json {
        let input = json!({ "cluster": "shop-production", "services": [format!("shop-production-orders-{slot}")] });
        self.account.call("ECS", "DescribeServices", &input)["services"][0].clone()
    }

    /// Sessions that the server began by itself.
    fn renewed(&self) -> usize {
        let journal = self.account.fake.journal();
        journal.iter().filter(|call| call.input["RoleSessionName"] == "pipe-rollout" && call.status == 200).count()
    }

    fn status(&self) -> (bool, String) {
        let output = command(&self.world, &["deploy", "status", "production", "--watch"]).output().unwrap();
        (output.status.success(), told(&output))
    }
}

#[test]
fn what_an_ended_job_deployed_goes_back_from_a_run_from_the_command_line_and_after_a_restart() {
    let scene = Scene::new();
    let server = scene.serve();
    scene.tell(&server);
    let image = |letter: char| format!("r.example/orders@sha256:{}", digest(letter));
    for (letter, keep) in [('a', "1h"), ('b', "8s")] {
        let keep = format!("keep={keep}");
        scene.dispatch("deploy.yml", &[&format!("digest={}", digest(letter)), &keep]);
        assert_eq!(scene.stands(), image(letter));
    }
    // The server is begun anew while what stood before is kept, and all keys have ended: what is left to do is done all the same.
    let server = scene.anew(server);
    let is_stopped =
        |_: &fake_aws::Fake| ["a", "b"].iter().any(|slot| scene.service(slot)["desiredCount"] == 0).then_some(());
    assert!(scene.account.fake.wait_for(PATIENCE, is_stopped).is_some(), "{}", scene.status().1);
    assert_eq!((scene.stands(), scene.renewed() > 0), (image('b'), true));

    // From another run: the shipped workflow, whose job has no keys at all.
    let inputs = ["environment=production", "service=orders", "reason=a test"];
    let back = scene.dispatch("rollback.yml", &inputs);
    assert!(back.contains("takes orders in production back"), "{back}");
    assert_eq!(scene.stands(), image('a'));

    // From the command line, to a process whose keys have ended before they said.
    assert!(scene.account.fake.expire_sessions(None) > 0);
    let begun = Instant::now();
    pipe(&scene.world, &["deploy", "rollback", "production", "--service", "orders", "--message", "a test"]);
    let (passed, text) = scene.status();
    println!("{text}\nback after {:?}", begun.elapsed());
    assert!(passed && text.contains("succeeded"), "{text}");
    assert_eq!(scene.stands(), image('b'));

    // Nobody can take the role any more: what cannot be done is said, with what was tried.
    let input = json!({ "RoleName": "deploy-production", "PolicyDocument": "{\"Statement\": []}" });
    scene.account.call("IAM", "UpdateAssumeRolePolicy", &input);
    let server = scene.anew(server);
    let output = command(&scene.world, &["dispatch", "rollback.yml", "--repo", NAME, "--watch"])
        .args(inputs.iter().flat_map(|input| ["--input", input]))
        .output()
        .unwrap();
    let text = told(&output);
    for part in [
        &*format!("the credentials for account {NUMBER} are not known to this process"),
        "`pipe/rollback` runs behind `pipe/aws-credentials`",
        "deploy-production may not be taken",
        "PIPE_AWS_MACHINE_KEYS=allow",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!output.status.success());
    assert_eq!(scene.stands(), image('b'), "nothing was done");
    server.stop();
}
