//! Checkpoints that leave the machine's database: told again and again, so that a log that was cut or written anew does
//! not fit what is known elsewhere (T06). The head of the log is an HMAC, so that nobody without the key can make one.

use std::time::Duration;

use rusqlite::OptionalExtension as _;
use tokio_util::sync::CancellationToken;

use super::{Audit, Checkpoint, hexadecimal};
use crate::store::StoreError;

/// Rows after which one is told.
const EVERY_ROWS: u64 = 100;
/// After so long one is told if there are any new rows.
const EVERY: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

impl Audit {
    /// The state that the log is in, without a look at the rows before.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        let read = |connection: &rusqlite::Connection| {
            let last = connection.query_row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok(Checkpoint { count: row.get(0)?, head: hexadecimal(&row.get::<_, Vec<u8>>(1)?) })
            });
            last.optional()
        };
        Ok(self.database.read(read).await?.unwrap_or(Checkpoint { count: 0, head: hexadecimal(&[0; 32]) }))
    }

    /// Tells checkpoints until it is to stop, and then the last one.
    pub async fn tell_checkpoints(self, stop: CancellationToken, tell: impl Fn(&Checkpoint) + Send) {
        let mut told = Checkpoint { count: 0, head: String::new() };
        let mut since = tokio::time::Instant::now();
        loop {
            let stopping = stop.is_cancelled();
            match self.checkpoint().await {
                Ok(now) => {
                    let is_due =
                        now.count >= told.count + EVERY_ROWS || since.elapsed() >= EVERY || told.head.is_empty();
                    if now != told && now.count > 0 && (is_due || stopping) {
                        tell(&now);
                        (told, since) = (now, tokio::time::Instant::now());
                    }
                }
                Err(error) => tracing::warn!(%error, "the audit log cannot be read"),
            }
            if stopping {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
