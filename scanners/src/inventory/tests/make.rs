//! Makes what is read: tars, images, zips, programs, databases of rpm.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::EntryType;

pub(super) const STATUS: &str = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\n\
    Description: x\n more\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
    Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib (1:1.2.13.dfsg-1)\nVersion: 1:1.2.13.dfsg-1+b1\n";

pub(super) enum Item<'a> {
    File(&'a str, &'a [u8]),
    Program(&'a str, &'a [u8]),
    Folder(&'a str),
    HardLink(&'a str, &'a str),
    Symlink(&'a str, &'a str),
}

pub(super) fn file<'a>(path: &'a str, text: &'a str) -> Item<'a> {
    Item::File(path, text.as_bytes())
}

/// The tar of a layer, by another implementation than the one that reads it.
pub(super) fn layer(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match item {
            Item::File(path, content) | Item::Program(path, content) => {
                header.set_size(content.len() as u64);
                if matches!(item, Item::Program(..)) {
                    header.set_mode(0o755);
                }
                builder.append_data(&mut header, path, *content).unwrap();
            }
            Item::Folder(path) => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, path, std::io::empty()).unwrap();
            }
            Item::HardLink(path, target) | Item::Symlink(path, target) => {
                let is_hard = matches!(item, Item::HardLink(..));
                header.set_entry_type(if is_hard { EntryType::Link } else { EntryType::Symlink });
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn config(layers: &[Vec<u8>], history: &[&str]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
    let history: Vec<_> = history.iter().map(|created_by| json!({"created_by": created_by})).collect();
    json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history}).to_string().into_bytes()
}

/// What `docker save` writes.
pub(super) fn docker_archive(layers: &[Vec<u8>], history: &[&str]) -> Vec<u8> {
    let config = config(layers, history);
    let names: Vec<_> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": ["shop/test:1"], "Layers": names}]).to_string();
    let mut items: Vec<Item<'_>> = layers.iter().zip(&names).map(|(layer, name)| Item::File(name, layer)).collect();
    items.push(Item::File("config.json", &config));
    items.push(Item::File("manifest.json", manifest.as_bytes()));
    layer(&items)
}

/// A layout with its layers compressed: even ones with gzip, odd ones with zstd.
pub(super) fn oci_layout(folder: &Path, layers: &[Vec<u8>]) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = digest(bytes);
        std::fs::write(blobs.join(&digest[7..]), bytes).unwrap();
        digest
    };
    let config = put(&config(layers, &[]));
    let layers: Vec<_> = layers
        .iter()
        .enumerate()
        .map(|(number, layer)| json!({"digest": put(&if number % 2 == 0 { gzip(layer) } else { zstd(layer) })}))
        .collect();
    let manifest = put(json!({"config": {"digest": config}, "layers": layers}).to_string().as_bytes());
    let note = json!({"digest": digest(b""), "platform": {"os": "unknown", "architecture": "unknown"}});
    let image = json!({"digest": manifest, "annotations": {"org.opencontainers.image.ref.name": "shop:1"}});
    std::fs::write(folder.join("index.json"), json!({"manifests": [note, image]}).to_string()).unwrap();
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A zip whose entries are deflated, except archives.
pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let is_stored = name.ends_with(".jar");
        let packed = if is_stored {
            content.to_vec()
        } else {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        };
        let method: u16 = if is_stored { 0 } else { 8 };
        let offset = u32::try_from(zip.len()).unwrap();
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        common.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0; 2]);
        zip.extend(b"PK\x03\x04");
        zip.extend(&common);
        zip.extend(name.as_bytes());
        zip.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(zip.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let length = u32::try_from(directory.len()).unwrap();
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend(count.iter().chain(&count).chain(&length.to_le_bytes()).chain(&start.to_le_bytes()));
    zip.extend([0; 2]);
    zip
}

const BASE: u64 = 0x40_0000;

/// A program with these sections, all of it loaded at [`BASE`] and writable.
pub(super) fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 128];
    let mut names = vec![0];
    let mut table = vec![0; 64];
    let all = sections.iter().copied().chain([(".shstrtab", &[][..])]);
    for (name, content) in all {
        let name_at = u32::try_from(names.len()).unwrap();
        names.extend(name.as_bytes());
        names.push(0);
        file.resize(file.len().next_multiple_of(16), 0);
        let offset = file.len() as u64;
        let content = if name == ".shstrtab" { names.clone() } else { content.to_vec() };
        file.extend(&content);
        let mut entry = name_at.to_le_bytes().to_vec();
        entry.extend([1, 0, 0, 0]);
        for number in [3, BASE + offset, offset, content.len() as u64, 0, 1, 0] {
            entry.extend(number.to_le_bytes());
        }
        table.extend(entry);
    }
    let table_at = file.len() as u64;
    file.extend(table);
    let count = u16::try_from(sections.len() + 2).unwrap();
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[32..40].copy_from_slice(&64_u64.to_le_bytes());
    file[40..48].copy_from_slice(&table_at.to_le_bytes());
    for (at, number) in [(54, 56), (56, 1), (58, 64), (60, count), (62, count - 1)] {
        file[at..at + 2].copy_from_slice(&u16::to_le_bytes(number));
    }
    let length = file.len() as u64;
    file[64..72].copy_from_slice(&[1, 0, 0, 0, 6, 0, 0, 0]);
    for (at, number) in [(72, 0), (80, BASE), (96, length), (104, length)] {
        file[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
    }
    file
}

pub(super) const MODULES: &str = "path\tshop/cmd\nmod\tshop\t(devel)\t\ndep\tgolang.org/x/net\tv0.1.0\th1:x=\n\
    dep\tgithub.com/old/one\tv1.0.0\n=>\tgithub.com/new/one\tv1.0.1\th1:y=\nbuild\t-ldflags=\"-s -X main.version=1.4.2\"\n";

fn marked(modules: &str) -> Vec<u8> {
    [&[b'<'; 16][..], modules.as_bytes(), &[b'>'; 16]].concat()
}

/// A program of Go 1.18 or later.
pub(super) fn go_program() -> Vec<u8> {
    let modules = marked(MODULES);
    let mut note = b"\xff Go buildinf:\x08\x02".to_vec();
    note.resize(32, 0);
    note.push(8);
    note.extend(b"go1.22.1");
    note.extend([u8::try_from(modules.len() & 0x7f).unwrap() | 0x80, u8::try_from(modules.len() >> 7).unwrap()]);
    note.extend(modules);
    elf(&[(".text", &[0x90; 100]), (".go.buildinfo", &note)])
}

/// A program of Go before 1.18: the note points at two strings.
pub(super) fn old_go_program() -> Vec<u8> {
    let modules = marked(MODULES);
    // The first section lies at 128; in it two strings' headers, then their texts.
    let mut data = Vec::new();
    for number in [BASE + 128 + 32, 8, BASE + 128 + 40, modules.len() as u64] {
        data.extend(number.to_le_bytes());
    }
    data.extend(b"go1.17.3");
    data.extend(modules);
    let mut note = b"\xff Go buildinf:\x08\x00".to_vec();
    note.extend((BASE + 128).to_le_bytes());
    note.extend((BASE + 128 + 16).to_le_bytes());
    elf(&[(".data", &data), (".go.buildinfo", &note)])
}

pub(super) fn rust_program() -> Vec<u8> {
    let list = json!({"packages": [
        {"name": "shop", "version": "0.1.0", "source": "local", "root": true},
        {"name": "serde", "version": "1.0.200", "source": "crates.io"},
        {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
    ]});
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(list.to_string().as_bytes()).unwrap();
    elf(&[(".dep-v0", &encoder.finish().unwrap())])
}

/// A header of rpm: texts, and the files that the package owns.
pub(super) fn rpm_header(name: &str, epoch: Option<u32>, files: &[(&str, &str)]) -> Vec<u8> {
    rpm_header_by("AlmaLinux", name, epoch, files)
}

pub(super) fn rpm_header_by(vendor: &str, name: &str, epoch: Option<u32>, files: &[(&str, &str)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    let mut put = |tag: u32, kind: u32, count: usize, bytes: &[u8]| {
        for number in [tag, kind, u32::try_from(data.len()).unwrap(), u32::try_from(count).unwrap()] {
            index.extend(number.to_be_bytes());
        }
        data.extend(bytes);
    };
    let source = format!("{name}-1.2-3.el9.src.rpm");
    for (tag, text) in
        [(1000, name), (1001, "1.2"), (1002, "3.el9"), (1011, vendor), (1014, "MIT"), (1022, "x86_64"), (1044, &source)]
    {
        put(tag, 6, 1, format!("{text}\0").as_bytes());
    }
    if let Some(epoch) = epoch {
        put(1003, 4, 1, &epoch.to_be_bytes());
    }
    let numbers: Vec<u8> = (0..files.len()).flat_map(|number| u32::try_from(number).unwrap().to_be_bytes()).collect();
    put(1116, 4, files.len(), &numbers);
    put(1117, 8, files.len(), files.iter().map(|(_, name)| format!("{name}\0")).collect::<String>().as_bytes());
    put(1118, 8, files.len(), files.iter().map(|(folder, _)| format!("{folder}\0")).collect::<String>().as_bytes());
    let count = u32::try_from(index.len() / 16).unwrap().to_be_bytes();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&count[..], &length, &index, &data].concat()
}

/// A database of rpm; with a log, what is in it is only there.
pub(super) fn rpm_database(headers: &[Vec<u8>], with_log: bool) -> (Vec<u8>, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rpmdb.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let mode = if with_log { "WAL" } else { "DELETE" };
    connection.pragma_update(None, "journal_mode", mode).unwrap();
    connection
        .execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)", [])
        .unwrap();
    for header in headers {
        connection.execute("INSERT INTO Packages (blob) VALUES (?1)", [header]).unwrap();
    }
    // While it is open, the log is there.
    let log = std::fs::read(folder.path().join("rpmdb.sqlite-wal")).ok();
    (std::fs::read(&path).unwrap(), log)
}

/// The same in the form of SUSE.
pub(super) fn ndb_database(headers: &[Vec<u8>]) -> Vec<u8> {
    let mut database = vec![0; 4096];
    database[..4].copy_from_slice(b"RpmP");
    database[12] = 1;
    for (number, header) in (1_u32..).zip(headers) {
        let place = u32::try_from(database.len() / 16).unwrap();
        let slot = 16 + 16 * number as usize;
        database[slot..slot + 4].copy_from_slice(b"Slot");
        database[slot + 4..slot + 8].copy_from_slice(&number.to_le_bytes());
        database[slot + 8..slot + 12].copy_from_slice(&place.to_le_bytes());
        database.extend(b"BlbS");
        for word in [number, 0, u32::try_from(header.len()).unwrap()] {
            database.extend(word.to_le_bytes());
        }
        database.extend(header);
        database.resize(database.len().next_multiple_of(16), 0);
    }
    database
}
