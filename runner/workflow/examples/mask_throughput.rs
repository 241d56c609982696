//! How fast output is masked: 10 secrets with all their encodings, well over 100 patterns, and a log without any of them.
//!
//! A quick look at one figure on one core, not the benchmark of the project. Run with `--release`.
#![expect(clippy::print_stdout, reason = "the figure is the purpose of this program")]

use std::hint::black_box;
use std::time::Instant;

use workflow::mask::{MaskStream, Masker};

const LOG_BYTES: usize = 64 << 20;
const ROUNDS: usize = 5;

fn main() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    let mut log = Vec::with_capacity(LOG_BYTES + 128);
    while log.len() < LOG_BYTES {
        for _ in 0..12 {
            log.extend((0..next() % 10 + 2).map(|_| letters[(next() % 26) as usize]));
            log.push(b' ');
        }
        log.pop();
        log.push(b'\n');
    }
    for secrets in [0, 1, 3, 10, 30, 100] {
        let mut masker = Masker::new();
        for _ in 0..secrets {
            let secret: String = (0..40).map(|_| char::from(letters[(next() % 64) as usize])).collect();
            masker.add(&secret).expect("forty characters are enough");
        }
        let built = Instant::now();
        black_box(masker.mask_str("warm up"));
        let built = built.elapsed();
        for chunk_bytes in [4 << 10, 64 << 10] {
            let mut best = 0.0_f64;
            for _ in 0..ROUNDS {
                let mut stream = MaskStream::new(masker.clone());
                let mut out = Vec::with_capacity(2 * chunk_bytes);
                let started = Instant::now();
                for chunk in log.chunks(chunk_bytes) {
                    out.clear();
                    stream.write(chunk, &mut out);
                    black_box(&out);
                }
                best = best.max(log.len() as f64 / 1e6 / started.elapsed().as_secs_f64());
            }
            println!(
                "{secrets:3} secrets, {masker:?} built in {built:.1?}, {:2} KiB chunks: {best:.0} MB/s",
                chunk_bytes >> 10
            );
        }
    }
}
