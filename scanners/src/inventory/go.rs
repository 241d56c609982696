//! Go: the note about modules in each program (`go version -m`), and `go.mod`.
//!
//! Both forms of the note are read, that with pointers (before Go 1.18) and that with the texts beside it:
//! <https://pkg.go.dev/debug/buildinfo>, <https://go.dev/ref/mod#go-mod-file>.

use std::io;

use memchr::memmem;

use super::elf::{Elf, Segment, Stretch};
use super::facts::{Said, Stated};
use crate::package::Ecosystem;
use crate::source::Random;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER_BYTES: usize = 32;
const ALIGNMENT: usize = 16;
/// How far into a program's data the note is looked for where its section has no name.
const SEARCH_BYTES_MAX: u64 = 1 << 20;
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// The modules that a program was made of, when Go made it.
pub(crate) fn program(file: &Random, elf: &Elf<'_>, section: Option<Stretch>) -> io::Result<Option<Said>> {
    let place = match section {
        Some(section) => Some(section),
        // Sections can be taken out of a program; its variables stay where they are.
        None if !elf.has_sections() => {
            elf.segments()?.iter().find(|segment| segment.is_data).map(|segment| segment.stretch)
        }
        None => None,
    };
    let Some(place) = place else { return Ok(None) };
    let start = place.offset;
    let length = place.bytes.min(SEARCH_BYTES_MAX).min(file.length().saturating_sub(start));
    let data = file.bytes(start, length)?;
    let Some(at) = find(&data) else { return Ok(None) };
    let at = start + at as u64;
    let header = file.bytes(at, HEADER_BYTES as u64)?;
    let texts = if header[15] & 2 != 0 { beside(file, at)? } else { pointed_at(file, elf, &header)? };
    let Some((version, modules)) = texts else {
        return Ok(Some(Said::unread("Go's note about its modules is broken")));
    };
    Ok(Some(Said::packages(packages(&version, &modules))))
}

fn find(data: &[u8]) -> Option<usize> {
    memmem::find_iter(data, MAGIC).find(|at| at % ALIGNMENT == 0)
}

/// Two texts behind the header, each after its length.
fn beside(file: &Random, at: u64) -> io::Result<Option<(String, String)>> {
    let mut place = at + HEADER_BYTES as u64;
    let mut texts = [Vec::new(), Vec::new()];
    for text in &mut texts {
        let mut digits = [0; 10];
        let read = file.read_at(place, &mut digits)?;
        let Some((length, used)) = varint(&digits[..read]) else { return Ok(None) };
        if length > TEXT_BYTES_MAX {
            return Ok(None);
        }
        place += used;
        *text = file.bytes(place, length)?;
        place += length;
    }
    let [version, modules] = texts;
    Ok(Some((String::from_utf8_lossy(&version).into_owned(), without_marks(&modules))))
}

/// Two pointers to Go's strings (an address and a length).
fn pointed_at(file: &Random, elf: &Elf<'_>, header: &[u8]) -> io::Result<Option<(String, String)>> {
    let width = usize::from(header[14]);
    if !matches!(width, 4 | 8) {
        return Ok(None);
    }
    let is_big = header[15] & 1 != 0;
    let number = |bytes: &[u8], at: usize| {
        let field = bytes.get(at..at + width).unwrap_or_default();
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if is_big { field.iter().fold(0, fold) } else { field.iter().rev().fold(0, fold) }
    };
    let segments = elf.segments()?;
    let text = |pointer: u64| -> io::Result<Vec<u8>> {
        let string = in_memory(file, &segments, pointer, 2 * width as u64)?;
        let length = number(&string, width);
        if string.is_empty() || length > TEXT_BYTES_MAX {
            return Ok(Vec::new());
        }
        in_memory(file, &segments, number(&string, 0), length)
    };
    let version = text(number(header, 16))?;
    let modules = text(number(header, 16 + width))?;
    if version.is_empty() {
        return Ok(None);
    }
    Ok(Some((String::from_utf8_lossy(&version).into_owned(), without_marks(&modules))))
}

/// What will be at an address; nothing when nothing will.
fn in_memory(file: &Random, segments: &[Segment], address: u64, length: u64) -> io::Result<Vec<u8>> {
    for Segment { stretch, .. } in segments {
        let Some(within) = address.checked_sub(stretch.address) else { continue };
        if within < stretch.bytes && length <= stretch.bytes - within {
            let Some(offset) = stretch.offset.checked_add(within) else { continue };
            return file.bytes(offset, length);
        }
    }
    Ok(Vec::new())
}

/// The modules stand between two marks of 16 bytes.
fn without_marks(modules: &[u8]) -> String {
    let is_marked = modules.len() >= 33 && modules[modules.len() - 17] == b'\n';
    let inner = if is_marked { &modules[16..modules.len() - 16] } else { &[] };
    String::from_utf8_lossy(inner).into_owned()
}

fn varint(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut value = 0_u64;
    for (number, byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(number).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, number as u64 + 1));
        }
    }
    None
}

/// The program's own module, what it was built with, and the standard library, whose advisories name its version.
fn packages(version: &str, modules: &str) -> Vec<Stated> {
    let mut found: Vec<Stated> = Vec::new();
    let mut flags = "";
    for line in modules.lines() {
        let mut fields = line.split('\t');
        let (word, name, number) = (fields.next(), fields.next(), fields.next());
        match (word, name, number) {
            (Some("mod" | "dep"), Some(name), number) => {
                found.push(Stated::new(Ecosystem::Go, name, published(number)));
            }
            // What stands in for the module of the line before.
            (Some("=>"), Some(name), number) => {
                if let Some(last) = found.last_mut() {
                    *last = Stated::new(Ecosystem::Go, name, published(number));
                }
            }
            (Some("build"), Some(setting), _) => flags = setting.strip_prefix("-ldflags=").unwrap_or(flags),
            _ => {}
        }
    }
    if let Some(main) = found.first_mut().filter(|main| main.version.is_empty() || main.version.starts_with("v0.0.0-"))
    {
        main.version = flag_version(flags, &main.name).unwrap_or_else(|| std::mem::take(&mut main.version));
    }
    // `go1.22.1 X:boringcrypto`, `devel go1.23-abc`.
    let released = version.split_whitespace().find_map(|word| word.strip_prefix("go"));
    found.extend(released.map(|version| Stated::new(Ecosystem::Go, "stdlib", format!("v{version}"))));
    found
}

/// A module that was built from its own folder has no version that anybody published.
fn published(version: Option<&str>) -> &str {
    version.filter(|version| *version != "(devel)").unwrap_or_default()
}

/// A version that was set when linking: `-X main.version=1.2.3`, as most releases are made. Without a `v`, which some write.
fn flag_version(flags: &str, module: &str) -> Option<String> {
    let flags = flags.trim_matches('"');
    let set = flags.split_whitespace().filter_map(|flag| flag.trim_matches(['\'', '"']).split_once('='));
    let mut versions = set.filter_map(|(variable, value)| {
        let variable = variable.to_lowercase();
        let is_version = variable == "main.version"
            || variable.ends_with("/version.version")
            || variable.strip_prefix(&module.to_lowercase()).is_some_and(|rest| rest.ends_with(".version"));
        let value = value.trim_matches(['\'', '"']);
        let value = value.strip_prefix('v').unwrap_or(value);
        (is_version && value.starts_with(|first: char| first.is_ascii_digit())).then(|| value.to_owned())
    });
    versions.next()
}

/// `go.mod`: since Go 1.17 it names all modules that are built in.
pub(crate) fn go_mod(text: &[u8]) -> Said {
    let text = String::from_utf8_lossy(text);
    let mut found: Vec<Stated> = Vec::new();
    let mut replaced = Vec::new();
    let mut block = "";
    for (number, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let (verb, rest) = match (block, word) {
            (_, ")") => {
                block = "";
                continue;
            }
            ("", "require" | "replace" | "exclude" | "retract" | "tool" | "godebug" | "ignore") => {
                if rest.trim() == "(" {
                    block = word;
                    continue;
                }
                (word, rest)
            }
            ("", _) => continue,
            (verb, _) => (verb, line),
        };
        let words: Vec<&str> = rest.split_whitespace().map(|word| word.trim_matches('"')).collect();
        match (verb, words.as_slice()) {
            ("require", [name, version, ..]) => {
                found.push(Stated::new(Ecosystem::Go, *name, *version).at_line(u32::try_from(number + 1).ok()));
            }
            ("replace", [old, "=>", new, version]) => replaced.push((*old, None, *new, *version)),
            ("replace", [old, of, "=>", new, version]) => replaced.push((*old, Some(*of), *new, *version)),
            _ => {}
        }
    }
    for (old, of, new, version) in replaced {
        for module in found.iter_mut().filter(|module| module.name == old && of.is_none_or(|of| of == module.version)) {
            (module.name, module.version) = (new.to_owned(), version.to_owned());
        }
    }
    Said::packages(found)
}
