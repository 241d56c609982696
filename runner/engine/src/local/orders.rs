//! Orders of other processes to the one that carries a run: each a small file in the run's folder.
//!
//! A file and no message, so that an answer counts that is given while nobody carries the run. They stay until the run is
//! over: an order that a run knows already changes nothing. The kernel tells whoever listens that one has come.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::dispatcher::Control;

/// Largest order in bytes.
const ORDER_BYTES_MAX: u64 = 64 * 1_024;
/// Most orders to one run.
const ORDERS_MAX: usize = 1_000;
/// Bytes of news that are read at once.
const NEWS_BYTES: usize = 4_096;

/// What somebody wants of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Jobs that wait at an environment go on, or not.
    Review {
        /// The environment, in any case.
        environment: String,
        /// Whether they may.
        approved: bool,
        /// Who.
        by: String,
        /// Why, possibly empty.
        comment: String,
        /// Digests of what was seen; see [`Control::Review`].
        subjects: Vec<String>,
    },
    /// The run stops.
    Cancel {
        /// Who.
        by: String,
        /// At once, without the steps that always run.
        force: bool,
    },
}

impl Order {
    fn control(self) -> Control {
        match self {
            Self::Review { environment, approved, by, comment, subjects } => {
                Control::Review { environment, approved, by, comment, subjects }
            }
            Self::Cancel { by, force: false } => Control::Cancel { by },
            Self::Cancel { by, force: true } => Control::Kill { by },
        }
    }
}

/// The orders to one run.
#[derive(Debug, Clone)]
pub struct Orders(PathBuf);

impl Orders {
    pub(super) const fn of(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Gives an order.
    ///
    /// # Errors
    /// It cannot be written, or there are too many.
    pub fn post(&self, order: &Order) -> io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        if self.names()?.len() >= ORDERS_MAX {
            return Err(io::Error::other(format!("the run has {ORDERS_MAX} orders that wait")));
        }
        let file = tempfile::Builder::new().prefix(".").tempfile_in(&self.0)?;
        serde_json::to_writer(&file, order)?;
        // Names sort as orders came.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = self.0.join(format!("{now:032}-{}.json", std::process::id()));
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Passes on what came before and what comes, until nobody takes it any more.
    ///
    /// # Errors
    /// The folder cannot be watched.
    pub async fn pass_on(&self, to: mpsc::UnboundedSender<Control>) -> io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&watch, &self.0, WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF)?;
        // News are read as bytes are from a pipe.
        let mut news = pipe::Receiver::from_owned_fd_unchecked(watch)?;
        let mut room = vec![0; NEWS_BYTES];
        let mut seen = BTreeSet::new();
        loop {
            for name in self.names()? {
                if !seen.insert(name.clone()) {
                    continue;
                }
                let order = self.read(&name).inspect_err(|error| {
                    tracing::warn!(name, %error, "an order to the run cannot be read");
                });
                if order.is_ok_and(|order| to.send(order.control()).is_err()) {
                    return Ok(());
                }
            }
            tokio::select! {
                () = to.closed() => return Ok(()),
                // What came is looked for in the folder; this only makes room for further news.
                came = news.read(&mut room) => drop(came?),
            }
        }
    }

    /// The run is over.
    pub(crate) fn remove(&self) {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(folder = %self.0.display(), %error, "orders to a run that is over are left");
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn names(&self) -> io::Result<BTreeSet<String>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    fn read(&self, name: &str) -> io::Result<Order> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.0.join(name))?;
        io::Read::read_to_end(&mut io::Read::take(file, ORDER_BYTES_MAX), &mut bytes)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn orders_come_in_their_turn_whenever_they_were_given() {
        let folder = tempfile::tempdir().unwrap();
        let orders = Orders::of(folder.path().join("orders"));
        let review = |comment: &str| Order::Review {
            environment: "production".into(),
            approved: true,
            by: "ada".into(),
            comment: comment.into(),
            subjects: vec!["x".into()],
        };
        orders.post(&review("before")).unwrap();
        let (to, mut inbox) = mpsc::unbounded_channel();
        let listening = tokio::spawn({
            let orders = orders.clone();
            async move { orders.pass_on(to).await }
        });
        assert_eq!(inbox.recv().await, Some(review("before").control()));
        std::fs::write(folder.path().join("orders/broken.json"), "{").unwrap();
        orders.post(&Order::Cancel { by: "bob".into(), force: false }).unwrap();
        assert_eq!(inbox.recv().await, Some(Control::Cancel { by: "bob".into() }));
        orders.post(&review("after")).unwrap();
        assert_eq!(inbox.recv().await, Some(review("after").control()));
        drop(inbox);
        listening.await.unwrap().unwrap();
        orders.remove();
        assert!(!folder.path().join("orders").exists());
    }
}
