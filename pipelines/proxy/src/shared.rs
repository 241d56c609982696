//! What all threads of a proxy share: the table that stands, counters, and who may replace the table.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::backend::Backend;
use crate::bell::Bell;
use crate::connections::Connections;
use crate::event::{Events, Happening};
use crate::live::Live;
use crate::options::Options;
use crate::stats::{RevisionStats, Stats};
use crate::store::Store;
use crate::table::Table;
use crate::tally::Tally;

/// Revisions without a table whose counters are kept.
const RETIRED_MAX: usize = 32;

/// Of one process.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) events: Events,
    /// No connection is accepted from now on.
    pub(crate) stop: Bell,
    /// Idle connections are ended from now on.
    pub(crate) lingered: Bell,
    /// Everything is ended from now on.
    pub(crate) cut: Bell,
    pub(crate) connections: Connections,
    /// Connections, tunnels, probes.
    pub(crate) tasks: TaskTracker,
    /// Where those run.
    pub(crate) runtime: tokio::runtime::Handle,
    live: ArcSwap<Live>,
    generation: AtomicU64,
    registry: Mutex<Registry>,
    /// Held while a table is replaced, and while the sockets are handed over.
    writer: tokio::sync::Mutex<Writer>,
    process: Mutex<String>,
    /// Whether a process that has handed over still answers requests.
    elder: watch::Sender<bool>,
    requests: AtomicU64,
    start: u64,
}

#[derive(Debug, Default)]
struct Registry {
    /// By service and revision, with a number that is higher for those that were in a table later.
    tallies: BTreeMap<(String, String), (Arc<Tally>, u64)>,
    backends: BTreeMap<SocketAddr, Weak<Backend>>,
}

/// Who may replace the table.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    /// Somebody else decides from now on.
    pub(crate) is_handed_over: bool,
}

/// The process before this one is not gone.
#[derive(Debug)]
pub(crate) struct ElderRemains(Arc<Shared>);

impl Drop for ElderRemains {
    fn drop(&mut self) {
        self.0.elder.send_replace(false);
    }
}

/// Why a table was not replaced.
#[derive(Debug)]
pub(crate) enum Refused {
    Conflict(u64),
    Mistakes(Vec<String>),
    Disk(std::io::Error),
    HandedOver,
}

impl Shared {
    pub(crate) fn new(options: Options, store: Store, table: Table) -> Arc<Self> {
        let start = jiff::Timestamp::now().as_millisecond().unsigned_abs();
        let mut registry = Registry::default();
        let generation = table.generation;
        let live = registry.live(table);
        Arc::new(Self {
            options,
            events: Events::default(),
            stop: Bell::default(),
            lingered: Bell::default(),
            cut: Bell::default(),
            connections: Connections::default(),
            tasks: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
            live: ArcSwap::from_pointee(live),
            generation: AtomicU64::new(generation),
            registry: Mutex::new(registry),
            writer: tokio::sync::Mutex::new(Writer { store, is_handed_over: false }),
            process: Mutex::new(format!("{}-{start:x}", std::process::id())),
            elder: watch::Sender::new(false),
            requests: AtomicU64::new(0),
            start,
        })
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Names of two requests differ, also of two starts.
    pub(crate) fn request_id(&self) -> String {
        format!("{:x}-{:x}", self.start, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// The same where the id is to be.
    pub(crate) fn write_request_id(&self, to: &mut Vec<u8>) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A vector takes whatever is written.
        let _written = write!(to, "{:x}-{number:x}", self.start);
    }

    /// One more request of a colour of this table; `false` if another table stands by now. A colour that has lost its weight
    /// and then has nothing in flight gets nothing any more: who replaces a table writes the generation before reading the
    /// number of requests, and here it is the other way round.
    pub(crate) fn enter(&self, live: &Live, tally: &Tally) -> bool {
        tally.enter();
        if self.generation() == live.table.generation {
            return true;
        }
        tally.leave();
        false
    }

    pub(crate) async fn writer(&self) -> tokio::sync::MutexGuard<'_, Writer> {
        self.writer.lock().await
    }

    /// Replaces the table: on disk first.
    pub(crate) async fn replace(&self, expected: u64, mut table: Table) -> Result<u64, Refused> {
        let writer = self.writer().await;
        if writer.is_handed_over {
            return Err(Refused::HandedOver);
        }
        let current = self.generation();
        if current != expected {
            return Err(Refused::Conflict(current));
        }
        let mistakes = table.mistakes();
        if !mistakes.is_empty() {
            return Err(Refused::Mistakes(mistakes));
        }
        table.generation = current + 1;
        writer.store.keep(&table).map_err(Refused::Disk)?;
        let live = Arc::new(self.registry().live(table));
        let generation = live.table.generation;
        // The table first: whoever meets the new generation with the old table would try for ever.
        self.live.store(live);
        self.generation.store(generation, Ordering::SeqCst);
        self.events.add(Happening::TableReplaced { generation });
        self.look_at_colours();
        Ok(generation)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a table still names this backend.
    pub(crate) fn knows(&self, backend: &Arc<Backend>) -> bool {
        let live = self.live();
        let mut all = live.routes.iter().flat_map(|route| &route.colours).flat_map(|colour| &colour.backends);
        all.any(|other| Arc::ptr_eq(other, backend))
    }

    /// Tells which colours have lost their last backend, or got one back.
    pub(crate) fn look_at_colours(&self) {
        for route in &self.live().routes {
            for colour in &route.colours {
                let is_down = colour.weight > 0 && !colour.can_answer();
                if colour.is_down.swap(is_down, Ordering::AcqRel) == is_down {
                    continue;
                }
                let (service, name) = (route.service.to_string(), colour.name.clone());
                let revision = colour.tally.revision.to_string();
                self.events.add(if is_down {
                    Happening::ColourDown { service, colour: name, revision }
                } else {
                    Happening::ColourUp { service, colour: name, revision }
                });
            }
        }
    }

    /// The counters of a revision.
    pub(crate) fn tally(&self, service: &str, revision: &str) -> Option<Arc<Tally>> {
        let key = (service.to_owned(), revision.to_owned());
        self.registry().tallies.get(&key).map(|(tally, _)| Arc::clone(tally))
    }

    pub(crate) fn process(&self) -> String {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that is counted.
    pub(crate) fn stats(&self) -> Stats {
        let live = self.live();
        let tallies: Vec<_> = self.registry().tallies.values().map(|(tally, _)| Arc::clone(tally)).collect();
        let mut revisions: Vec<_> = tallies.iter().map(|tally| tally.read()).collect();
        for route in &live.routes {
            for colour in &route.colours {
                let mut rows = revisions.iter_mut();
                let of = |row: &&mut RevisionStats| {
                    *row.service == *colour.tally.service && *row.revision == *colour.tally.revision
                };
                let Some(row) = rows.find(of) else { continue };
                row.colour = Some(colour.name.clone());
                row.weight = colour.weight;
                let out = colour.backends.iter().filter(|backend| backend.is_out());
                row.ejected = out.map(|backend| backend.address).collect();
            }
        }
        Stats { process: self.process(), generation: live.table.generation, revisions }
    }

    /// Until whoever handed over is gone.
    pub(crate) async fn elder_gone(&self) {
        // Fails only if the sender is gone, which is `self`.
        let mut elder = self.elder.subscribe();
        let _gone = elder.wait_for(|remains| !remains).await;
    }

    /// Notes that whoever handed over still answers requests, until what this gives is dropped.
    pub(crate) fn elder_remains(self: &Arc<Self>) -> ElderRemains {
        self.elder.send_replace(true);
        ElderRemains(Arc::clone(self))
    }

    /// Goes on counting where the process before this one ended.
    pub(crate) fn inherit(&self, stats: &Stats) {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&stats.process);
        let mut registry = self.registry();
        for row in &stats.revisions {
            registry.tally(&row.service, &row.revision, stats.generation).inherit(row);
        }
    }
}

impl Registry {
    fn live(&mut self, table: Table) -> Live {
        let generation = table.generation;
        self.backends.retain(|_, backend| backend.strong_count() > 0);
        let Self { tallies, backends } = self;
        let live = Live::new(
            table,
            |service, revision| Self::of(tallies, service, revision, generation),
            |address| {
                let known = backends.get(&address).and_then(Weak::upgrade);
                known.unwrap_or_else(|| {
                    let backend = Arc::new(Backend::new(address));
                    backends.insert(address, Arc::downgrade(&backend));
                    backend
                })
            },
        );
        self.forget(generation);
        live
    }

    fn tally(&mut self, service: &str, revision: &str, generation: u64) -> Arc<Tally> {
        Self::of(&mut self.tallies, service, revision, generation)
    }

    fn of(
        tallies: &mut BTreeMap<(String, String), (Arc<Tally>, u64)>,
        service: &str,
        revision: &str,
        generation: u64,
    ) -> Arc<Tally> {
        let new = || (Arc::new(Tally::new(service, revision)), generation);
        let (tally, last) = tallies.entry((service.to_owned(), revision.to_owned())).or_insert_with(new);
        *last = generation;
        Arc::clone(tally)
    }

    /// Of those that are in no table and have nothing in flight, only the last ones are kept.
    fn forget(&mut self, generation: u64) {
        let retired = self.tallies.iter().filter(|(_, (tally, last))| *last < generation && tally.in_flight() == 0);
        let mut retired: Vec<_> = retired.map(|(key, (_, last))| (*last, key.clone())).collect();
        retired.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
        for (_, key) in retired.into_iter().skip(RETIRED_MAX) {
            self.tallies.remove(&key);
        }
    }
}
