//! A fake from its start to its end, as tests hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::actors::{self, Containers, Mark};
use crate::clock::{Clock, machine_time};
use crate::faults::{Call, Fault};
use crate::hooks::HookAnswer;
use crate::inner::{Inner, lock};
use crate::model::Models;
use crate::sts::Caller;
use crate::value::Time;
use crate::wire::{self, Service};
use crate::world::{Misbehaviour, Settings, World};

/// How a fake runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its resources are.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// Seconds of the virtual clock in a real one. At 0 it moves only when it is put forward.
    pub speed: f64,
    /// Tasks are containers, targets are asked for their health, and listeners carry requests. Otherwise all that only
    /// happens in the fake's mind, at once and exactly.
    pub containers: bool,
    /// Names that AWS would draw at random follow from it.
    pub seed: u64,
    /// botocore's folder `data`; calls and answers are held against the models in it, and what AWS would not understand
    /// fails the call and, at its end, the test. `None`: nothing is compared.
    pub models: Option<PathBuf>,
    /// Where it listens on this machine; 0 for any port.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            speed: 0.0,
            containers: false,
            seed: 1,
            models: crate::botocore(),
            port: 0,
        }
    }
}

/// The keys of the user that a fake begins with.
pub const ACCESS_KEY: &str = "AKIAFAKEAWSFAKEAWS00";
/// Its secret.
pub const SECRET_KEY: &str = "fake-aws-secret-key-for-tests-only-000000";

/// A fake that runs, on threads of its own. It ends, and removes all that it made, when it is dropped.
#[derive(Debug)]
pub struct Fake {
    inner: Arc<Inner>,
    address: SocketAddr,
    options: Options,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Fake {
    /// Starts one; returns once it answers.
    ///
    /// # Errors
    /// Its port is taken, Docker is not there, or models cannot be read.
    pub fn start(options: Options) -> Result<Self, String> {
        let models = options.models.as_deref().map(Models::of).transpose()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", options.port))
            .map_err(|error| format!("port {}: {error}", options.port))?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let settings = Settings {
            account: options.account.clone(),
            region: options.region.clone(),
            endpoint: format!("http://{address}"),
            is_simulated: !options.containers,
        };
        let clock = Clock::new(options.speed);
        let mut world = World::new(settings, clock.now(), options.seed);
        world.add_user("pipe", ACCESS_KEY, SECRET_KEY);
        let inner = Arc::new(Inner::new(world, clock, models));
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&inner);
        let with_containers = options.containers;
        let thread = std::thread::Builder::new()
            .name("fake-aws".to_owned())
            .spawn(move || run(shared, listener, address, with_containers, &tell))
            .map_err(|error| error.to_string())?;
        match told.recv() {
            Ok(()) => Ok(Self { inner, address, options, thread: Some(thread) }),
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err("the fake ended before it began".to_owned()),
            },
        }
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`. The registry of ECR is there too.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Variables with which SDKs and the `aws` command speak to the fake.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", self.options.region.clone()),
            ("AWS_DEFAULT_REGION", self.options.region.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Makes a call without the wire, as an administrator: to set a stage. It is not in the journal.
    ///
    /// # Errors
    /// The exception's name and message.
    ///
    /// # Panics
    /// The fake has no such service.
    pub fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, (String, String)> {
        let known = Service::by_name(service).unwrap_or_else(|| panic!("fake-aws has no {service}"));
        let caller = Caller {
            arn: format!("arn:aws:iam::{}:root", self.options.account),
            user_id: self.options.account.clone(),
            region: self.options.region.clone(),
        };
        let answer = self.inner.with(|world| world.call(known, operation, input, &caller, None));
        let value = answer.map_err(|error| (error.code, error.message))?;
        Ok(wire::seconds(crate::value::without_nulls(value)))
    }

    /// Puts the virtual clock forward. All that falls due happens in its order.
    pub fn advance(&self, by: Duration) {
        self.inner.advance(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Seconds of the virtual clock in a real one.
    pub fn set_speed(&self, speed: f64) {
        self.inner.set_speed(speed);
    }

    /// Seconds of the virtual clock in a real one, as they are now.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.inner.speed()
    }

    /// The virtual time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.inner.look(|world| world.now)
    }

    /// How far the server's clock is off, as signatures meet it; negative for a server that is behind.
    pub fn set_skew(&self, milliseconds: i64) {
        *lock(&self.inner.skew) = milliseconds;
    }

    /// Lets the `nth` call from now on that matches `pattern` (`CodeDeploy.CreateDeployment`, `ECS.*`) meet a fault; 0 for
    /// all of them.
    pub fn add_fault(&self, pattern: &str, nth: u64, fault: Fault) {
        lock(&self.inner.faults).add(pattern, nth, fault);
    }

    /// Nothing more goes wrong on purpose.
    pub fn clear_faults(&self) {
        lock(&self.inner.faults).clear();
    }

    /// All calls that came over the wire.
    #[must_use]
    pub fn journal(&self) -> Vec<Call> {
        lock(&self.inner.journal).calls.clone()
    }

    /// How many calls of an operation took effect, `ECS.RunTask`; whether or not their callers heard of it.
    #[must_use]
    pub fn effects(&self, call: &str) -> usize {
        let journal = lock(&self.inner.journal);
        journal.calls.iter().filter(|one| one.is_done && format!("{}.{}", one.service, one.operation) == call).count()
    }

    /// What calls or answers had that AWS's own models do not; `None` if the fake was started without models.
    #[must_use]
    pub fn model_mistakes(&self) -> Option<Vec<String>> {
        self.inner.models.as_ref().map(|_| lock(&self.inner.mistakes).clone())
    }

    /// Operations whose calls and answers were held against AWS's models, `ECS.RunTask`.
    #[must_use]
    pub fn compared(&self) -> BTreeSet<String> {
        lock(&self.inner.compared).clone()
    }

    /// What the function of a hook answers from now on, by its name: `Some(true)` succeeds, `Some(false)` fails, `None`
    /// leaves the answer to whoever gives it.
    pub fn set_function(&self, name: &str, answer: Option<bool>) {
        let answer = match answer {
            Some(true) => HookAnswer::Succeeds,
            Some(false) => HookAnswer::Fails,
            None => HookAnswer::Waits,
        };
        self.inner.with(|world| world.functions.set(name, answer));
    }

    /// Every call of a function: `{function, event, at}`.
    #[must_use]
    pub fn function_calls(&self) -> Vec<Value> {
        self.inner.look(|world| world.functions.calls.clone())
    }

    /// Without containers: images whose names have `part` cannot be pulled.
    pub fn break_pull(&self, part: &str) {
        self.misbehave(part, Misbehaviour::CannotPull);
    }

    /// Without containers: tasks of such images end by themselves with this code.
    pub fn break_start(&self, part: &str, code: i64) {
        self.misbehave(part, Misbehaviour::Exits(code));
    }

    /// Without containers: tasks of such images answer health checks with 503.
    pub fn break_health(&self, part: &str) {
        self.misbehave(part, Misbehaviour::Unhealthy);
    }

    fn misbehave(&self, part: &str, how: Misbehaviour) {
        self.inner.with(|world| world.misbehaviours.push((part.to_owned(), how)));
    }

    /// Replication of images never arrives, or does again.
    pub fn hang_replication(&self, hangs: bool) {
        self.inner.with(|world| world.ecr.replication_hangs = hangs);
    }

    /// Ends the sessions of all roles, or of one key. Gives how many.
    pub fn expire_sessions(&self, access_key: Option<&str>) -> usize {
        self.inner.with(|world| world.expire_sessions(access_key))
    }

    /// Judges tokens of identity providers as if so much more time had passed.
    pub fn put_verifier_ahead(&self, by: Duration) {
        self.inner.with(|world| world.identities.ahead = Time::try_from(by.as_millis()).unwrap_or(Time::MAX));
    }

    /// Where users' requests to a listener go; once it carries them.
    #[must_use]
    pub fn listener_address(&self, arn: &str) -> Option<SocketAddr> {
        lock(&self.inner.listeners).get(arn).copied()
    }

    /// The last lines of a task's log; once it has ended.
    #[must_use]
    pub fn task_log(&self, task: &str) -> Option<Vec<String>> {
        self.inner.look(|world| world.logs.get(task).cloned())
    }

    /// Looks until something is there, each time that anything has changed. Blocks its thread.
    pub fn wait_for<T>(&self, limit: Duration, mut look: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let until = Instant::now() + limit;
        loop {
            let seen = self.inner.seen.count();
            if let Some(found) = look(self) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.inner.seen.wait(seen, left);
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// Something that it made could not be removed.
    pub fn stop(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        self.inner.stop.cancel();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err("the fake's thread panicked".to_owned()),
            None => Ok(()),
        }
    }
}

/// # Panics
/// A call or an answer was none that AWS's models have, unless the test has failed already.
impl Drop for Fake {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            let _told = std::io::Write::write_all(&mut std::io::stderr(), format!("fake-aws: {error}\n").as_bytes());
        }
        let mistakes = lock(&self.inner.mistakes);
        assert!(
            mistakes.is_empty() || std::thread::panicking(),
            "calls or answers that AWS's models do not have:\n{}",
            mistakes.join("\n")
        );
    }
}

/// The fake's own thread: everything runs here, and is removed here at the end.
fn run(
    inner: Arc<Inner>,
    listener: std::net::TcpListener,
    address: SocketAddr,
    with_containers: bool,
    tell: &std::sync::mpsc::Sender<()>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mark = Mark::new(format!("{}-{}-{}", std::process::id(), address.port(), machine_time() % 100_000));
        let containers = if with_containers {
            actors::remove_all(&mark).await?;
            let password = inner.with(|world| world.own_registry_password());
            Some(Arc::new(Containers::new(mark.clone(), (address.to_string(), password)).await?))
        } else {
            None
        };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        let server = tokio::spawn(crate::server::serve(Arc::clone(&inner), listener));
        let acting = tokio::spawn(actors::perform(Arc::clone(&inner), containers));
        if tell.send(()).is_err() {
            inner.stop.cancel();
        }
        inner.stop.cancelled().await;
        let (served, acted) = (server.await, acting.await);
        let removed = if with_containers { actors::remove_all(&mark).await } else { Ok(()) };
        served.map_err(|error| error.to_string())?;
        acted.map_err(|error| error.to_string())?;
        removed
    })
}
