//! The forms in which tools write a value byte by byte: hex with separators, and rows of `xxd`, `hexdump` and `od`.
//!
//! Rows are those of a value that begins its dump, as in `echo "$SECRET" | xxd`; of the 16 places in a row where a value
//! could begin otherwise, and of up to three bytes that are left for the last row, it knows nothing.

use std::fmt::Write as _;

/// Shortest value whose bytes are searched for one by one, in bytes. `31 32 33 34` is what `seq` prints; that eight
/// numbers in a row are just those of a secret happens in no ordinary output.
const SEPARATED_BYTES_MIN: usize = 8;

/// Shortest piece of a value that is looked for at the end of a dump, in bytes. What stands before it has been hidden.
const LAST_ROW_BYTES_MIN: usize = 4;

/// Bytes in a row of these tools.
const ROW_BYTES: usize = 16;

/// Bytes in a row of `xxd -i`.
const INCLUDE_ROW_BYTES: usize = 12;

/// All of them; none for a short value.
pub(super) fn forms(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    if bytes.len() < SEPARATED_BYTES_MIN {
        return Vec::new();
    }
    let hex_of = |bytes: &[u8], before: &str, between: &str, upper: bool| {
        let one = |byte: &u8| if upper { format!("{before}{byte:02X}") } else { format!("{before}{byte:02x}") };
        bytes.iter().map(one).collect::<Vec<_>>().join(between)
    };
    let hex = |before: &str, between: &str, upper: bool| hex_of(bytes, before, between, upper);
    let mut forms = vec![hex("\\x", "", false), hex("0x", ", ", false), hex("", "-", true)];
    let include_rows = bytes.chunks(INCLUDE_ROW_BYTES).filter(|row| row.len() >= LAST_ROW_BYTES_MIN);
    forms.extend(include_rows.map(|row| hex_of(row, "0x", ", ", false)));
    for upper in [false, true] {
        forms.extend([hex("", " ", upper), hex("", ":", upper)]);
    }
    for end in ["", "\n"] {
        let all = [bytes, end.as_bytes()].concat();
        let rows = all.chunks(ROW_BYTES);
        let own = |row: &&[u8]| row.len() >= LAST_ROW_BYTES_MIN + end.len();
        forms.extend(rows.filter(own).flat_map(rows_of));
    }
    forms
}

/// One row as each tool writes it, without its offset.
fn rows_of(row: &[u8]) -> Vec<String> {
    let hex = |group: &[u8]| group.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let joined = |size: usize, one: &dyn Fn(&[u8]) -> String| row.chunks(size).map(one).collect::<Vec<_>>().join(" ");
    let word = |pair: &[u8]| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]);
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
    let column: String = row.iter().map(printable).collect();
    let halves: Vec<String> =
        row.chunks(ROW_BYTES / 2).map(|half| half.chunks(1).map(hex).collect::<Vec<_>>().join(" ")).collect();
    let (singles, xxd, canonical) = (halves.join(" "), joined(2, &hex), halves.join("  "));
    vec![
        format!("{xxd:39}  {column}"),
        format!("{singles:47}  {column}"),
        format!("{canonical:48}  |{column}|"),
        xxd,
        canonical,
        // `od -tx1`, then two bytes as one number: `hexdump`, `od -x`.
        singles,
        joined(2, &|pair| format!("{:04x}", word(pair))),
        characters(row),
    ]
}

/// `od -c`, four columns a byte.
fn characters(row: &[u8]) -> String {
    let mut out = String::with_capacity(4 * row.len());
    for byte in row {
        let shown = match byte {
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            b'\t' => "\\t".to_owned(),
            b' '..=b'~' => char::from(*byte).to_string(),
            other => format!("{other:03o}"),
        };
        let _infallible = write!(out, "{shown:>4}");
    }
    out.trim_start().to_owned()
}
