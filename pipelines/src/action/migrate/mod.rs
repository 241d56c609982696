//! `pipe/migrate`: a database follows the code in two phases, so that both revisions of a rollout work with it.
//!
//! `expand` adds what the new revision needs and the old one does not mind; it runs before the rollout. `contract` takes away what
//! only the old one needed; it runs after it, and is refused while the old one has traffic. See
//! <https://martinfowler.com/bliki/ParallelChange.html>. It lists what is pending before anything is applied, and says what of it
//! cannot be undone: a deployment that is told so does not go back by itself. Migrations themselves are applied by a command of
//! the user's; this action speaks to no database.

mod container;
mod files;
mod inputs;
mod ledger;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use async_trait::async_trait;
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use engine::store::rollouts::Rollouts;
use jiff::Timestamp;
use rollout::migration::Phase;
use serde_json::json;
use sha2::{Digest as _, Sha256};

pub use self::inputs::{INPUTS, OUTPUTS};

use self::files::Migration;
use self::inputs::Wanted;
use self::ledger::Ledger;
use super::plan_hash;
use super::script::{self, Output, Script};

/// Longest list of pending migrations.
const LIST_BYTES_MAX: usize = 1024 * 1024;

/// The action.
#[derive(Debug, Clone, Default)]
pub struct Migrate {
    /// Labels of the containers that it starts, by which clean-up finds them.
    pub labels: BTreeMap<String, String>,
    /// The rollouts by which it knows what has traffic.
    pub rollouts: Option<Rollouts>,
}

#[async_trait]
impl BuiltInAction for Migrate {
    fn name(&self) -> &'static str {
        "pipe/migrate"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    fn refuses_unknown_inputs(&self) -> bool {
        true
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let wanted = Wanted::of(call).map_err(ActionError::Failed)?;
        let known = files::all(&call.workspace.host, &wanted.migrations).map_err(ActionError::Failed)?;
        let mut ledger =
            Ledger::open(&call.run.state, &wanted.environment, &wanted.database).map_err(ActionError::Failed)?;
        let pending = pending(call, &wanted, &known, &ledger).await?;
        let plan = Plan::of(&wanted, &pending).map_err(ActionError::Failed)?;
        plan.tell(call, &wanted).await;
        let refused = self.refusal(call, &wanted).await;
        if wanted.dry_run {
            let text = match &refused {
                Some(reason) => format!("Dry run: it would be refused, {reason}"),
                None => "Dry run: nothing was applied".to_owned(),
            };
            call.log.line(&text).await;
            return Ok(());
        }
        if plan.now.is_empty() {
            return Ok(());
        }
        if let Some(reason) = refused {
            return Err(ActionError::Failed(format!("the phase `contract` is refused: {reason}")));
        }
        self.apply(call, &wanted, &plan, &mut ledger).await
    }
}

impl Migrate {
    /// Why nothing may be taken away now.
    async fn refusal(&self, call: &mut ActionCall<'_>, wanted: &Wanted) -> Option<String> {
        if wanted.phase == Phase::Expand {
            return None;
        }
        let Some(rollouts) = &self.rollouts else {
            return Some(
                "it is not known here which revision has traffic; run it where the service is deployed from".to_owned(),
            );
        };
        for service in &wanted.services {
            match standing::has_no_old_traffic(rollouts, (&wanted.environment, service), &call.run.sha).await {
                Ok(words) => call.log.line(&words).await,
                Err(reason) => return Some(reason),
            }
        }
        None
    }

    async fn apply(
        &self,
        call: &mut ActionCall<'_>,
        wanted: &Wanted,
        plan: &Plan<'_>,
        ledger: &mut Ledger,
    ) -> Result<(), ActionError> {
        let run = call.run.id.0;
        let mut keep = |applied: &[&Migration]| ledger.add(applied, Timestamp::now(), run).map_err(ActionError::Failed);
        let (applied, problem) = match &wanted.image {
            None => {
                let notes = format!("{}/applied-{}", call.job.facts().run_directory.trim_end_matches('/'), call.step);
                let text = plan.script(wanted, &notes);
                let script = Script { number: 2, text: &text, env: plan.env(wanted) };
                let ran = script::run(call, &script, Output::Log).await?;
                let problem = ran.problem().map(|problem| format!("the command {problem}"));
                let written = call.job.read_file(&notes, LIST_BYTES_MAX as u64).await;
                let written =
                    written.map_err(|error| ActionError::Failed(format!("what was applied is not known: {error}")))?;
                let applied = plan.applied(wanted, &written.unwrap_or_default(), problem.is_none());
                keep(&applied)?;
                ran.forget();
                (applied, problem)
            }
            Some(image) => {
                let folder = call.run.state.join("migrations").join(format!("run-{run}-{}", call.step));
                let failed = |error: std::io::Error| ActionError::Failed(format!("{}: {error}", folder.display()));
                std::fs::create_dir_all(&folder).map_err(failed)?;
                let text = plan.script(wanted, &format!("{}/applied", container::NOTES));
                let env = plan.env(wanted);
                let ran = container::run(call, wanted, (image, &self.labels), (&text, env), &folder).await;
                let written = std::fs::read(folder.join("applied")).unwrap_or_default();
                let applied = plan.applied(wanted, &written, ran.is_ok());
                keep(&applied)?;
                std::fs::remove_dir_all(&folder).map_err(failed)?;
                match ran {
                    Ok(()) => (applied, None),
                    Err(ActionError::Failed(problem)) => (applied, Some(problem)),
                    Err(ActionError::Cancelled) => return Err(ActionError::Cancelled),
                }
            }
        };
        call.outputs.insert("applied".into(), names(&applied));
        let left: Vec<&str> =
            plan.now.iter().filter(|one| !applied.contains(one)).map(|migration| migration.name.as_str()).collect();
        match problem {
            None => {
                call.log.line(&format!("Applied {} of {} migrations", applied.len(), plan.now.len())).await;
                Ok(())
            }
            Some(problem) if wanted.each => {
                let text = format!("{problem}; applied: {}, not: {}", applied.len(), left.join(", "));
                Err(ActionError::Failed(text))
            }
            Some(problem) => Err(ActionError::Failed(format!("{problem}; what of it was applied the tool knows"))),
        }
    }
}

/// What is pending: as the user's command says, else what was not applied from here.
async fn pending<'a>(
    call: &mut ActionCall<'_>,
    wanted: &Wanted,
    known: &'a [Migration],
    ledger: &Ledger,
) -> Result<Vec<&'a Migration>, ActionError> {
    let Some(text) = &wanted.pending else {
        for migration in known.iter().filter(|migration| ledger.differs(migration)) {
            call.log
                .warning(&format!("{} was changed after it was applied; it is not applied again", migration.name))
                .await;
        }
        return Ok(known.iter().filter(|migration| !ledger.has(migration)).collect());
    };
    let script = Script { number: 1, text, env: wanted.env.clone() };
    let ran = script::run(call, &script, Output::Kept(LIST_BYTES_MAX)).await?;
    let said = String::from_utf8_lossy(&ran.output).into_owned();
    if let Some(problem) = ran.problem() {
        call.log.output(said.as_bytes()).await;
        call.log.end_of_output().await;
        return Err(ActionError::Failed(format!("the command of `pending` {problem}")));
    }
    ran.forget();
    let mut all = Vec::new();
    for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name = line.rsplit('/').next().unwrap_or(line);
        let stem = |migration: &Migration| migration.name.rsplit_once('.').is_some_and(|(stem, _)| stem == name);
        let Some(found) = known.iter().find(|one| one.name == name || stem(one)) else {
            let text = format!(
                "`pending` names `{line}`, which is not in {}: each line must be a file of it",
                wanted.migrations
            );
            return Err(ActionError::Failed(text));
        };
        all.push(found);
    }
    Ok(all)
}

/// What is to be done.
#[derive(Debug)]
struct Plan<'a> {
    pending: &'a [&'a Migration],
    /// Those of this phase.
    now: Vec<&'a Migration>,
    json: serde_json::Value,
}

impl<'a> Plan<'a> {
    fn of(wanted: &Wanted, pending: &'a [&'a Migration]) -> Result<Self, String> {
        let now: Vec<&Migration> = pending
            .iter()
            .copied()
            .filter(|one| wanted.phase == Phase::Contract || one.phase == Phase::Expand)
            .collect();
        let early = pending.iter().find(|one| !now.contains(one));
        if let Some(early) = early.filter(|_| !wanted.each && !now.is_empty()) {
            let why = early.breaks.as_deref().unwrap_or("it is marked so");
            return Err(format!(
                "{} belongs to the phase `contract` ({why}), and `command` would apply it with the others. Bring it with a later \
                 release, set `each: true` with a command for one file, or mark it with `-- pipe: expand` if it does no harm",
                early.name
            ));
        }
        let json = json!({
            "environment": wanted.environment, "database": wanted.database, "phase": wanted.phase, "command": wanted.command,
            "image": wanted.image, "each": wanted.each, "migrations": now,
        });
        Ok(Self { pending, now, json })
    }

    /// Lists it, with what cannot be undone, and sets the outputs.
    async fn tell(&self, call: &mut ActionCall<'_>, wanted: &Wanted) {
        let text = self.json.to_string();
        let hash = plan_hash(&self.json);
        let of = if wanted.environment.is_empty() { String::new() } else { format!(" of {}", wanted.environment) };
        let database = &wanted.database;
        call.log
            .line(&format!("Database {database}{of}, phase {}: {} pending", wanted.phase.word(), self.pending.len()))
            .await;
        let mut summary = format!("### Migrations ({})\n\n", wanted.phase.word());
        for migration in self.pending {
            let when = if self.now.contains(migration) { "now" } else { "later, in the phase contract" };
            let why = match (&migration.irreversible, &migration.breaks) {
                (Some(why), _) => format!("; cannot be undone: {why}"),
                (None, Some(why)) => format!("; the old revision may not work with it: {why}"),
                (None, None) => String::new(),
            };
            call.log.line(&format!("  {} ({when}){why}", migration.name)).await;
            let _infallible = writeln!(summary, "- `{}` ({when}){why}", migration.name.replace('`', "'"));
        }
        let irreversible: Vec<String> =
            self.now.iter().filter_map(|one| Some(format!("{} ({})", one.name, one.irreversible.as_ref()?))).collect();
        let irreversible = irreversible.join("; ");
        if !irreversible.is_empty() {
            let text = format!("cannot be undone: {irreversible}. A deployment after it does not go back by itself");
            call.log.warning(&text).await;
            let _infallible = writeln!(summary, "\n**{}**", text.replace(['*', '`'], "'"));
        }
        call.log.line(&format!("Plan {hash}")).await;
        if !self.pending.is_empty() {
            call.summary.push_str(&summary);
        }
        call.outputs.insert("pending".into(), names(self.pending));
        call.outputs.insert("applied".into(), String::new());
        call.outputs.insert("irreversible".into(), irreversible);
        call.outputs.insert("plan".into(), text);
        call.outputs.insert("plan-hash".into(), hash);
    }

    fn env(&self, wanted: &Wanted) -> Vec<(String, String)> {
        let paths: Vec<&str> = self.now.iter().map(|migration| migration.path.as_str()).collect();
        let own = [
            ("PIPE_PHASE".to_owned(), wanted.phase.word().to_owned()),
            ("PIPE_MIGRATIONS".to_owned(), paths.join("\n")),
        ];
        wanted.env.iter().cloned().chain(own).collect()
    }

    /// What the shell gets. With `each`, a file is noted once its command has succeeded.
    fn script(&self, wanted: &Wanted, notes: &str) -> String {
        if !wanted.each {
            return wanted.command.clone();
        }
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        self.now.iter().fold(String::new(), |mut script, migration| {
            let (path, name, notes) = (quoted(&migration.path), quoted(&migration.name), quoted(notes));
            let command = &wanted.command;
            let _infallible = writeln!(
                script,
                "echo {name}\nexport PIPE_MIGRATION={path}\n(\n{command}\n)\nprintf '%s\\n' {name} >> {notes}"
            );
            script
        })
    }

    fn applied(&self, wanted: &Wanted, notes: &[u8], is_success: bool) -> Vec<&'a Migration> {
        if !wanted.each {
            return if is_success { self.now.clone() } else { Vec::new() };
        }
        let notes = String::from_utf8_lossy(notes);
        self.now.iter().copied().filter(|migration| notes.lines().any(|line| line == migration.name)).collect()
    }
}

fn names(all: &[&Migration]) -> String {
    all.iter().map(|migration| migration.name.as_str()).collect::<Vec<_>>().join("\n")
}

/// SHA-256 as hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
