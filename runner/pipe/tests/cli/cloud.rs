//! `pipe serve` as issuer of identity tokens: what jobs get of it is exchanged for keys by an STS that checks issuer, signature, audience
//! and subject, and nothing else is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fake_aws::{Fake, Options};
use serde_json::{Value as Json, json};

use crate::account::trust;
use crate::serve::{Server, pipe};
use crate::world::{CI, World};

const NAME: &str = "acme/shop";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";
/// A role that trusts what [`KEYS`] make of a job of `main`.
const CUSTOM_ROLE: &str = "arn:aws:iam::123456789012:role/custom";
/// A list of a server's own.
const KEYS: &str = "include-claim-keys = ['repository_owner', 'job_workflow_ref', 'ref']\n";
/// Tokens of jobs end before this has passed.
const LATER: Duration = Duration::from_mins(10);

/// A repository with the branches `main` and `dev`, registered at a server, and an account whose roles trust jobs of `main` only: one
/// in GitHub's own form, and one as [`KEYS`] have it.
struct Scene {
    world: World,
    server: Server,
    fake: Fake,
}

impl Scene {
    /// `settings`: of the server, beside its labels. `role`: which one the job takes.
    fn new(settings: &str, role: &str) -> Self {
        let fake = Fake::start(Options::default()).unwrap();
        let world = World::new(&[]);
        let token = world.root().join("token");
        let workflow = format!(
            "on: workflow_dispatch\npermissions: {{ id-token: write, contents: read }}\njobs:\n  keys:\n    runs-on: ubuntu-latest\n\
             \x20   env: {{ AWS_ENDPOINT_URL: '{}' }}\n    steps:\n\
             \x20     - run: |\n          curl -fsS -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \
             \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com\" > '{}'\n\
             \x20     - uses: pipe/aws-credentials\n        id: aws\n        with: {{ aws-region: eu-central-1, role-to-assume: '{role}' }}\n\
             \x20     - run: echo \"account ${{{{ steps.aws.outputs.aws-account-id }}}}, key ${{AWS_ACCESS_KEY_ID:0:4}}\"\n",
            fake.endpoint(),
            token.display(),
        );
        let world = world.committed(&[(CI, &workflow)], &["dev"]);
        world.write("data/pipe.toml", format!("[labels]\nubuntu-latest = 'host'\n{settings}").as_bytes());
        let server = Server::start(&world);
        let url = world.root().display().to_string();
        pipe(&world, &["repo", "add", &url, "--name", NAME, "--forge", "push", "--data", "data"]);
        let scene = Self { world, server, fake };
        scene.trust();
        scene
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Makes the account trust the server, for jobs of `main`.
    fn trust(&self) {
        let provider = json!({ "Url": self.issuer(), "ClientIDList": ["sts.amazonaws.com"] });
        let provider =
            self.fake.call("IAM", "CreateOpenIDConnectProvider", &provider).unwrap()["OpenIDConnectProviderArn"]
                .clone();
        let host = self.server.address();
        let custom = format!("repository_owner:acme:job_workflow_ref:{NAME}/{CI}@refs/heads/main:ref:refs/heads/main");
        for (role, subject) in [("deploy", format!("repo:{NAME}:ref:refs/heads/main")), ("custom", custom)] {
            let trust = trust(host, &provider, &subject).to_string();
            let role = json!({ "RoleName": role, "AssumeRolePolicyDocument": trust });
            self.fake.call("IAM", "CreateRole", &role).unwrap();
        }
    }

    /// Runs the workflow on a branch, to its end.
    fn run(&self, branch: &str) -> Output {
        let words = ["dispatch", "ci.yml", "--repo", NAME, "--ref", branch, "--watch", "--data", "data"];
        self.world.command(&words).output().unwrap()
    }

    /// The token that the job of the last run asked for.
    fn token(&self) -> String {
        let answer = std::fs::read(self.world.root().join("token")).unwrap();
        let answer: Json = serde_json::from_slice(&answer).unwrap();
        answer["value"].as_str().unwrap().to_owned()
    }

    /// What STS answers to who has this token, without a job.
    fn assume(&self, token: &str) -> String {
        self.assume_as(ROLE, token)
    }

    fn assume_as(&self, role: &str, token: &str) -> String {
        let address = self.fake.endpoint().trim_start_matches("http://").to_owned();
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}&RoleSessionName=by-hand&WebIdentityToken={token}"
        );
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn told(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// The token with another part of it changed by a hand that has not the key.
fn altered(token: &str, part: usize, change: impl Fn(&mut Json)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut value: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    change(&mut value);
    parts[part] = URL_SAFE_NO_PAD.encode(value.to_string());
    parts.join(".")
}

#[test]
fn keys_of_a_cloud_are_had_for_a_jobs_own_token_only() {
    let scene = Scene::new("", ROLE);
    let done = scene.run("main");
    let told = told(&done);
    assert!(done.status.success() && told.contains("account 123456789012, key ASIA"), "{told}");

    let good = scene.token();
    let taken = scene.assume(&good);
    assert!(taken.contains("<AssumedRoleUser>"), "the job's own token is one that STS takes: {taken}");
    assert!(!told.contains(&good), "{told}");
    assert!(
        scene.assume_as(CUSTOM_ROLE, &good).contains("<Code>AccessDenied</Code>"),
        "it wants another form of `sub`"
    );
    let signature = good.rfind('.').unwrap();
    let mut bent = good.clone();
    let other = if good[signature + 1..].starts_with('A') { "B" } else { "A" };
    bent.replace_range(signature + 1..signature + 2, other);
    for (what, token, code) in [
        ("a signature that was changed", bent, "InvalidIdentityToken"),
        (
            "no signature",
            format!("{}.", altered(&good[..signature], 0, |head| head["alg"] = json!("none"))),
            "InvalidIdentityToken",
        ),
        ("another end", altered(&good, 1, |claims| claims["exp"] = json!(9_999_999_999_u64)), "InvalidIdentityToken"),
        (
            "another issuer",
            altered(&good, 1, |claims| claims["iss"] = json!("http://127.0.0.1:9")),
            "InvalidIdentityToken",
        ),
    ] {
        let answer = scene.assume(&token);
        assert!(answer.contains(&format!("<Code>{code}</Code>")), "{what}: {answer}");
    }

    // A job of another branch has a good token, of somebody whom the role does not trust; its error says who it is.
    let done = scene.run("dev");
    let told = self::told(&done);
    assert_eq!(done.status.code(), Some(1), "{told}");
    let words = ["AssumeRoleWithWebIdentity", &format!("repo:{NAME}:ref:refs/heads/dev"), "trust policy"];
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    let foreign = scene.token();
    assert!(scene.assume(&foreign).contains("<Code>AccessDenied</Code>"));
    let stolen = altered(&foreign, 1, |claims| claims["sub"] = json!(format!("repo:{NAME}:ref:refs/heads/main")));
    assert!(scene.assume(&stolen).contains("<Code>InvalidIdentityToken</Code>"));

    scene.fake.put_verifier_ahead(LATER);
    assert!(scene.assume(&good).contains("<Code>ExpiredTokenException</Code>"), "it is over");
    scene.server.stop();
}

#[test]
fn a_subject_of_the_servers_own_opens_what_trusts_it_and_nothing_else() {
    // Also for a repository that has it by itself, in whatever case.
    for settings in [format!("[identity]\n{KEYS}"), format!("[identity.repositories.'Acme/Shop']\n{KEYS}")] {
        let scene = Scene::new(&settings, CUSTOM_ROLE);
        let done = scene.run("main");
        assert!(done.status.success() && told(&done).contains("account 123456789012, key ASIA"), "{}", told(&done));
        let own = scene.token();
        assert!(scene.assume_as(CUSTOM_ROLE, &own).contains("<AssumedRoleUser>"));
        assert!(scene.assume(&own).contains("<Code>AccessDenied</Code>"), "it wants `repo:…:ref:…`");
        let done = scene.run("dev");
        let words =
            ["AssumeRoleWithWebIdentity", &format!("job_workflow_ref:{NAME}/{CI}@refs/heads/dev"), "trust policy"];
        assert!(!done.status.success() && words.iter().all(|word| told(&done).contains(word)), "{}", told(&done));
        scene.server.stop();
    }
    // One that is as on GitHub among others.
    let scene = Scene::new(&format!("[identity]\n{KEYS}[identity.repositories.'{NAME}']\nuse-default = true\n"), ROLE);
    let done = scene.run("main");
    assert!(done.status.success(), "{}", told(&done));
    scene.server.stop();
    // What a job has not makes no token, and the job is told what it lacks.
    let scene = Scene::new("[identity]\ninclude-claim-keys = ['repo', 'environment']\n", ROLE);
    let done = scene.run("main");
    assert!(!done.status.success() && told(&done).contains("403"), "{}", told(&done));
    scene.server.stop();
}
