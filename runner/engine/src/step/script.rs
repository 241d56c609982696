//! `run:` steps: which shell, which command line, which script file.
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell>.

/// A shell's command line and how its scripts are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// As it is shown in the log, with `{0}` for the script.
    pub template: String,
    /// Ending of the script file, with its dot.
    pub extension: &'static str,
    fix: Fix,
}

/// The command line of `shell: python`.
const PYTHON: &str = "python {0}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fix {
    None,
    PowerShell,
}

/// A shell that cannot be used; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadShell(pub String);

impl Shell {
    /// What runs a script where no `shell:` is written: bash, or sh where there is no bash.
    #[must_use]
    pub fn unnamed(has_bash: bool) -> Self {
        let template = if has_bash { "bash -e {0}" } else { "sh -e {0}" };
        Self { template: template.into(), extension: ".sh", fix: Fix::None }
    }

    /// The shell of a `shell:` value.
    ///
    /// # Errors
    /// [`BadShell`] for a shell that exists on Windows only, and for a command without `{0}`.
    pub fn named(value: &str) -> Result<Self, BadShell> {
        let known = |template: &str, extension, fix| Ok(Self { template: template.into(), extension, fix });
        match value.trim().to_lowercase().as_str() {
            "bash" => known("bash --noprofile --norc -e -o pipefail {0}", ".sh", Fix::None),
            "sh" => known("sh -e {0}", ".sh", Fix::None),
            "python" => known(PYTHON, ".py", Fix::None),
            "pwsh" => known("pwsh -command \". '{0}'\"", ".ps1", Fix::PowerShell),
            "node" => known("node {0}", ".js", Fix::None),
            shell @ ("cmd" | "powershell") => {
                Err(BadShell(format!("the shell `{shell}` exists on Windows only; use bash, sh, python or pwsh")))
            }
            _ if value.contains("{0}") => known(value.trim(), "", Fix::None),
            _ => Err(BadShell(format!(
                "`shell: {value}` is none of bash, sh, python, pwsh, node; for another program write its command with \
                 {{0}} where the script goes, such as `{value} {{0}}`"
            ))),
        }
    }

    /// The text of the script file.
    #[must_use]
    pub fn script(&self, text: &str) -> String {
        let text = text.replace("\r\n", "\n");
        match self.fix {
            Fix::None => text,
            Fix::PowerShell => format!(
                "$ErrorActionPreference = 'stop'\n{text}\nif ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) {{ exit $LASTEXITCODE }}\n"
            ),
        }
    }

    /// The command line to try where the first one's program is missing: GitHub's machines have a `python`, Debian's
    /// images often only a `python3`.
    #[must_use]
    pub fn other_argv(&self, argv: &[String]) -> Option<Vec<String>> {
        let (program, arguments) = argv.split_first()?;
        let other = (self.template == PYTHON && program == "python").then(|| "python3".to_owned())?;
        Some(std::iter::once(other).chain(arguments.iter().cloned()).collect())
    }

    /// Program and arguments for a script at a path.
    #[must_use]
    pub fn argv(&self, script: &str) -> Vec<String> {
        split(&self.template).into_iter().map(|word| word.replace("{0}", script)).collect()
    }
}

/// Words of a command line, with double and single quotes, as a person would expect.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_have_their_command_lines() {
        for (shell, expected) in [
            ("bash", Ok(vec!["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "/s"])),
            ("sh", Ok(vec!["sh", "-e", "/s"])),
            ("python", Ok(vec!["python", "/s"])),
            ("pwsh", Ok(vec!["pwsh", "-command", ". '/s'"])),
            ("perl {0}", Ok(vec!["perl", "/s"])),
            ("bash -c 'cat {0} | sh'", Ok(vec!["bash", "-c", "cat /s | sh"])),
            ("cmd", Err("Windows only")),
            ("perl", Err("perl {0}")),
        ] {
            match (Shell::named(shell), expected) {
                (Ok(found), Ok(argv)) => assert_eq!(found.argv("/s"), argv, "{shell}"),
                (Err(error), Err(part)) => assert!(error.0.contains(part), "{error}"),
                (found, expected) => panic!("{shell}: {found:?} instead of {expected:?}"),
            }
        }
        assert_eq!(Shell::unnamed(false).argv("/s"), ["sh", "-e", "/s"]);
    }

    #[test]
    fn windows_line_ends_do_not_reach_the_shell() {
        assert_eq!(Shell::unnamed(true).script("a\r\nb"), "a\nb");
        assert!(Shell::named("pwsh").unwrap().script("x").contains("stop"));
    }
}
