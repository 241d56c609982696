//! The build's files, as BuildKit asks for them.
//!
//! BuildKit asks for folders by name (`context`, `dockerfile`), with what to leave out; it gets facts of every file, and
//! then asks for the contents that it does not have from an earlier build. Nothing is read ahead, links stay links and are
//! never followed on this machine. The protocol is that of <https://github.com/tonistiigi/fsutil> (`send.go`, `receive.go`).

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bollard::fsutil::types::packet::PacketType;
use bollard::fsutil::types::{Packet, Stat};
use bollard::moby::filesync::packet::file_sync_server::FileSync;
use engine::inside::{EntryKind, Inside};
use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::patterns::Patterns;

/// Bytes of a file that travel in one packet.
const CHUNK_BYTES: usize = 32 * 1024;
/// Packets that wait to be sent.
const PACKETS_WAITING_MAX: usize = 64;
/// Depth of folders.
const FOLDER_DEPTH_MAX: usize = 256;
/// Links that lead to links that lead to links …
const LINKS_MAX: usize = 256;

/// Bits of Go's `os.FileMode` that are not those of the system.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// Serves folders by name.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub(super) by_name: HashMap<&'static str, Inside>,
    /// Whether nothing is left out: BuildKit obeys `.dockerignore` for what a client sends, and not for a repository that it
    /// fetches itself, see <https://github.com/docker/cli/issues/2827>.
    pub(super) are_whole: bool,
}

/// How files are called that say what to leave out.
const IGNORE: &str = ".dockerignore";

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

#[tonic::async_trait]
impl FileSync for Folders {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        let asked = Asked::of(request.metadata())?;
        let hides_ignore = self.are_whole && asked.is_about_ignore();
        let folder = self.by_name.get(asked.folder.as_str()).cloned();
        let folder = folder.ok_or_else(|| Status::not_found(format!("no folder is called {}", asked.folder)))?;
        let (packets, receiver) = mpsc::channel(PACKETS_WAITING_MAX);
        let (wanted, wanted_by) = std::sync::mpsc::channel();
        let mut incoming = request.into_inner();
        let errors = packets.clone();
        // Both end with the call: the first when the other side hangs up, the second when the first is gone.
        tokio::spawn(async move {
            while let Ok(Some(packet)) = incoming.message().await {
                if wanted.send(packet).is_err() {
                    break;
                }
            }
        });
        tokio::task::spawn_blocking(move || {
            if let Err(error) =
                (Sender { folder, asked, hides_ignore, packets, files: Vec::new(), count: 0 }).run(&wanted_by)
            {
                let _gone = errors.blocking_send(Err(Status::internal(error)));
            }
        });
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|packet| (packet, receiver))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn tar_stream(&self, _request: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        Err(Status::unimplemented("files are sent one by one"))
    }
}

/// What BuildKit asks for.
#[derive(Debug)]
struct Asked {
    folder: String,
    excludes: Patterns,
    /// Patterns of what it needs at all; empty: everything.
    includes: Vec<String>,
    /// As `includes`, with what links lead to.
    follows: Vec<String>,
}

impl Asked {
    fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let encoded = metadata.get("opts-encoded").is_some();
        let list = |name: &str| -> Vec<String> {
            let values = metadata.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.map(|value| if encoded { decode(value) } else { value.to_owned() }).collect()
        };
        let excludes = list("exclude-patterns");
        let excludes = Patterns::new(excludes.iter().map(String::as_str)).map_err(Status::invalid_argument)?;
        let folder = list("dir-name").into_iter().next().unwrap_or_default();
        Ok(Self { folder, excludes, includes: list("include-patterns"), follows: list("followpaths") })
    }

    /// Whether it looks for what to leave out: beside the Dockerfile, or for nothing else in the context.
    fn is_about_ignore(&self) -> bool {
        let mut paths = self.includes.iter().chain(&self.follows).peekable();
        self.folder == "dockerfile" || (paths.peek().is_some() && paths.all(|path| path.ends_with(IGNORE)))
    }
}

/// `%2F` and the like.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Sender {
    folder: Inside,
    asked: Asked,
    /// Whether files that say what to leave out are as if they were not there.
    hides_ignore: bool,
    packets: mpsc::Sender<Result<Packet, Status>>,
    /// Plain files by their number.
    files: Vec<Option<PathBuf>>,
    count: usize,
}

impl Sender {
    fn run(mut self, wanted: &std::sync::mpsc::Receiver<Packet>) -> Result<(), String> {
        let follows = std::mem::take(&mut self.asked.follows);
        if !follows.is_empty() {
            let resolved = resolve_links(&self.folder, follows);
            self.asked.includes = resolved.unwrap_or_default();
        }
        let folder = self.folder.clone();
        self.walk(&folder, Path::new(""), &mut Vec::new(), 0)?;
        self.send(PacketType::PacketStat, 0, None, Vec::new())?;
        while let Ok(packet) = wanted.recv() {
            match PacketType::try_from(packet.r#type) {
                Ok(PacketType::PacketReq) => self.content(packet.id)?,
                Ok(PacketType::PacketFin) => return self.send(PacketType::PacketFin, 0, None, Vec::new()),
                Ok(PacketType::PacketErr) => return Err(String::from_utf8_lossy(&packet.data).into_owned()),
                Ok(PacketType::PacketStat | PacketType::PacketData) | Err(_) => {
                    return Err("the engine sent a packet out of turn".to_owned());
                }
            }
        }
        Ok(())
    }

    fn send(&self, kind: PacketType, id: u32, stat: Option<Stat>, data: Vec<u8>) -> Result<(), String> {
        let packet = Packet { r#type: kind.into(), stat, id, data };
        self.packets.blocking_send(Ok(packet)).map_err(|_| "the build has ended".to_owned())
    }

    /// Sends facts of all below a folder, each folder before what is in it, names in order. A folder that is left out is
    /// sent only once something in it is taken back: `pending` holds such folders.
    fn walk(&mut self, folder: &Inside, path: &Path, pending: &mut Vec<Stat>, depth: usize) -> Result<(), String> {
        let failed =
            |path: &Path, error: std::io::Error| format!("cannot read {} of the context: {error}", path.display());
        if depth > FOLDER_DEPTH_MAX {
            return Err(format!("folders of the context are nested too deeply: {}", path.display()));
        }
        for name in folder.names().map_err(|error| failed(path, error))? {
            let below = path.join(&name);
            let text = below.to_string_lossy().into_owned();
            let Ok(facts) = folder.facts(&name) else { continue };
            if !self.includes(&text) || (self.hides_ignore && text.ends_with(IGNORE)) {
                continue;
            }
            let left_out = self.asked.excludes.leaves_out(&text);
            let mut stat = Stat {
                path: text.clone(),
                mode: go_mode(facts.mode),
                mod_time: facts.modified_nanoseconds,
                ..Stat::default()
            };
            match facts.kind {
                EntryKind::Folder => {
                    if left_out && !self.asked.excludes.may_take_back_below(&text) {
                        continue;
                    }
                    stat.mode |= GO_FOLDER;
                    pending.push(stat);
                    let open = pending.len();
                    if !left_out {
                        self.stats(pending)?;
                    }
                    let inner = folder.folder(Path::new(&name)).map_err(|error| failed(&below, error))?;
                    self.walk(&inner, &below, pending, depth + 1)?;
                    pending.truncate(open - 1);
                }
                EntryKind::File | EntryKind::Link if left_out => {}
                EntryKind::File => {
                    stat.size = facts.size;
                    pending.push(stat);
                    self.stats(pending)?;
                    if let Some(last) = self.files.last_mut() {
                        *last = Some(below);
                    }
                }
                EntryKind::Link => {
                    stat.mode |= GO_LINK;
                    stat.linkname = folder.link(&name).unwrap_or_default().to_string_lossy().into_owned();
                    pending.push(stat);
                    self.stats(pending)?;
                }
                EntryKind::Other => {}
            }
        }
        Ok(())
    }

    fn stats(&mut self, pending: &mut Vec<Stat>) -> Result<(), String> {
        for stat in pending.drain(..) {
            self.files.push(None);
            self.count += 1;
            self.packets
                .blocking_send(Ok(Packet {
                    r#type: PacketType::PacketStat.into(),
                    stat: Some(stat),
                    id: 0,
                    data: Vec::new(),
                }))
                .map_err(|_| "the build has ended".to_owned())?;
        }
        Ok(())
    }

    fn includes(&self, path: &str) -> bool {
        self.asked.includes.is_empty() || self.asked.includes.iter().any(|pattern| is_prefix(pattern, path))
    }

    fn content(&self, id: u32) -> Result<(), String> {
        let path = usize::try_from(id).ok().and_then(|id| self.files.get(id)?.as_ref());
        let path = path.ok_or("the engine asked for a file that it was not told of")?;
        let failed = |error: std::io::Error| format!("cannot read {} of the context: {error}", path.display());
        let mut file = self.folder.file(path).map_err(failed)?;
        loop {
            let mut data = vec![0; CHUNK_BYTES];
            let read = file.read(&mut data).map_err(failed)?;
            data.truncate(read);
            self.send(PacketType::PacketData, id, None, data)?;
            if read == 0 {
                return Ok(());
            }
        }
    }
}

const fn go_mode(mode: u32) -> u32 {
    let mut go = mode & 0o777;
    if mode & 0o4000 != 0 {
        go |= GO_SETUID;
    }
    if mode & 0o2000 != 0 {
        go |= GO_SETGID;
    }
    if mode & 0o1000 != 0 {
        go |= GO_STICKY;
    }
    go
}

/// Whether one is the other, or a folder above it.
fn is_prefix(one: &str, other: &str) -> bool {
    one.split('/').filter(|part| !part.is_empty()).zip(other.split('/')).all(|(one, other)| one == other)
}

/// Adds what links on the paths lead to. `None`: there are wildcards, so everything is to be sent.
fn resolve_links(folder: &Inside, paths: Vec<String>) -> Option<Vec<String>> {
    let mut open = paths;
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let path = normal(Path::new(&path));
        if path.as_os_str().is_empty()
            || path.to_string_lossy().contains(['*', '?', '[', '\\'])
            || found.len() > LINKS_MAX
        {
            return None;
        }
        let mut walked = PathBuf::new();
        for (index, name) in path.iter().enumerate() {
            let target = folder.folder(&walked).ok().and_then(|inside| inside.link(name).ok());
            if let Some(target) = target {
                let rest: PathBuf = path.iter().skip(index + 1).collect();
                open.push(normal(&walked.join(target).join(rest)).to_string_lossy().into_owned());
                walked.push(name);
                break;
            }
            walked.push(name);
        }
        let text = walked.to_string_lossy().into_owned();
        if !found.contains(&text) {
            found.push(text);
        }
    }
    Some(found)
}

/// Without `.` and `..`; an absolute link counts from the context's root, as in BuildKit.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => normal.push(name),
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::RootDir => normal = PathBuf::new(),
            std::path::Component::CurDir | std::path::Component::Prefix(_) => {}
        }
    }
    normal
}
