//! A backend that does what the path says, remembers what it was asked, and can be ended in two ways.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::wire::{Message, Wire};

/// One that runs.
pub struct Backend {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    tasks: TaskTracker,
}

struct Inner {
    name: String,
    seen: Mutex<Vec<Message>>,
    arrived: Notify,
    /// Those of `/hold` answer once this is true.
    open: watch::Sender<bool>,
    terminated: CancellationToken,
    killed: CancellationToken,
}

impl Backend {
    pub async fn start(name: &str) -> Self {
        Self::at(name, "127.0.0.1:0".parse().unwrap()).await
    }

    /// At an address where one has been before, perhaps.
    pub async fn at(name: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(1_024).unwrap();
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            seen: Mutex::default(),
            arrived: Notify::new(),
            open: watch::Sender::new(false),
            terminated: CancellationToken::new(),
            killed: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        let address = listener.local_addr().unwrap();
        tasks.spawn(accept(listener, Arc::clone(&inner), tasks.clone()));
        Self { address, inner, tasks }
    }

    /// Everything that it was asked, whole.
    pub fn seen(&self) -> Vec<Message> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Waits until it was asked so many times.
    pub async fn seen_so_many(&self, count: usize) {
        loop {
            let arrived = self.inner.arrived.notified();
            if self.seen().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Lets those of `/hold` go.
    pub fn release(&self) {
        self.inner.open.send_replace(true);
    }

    /// Holds those that come from now on.
    pub fn hold(&self) {
        self.inner.open.send_replace(false);
    }

    /// As SIGTERM does to a server of good manners: no new connection, what is being answered is finished.
    pub async fn terminate(&self) {
        self.inner.terminated.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// As SIGKILL does: everything is reset.
    pub async fn kill(&self) {
        self.inner.killed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = inner.terminated.cancelled() => return,
            () = inner.killed.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        stream.set_nodelay(true).unwrap();
        let inner = Arc::clone(&inner);
        tasks.spawn(async move {
            let mut wire = Wire::new(stream);
            tokio::select! {
                _ended = converse(&inner, &mut wire) => {}
                () = inner.killed.cancelled() => reset(wire.stream),
            }
        });
    }
}

/// Ends a connection as the kernel ends those of a killed process that had not read everything.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

async fn converse(inner: &Arc<Inner>, wire: &mut Wire) -> std::io::Result<()> {
    loop {
        let head = tokio::select! {
            head = wire.head() => head?,
            () = inner.terminated.cancelled() => return Ok(()),
        };
        let Some(mut request) = head else { return Ok(()) };
        if request.first.contains(" /early ") {
            wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await?;
            wire.body(&mut request, false).await?;
            continue;
        }
        wire.body(&mut request, false).await?;
        let path = request.first.split(' ').nth(1).unwrap_or_default().to_owned();
        inner.seen.lock().unwrap().push(request.clone());
        inner.arrived.notify_waiters();
        if !answer(inner, wire, &request, &path).await? {
            return Ok(());
        }
    }
}

/// Gives whether the connection goes on.
async fn answer(inner: &Arc<Inner>, wire: &mut Wire, request: &Message, path: &str) -> std::io::Result<bool> {
    let name = &inner.name;
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    match path {
        // Nothing, a piece of a head, a piece of a body.
        "/die" => return Ok(false),
        "/half" => {
            wire.send("HTTP/1.1 200 O").await?;
            return Ok(false);
        }
        "/cut" => {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await?;
            return Ok(false);
        }
        "/never" => std::future::pending::<()>().await,
        "/hold" => {
            let mut open = inner.open.subscribe();
            open.wait_for(|open| *open).await.map_err(std::io::Error::other)?;
            wire.send(&ok(name)).await?;
        }
        "/error" => wire.send("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await?,
        "/chunks" => {
            let head =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n";
            wire.send(head).await?;
            wire.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await?;
        }
        "/echo" => wire.send(&ok(&request.text())).await?,
        "/last" => {
            let last = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            wire.send(&last).await?;
            return Ok(false);
        }
        "/socket" => {
            wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n").await?;
            let (mut read, mut write) = wire.stream.split();
            tokio::io::copy(&mut read, &mut write).await?;
            return Ok(false);
        }
        _ => wire.send(&ok(name)).await?,
    }
    Ok(true)
}
