//! `fake-aws`: the fake as a process of its own, for tools that are no Rust. Prints the variables with which SDKs find it, and
//! ends with its standard input: whoever started it takes it along, however it ends.
//!
//! `fake-aws [--port N] [--speed N] [--containers] [--region NAME] [--models FOLDER]`

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use fake_aws::{Fake, Options};

fn options() -> Result<Options, String> {
    let mut options = Options { speed: 1.0, ..Options::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--port" => options.port = value()?.parse().map_err(|_| "--port needs a number".to_owned())?,
            "--speed" => options.speed = value()?.parse().map_err(|_| "--speed needs a number".to_owned())?,
            "--containers" => options.containers = true,
            "--region" => options.region = value()?,
            "--models" => options.models = Some(value()?.into()),
            _ => {
                return Err(format!(
                    "{word} is not known: fake-aws [--port N] [--speed N] [--containers] [--region NAME] [--models FOLDER]"
                ));
            }
        }
    }
    Ok(options)
}

fn run() -> Result<(), String> {
    let fake = Fake::start(options()?)?;
    let mut out = std::io::stdout().lock();
    for (name, value) in fake.environment() {
        writeln!(out, "{name}={value}").map_err(|error| error.to_string())?;
    }
    writeln!(out).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    let mut rest = Vec::new();
    // Whatever comes, its end is what is waited for.
    let _read = std::io::stdin().read_to_end(&mut rest);
    fake.stop()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = writeln!(std::io::stderr(), "fake-aws: {error}");
            ExitCode::FAILURE
        }
    }
}
