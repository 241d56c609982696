//! From plans to run requests, and from their ends to an exit code.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;

use engine::local::{Continues, stands};
use engine::machine::{Finished, Machine, RunRequest};
use engine::placement::{Limits, PullPolicy};
use engine::runner_label::{RunnerLabels, RunnerTarget};
use engine::step::RepositoryFacts;
use pipelines::rollout::Orphans;
use serde_json::Value as Json;
use workflow::mask::Masker;
use workflow::model::{JobId, JobKind};
use workflow::plan::{FrameIndex, explain};
use workflow::run::Conclusion;

use super::asked;
use super::conduct::{self, Conducted, Planned};
use super::environments::{self, LocalEnvironments, Reviewer};
use super::machine;
use super::repeat;
use super::resume::Resumed;
use super::signal::Signals;
use crate::args::{Global, OnFail, Pull, RunArgs};
use crate::config::local_rules;
use crate::exit::{Exit, Failure};
use crate::labels;
use crate::planning::Triggered;
use crate::report::plain::Detail;
use crate::report::{JsonView, LiveView, Logs, PlainView, Record, SummaryFacts, View, summary};
use crate::repository::Repository;
use crate::select::Workflows;
use crate::terminal::{self, Terminal};
use crate::values::{self, Values};

/// Everything that was asked.
pub struct Order<'a> {
    /// The flags.
    pub args: &'a RunArgs,
    /// The flags of all commands.
    pub global: &'a Global,
    /// The workflows and settings.
    pub workflows: &'a Workflows,
    /// The repository.
    pub repository: &'a Repository,
    /// Secrets, variables, environment.
    pub values: Values,
    /// The run that goes on.
    pub resumed: Option<Resumed>,
}

impl Order<'_> {
    /// Performs the runs.
    pub fn perform(&self, triggered: &[Triggered<'_>]) -> Result<Exit, Failure> {
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
        runtime.block_on(self.perform_all(triggered))
    }

    async fn perform_all(&self, triggered: &[Triggered<'_>]) -> Result<Exit, Failure> {
        let mut signals =
            Signals::take().map_err(|error| Failure::environment(format!("cannot listen to signals: {error}")))?;
        let labels = labels::of_run(self.args, &self.workflows.settings)?;
        let stderr = Terminal::stderr(self.global.color);
        let settings = &self.workflows.settings;
        let mut machine = machine::open(settings, self.parallel(), Some(self.orphans())).await?;
        let lock = self.args.locked.then(|| crate::actions::lock(&self.repository.root)).transpose()?;
        machine.actions = crate::actions::of_run(&machine.actions, &self.args.actions, lock, &settings.paths.cache);
        if let Err(error) = machine.remove_abandoned().await {
            terminal::warning(stderr, &error.to_string());
        }
        if machine.docker.is_none() && triggered.iter().any(|one| self.needs_docker(one, &labels)) {
            let problem = machine.docker_problem.clone().unwrap_or_else(|| "there is no container engine".to_owned());
            let help = "`pipe doctor` tells more; `--host` runs jobs on this machine, without containers";
            return Err(Failure::environment(problem).help(help));
        }
        self.warn_of_short_secrets();
        let legs = values::matrix(&self.args.matrix)?;
        for one in triggered {
            let mut told = explain(&one.plan, &one.reading.sources);
            told.pick_legs(&legs);
            let ids = one.selected(&self.args.jobs).into_iter().map(|index| one.plan.job(index).id.to_string());
            for warning in labels::unserved(&told, &ids.collect::<Vec<_>>(), &labels) {
                terminal::warning(stderr, &warning);
            }
        }
        let bars = indicatif::MultiProgress::new();
        let planned = triggered.iter().map(|one| {
            let label = (triggered.len() > 1).then(|| label(one, triggered));
            let before = self.resumed.as_ref().map(|resumed| resumed.before.clone()).unwrap_or_default();
            Ok(Planned { request: self.request(one, &labels)?, view: self.view(&bars), label, before })
        });
        let planned = planned.collect::<Result<Vec<_>, Failure>>()?;
        let reviewer = Reviewer::new(&self.args.approve, self.args.on_review, self.args.json);
        let conducted = conduct::conduct(&machine, planned, &reviewer, &mut signals).await?;
        if self.args.on_fail != OnFail::Clean {
            self.tell_kept(&machine, &conducted).await?;
        }
        Ok(self.report(&machine, triggered, &conducted).await)
    }

    /// What a killed process left goes back, as its job is not taken up, unless this run takes it up.
    fn orphans(&self) -> Orphans {
        Orphans::Cancel(match self.resumed.as_ref().map(|resumed| resumed.continues) {
            Some(Continues::Killed(run)) => Some(run),
            Some(Continues::Failed(_) | Continues::Nothing) | None => None,
        })
    }

    /// Says which places are kept; opens a shell in the first one where that is wanted, and somebody is there.
    async fn tell_kept(&self, machine: &Machine, conducted: &Conducted) -> Result<(), Failure> {
        let runs: Vec<_> = conducted.runs.iter().filter_map(|(run, _)| Some(run.as_ref()?.numbers.id)).collect();
        let kept: Vec<_> = stands(&machine.folders.state).into_iter().filter(|one| runs.contains(&one.run)).collect();
        let stderr = Terminal::stderr(self.global.color);
        for one in kept.iter().filter(|_| !self.global.quiet) {
            let (run, job) = (one.run, &one.job);
            let text = format!("kept: `pipe shell {run}/{job}` opens a shell, `pipe run --resume {run}` goes on in it");
            terminal::note(stderr, &text);
        }
        let is_wanted = self.args.on_fail == OnFail::Shell && !self.args.json;
        if let Some(first) = kept.first().filter(|_| is_wanted && std::io::stdin().is_terminal()) {
            // How the shell ends says nothing of the run.
            let _exit = crate::shell::open(&self.workflows.settings, first).await?;
        }
        Ok(())
    }

    /// The summaries of all runs, and the exit code.
    async fn report(&self, machine: &Machine, triggered: &[Triggered<'_>], conducted: &Conducted) -> Exit {
        let mut failed = Vec::new();
        for (one, (finished, record)) in triggered.iter().zip(&conducted.runs) {
            let Some(finished) = finished else { continue };
            self.summarise(machine, one, finished, record).await;
            match finished.conclusion() {
                Conclusion::Success | Conclusion::Skipped => {}
                // Its time limit or its group cancelled it: nobody asked for that here, so it has not succeeded.
                Conclusion::Failure | Conclusion::Cancelled => failed.push(one.workflow.display_name()),
            }
        }
        if triggered.len() > 1 && !self.args.json {
            let all = triggered.len();
            let text = match failed.as_slice() {
                [] => format!("\n{all} workflows"),
                failed => format!("\n{} of {all} workflows did not succeed: {}", failed.len(), failed.join(", ")),
            };
            let _gone = writeln!(std::io::stdout(), "{text}");
        }
        match (conducted.cancelled, failed.is_empty()) {
            (true, _) => Exit::Cancelled,
            (false, true) => Exit::Success,
            (false, false) => Exit::Failure,
        }
    }

    fn warn_of_short_secrets(&self) {
        let own = self.values.environments.values().flat_map(|one| &one.secrets);
        for (name, secret) in self.values.secrets.iter().chain(own) {
            if let Err(too_short) = Masker::new().add(secret.expose())
                && too_short.characters > 0
            {
                let text = format!("the secret `{name}` is shown where a step prints it: {too_short}");
                terminal::warning(Terminal::stderr(self.global.color), &text);
            }
        }
    }

    fn parallel(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.args.parallel.map(usize::from).or(self.workflows.settings.limits.parallel).unwrap_or(processors)
    }

    /// Whether some job of a plan will want a container, as far as that is known.
    fn needs_docker(&self, one: &Triggered<'_>, labels: &RunnerLabels) -> bool {
        let told = explain(&one.plan, &one.reading.sources);
        one.selected(&self.args.jobs).iter().any(|index| {
            let job = one.plan.job(*index);
            let JobKind::Steps(steps) = &job.job.kind else { return false };
            if job.prediction.is_skipped() || self.args.host {
                return false;
            }
            let place = one.plan.order.iter().position(|place| place == index);
            let runs_on = place.and_then(|place| told.jobs.get(place)?.runs_on.clone());
            let image = |wanted: Vec<String>| matches!(labels.resolve(&wanted), Ok(RunnerTarget::Image(_)));
            runs_on.is_none_or(image) || steps.container.is_some() || steps.services.is_some()
        })
    }

    /// The ids of the jobs to run; `None`: all. What is asked for in a called workflow runs its caller.
    fn selected(&self, one: &Triggered<'_>) -> Option<Vec<JobId>> {
        if self.args.jobs.is_empty() {
            return None;
        }
        let kept = one.selected(&self.args.jobs);
        let own = kept.iter().map(|index| one.plan.job(*index)).filter(|job| job.frame == FrameIndex(0));
        Some(own.map(|job| job.job.id.value.clone()).collect())
    }

    fn request(&self, one: &Triggered<'_>, labels: &RunnerLabels) -> Result<RunRequest, Failure> {
        let settings = &self.workflows.settings;
        Ok(RunRequest {
            workflow: Arc::new(one.workflow.clone()),
            event: Arc::clone(&one.event),
            inputs: Json::Object(one.inputs.clone()),
            vars: self.values.vars.clone(),
            secrets: environments::store(&self.values.secrets),
            environment_secrets: Some(Arc::new(LocalEnvironments::new(&self.values))),
            environments: Arc::new(local_rules(&settings.environments)),
            selected: self.selected(one),
            legs: values::matrix(&self.args.matrix)?,
            labels: labels.clone(),
            limits: Limits {
                memory_bytes: settings.limits.memory_bytes,
                cpus: settings.limits.cpus,
                ..Limits::default()
            },
            pull: match self.args.pull {
                Pull::Missing => PullPolicy::Missing,
                Pull::Always => PullPolicy::Always,
                Pull::Never => PullPolicy::Never,
            },
            env: self.values.env.clone(),
            repository: RepositoryFacts {
                folder: self.repository.root.clone(),
                name: self.repository.facts.repository.clone(),
                working_tree: true,
            },
            bind: self.args.bind,
            log_bytes_max: settings.limits.log_bytes,
            server_url: self.repository.facts.server_url.clone(),
            continues: self.resumed.as_ref().map_or(Continues::Nothing, |resumed| resumed.continues),
            before: self.resumed.as_ref().and_then(|resumed| resumed.mended.get().cloned()),
            asked: asked::of(self, one),
            carrier: self.resumed.as_ref().and_then(|resumed| resumed.carrier.take()),
            keep: self.args.on_fail != OnFail::Clean,
            from: match (&self.resumed, &self.args.from) {
                (Some(resumed), Some(from)) => vec![resumed.from(from, one.workflow)?],
                (Some(_) | None, _) => Vec::new(),
            },
        })
    }

    fn view(&self, bars: &indicatif::MultiProgress) -> Box<dyn View> {
        let (stdout, stderr) = (Terminal::stdout(self.global.color), Terminal::stderr(self.global.color));
        let (quiet, verbose) = (self.global.quiet, self.global.verbose > 0);
        let buffered = || std::io::BufWriter::with_capacity(64 * 1024, terminal::stdout_with_room());
        if self.args.json {
            return Box::new(JsonView::new(buffered()));
        }
        if stdout.interactive && stderr.interactive {
            let detail = if verbose { Detail::Verbose } else { Detail::Quiet };
            return Box::new(LiveView::new(stderr, detail, bars.clone()));
        }
        let detail = match (quiet, verbose) {
            (true, _) => Detail::Quiet,
            (false, true) => Detail::Verbose,
            (false, false) => Detail::Normal,
        };
        Box::new(PlainView::new(buffered(), stdout, detail))
    }

    async fn summarise(&self, machine: &Machine, one: &Triggered<'_>, finished: &Finished, record: &Record) {
        if self.args.json {
            return;
        }
        let logs = machine.folders.logs(finished.numbers.id);
        let again = self.again(one, record);
        // That they cannot be read is no reason to tell nothing.
        let tests = machine.store.reports().tests_of_run(finished.numbers.id).await.unwrap_or_default().words();
        let facts = SummaryFacts {
            workflow: one.workflow.display_name(),
            title: &finished.title,
            numbers: finished.numbers,
            logs: Logs::Folder(&logs),
            tests: tests.as_deref(),
            again: &again,
        };
        let text = summary(record, &facts, Terminal::stdout(self.global.color));
        let _gone = std::io::stdout().write_all(text.as_bytes());
    }

    /// A command that repeats the run; of a failed one only the jobs that failed.
    fn again(&self, one: &Triggered<'_>, record: &Record) -> String {
        let mut failed: Vec<&str> = Vec::new();
        for (key, job) in &record.jobs {
            let id = key.job.ids().next().unwrap_or_default();
            if job.finished.is_some_and(|(conclusion, _)| conclusion == Conclusion::Failure) && !failed.contains(&id) {
                failed.push(id);
            }
        }
        let jobs: Vec<&str> =
            if failed.is_empty() { self.args.jobs.iter().map(String::as_str).collect() } else { failed };
        let text = repeat::shown(self.args, self.global, one.event.name.as_str(), &one.reading.name, &jobs);
        asked::masker(&self.values).mask_str(&text).into_owned()
    }
}

/// What its lines are marked with: its name, or its file where another one is called the same.
fn label(one: &Triggered<'_>, all: &[Triggered<'_>]) -> String {
    let name = one.workflow.display_name();
    let same = all.iter().filter(|other| other.workflow.display_name() == name).count();
    if same > 1 { one.reading.name.clone() } else { name.to_owned() }
}
