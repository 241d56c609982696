//! A gate before a socket: each request passes it, is counted if it changes something of a service, and the process that sends it
//! may die there, before the request goes on or after it was answered and nobody heard.
//!
//! It stands before the container engine's socket and before the proxy's control socket, so the product knows nothing of it. Each
//! connection carries one request: where it is not the beginning of another protocol, `Connection: close` is added to it.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;

use crate::ledger::Ledger;
use crate::server::{Blade, PATIENCE, is_there};

/// The longest head of a request that is read.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Where the process dies. Effects and requests are counted from 0 within the rollout that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// The intent of this effect is kept; nothing of it has reached the engine or the proxy.
    BeforeCall(u64),
    /// This request that changes something was answered, and the answer did not arrive.
    AfterRequest(usize),
    /// The script of this effect has done its work and has not ended.
    InScript(u64),
    /// The result of this effect is kept; nothing that comes after it has reached anybody.
    AfterResult(u64),
}

/// What stands behind a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Engine,
    Proxy,
}

/// What all gates of a stage share.
#[derive(Debug, Default)]
struct Watched {
    /// The service whose second rollout is watched.
    service: Option<String>,
    death: Option<Death>,
    /// Requests that changed something of that rollout, in order.
    effects: Vec<String>,
    /// Names and ids of containers of that service, in the order in which they were made.
    containers: Vec<[String; 2]>,
    told: Vec<String>,
    /// Tables that the proxy could not keep.
    refused: usize,
}

/// What there was of a rollout, the same each time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests that had an effect, each with the number of its effect.
    pub(crate) requests: Vec<String>,
    /// What scripts told.
    pub(crate) told: Vec<String>,
    /// Names of its containers, in the order in which they were made.
    pub(crate) containers: Vec<String>,
}

/// Watches the rollouts of one server.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    watched: Arc<Mutex<Watched>>,
    ledger: Ledger,
    blade: Blade,
}

impl Watch {
    pub(crate) fn new(ledger: Ledger, blade: Blade) -> Self {
        Self { watched: Arc::default(), ledger, blade }
    }

    /// From now on this service's second rollout is watched, and the process dies there.
    pub(crate) fn begin(&self, service: &str, death: Option<Death>) {
        *self.watched.lock().unwrap() = Watched { service: Some(service.to_owned()), death, ..Watched::default() };
        if let Some(Death::AfterResult(effect)) = death {
            let (this, service) = (self.clone(), service.to_owned());
            std::thread::spawn(move || {
                while this.is_to_die(Death::AfterResult(effect)) {
                    if this.ledger.facts(&service).is_some_and(|facts| facts.is_done(effect)) {
                        this.die();
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            });
        }
    }

    /// Whether it has died where it was told to.
    pub(crate) fn has_died(&self) -> bool {
        self.watched.lock().unwrap().death.is_none()
    }

    /// How many tables the proxy could not keep for want of room.
    pub(crate) fn refused(&self) -> usize {
        self.watched.lock().unwrap().refused
    }

    /// What there was since it began.
    pub(crate) fn end(&self) -> Seen {
        let Watched { effects, told, containers, .. } = std::mem::take(&mut *self.watched.lock().unwrap());
        Seen { requests: effects, told, containers: containers.into_iter().map(|[name, _]| name).collect() }
    }

    fn is_to_die(&self, death: Death) -> bool {
        self.watched.lock().unwrap().death == Some(death)
    }

    /// Kills the process, and comes back when nothing of it is left.
    fn die(&self) {
        let mut watched = self.watched.lock().unwrap();
        if watched.death.is_some() {
            self.blade.strike();
            watched.death = None;
        }
    }

    /// A script's words; it goes on when this comes back.
    pub(crate) fn heard(&self, words: &str) {
        let service = {
            let mut watched = self.watched.lock().unwrap();
            watched.told.push(words.to_owned());
            watched.service.clone()
        };
        let open = service.and_then(|service| self.ledger.facts(&service)).and_then(|facts| facts.open());
        if let Some(effect) = open
            && self.is_to_die(Death::InScript(effect))
        {
            self.die();
        }
    }

    /// Whether a request goes on. One of a process that is dead does not: it was never made.
    fn passes(&self, who: Pid) -> bool {
        let mut watched = self.watched.lock().unwrap();
        if !is_there(who) {
            return false;
        }
        let (Some(service), Some(death)) = (&watched.service, watched.death) else { return true };
        let Some(facts) = self.ledger.facts(service) else { return true };
        let is_time = match death {
            Death::BeforeCall(effect) => facts.is_begun(effect),
            Death::AfterResult(effect) => facts.is_done(effect),
            Death::AfterRequest(_) | Death::InScript(_) => false,
        };
        // Others ask too: a person who looks is none of its calls.
        if !is_time || !self.blade.is_at(who) {
            return true;
        }
        self.blade.strike();
        watched.death = None;
        false
    }

    /// What a request changes of the service that is watched, and the name of the container that it makes.
    fn change(&self, behind: Behind, request: &str) -> Option<(String, Option<String>)> {
        let mut words = request.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let watched = self.watched.lock().unwrap();
        let service = watched.service.as_ref()?;
        match behind {
            Behind::Proxy => (method == "PUT").then(|| (format!("{method} {path}"), None)),
            Behind::Engine if matches!(method, "POST" | "DELETE") => {
                let path = path.split_once("/containers/")?.1;
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let mut parts = query.split('&').filter_map(|part| part.strip_prefix("name="));
                if let Some(name) = parts.next().filter(|name| name.contains(&format!("-{service}-"))) {
                    return Some((format!("{method} {path}"), Some(name.to_owned())));
                }
                let place =
                    watched.containers.iter().position(|known| known.iter().any(|word| path.starts_with(word)))?;
                let deed = path.split_once('/').map_or("", |(_, deed)| deed);
                Some((format!("{method} container {place} {deed}"), None))
            }
            Behind::Engine => None,
        }
    }

    /// An answer to a request that may have changed something. Whether the answer arrives.
    fn answered(&self, (change, made): (String, Option<String>), answer: &str) -> bool {
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // 304: it is so already. 404: there is no such thing (any more).
        let mut watched = self.watched.lock().unwrap();
        if !status.starts_with('2') {
            watched.refused += usize::from(status == "507");
            return true;
        }
        if let Some(name) = made {
            let id = answer.split("\"Id\":\"").nth(1).and_then(|rest| rest.split('"').next());
            watched.containers.push([name, id.unwrap().to_owned()]);
        }
        let Some(facts) = watched.service.as_ref().and_then(|service| self.ledger.facts(service)) else { return true };
        watched
            .effects
            .push(format!("{} {change}", facts.open().map_or_else(|| "?".to_owned(), |open| open.to_string())));
        let dies = watched.death == Some(Death::AfterRequest(watched.effects.len() - 1));
        if dies {
            self.blade.strike();
            watched.death = None;
        }
        !dies
    }

    /// Stands at `path` before the socket `behind`, for as long as this process lives.
    pub(crate) fn stand(&self, path: &Path, behind: Behind, socket: PathBuf) {
        let listener = UnixListener::bind(path).unwrap();
        let this = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (this, socket) = (this.clone(), socket.clone());
                // Whoever hangs up ends it; the other side is told by the end of its connection.
                std::thread::spawn(move || drop(this.carry(stream, behind, &socket)));
            }
        });
    }

    fn carry(&self, mut client: UnixStream, behind: Behind, socket: &Path) -> std::io::Result<()> {
        let (head, rest) = read_head(&mut client)?;
        let Ok(mut server) = UnixStream::connect(socket) else { return Ok(()) };
        let who = getsockopt(&client, PeerCredentials).map(|who| Pid::from_raw(who.pid()))?;
        if !self.passes(who) {
            return Ok(());
        }
        let is_upgrade = head.to_ascii_lowercase().contains("\r\nupgrade:");
        let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let close = if is_upgrade { "" } else { "Connection: close\r\n" };
        let fields: String = fields
            .split_inclusive("\r\n")
            .filter(|field| is_upgrade || !field.to_ascii_lowercase().starts_with("connection:"))
            .collect();
        server.write_all(format!("{line}\r\n{close}{fields}\r\n").as_bytes())?;
        server.write_all(&rest)?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            let _hung_up = std::io::copy(&mut from, &mut to);
            let _gone = to.shutdown(Shutdown::Write);
        });
        match self.change(behind, line) {
            Some(change) => {
                server.set_read_timeout(Some(PATIENCE))?;
                let mut answer = Vec::new();
                server.read_to_end(&mut answer)?;
                if self.answered(change, &String::from_utf8_lossy(&answer)) {
                    client.write_all(&answer)?;
                }
            }
            None => drop(std::io::copy(&mut server, &mut client)),
        }
        client.shutdown(Shutdown::Both)
    }
}

/// The head without its empty line, and what came with it.
fn read_head(stream: &mut UnixStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            bytes.truncate(end + 2);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        let read = stream.read(&mut part)?;
        if read == 0 || bytes.len() > HEAD_BYTES_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&part[..read]);
    }
}
