//! A proxy from its start to its end: sockets, workers, control, hand-over, and the order in which they stop.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::About;
use crate::doors::{self, Doors, StartError};
use crate::event::Happening;
use crate::options::Options;
use crate::shared::Shared;
use crate::store::Store;
use crate::worker::Workers;
use crate::{control, front, hand_over};

/// How a proxy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Whether another process has its sockets now.
    pub is_handed_over: bool,
    /// Connections, tunnels among them, that were still busy when the time to stop was over.
    pub cut: usize,
}

/// Runs a proxy until `stop`, or until another one takes over. `ready` is called once it accepts connections.
///
/// # Errors
/// It cannot start: its folder, an address, or its table cannot be used. Nothing has changed then.
pub async fn serve(options: Options, stop: CancellationToken, ready: impl FnOnce(&About)) -> Result<Ended, StartError> {
    doors::make_folder(&options.folder)?;
    let taken = if options.take_over { hand_over::ask(&options.folder).await? } else { None };
    let (doors, elder) = match taken {
        None => (Doors::open(&options)?, None),
        Some(taken) => {
            let (mut doors, elder) = taken.into_parts();
            doors.fit(&options)?;
            (doors, Some(elder))
        }
    };
    let store = Store::of(&options.folder);
    let table = store.load()?;
    let folder = options.folder.clone();
    let shared = Shared::new(options, store, table);
    let told = tokio::spawn({
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        async move {
            stop.cancelled().await;
            shared.stop.ring();
        }
    });
    let workers = Arc::new(Workers::start(&shared)?);
    let about = about(&shared, &doors)?;
    let acceptors = TaskTracker::new();
    let end = CancellationToken::new();
    let opened = open(&shared, &workers, &doors, &acceptors, &about, &end);
    let (listener, steering) = opened?;
    if let Some(elder) = elder {
        hand_over::succeed(&shared, elder).await?;
    }
    doors.write_pid()?;
    ready(&About { process: shared.process(), ..about });
    let successor = hand_over::offer(&shared, doors, listener, &acceptors).await;
    if successor.is_some() {
        // The control socket is the successor's from now on.
        end.cancel();
    } else {
        shared.events.add(Happening::Stopping);
    }
    let cut = drain(&shared, &acceptors).await;
    end.cancel();
    // Nobody else owns it, so it ends as it was told to.
    let _panicked = steering.await;
    let is_handed_over = successor.is_some();
    if !is_handed_over {
        doors::remove_names(&folder);
    }
    told.abort();
    drop::<Option<UnixStream>>(successor);
    Ok(Ended { is_handed_over, cut })
}

fn about(shared: &Shared, doors: &Doors) -> Result<About, StartError> {
    let test_listen = doors.test.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
    Ok(About {
        process: shared.process(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: shared.options.environment.clone(),
        listen: doors.listen.local_addr()?,
        test_listen,
        generation: shared.generation(),
    })
}

type Opened = (UnixListener, tokio::task::JoinHandle<()>);

/// Begins to accept everywhere. What is kept in `doors` is what a successor gets.
fn open(
    shared: &Arc<Shared>,
    workers: &Arc<Workers>,
    doors: &Doors,
    acceptors: &TaskTracker,
    about: &About,
    end: &CancellationToken,
) -> Result<Opened, StartError> {
    let control = UnixListener::from_std(doors.control.try_clone()?)?;
    let steering = tokio::spawn(control::serve(Arc::clone(shared), control, about.clone(), end.clone()));
    for (listener, is_test) in [(Some(&doors.listen), false), (doors.test.as_ref(), true)] {
        let Some(listener) = listener else { continue };
        let address: SocketAddr = listener.local_addr()?;
        let listener = TcpListener::from_std(listener.try_clone()?)?;
        acceptors.spawn(front::accept(Arc::clone(shared), Arc::clone(workers), listener, is_test));
        tracing::info!(%address, is_test, "listening");
    }
    acceptors.close();
    Ok((UnixListener::from_std(doors.hand_over.try_clone()?)?, steering))
}

/// Lets everything end that is in flight, within its time. Gives how much did not.
async fn drain(shared: &Shared, acceptors: &TaskTracker) -> usize {
    let times = &shared.options.times;
    acceptors.wait().await;
    shared.tasks.close();
    let until = tokio::time::Instant::now() + times.drain;
    if tokio::time::timeout(times.linger, shared.tasks.wait()).await.is_ok() {
        return 0;
    }
    shared.lingered.ring();
    if tokio::time::timeout_at(until, shared.tasks.wait()).await.is_ok() {
        return 0;
    }
    let left = shared.tasks.len();
    shared.cut.ring();
    shared.tasks.wait().await;
    left
}
