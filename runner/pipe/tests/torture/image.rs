//! A small image whose containers answer as they are told: a static busybox and nothing else.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

const SERVE: &str = "exec httpd -f -p 8080 -h /www\n";
/// Answers with the version; the other one takes its time.
const SCRIPTS: [(&str, &str); 2] = [
    ("version", "printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$VERSION\""),
    ("slow", "sleep 0.3; printf 'Content-Type: text/plain\\r\\n\\r\\n%s' \"$VERSION\""),
];
const PROGRAMS: [&str; 4] = ["sh", "httpd", "sleep", "printf"];

pub(crate) fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The image's name, made if it is not there; `None`, which is said, where that cannot be done.
pub(crate) fn image() -> Option<&'static str> {
    static IMAGE: OnceLock<Option<String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| {
        let digest = Sha256::digest(format!("{SERVE}{SCRIPTS:?}{PROGRAMS:?}").as_bytes());
        let tag = digest[..4].iter().fold(String::new(), |mut tag, byte| {
            write!(tag, "{byte:02x}").unwrap();
            tag
        });
        let name = format!("pipe-tests/torture:{tag}");
        let known = docker(&["image", "inspect", "--format", "{{.Id}}", &name]);
        (!known.is_empty() || make(&name)).then_some(name)
    });
    if image.is_none() {
        eprintln!("SKIPPED: the image of a service cannot be made; it needs Docker and busybox-static");
    }
    image.as_deref()
}

fn make(name: &str) -> bool {
    let tree = tempfile::tempdir().unwrap();
    let path = |name: &str| tree.path().join(name);
    for folder in ["bin", "tmp", "www/cgi-bin"] {
        std::fs::create_dir_all(path(folder)).unwrap();
    }
    if std::fs::copy("/bin/busybox", path("bin/busybox")).is_err() {
        return false;
    }
    for program in PROGRAMS {
        std::os::unix::fs::symlink("busybox", path("bin").join(program)).unwrap();
    }
    std::fs::write(path("www/health"), "well\n").unwrap();
    std::fs::write(path("serve"), SERVE).unwrap();
    for (name, script) in SCRIPTS {
        let file = path("www/cgi-bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        Command::new("chmod").arg("755").arg(&file).status().unwrap();
    }
    let changes = "--change 'CMD [\"sh\", \"/serve\"]' --change 'EXPOSE 8080'";
    let import = format!("tar -C \"$0\" -c . | docker import {changes} - {name}");
    let done = Command::new("sh").args(["-c", &import]).arg(tree.path()).output();
    done.is_ok_and(|done| done.status.success())
}
