//! The Node.js builds of the cases that need them, fetched once for all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::nodes::{Build, Libc, Nodes, Registries};
use workflow::action::NodeVersion;

use super::case::Case;

/// Their folder, for `PIPE_NODES`. Where they cannot be fetched the `node` of this machine stands in for them, which is
/// said with the name of the case.
pub(super) fn folder(case: &Case) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nodes");
    let nodes = Nodes::open(folder.clone(), Arc::new(Registries::default())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for version in [NodeVersion::Node20, NodeVersion::Node24] {
        if let Err(problem) = runtime.block_on(nodes.get(version, Libc::Glibc)) {
            let program = Build::of(version, Libc::Glibc).expect("a processor that there are builds for").program();
            eprintln!("{}: the node of this machine stands in for {}: {problem}", case.name, version.word());
            stand_in(&folder.join(program));
        }
    }
    folder
}

fn stand_in(program: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file());
    let own = own.expect("neither a network nor a node on PATH");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::fs::copy(own, program).unwrap();
}
