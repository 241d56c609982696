//! How fast output is masked: secrets of several kinds with all their encodings, and logs of several kinds.
//!
//! A quick look on one core, not the benchmark of the project, which takes the line that begins with `100 patterns`. Counts
//! processor time, so that a busy machine does not matter. Linux only. Run with `--release`.
#![expect(clippy::print_stdout, reason = "the figures are the purpose of this program")]

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use workflow::mask::{MaskStream, Masker};

const LOG_BYTES: usize = 16 << 20;
const CHUNK_BYTES: usize = 64 << 10;
const ROUNDS: usize = 5;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";

/// Xorshift: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or_default() % end
    }

    fn text(&mut self, letters: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }

    /// A private key as files hold it.
    fn key(&mut self) -> String {
        let lines: Vec<String> = (0..26).map(|_| self.text(LETTERS, 64)).collect();
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"))
    }
}

/// Processor time of this thread in seconds.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let first = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    first.expect("the first word is nanoseconds on a processor") / 1e9
}

fn log(random: &mut Random, mut line: impl FnMut(&mut Random) -> String) -> Vec<u8> {
    let mut log = Vec::with_capacity(LOG_BYTES + 256);
    while log.len() < LOG_BYTES {
        log.extend_from_slice(line(random).as_bytes());
        log.push(b'\n');
    }
    log
}

fn words(random: &mut Random) -> String {
    let words: Vec<String> = (0..12)
        .map(|_| {
            let length = random.below(10) + 2;
            random.text(&LETTERS[..26], length)
        })
        .collect();
    words.join(" ")
}

/// Megabytes in a second.
fn throughput(masker: &Masker, log: &[u8]) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let mut stream = MaskStream::new(masker.clone());
        let mut out = Vec::with_capacity(2 * CHUNK_BYTES);
        let started = processor_seconds();
        for chunk in log.chunks(CHUNK_BYTES) {
            out.clear();
            stream.write(chunk, &mut out);
            black_box(&out);
        }
        best = best.max(log.len() as f64 / 1e6 / (processor_seconds() - started));
    }
    best
}

fn main() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let tokens: Vec<String> = (0..100).map(|_| format!("ghp_{}", random.text(LETTERS, 36))).collect();
    let values: Vec<String> = (0..100).map(|_| random.text(LETTERS, 40)).collect();
    let keys: Vec<String> = (0..5).map(|_| random.key()).collect();
    let near = tokens.clone();
    let logs = [
        ("words", log(&mut random, words)),
        ("short lines", log(&mut random, |random| random.text(&LETTERS[..26], 20))),
        ("hex", log(&mut random, |random| random.text(b"0123456789abcdef", 100))),
        ("base64", log(&mut random, |random| random.text(LETTERS, 76))),
        ("base64 of words", log(&mut random, |random| STANDARD.encode(words(random)))),
        (
            "times",
            log(&mut random, |random| {
                format!("2026-01-01T00:00:{:02}.{}Z --- {}", random.below(60), random.below(1_000_000), words(random))
            }),
        ),
        // Each line begins like a secret and goes on differently.
        (
            "near misses",
            log(&mut random, |random| {
                format!("{}{} {}", &near[random.below(100)][..20], words(random), random.below(9))
            }),
        ),
    ];
    let sets = [
        ("100 patterns", &values[..10]),
        ("1 secret", &values[..1]),
        ("100 secrets", &values[..]),
        ("100 tokens", &tokens[..]),
        ("5 keys", &keys[..]),
    ];
    for (name, secrets) in sets {
        let mut masker = Masker::new();
        secrets.iter().for_each(|secret| masker.add(secret).expect("they are long enough"));
        let started = processor_seconds();
        black_box(masker.mask_str("builds the automaton"));
        let built = (processor_seconds() - started) * 1e3;
        let figures: Vec<String> =
            logs.iter().map(|(kind, log)| format!("{kind} {:.0} MB/s", throughput(&masker, log))).collect();
        println!("{name}: {masker:?} built in {built:.0} ms; {}", figures.join(", "));
    }
}
