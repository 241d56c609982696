//! Places together what a server has run when it is idle.
//!
//! The kernel maps a program in pieces of 64 kB and more. The functions that a server runs to begin, one in twenty, lie all over
//! the program, so that half of it was in memory. `start.order` names them, for the linker to put them side by
//! side; `benches/order.py` makes it. A name that no longer exists is passed over, one that is missing lies where it did: the
//! list changes where functions are, never what they do.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIST: &str = "start.order";

fn main() {
    println!("cargo:rerun-if-changed={LIST}");
    println!("cargo:rerun-if-changed=build.rs");
    let list = Path::new(&variable("CARGO_MANIFEST_DIR")).join(LIST);
    // Names differ by target and by how much is optimised. Other linkers do not know the option and would refuse it.
    let ours = variable("PROFILE") == "release" && variable("TARGET") == "x86_64-unknown-linux-gnu";
    if ours && list.exists() && links_with_lld() {
        println!("cargo:rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", list.display());
        println!("cargo:rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

/// Whether this build ends with the linker that comes with the compiler, as it does where nobody chose another one.
fn links_with_lld() -> bool {
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let chosen = env::var_os("RUSTC_LINKER").is_some()
        || ["linker", "fuse-ld", "self-contained"].iter().any(|word| flags.contains(word));
    !chosen
        && sysroot().is_some_and(|root| root.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld").exists())
}

fn sysroot() -> Option<PathBuf> {
    let output = Command::new(env::var_os("RUSTC")?).args(["--print", "sysroot"]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
