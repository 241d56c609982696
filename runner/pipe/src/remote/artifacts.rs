//! `pipe artifacts`: what runs left, listed and brought here.
//!
//! An archive is received whole and held against its digest before anything of it is unpacked.

use std::io::{Seek as _, Write as _};
use std::path::Path;

use axum::http::Method;
use futures_util::StreamExt as _;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::client::{Client, escaped};
use super::connect::connect;
use super::{number, print, shown};
use crate::args::{ArtifactsCommand, Connect, Global};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

pub(super) async fn run(command: ArtifactsCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        ArtifactsCommand::Ls { run, connect } => list(&run, &connect, global).await,
        ArtifactsCommand::Get { run, name, dir, connect } => get(&run, name.as_deref(), &dir, &connect).await,
    }
}

async fn list(run: &str, args: &Connect, global: &Global) -> Result<Exit, Failure> {
    let client = connect(args).await?;
    let run = number(&client, run).await?;
    let value = client.get(&format!("/runs/{run}/artifacts")).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.json, &value, |value| {
        let rows: Vec<_> = artifacts(value).map(row).collect();
        if rows.is_empty() {
            return format!("run {run} has no artifacts\n");
        }
        table::render(&["NAME", "FILES", "SIZE", "JOB", "EXPIRES", "DIGEST"], &rows, terminal)
    })
}

fn artifacts(value: &Json) -> impl Iterator<Item = &Json> {
    value["artifacts"].as_array().into_iter().flatten()
}

fn row(artifact: &Json) -> Vec<String> {
    let digest = shown(&artifact["digest"]);
    vec![
        shown(&artifact["name"]),
        shown(&artifact["files"]),
        size(artifact["bytes"].as_u64().unwrap_or_default()),
        shown(&artifact["job"]),
        shown(&artifact["expires_at"]).chars().take(10).collect(),
        digest.chars().take("sha256:".len() + 12).collect(),
    ]
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

async fn get(run: &str, name: Option<&str>, dir: &Path, args: &Connect) -> Result<Exit, Failure> {
    let client = connect(args).await?;
    let run = number(&client, run).await?;
    let value = client.get(&format!("/runs/{run}/artifacts")).await?;
    let wanted: Vec<&Json> = artifacts(&value).filter(|one| name.is_none_or(|name| one["name"] == *name)).collect();
    if wanted.is_empty() {
        let Some(name) = name else {
            return Err(Failure::new(Exit::Nothing, format!("run {run} has no artifacts")));
        };
        let known: Vec<_> = artifacts(&value).map(|one| shown(&one["name"])).collect();
        let help = (!known.is_empty()).then(|| format!("it has {}", known.join(", ")));
        return Err(Failure::usage(format!("run {run} has no artifact `{name}`")).maybe_help(help));
    }
    let mut told = Vec::new();
    for artifact in wanted {
        let own = artifact["name"].as_str().unwrap_or_default();
        // Of all artifacts each has its own folder; what is named goes where it is wanted.
        let to = match name {
            Some(_) => dir.to_path_buf(),
            None => dir.join(folder_name(own)?),
        };
        let files = fetch(&client, run, artifact, &to).await?;
        told.push(json!({ "name": own, "files": files, "folder": to.display().to_string() }));
    }
    print(args.json, &json!({ "run": run, "artifacts": told }), |value| {
        let line =
            |one: &Json| format!("{}: {} files in {}\n", shown(&one["name"]), one["files"], shown(&one["folder"]));
        artifacts(value).map(line).collect()
    })
}

/// A name as a folder: never a way to another one.
fn folder_name(name: &str) -> Result<&str, Failure> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
        let help = "give its name and --dir to get it";
        return Err(Failure::usage(format!("the artifact `{name}` cannot have a folder of its name")).help(help));
    }
    Ok(name)
}

async fn fetch(client: &Client, run: u64, artifact: &Json, to: &Path) -> Result<u64, Failure> {
    let name = artifact["name"].as_str().unwrap_or_default();
    let failed = |error: &dyn std::fmt::Display| Failure::environment(format!("the artifact `{name}`: {error}"));
    let path = format!("/runs/{run}/artifacts/{}", escaped(name));
    let response = client.send(Method::GET, &path, None, &[]).await?;
    // What a client of GitHub uploaded is packed anew: then the answer says which digest that has.
    let said = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().trim_matches('"');
    let expect = if said.is_empty() { shown(&artifact["digest"]) } else { format!("sha256:{said}") };
    let mut stream = response.into_body().into_data_stream();
    std::fs::create_dir_all(to).map_err(|error| failed(&error))?;
    let mut file = tempfile::tempfile_in(to).map_err(|error| failed(&error))?;
    let mut hash = Sha256::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| failed(&format!("it ended early: {error}")))?;
        hash.update(&bytes);
        file.write_all(&bytes).map_err(|error| failed(&error))?;
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if expect != format!("sha256:{digest}") {
        return Err(failed(&format!("what came has the digest {digest}, which is not its own; nothing was unpacked")));
    }
    file.rewind().map_err(|error| failed(&error))?;
    let to = to.to_path_buf();
    let unpacked = tokio::task::spawn_blocking(move || engine::kept::unpack(std::io::BufReader::new(file), &to)).await;
    unpacked.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_ways() {
        for (name, fine) in [("a", true), ("a b", true), ("..", false), (".", false), ("a/b", false), ("", false)] {
            assert_eq!(folder_name(name).is_ok(), fine, "{name}");
        }
        assert_eq!([size(999), size(1_500), size(2_500_000)], ["999 B", "1.5 kB", "2.5 MB"]);
    }
}
