//! News for people: who is told of what, once and in order, whatever becomes of channels and of the server.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::SystemClock;
use engine::notify::{Herald, Notice, NotifyTable, Occasion, SealedCredentials};
use engine::reporting::{Plan, ReportingTables, Worker, WorkerSettings};
use engine::store::approvals::{Approvals, Token};
use engine::store::outbox::{NewMessage, Outbox, State};
use engine::store::{Database, NewRun, Options, RunLog as _};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workflow::run::{EVENT_VERSION, JobRunKey, Recorded, RunEvent, Terms};
use workflow::secret::Secret;

use super::inbox::{Fault, Inbox, tls};
use super::world::until;

/// Channels of a table as `pipe.toml` has it, with its files in a folder.
pub(crate) fn plan(folder: &Path, inbox: &Inbox, text: &str) -> Plan {
    plan_with(folder, inbox, text, None)
}

fn plan_with(folder: &Path, inbox: &Inbox, text: &str, sealed: Option<&Arc<dyn SealedCredentials>>) -> Plan {
    let ca = include_str!("mail/ca.pem").to_owned();
    for (name, content) in [("hook", inbox.url("/hook")), ("token", "xoxb-1".into()), ("key", "k".into()), ("ca", ca)] {
        std::fs::write(folder.join(name), content).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = text.replace("FOLDER", &folder.display().to_string()).replace("API", &inbox.url(""));
    let notify: indexmap::IndexMap<String, NotifyTable> =
        toml::from_str(&text.replace("SMTP", &inbox.smtp.to_string())).unwrap();
    for (name, table) in &notify {
        assert_eq!(table.problem(name), None);
    }
    let tables = ReportingTables { notify, ..ReportingTables::default() };
    tables.plan(Some("https://ci.example".into()), "test", &|_| None, sealed).unwrap()
}

pub(crate) const HOOK: &str = "[hook]\nform = 'webhook'\nurl-file = 'FOLDER/hook'\nsecret-file = 'FOLDER/key'\n";
pub(crate) const BOT: &str = "[bot]\nform = 'slack'\ntoken-file = 'FOLDER/token'\nchannel = 'C1'\napi-url = 'API'\n";
const MAIL: &str = "[mail]\nform = 'mail'\nserver = 'SMTP'\ntls = 'none'\nfrom = 'pipe <ci@example.com>'\n\
                    to = ['a@example.com', 'b@example.com']\n";

struct Desk {
    folder: tempfile::TempDir,
    inbox: Inbox,
    outbox: Outbox,
    made: Arc<Notify>,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        Self { inbox: Inbox::start().await, outbox: Outbox::on(database), made: Arc::default(), folder }
    }

    fn herald(&self, text: &str) -> Herald {
        let plan = plan(self.folder.path(), &self.inbox, text);
        Herald::new(self.outbox.clone(), plan.channels, plan.reader.url, Arc::clone(&self.made))
    }

    /// Begins a worker as a new process would.
    async fn work(&self, text: &str) -> (JoinHandle<()>, CancellationToken) {
        let settings = WorkerSettings {
            backoff: Duration::from_millis(4),
            backoff_max: Duration::from_millis(30),
            ..WorkerSettings::default()
        };
        self.outbox.recover().await.unwrap();
        let targets = plan(self.folder.path(), &self.inbox, text).targets;
        let worker = Worker::new(self.outbox.clone(), targets, Arc::new(SystemClock), settings, Arc::clone(&self.made));
        let stop = CancellationToken::new();
        (tokio::spawn(worker.run(stop.clone())), stop)
    }

    async fn settled(&self) {
        until(async || self.outbox.depth().await.unwrap().open == 0).await;
    }
}

fn notice(subject: &str) -> Notice {
    Notice {
        occasion: Occasion::Budget,
        subject: subject.into(),
        title: format!("budget {subject}"),
        lines: Vec::new(),
        repository: Some("octo/shop".into()),
        path: Some("/costs".into()),
        run: None,
        environment: None,
        review: None,
    }
}

#[tokio::test]
async fn x41_a_channel_that_misbehaves_is_told_in_the_end_and_in_order() {
    let desk = Desk::new().await;
    desk.inbox.state().faults.extend([
        Fault::Refuse(500, None),
        Fault::Hang,
        Fault::Refuse(429, Some(1)),
        Fault::Refuse(503, None),
    ]);
    let (herald, (worker, stop)) = (desk.herald(HOOK), desk.work(HOOK).await);
    for subject in ["a", "b", "c", "b"] {
        assert_eq!(herald.tell(notice(subject), Timestamp::now()).await.unwrap(), 1);
    }
    desk.settled().await;
    let came = desk.inbox.state().came.clone();
    let titles: Vec<_> = came.iter().map(|came| came.json()["title"].as_str().unwrap().to_owned()).collect();
    // The second attempt arrived and was never answered: told once more, with the number that it had.
    assert_eq!(titles, ["budget a", "budget a", "budget a", "budget a", "budget a", "budget b", "budget c"]);
    let numbers: Vec<_> = came.iter().map(|came| came.headers["x-pipe-delivery"].clone()).collect();
    assert!(numbers[..5].iter().all(|number| *number == numbers[0]) && numbers[5] != numbers[6]);
    assert!(came[3].at - came[2].at >= Duration::from_secs(1), "Retry-After is kept");
    assert_eq!(came[0].headers["x-pipe-event"], "budget");
    assert_eq!(came[0].json()["url"], "https://ci.example/costs");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"k");
    let digits: String =
        ring::hmac::sign(&key, came[0].body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(came[0].headers["x-pipe-signature-256"], format!("sha256={digits}"));
    // What arrived is kept, so that it can be seen and sent once more.
    let told = desk.outbox.told(Some("notify hook".into()), None, 10).await.unwrap();
    assert_eq!(told.iter().map(|told| told.state).collect::<Vec<_>>(), [State::Arrived; 3]);
    assert!(herald.send_again(told[0].id, Timestamp::now()).await.unwrap());
    desk.settled().await;
    assert_eq!(desk.inbox.state().came.last().unwrap().headers["x-pipe-delivery"], told[0].id.to_string());
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_refusal_is_told() {
    let desk = Desk::new().await;
    let private = Inbox::start().await;
    desk.inbox.state().faults.push_back(Fault::Redirect(private.url("/latest/meta-data")));
    let (herald, (worker, stop)) = (desk.herald(HOOK), desk.work(HOOK).await);
    herald.tell(notice("a"), Timestamp::now()).await.unwrap();
    desk.settled().await;
    let told = desk.outbox.told(None, None, 10).await.unwrap();
    assert_eq!((told[0].state, told[0].problem.as_deref()), (State::GivenUp, Some("302 Found")));
    assert!(private.state().came.is_empty());
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn t12_a_flood_is_held_back_and_summed_up() {
    let desk = Desk::new().await;
    let text = format!("{HOOK}per-minute = 3\n");
    let herald = desk.herald(&text);
    let begin = Timestamp::now() - Duration::from_secs(600);
    for number in 0..40 {
        herald.tell(notice(&number.to_string()), begin).await.unwrap();
    }
    let states = async || {
        let told = desk.outbox.told(None, None, 100).await.unwrap();
        let count = |state| told.iter().filter(|told| told.state == state).count();
        (count(State::Waiting), count(State::Held), count(State::Gathered))
    };
    assert_eq!(states().await, (3, 37, 0));
    let minute = Duration::from_secs(61);
    assert!(desk.outbox.held(begin, minute).await.unwrap().is_empty(), "the flood goes on");
    let held = desk.outbox.held(begin + minute, 5 * minute).await.unwrap();
    assert_eq!((held.len(), held[0].count, held[0].first.len()), (1, 37, 10));
    // Whoever begins after the flood tells of it.
    let plan = plan(desk.folder.path(), &desk.inbox, &text);
    let store =
        engine::store::SqliteStore::on(Database::open(&desk.folder.path().join("pipe.db"), Options::LOCAL).unwrap());
    let secrets = Arc::new(engine::service::FixedSecrets::default());
    let findings = Arc::new(engine::reporting::NoFindings);
    let reporting =
        engine::reporting::Reporting::start(store, plan, secrets, findings, Arc::new(SystemClock)).await.unwrap();
    until(async || desk.inbox.state().came.iter().any(|came| came.json()["event"] == "gathered")).await;
    assert_eq!(states().await.1, 0);
    let came = desk.inbox.state().came.iter().find(|came| came.json()["event"] == "gathered").unwrap().json();
    assert_eq!((&came["gathered"]["count"], came["lines"].as_array().unwrap().len()), (&37.into(), 10));
    reporting.stop().await;
}

#[tokio::test]
async fn each_gets_a_mail_of_their_own_and_nobody_two() {
    let desk = Desk::new().await;
    // The first is taken, the second put off once, then taken.
    desk.inbox.state().refusals.extend(["250 ok", "451 later"]);
    let (herald, (worker, stop)) = (desk.herald(MAIL), desk.work(MAIL).await);
    herald.test(Some("mail"), "ada", Timestamp::now()).await.unwrap();
    assert!(herald.test(Some("other"), "ada", Timestamp::now()).await.is_err());
    desk.settled().await;
    let mails = desk.inbox.state().mails.clone();
    let to: Vec<_> = mails.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, ["RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>"]);
    assert!(mails[0].1.contains("To: a@example.com\r\n") && !mails[0].1.contains("b@example.com"));
    assert!(mails[1].1.contains("multipart/alternative") && mails[1].1.contains("Auto-Submitted: auto-generated"));
    stop.cancel();
    worker.await.unwrap();
}

/// Over STARTTLS, or not at all: neither password nor mail goes out in the clear, or to somebody whom nobody vouches for.
#[tokio::test]
async fn mail_goes_over_tls_to_who_is_vouched_for() {
    let login = "user = 'ci'\npassword-file = 'FOLDER/key'\n";
    let secure = MAIL.replace("tls = 'none'\n", login);
    let vouched = format!("{secure}ca-file = 'FOLDER/ca'\n");
    for (text, offers, problem) in [
        (&vouched, true, None),
        (&secure, true, Some("certificate")),
        (&vouched, false, Some("STARTTLS is not supported")),
    ] {
        let desk = Desk::new().await;
        desk.inbox.state().tls = offers.then(tls);
        let (herald, (worker, stop)) = (desk.herald(text), desk.work(text).await);
        herald.test(Some("mail"), "ada", Timestamp::now()).await.unwrap();
        let told = async || desk.outbox.told(None, None, 1).await.unwrap().remove(0);
        until(async || told().await.state == State::Arrived || told().await.problem.is_some()).await;
        stop.cancel();
        worker.await.unwrap();
        let told = told().await;
        let said = told.problem.unwrap_or_default();
        assert!(problem.is_none_or(|problem| said.to_lowercase().contains(&problem.to_lowercase())), "{said}");
        let state = desk.inbox.state();
        let [clear, hidden] = &state.told;
        let before: Vec<_> = clear.iter().filter(|line| !["STARTTLS", "QUIT"].contains(&line.as_str())).collect();
        assert_eq!(before, [""; 0], "said in the clear");
        if problem.is_some() {
            assert!(state.mails.is_empty() && hidden.is_empty(), "{hidden:?}");
            continue;
        }
        assert_eq!(told.state, State::Arrived);
        assert_eq!(state.mails.len(), 2);
        // \0ci\0k
        assert!(hidden.iter().any(|line| line == "AUTH PLAIN AGNpAGs="), "{hidden:?}");
    }
}

/// Credentials that a test gives and takes.
#[derive(Debug, Default)]
struct Sealed(std::sync::Mutex<BTreeMap<String, Secret>>);

#[async_trait::async_trait]
impl SealedCredentials for Sealed {
    async fn credentials(&self, names: &[String]) -> Result<BTreeMap<String, Secret>, String> {
        let all = self.0.lock().unwrap();
        let found = names.iter().filter_map(|name| Some((name.clone(), Secret::new(all.get(name)?.expose()))));
        Ok(found.collect())
    }
}

/// A channel whose credentials are sealed waits for them, and takes others as soon as they are set.
#[tokio::test]
async fn credentials_come_from_the_store_of_secrets() {
    let desk = Desk::new().await;
    let text = HOOK.replace("url-file = 'FOLDER/hook'\nsecret-file = 'FOLDER/key'\n", "");
    let sealed = Arc::new(Sealed::default());
    let port: Arc<dyn SealedCredentials> = Arc::clone(&sealed) as _;
    let planned = plan_with(desk.folder.path(), &desk.inbox, &text, Some(&port));
    assert_eq!(planned.channels[0].place, "where the secret PIPE_NOTIFY_HOOK_URL leads");
    let herald = Herald::new(desk.outbox.clone(), planned.channels, None, Arc::clone(&desk.made));
    let settings = WorkerSettings {
        backoff: Duration::from_millis(4),
        backoff_max: Duration::from_millis(30),
        ..WorkerSettings::default()
    };
    let worker =
        Worker::new(desk.outbox.clone(), planned.targets, Arc::new(SystemClock), settings, Arc::clone(&desk.made));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker.run(stop.clone()));
    herald.tell(notice("a"), Timestamp::now()).await.unwrap();
    until(async || desk.outbox.told(None, None, 1).await.unwrap()[0].problem.is_some()).await;
    let problem = desk.outbox.told(None, None, 1).await.unwrap()[0].problem.clone().unwrap();
    assert!(problem.contains("pipe secret set PIPE_NOTIFY_HOOK_URL --notify"), "{problem}");
    let set = |name: &str, value: String| sealed.0.lock().unwrap().insert(name.to_owned(), Secret::new(value));
    set("PIPE_NOTIFY_HOOK_URL", desk.inbox.url("/first"));
    desk.settled().await;
    set("PIPE_NOTIFY_HOOK_URL", desk.inbox.url("/second"));
    set("PIPE_NOTIFY_HOOK_SECRET", "k".to_owned());
    herald.tell(notice("b"), Timestamp::now()).await.unwrap();
    desk.settled().await;
    let came: Vec<_> = desk.inbox.state().came.clone();
    let paths = came.iter().map(|came| (came.path.as_str(), came.headers.contains_key("x-pipe-signature-256")));
    assert_eq!(paths.collect::<Vec<_>>(), [("/first", false), ("/second", true)]);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_bot_that_is_answered_by_halves_tries_again() {
    let desk = Desk::new().await;
    desk.inbox.state().faults.extend([Fault::Refuse(500, None), Fault::Half]);
    let (herald, (worker, stop)) = (desk.herald(BOT), desk.work(BOT).await);
    herald.tell(notice("a"), Timestamp::now()).await.unwrap();
    desk.settled().await;
    {
        let state = desk.inbox.state();
        assert!(state.came.iter().all(|came| came.headers["authorization"] == "Bearer xoxb-1"));
        // At least once: Slack has no name that we could give a message.
        assert_eq!((state.came.len(), state.messages.len()), (3, 2));
    }
    stop.cancel();
    worker.await.unwrap();
}

/// Row A08: who is asked by address gets a link of their own; nobody does when nothing waits any more.
#[tokio::test]
async fn a_mail_has_a_link_for_who_may_decide_by_it() {
    let desk = Desk::new().await;
    let text = format!("{MAIL}email-link = 'token'\n");
    let store =
        engine::store::SqliteStore::on(Database::open(&desk.folder.path().join("pipe.db"), Options::LOCAL).unwrap());
    let new = NewRun { repository: "octo/shop".into(), sha: "1".repeat(40), ..NewRun::default() };
    let run = store.create_run(new).await.unwrap().id;
    let key = JobRunKey::parse("deploy");
    let fact = |seq, event| Recorded { v: EVENT_VERSION, seq, at: Timestamp::UNIX_EPOCH, event };
    let asked = RunEvent::ReviewRequested {
        key: key.clone(),
        environment: "prod".into(),
        reviewers: vec!["A@example.com".into(), "ada".into()],
        wait_ms: 0,
        terms: Terms { subject: "s".into(), ..Terms::default() },
    };
    store.append(run, &[fact(1, asked)]).await.unwrap();
    let announcement = |number: u32| {
        NewMessage {
        target: "notify mail".into(),
        kind: "notification".into(),
        lane: "octo/shop 1".into(),
        subject: format!("approval {number}"),
        replaces: false,
        at_most: Some(20),
        body: serde_json::json!({
            "event": "review_requested", "at": Timestamp::now(), "state": "waits for a review", "environment": "prod",
            "run": { "id": run.0, "repository": "octo/shop", "workflow": "CI", "branch": "main" },
            "review": { "reviewers": ["A@example.com", "ada"], "required": 1, "url": "https://ci.example/runs/1/review/prod" },
        })
        .to_string(),
    }
    };
    let (worker, stop) = desk.work(&text).await;
    desk.outbox.put(vec![announcement(1)], Timestamp::now()).await.unwrap();
    desk.made.notify_one();
    desk.settled().await;
    let mails = desk.inbox.state().mails.clone();
    let read = |mail: &str| mail.replace("=\r\n", "").replace("=3D", "=");
    let (a, b) = (read(&mails[0].1), read(&mails[1].1));
    assert!(
        mails[0].0.contains("a@example.com")
            && b.contains("https://ci.example/runs/1/review/prod")
            && !b.contains("/a/")
    );
    let link = a.split("https://ci.example/a/").nth(1).unwrap().split_whitespace().next().unwrap();
    let (id, token) = link.split_once('#').unwrap();
    assert!(a.contains(&format!("https://ci.example/a/{id}?t={token}")), "{a}");
    let approvals = Approvals::on(Database::open(&desk.folder.path().join("pipe.db"), Options::LOCAL).unwrap());
    let good = approvals.look(id, &workflow::secret::Secret::new(token), Timestamp::now()).await.unwrap();
    assert_eq!(good, Token::Good("a@example.com".into()));
    let told = desk.outbox.told(None, None, 10).await.unwrap();
    assert_eq!(told.len(), 1);
    let reviewed = RunEvent::Reviewed { key, approved: true, by: "ada".into(), comment: String::new(), passed: true };
    store.append(run, &[fact(2, reviewed)]).await.unwrap();
    desk.outbox.put(vec![announcement(2)], Timestamp::now()).await.unwrap();
    desk.made.notify_one();
    desk.settled().await;
    assert_eq!(desk.inbox.state().mails.len(), 2, "nothing waits any more");
    stop.cancel();
    worker.await.unwrap();
}
