//! `pipe lock`: writes down which commit each action is that the workflows use.

use std::io::Write as _;
use std::path::Path;

use engine::actions::lock::{LOCK_FILE, Lock};
use workflow::model::{Job, JobKind, Step, Uses};

use crate::actions::Names;
use crate::args::{Global, LockArgs};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::select::Workflows;

/// Runs the command.
pub fn run(args: &LockArgs, global: &Global) -> Result<Exit, Failure> {
    let workflows = Workflows::load_with(&args.selection, None, global, Some((&args.actions, Names::Anew)))?;
    let root = files::repository_root(Path::new(".")).ok_or_else(|| {
        Failure::usage("this is no repository").help("run it in the repository whose workflows are meant")
    })?;
    let (mut steps, mut calls): (Vec<&Step>, Vec<Uses>) = (Vec::new(), Vec::new());
    for reading in &workflows.readings {
        let Some(workflow) = &reading.workflow else {
            let message = format!("`{}` is not valid, so nothing was written", reading.finding().file);
            return Err(Failure::new(Exit::Invalid, message).help("`pipe check` says what is wrong"));
        };
        gather(workflow.jobs.values(), &mut steps, &mut calls);
    }
    let store = crate::actions::store(&args.actions, None, &workflows.settings.paths.cache).asking_anew();
    let built_in = pipelines::action::built_in();
    let mode = args.actions.builtin_actions;
    let is_built_in = |name: &str| built_in.get(name).is_some_and(|action| mode.prefers(&**action, false));
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    let lock = runtime.block_on(Lock::of(&store, (calls, &steps), root.as_path(), is_built_in));
    let lock = lock.map_err(|error| Failure::environment(error.to_string()))?;
    let path = root.join(LOCK_FILE);
    let folder = path.parent().unwrap_or(&root);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, lock.text()))
        .map_err(|error| Failure::environment(format!("cannot write `{}`: {error}", path.display())))?;
    if !global.quiet {
        let plural = if lock.len() == 1 { "" } else { "s" };
        let _gone = writeln!(std::io::stdout(), "{LOCK_FILE}: {} action{plural}", lock.len());
    }
    Ok(Exit::Success)
}

/// The steps of jobs and of workflows that they call, and which of those are other repositories'.
fn gather<'a>(jobs: impl Iterator<Item = &'a Job>, steps: &mut Vec<&'a Step>, calls: &mut Vec<Uses>) {
    for job in jobs {
        match &job.kind {
            JobKind::Steps(own) => steps.extend(&own.steps),
            JobKind::Call(call) => {
                calls.extend(elsewhere(&call.reference.value));
                if let Some(called) = &call.called {
                    gather(called.jobs.values(), steps, calls);
                }
            }
        }
    }
}

/// The repository of a called workflow, if it is another one.
fn elsewhere(reference: &str) -> Option<Uses> {
    let (path, version) = reference.strip_prefix("./").is_none().then(|| reference.rsplit_once('@'))??;
    let mut parts = path.splitn(3, '/');
    let repository = format!("{}/{}", parts.next()?, parts.next()?);
    Some(Uses::Repository { repository, path: parts.next()?.to_owned(), reference: version.to_owned() })
}
