//! `pipe run --resume`: goes on with a run that was killed, or that failed, as it was asked for.
//!
//! What may go on, and from where, is the engine's ([`engine::local`]); here the command line is put together again, and
//! what has changed since is refused by name.

mod mended;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::Parser as _;
use engine::folders::Folders;
use engine::local::{Carrier, Continues, NotResumed, Stand, TakenUp, stands, take_up};
use engine::store::listing::{Listing, RunFilter};
use engine::store::{RunId, SqliteStore};
use serde_json::Value as Json;
use workflow::diagnostic::suggest;
use workflow::event::Event;
use workflow::model::{JobKind, Workflow};
use workflow::run::steps::flatten;
use workflow::run::{Conclusion, JobRunKey, Recorded, RunEvent, SkipReason, StepIndex};
use workflow::secret::Secret;

use super::asked::{self, ASKED_VERSION, Asked};
use super::{machine, perform};
use crate::args::{Cli, Command, Global, RunArgs};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::reading::Reading;
use crate::values::Values;

/// A run that goes on.
#[derive(Debug)]
pub struct Resumed {
    /// Its number.
    pub run: RunId,
    /// What happened.
    pub event: Arc<Event>,
    /// What it goes on from.
    pub continues: Continues,
    /// The right to carry it.
    pub carrier: RefCell<Option<Carrier>>,
    /// The number of its last fact, and the environments whose review it waits for.
    pub before: (u64, Vec<String>),
    /// The workflow that it began with, where what has not run was mended since.
    pub mended: OnceCell<Arc<Workflow>>,
    asked: Asked,
    /// Names of steps that began, of an attempt that failed.
    names: Names,
    /// Places that it left.
    stands: Vec<Stand>,
}

/// What is known of the steps of a run.
#[derive(Debug, Default)]
struct Names {
    /// Those that began, with the names that they had.
    steps: Vec<(JobRunKey, StepIndex, String)>,
    /// How many `pre` parts of actions stand before those of the file.
    pres: BTreeMap<JobRunKey, u32>,
    /// Jobs of the workflow that have succeeded, or were left out by their condition, or of which a part has or was.
    kept: BTreeSet<String>,
    /// Those that have not succeeded, or of which a leg has not.
    failed: BTreeSet<String>,
}

/// Goes on with a run.
///
/// # Errors
/// It cannot go on; the text says why and what to do.
pub fn run(wanted: &str, args: &RunArgs, global: &Global) -> Result<Exit, Failure> {
    refuse_other_wishes(args)?;
    let settings = Settings::load(global, None)?;
    let folders = machine::folders(&settings);
    let (run, taken, names) = runtime()?.block_on(take(wanted, &folders))?;
    let stands: Vec<_> = stands(&folders.state).into_iter().filter(|stand| stand.run == run).collect();
    if let (Some(_), []) = (&args.from, stands.as_slice()) {
        let help =
            "leave `--from` out: the job begins again from its start; `--on-fail keep` keeps places of jobs that fail";
        return Err(Failure::usage(format!("no place of run {run} is kept to go on in")).help(help));
    }
    let asked = read(run, taken.asked.clone())?;
    std::env::set_current_dir(&asked.folder).map_err(|error| {
        let folder = asked.folder.display();
        Failure::environment(format!("run {run} was asked for in `{folder}`, which cannot be used: {error}"))
    })?;
    let again = again(&asked, args)?;
    let TakenUp { continues, carrier, last, waits, .. } = taken;
    let event = Arc::new(asked.event.clone());
    let resumed = Resumed {
        run,
        event,
        continues,
        carrier: RefCell::new(Some(carrier)),
        before: (last, waits),
        mended: OnceCell::new(),
        asked,
        names,
        stands,
    };
    perform(&again, global, Some(resumed))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))
}

/// What is run stands in the run itself.
fn refuse_other_wishes(args: &RunArgs) -> Result<(), Failure> {
    let wishes = [
        ("an event", args.event.event.is_some() || args.eventpath.is_some()),
        ("`-W`", !args.selection.workflows.is_empty()),
        ("`--matrix`", !args.matrix.is_empty()),
        ("`--input`", !args.event.input.is_empty() || args.event.input_file.is_some()),
    ];
    match wishes.into_iter().find(|(_, is_given)| *is_given) {
        Some((what, _)) => {
            Err(Failure::usage(format!("`--resume` goes on with what the run was asked for, not with {what}"))
                .help("leave it out, or start a new run without `--resume`"))
        }
        None => Ok(()),
    }
}

/// The run that is meant, with the right to carry it.
async fn take(wanted: &str, folders: &Folders) -> Result<(RunId, TakenUp, Names), Failure> {
    if !folders.database().exists() {
        return Err(Failure::new(Exit::Nothing, "there are no runs here yet"));
    }
    let failed = |error: engine::store::StoreError| Failure::environment(format!("cannot {error}"));
    let store = SqliteStore::open(&folders.database()).map_err(failed)?;
    let run = match wanted.trim_start_matches('#').parse() {
        Ok(number) => RunId(number),
        Err(_) if wanted == "latest" => {
            let listing = Listing::on(store.database().clone());
            let listed = listing.list(RunFilter { limit: 1, ..RunFilter::default() }).await.map_err(failed)?;
            listed.first().map(|run| run.id).ok_or_else(|| Failure::new(Exit::Nothing, "there are no runs"))?
        }
        Err(_) => {
            let help = "give its number, or `latest`; `pipe runs` lists them";
            return Err(Failure::usage(format!("`{wanted}` is no run")).help(help));
        }
    };
    let taken = take_up(&store, folders, run).await.map_err(refused);
    let facts = Listing::on(store.database().clone()).log(run).await.map_err(failed)?;
    store.database().close().await;
    let mut names = Names::default();
    for Recorded { event, .. } in facts {
        names.add(event);
    }
    taken.map(|taken| (run, taken, names))
}

fn refused(not: NotResumed) -> Failure {
    let text = not.to_string();
    match not {
        NotResumed::Unknown(_) => Failure::new(Exit::Nothing, text).help("`pipe runs` lists them"),
        NotResumed::Succeeded(run) => {
            Failure::new(Exit::Nothing, text).help(format!("`pipe show {run}` tells what it did"))
        }
        NotResumed::Later(_) => Failure::new(Exit::Nothing, text).help("`pipe runs` lists them"),
        NotResumed::GoesOn(run) => {
            Failure::environment(text).help(format!("`pipe watch {run}` follows it, `pipe cancel {run}` stops it"))
        }
        NotResumed::NothingKept(_) | NotResumed::Unreadable(..) => {
            Failure::environment(text).help("start a new run of the workflow")
        }
    }
}

fn read(run: RunId, asked: Json) -> Result<Asked, Failure> {
    let newer = asked["v"].as_u64().filter(|v| *v > u64::from(ASKED_VERSION));
    if newer.is_some() {
        return Err(Failure::environment(format!("run {run} was made by a newer version of pipe")));
    }
    serde_json::from_value(asked)
        .map_err(|error| Failure::environment(format!("what run {run} was asked for cannot be read: {error}")))
}

/// The command line of the run, and what is given anew over it.
fn again(asked: &Asked, now: &RunArgs) -> Result<RunArgs, Failure> {
    let line = ["pipe", "run"].into_iter().chain(asked.words.iter().map(String::as_str));
    let unread = |error: String| Failure::environment(format!("what the run was asked for is not understood: {error}"));
    let cli = Cli::try_parse_from(line).map_err(|error| unread(error.to_string()))?;
    let Command::Run(then) = cli.command else { return Err(unread("it is no run".to_owned())) };
    let mut again = *then;
    let name = |secret: &Secret| secret.expose().split('=').next().unwrap_or_default().to_uppercase();
    let given: Vec<_> = now.values.secret.iter().map(name).collect();
    again.values.secret.retain(|secret| !given.contains(&name(secret)));
    again.values.secret.extend(now.values.secret.iter().cloned());
    again.values.var.extend(now.values.var.iter().cloned());
    again.values.env.extend(now.values.env.iter().cloned());
    for (of_then, of_now) in [
        (&mut again.values.secret_file, &now.values.secret_file),
        (&mut again.values.var_file, &now.values.var_file),
        (&mut again.values.env_file, &now.values.env_file),
    ] {
        if of_now.is_some() {
            of_then.clone_from(of_now);
        }
    }
    again.actions.local_repository.extend(now.actions.local_repository.iter().cloned());
    again.actions.offline |= now.actions.offline;
    again.approve.extend(now.approve.iter().cloned());
    (again.on_review, again.on_fail, again.json, again.dryrun) = (now.on_review, now.on_fail, now.json, now.dryrun);
    again.from.clone_from(&now.from);
    again.parallel = now.parallel.or(again.parallel);
    Ok(again)
}

impl Names {
    fn add(&mut self, event: RunEvent) {
        if let RunEvent::StepStarted { key, step, name } = event {
            self.steps.push((key, step, name));
        } else if let RunEvent::JobRunPlaced { key, pre, .. } = event {
            self.pres.insert(key, pre);
        } else if let RunEvent::JobRunFinished {
            key, conclusion: Conclusion::Failure | Conclusion::Cancelled, ..
        } = event
        {
            let own = key.job.parent().is_none();
            self.failed.extend(key.job.ids().next().filter(|_| own).map(str::to_owned));
        } else if let RunEvent::JobRunFinished { key: JobRunKey { job, .. }, conclusion: Conclusion::Success, .. }
        | RunEvent::JobSkipped { job, reason: SkipReason::Condition { .. } } = event
        {
            self.kept.extend(job.ids().next().map(str::to_owned));
        }
    }
}

impl Resumed {
    /// Whether what the run goes on with is what it was asked for.
    ///
    /// # Errors
    /// A workflow file has changed, or a secret is missing; each is named. What has not run may change, where an attempt failed.
    pub fn check(&self, readings: &[Reading], values: &Values, from: Option<&str>) -> Result<(), Failure> {
        let run = self.run;
        if let Some((name, problem)) = self.not_mended(readings, from)? {
            let help = "put it back as it was, or start a new run; a run goes on with the workflow that it began with";
            return Err(Failure::new(Exit::Invalid, format!("run {run} cannot go on: `{name}` {problem}")).help(help));
        }
        let known = asked::names(values);
        let missing: Vec<_> = self.asked.secrets.iter().filter(|name| !known.contains(name)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let flags: Vec<_> = missing.iter().map(|name| format!("-s {name}")).collect();
        let text = format!("run {run} had secrets that nobody gives now: {}", missing.join(", "));
        Err(Failure::usage(text)
            .help(format!("values of secrets are not kept; give them again: `{}`", flags.join(" "))))
    }

    /// The step that a job goes on from, as `--from` names it.
    ///
    /// # Errors
    /// No job that was kept has it, several have, or it comes after the one that failed.
    pub fn from(&self, wanted: &str, workflow: &Workflow) -> Result<(JobRunKey, StepIndex), Failure> {
        let run = self.run;
        let (job, step) = match wanted.rsplit_once('/') {
            Some((job, step)) if self.stands.iter().any(|stand| stand.job == job) => (Some(job), step),
            Some(_) | None => (None, wanted),
        };
        let mut known = Vec::new();
        let mut found = Vec::new();
        for stand in self.stands.iter().filter(|stand| job.is_none_or(|job| stand.job == job)) {
            let key = JobRunKey::parse(&stand.job);
            for (index, words) in self.steps_of(&key, workflow) {
                if words.iter().any(|word| word.eq_ignore_ascii_case(step)) || (index.0 + 1).to_string() == step {
                    found.push((stand, key.clone(), index));
                }
                known.extend(words);
            }
        }
        let (stand, key, index) = match found.as_slice() {
            [] => {
                let near = suggest(step, known.iter().map(String::as_str));
                let help = near.map_or_else(
                    || format!("its steps: {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(Failure::usage(format!("no kept job of run {run} has a step `{step}`")).help(help));
            }
            [only] => only,
            [(first, ..), ..] if found.iter().any(|(stand, ..)| stand.job != first.job) => {
                let jobs: Vec<_> = found.iter().map(|(stand, ..)| format!("{}/{step}", stand.job)).collect();
                let text = format!("several kept jobs of run {run} have a step `{step}`");
                return Err(Failure::usage(text).help(format!("write one of: {}", jobs.join(", "))));
            }
            [first, ..] => first,
        };
        match &stand.step {
            Some((failed, name)) if index.0 > *failed => {
                let text = format!("`{step}` comes after `{name}`, which failed, so what it builds on is not there");
                Err(Failure::usage(text).help(format!("leave `--from` out to go on from `{name}`")))
            }
            Some(_) | None => Ok((key.clone(), *index)),
        }
    }

    /// The steps of a job with the words that name them: ids and names.
    fn steps_of(&self, key: &JobRunKey, workflow: &Workflow) -> Vec<(StepIndex, Vec<String>)> {
        let id = key.job.ids().next().unwrap_or_default();
        let job = workflow.jobs.iter().find(|(other, _)| other.as_str() == id).map(|(_, job)| job);
        let Some(JobKind::Steps(steps)) = job.map(|job| &job.kind) else { return Vec::new() };
        let flat = flatten(&steps.steps);
        let pre = self.names.pres.get(key).copied().unwrap_or(0);
        let steps = (pre..).zip(&flat).map(|(index, flat)| {
            let id = flat.find(&steps.steps).filter(|step| step.id_written).map(|step| step.id.as_str().to_owned());
            let mut names = self.names.steps.iter();
            let name = names.find(|(job, step, _)| job == key && step.0 == index).map(|(.., name)| name.clone());
            (StepIndex(index), id.into_iter().chain(name).collect())
        });
        steps.collect()
    }
}
