//! The balancer's data plane: our own proxy for each listener, in this process. Its counters become metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proxy::client::Client;
use proxy::stats::RevisionStats;
use proxy::table::{Affinity, Colour, Route, Table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::elb::{ColourWish, ListenerWish};
use crate::inner::{Inner, lock};
use crate::world::World;

/// What a balancer answers where nobody is left.
const NOBODY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nserver: awselb/2.0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// All listeners that stand.
pub(super) struct Balancer {
    doors: BTreeMap<String, Door>,
    /// Where shares of groups without targets go.
    nobody: Option<SocketAddr>,
    stop: CancellationToken,
}

struct Door {
    client: Client,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    table: Table,
    /// Counters that have become metrics already, by revision.
    counted: BTreeMap<String, RevisionStats>,
    _folder: tempfile::TempDir,
}

impl Balancer {
    pub(super) fn new() -> Self {
        Self { doors: BTreeMap::new(), nobody: None, stop: CancellationToken::new() }
    }

    /// Makes listeners as the world wishes for them.
    pub(super) async fn fit(&mut self, inner: &Inner, wishes: &[ListenerWish]) {
        let Some(nobody) = self.nobody().await else { return };
        let gone: Vec<_> =
            self.doors.keys().filter(|arn| wishes.iter().all(|wish| wish.listener != **arn)).cloned().collect();
        for arn in gone {
            if let Some(door) = self.doors.remove(&arn) {
                door.stop.cancel();
                lock(&inner.listeners).remove(&arn);
            }
        }
        for wish in wishes {
            if !self.doors.contains_key(&wish.listener)
                && let Some((door, address)) = open().await
            {
                lock(&inner.listeners).insert(wish.listener.clone(), address);
                self.doors.insert(wish.listener.clone(), door);
            }
            let Some(door) = self.doors.get_mut(&wish.listener) else { continue };
            let routes = routes(wish, nobody);
            if door.table.routes != routes {
                let table = Table { generation: door.table.generation + 1, routes };
                if door.client.replace(door.table.generation, &table).await.is_ok() {
                    door.table = table;
                    inner.seen.tell();
                }
            }
        }
    }

    /// What has been counted since the last time becomes metrics.
    pub(super) async fn count(&mut self, inner: &Inner, wishes: &[ListenerWish]) {
        for (arn, door) in &mut self.doors {
            let Ok(stats) = door.client.stats().await else { continue };
            let colours: Vec<_> = wishes
                .iter()
                .filter(|wish| wish.listener == *arn)
                .flat_map(|wish| &wish.routes)
                .flat_map(|route| &route.colours)
                .collect();
            for row in stats.revisions {
                let key = format!("{} {}", row.service, row.revision);
                let before = door.counted.get(&key).cloned().unwrap_or_default();
                if row.requests > before.requests {
                    let has_targets =
                        colours.iter().any(|colour| colour.group == row.revision && !colour.targets.is_empty());
                    inner.with(|world| meter(world, arn, &row, &before, has_targets));
                }
                door.counted.insert(key, row);
            }
        }
    }

    async fn nobody(&mut self) -> Option<SocketAddr> {
        if self.nobody.is_none() {
            let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
            self.nobody = listener.local_addr().ok();
            tokio::spawn(refuse_all(listener, self.stop.clone()));
        }
        self.nobody
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        for door in self.doors.into_values() {
            door.stop.cancel();
            let _ended = door.task.await;
        }
    }
}

async fn refuse_all(listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((mut stream, _)) = accepted else { continue };
        tokio::spawn(async move {
            let mut head = [0; 16 * 1024];
            // The head is not read for what it says, only so that its sender is not cut off.
            let _read = stream.read(&mut head).await;
            let _written = stream.write_all(NOBODY).await;
        });
    }
}

/// A proxy of its own for a listener.
async fn open() -> Option<(Door, SocketAddr)> {
    let folder = tempfile::Builder::new().prefix("fake-elb-").tempdir().ok()?;
    let mut options = proxy::Options::new("fake-aws", SocketAddr::from(([127, 0, 0, 1], 0)), folder.path());
    options.threads = proxy::options::Threads::EachItsOwn(1);
    // A test that ends has no users who would be cut off.
    options.times.drain = std::time::Duration::ZERO;
    options.times.linger = std::time::Duration::ZERO;
    let stop = CancellationToken::new();
    let (tell, told) = tokio::sync::oneshot::channel();
    let ends = stop.clone();
    let task = tokio::spawn(async move {
        let ready = |about: &proxy::client::About| {
            let _heard = tell.send(about.listen);
        };
        // A proxy that cannot start is seen by its address, which never comes.
        let _ended = proxy::serve(options, ends, ready).await;
    });
    let address = told.await.ok()?;
    let client = Client::at(folder.path().join("control.sock"));
    let door = Door { client, stop, task, table: Table::default(), counted: BTreeMap::new(), _folder: folder };
    Some((door, address))
}

fn routes(wish: &ListenerWish, nobody: SocketAddr) -> Vec<Route> {
    let colour = |one: &ColourWish| {
        let mut backends: Vec<SocketAddr> = one
            .targets
            .iter()
            .filter_map(|(address, port)| Some(SocketAddr::new(address.parse().ok()?, *port)))
            .filter(|address| !address.ip().is_unspecified())
            .collect();
        if backends.is_empty() {
            backends.push(nobody);
        }
        Colour { name: one.group.clone(), revision: one.group.clone(), weight: one.share, backends }
    };
    wish.routes
        .iter()
        .map(|route| {
            let mut colours: Vec<_> = route.colours.iter().map(colour).collect();
            if colours.is_empty() {
                // Other actions than forwarding are not carried out.
                let name = "none".to_owned();
                colours.push(Colour { name: name.clone(), revision: name, weight: 1_000, backends: vec![nobody] });
            }
            Route {
                service: route.rule.clone(),
                path: route.path.clone(),
                strip: false,
                affinity: Affinity::None,
                colours,
                test: None,
            }
        })
        .collect()
}

/// Metrics of a group, from counters that grew.
fn meter(world: &mut World, listener: &str, row: &RevisionStats, before: &RevisionStats, has_targets: bool) {
    let Some(group) = world.group_by_name(&row.revision) else { return };
    let balancer = world.listener(listener).map(|known| known.balancer.clone()).unwrap_or_default();
    let short = |arn: &str, cut: &str| arn.split_once(cut).map_or_else(String::new, |(_, tail)| tail.to_owned());
    let balancer = ("LoadBalancer".to_owned(), short(&balancer, ":loadbalancer/"));
    let group = ("TargetGroup".to_owned(), short(&group, ":").rsplit(':').next().unwrap_or_default().to_owned());
    let now = world.now;
    let mut put = |name: &str, value: f64, count: f64| {
        for dimensions in [vec![balancer.clone()], vec![balancer.clone(), group.clone()]] {
            world.watch.put(("AWS/ApplicationELB".to_owned(), name.to_owned(), dimensions), now, value, count);
        }
    };
    let of =
        |row: &RevisionStats, class: &str| row.by_status.get(class).map_or(0, |methods| methods.values().sum::<u64>());
    #[expect(clippy::cast_precision_loss, reason = "counts of requests in a test are small")]
    let grown = |class: &str| (of(row, class) - of(before, class).min(of(row, class))) as f64;
    #[expect(clippy::cast_precision_loss, reason = "counts of requests in a test are small")]
    let requests = (row.requests - before.requests) as f64;
    put("RequestCount", requests, 1.0);
    for class in ["2xx", "3xx", "4xx", "5xx"] {
        let count = grown(class);
        let name = match (class, has_targets) {
            ("5xx", false) => "HTTPCode_ELB_5XX_Count".to_owned(),
            _ => format!("HTTPCode_Target_{}_Count", class.to_uppercase()),
        };
        if count > 0.0 {
            put(&name, count, 1.0);
        }
    }
    if grown("failed") > 0.0 {
        put("HTTPCode_ELB_5XX_Count", grown("failed"), 1.0);
        put("TargetConnectionErrorCount", grown("failed"), 1.0);
    }
    let known: BTreeMap<u64, u64> = before.latency.iter().copied().collect();
    for (bound, count) in &row.latency {
        let more = count - known.get(bound).copied().unwrap_or(0).min(*count);
        if more > 0 {
            #[expect(clippy::cast_precision_loss, reason = "bounds are below a minute, counts small")]
            put("TargetResponseTime", *bound as f64 / 1_000_000.0, more as f64);
        }
    }
}
