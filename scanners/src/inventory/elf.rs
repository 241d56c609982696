//! Finds sections and segments of a program: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>.
//!
//! Three short reads for each program: its header, its table of sections, their names. Programs of other systems
//! (PE, Mach-O) are not read: an image for Linux does not run them.

use std::io;

use crate::source::Random;

pub(crate) const MAGIC: &[u8] = b"\x7fELF";
/// Real programs have some dozens.
const SECTIONS_MAX: u64 = 20_000;
const NAMES_BYTES_MAX: u64 = 4 << 20;
const SEGMENTS_MAX: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Elf<'a> {
    file: &'a Random,
    is_64: bool,
    is_big: bool,
    segments: Table,
    sections: Table,
    names_index: u64,
}

#[derive(Debug, Clone, Copy)]
struct Table {
    offset: u64,
    entry_bytes: u64,
    count: u64,
}

/// Where something is in the file, and where it will be in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) address: u64,
}

/// A segment of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) stretch: Stretch,
    /// Loaded, writable and not executable: where Go has its variables.
    pub(crate) is_data: bool,
}

impl<'a> Elf<'a> {
    /// None when it is not ELF, or too short for it.
    pub(crate) fn open(file: &'a Random) -> io::Result<Option<Self>> {
        let mut head = [0; 64];
        let length = file.read_at(0, &mut head)?;
        if length < 52 || !head.starts_with(MAGIC) || !matches!(head[4], 1 | 2) || !matches!(head[5], 1 | 2) {
            return Ok(None);
        }
        let is_64 = head[4] == 2;
        let mut elf = Self {
            file,
            is_64,
            is_big: head[5] == 2,
            segments: Table { offset: 0, entry_bytes: 0, count: 0 },
            sections: Table { offset: 0, entry_bytes: 0, count: 0 },
            names_index: 0,
        };
        let (table, sizes) = if is_64 { (32, 54) } else { (28, 42) };
        let width = if is_64 { 8 } else { 4 };
        elf.segments = Table {
            offset: elf.number(&head, table, width),
            entry_bytes: elf.number(&head, sizes, 2),
            count: elf.number(&head, sizes + 2, 2).min(SEGMENTS_MAX),
        };
        elf.sections = Table {
            offset: elf.number(&head, table + width, width),
            entry_bytes: elf.number(&head, sizes + 4, 2),
            count: elf.number(&head, sizes + 6, 2),
        };
        elf.names_index = elf.number(&head, sizes + 8, 2);
        // More than 65,279 sections are counted elsewhere: objects have so many, programs do not.
        if elf.sections.count > SECTIONS_MAX {
            return Err(io::Error::other("it has more sections than programs have"));
        }
        Ok(Some(elf))
    }

    pub(crate) fn has_sections(&self) -> bool {
        self.sections.count > 0
    }

    fn number(&self, bytes: &[u8], at: usize, width: usize) -> u64 {
        let field = bytes.get(at..at + width).unwrap_or_default();
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.is_big { field.iter().fold(0, fold) } else { field.iter().rev().fold(0, fold) }
    }

    /// A number of the program's width and order out of its data.
    pub(crate) fn word(&self, bytes: &[u8], at: usize) -> u64 {
        self.number(bytes, at, if self.is_64 { 8 } else { 4 })
    }

    fn table(&self, table: Table, least: u64) -> io::Result<Vec<u8>> {
        if table.count == 0 || table.entry_bytes < least {
            return Ok(Vec::new());
        }
        self.file.bytes(table.offset, table.entry_bytes * table.count)
    }

    /// The sections of these names, in their order.
    pub(crate) fn sections<const N: usize>(&self, wanted: [&str; N]) -> io::Result<[Option<Stretch>; N]> {
        let mut found = [None; N];
        let table = self.table(self.sections, if self.is_64 { 64 } else { 40 })?;
        let step = usize::try_from(self.sections.entry_bytes).unwrap_or(usize::MAX).max(1);
        let entries: Vec<&[u8]> = table.chunks_exact(step).collect();
        let names = usize::try_from(self.names_index).ok().and_then(|index| entries.get(index));
        let Some(names) = names.map(|entry| self.stretch_of_section(entry)) else { return Ok(found) };
        if names.bytes > NAMES_BYTES_MAX {
            return Err(io::Error::other("the names of its sections are longer than those of programs are"));
        }
        let names = self.file.bytes(names.offset, names.bytes)?;
        for entry in entries {
            let at = usize::try_from(self.number(entry, 0, 4)).unwrap_or(usize::MAX);
            let Some(rest) = names.get(at..) else { continue };
            let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            if let Some(place) = wanted.iter().position(|wanted| wanted.as_bytes() == name) {
                found[place] = Some(self.stretch_of_section(entry));
            }
        }
        Ok(found)
    }

    fn stretch_of_section(&self, entry: &[u8]) -> Stretch {
        let width = if self.is_64 { 8 } else { 4 };
        let first = 8 + width;
        Stretch {
            address: self.number(entry, first, width),
            offset: self.number(entry, first + width, width),
            bytes: self.number(entry, first + 2 * width, width),
        }
    }

    /// What is loaded into memory.
    pub(crate) fn segments(&self) -> io::Result<Vec<Segment>> {
        const LOAD: u64 = 1;
        let table = self.table(self.segments, if self.is_64 { 56 } else { 32 })?;
        let step = usize::try_from(self.segments.entry_bytes).unwrap_or(usize::MAX).max(1);
        let loaded = table.chunks_exact(step).filter(|entry| self.number(entry, 0, 4) == LOAD);
        let read = loaded.map(|entry| {
            let (offset, address, bytes, flags) = if self.is_64 { (8, 16, 32, 4) } else { (4, 8, 16, 24) };
            let stretch = Stretch {
                offset: self.word(entry, offset),
                address: self.word(entry, address),
                bytes: self.word(entry, bytes),
            };
            Segment { stretch, is_data: self.number(entry, flags, 4) & 3 == 2 }
        });
        Ok(read.collect())
    }
}
