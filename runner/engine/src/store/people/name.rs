//! Names of users and teams, and which passwords are taken.
//!
//! Names are ASCII, and upper and lower case are one: two names that look alike are the same name, so that nobody can
//! pass for somebody else in an approval.

use workflow::secret::Secret;

/// Longest name.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest full name.
pub const FULL_NAME_BYTES_MAX: usize = 100;
/// Shortest password, in characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Names that mean something else in the audit log.
const TAKEN: [&str; 6] = ["local", "pipe", "system", "token", "nobody", "everyone"];

/// Long passwords that are tried first; parts of others are found by [`password_problem`] itself.
const WORST: &str = include_str!("worst-passwords.txt");

/// What is wrong with a name, if something is.
pub(super) fn name_problem(name: &str) -> Option<String> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte));
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !fits || !begins || name.len() > NAME_BYTES_MAX {
        return Some(format!(
            "a name has 1 to {NAME_BYTES_MAX} ASCII letters, digits and any of . _ - @ +, and begins with a letter or digit"
        ));
    }
    if TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(name)) {
        return Some(format!("the name `{name}` is taken: it means something else in the audit log"));
    }
    None
}

/// What is wrong with a full name, if something is. It is shown as it is, so nothing in it may hide or turn text.
pub(super) fn full_name_problem(name: &str) -> Option<String> {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if name.len() > FULL_NAME_BYTES_MAX || name.chars().any(hides) {
        return Some(format!(
            "a full name has up to {FULL_NAME_BYTES_MAX} bytes, without control and invisible characters"
        ));
    }
    None
}

/// What is wrong with a password, if something is. It has been normalised.
pub(super) fn password_problem(name: &str, password: &Secret) -> Option<String> {
    let text = password.expose();
    if text.chars().count() < PASSWORD_CHARACTERS_MIN || text.len() > PASSWORD_BYTES_MAX {
        return Some(format!(
            "a password has at least {PASSWORD_CHARACTERS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes"
        ));
    }
    let lower = text.to_lowercase();
    let name = name.to_lowercase();
    let without_name = lower.replace(&name, "");
    let is_weak = repeats(&lower)
        || runs_on(&lower)
        || WORST.lines().any(|worst| worst == lower)
        || (name.len() >= 3 && without_name.chars().count() < PASSWORD_CHARACTERS_MIN / 2);
    is_weak.then(|| "this password is among the first that are tried; take another one".to_owned())
}

/// `abcabcabcabc`: the same few characters again and again.
fn repeats(text: &str) -> bool {
    let all: Vec<char> = text.chars().collect();
    (1..=4).any(|length| all.iter().zip(all.iter().skip(length)).all(|(one, other)| one == other))
}

/// `123456789012`, `abcdefghijkl`: each character follows the one before.
fn runs_on(text: &str) -> bool {
    let all: Vec<u32> = text.chars().map(u32::from).collect();
    let steps = all.windows(2).filter(|pair| pair[1] == pair[0] + 1 || pair[0] == pair[1] + 1).count();
    steps * 10 >= all.len().saturating_sub(1) * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_taken_for_others_are_refused() {
        for name in ["ada", "Ada.Lovelace", "ada@example.com", "a", "7", "x-y_z+1"] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        let long = "a".repeat(65);
        for name in [
            "",
            " ada",
            "ada ",
            ".ada",
            "\u{430}da",
            "a\u{200b}da",
            "rel\u{202e}gpj",
            "a b",
            "a/b",
            "Local",
            "token x",
            &long,
        ] {
            assert!(name_problem(name).is_some(), "{name}");
        }
        assert_eq!(full_name_problem("Ada Lovelace, Gräfin"), None);
        for name in ["rel\u{202e}gpj", "a\u{200b}b", "a\nb", &"x".repeat(101)] {
            assert!(full_name_problem(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_worst_passwords_are_refused() {
        let check = |password: &str, fine: bool| {
            assert_eq!(password_problem("lovelace", &Secret::new(password)).is_none(), fine, "{password}");
        };
        for password in ["correct horse battery staple", "fünf Käfer krabbeln", "x7#kQ-plm2ZZ", &"aB3-x".repeat(200)]
        {
            check(password, true);
        }
        for password in [
            "short",
            "elevenchars",
            "aaaaaaaaaaaaaa",
            "abcabcabcabc",
            "123456789012",
            "1234567890123456",
            "abcdefghijklmnop",
            "PasswordPassword",
            "qwertyuiop12",
            "Lovelace1234",
            "administrator",
            &"ü".repeat(600),
        ] {
            check(password, false);
        }
    }
}
