//! What a plan was made of, and one digest of all that: what people approve is what is applied.
//!
//! The parts lie in a file beside the plan. Nobody has to trust that file: its own digest is what was approved, so a part of it
//! that differs from what there is names what changed since.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use engine::inside::{EntryKind, Inside};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

/// Most files of a configuration.
const FILES_MAX: usize = 10_000;
/// Largest file of a configuration.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Largest plan.
const PLAN_BYTES_MAX: u64 = 256 << 20;
/// Longest list of parts.
pub(super) const PARTS_BYTES_MAX: u64 = 64 * 1024;
/// The file of locked providers.
const LOCK_FILE: &str = ".terraform.lock.hcl";

/// What a plan was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Parts {
    /// Of the form of this.
    pub(super) version: u32,
    /// Folder and workspace of Terraform.
    pub(super) folder: String,
    /// Workspace of Terraform.
    pub(super) workspace: String,
    /// SHA-256 of the plan's file.
    pub(super) plan: String,
    /// SHA-256 of the configuration's files, modules of the repository among them.
    pub(super) configuration: String,
    /// SHA-256 of the locked providers; absent: there is no such file.
    pub(super) lock_file: Option<String>,
    /// The state's line and number; absent: there is none yet.
    pub(super) state: Option<StateMark>,
}

/// Which state it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateMark {
    /// Of its line.
    pub(super) lineage: String,
    /// It grows with each change.
    pub(super) serial: u64,
}

impl StateMark {
    /// Reads the beginning of what `state pull` prints; `None`: there is no state.
    pub(super) fn of(text: &str) -> Option<Self> {
        let after = |name: &str| text.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest.trim_start());
        let serial: String = after("serial")?.chars().take_while(char::is_ascii_digit).collect();
        let lineage = after("lineage")?.strip_prefix('"')?.split('"').next()?.to_owned();
        Some(Self { lineage, serial: serial.parse().ok()? })
    }
}

impl Parts {
    /// The digest of all, as an output has it.
    pub(super) fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("sha256:{}", hexadecimal(Sha256::digest(text)))
    }

    /// Reads what lies beside a plan.
    ///
    /// # Errors
    /// It is not what was approved; a sentence.
    pub(super) fn approved(text: &str, digest: &str) -> Result<Self, String> {
        let parts: Self = serde_json::from_str(text).map_err(|error| {
            format!("the file beside the plan cannot be read ({error}): keep both, as `plan-file` made them")
        })?;
        let own = parts.digest();
        if own == digest.trim() {
            return Ok(parts);
        }
        Err(format!(
            "this is not the plan that was approved: `digest` is {}, and the plan here has {own}. Nothing was applied; hand over the \
             plan of the step whose `digest` this is, or have this one approved",
            digest.trim()
        ))
    }

    /// What is not as it was when the plan was made, one sentence.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        let mut found = Vec::new();
        if self.plan != now.plan {
            found.push("the plan's file is another one".to_owned());
        }
        if (&self.folder, &self.workspace) != (&now.folder, &now.workspace) {
            let place = |parts: &Self| format!("{} (workspace {})", parts.folder, parts.workspace);
            found.push(format!("it is of {}, not of {}", place(self), place(now)));
        }
        if self.configuration != now.configuration {
            found.push("the configuration has changed".to_owned());
        }
        if self.lock_file != now.lock_file {
            found.push(format!("{LOCK_FILE} has changed"));
        }
        if self.state != now.state {
            let words = |state: &Option<StateMark>| {
                state.as_ref().map_or_else(|| "none".to_owned(), |state| format!("number {}", state.serial))
            };
            found.push(match (&self.state, &now.state) {
                (Some(then), Some(now)) if then.lineage != now.lineage => "the state is another one".to_owned(),
                (then, now) => format!("the state has changed (then {}, now {})", words(then), words(now)),
            });
        }
        if found.is_empty() {
            return None;
        }
        Some(format!(
            "the plan is stale, nothing was applied: {}. Make a new plan and have that one approved",
            found.join("; ")
        ))
    }
}

/// What there is now.
///
/// # Errors
/// A file cannot be read; a sentence.
pub(super) fn parts(
    host: &Path,
    folder: &Path,
    plan: &Path,
    workspace: &str,
    state: Option<StateMark>,
) -> Result<Parts, String> {
    let root = Inside::workspace(host).map_err(|error| format!("the workspace cannot be read: {error}"))?;
    let plan_digest = file_digest(&root, plan, PLAN_BYTES_MAX)?.ok_or_else(|| {
        format!(
            "there is no plan {}: make one with `command: plan`, or bring it from another job with `actions/download-artifact`",
            plan.display()
        )
    })?;
    Ok(Parts {
        version: 1,
        folder: if folder.as_os_str().is_empty() { ".".to_owned() } else { folder.to_string_lossy().into_owned() },
        workspace: workspace.to_owned(),
        plan: plan_digest,
        configuration: configuration(&root, folder)?,
        lock_file: file_digest(&root, &folder.join(LOCK_FILE), FILE_BYTES_MAX)?,
        state,
    })
}

/// A file that a step left; `None`: there is none.
pub(super) fn read(host: &Path, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let root = Inside::workspace(host).map_err(failed)?;
    let file = match root.file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("{} is larger than {bytes_max} bytes", path.display()));
    }
    Ok(Some(bytes))
}

fn file_digest(root: &Inside, path: &Path, bytes_max: u64) -> Result<Option<String>, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let mut file = match root.file(path) {
        Ok(file) => file.take(bytes_max + 1),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut file, &mut hash).map_err(failed)?;
    if bytes > bytes_max {
        return Err(format!("{} is larger than {bytes_max} bytes", path.display()));
    }
    Ok(Some(hexadecimal(hash.finalize())))
}

/// Of all files of the configuration: the folder's and those of modules in the repository, by path.
fn configuration(root: &Inside, folder: &Path) -> Result<String, String> {
    let mut hash = Sha256::new();
    let mut files = 0;
    for module in modules(root, folder)? {
        let failed = |error: io::Error| format!("{} cannot be read: {error}", module.display());
        let inside = if module.as_os_str().is_empty() { root.clone() } else { root.folder(&module).map_err(failed)? };
        let mut names = inside.names().map_err(failed)?;
        names.sort();
        for name in names.iter().filter(|name| is_configuration(name)) {
            if inside.facts(name).map_err(failed)?.kind != EntryKind::File {
                continue;
            }
            files += 1;
            if files > FILES_MAX {
                return Err(format!("the configuration has more than {FILES_MAX} files"));
            }
            let path = module.join(name);
            let digest = file_digest(root, &path, FILE_BYTES_MAX)?.unwrap_or_default();
            hash.update(format!("{digest}  {}\n", path.display()));
        }
    }
    Ok(hexadecimal(hash.finalize()))
}

fn is_configuration(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    [".tf", ".tf.json", ".tfvars", ".tfvars.json", ".tofu", ".tofu.json"].iter().any(|end| name.ends_with(end))
}

/// The folder and those of modules that lie in the repository, as `init` noted them. Modules of others have versions or digests in
/// the configuration, and the plan holds what they were.
fn modules(root: &Inside, folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::from([folder.to_owned()]);
    let list = folder.join(".terraform/modules/modules.json");
    let mut text = String::new();
    match root.file(&list) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => Err(error),
    }
    .map_err(|error| format!("{} cannot be read: {error}", list.display()))?;
    let listed: Json = serde_json::from_str(&text).unwrap_or_default();
    for module in listed["Modules"].as_array().into_iter().flatten() {
        let Some(path) = module["Dir"].as_str().and_then(|path| plain(&folder.join(path))) else { continue };
        if !path.components().any(|part| part.as_os_str() == ".terraform") {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Without `.` and `..`; `None`: it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    path.components().try_fold(PathBuf::new(), |mut plain, part| match part {
        Component::Normal(name) => {
            plain.push(name);
            Some(plain)
        }
        Component::CurDir => Some(plain),
        Component::ParentDir => plain.pop().then_some(plain),
        Component::RootDir | Component::Prefix(_) => None,
    })
}

fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(folder: &Path) -> Parts {
        parts(folder, Path::new("infra"), Path::new("infra/tfplan"), "default", StateMark::of(STATE)).unwrap()
    }

    const STATE: &str = "{\n  \"version\": 4,\n  \"terraform_version\": \"1.11.4\",\n  \"serial\": 9,\n  \"lineage\": \"d260\",\n  \"out";

    #[test]
    fn what_changed_since_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("infra/main.tf", "a");
        write("infra/tfplan", "plan");
        write("modules/vpc/main.tf", "b");
        write(
            "infra/.terraform/modules/modules.json",
            r#"{"Modules":[{"Dir":"."},{"Dir":"../modules/vpc"},{"Dir":"../../x"}]}"#,
        );
        let then = at(folder.path());
        assert_eq!(then.state, Some(StateMark { lineage: "d260".into(), serial: 9 }));
        let text = serde_json::to_string(&then).unwrap();
        assert_eq!(Parts::approved(&text, &then.digest()).unwrap(), then);
        assert_eq!(then.difference(&at(folder.path())), None);
        write("infra/notes.md", "not part of it");
        assert_eq!(then.difference(&at(folder.path())), None);
        write("modules/vpc/main.tf", "c");
        write("infra/.terraform.lock.hcl", "");
        write("infra/tfplan", "other");
        let now = Parts { state: StateMark::of("{\"serial\": 10, \"lineage\": \"d260\"}"), ..at(folder.path()) };
        assert_eq!(
            then.difference(&now).unwrap(),
            "the plan is stale, nothing was applied: the plan's file is another one; the configuration has changed; \
             .terraform.lock.hcl has changed; the state has changed (then number 9, now number 10). Make a new plan and have that one \
             approved"
        );
        let refused = Parts::approved(&serde_json::to_string(&now).unwrap(), &then.digest()).unwrap_err();
        assert!(refused.starts_with("this is not the plan that was approved: `digest` is sha256:"), "{refused}");
        assert!(Parts::approved("{}", "x").unwrap_err().contains("cannot be read"));
        assert_eq!(StateMark::of(""), None);
    }
}
