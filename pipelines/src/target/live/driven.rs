//! Whole rollouts through the driver.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::clock::SystemClock;
use fake_aws::Options;
use jiff::SignedDuration;
use rollout::plan::{Deed, Hook};
use rollout::{Stage, View};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{ROLLOUT, Stage as World};
use crate::rollout::simulated::{Shared, SimulatedJournal};
use crate::rollout::{CallError, CallOrder, Driver, Hooks};
use crate::target::paced::Parts;

/// An image that is on machines that run the tests; nothing is pulled.
const IMAGE: &str = "python:3.11-slim-bookworm";
/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Answers with a word, and is healthy.
const SERVER: &str = "
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536
    def do_GET(self):
        body = os.environ['WORD'].encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()
";

pub(crate) fn server(word: &str) -> Value {
    json!({
        "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{
            "name": "app", "image": IMAGE, "essential": true, "portMappings": [{ "containerPort": 8080 }],
            "command": ["python3", "-c", SERVER], "environment": [{ "name": "WORD", "value": word }],
        }],
    })
}

pub(crate) fn is_here(test: &str) -> bool {
    let here = std::process::Command::new("docker").args(["image", "inspect", IMAGE]).output();
    let here = here.is_ok_and(|output| output.status.success());
    if !here {
        eprintln!("target {test}: SKIPPED, Docker or the image {IMAGE} is not here");
    }
    here
}

/// Scripts of the job: which stages ran, and which fails.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    pub(crate) ran: Mutex<Vec<Stage>>,
    pub(crate) fails: Option<Stage>,
}

#[async_trait]
impl Hooks for Scripts {
    async fn run(&self, order: &CallOrder, _scripts: &[Hook]) -> Result<Value, CallError> {
        let rollout::Call::Hook { stage } = order.call else { unreachable!() };
        self.ran.lock().unwrap().push(stage);
        if self.fails == Some(stage) { Err(CallError::last("exit code 1")) } else { Ok(json!({})) }
    }

    async fn look_up(&self, _order: &CallOrder) -> Result<Option<Value>, CallError> {
        Ok(None)
    }
}

/// Somebody who asks one thing after the other.
pub(crate) struct User {
    stops: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    answers: Arc<[AtomicU64; 3]>,
}

fn word(address: SocketAddr) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

impl User {
    fn new(address: SocketAddr) -> Self {
        let (stops, answers) = (Arc::new(AtomicBool::new(false)), Arc::new([const { AtomicU64::new(0) }; 3]));
        let (stop, count) = (Arc::clone(&stops), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let at = match word(address).as_deref() {
                    Some("blue") => 0,
                    Some("green") => 1,
                    Some(_) | None => 2,
                };
                count[at].fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stops, thread: Some(thread), answers }
    }

    /// Answers of blue, of green, and requests that failed.
    pub(crate) fn end(mut self) -> [u64; 3] {
        self.stops.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        [0, 1, 2].map(|at| self.answers[at].load(Ordering::SeqCst))
    }
}

/// What becomes of a call that has had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its process dies; another one, which knows nothing but the facts, goes on.
    Killed,
    /// Its answer is lost.
    Unheard,
    /// Both.
    KilledAndUnheard,
}

impl Fate {
    pub(crate) const ALL: [Self; 3] = [Self::Killed, Self::Unheard, Self::KilledAndUnheard];
}

/// A rollout that is driven beside its users.
pub(crate) struct Live {
    pub(crate) world: World,
    pub(crate) shared: Arc<Shared>,
    pub(crate) hooks: Arc<Scripts>,
}

/// Of a fake with containers, whose minutes are five seconds.
pub(crate) fn options() -> Options {
    Options { containers: true, speed: 12.0, ..Options::default() }
}

impl Live {
    /// With real users, and scripts at all stages but that of the way back.
    pub(crate) fn real(mut world: World, hooks: Scripts) -> Self {
        let found = world.fake.wait_for(PATIENCE, |fake| fake.listener_address(&world.listener));
        let (address, begun) = (found.unwrap(), Instant::now());
        while word(address).as_deref() != Some("blue") {
            assert!(begun.elapsed() < PATIENCE, "blue does not answer");
        }
        // What stands has been deployed to the end, all of it.
        let steady = |fake: &fake_aws::Fake| {
            let service = json!({ "cluster": "shop", "services": ["orders"] });
            let running = fake.call("ECS", "DescribeServices", &service).unwrap()["services"][0]["runningCount"] == 2;
            let going = json!({ "cluster": "shop", "service": "orders", "status": ["IN_PROGRESS"] });
            let going = fake.call("ECS", "ListServiceDeployments", &going).unwrap();
            (running && going["serviceDeployments"] == json!([])).then_some(())
        };
        world.fake.wait_for(PATIENCE, steady).unwrap();
        use Stage::{AfterAllowTestTraffic, AfterAllowTraffic, AfterInstall, BeforeAllowTraffic, BeforeInstall};
        let script = |stage| Hook { stage, deed: Deed::Script("true".to_owned()) };
        let stages = [BeforeInstall, AfterInstall, AfterAllowTestTraffic, BeforeAllowTraffic, AfterAllowTraffic];
        world.plan.hooks = stages.map(script).into();
        if world.plan.settings.get("parts").is_some() {
            // A minute is long enough for a canary, and CodeDeploy has no configuration for that.
            let parts = Parts::Two(100, 1);
            world.plan.schedule = parts.schedule(SignedDuration::ZERO, false);
            world.plan.settings["parts"] = serde_json::to_value(parts).unwrap();
            world.plan.settings["config"] = json!(parts.routing().name());
            // And so is what ECS waits for scripts, and keeps old tasks.
            (world.plan.settings["holds"], world.plan.settings["bake-minutes"]) = (json!(60), json!(1));
        }
        Self::new(world, hooks)
    }

    pub(crate) fn new(mut world: World, hooks: Scripts) -> Self {
        let shared = Shared::new(None);
        let plan = &mut world.plan;
        plan.tick = SignedDuration::from_millis(200);
        plan.schedule.steps.last_mut().unwrap().hold = SignedDuration::from_millis(500);
        plan.keep_blue = SignedDuration::from_millis(500);
        shared.plan(ROLLOUT, plan.clone());
        Self { world, shared, hooks: Arc::new(hooks) }
    }

    fn driver(&self) -> Driver {
        Driver {
            rollout: ROLLOUT,
            journal: SimulatedJournal::new(&self.shared),
            target: Arc::clone(&self.world.target),
            hooks: Arc::clone(&self.hooks) as Arc<_>,
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn user(&self) -> User {
        User::new(self.world.fake.listener_address(&self.world.listener).unwrap())
    }

    pub(crate) fn view(&self) -> View {
        self.shared.view(ROLLOUT)
    }

    pub(crate) fn told(&self) -> String {
        self.view().timeline.iter().map(|line| format!("{} {}\n", line.at, line.words)).collect()
    }

    /// To its end, unless `until` is so before: then whoever drives is gone. Whether it came to its end.
    pub(crate) async fn drive(&self, mut until: impl FnMut(&Self) -> bool) -> bool {
        let mut driver = std::pin::pin!(self.driver().run(CancellationToken::new()));
        let begun = Instant::now();
        loop {
            tokio::select! {
                biased;
                ended = &mut driver => {
                    ended.unwrap();
                    return true;
                }
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            if until(self) {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.told());
        }
    }

    /// Lets a call meet its fate when it has had its effect, and what is left of the rollout go on to its end. With `aborts`
    /// somebody stops it at the first share.
    pub(crate) async fn meets(mut self, (operation, nth): (&str, usize), fate: Fate, aborts: bool) -> Self {
        let mut is_told = false;
        if fate != Fate::Killed {
            self.world.fake.add_fault(operation, nth as u64, fake_aws::Fault::DropResponse);
        }
        let ended = self
            .drive(|live| {
                if aborts && !is_told && live.view().weight.0 == 100 {
                    is_told = true;
                    live.shared.order(ROLLOUT, rollout::Order::Abort);
                }
                fate != Fate::Unheard && live.world.fake.effects(operation) >= nth
            })
            .await;
        assert_eq!(ended, fate == Fate::Unheard, "{operation} {fate:?}\n{}", self.told());
        if !ended {
            self.world.forget();
            assert!(self.drive(|_| false).await);
        }
        assert!(self.world.fake.effects(operation) >= nth, "{operation} was called\n{}", self.told());
        self
    }
}

/// Questions to AWS: never more than one a second.
pub(crate) fn is_asked_calmly(fake: &fake_aws::Fake) {
    let changes = ["Register", "Update", "Modify", "Create", "Continue", "Stop", "Put"];
    let is_question = |name: &str| !changes.iter().any(|verb| name.starts_with(verb));
    let journal = fake.journal();
    let asked: Vec<i64> = journal.iter().filter(|call| is_question(&call.operation)).map(|call| call.at).collect();
    // What is on its way may come in a little later than it was sent: windows of ten seconds are looked at.
    let most = asked.iter().map(|at| asked.iter().filter(|other| (*at..*at + 10_000).contains(other)).count()).max();
    println!("{} questions, {most:?} at most in ten seconds", asked.len());
    assert!(asked.len() > 20 && most.is_some_and(|most| most <= 11), "{asked:?}");
}
