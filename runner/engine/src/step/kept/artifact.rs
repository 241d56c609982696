//! `actions/upload-artifact`, done natively: files of a job become an artifact of its run.
//!
//! Inputs, outputs, the choice of the common folder and the words follow
//! <https://github.com/actions/upload-artifact/blob/main/README.md>; as there, modes are not kept, links are followed and
//! hidden files are left out unless they are asked for.

use async_trait::async_trait;
use workflow::catalogue::{Form, Wrong};

use super::archive::{Kind, Places, TakenIn, take_in};
use super::patterns::{Patterns, common, is_below};
use super::transfer::{Find, find, pack};
use super::{NO_FILES, failed, flag, input, switch, text};
use crate::blobs::BlobDigest;
use crate::kept::{self, Artifact, Kept, KeptError, now};
use crate::step::{ActionCall, ActionError, BuiltInAction, InputFacts};

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
/// What clients are told that a file is which is kept as it is.
const KIND: &str = "application/octet-stream";

/// What no name of a file or an artifact may hold, and what GitHub calls it.
const FORBIDDEN_IN_PATHS: [(char, &str); 9] = [
    ('"', " Double quote \""),
    (':', " Colon :"),
    ('<', " Less than <"),
    ('>', " Greater than >"),
    ('|', " Vertical bar |"),
    ('*', " Asterisk *"),
    ('?', " Question mark ?"),
    ('\r', " Carriage return \\r"),
    ('\n', " Line feed \\n"),
];
const FORBIDDEN_IN_NAMES: [(char, &str); 2] = [('\\', " Backslash \\"), ('/', " Forward slash /")];

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct UploadArtifact;

#[async_trait]
impl BuiltInAction for UploadArtifact {
    fn name(&self) -> &'static str {
        "actions/upload-artifact"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        const INPUTS: &[InputFacts] = &[
            input("name", "artifact", false, "The artifact's name"),
            input("path", "", true, "Files, folders and patterns, one a line; `!` takes out"),
            input("if-no-files-found", "warn", false, "warn, error or ignore").form(NO_FILES),
            input(
                "retention-days",
                "",
                false,
                "Days until it is removed; as the server has it if not written, and no more",
            )
            .form(Form::Read(|_, text| Wrong::of(days(text)))),
            input("compression-level", "6", false, "0 to 9").form(Form::Read(|_, text| Wrong::of(level(text)))),
            switch("overwrite", "false", "Whether one of the same name in the run is replaced"),
            switch("include-hidden-files", "false", "Whether files and folders that begin with a dot come along"),
            switch("archive", "true", "`false`: one file as it is, whose name is the artifact's"),
        ];
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let name = text(call, "name").to_owned();
        check_name(&name).map_err(ActionError::Failed)?;
        let (overwrite, hidden) = (flag(call, "overwrite")?, flag(call, "include-hidden-files")?);
        let archive = flag(call, "archive")?;
        let missing = text(call, "if-no-files-found").to_owned();
        if !["warn", "error", "ignore"].contains(&missing.as_str()) {
            return Err(failed(format!(
                "Unrecognized if-no-files-found input. Provided: {missing}. Available options: warn,error,ignore"
            )));
        }
        let level = level(text(call, "compression-level"))?;
        let days = self.days(call).await?;
        let found = found(call, hidden).await?;
        if found.files.is_empty() {
            let path = text(call, "path");
            let message = format!("No files were found with the provided path: {path}. No artifacts will be uploaded.");
            return match missing.as_str() {
                "error" => Err(ActionError::Failed(message)),
                "warn" => {
                    call.log.warning(&message).await;
                    Ok(())
                }
                _ => {
                    call.log.line(&message).await;
                    Ok(())
                }
            };
        }
        let count = found.files.len();
        let plural = if count == 1 { "" } else { "s" };
        call.log.line(&format!("With the provided path, there will be {count} file{plural} uploaded")).await;
        let (name, form) =
            if archive { (name, kept::Form::Tar) } else { (only(&found)?, kept::Form::File(KIND.to_owned())) };
        let kept = call.run.kept.clone();
        let (taken, digest, bytes, stored) = self.take(call, &kept, found, level, archive).await?;
        let artifact = Artifact {
            id: 0,
            repository: call.run.keeper.repository.clone(),
            run: call.run.keeper.run,
            attempt: call.run.keeper.attempt,
            job: call.run.job.clone(),
            name,
            digest,
            bytes,
            stored,
            files: taken.files,
            created: now(),
            expires: now() + days * SECONDS_A_DAY,
            sha: call.run.sha.clone(),
            event: call.run.event.clone(),
            form,
            zipped: None,
        };
        let artifact = match kept.add_artifact(artifact, overwrite, call.again) {
            Ok(artifact) => artifact,
            Err(KeptError::Exists) => {
                return Err(failed(
                    "Failed to CreateArtifact: Received non-retryable error: Failed request: (409) Conflict: an artifact with this name already exists on the workflow run",
                ));
            }
            Err(error @ KeptError::Io { .. }) => return Err(failed(error)),
        };
        told(call, &artifact).await;
        Ok(())
    }
}

async fn told(call: &mut ActionCall<'_>, artifact: &Artifact) {
    let Artifact { id, name, bytes, digest, run, .. } = artifact;
    let url = format!("https://github.com/{}/actions/runs/{run}/artifacts/{id}", call.repository.name);
    call.log.line(&format!("SHA256 digest of uploaded artifact is {}", digest.hex())).await;
    call.log
        .line(&format!(
            "Artifact {name} has been successfully uploaded! Final size is {bytes} bytes. Artifact ID is {id}"
        ))
        .await;
    for (output, value) in
        [("artifact-id", id.to_string()), ("artifact-digest", digest.hex().to_owned()), ("artifact-url", url)]
    {
        call.outputs.insert(output.to_owned(), value);
    }
}

/// What is uploaded.
struct Found {
    root: String,
    /// Below it.
    files: Vec<String>,
}

impl UploadArtifact {
    async fn days(&self, call: &mut ActionCall<'_>) -> Result<u64, ActionError> {
        let written = text(call, "retention-days").to_owned();
        let days_max = call.run.kept.rules.artifact_days;
        match days(&written)? {
            0 => Ok(days_max),
            days if days <= days_max => Ok(days),
            days => {
                let warning = format!(
                    "Retention days cannot be greater than the maximum allowed retention set within the repository. Using {days_max} instead of {days}"
                );
                call.log.warning(&warning).await;
                Ok(days_max)
            }
        }
    }

    async fn take(
        &self,
        call: &mut ActionCall<'_>,
        kept: &Kept,
        found: Found,
        level: i32,
        archive: bool,
    ) -> Result<(TakenIn, BlobDigest, u64, u64), ActionError> {
        let mut writer = kept.blobs.writer(level).map_err(failed)?;
        let own = kept.clone();
        let (taken, digest, bytes, stored) = pack(call, &found.root, &found.files, true, move |packed| {
            let taken = take_in(packed, &mut writer, Kind::Artifact, &Places::none())?;
            let (digest, bytes, stored) = writer.finish().map_err(|error| error.to_string())?;
            if archive {
                return Ok((taken, digest, bytes, stored));
            }
            let file = own.only_file(&digest).map_err(|error| error.to_string())?;
            Ok((taken, file.digest, file.bytes, file.bytes))
        })
        .await?;
        for path in taken.skipped.iter().take(10) {
            call.log.warning(&format!("{} is no plain file and was left out", path.display())).await;
        }
        Ok((taken, digest, bytes, stored))
    }
}

/// The name of the only file, which is the artifact's where it is kept as it is.
fn only(found: &Found) -> Result<String, ActionError> {
    let [file] = &found.files[..] else {
        let count = found.files.len();
        return Err(failed(format!(
            "When 'archive' is set to false, only a single file can be uploaded. Found {count} files to upload."
        )));
    };
    let name = file.rsplit('/').next().unwrap_or(file);
    check_name(name).map_err(failed)?;
    Ok(name.to_owned())
}

/// The files that are meant, and the folder that their paths begin at.
async fn found(call: &ActionCall<'_>, hidden: bool) -> Result<Found, ActionError> {
    let patterns = Patterns::read(text(call, "path"), &call.workspace.inside, &call.run.home).map_err(failed)?;
    let roots = patterns.roots();
    let mut files = find(call, Find::Files, &roots).await?;
    files.retain(|file| {
        let own = roots.iter().find(|root| is_below(file, root)).map_or("", String::as_str);
        patterns.matches(file) && (hidden || !is_hidden(file, own))
    });
    files.sort();
    files.dedup();
    let root = match (roots.as_slice(), files.as_slice()) {
        // A single file lies at the top.
        ([root], [file]) if root == file => file.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned(),
        ([root], _) => root.clone(),
        (roots, _) => common(roots),
    };
    // Two roots of which one is a file that the other's folder holds.
    let root = if files.contains(&root) {
        common(&[root.rsplit_once('/').map_or("/", |(up, _)| up).to_owned()])
    } else {
        root
    };
    let below = |file: &String| file.strip_prefix(&root).unwrap_or(file).trim_start_matches('/').to_owned();
    let files: Vec<String> = files.iter().map(below).collect();
    for file in &files {
        check_path(file).map_err(ActionError::Failed)?;
    }
    Ok(Found { root: if root.is_empty() { "/".into() } else { root }, files })
}

/// Whether a part of a path begins with a dot, from the last part of its root on.
fn is_hidden(file: &str, root: &str) -> bool {
    let above = root.rsplit_once('/').map_or("", |(above, _)| above);
    let rest = file.strip_prefix(above).unwrap_or(file);
    rest.split('/').any(|part| part.starts_with('.') && part.len() > 1)
}

/// Days that are written; 0 and nothing: as the server has it.
fn days(text: &str) -> Result<u64, ActionError> {
    match text.trim() {
        "" => Ok(0),
        days => days.parse().map_err(|_| failed("Invalid retention-days")),
    }
}

fn level(text: &str) -> Result<i32, ActionError> {
    match text.trim().parse::<i32>() {
        Ok(level) if (0..=9).contains(&level) => Ok(if level == 0 { -1 } else { level }),
        Ok(_) | Err(_) => Err(failed("Invalid compression-level. Valid values are 0-9")),
    }
}

/// Whether an artifact may have this name, in the words of GitHub's action.
///
/// # Errors
/// It is empty, holds what no name of a file may hold everywhere, or leads elsewhere: whoever downloads several has a folder of each name.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Provided artifact name input during validation is empty".to_owned());
    }
    if matches!(name, "." | "..") || name.contains('\0') {
        return Err(format!("The artifact name is not valid: {name}. It is no name of a folder"));
    }
    let forbidden: Vec<_> = FORBIDDEN_IN_PATHS.iter().chain(&FORBIDDEN_IN_NAMES).copied().collect();
    let Some(found) = first(name, &forbidden) else { return Ok(()) };
    let all: Vec<_> = forbidden.iter().map(|(_, name)| *name).collect();
    Err(format!(
        "The artifact name is not valid: {name}. Contains the following character: {found}\n          \nInvalid characters include: {}\n          \nThese characters are not allowed in the artifact name due to limitations with certain file systems such as NTFS. To maintain file system agnostic behavior, these characters are intentionally not allowed to prevent potential problems with downloads on different file systems.",
        all.join(",")
    ))
}

fn check_path(path: &str) -> Result<(), String> {
    let Some(found) = first(path, &FORBIDDEN_IN_PATHS) else { return Ok(()) };
    let all: Vec<_> = FORBIDDEN_IN_PATHS.iter().map(|(_, name)| *name).collect();
    Err(format!(
        "The path for one of the files in artifact is not valid: {path}. Contains the following character: {found}\n          \nInvalid characters include: {}\n          \nThe following characters are not allowed in files that are uploaded due to limitations with certain file systems such as NTFS. To maintain file system agnostic behavior, these characters are intentionally not allowed to prevent potential problems with downloads on different file systems.\n          ",
        all.join(",")
    ))
}

fn first(text: &str, forbidden: &[(char, &'static str)]) -> Option<&'static str> {
    forbidden.iter().find(|(c, _)| text.contains(*c)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "my artifact", "...", "..a", "ä.b-c_d", "$(x)"] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in [".", "..", "a\0"] {
            assert!(check_name(bad).unwrap_err().contains("no name of a folder"), "{bad}");
        }
        for (bad, why) in
            [("a/b", "Forward slash /"), ("a\\b", "Backslash \\"), ("a\nb", "Line feed \\n"), ("a:b", "Colon :")]
        {
            assert!(check_name(bad).unwrap_err().contains(&format!("following character:  {why}\n")), "{bad}");
        }
        assert!(check_path("a/b").is_ok() && check_path("a\rb").is_err());
        let found =
            |files: &[&str]| Found { root: "/w".into(), files: files.iter().map(|file| (*file).to_owned()).collect() };
        assert_eq!(only(&found(&["a/b.txt"])).unwrap(), "b.txt");
        assert!(only(&found(&["a", "b"])).unwrap_err().to_string().contains("Found 2 files"));
        for (file, root, expect) in
            [("/w/.git/x", "/w", true), ("/w/a", "/w", false), ("/w/.a/b", "/w/.a", true), ("/.w/a/b", "/.w/a", false)]
        {
            assert_eq!(is_hidden(file, root), expect, "{file}");
        }
    }
}
