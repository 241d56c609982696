//! `pipe shell`: a shell in the place of a job that failed and was kept, with the environment of its steps.
//!
//! It is the user's own shell: what it shows is not masked, and values of secrets are in its environment where they were
//! in that of the job.

use std::io::Write as _;
use std::process::Stdio;

use engine::local::{Inside, Stand, stands};
use engine::placement::ShellEnds;
use engine::store::RunId;
use nix::sys::termios::{self, SetArg, Termios};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::{Global, ShellArgs};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::run::{Signals, machine};
use crate::terminal;

/// Runs the command.
///
/// # Errors
/// There is no such place, or it is gone.
pub fn run(args: &ShellArgs, global: &Global) -> Result<Exit, Failure> {
    let settings = Settings::load(global, None)?;
    let kept = stands(&settings.paths.state);
    let Some(wanted) = &args.place else { return list(&kept, args.json) };
    let stand = find(&kept, wanted)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::environment(format!("cannot start the runtime: {error}")))?;
    let exit = runtime.block_on(open(&settings, stand));
    // Whoever reads the terminal cannot be broken off.
    runtime.shutdown_background();
    exit
}

/// The places that stand.
fn list(kept: &[Stand], json: bool) -> Result<Exit, Failure> {
    let mut output = terminal::results();
    if json {
        writeln!(output, "{:#}", serde_json::json!({ "places": kept }))?;
    } else if kept.is_empty() {
        writeln!(output, "no job's place is kept; `pipe run --on-fail keep` keeps those of jobs that fail")?;
    }
    for stand in kept.iter().filter(|_| !json) {
        let step = stand.step.as_ref().map(|(_, name)| format!(", failed at `{name}`")).unwrap_or_default();
        writeln!(output, "{}/{}  {}{step}, since {}", stand.run, stand.job, stand.runner, stand.at)?;
    }
    output.flush()?;
    Ok(Exit::Success)
}

/// The place that is meant by `RUN/JOB`, or by `RUN` where it has only one.
fn find<'a>(kept: &'a [Stand], wanted: &str) -> Result<&'a Stand, Failure> {
    let (run, job) = wanted.split_once('/').map_or((wanted, None), |(run, job)| (run, Some(job)));
    let run = match (run, kept.last()) {
        ("latest", Some(last)) => last.run,
        _ => run.trim_start_matches('#').parse().map(RunId).map_err(|_| {
            Failure::usage(format!("`{wanted}` names no job"))
                .help("write `pipe shell RUN/JOB`; `pipe shell` lists them")
        })?,
    };
    let of_run: Vec<_> = kept.iter().filter(|stand| stand.run == run).collect();
    let names = || of_run.iter().map(|stand| format!("{run}/{}", stand.job)).collect::<Vec<_>>().join(", ");
    match (job, of_run.as_slice()) {
        (_, []) => {
            let text = format!("no place of run {run} is kept");
            Err(Failure::new(Exit::Nothing, text).help("`pipe run --on-fail keep` keeps those of jobs that fail"))
        }
        (None, [only]) => Ok(only),
        (None, [_, ..]) => Err(Failure::usage(format!("run {run} has several places: {}", names()))),
        (Some(job), _) => of_run.iter().find(|stand| stand.job == job).copied().ok_or_else(|| {
            Failure::new(Exit::Nothing, format!("no place of `{job}` of run {run} is kept; there are {}", names()))
        }),
    }
}

/// Opens a shell in a place.
///
/// # Errors
/// It cannot be opened.
pub async fn open(settings: &Settings, stand: &Stand) -> Result<Exit, Failure> {
    let standing = machine::standing(settings)?;
    let failed = |error: std::io::Error| Failure::environment(format!("what is kept of it cannot be used: {error}"));
    let opened = standing.open(stand.run, &stand.job).map_err(failed)?;
    let Some((_, inside)) = opened else {
        return Err(Failure::new(Exit::Nothing, format!("the place of {}/{} stands no more", stand.run, stand.job)));
    };
    let code = match &stand.container {
        Some(container) => in_container(settings, container, &inside).await?,
        None => Some(here(&inside)?),
    };
    Ok(match code {
        Some(0) => Exit::Success,
        Some(_) => Exit::Failure,
        None => Exit::Cancelled,
    })
}

/// On this machine.
fn here(inside: &Inside) -> Result<i64, Failure> {
    let start = |shell: &str| {
        let mut command = std::process::Command::new(shell);
        command.env_clear().envs(inside.env.iter().map(|(name, value)| (name, value))).current_dir(&inside.cwd);
        for name in ["TERM", "COLORTERM"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.stdin(Stdio::inherit()).status()
    };
    let status = start("bash").or_else(|_| start("sh"));
    let status =
        status.map_err(|error| Failure::environment(format!("cannot open a shell in `{}`: {error}", inside.cwd)))?;
    Ok(i64::from(status.code().unwrap_or(1)))
}

/// `None`: a signal ended it. The keys of the terminal send none, they are the shell's.
async fn in_container(settings: &Settings, container: &str, inside: &Inside) -> Result<Option<i64>, Failure> {
    let docker = machine::docker(settings).await?;
    let mut signals =
        Signals::take().map_err(|error| Failure::environment(format!("cannot listen to signals: {error}")))?;
    let raw = Raw::set();
    let sizes = raw.as_ref().map(|_| sizes());
    let ends = ShellEnds { input: tokio::io::stdin(), output: tokio::io::stdout(), sizes };
    let code = tokio::select! {
        code = docker.shell(container, inside, ends) => code.map(Some),
        _name = signals.next() => Ok(None),
    };
    drop(raw);
    code.map_err(|error| Failure::environment(error.to_string()).help("`pipe gc` removes what is kept of it"))
}

/// A terminal that passes on every key; as it was before once this is dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> Option<Self> {
        let before = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _gone = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Columns and rows of the terminal, now and whenever they change.
fn sizes() -> mpsc::UnboundedReceiver<(u16, u16)> {
    let (sender, sizes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
        loop {
            let (rows, columns) = console::Term::stdout().size();
            if sender.send((columns, rows)).is_err() || changes.recv().await.is_none() {
                return;
            }
        }
    });
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_that_is_meant() {
        let stand = |run: u64, job: &str| Stand {
            run: RunId(run),
            job: job.to_owned(),
            runner: String::new(),
            step: None,
            at: jiff::Timestamp::UNIX_EPOCH,
            container: None,
            folders: Vec::new(),
            made_by: None,
        };
        let kept = [stand(1, "a"), stand(2, "deploy/b"), stand(2, "c(1)")];
        for (wanted, expected) in [
            ("1", Ok("a")),
            ("1/a", Ok("a")),
            ("2/deploy/b", Ok("deploy/b")),
            ("latest/c(1)", Ok("c(1)")),
            ("2", Err("run 2 has several places: 2/deploy/b, 2/c(1)")),
            ("1/b", Err("no place of `b` of run 1 is kept; there are 1/a")),
            ("3/a", Err("no place of run 3 is kept")),
            ("x", Err("`x` names no job")),
        ] {
            let found = find(&kept, wanted).map(|stand| stand.job.as_str()).map_err(|failure| failure.message);
            assert_eq!(found, expected.map_err(str::to_owned), "{wanted}");
        }
    }
}
