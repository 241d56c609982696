//! A connection to an agent: how it is made, made again, and what goes out on it.

use std::time::Duration;

use agent::protocol::{AgentHello, Decoder, Event, PROTOCOL_VERSION, Request, Subject, encode};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Connect, Link};

/// Pauses between tries to connect again; after the last one the agent is given up.
const RECONNECT_PAUSES: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// How often a first connection is tried.
const FIRST_TRIES: usize = 3;

/// How long the word that an agent may forget a command waits for the next command, so that it is woken once for both.
pub(super) const IDLE_OUT: Duration = Duration::from_millis(5);

/// How long a new connection may take until the agent has said hello.
const HELLO_SECONDS_MAX: u64 = 10;

/// A connection after the hellos.
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) decoder: Decoder<Event>,
    pub(super) out: BytesMut,
    /// Nothing of `out` is waited for: it may go with what comes next.
    pub(super) idle_out: bool,
}

/// As [`connect`], again where that fails: of two that come at the same moment the agent hears one.
pub(super) async fn connect_patiently(connect: &dyn Connect) -> Result<(Connection, AgentHello), String> {
    let mut first = None;
    for pause in RECONNECT_PAUSES.into_iter().take(FIRST_TRIES) {
        tokio::time::sleep(pause).await;
        match self::connect(connect).await {
            Ok(connected) => return Ok(connected),
            Err(reason) => drop(first.get_or_insert(reason)),
        }
    }
    Err(first.unwrap_or_default())
}

/// Opens a connection and exchanges hellos.
async fn connect(connect: &dyn Connect) -> Result<(Connection, AgentHello), String> {
    let greet = async {
        let link = connect.connect().await.map_err(|error| format!("cannot be reached: {error}"))?;
        let mut connection = Connection { link, decoder: Decoder::new(), out: BytesMut::new(), idle_out: false };
        connection.push(&Request::Hello { version: PROTOCOL_VERSION })?;
        loop {
            tokio::select! {
                written = connection.link.writer.write_buf(&mut connection.out), if !connection.out.is_empty() => {
                    written.map_err(|error| format!("cannot be reached: {error}"))?;
                }
                event = connection.link.reader.read_buf(connection.decoder.buffer_mut()) => {
                    if event.map_err(|error| format!("cannot be reached: {error}"))? == 0 {
                        return Err("closed the connection".to_owned());
                    }
                    match connection.decoder.next().map_err(|error| format!("is not understood: {error}"))? {
                        Some(Event::Hello(hello)) => return Ok((connection, hello)),
                        Some(Event::Failed { about: Subject::Hello, reason }) => return Err(reason),
                        Some(other) => return Err(format!("began with {other:?} in place of a hello")),
                        None => {}
                    }
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(HELLO_SECONDS_MAX), greet)
        .await
        .unwrap_or_else(|_| Err(format!("gave no answer in {HELLO_SECONDS_MAX} s")))
}

impl Connection {
    pub(super) fn push(&mut self, request: &Request) -> Result<(), String> {
        let mut bytes = Vec::new();
        encode(request, &mut bytes).map_err(|error| error.to_string())?;
        let waits = matches!(request, Request::AckExit { .. });
        self.idle_out = waits && (self.idle_out || self.out.is_empty());
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    /// Sends what had waited for company; an agent that does not take it hears it from whoever comes next.
    pub(super) async fn say_the_rest(&mut self) {
        let _told = tokio::time::timeout(IDLE_OUT, self.link.writer.write_all_buf(&mut self.out)).await;
    }
}

/// A connection to the same agent, once one broke for `reason`.
pub(super) async fn reconnect(connect: &dyn Connect, boot_id: &str, reason: &str) -> Result<Connection, String> {
    let mut last = reason.to_owned();
    for pause in RECONNECT_PAUSES {
        tokio::time::sleep(pause).await;
        if let Some(cause) = connect.autopsy().await {
            return Err(cause);
        }
        match self::connect(connect).await {
            Ok((connection, hello)) if hello.boot_id == boot_id => return Ok(connection),
            Ok(_) => return Err("was started anew and knows nothing of this job".to_owned()),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}
