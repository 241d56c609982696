//! This machine: settings, folders, disk, git, the repository.

use std::path::Path;
use std::process::Command;

use nix::sys::statvfs::statvfs;

use super::Check;
use crate::config::Settings;
use crate::exit::Failure;
use crate::files;
use crate::render::count;

/// Less free space than this is told of.
const FREE_BYTES_MIN: u64 = 2 << 30;

/// Which settings files count.
pub fn settings(settings: &Result<Settings, Failure>) -> Check {
    match settings {
        Err(failure) => {
            Check::error("settings", failure.message.clone(), "mend the file; docs/configuration.md tells its keys")
        }
        Ok(settings) if settings.files.is_empty() => {
            let user = settings.paths.config.join("config.toml");
            Check::ok("settings", format!("none ({} and .pipe.toml would be read)", user.display()))
        }
        Ok(settings) => {
            let files: Vec<String> = settings.files.iter().map(|file| file.display().to_string()).collect();
            Check::ok("settings", files.join(", "))
        }
    }
}

/// Whether our folders can be written to, and whether there is room.
pub fn folders(settings: &Settings) -> Vec<Check> {
    let paths = &settings.paths;
    let places = [("state", &paths.state, "XDG_STATE_HOME"), ("cache", &paths.cache, "XDG_CACHE_HOME")];
    places.into_iter().map(|(name, folder, variable)| writable(name, folder, variable)).collect()
}

fn writable(name: &'static str, folder: &Path, variable: &str) -> Check {
    let shown = folder.display();
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = written {
        return Check::error(
            name,
            format!("{shown}: {error}"),
            format!("set {variable} to a folder that you may write to"),
        );
    }
    match statvfs(folder) {
        Err(_) => Check::ok(name, shown.to_string()),
        Ok(disk) => {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            let detail = format!("{shown}, {:.1} GB free", free as f64 / 1e9);
            if free < FREE_BYTES_MIN {
                return Check::warning(name, detail, format!("make room, or set {variable} to another disk"));
            }
            Check::ok(name, detail)
        }
    }
}

/// The git program. Local repositories are read without it.
pub fn git() -> Check {
    let output = Command::new("git").arg("--version").output();
    match output.ok().filter(|output| output.status.success()) {
        Some(output) => Check::ok("git", String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        None => Check::warning(
            "git",
            "the program is not here; local repositories are read without it",
            "install git for checkouts of other repositories",
        ),
    }
}

/// The repository and its workflows.
pub fn repository(root: Option<&Path>) -> Check {
    let Some(root) = root else {
        return Check::warning("repository", "this folder is in no git repository", "`git init`, or `-C FOLDER`");
    };
    let found = files::default_folder(root).and_then(|folder| files::search(&folder, false).ok()).unwrap_or_default();
    if found.is_empty() {
        let help = "workflows lie in `.github/workflows`; `-W` names others";
        return Check::warning("repository", format!("{} has no workflows", root.display()), help);
    }
    Check::ok("repository", format!("{}, {}", root.display(), count(found.len(), "workflow")))
}
