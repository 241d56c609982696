//! A small set of rules for source code in Python, JavaScript and TypeScript: what is nearly always wrong and can be told
//! from one statement. It follows no data through a program; for that there are Semgrep and CodeQL, whose reports the same
//! gate takes (`import`).
//!
//! `# nosec`, `// nosemgrep` and `pipe ignore=RULE` in the line are obeyed. Each rule names its weakness in MITRE's list
//! (<https://cwe.mitre.org/>).

mod rules;

use regex::Regex;

use crate::finding::{Finding, Kind, Place, Severity, Subject};

/// Longest file that is looked at; longer ones are generated.
pub const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most lines of one statement.
const STATEMENT_LINES_MAX: usize = 12;
/// Longest line that somebody wrote.
const LINE_BYTES_MAX: usize = 2000;

/// A language by the endings of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
}

struct Rule {
    id: &'static str,
    cwe: &'static str,
    severity: Severity,
    language: Language,
    expression: Regex,
    /// A statement with this is meant otherwise.
    unless: Option<Regex>,
    words: &'static str,
}

/// Rules made ready.
pub struct Scanner {
    rules: Vec<Rule>,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("rules", &self.rules.len()).finish()
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self { rules: rules::built_in() }
    }
}

impl Scanner {
    /// Checks a file; nothing where its ending is of no language with rules.
    #[must_use]
    pub fn check(&self, path: &str, text: &str) -> Vec<Finding> {
        let Some(language) = language(path).filter(|_| text.len() <= FILE_BYTES_MAX) else { return Vec::new() };
        let lines: Vec<String> = without_comments(text, language);
        let written: Vec<&str> = text.lines().collect();
        let mut findings = Vec::new();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.len() <= LINE_BYTES_MAX) {
            let mut statement: Option<String> = None;
            for rule in self.rules.iter().filter(|rule| rule.language == language) {
                // The expression begins in this line and may go on in those behind.
                let whole = statement.get_or_insert_with(|| joined(&lines[number..]));
                let Some(found) = rule.expression.find(whole).filter(|found| found.start() < line.len().max(1)) else {
                    continue;
                };
                let is_meant = rule.unless.as_ref().is_some_and(|unless| unless.is_match(whole));
                if !is_meant && !is_ignored(written.get(number).copied().unwrap_or_default(), rule.id) {
                    findings.push(finding(rule, path, number, whole[..found.start()].chars().count()));
                }
            }
        }
        findings
    }
}

fn finding(rule: &Rule, path: &str, number: usize, before: usize) -> Finding {
    let count = |number: usize| u32::try_from(number + 1).ok();
    let place =
        Place { file: path.to_owned(), line: count(number), end_line: None, column: count(before), layer: None };
    let mut finding =
        Finding::of_rule(Kind::Code, rule.id, rule.words.to_owned(), Subject::Place(place), rule.severity);
    finding.aliases.push(rule.cwe.to_owned());
    let number = rule.cwe.trim_start_matches("CWE-");
    finding.references.push(format!("https://cwe.mitre.org/data/definitions/{number}.html"));
    finding
}

/// Whether there are rules for a file of this name.
#[must_use]
pub fn is_known(path: &str) -> bool {
    language(path).is_some()
}

fn language(path: &str) -> Option<Language> {
    let (stem, ending) = path.rsplit_once('.')?;
    match ending {
        "py" | "pyw" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" if !stem.ends_with(".min") => {
            Some(Language::JavaScript)
        }
        _ => None,
    }
}

/// A line with those that its open brackets take in.
fn joined(lines: &[String]) -> String {
    let mut whole = String::new();
    let mut depth = 0_i64;
    for line in lines.iter().take(STATEMENT_LINES_MAX) {
        whole.push_str(line);
        whole.push('\n');
        depth += line.chars().map(|c| i64::from("([{".contains(c)) - i64::from(")]}".contains(c))).sum::<i64>();
        if depth <= 0 {
            break;
        }
    }
    whole
}

fn is_ignored(line: &str, id: &str) -> bool {
    let named = line.split("pipe ignore=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let is_named = named.is_some_and(|names| names.split(',').any(|name| name == id));
    is_named || line.contains("nosec") || line.contains("nosemgrep")
}

/// The lines with blanks where comments and long texts were, so that columns stay.
fn without_comments(text: &str, language: Language) -> Vec<String> {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    // What ends the part that is being read, and whether it is left out.
    let mut inside: Option<(&str, bool)> = None;
    while let Some(c) = rest.chars().next() {
        let begins = |word: &str| rest.starts_with(word);
        let mut length = c.len_utf8();
        let mut is_out = inside.is_some_and(|(_, is_out)| is_out);
        match inside {
            Some((end, _)) if begins(end) => {
                length = end.len();
                inside = None;
            }
            Some(("\n", _)) => {}
            Some(("\"" | "'" | "`", _)) if c == '\\' => length += rest[1..].chars().next().map_or(0, char::len_utf8),
            // A text in one line that does not end there is none.
            Some(("\"" | "'", _)) if c == '\n' => inside = None,
            Some(_) => {}
            None => {
                let begun = match language {
                    Language::Python if begins("#") => Some(("\n", true)),
                    Language::Python if begins("\"\"\"") => Some(("\"\"\"", true)),
                    Language::Python if begins("'''") => Some(("'''", true)),
                    Language::JavaScript if begins("//") => Some(("\n", true)),
                    Language::JavaScript if begins("/*") => Some(("*/", true)),
                    Language::JavaScript if c == '`' => Some(("`", false)),
                    Language::Python | Language::JavaScript if c == '"' => Some(("\"", false)),
                    Language::Python | Language::JavaScript if c == '\'' => Some(("'", false)),
                    Language::Python | Language::JavaScript => None,
                };
                if let Some((end, out)) = begun {
                    is_out = out;
                    length = if matches!(end, "\"\"\"" | "'''") { 3 } else { length };
                    inside = begun;
                }
            }
        }
        let (taken, after) = rest.split_at(length);
        bare.extend(taken.chars().map(|c| if is_out && c != '\n' { ' ' } else { c }));
        rest = after;
    }
    bare.split('\n').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &[&str]) {
        let found = Scanner::default().check(path, text);
        let shown: Vec<_> =
            found.iter().map(|one| format!("{}:{}", one.place().unwrap().line.unwrap(), one.id)).collect();
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn python() {
        let one = |text: &str, expect: &[&str]| check("a.py", text, expect);
        one("subprocess.run(cmd, shell=True)", &["1:python-shell"]);
        one("x = 1\nsubprocess.run(\n    f'ls {x}',\n    shell=True,\n)", &["2:python-shell"]);
        one("subprocess.run(['ls', x])", &[]);
        one("os.system('ls ' + x)", &["1:python-shell"]);
        one("pickle.loads(data)", &["1:python-pickle"]);
        one("yaml.load(f)", &["1:python-yaml-load"]);
        one("yaml.load(f, Loader=yaml.SafeLoader)", &[]);
        one("cursor.execute(f\"SELECT * FROM t WHERE id = {id}\")", &["1:python-sql"]);
        one("cursor.execute('SELECT 1 WHERE id = %s', (id,))", &[]);
        one("cursor.execute('SELECT 1 WHERE id = %s' % id)", &["1:python-sql"]);
        one("requests.get(url, verify=False)", &["1:python-unchecked-tls"]);
        one("app.run(debug=True)", &["1:python-debug"]);
        one("hashlib.md5(password)", &["1:python-weak-digest"]);
        one("hashlib.md5(x, usedforsecurity=False)", &[]);
        one("# eval(x)\n\"\"\"\neval(x)\n\"\"\"\nast.literal_eval(x)", &[]);
        one("eval(x)\neval(y)  # nosec\neval(z)  # pipe ignore=python-eval", &["1:python-eval"]);
    }

    #[test]
    fn javascript() {
        let one = |text: &str, expect: &[&str]| check("a.ts", text, expect);
        one("exec(`ls ${x}`)", &["1:js-shell"]);
        one("child_process.execSync('ls ' + x)", &["1:js-shell"]);
        one("execFile('ls', [x]); /a/.exec(b)", &[]);
        one("eval(x)", &["1:js-eval"]);
        one("element.innerHTML = name", &["1:js-html"]);
        one("element.innerHTML = ''", &[]);
        one("await db.query(`SELECT * FROM t WHERE id = ${id}`)", &["1:js-sql"]);
        one("await db.query('SELECT * FROM t WHERE id = $1', [id])", &[]);
        one("new Agent({ rejectUnauthorized: false })", &["1:js-unchecked-tls"]);
        one("crypto.createHash('md5')", &["1:js-weak-digest"]);
        one("const token = Math.random().toString(36)", &["1:js-weak-random"]);
        one("const x = Math.random()", &[]);
        one("// eval(x)\n/* eval(x) */ const a = 'http://x' // eval(y)", &[]);
        check("a.min.js", "eval(x)", &[]);
        check("a.rs", "eval(x)", &[]);
    }
}
