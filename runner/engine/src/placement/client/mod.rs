//! The engine's end of the conversation with an agent: several commands and files at once over one connection.
//!
//! A connection that breaks is made anew and goes on at the byte where it stopped. When the agent itself is gone, every
//! command that had not told its end is lost, never successful. The frames are those of [`agent::protocol`].

mod connection;
mod driver;
mod link;
mod outcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use agent::protocol::{FILE_BYTES_MAX, Request, Ticket};
use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) use link::{Connect, Link, SocketPath, connect_socket};

use super::{Acknowledgement, Exec, ExecId, ExecRequest, Ladder};

/// Chunks that wait for the reader of one command: with the largest chunks, 2 MiB.
const CHUNKS_WAITING_MAX: usize = 8;

/// A connected agent.
#[derive(Debug)]
pub(crate) struct AgentClient {
    commands: mpsc::UnboundedSender<Command>,
    next_id: AtomicU64,
    driver: JoinHandle<()>,
    /// What the agent called itself when it was first spoken to.
    boot_id: String,
}

/// What callers ask of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new exec and who hears of it.
    Start(agent::protocol::ExecRequest, mpsc::Sender<super::ExecEvent>),
    /// The same for one that another process may have started; its output is wanted from the offset on.
    TakeUp(agent::protocol::ExecRequest, mpsc::Sender<super::ExecEvent>, u64),
    /// Needs no answer.
    Send(Request),
    /// Is answered under the ticket that the driver draws.
    File(FileRequest, oneshot::Sender<Result<FileAnswer, String>>),
    /// A broken connection is the end.
    ExpectEnd,
    /// Ends the agent; answered when it said that it stopped, or is gone.
    Shutdown(oneshot::Sender<()>),
}

/// A file request before it has its ticket.
#[derive(Debug)]
pub(crate) enum FileRequest {
    Write { path: String, mode: u32, append: bool, bytes: Bytes },
    Read { path: String, offset: u64, bytes_max: u64 },
    Remove { path: String },
    Folder { path: String, mode: u32 },
}

impl FileRequest {
    fn with(self, ticket: Ticket) -> Request {
        match self {
            Self::Write { path, mode, append, bytes } => Request::WriteFile { ticket, path, mode, append, bytes },
            Self::Read { path, offset, bytes_max: max_bytes } => Request::ReadFile { ticket, path, offset, max_bytes },
            Self::Remove { path } => Request::Remove { ticket, path },
            Self::Folder { path, mode } => Request::MkdirAll { ticket, path, mode },
        }
    }
}

/// The answer to a file request.
#[derive(Debug)]
pub(crate) enum FileAnswer {
    Done,
    Piece { size: u64, bytes: Bytes },
}

impl AgentClient {
    /// Connects to an agent that was just started, and exchanges hellos.
    pub(crate) async fn start(connect: Arc<dyn Connect>) -> Result<Self, String> {
        Self::start_with(connect, None).await
    }

    /// Connects to an agent that another process started, of which [`Self::boot_id`] was recorded: whoever answers in its place is
    /// not believed. `None`: that was not recorded yet.
    pub(crate) async fn start_known(connect: Arc<dyn Connect>, boot_id: Option<&str>) -> Result<Self, String> {
        Self::start_with(connect, boot_id).await
    }

    async fn start_with(connect: Arc<dyn Connect>, known: Option<&str>) -> Result<Self, String> {
        let (connection, hello) = connection::connect_patiently(&*connect).await?;
        if known.is_some_and(|known| known != hello.boot_id) {
            return Err("is another one than the job was placed with".to_owned());
        }
        let boot_id = hello.boot_id.clone();
        let (commands, receiver) = mpsc::unbounded_channel();
        let driver = tokio::spawn(driver::drive(connect, connection, hello.boot_id, receiver));
        // Another process may have spoken to this agent before: the time sets its commands apart from ours.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let first = ExecId::CHOSEN_MAX + u64::try_from(since.as_millis()).unwrap_or_default();
        Ok(Self { commands, next_id: AtomicU64::new(first), driver, boot_id })
    }

    /// The name that the agent drew at its start: 128 random bits, which nobody else gives.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Starts a command.
    pub(crate) fn exec(&self, request: ExecRequest) -> Result<Exec, String> {
        let id = request.id.map_or_else(|| self.next_id.fetch_add(1, Ordering::Relaxed), |id| id.0);
        self.begin(id, |sender| Command::Start(outcome::request(id, request), sender))
    }

    /// Goes on with a command that another process started under the name in `request`, at byte `from` of its output or
    /// the first that the agent still has; starts it where the agent never heard of it.
    pub(crate) fn take_up(&self, request: ExecRequest, from: u64) -> Result<Exec, String> {
        let id = request.id.ok_or("cannot find a command without a name")?.0;
        self.begin(id, |sender| Command::TakeUp(outcome::request(id, request), sender, from))
    }

    fn begin(&self, id: u64, command: impl FnOnce(mpsc::Sender<super::ExecEvent>) -> Command) -> Result<Exec, String> {
        let (sender, events) = mpsc::channel(CHUNKS_WAITING_MAX);
        self.tell(command(sender))?;
        let commands = self.commands.clone();
        Ok(Exec::new(ExecId(id), events, move |what| {
            let request = match what {
                Acknowledgement::Output(offset) => Request::AckOutput { id, offset },
                Acknowledgement::End => Request::AckExit { id },
            };
            // Without an agent there is nobody left to tell.
            let _ = commands.send(Command::Send(request));
        }))
    }

    /// Begins to end a command.
    pub(crate) fn cancel(&self, exec: ExecId, ladder: Ladder) -> Result<(), String> {
        self.tell(Command::Send(Request::Cancel { id: exec.0, ladder: Some(outcome::ladder(ladder)) }))
    }

    /// Writes a whole file; its folder is made where it is missing.
    pub(crate) async fn write_file(&self, path: &str, mode: u32, mut content: Bytes) -> Result<(), String> {
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| !folder.is_empty()) {
            self.file(FileRequest::Folder { path: folder.to_owned(), mode: 0o755 }).await?;
        }
        let mut append = false;
        loop {
            let bytes = content.split_to(content.len().min(FILE_BYTES_MAX));
            self.file(FileRequest::Write { path: path.to_owned(), mode, append, bytes }).await?;
            if content.is_empty() {
                return Ok(());
            }
            append = true;
        }
    }

    /// Reads a whole file of at most `bytes_max`.
    pub(crate) async fn read_file(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>, String> {
        let mut content = BytesMut::new();
        loop {
            let offset = content.len() as u64;
            let request = FileRequest::Read { path: path.to_owned(), offset, bytes_max: FILE_BYTES_MAX as u64 };
            match self.file(request).await {
                Ok(FileAnswer::Piece { size, bytes: _ }) if size > bytes_max => {
                    return Err(format!("it has {size} bytes, where {bytes_max} are allowed"));
                }
                Ok(FileAnswer::Piece { size, bytes }) => {
                    if content.is_empty() && bytes.len() as u64 >= size {
                        return Ok(Some(bytes));
                    }
                    content.extend_from_slice(&bytes);
                    if bytes.is_empty() || content.len() as u64 >= size {
                        return Ok(Some(content.freeze()));
                    }
                }
                Ok(FileAnswer::Done) => return Err("the agent gave no content".to_owned()),
                Err(reason) if reason.to_ascii_lowercase().contains("no such file") => return Ok(None),
                Err(reason) => return Err(reason),
            }
        }
    }

    /// Removes a file or folder with all that is in it.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), String> {
        self.file(FileRequest::Remove { path: path.to_owned() }).await.map(|_| ())
    }

    async fn file(&self, request: FileRequest) -> Result<FileAnswer, String> {
        let (sender, answer) = oneshot::channel();
        self.tell(Command::File(request, sender))?;
        answer.await.map_err(|_| GONE.to_owned())?
    }

    /// Asks the agent to end all that runs and itself, and waits for that at most `patience`.
    pub(crate) async fn shut_down(&self, patience: Duration) {
        let (sender, stopped) = oneshot::channel();
        if self.tell(Command::Shutdown(sender)).is_ok() {
            // Whoever removes the container ends what does not end by itself.
            let _ = tokio::time::timeout(patience, stopped).await;
        }
    }

    /// The agent is about to be removed: a connection that breaks is not made anew.
    pub(crate) fn expect_end(&self) {
        // Without an agent there is nothing to expect.
        let _ = self.tell(Command::ExpectEnd);
    }

    fn tell(&self, command: Command) -> Result<(), String> {
        self.commands.send(command).map_err(|_| GONE.to_owned())
    }
}

impl Drop for AgentClient {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

const GONE: &str = "is gone";

#[cfg(test)]
mod tests;
