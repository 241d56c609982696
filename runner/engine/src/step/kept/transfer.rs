//! Files on their way out of a job and into one: found with its `find`, packed and unpacked with its `tar`.
//!
//! Where the workspace is mounted here the archive lies in it for a moment and is read in place, opened below the folder
//! that is mounted so that no link of the job leads elsewhere; otherwise it travels through the agent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use super::failed;
use crate::placement::ExecRequest;
use crate::step::{ActionCall, ActionError};

/// Kept of what `find` and `tar` say.
const MESSAGE_BYTES_MAX: usize = 4096;
/// What passes through memory on its way to or from another machine.
const SENT_BYTES_MAX: u64 = 1 << 30;
/// The paths of what was found.
const LIST_BYTES_MAX: u64 = 256 << 20;

/// Finds files behind links, or everything but folders as it is, below the folders that exist.
const FIND: &str = r#"how=$1; out=$2; shift 2
for root do
  if [ -e "$root" ] || [ -L "$root" ]; then
    case $how in files) find -L "$root" -type f -print0 ;; all) find "$root" ! -type d -print0 ;; *) printf '%s\0' "$root" ;; esac
  fi
done > "$out" 2>/dev/null
exit 0"#;

/// Packs what a list names. GNU tar ends with 1 where a file changed meanwhile.
const PACK: &str = r#"if tar --version 2>/dev/null | grep -q 'GNU tar'; then
  tar "$1" "$2" -C "$3" --null --verbatim-files-from -T "$4"; code=$?; [ $code -le 1 ] || exit $code
else
  tr '\0' '\n' < "$4" > "$4.lines" && tar "$1" "$2" -C "$3" -T "$4.lines"; code=$?; rm -f "$4.lines"; exit $code
fi"#;

const UNPACK: &str = r#"mkdir -p "$2" && tar -xf "$1" -C "$2""#;

/// What `find` looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::step) enum Find {
    /// Files, those behind links as well.
    Files,
    /// Everything but folders, links as they are.
    All,
    /// Only whether these exist.
    Existing,
}

/// Finds what is below some paths. Gives absolute paths.
pub(in crate::step) async fn find(
    call: &ActionCall<'_>,
    how: Find,
    roots: &[String],
) -> Result<Vec<String>, ActionError> {
    let file = Temporary::new(call, "list");
    let how = match how {
        Find::Files => "files",
        Find::All => "all",
        Find::Existing => "existing",
    };
    let mut arguments = vec![how, file.inside.as_str()];
    arguments.extend(roots.iter().map(String::as_str));
    script(call, FIND, &arguments, "`find`").await?;
    let mut list = Vec::new();
    let read = match file.read(call, LIST_BYTES_MAX).await? {
        Content::Here(file) => file.take(LIST_BYTES_MAX).read_to_end(&mut list).map(drop),
        Content::Sent(bytes) => {
            list = bytes.to_vec();
            Ok(())
        }
    };
    file.remove(call).await;
    read.map_err(failed)?;
    let paths = list.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    let texts = paths.map(|path| String::from_utf8(path.to_vec()));
    texts.collect::<Result<_, _>>().map_err(|_| failed("the name of a file is not UTF-8, so it cannot be kept"))
}

/// Packs paths, given relative to `base`, and hands the archive to `take`, which may block.
pub(in crate::step) async fn pack<T: Send + 'static>(
    call: &ActionCall<'_>,
    base: &str,
    paths: &[String],
    follow: bool,
    take: impl FnOnce(Box<dyn Read>) -> Result<T, String> + Send + 'static,
) -> Result<T, ActionError> {
    let (list, archive) = (Temporary::new(call, "list"), Temporary::new(call, "tar"));
    let names: Vec<u8> = paths.iter().flat_map(|path| [b"./", path.as_bytes(), b"\0"].concat()).collect();
    call.job.write_file(&list.inside, Bytes::from(names), 0o644).await.map_err(failed)?;
    let flags = if follow { "-chf" } else { "-cf" };
    let packed = script(call, PACK, &[flags, &archive.inside, base, &list.inside], "`tar`").await;
    list.remove(call).await;
    let taken = match packed {
        Ok(()) => match archive.read(call, SENT_BYTES_MAX).await {
            Ok(content) => tokio::task::spawn_blocking(move || match content {
                Content::Here(file) => take(Box::new(io::BufReader::with_capacity(1 << 18, file))),
                Content::Sent(bytes) => take(Box::new(io::Cursor::new(bytes))),
            })
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
            .map_err(failed),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    archive.remove(call).await;
    taken
}

/// Unpacks the archive that `give` writes below a folder of the job, which is made. Nothing is unpacked where `give` fails.
pub(in crate::step) async fn unpack(
    call: &ActionCall<'_>,
    folder: &str,
    give: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<(), ActionError> {
    let file = Temporary::new(call, "tar");
    let here = if call.workspace.shared { Some(file.create().map_err(failed)?) } else { None };
    let given = tokio::task::spawn_blocking(move || match here {
        Some(mut file) => give(&mut file).map(|()| Vec::new()),
        None => {
            let mut sent = Sent(Vec::new());
            give(&mut sent).map(|()| sent.0)
        }
    });
    let given = given.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let unpacked = match given {
        Ok(bytes) => {
            if !call.workspace.shared {
                call.job.write_file(&file.inside, Bytes::from(bytes), 0o644).await.map_err(failed)?;
            }
            script(call, UNPACK, &[&file.inside, folder], "`tar`").await
        }
        Err(error) => Err(failed(error)),
    };
    file.remove(call).await;
    unpacked
}

/// An archive that is sent to another machine, in memory.
struct Sent(Vec<u8>);

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > SENT_BYTES_MAX {
            return Err(io::Error::other("more than 1 GiB cannot be sent to a job on another machine"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn script(call: &ActionCall<'_>, text: &str, arguments: &[&str], tool: &str) -> Result<(), ActionError> {
    let words = ["/bin/sh", "-c", text, "sh"].into_iter().chain(arguments.iter().copied());
    let request = ExecRequest::new(words, call.workspace.inside.as_str());
    let exec = call.job.exec(request).await.map_err(failed)?;
    let (outcome, said) = exec.output(MESSAGE_BYTES_MAX).await;
    if outcome.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    Err(failed(format!("{tool} of the job, which is needed to move files, failed: {}", said.trim())))
}

/// A file of ours in the workspace, for a moment.
struct Temporary {
    inside: String,
    /// The folder here that no job can replace, and the way from there.
    root: PathBuf,
    below: PathBuf,
}

enum Content {
    Here(File),
    Sent(Bytes),
}

impl Temporary {
    fn new(call: &ActionCall<'_>, ending: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".pipe-{}-{number}.{ending}", std::process::id());
        let host = &call.workspace.host;
        // `<work>/<repository>/<repository>`: the first is what is mounted.
        let root = host.ancestors().nth(2).unwrap_or(host).to_path_buf();
        let below = host.strip_prefix(&root).unwrap_or(Path::new("")).join(&name);
        Self { inside: format!("{}/{name}", call.workspace.inside), root, below }
    }

    fn open(&self, flags: OFlag) -> io::Result<File> {
        let folder = File::open(&self.root)?;
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).resolve(resolve);
        let how = if flags.contains(OFlag::O_CREAT) { how.mode(Mode::from_bits_truncate(0o644)) } else { how };
        let file = File::from(openat2(folder.as_fd(), &self.below, how)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("a step of the job put something else in the place of our archive"));
        }
        Ok(file)
    }

    fn create(&self) -> io::Result<File> {
        self.open(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)
    }

    async fn read(&self, call: &ActionCall<'_>, bytes_max: u64) -> Result<Content, ActionError> {
        if call.workspace.shared {
            return self.open(OFlag::O_RDONLY).map(Content::Here).map_err(failed);
        }
        let bytes = call.job.read_file(&self.inside, bytes_max).await.map_err(failed)?;
        Ok(Content::Sent(bytes.unwrap_or_default()))
    }

    async fn remove(&self, call: &ActionCall<'_>) {
        if let Err(error) = call.job.remove_path(&self.inside).await {
            tracing::debug!(%error, "an archive stays in the workspace until the job ends");
        }
    }
}
