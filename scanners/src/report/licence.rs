//! Licences as packages state them, in the words of SPDX where they are such.
//!
//! The list has the identifiers that packages really carry; whatever is not in it is kept as a name, which both standards
//! allow, rather than passed off as an identifier. Follows <https://spdx.org/licenses/>.

const KNOWN: [&str; 74] = [
    "0BSD",
    "AFL-2.1",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-1.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-2-Clause-Patent",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSD-4-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDDL-1.0",
    "CDDL-1.1",
    "CECILL-2.1",
    "CPL-1.0",
    "EPL-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "FTL",
    "GFDL-1.3-only",
    "GFDL-1.3-or-later",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ICU",
    "IJG",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "Libpng",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "MS-PL",
    "NCSA",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PSF-2.0",
    "PostgreSQL",
    "Python-2.0",
    "Ruby",
    "TCL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "Zlib",
];

const EXCEPTIONS: [&str; 5] =
    ["Classpath-exception-2.0", "GCC-exception-3.1", "LLVM-exception", "OpenSSL-exception", "Autoconf-exception-3.0"];

/// What a licence is to SPDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Licence<'a> {
    /// One identifier of the list, as it is spelt there.
    Id(&'static str),
    /// An expression of such identifiers.
    Expression(&'a str),
    /// Anything else.
    Name(&'a str),
}

/// Reads a licence as a package states it.
pub(super) fn read(text: &str) -> Licence<'_> {
    let text = text.trim();
    if let Some(id) = id(text) {
        return Licence::Id(id);
    }
    if is_expression(text) { Licence::Expression(text) } else { Licence::Name(text) }
}

fn id(text: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|id| id.eq_ignore_ascii_case(text))
}

/// Whether identifiers and operators take turns, with parentheses that close. Letters of identifiers must be right here.
fn is_expression(text: &str) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut depth = 0_i32;
    let mut wants_licence = true;
    let mut after_with = false;
    for word in spaced.split_whitespace() {
        let is_right = match word {
            "(" if wants_licence && !after_with => {
                depth += 1;
                true
            }
            ")" if !wants_licence => {
                depth -= 1;
                depth >= 0
            }
            "AND" | "OR" if !wants_licence => {
                wants_licence = true;
                true
            }
            "WITH" if !wants_licence => {
                (wants_licence, after_with) = (true, true);
                true
            }
            word if wants_licence => {
                let is_known =
                    if after_with { EXCEPTIONS.contains(&word) } else { KNOWN.contains(&word.trim_end_matches('+')) };
                (wants_licence, after_with) = (false, false);
                is_known
            }
            _ => false,
        };
        if !is_right {
            return false;
        }
    }
    depth == 0 && !wants_licence && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_what_spdx_knows_them_as() {
        for (text, expect) in [
            ("mit", Licence::Id("MIT")),
            ("MIT OR Apache-2.0", Licence::Expression("MIT OR Apache-2.0")),
            ("(MIT AND (ISC OR Zlib))", Licence::Expression("(MIT AND (ISC OR Zlib))")),
            ("GPL-2.0+ WITH Classpath-exception-2.0", Licence::Expression("GPL-2.0+ WITH Classpath-exception-2.0")),
            ("MIT OR", Licence::Name("MIT OR")),
            ("(MIT", Licence::Name("(MIT")),
            ("MIT Zlib", Licence::Name("MIT Zlib")),
            ("MIT OR Mine", Licence::Name("MIT OR Mine")),
            ("", Licence::Name("")),
        ] {
            assert_eq!(read(text), expect, "{text}");
        }
    }
}
