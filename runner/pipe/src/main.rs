//! The binary: composition only. Arguments are parsed, the command is run, its end becomes an exit code.

#![expect(unreachable_pub, reason = "a binary has no outside; `pub` means: for other modules")]

mod actions;
mod args;
mod backup;
mod check;
mod completions;
mod config;
mod doctor;
mod eval;
mod exit;
mod explain;
mod files;
mod gc;
mod graph;
mod happening;
mod hook;
mod labels;
mod list;
mod lock;
mod plan;
mod planning;
mod proxy;
mod reading;
mod remote;
mod render;
mod report;
mod repository;
mod run;
mod scan;
mod secret_file;
mod select;
mod serve;
mod shell;
mod table;
mod terminal;
mod values;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::terminal::{ColorChoice, Terminal};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let color = color_of(&arguments);
    match parse(arguments) {
        Ok(cli) => end(perform(cli), color),
        Err(Stop::Clap(error)) => {
            let _gone = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Success }.into()
        }
        Err(Stop::Failure(failure)) => end(Err(failure), color),
    }
}

enum Stop {
    Clap(clap::Error),
    Failure(Failure),
}

fn parse(arguments: Vec<OsString>) -> Result<Cli, Stop> {
    let command = args::command().color(clap_color(color_of(&arguments)));
    let folder = std::env::current_dir().unwrap_or_default();
    let check = |flags: &[String]| {
        let line = ["pipe", "run"].into_iter().chain(flags.iter().map(String::as_str));
        let error = args::command().try_get_matches_from(line).err().filter(clap::Error::use_stderr);
        error.map_or(Ok(()), |error| Err(first_line(&error)))
    };
    let arguments = args::with_actrc(arguments, &folder, &terminal::variable, &check)
        .map_err(|error| Stop::Failure(Failure::usage(error.to_string())))?;
    let matches = command.try_get_matches_from(arguments).map_err(Stop::Clap)?;
    Cli::from_arg_matches(&matches).map_err(Stop::Clap)
}

fn perform(cli: Cli) -> Result<Exit, Failure> {
    if let Some(folder) = &cli.global.directory {
        std::env::set_current_dir(folder)
            .map_err(|error| Failure::usage(format!("cannot work in `{}`: {error}", folder.display())))?;
    }
    match &cli.command {
        // These ask no machine; a run removes leftovers itself.
        Command::Run(_)
        | Command::Completions(_)
        | Command::Explain(_)
        | Command::Eval(_)
        | Command::Hook(_)
        | Command::Backup(_)
        | Command::Gc(_)
        | Command::Restore(_)
        | Command::Remote(_)
        | Command::Proxy(_)
        | Command::Shell(_)
        | Command::Serve(_) => {}
        Command::Plan(_)
        | Command::List(_)
        | Command::Graph(_)
        | Command::Check(_)
        | Command::Lock(_)
        | Command::Scan(_)
        | Command::Doctor(_) => {
            self::run::leftovers::remove(&cli.global);
        }
    }
    match cli.command {
        Command::Run(args) => self::run::run(&args, &cli.global),
        Command::Shell(args) => shell::run(&args, &cli.global),
        Command::Plan(args) => plan::run(&args, &cli.global),
        Command::List(args) => list::run(&args, &cli.global),
        Command::Graph(args) => graph::run(&args, &cli.global),
        Command::Completions(args) => completions::run(&args),
        Command::Check(args) => check::run(&args, &cli.global),
        Command::Lock(args) => self::lock::run(&args, &cli.global),
        Command::Explain(args) => explain::run(&args, &cli.global),
        Command::Eval(args) => eval::run(&args),
        Command::Serve(args) => serve::run(&args, &cli.global),
        Command::Proxy(args) => self::proxy::run(&args, &cli.global),
        Command::Scan(args) => scan::run(*args, &cli.global),
        Command::Doctor(args) => doctor::run(&args, &cli.global),
        Command::Hook(args) => hook::run(&args),
        Command::Backup(args) => backup::run(&args, &cli.global),
        Command::Gc(args) => gc::run(&args, &cli.global),
        Command::Restore(args) => backup::restore(&args, &cli.global),
        Command::Remote(command) => remote::run(command, &cli.global),
    }
}

fn end(result: Result<Exit, Failure>, color: ColorChoice) -> ExitCode {
    let failure = match result {
        Ok(exit) => return exit.into(),
        Err(failure) => failure,
    };
    if !failure.message.is_empty() {
        let terminal = Terminal::stderr(color);
        let error = terminal.strong(anstyle::AnsiColor::Red, "error:");
        let _gone = writeln!(std::io::stderr(), "{error} {}", failure.message);
        if let Some(help) = &failure.help {
            let _gone = writeln!(std::io::stderr(), "{} {help}", terminal.strong(anstyle::AnsiColor::Cyan, "help:"));
        }
    }
    failure.exit.into()
}

/// `--color` is wanted before the arguments are parsed: their errors are coloured too.
fn color_of(arguments: &[OsString]) -> ColorChoice {
    let texts: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let flag = texts.iter().enumerate().find_map(|(index, text)| match text.strip_prefix("--color=") {
        Some(value) => Some(value.to_owned()),
        None if text == "--color" => texts.get(index + 1).map(|value| value.clone().into_owned()),
        None => None,
    });
    let value = flag.or_else(|| terminal::variable("PIPE_COLOR"));
    value.and_then(|value| clap::ValueEnum::from_str(&value, true).ok()).unwrap_or_default()
}

fn clap_color(choice: ColorChoice) -> clap::ColorChoice {
    match choice {
        ColorChoice::Auto => clap::ColorChoice::Auto,
        ColorChoice::Always => clap::ColorChoice::Always,
        ColorChoice::Never => clap::ColorChoice::Never,
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
