//! Builds the agent for containers and hands it to `src/agent_binary.rs`.
//!
//! The agent must be static and small while `pipe` need be neither, so it is built by a cargo of its own: profile `agent`,
//! `crt-static`, for the target of this build. Its target directory is its own as well, since this build holds the lock on
//! the outer one. `PIPE_AGENT_BINARY` names a ready-made agent instead.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

/// Variables that begin so are kept of cargo's own: where it keeps things and how it reaches registries. All others say
/// how the outer build is made.
const KEPT_PREFIXES: [&str; 7] =
    ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];

/// Variables of the outer build that would change the agent, or run another compiler on it.
const DROPPED: [&str; 9] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "LLVM_PROFILE_FILE",
    "__CARGO_DEFAULT_LIB_METADATA",
];

fn main() {
    let out = PathBuf::from(variable("OUT_DIR"));
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo:rerun-if-env-changed=PIPE_AGENT_BINARY");
    for path in ["runner/agent/src", "runner/agent/Cargo.toml", "runner/engine/build.rs", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
    }
    let target = variable("TARGET");
    let destination = out.join("pipe-agent");
    if let Some(ready) = env::var_os("PIPE_AGENT_BINARY").filter(|ready| !ready.is_empty()) {
        println!("cargo:rerun-if-changed={}", Path::new(&ready).display());
        put(Path::new(&ready), &destination);
    } else if target.contains("-linux-") {
        put(&build(&root, &target_directory(&out), &target), &destination);
    } else {
        println!(
            "cargo:warning=no agent for containers can be built on {target}: set PIPE_AGENT_BINARY to one for Linux"
        );
        fs::write(&destination, []).expect("OUT_DIR can be written to");
    }
    let digest = Sha256::digest(fs::read(destination).expect("it was written just now"));
    println!("cargo:rustc-env=PIPE_AGENT_DIGEST={digest:x}");
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it for build scripts")
}

fn put(from: &Path, to: &Path) {
    if let Err(error) = fs::copy(from, to) {
        panic!("cannot copy the agent from {}: {error}", from.display());
    }
}

/// Beside the outer profiles, so that debug and release builds and tests share one agent; else below `OUT_DIR`.
fn target_directory(out: &Path) -> PathBuf {
    let shared = out.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists());
    shared.unwrap_or(out).join("pipe-agent-target")
}

/// The path of the agent.
fn build(root: &Path, directory: &Path, target: &str) -> PathBuf {
    // Without the network first: everything was fetched for the outer build, and asking a registry takes time.
    let mut output = cargo(root, directory, target, &["--offline"]);
    if !output.status.success() {
        output = cargo(root, directory, target, &[]);
    }
    if !output.status.success() {
        panic!("cannot build the agent for containers:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    directory.join(target).join("agent").join("pipe-agent")
}

fn cargo(root: &Path, directory: &Path, target: &str, further: &[&str]) -> Output {
    let mut command = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        let shown = name.to_string_lossy();
        let of_cargo = shown.starts_with("CARGO") && !KEPT_PREFIXES.iter().any(|kept| shown.starts_with(kept));
        if of_cargo || DROPPED.contains(&&*shown) {
            command.env_remove(&name);
        }
    }
    command
        .current_dir(root)
        .args(["build", "--quiet", "--locked", "--package", "agent", "--bin", "pipe-agent", "--profile", "agent"])
        .args(["--target", target])
        .arg("--target-dir")
        .arg(directory)
        .args(further)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run cargo to build the agent for containers: {error}"),
    }
}
