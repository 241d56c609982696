//! A connection to a backend that plain requests use: bytes, and nothing that reads them beside whoever has it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use crate::pool::{self, Kept};
use crate::upstream;

/// With at most one request on it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    address: SocketAddr,
    idle_since: Instant,
    /// The backend's own word for how long it keeps an idle connection.
    pub(crate) keep_alive: Option<Duration>,
}

impl Link {
    pub(crate) async fn connect(address: SocketAddr, time: Duration) -> Result<Self, String> {
        let stream = upstream::connect(address, time).await?;
        Ok(Self { stream, address, idle_since: Instant::now(), keep_alive: None })
    }
}

impl Kept for Link {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn is_usable(&mut self, kept: Duration) -> bool {
        if !pool::is_fresh(self.idle_since, self.keep_alive, kept) {
            return false;
        }
        // Its end may have come, or a word that nobody asked for.
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    fn rest(&mut self) -> bool {
        self.idle_since = Instant::now();
        true
    }
}
