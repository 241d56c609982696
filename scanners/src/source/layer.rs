//! One layer, from a blob or a stream to a visitor: OCI image-spec, layer.md.
//!
//! Plain tars are gone through in jumps. Compressed ones unfold as they are read, never onto a disk, and are held against
//! the digest by which the image's configuration names them, since every byte passes here anyway.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::input::{Input, Jumping, Streaming};
use super::tar::{Entries, Kind, is_tar};
use super::walk::{clean, whiteout};
use super::{Limits, Node, Random, Visitor};

/// How a blob is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        match head {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Err("it is compressed with xz, which layers may not be"),
            [b'B', b'Z', b'h', ..] => Err("it is compressed with bzip2, which layers may not be"),
            [] => Err("it is empty"),
            head if is_tar(head) => Ok(Self::Plain),
            _ => Err("it is neither a tar nor gzip nor zstd"),
        }
    }
}

/// Shows a layer's entries. `diff_id` is what the layer has to be, where it is known.
///
/// # Errors
/// When it cannot be read to its end, is not a tar, or is not what its digest says; what was shown before stays true.
pub(crate) fn visit_blob(
    blob: &Random,
    diff_id: Option<&str>,
    limits: &Limits,
    visitor: &mut dyn Visitor,
) -> io::Result<()> {
    let mut head = vec![0; 512];
    let length = blob.read_at(0, &mut head)?;
    match Packing::of(&head[..length]).map_err(io::Error::other)? {
        Packing::Plain => visit(Jumping::new(blob.clone()), limits, visitor).map(|_| ()),
        Packing::Gzip => {
            let unfolded = MultiGzDecoder::new(BufReader::with_capacity(1 << 17, blob.reader()));
            visit_unfolded(unfolded, diff_id, limits, visitor)
        }
        Packing::Zstd => visit_unfolded(zstd::stream::read::Decoder::new(blob.reader())?, diff_id, limits, visitor),
    }
}

/// Shows the entries of a tar that comes once.
///
/// # Errors
/// When it ends early or is not a tar.
pub(crate) fn visit_stream(stream: &mut dyn Read, limits: &Limits, visitor: &mut dyn Visitor) -> io::Result<()> {
    visit(Streaming::new(BufReader::with_capacity(1 << 17, stream), limits.layer_bytes), limits, visitor).map(|_| ())
}

fn visit_unfolded(
    unfolded: impl Read,
    diff_id: Option<&str>,
    limits: &Limits,
    visitor: &mut dyn Visitor,
) -> io::Result<()> {
    let hashed = Hashed { stream: unfolded, digest: Sha256::new() };
    let input = Streaming::new(BufReader::with_capacity(1 << 17, hashed), limits.layer_bytes);
    let mut rest = visit(input, limits, visitor)?.into_inner();
    io::copy(&mut (&mut rest).take(limits.layer_bytes), &mut io::sink())?;
    let digest = format!("sha256:{:x}", rest.into_inner().digest.finalize());
    match diff_id {
        Some(wanted) if wanted != digest => {
            Err(io::Error::other(format!("its content is {digest}, but the image names it {wanted}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Makes the digest of what is read through it.
struct Hashed<R> {
    stream: R,
    digest: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(into)?;
        self.digest.update(&into[..read]);
        Ok(read)
    }
}

fn visit<I: Input>(input: I, limits: &Limits, visitor: &mut dyn Visitor) -> io::Result<I> {
    let mut entries = Entries::new(input);
    let mut seen = 0;
    while let Some(header) = entries.next()? {
        seen += 1;
        if seen > limits.entries {
            return Err(io::Error::other(format!("it has more than {} entries", limits.entries)));
        }
        let Some(path) = clean(&header.path) else {
            visitor.odd(&header.path, "its path leads out of the image");
            continue;
        };
        if path.is_empty() {
            continue;
        }
        if let Some((path, node)) = whiteout(&path) {
            if node != Node::Other {
                visitor.entry(&path, node, &mut entries)?;
            }
            continue;
        }
        let node = match header.kind {
            Kind::Directory => Node::Directory,
            Kind::File => Node::File { bytes: header.bytes, executable: header.mode & 0o111 != 0 },
            Kind::Sparse => Node::Sparse { bytes: header.bytes },
            Kind::Symlink(_) | Kind::Other => Node::Other,
            Kind::HardLink(target) => match clean(&target) {
                Some(target) => Node::HardLink { target },
                None => {
                    visitor.odd(&path, "it is a hard link out of the image");
                    continue;
                }
            },
        };
        visitor.entry(&path, node, &mut entries)?;
    }
    Ok(entries.into_input())
}
