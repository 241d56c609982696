//! Names that AWS would draw at random. Here they follow from a seed, so that a failed story can be read again.

use sha2::{Digest as _, Sha256};

/// Draws names.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    drawn: u64,
}

impl Ids {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn next(&mut self) -> String {
        self.drawn += 1;
        hex(&Sha256::digest(format!("{}:{}", self.seed, self.drawn)))
    }

    /// So many hexadecimal digits, at most 64.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        self.next()[..digits].to_owned()
    }

    /// So many capital letters and digits, at most 64.
    pub(crate) fn capitals(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        self.drawn += 1;
        let digest = Sha256::digest(format!("{}:{}", self.seed, self.drawn));
        let more = Sha256::digest(digest);
        digest.iter().chain(more.iter()).take(length).map(|byte| char::from(LETTERS[usize::from(*byte) % 36])).collect()
    }

    /// In the form of a UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.next();
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// Digits, as ECS numbers its deployments and task sets.
    pub(crate) fn digits(&mut self, length: usize) -> String {
        self.next().bytes().take(length).map(|byte| char::from(b'0' + byte % 10)).collect()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As registries and CodeDeploy name contents.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
