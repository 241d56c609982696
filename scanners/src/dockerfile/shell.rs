//! A shell's line cut into its commands, well enough for rules: quotes, escapes and operators, no expansion.

use super::Instruction;

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Without assignments before the program.
    pub(super) words: Vec<String>,
    /// Whether it reads what the command before it writes.
    pub(super) is_piped: bool,
}

impl Command {
    /// The program without its path; wrappers like `sudo` are seen through, save where they are asked for.
    pub(super) fn program(&self) -> &str {
        let mut words = self.words.iter().map(String::as_str).peekable();
        while matches!(
            words.peek(),
            Some(
                &"sudo"
                    | &"env"
                    | &"exec"
                    | &"command"
                    | &"time"
                    | &"nice"
                    | &"then"
                    | &"do"
                    | &"if"
                    | &"!"
                    | &"else"
                    | &"("
                    | &"{"
            )
        ) {
            words.next();
            while words.peek().is_some_and(|word| word.starts_with('-') || is_assignment(word)) {
                words.next();
            }
        }
        let word = words.next().unwrap_or_default();
        word.rsplit('/').next().unwrap_or(word)
    }

    /// Words behind the program, without options.
    pub(super) fn operands(&self) -> impl Iterator<Item = &str> {
        let program = self.program().to_owned();
        let behind = self.words.iter().skip_while(move |word| word.rsplit('/').next() != Some(&program)).skip(1);
        behind.map(String::as_str).filter(|word| !word.starts_with('-'))
    }

    pub(super) fn has(&self, options: &[&str]) -> bool {
        self.words
            .iter()
            .any(|word| options.iter().any(|option| word == option || word.starts_with(&format!("{option}="))))
    }

    /// Whether a letter is among short options: `y` of `-qy`.
    pub(super) fn has_letter(&self, letter: char) -> bool {
        self.words.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(letter))
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// The commands of a `RUN`, in its shell or its JSON form, and those of its here-documents.
pub(super) fn commands(run: &Instruction) -> Vec<Command> {
    let rest = without_options(&run.rest);
    if rest.starts_with('[')
        && let Ok(words) = serde_json::from_str::<Vec<String>>(rest)
    {
        if let [shell, option, script] = &words[..]
            && shell.ends_with("sh")
            && option.ends_with('c')
        {
            return split(script);
        }
        return vec![Command { words, is_piped: false }];
    }
    let mut commands = split(rest);
    commands.extend(split(&run.heredoc));
    commands
}

/// Without `--mount=…` and the like before the command.
pub(super) fn without_options(rest: &str) -> &str {
    let mut rest = rest.trim_start();
    while rest.starts_with("--") {
        rest = rest.split_once(char::is_whitespace).map_or("", |(_, after)| after.trim_start());
    }
    rest
}

fn split(script: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut command = Command::default();
    let mut word = String::new();
    let mut is_word = false;
    let mut quote: Option<char> = None;
    let mut characters = script.chars().peekable();
    let end_word = |command: &mut Command, word: &mut String, is_word: &mut bool| {
        if std::mem::take(is_word) {
            let word = std::mem::take(word);
            // Assignments before the program belong to its environment.
            if !command.words.is_empty() || !is_assignment(&word) {
                command.words.push(word);
            }
        }
    };
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"') | None, '\\') => {
                if let Some(next) = characters.next().filter(|next| *next != '\n') {
                    word.push(next);
                    is_word = true;
                }
            }
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, is_word) = (Some(c), true),
            (None, '#') if !is_word => while characters.next_if(|next| *next != '\n').is_some() {},
            (None, '|' | '&' | ';' | '\n') => {
                // `2>&1` and `&>` are no ends of commands.
                if c == '&' && (word.ends_with('>') || characters.peek() == Some(&'>')) {
                    word.push(c);
                    is_word = true;
                    continue;
                }
                end_word(&mut command, &mut word, &mut is_word);
                let is_double = characters.next_if_eq(&c).is_some();
                let is_piped = c == '|' && !is_double;
                if is_piped {
                    characters.next_if_eq(&'&');
                }
                let next = Command { words: Vec::new(), is_piped };
                if !command.words.is_empty() {
                    commands.push(std::mem::replace(&mut command, next));
                }
            }
            (None, c) if c.is_whitespace() => end_word(&mut command, &mut word, &mut is_word),
            (None, c) => {
                word.push(c);
                is_word = true;
            }
        }
    }
    end_word(&mut command, &mut word, &mut is_word);
    if !command.words.is_empty() {
        commands.push(command);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fall_into_commands() {
        let check = |script: &str, expect: &[&str]| {
            let shown: Vec<_> = split(script)
                .iter()
                .map(|command| format!("{}{}", if command.is_piped { "|" } else { "" }, command.words.join(" ")))
                .collect();
            assert_eq!(shown, expect, "{script}");
        };
        check("a -b && c 'd && e' || f; g", &["a -b", "c d && e", "f", "g"]);
        check("curl x | sh -s", &["curl x", "|sh -s"]);
        check("A=1 B=2 make x 2>&1 | tee \"l o g\"", &["make x 2>&1", "|tee l o g"]);
        check("a \\\n b # c\nd", &["a b", "d"]);
        check("", &[]);
    }
}
