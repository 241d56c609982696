//! `actions/download-artifact`, done natively: artifacts of this run, or of another one of the same repository.
//!
//! The digest is checked before a byte reaches the job. Inputs, outputs and folders follow
//! <https://github.com/actions/download-artifact/blob/main/README.md>.

use async_trait::async_trait;
use globset::GlobBuilder;

use super::artifact::check_name;
use super::patterns::Patterns;
use super::transfer::unpack;
use super::{failed, flag, input, switch, text};
use crate::kept::{Artifact, Kept};
use crate::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownloadArtifact;

#[async_trait]
impl BuiltInAction for DownloadArtifact {
    fn name(&self) -> &'static str {
        "actions/download-artifact"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        const INPUTS: &[InputFacts] = &[
            input("name", "", false, "The artifact; without it and `artifact-ids` all of the run"),
            input("artifact-ids", "", false, "Ids, with commas between them"),
            input("path", "", false, "The folder for the files; the workspace if not written"),
            input("pattern", "", false, "Which artifacts, by name"),
            switch("merge-multiple", "false", "Whether all go to the same folder instead of one each"),
            input("github-token", "", false, "Not needed: artifacts are kept here"),
            input("repository", "", false, "Only the repository of the run"),
            input("run-id", "", false, "The run; this one if not written"),
            switch(
                "skip-decompress",
                "false",
                "Whether the zip comes as it is, as a file with the artifact's name and `.zip`",
            ),
            input("digest-mismatch", "error", false, "Ignored: a damaged artifact is always an error"),
        ];
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let (name, ids) = (text(call, "name").to_owned(), text(call, "artifact-ids").to_owned());
        if !name.is_empty() && !ids.is_empty() {
            return Err(failed("Inputs 'name' and 'artifact-ids' cannot be used together. Please specify only one."));
        }
        let packed = flag(call, "skip-decompress")?;
        let merge = flag(call, "merge-multiple")?;
        let kept = call.run.kept.clone();
        let all = of_run(call, &kept)?;
        let (chosen, alone) = choose(call, &all, &name, &ids).await?;
        let path = folder(call)?;
        if chosen.is_empty() {
            call.log.warning("No artifacts were found").await;
        }
        for artifact in &chosen {
            let below = alone || merge;
            let to = if below { path.clone() } else { format!("{path}/{}", folder_of(&artifact.name)?) };
            get(call, &kept, artifact, (&to, packed)).await?;
        }
        call.log.line(&format!("Total of {} artifact(s) downloaded", chosen.len())).await;
        call.outputs.insert("download-path".to_owned(), path);
        Ok(())
    }
}

fn of_run(call: &ActionCall<'_>, kept: &Kept) -> Result<Vec<Artifact>, ActionError> {
    let own = &call.repository.name;
    let other = text(call, "repository");
    if !other.is_empty() && !other.eq_ignore_ascii_case(own) {
        return Err(failed(format!("`repository: {other}` is not the repository of this run ({own})")));
    }
    let keeper = &call.run.keeper;
    let mut all = match text(call, "run-id") {
        "" => keeper.artifacts(kept).map_err(failed)?,
        id => {
            let run = id.parse().map_err(|_| failed(format!("`run-id` must be a number, not `{id}`")))?;
            let attempt = if run == keeper.run { keeper.attempt } else { u32::MAX };
            kept.artifacts(run, attempt).map_err(failed)?
        }
    };
    all.retain(|artifact| artifact.repository == keeper.repository);
    Ok(all)
}

/// Which artifacts, and whether it is a single one that was named.
async fn choose(
    call: &mut ActionCall<'_>,
    all: &[Artifact],
    name: &str,
    ids: &str,
) -> Result<(Vec<Artifact>, bool), ActionError> {
    if !name.is_empty() {
        let found = all.iter().find(|artifact| artifact.name == name).cloned().ok_or_else(|| {
            let near = workflow::diagnostic::suggest(name, all.iter().map(|artifact| artifact.name.as_str()));
            let hint = near.map(|near| format!("\nDid you mean `{near}`?")).unwrap_or_default();
            failed(format!("Unable to download artifact(s): Artifact not found for name: {name}{hint}"))
        })?;
        return Ok((vec![found], true));
    }
    if !ids.is_empty() {
        let mut chosen = Vec::new();
        for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
            let number: u64 =
                id.parse().map_err(|_| failed(format!("Invalid artifact ID: '{id}'. Must be a number.")))?;
            match all.iter().find(|artifact| artifact.id == number) {
                Some(artifact) => chosen.push(artifact.clone()),
                None => call.log.warning(&format!("Could not find the following artifact IDs: {id}")).await,
            }
        }
        if chosen.is_empty() {
            return Err(failed("None of the provided artifact IDs were found"));
        }
        let alone = chosen.len() == 1;
        return Ok((chosen, alone));
    }
    let pattern = text(call, "pattern").to_owned();
    if pattern.is_empty() {
        return Ok((all.to_vec(), false));
    }
    let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| failed(format!("`pattern: {pattern}`: {error}")))?.compile_matcher();
    Ok((all.iter().filter(|artifact| glob.is_match(&artifact.name)).cloned().collect(), false))
}

fn folder(call: &ActionCall<'_>) -> Result<String, ActionError> {
    let written = text(call, "path");
    let written = if written.is_empty() { "." } else { written };
    // Read as the other actions read a path, but never as a pattern.
    let literal = written.replace('[', "[[]");
    let patterns = Patterns::read(&literal, &call.workspace.inside, &call.run.home).map_err(failed)?;
    let root = patterns.plain().and_then(|paths| paths.into_iter().next());
    root.ok_or_else(|| failed(format!("`path: {written}` must be a folder, not a pattern")))
}

/// The folder of one of several artifacts. What a state has that an older version kept is asked too.
fn folder_of(name: &str) -> Result<&str, ActionError> {
    check_name(name).map(|()| name).map_err(failed)
}

/// Puts an artifact into a folder: its files, or `packed` as one.
async fn get(
    call: &mut ActionCall<'_>,
    kept: &Kept,
    artifact: &Artifact,
    (to, packed): (&str, bool),
) -> Result<(), ActionError> {
    let Artifact { name, id, bytes, .. } = artifact;
    call.log.line(&format!("Downloading artifact {name} (id {id}, {bytes} bytes) to {to}")).await;
    let (from, wanted) = (kept.clone(), artifact.clone());
    let opened =
        tokio::task::spawn_blocking(move || if packed { from.packed_of(&wanted) } else { from.tar_of(&wanted) });
    let opened = opened.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let mut archive = opened.map_err(|error| failed(format!("the artifact {name}: {error}")))?.archive;
    unpack(call, to, move |file| std::io::copy(&mut archive, file).map(drop))
        .await
        .map_err(|error| failed(format!("Unable to download artifact {name}: {error}")))?;
    call.log.line("Artifact download completed successfully.").await;
    Ok(())
}
