//! A proxy of a test: in a folder of its own, on ports that the system chooses.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proxy::client::{About, Client};
use proxy::event::{Event, Happening};
use proxy::stats::RevisionStats;
use proxy::table::{Affinity, Colour, Route, Table};
use proxy::{Ended, Options, StartError};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;

/// What a test waits for at most; it is there so that a failure is told and not waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub address: SocketAddr,
    pub test: SocketAddr,
    pub client: Client,
    pub folder: Arc<TempDir>,
    pub stop: CancellationToken,
    pub running: JoinHandle<Result<Ended, StartError>>,
}

pub fn options(folder: &Path) -> Options {
    let mut options = Options::new("test", "127.0.0.1:0".parse().unwrap(), folder);
    options.test_listen = Some("127.0.0.1:0".parse().unwrap());
    options.times.linger = Duration::from_millis(100);
    options
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), change).await
    }

    pub async fn in_folder(folder: Arc<TempDir>, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = options(folder.path());
        change(&mut options);
        let stop = CancellationToken::new();
        let (tell, ready) = oneshot::channel();
        let told = stop.clone();
        let running = tokio::spawn(proxy::serve(options, told, |about: &About| {
            let _gone = tell.send(about.clone());
        }));
        let Ok(about) = ready.await else { panic!("it does not start: {:?}", running.await) };
        let client = Client::at(folder.path().join("control.sock"));
        Self { address: about.listen, test: about.test_listen.unwrap(), client, folder, stop, running }
    }

    /// A table of one service, `shop` on `/`, whose colours have these weights.
    pub async fn shares(&self, colours: &[(&Backend, u16)]) -> u64 {
        let colours = colours.iter().map(|(backend, weight)| (vec![*backend], *weight)).collect::<Vec<_>>();
        self.set(|table| table.routes = vec![route("shop", "/", &colours)]).await
    }

    /// Changes the table that stands.
    pub async fn set(&self, change: impl FnOnce(&mut Table)) -> u64 {
        let mut table = self.client.table().await.unwrap();
        let before = table.generation;
        change(&mut table);
        self.client.replace(before, &table).await.unwrap()
    }

    pub async fn stats(&self, revision: &str) -> RevisionStats {
        self.client.stats().await.unwrap().of("shop", revision).cloned().unwrap_or_default()
    }

    /// Waits until something has happened.
    pub async fn happens(&self, is_it: impl Fn(&Happening) -> bool) -> Event {
        let mut after = 0;
        loop {
            let events = self.client.wait_events(after, PATIENCE).await.unwrap();
            assert!(!events.is_empty(), "it does not happen");
            if let Some(event) = events.iter().find(|event| is_it(&event.what)) {
                return event.clone();
            }
            after = events.last().unwrap().number;
        }
    }

    /// Tells it to stop, and waits until it has.
    pub async fn end(self) -> Ended {
        self.stop.cancel();
        self.running.await.unwrap().unwrap()
    }
}

/// Blue first, then green; the revisions are `r1`, `r2`, …; tests reach the last.
pub fn route(service: &str, path: &str, colours: &[(Vec<&Backend>, u16)]) -> Route {
    let names = ["blue", "green", "red"];
    let colours: Vec<_> = colours
        .iter()
        .enumerate()
        .map(|(index, (backends, weight))| Colour {
            name: names[index].to_owned(),
            revision: format!("r{}", index + 1),
            weight: *weight,
            backends: backends.iter().map(|backend| backend.address).collect(),
        })
        .collect();
    Route {
        service: service.to_owned(),
        path: path.to_owned(),
        strip: false,
        affinity: Affinity::None,
        test: colours.last().map(|colour| colour.name.clone()),
        colours,
    }
}
