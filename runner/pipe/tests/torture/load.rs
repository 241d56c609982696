//! Users who ask all the time, a connection for each request, and note each that went wrong.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::server::PATIENCE;

/// What a user does between two requests: the machine is shared with what is being tested.
const THINKING: Duration = Duration::from_millis(5);

/// A request that went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Wrong {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) what: String,
}

/// Users of one address.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    wrong: Arc<Mutex<Vec<Wrong>>>,
    users: Vec<JoinHandle<()>>,
}

/// An answer with status 200, its body.
pub(crate) fn get(port: u16, path: &str) -> Result<String, String> {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("no whole answer: {answer:?}"))?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let is_whole = !is_chunked || body.ends_with("0\r\n\r\n");
    if !head.starts_with("HTTP/1.1 200 ") || !is_whole {
        return Err(answer);
    }
    let body = if is_chunked { body.split("\r\n").nth(1).unwrap_or_default() } else { body };
    Ok(body.to_owned())
}

impl Load {
    pub(crate) fn begin(port: u16, path: &str, users: usize) -> Self {
        let (stop, done, wrong) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::default());
        let user = || {
            let (stop, done, wrong, path) =
                (Arc::clone(&stop), Arc::clone(&done), Arc::<Mutex<Vec<Wrong>>>::clone(&wrong), path.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    if let Err(what) = get(port, &path) {
                        wrong.lock().unwrap().push(Wrong { begun, ended: Instant::now(), what });
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(THINKING);
                }
            })
        };
        let users = (0..users).map(|_| user()).collect();
        Self { stop, done, wrong, users }
    }

    /// How many have been answered, or were not, until now.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many were asked, and what went wrong.
    pub(crate) fn end(self) -> (u64, Vec<Wrong>) {
        self.stop.store(true, Ordering::Relaxed);
        self.users.into_iter().for_each(|user| user.join().unwrap());
        let wrong = std::mem::take(&mut *self.wrong.lock().unwrap());
        (self.done.load(Ordering::Relaxed), wrong)
    }
}
