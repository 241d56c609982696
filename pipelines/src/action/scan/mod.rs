//! `pipe/scan`: what is wrong with an image or sources, and whether the gate lets it pass. Also under the name of
//! aquasecurity/trivy-action, whose inputs it takes.
//!
//! Files of the workspace are read below it only, without following links. What the gate stops fails the step with what to
//! mend; what cannot be trusted fails it too, whatever `exit-code` says.

pub mod inputs;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use engine::inside::Inside;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use jiff::Timestamp;
use scanners::advisory::Database;
use scanners::finding::Finding;
use scanners::policy::{self, Judged, Outcome, Policy};
use scanners::report::{Format, Terminal};
use workflow::command::{Annotation, AnnotationLevel};
use workflow::source::{SourceFile, SourceMap};

pub use self::inputs::{INPUTS, OUTPUTS};

use self::inputs::{Subject, Wish};
use crate::scan::{self, Dockerfile, Leftover, Order, Scanned, Standing, Target};

/// Where a repository keeps its policy.
const GATE_FILE: &str = ".pipe/gate.yml";
/// Findings that become annotations; GitHub shows no more of a step.
const ANNOTATIONS_MAX: usize = 10;
/// A policy or Dockerfile, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where advisories are, and where what was read of layers is kept.
#[derive(Debug, Clone, Default)]
pub struct ScanFolders {
    /// As `pipe scan db update` fills it.
    pub advisories: PathBuf,
    /// May be lost.
    pub cache: PathBuf,
}

/// The action.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The name that workflows write.
    pub name: &'static str,
    /// Of this machine.
    pub folders: ScanFolders,
    /// Of containers that it makes, by which clean-up finds them.
    pub labels: BTreeMap<String, String>,
}

#[async_trait]
impl BuiltInAction for Scan {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let mut wish = Wish::of(call).map_err(ActionError::Failed)?;
        // As that action does: what is found fails nothing unless somebody asks for it.
        if self.name != "pipe/scan" && call.defaulted.iter().any(|name| name == "exit-code") {
            wish.fails = false;
        }
        for warning in &wish.warnings {
            call.log.warning(warning).await;
        }
        let scanned = self.perform(call, &wish).await?;
        if let Some((format, path)) = &wish.report {
            write(call, path, &scanned.report().write(*format, Terminal::PLAIN)).map_err(ActionError::Failed)?;
            call.outputs.insert("report".into(), path.display().to_string());
        }
        tell(call, &scanned).await;
        let sentence = scanned.verdict.sentence();
        match scanned.verdict.outcome {
            Outcome::Pass => Ok(()),
            Outcome::Fail if !wish.fails => Ok(()),
            Outcome::Fail | Outcome::Untrusted => Err(ActionError::Failed(format!("the scan says {sentence}"))),
        }
    }
}

impl Scan {
    async fn perform(&self, call: &mut ActionCall<'_>, wish: &Wish) -> Result<Scanned, ActionError> {
        let workspace = Inside::workspace(&call.workspace.host)
            .map_err(|error| ActionError::Failed(format!("cannot open the workspace: {error}")))?;
        let policy = gate(&workspace, wish).map_err(ActionError::Failed)?;
        let (target, shown) = target(&call.workspace.host, &wish.subject).map_err(ActionError::Failed)?;
        let dockerfile = wish.dockerfile.as_deref().map(|path| dockerfile(&workspace, path)).transpose();
        let database = wish.db.as_ref().map_or_else(
            || Database::at(&self.folders.advisories),
            |folder| {
                Database::at(&call.workspace.host.join(folder)).with_index(&self.folders.cache.join("advisories.index"))
            },
        );
        let order = Order {
            target: shown.clone(),
            repository: match &target {
                Target::Repository(folder) => Some(folder.clone()),
                Target::Image(_) | Target::Archive { .. } | Target::Layout { .. } | Target::Root(_) => None,
            },
            scanners: wish.scanners,
            database,
            // Archives of a job may claim any digest for a layer: only what Docker holds shares a cache.
            cache: matches!(target, Target::Image(_)).then(|| self.folders.cache.join("layers")),
            dockerfile: dockerfile.map_err(ActionError::Failed)?,
            stage: wish.stage.clone(),
            development: false,
            policy,
            policy_folder: call.workspace.host.clone(),
            now: Timestamp::now(),
        };
        call.log.line(&format!("Scanning {shown}")).await;
        let (standing, leftover) = self.standing(wish.baseline.as_deref(), &order.policy, call).await;
        let opened = scan::open(target, self.labels_of(call)).await;
        let (source, own) = opened.map_err(|error| ActionError::Failed(error.to_string()))?.take();
        let work = tokio::task::spawn_blocking(move || scan::examine(source, &order, standing));
        let scanned = tokio::select! {
            scanned = work => scanned,
            () = call.cancel.cancelled() => {
                remove(call, [Some(own), leftover]).await;
                return Err(ActionError::Cancelled);
            }
        };
        remove(call, [Some(own), leftover]).await;
        let scanned = scanned.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        scanned.map_err(|error| ActionError::Failed(error.to_string()))
    }

    fn labels_of(&self, call: &ActionCall<'_>) -> std::collections::HashMap<String, String> {
        let mut labels: std::collections::HashMap<_, _> =
            self.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        labels.insert("dev.pipe.run".into(), call.run.id.to_string());
        labels.insert("dev.pipe.job".into(), call.run.job.clone());
        labels.insert("dev.pipe.role".into(), "scan".into());
        labels
    }

    async fn standing(
        &self,
        named: Option<&str>,
        policy: &Policy,
        call: &ActionCall<'_>,
    ) -> (Standing, Option<Leftover>) {
        let Some(image) = named.or(policy.baseline.as_ref().map(|rule| rule.image.as_str())) else {
            return (Standing::NotAsked, None);
        };
        match scan::open(Target::Image(image.to_owned()), self.labels_of(call)).await {
            Ok(opened) => {
                let (source, leftover) = opened.take();
                (Standing::Source { name: image.to_owned(), source }, Some(leftover))
            }
            Err(error) => (Standing::Unavailable(error.to_string()), None),
        }
    }
}

async fn remove(call: &mut ActionCall<'_>, all: [Option<Leftover>; 2]) {
    for leftover in all.into_iter().flatten() {
        if let Err(problem) = leftover.remove().await {
            call.log.warning(&problem).await;
        }
    }
}

/// The policy of the workspace, or that of the inputs.
fn gate(workspace: &Inside, wish: &Wish) -> Result<Policy, String> {
    let path = match &wish.gate {
        Some(path) => path.clone(),
        None if workspace.file(Path::new(GATE_FILE)).is_ok() => PathBuf::from(GATE_FILE),
        None => return Ok(wish.policy.clone()),
    };
    let text =
        text(workspace, &path).map_err(|error| format!("the policy {} cannot be read: {error}", path.display()))?;
    let file = SourceFile::new(path.display().to_string(), text);
    policy::read(&file).map_err(|diagnostics| {
        let mut sources = SourceMap::default();
        sources.add(file);
        let lines = diagnostics.iter().map(|diagnostic| {
            let place = diagnostic.span.and_then(|span| sources.locate(span));
            let place = place.map(|(file, start, _)| format!("{file}:{}:{}: ", start.line, start.column));
            let help = diagnostic.help.as_ref().or(diagnostic.label.as_ref());
            let help = help.map(|help| format!("; {help}"));
            format!("{}{}{}", place.unwrap_or_default(), diagnostic.message, help.unwrap_or_default())
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn text(workspace: &Inside, path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = workspace.file(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn dockerfile(workspace: &Inside, path: &Path) -> Result<Dockerfile, String> {
    let text =
        text(workspace, path).map_err(|error| format!("the Dockerfile {} cannot be read: {error}", path.display()))?;
    Ok(Dockerfile { path: path.display().to_string(), text })
}

/// What is scanned, and how it is called. Paths lie in the workspace, wherever links lead.
fn target(workspace: &Path, subject: &Subject) -> Result<(Target, String), String> {
    let below = |path: &Path| {
        let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        let whole = workspace.join(path).canonicalize().map_err(failed)?;
        let root = workspace.canonicalize().map_err(failed)?;
        if !whole.starts_with(&root) {
            return Err(format!("{} lies outside of the workspace", path.display()));
        }
        Ok(whole)
    };
    Ok(match subject {
        Subject::Image(name) => (Target::Image(name.clone()), name.clone()),
        Subject::Archive(path) => {
            let whole = below(path)?;
            let target = if whole.is_dir() {
                Target::Layout { folder: whole, name: None }
            } else {
                Target::Archive { file: whole, name: None }
            };
            (target, path.display().to_string())
        }
        Subject::Sources(path) => (Target::Repository(below(path)?), path.display().to_string()),
        Subject::Root(path) => (Target::Root(below(path)?), path.display().to_string()),
    })
}

/// A report of the step, made new: what lies there is replaced and no link is followed.
fn write(call: &ActionCall<'_>, path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`output: {}` cannot be written: {error}", path.display());
    let name = path.file_name().ok_or_else(|| format!("`output: {}` is no file", path.display()))?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let folder = call.workspace.host.join(parent).canonicalize().map_err(failed)?;
    if !folder.starts_with(call.workspace.host.canonicalize().map_err(failed)?) {
        return Err(format!("`output: {}` lies outside of the workspace", path.display()));
    }
    let mut part = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
    std::io::Write::write_all(&mut part, text.as_bytes()).map_err(failed)?;
    part.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    part.persist(folder.join(name)).map_err(|error| failed(error.error))?;
    Ok(())
}

async fn tell(call: &mut ActionCall<'_>, scanned: &Scanned) {
    let report = scanned.report();
    call.log.line(report.write(Format::Table, Terminal { width: 120, colour: true }).trim_end()).await;
    for warning in &scanned.verdict.warnings {
        let place = Annotation {
            file: warning.file.clone(),
            line: warning.line,
            ..Annotation::new(AnnotationLevel::Warning, &*warning.message)
        };
        call.log.annotate(place).await;
    }
    for (index, judged) in scanned.verdict.failed().take(ANNOTATIONS_MAX) {
        call.log.annotate(annotation(&scanned.findings[index], judged)).await;
    }
    call.summary.push_str(&report.write(Format::Summary, Terminal::PLAIN));
    let verdict = &scanned.verdict;
    let advisories = verdict.advisories.as_ref().map(|advisories| advisories.digest.clone());
    for (name, value) in [
        ("outcome", verdict.outcome.as_str().to_owned()),
        ("failed", verdict.failed().count().to_string()),
        ("findings", scanned.findings.len().to_string()),
        ("image-id", scanned.inventory.image_id.clone().unwrap_or_default()),
        ("advisories", advisories.unwrap_or_default()),
    ] {
        call.outputs.insert(name.to_owned(), value);
    }
}

/// What fails, at the line that brought it.
fn annotation(finding: &Finding, judged: &Judged) -> Annotation {
    let mut message = format!("{}: {} ({})", judged.subject, finding.summary, judged.judgement.words());
    if let Some(fix) = &judged.fix {
        message.push_str(&format!("\n{} → {}: {}", fix.installed, fix.fixed, fix.command));
    }
    let place = judged.origin.place();
    Annotation {
        title: Some(finding.id.clone()),
        file: place.map(|(file, _)| file.to_owned()),
        line: place.and_then(|(_, line)| line),
        ..Annotation::new(AnnotationLevel::Error, message)
    }
}
