//! Who listens at a port of this machine, as far as the kernel tells this process (proc(5)).

use std::path::Path;

/// `LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Such as `process 812 (nginx)`; `None` if nobody listens there.
pub(super) fn of(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let socket = tables.iter().find_map(|table| inode(table, port))?;
    Some(process(&format!("socket:[{socket}]")).unwrap_or_else(|| "a process of another user".to_owned()))
}

fn inode(table: &str, port: u16) -> Option<&str> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (_, hex) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(hex, 16).ok()? == port && *fields.get(3)? == LISTEN;
        is_it.then(|| fields.get(9).copied())?
    })
}

fn process(socket: &str) -> Option<String> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| std::fs::read_link(file.path()).is_ok_and(|link| link == Path::new(socket)))?;
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        Some(format!("process {id} ({})", name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let who = of(port).unwrap();
        assert!(who.starts_with(&format!("process {} (", std::process::id())), "{who}");
        assert_eq!(of(1), None);
    }
}
