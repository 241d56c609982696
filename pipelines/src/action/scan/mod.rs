//! `pipe/scan`: what is wrong with an image or sources, and whether the gate lets it pass. Also under the name of
//! aquasecurity/trivy-action, whose inputs it takes.
//!
//! Files of the workspace are read below it only, without following links, and the report is written by the job. What the gate stops fails the step with what to
//! mend; what cannot be trusted fails it too, whatever `exit-code` says.

pub mod inputs;
mod kept;
#[cfg(test)]
mod tests;
mod workspace;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use jiff::Timestamp;
use scanners::advisory::Database;
use scanners::finding::{Finding, Kind};
use scanners::policy::{self, Judged, Outcome, Policy};
use scanners::report::{Format, Terminal};
use scanners::secret::Known;
use scanners::source::Source;
use workflow::command::{Annotation, AnnotationLevel};
use workflow::source::{SourceFile, SourceMap};

pub use self::inputs::{INPUTS, OUTPUTS};

use self::inputs::{Subject, Wish};
pub(super) use self::workspace::Workspace;
use super::paths;
use crate::scan::{self, Dockerfile, Foreign, Leftover, Opened, Order, RequireScan, Scanned, Standing, Target};

/// Where a repository keeps its policy.
const GATE_FILE: &str = ".pipe/gate.yml";
/// Where it keeps what it knows of its secrets.
const SECRETS_FILE: &str = ".pipe/secrets.json";
/// Findings that become annotations; GitHub shows no more of a step.
const ANNOTATIONS_MAX: usize = 10;

/// Where advisories are, where what was read of layers is kept, and who asks for scans.
#[derive(Debug, Clone, Default)]
pub struct ScanFolders {
    /// As `pipe scan db update` fills it.
    pub advisories: PathBuf,
    /// May be lost.
    pub cache: PathBuf,
    /// What environments ask of images before they are deployed.
    pub require: RequireScan,
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
            let report = scanned.report().write(*format, Terminal::PLAIN);
            write(call, path, report).await.map_err(ActionError::Failed)?;
            call.outputs.insert("report".into(), path.clone());
        }
        tell(call, &scanned).await;
        let advisories = scanned.verdict.advisories.as_ref().map(|advisories| advisories.digest.clone());
        call.outputs.insert("advisories".into(), advisories.unwrap_or_default());
        call.outputs.insert("image-id".into(), scanned.case.inventory.image_id.clone().unwrap_or_default());
        kept::record(call, &scanned).await;
        kept::keep(call, &scanned, &wish).await;
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
        let failed = ActionError::Failed;
        let workspace = Workspace::open(call).map_err(failed)?;
        let policy = gate(&workspace, wish.gate.as_deref(), &wish.policy, call).await.map_err(failed)?;
        let dockerfile = match wish.dockerfile.as_deref() {
            Some(path) => Some(dockerfile(&workspace, path, call).await.map_err(failed)?),
            None => None,
        };
        let held = |input: &str, paths: &[String]| -> Result<Vec<_>, String> {
            paths.iter().map(|path| workspace.held(input, path)).collect()
        };
        let known_secrets = known_secrets(&workspace, wish, call).await.map_err(failed)?;
        let foreign = Foreign {
            reports: held("import", &wish.import).map_err(failed)?,
            coverage: held("coverage", &wish.coverage).map_err(failed)?,
            workspace: call.workspace.inside.clone(),
        };
        let advisories = wish.db.as_deref().map(|path| workspace.advisories(path, &self.folders.cache)).transpose();
        let advisories = advisories.map_err(failed)?;
        let own = || Database::at(&self.folders.advisories);
        let (opened, shown) = self.opened(&workspace, &wish.subject, call).await.map_err(failed)?;
        let order = Order {
            target: shown.clone(),
            image: opened.image().map(str::to_owned),
            scanners: wish.scanners,
            secret_rules: None,
            known_secrets,
            database: advisories.as_ref().map_or_else(own, |copy| Database::at(copy.path())),
            // Archives of a job may claim any digest for a layer: only what Docker holds shares a cache.
            cache: opened.image().map(|_| self.folders.cache.join("layers")),
            dockerfile,
            stage: wish.stage.clone(),
            development: false,
            foreign,
            policy,
            policy_folder: workspace.root().map_err(failed)?,
            now: Timestamp::now(),
        };
        call.log.line(&format!("Scanning {shown}")).await;
        let (standing, leftover) = self.standing(wish.baseline.as_deref(), &order.policy, call).await;
        let (source, own) = opened.take();
        let work = tokio::task::spawn_blocking(move || {
            let scanned = scan::examine(source, &order, standing);
            // Lives as long as somebody reads in it, also after the step was cancelled.
            drop(advisories);
            scanned
        });
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

    /// What is scanned, and how it is called.
    async fn opened(
        &self,
        workspace: &Workspace,
        subject: &Subject,
        call: &ActionCall<'_>,
    ) -> Result<(Opened, String), String> {
        let of = |source, path: &str| (Opened::of(source), path.to_owned());
        Ok(match subject {
            Subject::Image(name) => {
                let opened = scan::open(Target::Image(name.clone()), self.labels_of(call)).await;
                (opened.map_err(|error| error.to_string())?, name.clone())
            }
            Subject::Archive(path) => {
                let held = workspace.held("input", path)?;
                let is_folder = held.is_folder();
                let layout = |folder| Source::OciLayout { folder, name: None };
                let archive = |file| Source::Archive { file, name: None };
                of(if is_folder { layout(held) } else { archive(held) }, path)
            }
            Subject::Sources(path) => of(Source::Repository(workspace.held("scan-ref", path)?), path),
            Subject::Root(path) => of(Source::RootFolder(workspace.held("scan-ref", path)?), path),
        })
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
        match scan::compared_with(named, policy) {
            Some(image) => scan::standing(image, Target::Image(image.to_owned()), self.labels_of(call)).await,
            None => (Standing::NotAsked, None),
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

/// The policy that is named, or that of the workspace, or `otherwise`.
pub(super) async fn gate(
    workspace: &Workspace,
    named: Option<&str>,
    otherwise: &Policy,
    call: &ActionCall<'_>,
) -> Result<Policy, String> {
    let path = named.unwrap_or(GATE_FILE);
    let read = workspace.text(call, "gate", path).await;
    let text = match read.map_err(|error| format!("the policy {path} cannot be read: {error}"))? {
        Some(text) => text,
        None if named.is_none() => return Ok(otherwise.clone()),
        None => return Err(format!("there is no policy {path} in the workspace")),
    };
    policy_of(path, text)
}

/// A policy by its text; all that is wrong with it is said, with its places.
pub(super) fn policy_of(path: &str, text: String) -> Result<Policy, String> {
    let file = SourceFile::new(path.to_owned(), text);
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

/// Those in the file that is named, or of a repository in the file that it keeps.
async fn known_secrets(workspace: &Workspace, wish: &Wish, call: &ActionCall<'_>) -> Result<Option<Known>, String> {
    let named = wish.secret_baseline.as_deref();
    let Some(path) = named.or(matches!(wish.subject, Subject::Sources(_)).then_some(SECRETS_FILE)) else {
        return Ok(None);
    };
    let text = workspace.text(call, "secret-baseline", path).await;
    match text.map_err(|error| format!("the known secrets in {path} cannot be read: {error}"))? {
        Some(text) => Known::read(path, text.as_bytes()).map(Some).map_err(|error| error.to_string()),
        None if named.is_none() => Ok(None),
        None => Err(format!("there is no file {path} in the workspace")),
    }
}

async fn dockerfile(workspace: &Workspace, path: &str, call: &ActionCall<'_>) -> Result<Dockerfile, String> {
    let text = workspace.text(call, "dockerfile", path).await;
    let text = text.map_err(|error| format!("the Dockerfile {path} cannot be read: {error}"))?;
    let text = text.ok_or_else(|| format!("there is no Dockerfile {path} in the workspace"))?;
    Ok(Dockerfile { path: path.to_owned(), text })
}

/// Writes a report into the job, as one of its steps would: the job alone decides what its paths lead to.
pub(super) async fn write(call: &ActionCall<'_>, path: &str, text: String) -> Result<(), String> {
    let below = paths::below("output", path, &call.workspace.inside)?;
    if below.as_os_str().is_empty() {
        return Err(format!("`output: {path}` is no file"));
    }
    let inside = format!("{}/{}", call.workspace.inside, below.display());
    let written = call.job.write_file(&inside, Bytes::from(text), 0o644).await;
    written.map_err(|error| format!("`output: {path}` cannot be written: {error}"))
}

pub(super) async fn tell(call: &mut ActionCall<'_>, scanned: &Scanned) {
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
    for (name, value) in [
        ("outcome", verdict.outcome.as_str().to_owned()),
        ("failed", verdict.failed().count().to_string()),
        ("findings", scanned.findings.len().to_string()),
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
    // What a running service answers is at no line of the repository.
    let place = judged.origin.place().filter(|_| finding.kind != Kind::Service);
    Annotation {
        title: Some(finding.id.clone()),
        file: place.map(|(file, _)| file.to_owned()),
        line: place.and_then(|(_, line)| line),
        ..Annotation::new(AnnotationLevel::Error, message)
    }
}
