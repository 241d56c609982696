//! Whole runs through dispatcher, jobs and steps with nothing placed: everything between a workflow's text and what is
//! stored, shown and left behind. See `placement::simulated` for what scripts may do.

mod broken;
mod cases;
mod crash;
mod encodings;
mod secrets;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use tokio::sync::mpsc;
use workflow::expression::Value;
use workflow::read::{NoFiles, ReadOptions, read_workflow};
use workflow::run::{Conclusion, Recorded, Run, RunEvent, RunFacts};
use workflow::secret::Secret;
use workflow::source::SourceFile;

use crate::clock::SystemClock;
use crate::dispatcher::{Control, Dispatch, Dispatcher};
use crate::groups::SharedGroups;
use crate::job::{JobSettings, PlacedJobs, SecretStore, SharedMasker};
use crate::kept::{Keeper, Kept, KeptRules};
use crate::notice::{Notice, NoticeInbox, Notices};
use crate::placement::simulated::Simulated;
use crate::placement::{Limits, PullPolicy};
use crate::runner_label::RunnerLabels;
use crate::slots::{Party, Slots};
use crate::step::{ActionCall, ActionError, BuiltInAction, BuiltInActions, InputFacts, PostWhen, RepositoryFacts};
use crate::store::{RunId, RunLog, StoreError};
use crate::telemetry::TraceIds;

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run is started with, besides its workflow.
#[derive(Default)]
pub(crate) struct Simulation {
    placement: Simulated,
    secrets: Vec<(&'static str, String)>,
    /// After so many recorded facts of this kind, one of these is sent.
    controls: Vec<(&'static str, Control)>,
    /// The store refuses facts of this kind.
    refused: Option<&'static str>,
}

/// Everything that came of a run.
struct Outcome {
    run: Option<Run>,
    events: Vec<Recorded>,
    notices: Vec<Notice>,
    /// Stored logs by path below their folder.
    logs: BTreeMap<String, String>,
    /// Files and folders that are left where nothing should be.
    left: Vec<String>,
}

#[derive(Debug, Default)]
struct MemoryLog {
    facts: Mutex<Vec<Recorded>>,
    refused: Option<&'static str>,
}

#[async_trait]
impl RunLog for MemoryLog {
    async fn append(&self, _run: RunId, facts: &[Recorded]) -> Result<(), StoreError> {
        if facts.iter().any(|fact| Some(fact.event.kind()) == self.refused) {
            return Err(StoreError::Database { path: "memory".into(), reason: "disk full".into() });
        }
        self.facts.lock().unwrap().extend_from_slice(facts);
        Ok(())
    }

    async fn read(&self, _run: RunId) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.facts.lock().unwrap().clone())
    }
}

/// An action with a bug.
#[derive(Debug)]
struct Buggy;

#[async_trait]
impl BuiltInAction for Buggy {
    fn name(&self) -> &'static str {
        "pipe/buggy"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        &[]
    }

    async fn run(&self, _call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        panic!("a bug")
    }
}

/// An action that has something to do at the end of the job.
#[derive(Debug)]
struct Remember;

#[async_trait]
impl BuiltInAction for Remember {
    fn name(&self) -> &'static str {
        "pipe/remember"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        const INPUTS: &[InputFacts] = &[InputFacts::new("word", "", "kept")];
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        call.log.line(&format!("remembers {}", call.inputs["word"])).await;
        call.state.insert("word".to_owned(), call.inputs["word"].clone());
        call.post = Some(PostWhen::Always);
        Ok(())
    }

    async fn post(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        call.log.line(&format!("remembered {}", call.state["word"])).await;
        Ok(())
    }
}

impl Simulation {
    pub(crate) fn settings(&self, root: &Path, masker: &Arc<SharedMasker>, notices: &Notices) -> JobSettings {
        let mut labels = RunnerLabels::default();
        labels.use_host();
        let mut built_in = BuiltInActions::default();
        built_in.add(Arc::new(Buggy));
        built_in.add(Arc::new(Remember));
        let mut secrets = SecretStore::default();
        for (name, value) in &self.secrets {
            let _too_short = masker.add(value);
            secrets.add(name, Secret::new(value.clone()));
        }
        JobSettings {
            docker: None,
            docker_problem: Some("Docker does not run".into()),
            host: Arc::new(self.placement.clone()),
            labels,
            limits: Limits::default(),
            trust: None,
            built_in,
            secrets,
            environment_secrets: None,
            masker: Arc::clone(masker),
            notices: notices.clone(),
            repository: RepositoryFacts { folder: root.join("repository"), name: "me/shop".into(), working_tree: true },
            work: root.join("work"),
            run_directories: root.join("run"),
            logs: root.join("logs"),
            kept: Kept::new(root, KeptRules::default()),
            keeper: Keeper { repository: "me/shop".into(), run: 1, attempt: 1, trusted: true },
            reports: None,
            tokens: None,
            actions: crate::actions::Actions::default(),
            services: None,
            trace: Some(TraceIds::of("simulation", "me/shop", 1)),
            state: root.join("state"),
            journals: Some(root.join("journals")),
            env: IndexMap::new(),
            log_bytes_max: None,
            unfinished_starts: AtomicBool::new(false),
            bind: false,
            standing: None,
            left: std::sync::Mutex::default(),
            pull: PullPolicy::Missing,
        }
    }

    /// Runs the jobs: lines below `jobs:`, where `$` stands for what every job must have.
    async fn run(self, jobs: &str) -> Outcome {
        let root = tempfile::tempdir().unwrap();
        let masker = Arc::new(SharedMasker::default());
        let (notices, watcher) = Notices::channel();
        let log = Arc::new(MemoryLog { facts: Mutex::default(), refused: self.refused });
        let jobs_of = PlacedJobs(Arc::new(self.settings(root.path(), &masker, &notices)));
        let dispatcher = Dispatcher {
            log: Arc::<MemoryLog>::clone(&log),
            clock: Arc::new(SystemClock),
            jobs: Arc::new(jobs_of),
            notices,
            masker,
            slots: Slots::new(4),
            groups: SharedGroups::default(),
            party: Party::default(),
        };
        let dispatch = Dispatch {
            id: RunId(1),
            facts: Arc::new(facts(jobs)),
            history: Vec::new(),
            kept: Vec::new(),
            first: Vec::new(),
        };
        let (sender, control) = mpsc::unbounded_channel();
        let watching = tokio::spawn(watch(watcher, sender, self.controls));
        let ended = tokio::time::timeout(PATIENCE, dispatcher.run(dispatch, control)).await.expect("the run hangs");
        drop(dispatcher);
        let notices = watching.await.unwrap();
        let mut left: Vec<_> = ["work", "run"].iter().flat_map(|name| files(&root.path().join(name)).0).collect();
        if self.placement.open() > 0 {
            left.push("a placed job".into());
        }
        let logs = files(&root.path().join("logs")).1;
        let events = log.facts.lock().unwrap().clone();
        Outcome { run: ended.ok(), events, notices, logs, left }
    }
}

async fn watch(
    mut watcher: NoticeInbox,
    control: mpsc::UnboundedSender<Control>,
    mut controls: Vec<(&'static str, Control)>,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    // Without anything to send the channel is closed at once, as when its owner has gone.
    let mut control = (!controls.is_empty()).then_some(control);
    while let Some(notice) = watcher.recv().await {
        if let (Notice::Recorded(fact), Some((kind, _))) = (&notice, controls.first())
            && fact.event.kind() == *kind
        {
            let (_, order) = controls.remove(0);
            let _ended = control.as_ref().map(|control| control.send(order));
            control = control.filter(|_| !controls.is_empty());
        }
        notices.push(notice);
    }
    notices
}

pub(crate) fn facts(jobs: &str) -> RunFacts {
    let text = jobs.replace(" $\n", " runs-on: x\n  steps:\n").replace('\n', "\n  ");
    let text = format!("on: push\njobs:\n  {text}\n");
    let reading = read_workflow(SourceFile::new("ci.yml", text.as_str()), &NoFiles, &ReadOptions::default());
    let errors: Vec<_> = reading.errors.iter().map(|error| error.github_text(&reading.sources)).collect();
    let workflow = reading.workflow.filter(|_| errors.is_empty()).unwrap_or_else(|| panic!("{errors:?}\n{text}"));
    let object = |json| Value::from_json(&json);
    RunFacts {
        workflow: Arc::new(workflow),
        github: object(serde_json::json!({ "ref": "refs/heads/main", "event": {}, "token": "ghs_token_of_the_run" })),
        inputs: object(serde_json::json!({})),
        vars: object(serde_json::json!({})),
        selected: None,
        legs: Vec::new(),
        environments: Arc::default(),
        workflow_hash: String::new(),
        held: None,
    }
}

/// Entries of a folder, and the texts of the files in it and below; when lines came is another time in each life.
fn files(folder: &Path) -> (Vec<String>, BTreeMap<String, String>) {
    let mut entries = Vec::new();
    let mut texts = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1).into_iter().filter_map(Result::ok) {
        let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
        let tells_times = entry.path().extension().is_some_and(|extension| extension == "times");
        if entry.file_type().is_file() && !tells_times {
            texts.insert(name.clone(), String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned());
        }
        entries.push(name);
    }
    (entries, texts)
}

impl Outcome {
    /// Conclusions of the run, its jobs and their steps: `success: a success [success failure/success]`.
    fn shown(&self) -> String {
        let Some(run) = &self.run else { return "no run".into() };
        let mut text = run.conclusion().map_or("open", Conclusion::word).to_owned();
        for (key, job) in run.job_runs() {
            let steps = job.steps.values().map(|step| match &step.finished {
                None => "open".to_owned(),
                Some((_, result)) if result.outcome == result.conclusion => result.outcome.word().to_owned(),
                Some((_, result)) => format!("{}/{}", result.outcome.word(), result.conclusion.word()),
            });
            let steps: Vec<_> = steps.collect();
            let end = job.conclusion().map_or("open", Conclusion::word);
            text.push_str(&format!("; {key} {end} [{}]", steps.join(" ")));
        }
        text
    }

    /// The output of a step as watchers saw it, without its header.
    fn output(&self, job: &str, step: u32) -> String {
        let mut all = Vec::new();
        for notice in &self.notices {
            if let Notice::Output { key, step: Some(index), bytes } = notice
                && key.to_string() == job
                && index.0 == step
            {
                all.extend_from_slice(bytes);
            }
        }
        let text = String::from_utf8(all).unwrap();
        text.split_once("##[endgroup]\n").map_or(text.clone(), |(_, rest)| rest.to_owned())
    }

    /// All that a person or a program could come to see, as one text.
    fn everything(&self) -> String {
        let mut text = serde_json::to_string(&self.events).unwrap();
        for notice in &self.notices {
            match notice {
                Notice::Output { bytes, .. } => text.push_str(&String::from_utf8_lossy(bytes)),
                Notice::Recorded(fact) => text.push_str(&serde_json::to_string(fact).unwrap()),
                Notice::Annotated { .. } | Notice::Summary { .. } | Notice::Placing { .. } => {
                    text.push_str(&format!("{notice:?}"));
                }
            }
        }
        self.logs.values().for_each(|log| text.push_str(log));
        text
    }

    fn message(&self, job: &str) -> String {
        let finished = self.events.iter().find_map(|fact| {
            let RunEvent::JobRunFinished { key, message, .. } = &fact.event else { return None };
            message.clone().filter(|_| key.to_string() == job)
        });
        finished.unwrap_or_default()
    }
}
