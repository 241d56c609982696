//! One process takes another's place, and no connection is refused meanwhile.
//!
//! The listening sockets themselves go to the new process (`SCM_RIGHTS`, unix(7)), so there is one queue of connections
//! before, during and after. In order: the old one holds back changes of the table and sends its sockets; the new one reads
//! the table, accepts as well, and says so; the old one stops accepting and tells what it has counted; it finishes what it
//! has and closes this connection, which is how the new one learns that nothing is in flight there any more. If either dies
//! on the way, the other goes on.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::TaskTracker;

use crate::doors::{Doors, StartError};
use crate::event::Happening;
use crate::shared::Shared;
use crate::stats::Stats;

/// Descriptors in one message.
const DESCRIPTORS_MAX: usize = 8;
/// What goes with them; changes with their meaning.
const GREETING: &[u8] = b"pipe-proxy-1\n";
/// For each word of the other side.
const WORD_TIME: Duration = Duration::from_secs(10);
/// The longest word: what was counted.
const WORD_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// What a process that hands over has sent.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) doors: Doors,
    elder: BufReader<UnixStream>,
}

/// Asks the proxy that runs in a folder for its sockets. `None`: nobody answers there.
pub(crate) async fn ask(folder: &Path) -> Result<Option<Taken>, StartError> {
    let path = folder.join("hand-over.sock");
    let (_held, short) = crate::socket::short(&path).map_err(|error| StartError::File(path.clone(), error))?;
    let stream = match UnixStream::connect(&short).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(StartError::File(path, error)),
    };
    let received = tokio::time::timeout(WORD_TIME, receive(&stream)).await;
    let descriptors = received
        .map_err(|_| StartError::HandOver("it says nothing".to_owned()))?
        .map_err(|error| StartError::HandOver(error.to_string()))?;
    let doors = Doors::from_descriptors(descriptors)
        .ok_or_else(|| StartError::HandOver("it sends other sockets than are expected".to_owned()))?;
    Ok(Some(Taken { doors, elder: BufReader::new(stream) }))
}

/// Tells the elder that this process accepts, takes over what it has counted, and notes when it is gone.
pub(crate) async fn succeed(shared: &Arc<Shared>, mut elder: BufReader<UnixStream>) -> Result<(), StartError> {
    let failed = |error: io::Error| StartError::HandOver(error.to_string());
    elder.write_all(b"ready\n").await.map_err(failed)?;
    let mut word = Vec::new();
    let mut limited = (&mut elder).take(WORD_BYTES_MAX);
    let read = tokio::time::timeout(WORD_TIME, limited.read_until(b'\n', &mut word)).await;
    let told = read.map_err(|_| StartError::HandOver("it does not stop".to_owned()))?.map_err(failed)?;
    if told == 0 {
        // It died in this moment; its sockets are here, its counters are lost.
        tracing::warn!("the process before went away before it told what it had counted");
        return Ok(());
    }
    match serde_json::from_slice::<Stats>(&word) {
        Ok(stats) => shared.inherit(&stats),
        Err(error) => tracing::warn!(%error, "what was counted before is not understood"),
    }
    let gone = shared.elder_remains();
    shared.tasks.spawn(async move {
        // Its end, however it comes.
        let _end = elder.read_u8().await;
        drop(gone);
    });
    Ok(())
}

impl Taken {
    pub(crate) fn into_parts(self) -> (Doors, BufReader<UnixStream>) {
        (self.doors, self.elder)
    }
}

/// Waits for a process that wants to take over, and lets it. Gives the connection that has to be kept until nothing is in
/// flight here; `None` if the proxy is to stop otherwise. The sockets are closed then.
pub(crate) async fn offer(
    shared: &Arc<Shared>,
    doors: Doors,
    listener: UnixListener,
    acceptors: &TaskTracker,
) -> Option<UnixStream> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.rung() => return None,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Nobody's table is lost between two processes: it waits here, or is there before the other one looks.
        let mut writer = shared.writer().await;
        match tokio::time::timeout(WORD_TIME, send_and_wait(&stream, &doors)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "nobody took over");
                continue;
            }
            Err(_) => {
                tracing::warn!("whoever wanted to take over says nothing");
                continue;
            }
        }
        writer.is_handed_over = true;
        drop(writer);
        shared.events.add(Happening::HandedOver);
        shared.stop.ring();
        acceptors.wait().await;
        let mut stream = stream;
        if let Err(error) = tell(&mut stream, &shared.stats()).await {
            tracing::warn!(%error, "what was counted could not be told");
        }
        return Some(stream);
    }
}

async fn send_and_wait(stream: &UnixStream, doors: &Doors) -> io::Result<()> {
    let descriptors = doors.descriptors();
    stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::other("more sockets than fit a message"));
            }
            let sent = sendmsg(stream, &[IoSlice::new(GREETING)], &mut control, SendFlags::NOSIGNAL)?;
            if sent == GREETING.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
        })
        .await?;
    let mut word = [0; 6];
    let mut filled = 0;
    while filled < word.len() {
        stream.readable().await?;
        match stream.try_read(&mut word[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    if word == *b"ready\n" { Ok(()) } else { Err(io::Error::other("its answer is not understood")) }
}

async fn tell(stream: &mut UnixStream, stats: &Stats) -> io::Result<()> {
    let mut word = serde_json::to_vec(stats)?;
    word.push(b'\n');
    let told = tokio::time::timeout(WORD_TIME, stream.write_all(&word)).await;
    told.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn receive(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut greeting = [0; GREETING.len()];
            let mut parts = [IoSliceMut::new(&mut greeting)];
            let message = recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            let mut descriptors = Vec::new();
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = part {
                    descriptors.extend(received);
                }
            }
            if message.bytes != GREETING.len() || greeting != *GREETING {
                return Err(io::Error::other("it is another program, or another version of it"));
            }
            Ok(descriptors)
        })
        .await
}
