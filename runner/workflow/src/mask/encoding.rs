//! The forms in which a secret shows up in output: as it is, and as common tools write it.
//!
//! Covers what GitHub's runner covers (its `ValueEncoders`) and the escapes of shells, JSON, XML, URL and hex writers beside
//! it; `dump.rs` has those that write byte by byte. It does not cover what no list of patterns can: reversed or rot13
//! text, another case, one character a line, colour codes between the characters.
//!
//! How short a form may be: it has to be as rare in ordinary output as the shortest secret itself, which has four
//! characters. Base64 keeps at least 24 bits of the value in its four characters; escapes and contiguous hex digits are
//! longer than what they stand for. Only bytes with separators between them look like ordinary lists of numbers, so
//! they have a longer minimum of their own. Why base64 patterns lose their edges: GitHub's ADR 0297,
//! <https://github.com/actions/runner/blob/main/docs/adrs/0297-base64-masking-trailing-characters.md>.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::dump;

/// Shortest pattern that is ever searched for, in bytes. Anything shorter would blank ordinary output.
pub(super) const PATTERN_BYTES_MIN: usize = 4;

/// Shortest half of a secret that PowerShell prints alone when the secret holds an `&`, in bytes, as on GitHub.
const POWERSHELL_SECTION_BYTES_MIN: usize = 6;

/// A secret in double quotes is also masked without them when it is longer than this, in bytes, as on GitHub.
const QUOTED_BYTES_MIN: usize = 8;

/// Adds every pattern of `value`: the value trimmed, each of its lines trimmed, and all encodings of each.
pub(super) fn add_patterns(value: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    let whole = value.trim();
    add_forms(whole, patterns);
    for form in dump::forms(whole) {
        add(form, patterns);
    }
    // What a shell makes of it that splits an unquoted variable into words.
    add(whole.split_whitespace().collect::<Vec<_>>().join(" "), patterns);
    let lines: Vec<&str> = whole.split(['\r', '\n']).map(str::trim).collect();
    if lines.len() == 1 {
        return;
    }
    for line in &lines {
        // Lines such as `},` are structure, not secret: masking them would blank every JSON file in the log (runner#326).
        if line.chars().filter(|c| !is_structure(*c)).count() >= PATTERN_BYTES_MIN {
            add_forms(line, patterns);
        }
    }
    // The same text with its line breaks written by another system, a shell variable or a log formatter.
    let lines: Vec<&str> = whole.lines().collect();
    for joint in ["\n", "\r\n", " ", "\\n", "\\r\\n", "%0A", "%0D%0A"] {
        add(lines.join(joint), patterns);
    }
    add_forms(&lines.join("\r\n"), patterns);
    add_forms(&lines.join("\n"), patterns);
}

fn is_structure(character: char) -> bool {
    character.is_whitespace() || "{}[]()<>,:;\"'`=|/\\*#+-_.".contains(character)
}

fn add(pattern: String, patterns: &mut BTreeSet<Vec<u8>>) {
    if pattern.len() >= PATTERN_BYTES_MIN {
        patterns.insert(pattern.into_bytes());
    }
}

/// Every encoding of one text that is taken as a whole.
fn add_forms(text: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    if text.len() < PATTERN_BYTES_MIN {
        return;
    }
    add(text.to_owned(), patterns);
    add_base64(text.as_bytes(), patterns);
    for form in url_forms(text).into_iter().chain(json_forms(text)) {
        add(form, patterns);
    }
    for form in xml_forms(text).into_iter().chain(shell_forms(text)) {
        add(form, patterns);
    }
    for form in powershell_forms(text).into_iter().chain(hex_forms(text)) {
        add(form, patterns);
    }
    if text.len() > QUOTED_BYTES_MIN && text.starts_with('"') && text.ends_with('"') {
        add(text[1..text.len() - 1].to_owned(), patterns);
    }
}

/// Base64 at the three places where the value can start within a group of three bytes.
///
/// A character of base64 holds six bits. Behind `shift` foreign bytes the value owns the bits `8·shift ..
/// 8·(shift+n)`; a character is a function of the value alone if all its six bits lie in there. The characters at both
/// edges mix with whatever stands before and behind, so they are left out: at most four bits at either end stay visible.
/// A second pattern ends with the last character and its padding, for a value that ends the encoded text.
fn add_base64(value: &[u8], patterns: &mut BTreeSet<Vec<u8>>) {
    for shift in 0..3_usize {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(value);
        let first = (8 * shift).div_ceil(6);
        let inner_end = 8 * shifted.len() / 6;
        for engine in [&STANDARD, &URL_SAFE] {
            let encoded = engine.encode(&shifted);
            let unpadded = encoded.trim_end_matches('=').len();
            for end in [inner_end, unpadded, encoded.len()] {
                add(encoded[first..end].to_owned(), patterns);
            }
        }
        // Encoded twice, as the `auth` of a registry in a Kubernetes secret.
        let once = &STANDARD.encode(&shifted)[first..inner_end];
        for shift in 0..3_usize {
            let twice = STANDARD.encode([&[0; 2][..shift], once.as_bytes()].concat());
            add(twice[(8 * shift).div_ceil(6)..8 * (shift + once.len()) / 6].to_owned(), patterns);
        }
    }
}

fn url_forms(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    // What stays as it is beside letters and digits: nothing (Perl's), PHP's, RFC 3986, encodeURIComponent, Python's quote,
    // encodeURI.
    for kept in ["", "-_.", "-_.~", "-_.!~*'()", "-_.~/", "-_.!~*'();/?:@&=+$,#"] {
        let upper = percent(text, |c| c.is_ascii_alphanumeric() || kept.contains(char::from(c)), true);
        let lower = percent(text, |c| c.is_ascii_alphanumeric() || kept.contains(char::from(c)), false);
        forms.extend([upper.replace("%20", "+"), lower.replace("%20", "+"), upper, lower]);
    }
    // Form bodies (WHATWG): only these four stay.
    forms.push(percent(text, |c| c.is_ascii_alphanumeric() || b"-_.*".contains(&c), true).replace("%20", "+"));
    for upper in [false, true] {
        // Every byte, and the escapes of an address that stands in another one.
        forms.push(percent(text, |_| false, upper));
        let once = percent(text, |c| c.is_ascii_alphanumeric() || b"-_.~".contains(&c), upper);
        forms.push(once.replace('%', "%25"));
    }
    // Data and properties of workflow commands.
    forms.push(percent(text, |c| !b"%\r\n".contains(&c), true));
    forms.push(percent(text, |c| !b"%\r\n:,".contains(&c), true));
    forms.push(percent(text, |c| !b"%\r\n;]".contains(&c), true));
    forms
}

fn percent(text: &str, keep: impl Fn(u8) -> bool, upper: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend(hex_of(byte, upper));
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_of(byte: u8, upper: bool) -> [u8; 2] {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

fn json_forms(text: &str) -> Vec<String> {
    let plain = json(text, "\"\\", false);
    // Within JSON that is itself a JSON string, as in a log line that quotes a request body.
    let nested = json(&plain, "\"\\", false);
    let mut forms = vec![nested, json(text, "\"\\/", false)];
    for unicode_upper in [false, true] {
        // ASCII only (Python), and without what is special in HTML (Go, .NET, Rails).
        for also in ["", "<>&", "<>&'+`", "<>&'+`\""] {
            forms.push(unicode_escaped(&plain, also, unicode_upper, false));
            forms.push(unicode_escaped(&plain, also, unicode_upper, true));
        }
    }
    let ascii = unicode_escaped(&plain, "", false, true);
    forms.extend([json(&ascii, "\"\\", false), unicode_escaped(&forms[0], "", false, true)]);
    // C-like quoting with either quote: Go's %q, Rust's {:?}, Python's repr; of bytes, with \xNN beyond ASCII.
    for escaped in ["'\\", "\"'\\", "\\", "\"\\"] {
        let quoted = json(text, escaped, false);
        forms.extend([bytes_escaped(&quoted, |byte| format!("\\x{byte:02x}")), quoted]);
    }
    forms.push(json(text, "\"", true));
    // How git quotes paths.
    forms.push(bytes_escaped(&plain, |byte| format!("\\{byte:03o}")));
    forms.push(plain);
    forms
}

/// A backslash before each of `escaped`, control characters as JSON writes them (or left alone).
fn json(text: &str, escaped: &str, raw_controls: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' if !raw_controls => out.push_str("\\n"),
            '\r' if !raw_controls => out.push_str("\\r"),
            '\t' if !raw_controls => out.push_str("\\t"),
            '\u{8}' if !raw_controls => out.push_str("\\b"),
            '\u{c}' if !raw_controls => out.push_str("\\f"),
            control if control < ' ' && !raw_controls => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => {
                if escaped.contains(other) {
                    out.push('\\');
                }
                out.push(other);
            }
        }
    }
    out
}

/// `\uXXXX` for the characters of `also`, and for all beyond ASCII if asked.
fn unicode_escaped(json: &str, also: &str, upper: bool, ascii: bool) -> String {
    // A quote in JSON already carries its backslash; the unicode form replaces both.
    let json = if also.contains('"') { json.replace("\\\"", "\"") } else { json.to_owned() };
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if also.contains(character) || (ascii && !character.is_ascii()) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let [high, low] = unit.to_be_bytes();
                out.push_str("\\u");
                out.extend([hex_of(high, upper), hex_of(low, upper)].concat().into_iter().map(char::from));
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Another form for every byte beyond ASCII: `\xNN`, as Python shows bytes.
fn bytes_escaped(text: &str, escape: impl Fn(u8) -> String) -> String {
    let one = |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { escape(byte) };
    text.bytes().map(one).collect()
}

fn xml_forms(text: &str) -> Vec<String> {
    let element = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut forms = Vec::new();
    for quote in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for apostrophe in ["'", "&apos;", "&#39;", "&#x27;", "&#039;"] {
            forms.push(element.replace('"', quote).replace('\'', apostrophe));
        }
    }
    // Line breaks within attributes, and documents in ASCII.
    for at in 0..forms.len() {
        forms.push(forms[at].replace('\r', "&#13;").replace('\n', "&#10;"));
        forms.push(forms[at].replace('\r', "&#xD;").replace('\n', "&#xA;"));
    }
    if !text.is_ascii() {
        for at in 0..forms.len() {
            forms.push(character_references(&forms[at], |c| format!("&#{c};")));
            forms.push(character_references(&forms[at], |c| format!("&#x{c:X};")));
        }
    }
    forms
}

fn character_references(text: &str, reference: impl Fn(u32) -> String) -> String {
    let one = |c: char| if c.is_ascii() { c.to_string() } else { reference(u32::from(c)) };
    text.chars().map(one).collect()
}

fn shell_forms(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_./@%+:=".contains(c) || !c.is_ascii();
    let (mut escaped, mut bash) = (String::new(), String::new());
    for (at, character) in text.char_indices() {
        // Bash's `printf %q` escapes `#` and `~` only where they mean something, other shells always.
        let meant = match character {
            '#' => at == 0,
            '~' => at == 0 || text[..at].ends_with(['=', ':']),
            other => !is_word(other),
        };
        for (form, escapes) in [(&mut escaped, !is_word(character)), (&mut bash, meant)] {
            if escapes {
                form.push('\\');
            }
            form.push(character);
        }
    }
    vec![
        // Within single quotes: bash (also `set -x`), Python's shlex and dash's `set -x`, fish.
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        json(text, "'\\", true),
        // Within double quotes, and within none.
        json(text, "\"\\$`", true),
        json(text, "\"\\$`!", true),
        escaped.replace("\\,", ","),
        escaped,
        bash,
        dollar_quoted(text, false),
        dollar_quoted(text, true),
        // Arguments of docker and of Windows programs; a pair of quotes is GitHub's expression and YAML's escape.
        text.replace('"', "\\\""),
        text.replace('\'', "''"),
        text.replace('"', "\"\""),
    ]
}

/// The inside of bash's `$'..'`, which `printf %q` and `set -x` use for control characters; octal beyond ASCII.
fn dollar_quoted(text: &str, octal: bool) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{1b}' => out.push_str("\\E"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\'' | '\\' => out.extend(['\\', character]),
            other if other < ' ' || other == '\u{7f}' || (octal && !other.is_ascii()) => {
                for byte in other.encode_utf8(&mut [0; 4]).bytes() {
                    let _infallible = write!(out, "\\{byte:03o}");
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// The two sections into which PowerShell's error display cuts a value with an ampersand; the character behind `&+` is
/// printed in colour, apart from both.
fn powershell_forms(text: &str) -> Vec<String> {
    let (before, behind) = if let Some(at) = text.find("&+") {
        let cut = at + "&+".len();
        (&text[..cut], text[cut..].chars().next().map_or("", |c| &text[cut + c.len_utf8()..]))
    } else if let Some(at) = text.rfind('&') {
        (&text[..=at], &text[at + 1..])
    } else {
        return vec![powershell_quoted(text)];
    };
    let mut forms = vec![powershell_quoted(text)];
    forms.extend([before, behind].into_iter().filter(|s| s.len() >= POWERSHELL_SECTION_BYTES_MIN).map(str::to_owned));
    forms
}

/// Within PowerShell's double quotes the backtick escapes.
fn powershell_quoted(text: &str) -> String {
    text.replace('`', "``").replace('"', "`\"").replace('$', "`$")
}

fn hex_forms(text: &str) -> Vec<String> {
    [false, true]
        .into_iter()
        .map(|upper| text.bytes().flat_map(|byte| hex_of(byte, upper)).map(char::from).collect())
        .collect()
}
