//! A log with the time before each line, as GitHub's downloads have it: when the line's first byte came, in UTC, to the
//! millisecond. A line of which that is not known has as many blanks. What is stored stays without times.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use axum::body::{Body, Bytes};
use engine::job::log_times;
use jiff::Timestamp;
use tokio::sync::mpsc;

/// Bytes that are sent at once.
const CHUNK_BYTES: usize = 64 * 1_024;
/// Chunks that wait for a slow reader; reading goes on when it has taken one.
const CHUNKS_MAX: usize = 4;
/// Bytes of a line that are in memory at once.
const LINE_BYTES: u64 = 64 * 1_024;
/// As wide as a time and the blank behind it.
const UNKNOWN: &[u8; 25] = b"                         ";

/// The files one after the other, each as long as it was when it was found.
pub(super) fn timed(files: Vec<(PathBuf, u64)>) -> Body {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        for (path, size) in files {
            if let Err(error) = lines(&path, size, &mut chunk, &sender) {
                // Who reads is told that it is not whole; one who went away is not.
                let _gone = sender.blocking_send(Err(error));
                return;
            }
        }
        let _gone = sender.blocking_send(Ok(Bytes::from(chunk)));
    });
    Body::from_stream(futures_util::stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    }))
}

fn lines(
    path: &std::path::Path,
    size: u64,
    chunk: &mut Vec<u8>,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
) -> std::io::Result<()> {
    let mut marks = log_times(path, 0, size)?.into_iter().peekable();
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, File::open(path)?).take(size);
    let (mut at, mut time, mut begins) = (0, *UNKNOWN, true);
    loop {
        while let Some((_, ms)) = marks.next_if(|(place, _)| *place <= at) {
            time = word(ms);
        }
        let from = chunk.len();
        if begins {
            chunk.extend(time);
        }
        let read = reader.by_ref().take(LINE_BYTES).read_until(b'\n', chunk)? as u64;
        if read == 0 {
            chunk.truncate(from);
            // The next file is another step: it begins a line.
            if at > 0 && !begins {
                chunk.push(b'\n');
            }
            return Ok(());
        }
        begins = chunk.last() == Some(&b'\n');
        at += read;
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::replace(chunk, Vec::with_capacity(CHUNK_BYTES));
            if sender.blocking_send(Ok(Bytes::from(full))).is_err() {
                return Ok(());
            }
        }
    }
}

/// `2026-11-22T16:28:28.123Z` and a blank.
fn word(ms: i64) -> [u8; UNKNOWN.len()] {
    let text = Timestamp::from_millisecond(ms).map(|at| format!("{at:.3} ")).unwrap_or_default();
    text.as_bytes().try_into().unwrap_or(*UNKNOWN)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn lines_have_their_time_before_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, marks: &[(u64, i64)]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let bytes: Vec<u8> =
                marks.iter().flat_map(|(at, ms)| [at.to_le_bytes(), ms.to_le_bytes()].concat()).collect();
            std::fs::write(path.with_extension("times"), bytes).unwrap();
            (path, text.len() as u64)
        };
        let long = "x".repeat(200_000);
        let files = vec![
            file("setup.log", "begin\n", &[]),
            file("0000.log", "one\ntwo\nthr", &[(0, 1_000), (8, 2_345)]),
            file("0001.log", &format!("{long}\nend\n"), &[(0, 86_400_000), (100, 86_401_000)]),
        ];
        let bytes = timed(files).collect().await.unwrap().to_bytes();
        let expected = [
            "                         begin",
            "1970-01-01T00:00:01.000Z one",
            "1970-01-01T00:00:01.000Z two",
            "1970-01-01T00:00:02.345Z thr",
            &format!("1970-01-02T00:00:00.000Z {long}"),
            "1970-01-02T00:00:01.000Z end",
        ];
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.lines().eq(expected), "{}", text.chars().take(300).collect::<String>());
    }

    #[tokio::test]
    async fn a_log_that_is_gone_ends_the_answer_early() {
        let folder = tempfile::tempdir().unwrap();
        assert!(timed(vec![(folder.path().join("0000.log"), 10)]).collect().await.is_err());
    }
}
