//! What is installed in an image or folder, or named by the lock files of a repository, with the layer that brought it.
//!
//! [`read`] goes through each layer once and keeps what its files say (`collect`, `formats`), lays the layers over each other
//! (`merge`) and tells which line of the Dockerfile made which (`history`). What was read of a layer may be kept (`cache`).
//! It knows no advisory and runs nothing. A file that cannot be read or understood is listed in [`Inventory::unread`].

mod apk;
mod cache;
mod cargo;
mod collect;
mod composer;
mod dockerfile;
mod dpkg;
mod elf;
mod facts;
mod formats;
mod gem;
mod go;
mod history;
mod jar;
mod lines;
mod merge;
mod npm;
mod npm_lock;
mod os_release;
mod pnpm;
mod python;
mod python_lock;
mod rpm;
mod rpm_berkeley;
mod rpm_header;
mod wanted;
mod watch;
mod yarn;
mod zip;

#[cfg(test)]
mod tests;

use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use self::facts::{Said, Stated};

use self::cache::{Cache, Origin};
use self::collect::{Collector, LinkTargets, Scope};
use self::facts::Facts;
use self::watch::Watch;
use crate::files::{FileScanners, Look, Looked, Of};
use crate::package::{Inventory, Layer, Unread};
use crate::source::folder::{Manner, visit_folder};
use crate::source::image::Image;
use crate::source::layer::{visit_blob, visit_stream};
use crate::source::{Held, HistoryEntry, Limits, OverlayImage, Random, Source, SourceError, Store, Visitor, explain};

/// How an inventory is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What the user named, for reports.
    pub target: String,
    /// A folder in which what was read of layers is kept. It may be lost at any time.
    pub cache: Option<PathBuf>,
    /// The text of the Dockerfile that made the image, and the stage of it, when that is not the last.
    pub dockerfile: Option<String>,
    pub dockerfile_target: Option<String>,
    /// Whether lock files' packages for development count.
    pub development: bool,
    pub limits: Limits,
}

/// Makes an inventory.
///
/// # Errors
/// When there is no image or folder to speak of. What is wrong with parts of it is in [`Inventory::unread`].
pub fn read(source: Source, options: &Options) -> Result<Inventory, SourceError> {
    read_with(source, options, None).map(|(inventory, _)| inventory)
}

/// Makes an inventory, and shows files to scanners on the way.
///
/// # Errors
/// As for [`read`].
pub fn read_with(
    source: Source,
    options: &Options,
    files: Option<&FileScanners>,
) -> Result<(Inventory, Looked), SourceError> {
    let mut inventory = Inventory { target: options.target.clone(), ..Inventory::default() };
    let of_layers = files.filter(|files| files.looks_at_layers());
    let looked = match source {
        Source::Archive { file, name } => {
            let store = Store::archive(&file, &options.limits)?;
            of_image(Image::open(&store, name.as_deref())?, options, of_layers, &mut inventory)
        }
        Source::OciLayout { folder, name } => {
            let store = Store::folder(folder)?;
            of_image(Image::open(&store, name.as_deref())?, options, of_layers, &mut inventory)
        }
        Source::Overlay(image) => of_overlay(image, options, of_layers, &mut inventory)?,
        Source::Export(mut stream) => of_stream(&mut stream, options, of_layers, &mut inventory)?,
        Source::RootFolder(folder) => {
            let look = of_layers.map(|files| Look::new(files, Of::Layer));
            of_folder(&folder, Manner::Root, Scope::Installed, look, options, &mut inventory)?
        }
        Source::Repository(folder) => {
            let scope = Scope::LockFiles { development: options.development };
            let look = files.map(|files| Look::new(files, Of::Sources));
            of_folder(&folder, Manner::Repository, scope, look, options, &mut inventory)?
        }
    };
    Ok((inventory, looked))
}

fn of_stream(
    stream: &mut dyn io::Read,
    options: &Options,
    files: Option<&FileScanners>,
    inventory: &mut Inventory,
) -> Result<Looked, SourceError> {
    let look = files.map(|files| Look::new(files, Of::Layer));
    let mut collector = Collector::new(Scope::Installed, &options.limits);
    let (walked, looked) = watched(&mut collector, look, |visitor| visit_stream(stream, &options.limits, visitor));
    if collector.entries == 0 {
        let reason = walked.err().map_or_else(|| "nothing came".to_owned(), |error| explain(&error));
        return Err(SourceError::not_an_image("the stream", reason));
    }
    let missing = collector.missing();
    LinkTargets { collector: &mut collector, missing }
        .give_up("it is a hard link to a file that was not kept; a stream cannot be read twice");
    let facts = told(collector.finish(), "", walked);
    merge::merge(&[facts], false, inventory);
    Ok(looked)
}

/// Walks for a collector, and for scanners of files where there are any.
fn watched(
    collector: &mut Collector<'_>,
    look: Option<Look<'_>>,
    walk: impl FnOnce(&mut dyn Visitor) -> io::Result<()>,
) -> (io::Result<()>, Looked) {
    let mut watch = Watch { collector: Some(collector), look };
    let walked = walk(&mut watch);
    (walked, watch.looked())
}

/// What one file says, by its path from the root: of a repository (lock files) or of a file system (what is installed).
/// None when nothing is read of files with such a path.
#[must_use]
pub fn read_file(path: &str, content: Vec<u8>, is_repository: bool) -> Option<Said> {
    let kind = if is_repository { wanted::lock_file(path) } else { wanted::installed(path, true) };
    let content = Random::from_bytes(content);
    kind.map(|kind| formats::read(kind, path, &content, &Limits::default(), false))
}

/// Where a layer's entries come from.
enum Layered {
    Blob { diff_id: String, blob: Random },
    Folder { diff_id: String, folder: Held },
}

impl Layered {
    fn diff_id(&self) -> &str {
        match self {
            Self::Blob { diff_id, .. } | Self::Folder { diff_id, .. } => diff_id,
        }
    }

    fn visit(&self, limits: &Limits, visitor: &mut dyn Visitor) -> io::Result<()> {
        match self {
            Self::Blob { diff_id, blob } => visit_blob(blob, Some(diff_id), limits, visitor),
            Self::Folder { folder, .. } => visit_folder(folder, Manner::Overlay, limits, visitor),
        }
    }

    fn read(&self, limits: &Limits, look: Option<Look<'_>>) -> (Facts, Looked) {
        let mut collector = Collector::new(Scope::Installed, limits);
        let (walked, looked) = watched(&mut collector, look, |visitor| self.visit(limits, visitor));
        let missing = collector.missing();
        if !missing.is_empty() {
            let mut targets = LinkTargets { collector: &mut collector, missing };
            if let Err(error) = self.visit(limits, &mut targets) {
                tracing::debug!(%error, "the second walk ended early, as the first will have");
            }
            targets.give_up("it is a hard link to a file that is not in its layer");
        }
        (told(collector.finish(), self.diff_id(), walked), looked)
    }

    /// What scanners of files say, where the inventory is known already.
    fn look(&self, limits: &Limits, look: Look<'_>) -> Looked {
        let mut watch = Watch { collector: None, look: Some(look) };
        let walked = self.visit(limits, &mut watch);
        let mut looked = watch.looked();
        if let Err(error) = walked {
            looked.doubts.push(format!("{} cannot be read: {}", self.diff_id(), explain(&error)));
        }
        looked
    }
}

/// Notes how a walk ended.
fn told(mut facts: Facts, path: &str, walked: io::Result<()>) -> Facts {
    if let Err(error) = walked {
        facts.unread.push(Unread { path: path.to_owned(), layer: None, reason: explain(&error) });
    }
    facts
}

fn of_image(image: Image, options: &Options, files: Option<&FileScanners>, inventory: &mut Inventory) -> Looked {
    inventory.image_id = Some(image.image_id);
    inventory.repository_digests = image.repository_digests;
    let new = |diff_id: &str| Layer {
        diff_id: diff_id.to_owned(),
        created_by: String::new(),
        dockerfile_line: None,
        base: false,
    };
    inventory.layers = image.layers.iter().map(|layer| new(&layer.diff_id)).collect();
    let layers = image.layers.into_iter().map(|layer| Layered::Blob { diff_id: layer.diff_id, blob: layer.blob });
    of_layers(&layers.collect::<Vec<_>>(), Origin::File, &image.history, options, files, inventory)
}

fn of_overlay(
    image: OverlayImage,
    options: &Options,
    files: Option<&FileScanners>,
    inventory: &mut Inventory,
) -> Result<Looked, SourceError> {
    let folders = image.folders.iter();
    let folders = folders.map(|path| Held::at(path).map_err(|cause| SourceError::from_io(path.display(), cause)));
    let folders: Vec<Held> = folders.collect::<Result<_, _>>()?;
    if image.layers.len() != folders.len() {
        let reason = format!("{} layers in {} folders", image.layers.len(), folders.len());
        return Err(SourceError::not_an_image(&options.target, reason));
    }
    inventory.image_id = image.image_id;
    inventory.repository_digests = image.repository_digests;
    let layers = image.layers.iter().zip(folders);
    let layers = layers.map(|(layer, folder)| Layered::Folder { diff_id: layer.diff_id.clone(), folder });
    let layers: Vec<_> = layers.collect();
    inventory.layers = image.layers;
    Ok(of_layers(&layers, Origin::Daemon, &image.history, options, files, inventory))
}

fn of_folder(
    folder: &Held,
    manner: Manner,
    scope: Scope,
    look: Option<Look<'_>>,
    options: &Options,
    inventory: &mut Inventory,
) -> Result<Looked, SourceError> {
    if !folder.is_folder() {
        return Err(SourceError::from_io(folder.what(), io::ErrorKind::NotADirectory.into()));
    }
    let mut collector = Collector::new(scope, &options.limits);
    let walk = |visitor: &mut dyn Visitor| visit_folder(folder, manner, &options.limits, visitor);
    let (walked, looked) = watched(&mut collector, look, walk);
    merge::merge(&[told(collector.finish(), "", walked)], false, inventory);
    Ok(looked)
}

fn of_layers(
    layers: &[Layered],
    origin: Origin,
    history: &[HistoryEntry],
    options: &Options,
    files: Option<&FileScanners>,
    inventory: &mut Inventory,
) -> Looked {
    let cache = Cache::new(options.cache.as_deref(), origin);
    let (facts, looked): (Vec<_>, Vec<_>) = read_layers(layers, &cache, &options.limits, files).into_iter().unzip();
    let dockerfile = options.dockerfile.as_deref().map(|text| (text, options.dockerfile_target.as_deref()));
    history::attribute(&mut inventory.layers, history, dockerfile);
    merge::merge(&facts, true, inventory);
    Looked::of_layers(looked)
}

/// Layers know nothing of each other, so they are read side by side: unfolding them is what takes time.
fn read_layers(
    layers: &[Layered],
    cache: &Cache<'_>,
    limits: &Limits,
    files: Option<&FileScanners>,
) -> Vec<(Facts, Looked)> {
    let read: Vec<Mutex<(Facts, Looked)>> = layers.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((layer, place)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            layers.get(number).zip(read.get(number))
        } {
            let said = read_layer(layer, cache, limits, files);
            if let Ok(mut place) = place.lock() {
                *place = said;
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(layers.len()).min(WORKERS_MAX);
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    read.into_iter().map(|said| said.into_inner().unwrap_or_default()).collect()
}

/// One layer, as far as the cache does not have it.
fn read_layer(layer: &Layered, cache: &Cache<'_>, limits: &Limits, files: Option<&FileScanners>) -> (Facts, Looked) {
    let look = || files.map(|files| Look::new(files, Of::Layer));
    let known = files.and_then(|_| cache.looked(layer.diff_id()));
    match (cache.get(layer.diff_id()), known) {
        (Some(facts), Some(looked)) => (facts, looked),
        (Some(facts), None) => {
            let looked = look().map(|look| layer.look(limits, look)).unwrap_or_default();
            if files.is_some() {
                cache.put_looked(layer.diff_id(), &looked);
            }
            (facts, looked)
        }
        (None, known) => {
            let (facts, looked) = layer.read(limits, if known.is_some() { None } else { look() });
            cache.put(layer.diff_id(), &facts);
            // What ended early is no whole look.
            if files.is_some() && known.is_none() && facts.unread.is_empty() {
                cache.put_looked(layer.diff_id(), &looked);
            }
            (facts, known.unwrap_or(looked))
        }
    }
}

/// More would take memory (each unfolds a layer) for what a disk does not give.
const WORKERS_MAX: usize = 4;
