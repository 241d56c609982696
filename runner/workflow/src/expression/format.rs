//! `format(text, value, …)`: text with `{0}` replaced.
//!
//! What it does not do: evaluate the arguments; it asks for each when its turn comes.
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#format>.

/// A piece of a format text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'text> {
    /// Copied as it is.
    Text(&'text str),
    /// Replaced by the argument of this index, counted from zero after the format text.
    Argument(u8),
    /// `{0:specifiers}`: GitHub reads these and then refuses them.
    Specified(u8, &'text str),
}

/// The text is no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Cuts a format text into its pieces; `{{` and `}}` stand for single braces.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, Malformed>> {
    let mut rest = text;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || rest.is_empty() {
            return None;
        }
        match next_piece(rest) {
            Ok((piece, length)) => {
                rest = &rest[length..];
                Some(Ok(piece))
            }
            Err(malformed) => {
                failed = true;
                Some(Err(malformed))
            }
        }
    })
}

/// The first piece and the bytes that it takes.
fn next_piece(rest: &str) -> Result<(Piece<'_>, usize), Malformed> {
    let Some(brace) = rest.find(['{', '}']) else {
        return Ok((Piece::Text(rest), rest.len()));
    };
    let (before, from_brace) = rest.split_at(brace);
    let doubled = if from_brace.starts_with('{') { "{{" } else { "}}" };
    if from_brace.starts_with(doubled) {
        return Ok((Piece::Text(&rest[..=brace]), brace + 2));
    }
    if from_brace.starts_with('}') {
        return Err(Malformed);
    }
    let after = &from_brace[1..];
    let digits = after.find(|next: char| !next.is_ascii_digit()).unwrap_or(after.len());
    let argument: u8 = after[..digits].parse().map_err(|_| Malformed)?;
    if !before.is_empty() {
        // The index is checked first, so that a malformed one is reported before the text is used.
        close(&after[digits..])?;
        return Ok((Piece::Text(before), brace));
    }
    let (specifiers, length) = close(&after[digits..])?;
    let piece = if specifiers.is_empty() { Piece::Argument(argument) } else { Piece::Specified(argument, specifiers) };
    Ok((piece, 1 + digits + length))
}

/// What stands between an index and its closing brace, and the bytes up to behind that brace.
fn close(rest: &str) -> Result<(&str, usize), Malformed> {
    if rest.starts_with('}') {
        return Ok(("", 1));
    }
    let specifiers = rest.strip_prefix(':').ok_or(Malformed)?;
    let mut index = 0;
    while let Some(brace) = specifiers[index..].find('}') {
        index += brace;
        if !specifiers[index..].starts_with("}}") {
            return Ok((&specifiers[..index], index + 2));
        }
        index += 2;
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[Piece<'_>], Malformed>) {
        let actual: Result<Vec<_>, _> = pieces(text).collect();
        assert_eq!(actual.as_deref(), expected.as_ref().map(|pieces| *pieces), "{text}");
    }

    #[test]
    fn braces_are_read_as_github_reads_them() {
        check("", Ok(&[]));
        check("a{0}b", Ok(&[Piece::Text("a"), Piece::Argument(0), Piece::Text("b")]));
        check("{{0}}", Ok(&[Piece::Text("{"), Piece::Text("0}")]));
        check("{255}", Ok(&[Piece::Argument(255)]));
        check("{0:x}", Ok(&[Piece::Specified(0, "x")]));
        check("{0:}", Ok(&[Piece::Argument(0)]));
        for text in ["{", "}", "{0", "{256}", "{}", "{-1}", "{0:x", "{0:x}}", "{0 }", "a{x}", "{0}}", "{a}", "{é}"] {
            check(text, Err(Malformed));
        }
    }
}
