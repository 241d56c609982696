//! Installing: a `post-receive` that keeps the one that was there, and a folder with the server and its secret.
//!
//! Follows <https://git-scm.com/docs/githooks#post-receive>.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{FOLDER, Target, post, spool};
use crate::args::HookInstallArgs;
use crate::exit::{Exit, Failure};
use crate::secret_file::read_secret;
use crate::terminal;

/// The line by which we know our own hook.
const MARK: &str = "# Written by `pipe hook install`";
/// The hook that was there before.
const BEFORE: &str = "post-receive.before-pipe";

/// Installs the hook, or adds a server to it.
pub fn install(args: &HookInstallArgs) -> Result<Exit, Failure> {
    let server = args.server.trim_end_matches('/');
    post::address(server, &args.repository).map_err(Failure::usage)?;
    let repository = git2::Repository::open(&args.path).map_err(|error| {
        Failure::usage(format!("`{}` is no git repository: {}", args.path.display(), error.message()))
    })?;
    let secret = read_secret(&args.secret_file, "secret")?;
    let target =
        Target { server: server.to_owned(), repository: args.repository.clone(), secret: secret.expose().to_owned() };
    let git = repository.path().to_path_buf();
    let hooks = hooks_folder(&repository);
    let failed = |error: io::Error| {
        Failure::environment(format!("cannot install a hook in `{}`: {error}", git.display()))
            .help("it has to be installed by the user who owns the repository")
    };
    write_target(&git.join(FOLDER), &target).map_err(failed)?;
    let kept = write_hook(&hooks, &program()).map_err(failed)?;
    let mut out = terminal::results();
    writeln!(out, "each push to {} is told to {server} as {}", git.display(), args.repository)?;
    if kept {
        writeln!(out, "the hook that was there is kept: {} runs first", hooks.join(BEFORE).display())?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// Where git looks for hooks of this repository.
fn hooks_folder(repository: &git2::Repository) -> PathBuf {
    let configured = repository.config().and_then(|config| config.get_path("core.hooksPath"));
    configured.map_or_else(|_| repository.path().join("hooks"), |path| repository.path().join(path))
}

/// This program, by the path that will still be there tomorrow.
fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("pipe"))
}

fn write_target(folder: &Path, target: &Target) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(spool(folder))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    let digest = Sha256::digest(format!("{} {}", target.server, target.repository));
    let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let text = toml::to_string(target).map_err(io::Error::other)?;
    replace(&folder.join(format!("{name}.toml")), &text, 0o600)
}

/// Writes the hook; whether another one was kept.
pub(super) fn write_hook(hooks: &Path, program: &Path) -> io::Result<bool> {
    fs::create_dir_all(hooks)?;
    let (path, before) = (hooks.join("post-receive"), hooks.join(BEFORE));
    let is_ours = |path: &Path| fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(MARK));
    if fs::symlink_metadata(&path).is_ok() && !is_ours(&path) {
        if fs::symlink_metadata(&before).is_ok() {
            let taken = format!("{} and {} are both there: remove one", path.display(), before.display());
            return Err(io::Error::other(taken));
        }
        fs::rename(&path, &before)?;
    }
    replace(&path, &script(program), 0o755)?;
    Ok(fs::symlink_metadata(&before).is_ok())
}

/// POSIX sh. The push is over when it runs; what it returns is what the hook before it returned.
fn script(program: &Path) -> String {
    let program = program.display().to_string().replace('\'', r"'\''");
    format!(
        "#!/bin/sh\n\
         {MARK}: tells servers of each push (see the folder {FOLDER}).\n\
         # The hook that was here before is {BEFORE} and runs first.\n\
         pushed=$(cat)\n\
         status=0\n\
         before=\"${{0%/*}}/{BEFORE}\"\n\
         if [ -x \"$before\" ]; then\n\
         \tprintf '%s\\n' \"$pushed\" | \"$before\" \"$@\" || status=$?\n\
         fi\n\
         pipe='{program}'\n\
         [ -x \"$pipe\" ] || pipe=pipe\n\
         printf '%s\\n' \"$pushed\" | \"$pipe\" hook send \"${{GIT_DIR:-.}}/{FOLDER}\" || :\n\
         exit \"$status\"\n"
    )
}

/// Whole or not at all: a push may come at any moment.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let part = path.with_extension("part");
    if let Err(error) = fs::remove_file(&part)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    fs::rename(part, path)
}
