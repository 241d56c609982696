//! `pipe logs`: what the jobs of a run printed, whole or as it comes.

use std::io::Write;

use axum::http::Method;
use futures_util::StreamExt as _;
use serde_json::{Value as Json, json};

use super::client::{Client, escaped};
use super::connect::connect;
use super::watch::{Wish, follow};
use super::{number, place, shown};
use crate::args::{Global, LogsArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

pub(super) async fn run(args: &LogsArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let run = number(&client, &args.run).await?;
    let value = client.get(&format!("/runs/{run}")).await?;
    if args.follow {
        let job = args.job.as_deref().map(|job| key(&value, job)).transpose()?;
        return follow(
            &client,
            &Wish { run, job, json: args.connect.json, place: place(&args.connect), until_review: false },
            global,
        )
        .await;
    }
    let wanted = args.job.as_deref().map(|job| keys(&value, job)).transpose()?;
    let jobs: Vec<&Json> = value["jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|job| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|key| job["key"] == **key)))
        .filter(|job| !args.failed || job["conclusion"] == "failure")
        .filter(|job| !job["started_at"].is_null() && job["calls"] != true)
        .collect();
    if jobs.is_empty() {
        return Err(Failure::new(Exit::Nothing, "there is no log of such a job"));
    }
    if args.connect.json {
        let mut logs = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut log = Vec::new();
            copy(&client, job, args.timestamps, &mut log).await?;
            let log = String::from_utf8_lossy(&log);
            let [key, name, conclusion] = ["key", "name", "conclusion"].map(|field| &job[field]);
            logs.push(json!({ "key": key, "name": name, "conclusion": conclusion, "log": log }));
        }
        return super::print(true, &json!({ "run": run, "jobs": logs }), |_| String::new());
    }
    let terminal = Terminal::stdout(global.color);
    for job in &jobs {
        if jobs.len() > 1 {
            let mut output = terminal::results();
            writeln!(output, "{}", terminal.bold(&format!("── {} ──", shown(&job["name"]))))?;
            output.flush()?;
        }
        copy(&client, job, args.timestamps, &mut std::io::stdout()).await?;
    }
    Ok(Exit::Success)
}

/// The key of a job that is named by its key, its name or its id.
fn key(run: &Json, wanted: &str) -> Result<String, Failure> {
    let jobs = || run["jobs"].as_array().into_iter().flatten();
    let found = jobs().find(|job| ["key", "name", "id"].iter().any(|field| job[*field] == *wanted));
    found.and_then(|job| job["key"].as_str()).map(str::to_owned).ok_or_else(|| {
        let known: Vec<_> = jobs().map(|job| shown(&job["key"])).collect();
        Failure::usage(format!("the run has no job `{wanted}`")).help(format!("its jobs: {}", known.join(", ")))
    })
}

/// The keys of all legs of a job, or of the one that is named.
fn keys(run: &Json, wanted: &str) -> Result<Vec<String>, Failure> {
    let jobs = run["jobs"].as_array().into_iter().flatten().filter_map(|job| job["key"].as_str());
    let is_leg = |key: &&str| key.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('('));
    let legs: Vec<String> = jobs.filter(is_leg).map(str::to_owned).collect();
    if legs.is_empty() { key(run, wanted).map(|key| vec![key]) } else { Ok(legs) }
}

/// The bytes as they are stored, or with the time before each line.
async fn copy(client: &Client, job: &Json, timestamps: bool, output: &mut dyn Write) -> Result<(), Failure> {
    let id = job["id"].as_str().unwrap_or_default();
    let times = if timestamps { "?times=true" } else { "" };
    let response = client.send(Method::GET, &format!("/jobs/{}/log/raw{times}", escaped(id)), None, &[]).await?;
    let mut stream = response.into_body().into_data_stream();
    let mut ends_line = true;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| Failure::environment(format!("the log ended early: {error}")))?;
        output.write_all(&bytes)?;
        ends_line = bytes.last().is_none_or(|last| *last == b'\n');
    }
    if !ends_line {
        writeln!(output)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_its_key_or_name_and_its_legs_by_its_id() {
        let job = |key: &str, name: &str| json!({ "key": key, "name": name, "id": format!("7:{key}") });
        let jobs = [
            job("a(0)", "a (1)"),
            job("a(1)", "a (2)"),
            job("b", "Build"),
            job("ab(0)", "ab (x)"),
            job("m/a(0)", "m / a"),
        ];
        let run = json!({ "jobs": jobs });
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        for (wanted, expected) in [
            ("a", &["a(0)", "a(1)"][..]),
            ("a (2)", &["a(1)"]),
            ("a(0)", &["a(0)"]),
            ("Build", &["b"]),
            ("b", &["b"]),
            ("7:b", &["b"]),
            ("m/a", &["m/a(0)"]),
        ] {
            assert_eq!(keys(&run, wanted).ok().as_deref(), Some(owned(expected).as_slice()), "{wanted}");
        }
        assert!(keys(&run, "c").is_err());
    }
}
