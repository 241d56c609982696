//! What is hidden, compared with a slow and obvious masker, and how streams behave when they are cut anywhere.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::{MASK, MaskStream, Masker, TooShort, encoding};

fn masker(secrets: &[&str]) -> Masker {
    let mut masker = Masker::new();
    for secret in secrets {
        masker.add(secret).unwrap();
    }
    masker
}

/// Masks in one go and in two writes at every position, and as single bytes; all must agree.
fn check(secrets: &[&str], text: &str, expect: &str) {
    let masker = masker(secrets);
    assert_eq!(masker.mask_str(text), expect, "secrets {secrets:?}, text {text:?}");
    let text = text.as_bytes();
    for cut in 0..=text.len() {
        assert_eq!(stream(&masker, &[&text[..cut], &text[cut..]]), expect, "cut at {cut}");
    }
    let single: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(stream(&masker, &single), expect, "byte by byte");
}

fn stream(masker: &Masker, chunks: &[&[u8]]) -> String {
    let mut stream = MaskStream::new(masker.clone());
    let mut out = Vec::new();
    for chunk in chunks {
        stream.write(chunk, &mut out);
    }
    stream.flush(&mut out);
    assert_eq!(stream.pending(), 0);
    String::from_utf8(out).unwrap()
}

#[test]
fn values_are_replaced() {
    for (secrets, text, expect) in [
        (&["hunter22"][..], "password hunter22!", "password ***!"),
        (&["hunter22"], "hunter22hunter22", "***"),
        (&["hunter22"], "hunter22 hunter22", "*** ***"),
        (&["hunter22"], "hunterhunter22", "hunter***"),
        (&["hunter22"], "hunter2", "hunter2"),
        (&[" hunter22\n"], "x hunter22", "x ***"),
        (&["abcdef", "defghi"], "abcdefghi", "***"),
        (&["abcdef", "abcd"], "abcdeg abcdef", "***eg ***"),
        (&["abcdef", "cdef"], "xcdef abcdef", "x*** ***"),
        (&["aaaa"], "aaaaaaa baaa", "*** baaa"),
        (&["pässwörd→"], "das pässwörd→ ist", "das *** ist"),
        (&["abcdefgh"], "", ""),
    ] {
        check(secrets, text, expect);
    }
}

#[test]
fn encodings_are_replaced() {
    let secret = "p&ss \"wörd\"<'$1>/\\é";
    let url = "p%26ss%20%22w%C3%B6rd%22%3C%27%241%3E%2F%5C%C3%A9";
    for form in [
        secret,
        url,
        &url.to_lowercase(),
        &url.replace("%20", "+"),
        &url.replace("%27", "'"),
        &url.replace("%2F", "/"),
        r#"p&ss \"wörd\"<'$1>/\\é"#,
        r#"p&ss \"wörd\"<'$1>\/\\é"#,
        r#"p\u0026ss \"wörd\"\u003c'$1\u003e/\\é"#,
        r#"p\u0026ss \u0022w\u00F6rd\u0022\u003C\u0027$1\u003E/\\\u00E9"#,
        r#"p&ss \"w\u00f6rd\"<'$1>/\\\u00e9"#,
        r#"p&ss \\\"wörd\\\"<'$1>/\\\\é"#,
        r#"p&ss "wörd"<\'$1>/\\é"#,
        "p&amp;ss &quot;wörd&quot;&lt;&apos;$1&gt;/\\é",
        "p&amp;ss \"wörd\"&lt;'$1&gt;/\\é",
        "p&amp;ss &#34;wörd&#34;&lt;&#39;$1&gt;/\\é",
        "p&amp;ss &quot;wörd&quot;&lt;&#x27;$1&gt;/\\é",
        r#"p&ss "wörd"<'\''$1>/\é"#,
        r#"p&ss "wörd"<'"'"'$1>/\é"#,
        r#"p&ss \"wörd\"<'\$1>/\\é"#,
        r#"p\&ss\ \"wörd\"\<\'\$1\>/\\é"#,
        "p&ss `\"wörd`\"<'`$1>/\\é",
        r#"p&ss "wörd"<''$1>/\é"#,
        r#"p&ss "w\xc3\xb6rd"<\'$1>/\\\xc3\xa9"#,
        r#"p&ss \\\"w\\u00f6rd\\\"<'$1>/\\\\\\u00e9"#,
        r#"p&ss \\\"w\u00f6rd\\\"<'$1>/\\\\\u00e9"#,
        "p&amp;ss &quot;w&#246;rd&quot;&lt;'$1&gt;/\\&#233;",
        "p&amp;ss \"w&#xF6;rd\"&lt;&apos;$1&gt;/\\&#xE9;",
        "70267373202277c3b67264223c2724313e2f5cc3a9",
        "70267373202277C3B67264223C2724313E2F5CC3A9",
    ] {
        check(&[secret], &format!("[{form}]"), "[***]");
    }
    check(&["a\u{1b}[1m\tb'é"], r"$'a\E[1m\tb\'\303\251'", "$'***'");
    check(&["a#~b{,}=~c^"], r"a#~b\{\,\}=\~c\^", "***");
    check(&["one<\ntwo>x"], "one&lt;&#10;two&gt;x", "***");
    check(&["\"quoted text\""], "quoted text", "***");
    check(&["left&+right part"], "left&+\u{1b}[1mr\u{1b}[0might part", "***\u{1b}[1mr\u{1b}[0m***");
}

/// What the tools printed for this value, with and without a line feed behind it.
#[test]
fn dumps_are_replaced() {
    let secret = "p4ss-w0rd<secret>of/20";
    for (dump, expect) in [
        (
            "00000000: 7034 7373 2d77 3072 643c 7365 6372 6574  p4ss-w0rd<secret\n\
             00000010: 3e6f 662f 3230 0a                        >of/20.\n",
            "00000000: ***\n00000010: ***\n",
        ),
        (
            "00000000: 70 34 73 73 2d 77 30 72 64 3c 73 65 63 72 65 74  p4ss-w0rd<secret\n\
             00000010: 3e 6f 66 2f 32 30                                >of/20\n",
            "00000000: ***\n00000010: ***\n",
        ),
        (
            "00000000  70 34 73 73 2d 77 30 72  64 3c 73 65 63 72 65 74  |p4ss-w0rd<secret|\n\
             00000010  3e 6f 66 2f 32 30 0a                              |>of/20.|\n00000017\n",
            "00000000  ***\n00000010  ***\n00000017\n",
        ),
        (
            "0000000   p   4   s   s   -   w   0   r   d   <   s   e   c   r   e   t\n\
             0000020   >   o   f   /   2   0  \\n\n0000027\n",
            "0000000   ***\n0000020   ***\n0000027\n",
        ),
        (" 70 34 73 73 2d 77 30 72 64 3c 73 65 63 72 65 74\n 3e 6f 66 2f 32 30 0a\n", " ***\n***\n"),
        (
            "0000000 3470 7373 772d 7230 3c64 6573 7263 7465\n0000020 6f3e 2f66 3032 000a\n0000027\n",
            "0000000 ***\n0000020 ***\n0000027\n",
        ),
        (
            "  0x70, 0x34, 0x73, 0x73, 0x2d, 0x77, 0x30, 0x72, 0x64, 0x3c, 0x73, 0x65,\n\
             \x20 0x63, 0x72, 0x65, 0x74, 0x3e, 0x6f, 0x66, 0x2f, 0x32, 0x30\n",
            "  ***,\n  ***\n",
        ),
        ("703473732d773072643c7365637265743e6f662f3230\n", "***\n"),
        ("70-34-73-73-2D-77-30-72-64-3C-73-65-63-72-65-74-3E-6F-66-2F-32-30", "***"),
        ("70:34:73:73:2d:77:30:72:64:3c:73:65:63:72:65:74:3e:6f:66:2f:32:30", "***"),
        (r"\x70\x34\x73\x73\x2d\x77\x30\x72\x64\x3c\x73\x65\x63\x72\x65\x74\x3e\x6f\x66\x2f\x32\x30", "***"),
        ("%70%34%73%73%2D%77%30%72%64%3C%73%65%63%72%65%74%3E%6F%66%2F%32%30", "***"),
        ("p4ss-w0rd%253Csecret%253Eof%252F20", "***"),
    ] {
        check(&[secret], dump, expect);
    }
    check(&["ein  wort\t und\nnoch eins"], "ein wort und noch eins", "***");
    check(&["wört/\"2\""], r#""w\303\266rt/\"2\"""#, "\"***\"");
}

/// Both directions: what is as rare as a secret is hidden in every form, what is ordinary output stays.
#[test]
fn forms_of_short_secrets_hide_nothing_else() {
    for (secret, text, expect) in [
        ("1234", "31323334 and MTIzN and 1234", "*** and *** and ***"),
        ("1234", "30 31 32 33 34 35 36", "30 31 32 33 34 35 36"),
        ("1234", "0000010 3130 3332 3534  01 2345", "0000010 3130 3332 3534  01 2345"),
        ("1234", "31:32:33:34 0x31, 0x32, 0x33, 0x34", "31:32:33:34 0x31, 0x32, 0x33, 0x34"),
        ("cafe", "63 61 66 65 | c   a   f   e", "63 61 66 65 | c   a   f   e"),
        ("cafe", "63616665 Y2FmZQ== café cafe", "*** *** café ***"),
        ("longer-1", "6c 6f 6e 67 65 72 2d 31", "***"),
        ("longer-1", "6c 6f 6e 67 65 72 2d", "6c 6f 6e 67 65 72 2d"),
        ("\"abcde\"", "abcde", "abcde"),
    ] {
        check(&[secret], text, expect);
    }
}

#[test]
fn base64_in_base64_is_found() {
    let secret = "s3cr3t-v4lue?>-and-more";
    for user in ["", "u", "us", "use"] {
        let auth = STANDARD.encode(format!("{user}:{secret}"));
        let config = STANDARD.encode(format!("{{\"auths\":{{\"ghcr.io\":{{\"auth\":\"{auth}\"}}}}}}"));
        let masked = masker(&[secret]).mask_str(&config).into_owned();
        let hidden = config.len() - (masked.len() - MASK.len());
        assert!(masked.matches(MASK).count() == 1 && hidden >= secret.len() * 16 / 9 - 8, "{config} became {masked}");
    }
}

#[test]
fn base64_is_found_behind_and_before_anything() {
    let secret = "s3cr3t-v4lue?>";
    for before in ["", "u", "us", "use", "user:", "x-access-token:"] {
        for behind in ["", "\n", "ab", "abc"] {
            let text = format!("{before}{secret}{behind}");
            for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let masked = masker(&[secret]).mask_str(&encoded).into_owned();
                let hidden = encoded.len() - (masked.len() - MASK.len());
                // All but the characters that share bits with what stands around: 14 bytes own at least 17 whole ones.
                assert!(masked.matches(MASK).count() == 1 && hidden >= 17, "{encoded} became {masked}");
            }
        }
    }
    check(&[secret], &STANDARD.encode(secret), "***");
    check(&[secret], &STANDARD.encode(format!("abc{secret}")), "YWJj***");
}

#[test]
fn wrapped_base64_is_found() {
    let secret: String = (0..90_u8).map(|i| char::from(b'!' + i)).collect();
    let encoded = STANDARD.encode(&secret);
    for width in [8, 20, 64, 76] {
        for line_break in ["\n", "\r\n"] {
            let lines: Vec<&str> = encoded.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
            let expect = vec![MASK; lines.len()].join(line_break);
            check(
                &[&secret],
                &format!("a{line_break}{}{line_break}b", lines.join(line_break)),
                &format!("a{line_break}{expect}{line_break}b"),
            );
        }
    }
    // A head shorter than eight bytes is let through at once, so that lines are never late for it; the rest is hidden.
    check(&[&secret], &format!("x {}\n{}\n", &encoded[..5], &encoded[5..]), &format!("x {}\n***\n", &encoded[..5]));
    check(&["hunter22abcdef"], "hunter22\n\nabcdef", "hunter22\n\nabcdef");
}

#[test]
fn lines_of_a_secret_are_secrets() {
    let key = "-----BEGIN KEY-----\nabcdefgh\n  ijklmnop\r\nqr\n-----END KEY-----\n";
    check(&[key], "cat: -----BEGIN KEY-----\nabcdefgh\n", "cat: ***\n***\n");
    check(&[key], "abcdefgh ijklmnop", "*** ***");
    check(&[key], "qr", "qr");
    check(&["ab\ncd"], "ab\r\ncd|ab\ncd|ab cd|ab\\ncd|ab%0Acd", "***\r\n***|***\n***|***|***|***");
    let json = "{\n  \"user\": \"admin\",\n  \"key\": \"0xAFFE42\"\n}";
    check(&[json], "{\n}, {\"a\": 1}", "{\n}, {\"a\": 1}");
    check(&[json], "  \"key\": \"0xAFFE42\"", "  ***");
    check(&[json], &serde_json::to_string(json).unwrap(), "\"***\"");
}

#[test]
fn of_a_signed_token_the_signature_is_hidden_in_every_form() {
    let mut masker = Masker::new();
    masker.add_signed("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJl-aGVyZQ").unwrap();
    let check = |text: &str, expect: &str| assert_eq!(masker.mask_str(text), expect);
    check("token=eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJl-aGVyZQ!", "token=***!");
    check("eyJhIjoxfQ c2lnbmF0dXJl%2DaGVyZQ", "eyJhIjoxfQ ***");
    check("63326c6e626d463064584a6c2d614756795a51", "***");
}

#[test]
fn short_values_are_refused_by_length() {
    let mut masker = Masker::new();
    for (value, characters) in [("", 0), ("  ", 0), ("abc", 3), (" abc\n", 3), ("éé", 2)] {
        assert_eq!(masker.add(value), Err(TooShort { characters }), "{value:?}");
    }
    assert!(masker.is_empty());
    assert!(matches!(masker.mask_str("abc"), std::borrow::Cow::Borrowed("abc")));
    assert_eq!(masker.add("abcd"), Ok(()));
    let refused = TooShort { characters: 3 }.to_string();
    assert_eq!(refused, "a secret of 3 characters is too short to be masked, at least 4 are needed");
    assert!(!format!("{masker:?} {:?}", MaskStream::new(masker.clone())).contains("abcd"));
}

#[test]
fn only_what_may_become_a_secret_is_held() {
    let mut stream = MaskStream::new(masker(&["abcdef", "efgh"]));
    let mut out = Vec::new();
    for (chunk, shown, held) in [
        ("Password: ", "Password: ", 0),
        ("ab", "Password: ", 2),
        ("!", "Password: ab!", 0),
        ("abcde", "Password: ab!", 5),
        // A whole secret is replaced at once, but its last two bytes may begin the other one.
        ("f", "Password: ab!***", 2),
        ("gh.", "Password: ab!***.", 0),
        ("line a\n", "Password: ab!***.line a\n", 0),
        ("line a\r", "Password: ab!***.line a\nline a\r", 0),
        ("\n", "Password: ab!***.line a\nline a\r\n", 0),
    ] {
        stream.write(chunk.as_bytes(), &mut out);
        assert_eq!((String::from_utf8_lossy(&out).as_ref(), stream.pending()), (shown, held), "after {chunk:?}");
    }
}

#[test]
fn a_new_secret_counts_for_bytes_that_are_held() {
    let mut all = masker(&["abcdefghij"]);
    let mut stream = MaskStream::new(all.clone());
    let mut out = Vec::new();
    stream.write(b"1 abcdefgh", &mut out);
    all.add("cdef").unwrap();
    stream.replace_masker(all);
    stream.write(b" cdef\n", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "1 ab***gh ***\n");
    let mut stream = MaskStream::new(Masker::new());
    out.clear();
    stream.write(b"abcdefghij ", &mut out);
    stream.replace_masker(masker(&["abcdefghij"]));
    stream.write(b"abcdefghij ", &mut out);
    assert_eq!(out, b"abcdefghij *** ");
}

/// The obvious way: mark every place of every pattern, then replace runs of marks.
fn naive(secrets: &[String], text: &str) -> String {
    let mut patterns = std::collections::BTreeSet::new();
    secrets.iter().for_each(|secret| encoding::add_patterns(secret, &mut patterns));
    let mut hidden = vec![false; text.len()];
    for pattern in &patterns {
        for at in 0..text.len() {
            if text.as_bytes()[at..].starts_with(pattern) {
                hidden[at..at + pattern.len()].fill(true);
            }
        }
    }
    let mut out = String::new();
    for (at, character) in text.char_indices() {
        if !hidden[at] {
            out.push(character);
        } else if at == 0 || !hidden[at - 1] {
            out.push_str(MASK);
        }
    }
    out
}

fn cut(text: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| text[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Few letters, so that secrets overlap themselves, each other and the text in every way.
    #[test]
    fn streams_equal_the_naive_masker(
        secrets in prop::collection::vec("[ab]{4,9}", 1..4),
        text in "[abc]{0,60}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let masker = masker(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
        let expect = naive(&secrets, &text);
        prop_assert_eq!(masker.mask_str(&text), expect.as_str());
        let chunks = cut(text.as_bytes(), &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(stream(&masker, &chunks), expect);
    }

    /// With line breaks in both, cutting still changes nothing.
    #[test]
    fn cuts_do_not_matter(
        secrets in prop::collection::vec("[ab]{2,9}[ab\n\r]{4,9}b", 1..4),
        text in "[abc\n\r]{0,80}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut masker = Masker::new();
        for secret in &secrets {
            prop_assume!(masker.add(secret).is_ok());
        }
        let chunks = cut(text.as_bytes(), &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(stream(&masker, &chunks), masker.mask_str(&text));
    }

    /// Any secret, any text around any of its forms, any cut: no form is left.
    #[test]
    fn no_form_is_left(
        secret in "[^*]{4,16}",
        form in any::<prop::sample::Index>(),
        around in "[^*]{0,10}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut masker = Masker::new();
        prop_assume!(masker.add(&secret).is_ok());
        let mut patterns = std::collections::BTreeSet::new();
        encoding::add_patterns(&secret, &mut patterns);
        let form = patterns.iter().nth(form.index(patterns.len())).unwrap();
        let text = [around.as_bytes(), form, around.as_bytes()].concat();
        let chunks = cut(&text, &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let out = stream(&masker, &chunks);
        for pattern in &patterns {
            prop_assert!(!out.as_bytes().windows(pattern.len()).any(|window| window == pattern));
        }
    }

    /// Text without secrets passes as it is, byte for byte, also if it is no UTF-8.
    #[test]
    fn other_bytes_pass(
        text in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut stream = MaskStream::new(masker(&["correct horse battery staple", "hunter22"]));
        let mut out = Vec::new();
        for chunk in cut(&text, &cuts) {
            stream.write(&chunk, &mut out);
        }
        stream.flush(&mut out);
        prop_assert_eq!(out, text);
    }
}
