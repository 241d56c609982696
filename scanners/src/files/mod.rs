//! Scanners that look at files one by one, on the walk that the inventory makes anyway: all files of sources for secrets;
//! Dockerfiles, Terraform, workflows and source code for their rules; in file systems and layers what somebody may have put there, for
//! secrets.
//!
//! It walks nothing itself, so a file that is shown here is one that no link led to. A layer keeps what a layer above
//! removes, so secrets of each layer count.

mod names;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::sync::OnceLock;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use workflow::catalogue::Catalogue;

use crate::finding::{Finding, Subject};
use crate::secret::{Rules, Scanner, Work};
use crate::source::{Content, Random, RandomReader};
use crate::{code, dockerfile, terraform, workflows};

use self::names::Named;

/// So much of one file of Terraform is read; one that is cut there cannot be read, which is a finding.
const TERRAFORM_BYTES_MAX: usize = 1 << 20;
/// Doubts that are told of one walk.
const DOUBTS_MAX: usize = 1000;

/// What files are looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Credentials.
    pub secrets: bool,
    /// Rules for Dockerfiles, Terraform and workflows.
    pub misconfigurations: bool,
    /// Rules for source code.
    pub code: bool,
}

/// The scanners. Each is made ready when the first file comes that it is for: where all that an image says is kept from
/// before, that is never.
#[derive(Debug)]
pub struct FileScanners {
    ask: Ask,
    secrets: OnceLock<Scanner>,
    code: OnceLock<code::Scanner>,
    /// Exceptions in files of Terraform have a last day.
    today: Date,
    /// The actions that steps of workflows may use, as far as they are known.
    actions: Catalogue,
}

impl FileScanners {
    /// What is asked for.
    #[must_use]
    pub fn new(ask: Ask, today: Date) -> Self {
        Self { ask, secrets: OnceLock::new(), code: OnceLock::new(), today, actions: Catalogue::default() }
    }

    /// The same, where these actions are known.
    #[must_use]
    pub fn with_actions(mut self, actions: Catalogue) -> Self {
        self.actions = actions;
        self
    }

    /// With other rules for secrets than the built-in ones. What was kept of layers was found by those, so none may be kept.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { secrets: OnceLock::from(Scanner::new(rules)), ..self }
    }

    /// Whether file systems and layers are looked at.
    pub(crate) const fn looks_at_layers(&self) -> bool {
        self.ask.secrets
    }

    fn secrets(&self) -> Option<&Scanner> {
        self.ask.secrets.then(|| self.secrets.get_or_init(|| Scanner::new(Rules::built_in())))
    }

    fn code(&self) -> Option<&code::Scanner> {
        self.ask.code.then(|| self.code.get_or_init(code::Scanner::default))
    }
}

/// What files said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub doubts: Vec<String>,
}

impl Looked {
    /// Puts layers over each other, lowest first: what a layer has from below is told once, where it came in.
    pub(crate) fn of_layers(layers: Vec<Self>) -> Self {
        let mut all = Self::default();
        let mut seen = HashSet::new();
        for (number, layer) in layers.into_iter().enumerate() {
            for mut finding in layer.findings {
                if let Subject::Place(place) = &mut finding.subject {
                    place.layer = Some(number);
                    // The summary of a secret has a mark of its digest.
                    if !seen.insert((finding.id.clone(), place.file.clone(), place.line, finding.summary.clone())) {
                        continue;
                    }
                }
                all.findings.push(finding);
            }
            all.doubts.extend(layer.doubts);
        }
        all
    }
}

/// What is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Sources,
    /// A layer, or a file system without layers.
    Layer,
}

/// One walk.
pub(crate) struct Look<'a> {
    scanners: &'a FileScanners,
    of: Of,
    work: Work,
    /// Files of Terraform by their folder: path and text.
    modules: BTreeMap<String, Vec<(String, String)>>,
    looked: Looked,
}

impl<'a> Look<'a> {
    pub(crate) fn new(scanners: &'a FileScanners, of: Of) -> Self {
        Self { scanners, of, work: Work::default(), modules: BTreeMap::new(), looked: Looked::default() }
    }

    /// Looks at one file.
    ///
    /// # Errors
    /// What is walked through ends here.
    pub(crate) fn file(&mut self, path: &str, content: &mut dyn Content) -> io::Result<()> {
        let done = match self.of {
            Of::Sources => self.source(path, content),
            Of::Layer => self.installed(path, content),
        };
        match done {
            // A file that goes while it is looked at.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
            Err(error) => {
                if self.looked.doubts.len() < DOUBTS_MAX {
                    self.looked.doubts.push(format!("{path} cannot be read: {error}"));
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn source(&mut self, path: &str, content: &mut dyn Content) -> io::Result<()> {
        let Self { scanners, work, looked, .. } = self;
        if let Some(secrets) = scanners.secrets() {
            looked.findings.extend(secrets.scan(path, Lazy { content, reader: None }, None, work)?);
        }
        if code::is_known(path)
            && let Some(code) = scanners.code()
        {
            looked.findings.extend(code.check(path, &text(&content.random()?, code::FILE_BYTES_MAX)?));
        }
        if !scanners.ask.misconfigurations {
            return Ok(());
        }
        if path.ends_with(".tf") {
            let module = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            let text = text(&content.random()?, TERRAFORM_BYTES_MAX)?;
            self.modules.entry(module).or_default().push((path.to_owned(), text));
        }
        if workflows::is_workflow(path) {
            let text = text(&content.random()?, workflows::FILE_BYTES_MAX)?;
            self.looked.findings.extend(workflows::check(path, &text, &self.scanners.actions));
        }
        let name = Named::of(path);
        if name != Named::Not {
            let text = text(&content.random()?, dockerfile::FILE_BYTES_MAX)?;
            if name == Named::Surely || names::begins_from(&text) {
                self.looked.findings.extend(dockerfile::check(path, &text));
            }
        }
        Ok(())
    }

    fn installed(&mut self, path: &str, content: &mut dyn Content) -> io::Result<()> {
        // Programs, pictures and archives have a zero in their first bytes.
        if names::comes_with_software(path) || content.head()?.contains(&0) {
            return Ok(());
        }
        let Some(secrets) = self.scanners.secrets() else { return Ok(()) };
        let found = secrets.scan(path, Lazy { content, reader: None }, None, &mut self.work)?;
        self.looked.findings.extend(found);
        Ok(())
    }

    /// What was found, by path: the order of a walk is of no consequence.
    pub(crate) fn finish(mut self) -> Looked {
        for files in self.modules.values_mut() {
            files.sort();
            let files: Vec<_> = files.iter().map(|(path, text)| terraform::File { path, text }).collect();
            self.looked.findings.extend(terraform::check(&files, self.scanners.today));
        }
        let place = |finding: &Finding| {
            finding.place().map(|place| (place.file.clone(), place.line, place.column, finding.id.clone()))
        };
        self.looked.findings.sort_by_cached_key(place);
        self.looked.doubts.sort();
        self.looked
    }
}

/// A file, up to one byte more than the rules for it take: they say themselves that it is too long.
fn text(content: &Random, bytes_max: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    content.reader().take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file that is opened when it is read: many are let pass by their path.
struct Lazy<'a> {
    content: &'a mut dyn Content,
    reader: Option<RandomReader>,
}

impl Read for Lazy<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(self.content.random()?.reader()),
        };
        reader.read(into)
    }
}
