//! The port through which files come, and how one file comes whole or not at all.
//!
//! Follows RFC 9110 for what servers are asked: `If-None-Match` for what may not have changed, `Range` with `If-Range` to go on
//! where a download was cut. Nothing here opens a connection.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Largest file that is fetched. The largest in 2026 has a quarter of a gigabyte.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// How much is written at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Brings what is at an address. The real form speaks HTTP, that of the tests has a folder.
pub trait Fetch {
    /// Asks for one file and gives its bytes as they come.
    ///
    /// # Errors
    /// When there is no answer, or one that is no success (200, 206) and not `304 Not Modified`.
    fn fetch(&self, request: &Request) -> Result<Answer, FetchError>;
}

/// A `GET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub url: String,
    /// Sent as `If-None-Match`: the caller has this version already.
    pub etag: Option<String>,
    /// Sent as `Range: bytes={from}-` and `If-Range: {etag}`: the caller has the beginning already.
    pub resume: Option<Resume>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// In bytes.
    pub from: u64,
    pub etag: String,
}

/// What a server says.
pub enum Answer {
    /// 304: the version of `Request::etag` is the latest.
    NotModified,
    /// 200: the file from its beginning.
    Whole { etag: Option<String>, length: Option<u64>, body: Box<dyn Read> },
    /// 206: the file from where `Request::resume` says; `length` is that of what follows.
    Rest { etag: Option<String>, length: Option<u64>, body: Box<dyn Read> },
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotModified => "NotModified",
            Self::Whole { .. } => "Whole",
            Self::Rest { .. } => "Rest",
        })
    }
}

/// Why something did not come.
#[derive(Debug, thiserror::Error)]
#[error("{url} could not be fetched: {what}")]
pub struct FetchError {
    pub url: String,
    /// For a person: `404 Not Found`, `connection refused`.
    pub what: String,
}

/// What came of asking for a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    NotModified,
    New { etag: Option<String>, bytes: u64 },
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{} cannot be written: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Fetches a file to `target`, which appears when it is whole. What came before a download was cut stays beside it, and the
/// next one goes on from there if the server still has the same version.
pub(super) fn download(fetch: &dyn Fetch, url: &str, etag: Option<&str>, target: &Path) -> Result<Came, DownloadError> {
    let part = with_ending(target, "part");
    let part_etag = with_ending(target, "part-etag");
    let io_error = |error| DownloadError::Io { path: part.clone(), error };
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(io_error)?;
    }
    let resume = match (std::fs::metadata(&part), std::fs::read_to_string(&part_etag)) {
        (Ok(metadata), Ok(etag)) if metadata.len() > 0 => Some(Resume { from: metadata.len(), etag }),
        _ => None,
    };
    let request = Request { url: url.to_owned(), etag: etag.map(str::to_owned), resume: resume.clone() };
    let (mut file, from, etag, length, body) = match fetch.fetch(&request)? {
        Answer::NotModified => return Ok(Came::NotModified),
        Answer::Whole { etag, length, body } => {
            let file = File::create(&part).map_err(io_error)?;
            // Without a name for the version nothing could be appended later.
            match &etag {
                Some(etag) => std::fs::write(&part_etag, etag).map_err(io_error)?,
                None => drop(std::fs::remove_file(&part_etag)),
            }
            (file, 0, etag, length, body)
        }
        Answer::Rest { etag, length, body } => {
            let Some(resume) = resume else {
                let what = "the server sent a part of it, which was not asked for".to_owned();
                return Err(FetchError { url: url.to_owned(), what }.into());
            };
            let file = OpenOptions::new().append(true).open(&part).map_err(io_error)?;
            (file, resume.from, etag.or(Some(resume.etag)), length, body)
        }
    };
    let written = copy(url, body, &mut file, length).map_err(|error| match error {
        CopyError::Fetch(error) => DownloadError::Fetch(error),
        CopyError::Io(error) => io_error(error),
    })?;
    file.sync_all().map_err(io_error)?;
    drop(file);
    std::fs::rename(&part, target).map_err(io_error)?;
    let _ = std::fs::remove_file(&part_etag);
    Ok(Came::New { etag, bytes: from + written })
}

/// Reads a file of bounded size into memory, and no further than `enough` says.
pub(super) fn download_lines(
    fetch: &dyn Fetch,
    url: &str,
    mut line: impl FnMut(&str) -> bool,
) -> Result<(), FetchError> {
    let request = Request { url: url.to_owned(), etag: None, resume: None };
    let failed = |what: String| FetchError { url: url.to_owned(), what };
    let body = match fetch.fetch(&request)? {
        Answer::Whole { body, .. } => body,
        Answer::NotModified | Answer::Rest { .. } => {
            return Err(failed("the server did not send the whole".to_owned()));
        }
    };
    for text in io::BufRead::lines(io::BufReader::new(body.take(FILE_BYTES_MAX))) {
        if !line(&text.map_err(|error| failed(error.to_string()))?) {
            break;
        }
    }
    Ok(())
}

enum CopyError {
    Fetch(FetchError),
    Io(io::Error),
}

fn copy(url: &str, mut body: Box<dyn Read>, file: &mut File, length: Option<u64>) -> Result<u64, CopyError> {
    let failed = |what: String| CopyError::Fetch(FetchError { url: url.to_owned(), what });
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut written = 0;
    loop {
        let count = match body.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(format!("it was cut after {written} bytes: {error}"))),
        };
        file.write_all(&chunk[..count]).map_err(CopyError::Io)?;
        written += count as u64;
        if written > FILE_BYTES_MAX {
            return Err(failed(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
    }
    match length {
        Some(length) if written < length => Err(failed(format!("it was cut after {written} of {length} bytes"))),
        _ => Ok(written),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
