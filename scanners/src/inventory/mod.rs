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
mod rpm_header;
mod wanted;
mod yarn;
mod zip;

#[cfg(test)]
mod tests;

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use self::facts::{Said, Stated};

use self::cache::{Cache, Origin};
use self::collect::{Collector, LinkTargets, Scope};
use self::facts::Facts;
use crate::package::{Inventory, Layer, Unread};
use crate::source::folder::{Manner, visit_folder};
use crate::source::image::Image;
use crate::source::layer::{visit_blob, visit_stream};
use crate::source::{HistoryEntry, Limits, OverlayImage, Random, Source, SourceError, Store, Visitor, explain};

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
    let mut inventory = Inventory { target: options.target.clone(), ..Inventory::default() };
    match source {
        Source::Archive { file, name } => {
            let store = Store::archive(&file, &options.limits)?;
            of_image(Image::open(&store, name.as_deref())?, options, &mut inventory);
        }
        Source::OciLayout { folder, name } => {
            let store = Store::folder(&folder)?;
            of_image(Image::open(&store, name.as_deref())?, options, &mut inventory);
        }
        Source::Overlay(image) => of_overlay(image, options, &mut inventory)?,
        Source::Export(mut stream) => {
            let mut collector = Collector::new(Scope::Installed, &options.limits);
            let walked = visit_stream(&mut stream, &options.limits, &mut collector);
            if collector.entries == 0 {
                let reason = walked.err().map_or_else(|| "nothing came".to_owned(), |error| explain(&error));
                return Err(SourceError::not_an_image("the stream", reason));
            }
            let missing = collector.missing();
            LinkTargets { collector: &mut collector, missing }
                .give_up("it is a hard link to a file that was not kept; a stream cannot be read twice");
            let facts = told(collector.finish(), "", walked);
            merge::merge(&[facts], false, &mut inventory);
        }
        Source::RootFolder(folder) => {
            let facts = of_folder(&folder, Manner::Root, Scope::Installed, options)?;
            merge::merge(&[facts], false, &mut inventory);
        }
        Source::Repository(folder) => {
            let scope = Scope::LockFiles { development: options.development };
            let facts = of_folder(&folder, Manner::Repository, scope, options)?;
            merge::merge(&[facts], false, &mut inventory);
        }
    }
    Ok(inventory)
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
    Folder { diff_id: String, folder: PathBuf },
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

    fn read(&self, limits: &Limits) -> Facts {
        let mut collector = Collector::new(Scope::Installed, limits);
        let walked = self.visit(limits, &mut collector);
        let missing = collector.missing();
        if !missing.is_empty() {
            let mut targets = LinkTargets { collector: &mut collector, missing };
            if let Err(error) = self.visit(limits, &mut targets) {
                tracing::debug!(%error, "the second walk ended early, as the first will have");
            }
            targets.give_up("it is a hard link to a file that is not in its layer");
        }
        told(collector.finish(), self.diff_id(), walked)
    }
}

/// Notes how a walk ended.
fn told(mut facts: Facts, path: &str, walked: io::Result<()>) -> Facts {
    if let Err(error) = walked {
        facts.unread.push(Unread { path: path.to_owned(), layer: None, reason: explain(&error) });
    }
    facts
}

fn of_image(image: Image, options: &Options, inventory: &mut Inventory) {
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
    of_layers(&layers.collect::<Vec<_>>(), Origin::File, &image.history, options, inventory);
}

fn of_overlay(image: OverlayImage, options: &Options, inventory: &mut Inventory) -> Result<(), SourceError> {
    for folder in &image.folders {
        std::fs::read_dir(folder).map_err(|cause| SourceError::from_io(folder.display(), cause))?;
    }
    if image.layers.len() != image.folders.len() {
        let reason = format!("{} layers in {} folders", image.layers.len(), image.folders.len());
        return Err(SourceError::not_an_image(&options.target, reason));
    }
    inventory.image_id = image.image_id;
    inventory.repository_digests = image.repository_digests;
    let layers = image.layers.iter().zip(image.folders);
    let layers = layers.map(|(layer, folder)| Layered::Folder { diff_id: layer.diff_id.clone(), folder });
    let layers: Vec<_> = layers.collect();
    inventory.layers = image.layers;
    of_layers(&layers, Origin::Daemon, &image.history, options, inventory);
    Ok(())
}

fn of_folder(folder: &Path, manner: Manner, scope: Scope, options: &Options) -> Result<Facts, SourceError> {
    std::fs::read_dir(folder).map_err(|cause| SourceError::from_io(folder.display(), cause))?;
    let mut collector = Collector::new(scope, &options.limits);
    let walked = visit_folder(folder, manner, &options.limits, &mut collector);
    Ok(told(collector.finish(), "", walked))
}

fn of_layers(
    layers: &[Layered],
    origin: Origin,
    history: &[HistoryEntry],
    options: &Options,
    inventory: &mut Inventory,
) {
    let cache = Cache::new(options.cache.as_deref(), origin);
    let facts = read_layers(layers, &cache, &options.limits);
    let dockerfile = options.dockerfile.as_deref().map(|text| (text, options.dockerfile_target.as_deref()));
    history::attribute(&mut inventory.layers, history, dockerfile);
    merge::merge(&facts, true, inventory);
}

/// Layers know nothing of each other, so they are read side by side: unfolding them is what takes time.
fn read_layers(layers: &[Layered], cache: &Cache<'_>, limits: &Limits) -> Vec<Facts> {
    let read: Vec<Mutex<Facts>> = layers.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((layer, place)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            layers.get(number).zip(read.get(number))
        } {
            let facts = cache.get(layer.diff_id()).unwrap_or_else(|| {
                let facts = layer.read(limits);
                cache.put(layer.diff_id(), &facts);
                facts
            });
            if let Ok(mut place) = place.lock() {
                *place = facts;
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
    read.into_iter().map(|facts| facts.into_inner().unwrap_or_default()).collect()
}

/// More would take memory (each unfolds a layer) for what a disk does not give.
const WORKERS_MAX: usize = 4;
