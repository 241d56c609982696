//! The files advisories come in: which of a folder's files are some, whose they are, and their way into the index.
//!
//! Folders have the layout that osv-scanner uses for going without a network (`osv-scanner/<ecosystem>/all.zip`), with or
//! without its first part; the other databases may lie anywhere beside them and are told by what is in them.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;

use super::build::Builder;
use super::error::BuildError;
use super::header::{SourceInfo, SourceKind};
use super::json::ReadError;
use super::osv::{self, Record};
use super::{alpine, debian, exploit};

/// How deep folders are looked through.
const FOLDER_DEPTH_MAX: usize = 5;
/// Longest record of one advisory; the longest in practice have a few megabytes.
const RECORD_BYTES_MAX: u64 = 64 << 20;
/// How much of a document is read to tell whose it is.
const HEAD_BYTES: u64 = 64 << 10;
/// The folder of records that changed after the `all.zip` beside it was made.
pub(crate) const INCREMENTS: &str = "increments";

/// A file, or a folder of increments, that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Its path below the folder of sources.
    pub(crate) name: String,
    form: Form,
}

/// In the order in which they are read: what changed last comes first, since the first record of a name counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Increments,
    Record,
    Zip,
    Lines,
    Debian,
    Alpine,
    Kev,
    Epss,
}

/// Every source below a folder, in the order in which they are read.
pub(crate) fn find(folder: &Path) -> Result<Vec<Source>, BuildError> {
    let mut found = Vec::new();
    look(folder, "", 0, &mut found)?;
    sort(&mut found);
    Ok(found)
}

/// Puts sources in the order in which they are read.
pub(crate) fn sort(sources: &mut [Source]) {
    sources.sort_by(|left, right| (left.form, &left.name).cmp(&(right.form, &right.name)));
}

fn look(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Source>) -> Result<(), BuildError> {
    let io_error = |error| BuildError::Io { path: folder.to_owned(), error };
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).map_err(io_error)?.collect::<Result<_, _>>().map_err(io_error)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        if file_name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let name = if prefix.is_empty() { file_name.clone() } else { format!("{prefix}/{file_name}") };
        if path.is_dir() {
            if file_name == INCREMENTS {
                found.push(Source { path, name, form: Form::Increments });
            } else if depth < FOLDER_DEPTH_MAX {
                look(&path, &name, depth + 1, found)?;
            }
        } else if let Some(form) = form_of(&path, &file_name)? {
            found.push(Source { path, name, form });
        }
    }
    Ok(())
}

/// What kind of source a file is, by its name and, where that says nothing, by its beginning. None when it is none.
fn form_of(path: &Path, name: &str) -> Result<Option<Form>, BuildError> {
    let lower = name.to_lowercase();
    if lower.ends_with(".zip") {
        return Ok(Some(Form::Zip));
    }
    if lower.ends_with(".jsonl") || lower.ends_with(".ndjson") {
        return Ok(Some(Form::Lines));
    }
    if lower.starts_with("epss") && (lower.ends_with(".csv") || lower.ends_with(".csv.gz")) {
        return Ok(Some(Form::Epss));
    }
    if !lower.ends_with(".json") || lower == super::database::STATE {
        return Ok(None);
    }
    // What an update calls them: whatever a server sends under these names has to be that.
    if lower.starts_with("debian-tracker") {
        return Ok(Some(Form::Debian));
    }
    if lower.starts_with("kev") || lower.starts_with("known_exploited") {
        return Ok(Some(Form::Kev));
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head))
        .map_err(|error| BuildError::Io { path: path.to_owned(), error })?;
    let head = String::from_utf8_lossy(&head);
    Ok(Some(if head.contains("\"catalogVersion\"") || head.contains("\"cveID\"") {
        Form::Kev
    } else if head.contains("\"distroversion\"") {
        Form::Alpine
    } else if head.contains("\"releases\"") && !head.contains("\"affected\"") {
        Form::Debian
    } else {
        Form::Record
    }))
}

/// A source of which the form is known already.
pub(crate) fn known(path: PathBuf, name: String) -> Result<Option<Source>, BuildError> {
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if file_name == INCREMENTS {
        return Ok(Some(Source { path, name, form: Form::Increments }));
    }
    Ok(form_of(&path, &file_name)?.map(|form| Source { path, name, form }))
}

impl Source {
    /// What is known of it without reading it.
    pub(crate) fn info(&self, fetched: &BTreeMap<String, Timestamp>) -> std::io::Result<SourceInfo> {
        let metadata = std::fs::metadata(&self.path)?;
        let changed = metadata.modified()?;
        let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        let state_name = match self.name.strip_suffix(INCREMENTS) {
            Some(folder) => format!("{folder}all.zip"),
            None => self.name.clone(),
        };
        Ok(SourceInfo {
            name: self.name.clone(),
            kind: match self.form {
                Form::Increments | Form::Record | Form::Zip | Form::Lines => SourceKind::Osv,
                Form::Debian => SourceKind::DebianTracker,
                Form::Alpine => SourceKind::AlpineSecdb,
                Form::Kev => SourceKind::Kev,
                Form::Epss => SourceKind::Epss,
            },
            bytes: if metadata.is_dir() { 0 } else { metadata.len() },
            changed: i128::try_from(since.as_nanos()).unwrap_or(0),
            fetched: match fetched.get(&state_name) {
                Some(fetched) => *fetched,
                None => Timestamp::try_from(changed).unwrap_or_default(),
            },
            newest: None,
            records: 0,
            withdrawn: 0,
            beside: 0,
            unreadable: 0,
            first_unreadable: None,
        })
    }

    /// Whether it changes by updates alone, and so need not be looked at to see whether an index is still that of its sources.
    pub(crate) fn is_increments(&self) -> bool {
        self.form == Form::Increments
    }
}

/// Takes sources into an index, one after the other.
pub(crate) struct Intake<'a> {
    builder: &'a mut Builder,
    /// The names that have been taken in, as hashes.
    seen: HashSet<u64>,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(builder: &'a mut Builder) -> Self {
        Self { builder, seen: HashSet::new() }
    }

    /// Reads one source and counts what was in it.
    ///
    /// # Errors
    /// When it is damaged: a file of which a part cannot be read would be advisories that nobody misses.
    pub(crate) fn take(&mut self, source: &Source, info: &mut SourceInfo) -> Result<(), BuildError> {
        let read = match source.form {
            Form::Increments => self.folder(&source.path, info),
            Form::Record => self.record_file(&source.path, info).and_then(|()| match &info.first_unreadable {
                Some(what) => Err(ReadError::Shape(what.clone())),
                None => Ok(()),
            }),
            Form::Zip => self.zip(&source.path, info),
            Form::Lines => self.lines(&source.path, info),
            Form::Debian => open(&source.path).and_then(|file| {
                debian::read(file, |advisory| {
                    info.records += 1;
                    self.builder.add(&advisory)
                })
            }),
            Form::Alpine => open(&source.path).and_then(|file| {
                alpine::read(file, |advisory| {
                    info.records += 1;
                    self.builder.add(&advisory)
                })
            }),
            Form::Kev => open(&source.path).and_then(|file| {
                info.records = exploit::read_kev(file, |id, kev| self.builder.add_kev(id, &kev))?;
                Ok(())
            }),
            Form::Epss => open(&source.path).and_then(|file| {
                let plain: Box<dyn Read> = if source.name.ends_with(".gz") {
                    Box::new(flate2::read::MultiGzDecoder::new(file))
                } else {
                    Box::new(file)
                };
                info.records = exploit::read_epss(plain, |id, epss| self.builder.add_epss(id, epss))?;
                Ok(())
            }),
        };
        let whole = matches!(source.form, Form::Zip | Form::Debian | Form::Alpine | Form::Kev);
        let nothing = whole && info.records + info.withdrawn + info.beside + info.unreadable == 0;
        let read = read
            .and_then(|()| if nothing { Err(ReadError::Shape("there is nothing in it".to_owned())) } else { Ok(()) });
        read.map_err(|error| match error {
            ReadError::Shape(what) => BuildError::Source { path: source.path.clone(), what },
            ReadError::Io(error) => BuildError::Io { path: source.path.clone(), error },
        })
    }

    fn folder(&mut self, path: &Path, info: &mut SourceInfo) -> Result<(), ReadError> {
        let mut files: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in files {
            if file.path().extension().is_some_and(|ending| ending == "json") {
                self.record_file(&file.path(), info)?;
            }
        }
        Ok(())
    }

    fn record_file(&mut self, path: &Path, info: &mut SourceInfo) -> Result<(), ReadError> {
        let mut text = Vec::new();
        File::open(path)?.take(RECORD_BYTES_MAX + 1).read_to_end(&mut text)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.record(&text, &name, true, info)
    }

    fn zip(&mut self, path: &Path, info: &mut SourceInfo) -> Result<(), ReadError> {
        let shape = |error: zip::result::ZipError| ReadError::Shape(error.to_string());
        let mut archive = zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(shape)?;
        let mut text = Vec::new();
        for number in 0..archive.len() {
            let entry = archive.by_index(number).map_err(shape)?;
            let name = entry.name().map(|name| name.into_owned()).unwrap_or_default();
            if !name.ends_with(".json") {
                continue;
            }
            text.clear();
            // Read to its end, which compares the checksum.
            let mut bounded = entry.take(RECORD_BYTES_MAX + 1);
            bounded.read_to_end(&mut text).map_err(|error| ReadError::Shape(format!("{name}: {error}")))?;
            self.record(&text, &name, true, info)?;
        }
        Ok(())
    }

    fn lines(&mut self, path: &Path, info: &mut SourceInfo) -> Result<(), ReadError> {
        let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            line.clear();
            let length = (&mut reader).take(RECORD_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            if !line.trim_ascii().is_empty() {
                // Databases in one-line form may use a name more than once.
                self.record(&line, &format!("line {number}"), false, info)?;
            }
        }
    }

    /// Takes in a record. `once`: a name that was taken in before is passed over.
    fn record(&mut self, text: &[u8], name: &str, once: bool, info: &mut SourceInfo) -> Result<(), ReadError> {
        if text.len() as u64 > RECORD_BYTES_MAX {
            return Err(ReadError::Shape(format!("{name} is longer than {RECORD_BYTES_MAX} bytes")));
        }
        let record: Record = match serde_json::from_slice(text) {
            Ok(record) => record,
            // JSON of another form is a record that says something new; anything else is a damaged file.
            Err(error) if error.is_data() => {
                info.unreadable += 1;
                info.first_unreadable.get_or_insert_with(|| format!("{name}: {error}"));
                return Ok(());
            }
            Err(error) => return Err(ReadError::Shape(format!("{name}: {error}"))),
        };
        if once {
            let mut hasher = DefaultHasher::new();
            record.id().hash(&mut hasher);
            if !self.seen.insert(hasher.finish()) {
                return Ok(());
            }
        }
        if let Some(modified) = record.modified().and_then(|seconds| Timestamp::from_second(seconds).ok()) {
            info.newest = info.newest.max(Some(modified));
        }
        match record.read() {
            osv::Read::Advisory(advisory) => {
                info.records += 1;
                self.builder.add(&advisory)?;
            }
            osv::Read::Withdrawn => info.withdrawn += 1,
            osv::Read::Beside => info.beside += 1,
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, ReadError> {
    Ok(File::open(path)?)
}
