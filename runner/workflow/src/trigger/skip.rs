//! `[skip ci]` and its kin in a commit message.
//!
//! Follows <https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs>.

const INSTRUCTIONS: [&str; 5] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"];
const TRAILER: &str = "skip-checks: true";

/// The instruction in a commit message that asks for no run: one of the five in brackets anywhere, or the trailer
/// `skip-checks: true` in the last paragraph of a message that has more than one.
#[must_use]
pub fn skip_instruction(message: &str) -> Option<&'static str> {
    let lower = message.to_ascii_lowercase();
    if let Some(found) = INSTRUCTIONS.into_iter().find(|instruction| lower.contains(instruction)) {
        return Some(found);
    }
    let normalised = lower.replace("\r\n", "\n");
    let (_, last) = normalised.trim_end().rsplit_once("\n\n")?;
    let is_trailer = |line: &str| matches!(line.trim(), "skip-checks: true" | "skip-checks:true");
    last.lines().any(is_trailer).then_some(TRAILER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_found() {
        for (message, expected) in [
            ("fix", None),
            ("fix [skip ci]", Some("[skip ci]")),
            ("fix [Skip CI] x", Some("[skip ci]")),
            ("[no ci]\n\nbody", Some("[no ci]")),
            ("title\n\nbody [actions skip]", Some("[actions skip]")),
            ("title\n\n\nskip-checks: true\n", Some(TRAILER)),
            ("title\r\n\r\nskip-checks:true", Some(TRAILER)),
            ("title\n\nskip-checks: true\nSigned-off-by: a <a@b>", Some(TRAILER)),
            ("skip-checks: true", None),
            ("title\n\nskip-checks: true\n\nmore", None),
            ("skip ci", None),
            ("", None),
        ] {
            assert_eq!(skip_instruction(message), expected, "{message:?}");
        }
    }
}
