//! Where botocore's service models are on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A Python that has botocore.
const PYTHON_VARIABLE: &str = "PIPE_TEST_PYTHON";

/// botocore's folder `data`: of the Python that `PIPE_TEST_PYTHON` names, of the one that `scripts/validators.sh` installs beside
/// what is built, or of the one on the path. `None`: nowhere, which is said once.
#[must_use]
pub fn botocore() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = pythons().find_map(|python| beside(&python)).or_else(|| asked(Path::new("python3")));
        if found.is_none() {
            let words = "fake-aws models: SKIPPED, calls and answers are not compared with AWS's models: botocore is not here \
                (scripts/validators.sh installs it; PIPE_TEST_PYTHON names a Python that has it)\n";
            // Nobody to tell is no reason to fail.
            let _told = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
        }
        found
    });
    found.clone()
}

/// A Python with boto3, for tests that run it.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let usual = std::iter::once(PathBuf::from("python3"));
    pythons().chain(usual).find(|python| {
        let import = Command::new(python).args(["-c", "import boto3"]).output();
        import.is_ok_and(|output| output.status.success())
    })
}

fn pythons() -> impl Iterator<Item = PathBuf> {
    let named = std::env::var_os(PYTHON_VARIABLE).map(PathBuf::from);
    // Tests are in `target/debug/deps`.
    let built = std::env::current_exe().ok().and_then(|program| Some(program.ancestors().nth(3)?.join("validators")));
    let validators = std::env::var_os("PIPE_VALIDATORS").map(PathBuf::from).or(built);
    named.into_iter().chain(validators.map(|folder| folder.join("aws/bin/python")))
}

/// Without starting it: in a virtual environment packages are beside the program.
fn beside(python: &Path) -> Option<PathBuf> {
    let lib = python.parent()?.parent()?.join("lib");
    let versions = std::fs::read_dir(lib).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    versions.map(|version| version.join("site-packages/botocore/data")).find(|data| data.is_dir())
}

fn asked(python: &Path) -> Option<PathBuf> {
    let ask = "import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), 'data'))";
    let output = Command::new(python).args(["-c", ask]).output().ok()?;
    let data = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(PathBuf::from(data.trim())).filter(|data| data.is_dir())
}
