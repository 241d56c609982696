//! Environment files: what a step leaves in the files named by `GITHUB_OUTPUT`, `GITHUB_ENV`, `GITHUB_STATE`, `GITHUB_PATH`
//! and `GITHUB_STEP_SUMMARY`.
//!
//! It reads bytes that the caller has read; paths, links and file ownership are the engine's concern. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#environment-files> and the
//! `FileCommandManager` of actions/runner on Linux: a `\r` before a line break belongs to the value.

use std::borrow::Cow;

/// Largest file that is read, for all kinds but the two below.
pub const ENVIRONMENT_FILE_BYTES_MAX: usize = 16 << 20;

/// Largest step summary.
pub const STEP_SUMMARY_BYTES_MAX: usize = 1 << 20;

/// Largest list of artifacts.
pub const ARTIFACTS_FILE_BYTES_MAX: usize = 1 << 20;

/// The files that every step gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnvironmentFile {
    /// Outputs of the step.
    Output,
    /// Variables for later steps.
    Env,
    /// Directories in front of `PATH` for later steps.
    Path,
    /// State for the post step of the same action.
    State,
    /// Markdown for the page of the run.
    StepSummary,
    /// Artifacts that the step declares.
    Artifacts,
    /// All artifacts declared before, for reading.
    ArtifactsList,
}

impl EnvironmentFile {
    /// All of them, in the order in which a step's files are processed.
    pub const ALL: [Self; 7] =
        [Self::Path, Self::Env, Self::StepSummary, Self::State, Self::Output, Self::Artifacts, Self::ArtifactsList];

    /// Those that a step leaves for later, in that order.
    pub const OF_STEPS: [Self; 5] = [Self::Path, Self::Env, Self::StepSummary, Self::State, Self::Output];

    /// The property of the `github` context that holds its path.
    #[must_use]
    pub fn context_name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Env => "env",
            Self::Path => "path",
            Self::State => "state",
            Self::StepSummary => "step_summary",
            Self::Artifacts => "artifacts",
            Self::ArtifactsList => "artifacts_list",
        }
    }

    /// The variable that holds its path.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Output => "GITHUB_OUTPUT",
            Self::Env => "GITHUB_ENV",
            Self::Path => "GITHUB_PATH",
            Self::State => "GITHUB_STATE",
            Self::StepSummary => "GITHUB_STEP_SUMMARY",
            Self::Artifacts => "GITHUB_ARTIFACTS",
            Self::ArtifactsList => "GITHUB_ARTIFACTS_LIST",
        }
    }

    /// How its file name begins; a part that is unique to the step follows.
    #[must_use]
    pub fn file_prefix(self) -> &'static str {
        match self {
            Self::Output => "set_output_",
            Self::Env => "set_env_",
            Self::Path => "add_path_",
            Self::State => "save_state_",
            Self::StepSummary => "step_summary_",
            Self::Artifacts => "artifacts_",
            Self::ArtifactsList => "artifacts_list_",
        }
    }

    /// Most bytes to read of it.
    #[must_use]
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Output | Self::Env | Self::Path | Self::State | Self::ArtifactsList => ENVIRONMENT_FILE_BYTES_MAX,
            Self::StepSummary => STEP_SUMMARY_BYTES_MAX,
            Self::Artifacts => ARTIFACTS_FILE_BYTES_MAX,
        }
    }

    /// Refuses a file that is larger than it may be; to be asked before reading it.
    pub fn check_size(self, bytes: u64) -> Result<(), EnvironmentFileError> {
        if bytes <= self.bytes_max() as u64 {
            return Ok(());
        }
        let (got, limit) = (bytes / 1024, self.bytes_max() / 1024);
        Err(match self {
            Self::StepSummary => EnvironmentFileError::SummaryTooLarge { limit, got },
            Self::Artifacts => EnvironmentFileError::ArtifactsTooLarge { limit, got },
            Self::Output | Self::Env | Self::Path | Self::State | Self::ArtifactsList => {
                EnvironmentFileError::TooLarge { variable: self.variable(), limit, got }
            }
        })
    }

    /// What GitHub logs as an error before the reason. The step then fails, except for a summary.
    #[must_use]
    pub fn failure(self) -> String {
        format!("Unable to process file command '{}' successfully.", self.context_name())
    }
}

/// Why a file cannot be used; whoever wrote the step can mend it. The texts are GitHub's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentFileError {
    /// A line is neither `name=value` nor `name<<delimiter`.
    #[error("Invalid format '{0}'")]
    Format(String),
    /// `=value`
    #[error("Invalid format '{0}'. Name must not be empty")]
    EmptyName(String),
    /// `<<delimiter` or `name<<`
    #[error("Invalid format '{0}'. Name must not be empty and delimiter must not be empty")]
    EmptyNameOrDelimiter(String),
    /// The file ends within a value.
    #[error("Invalid value. Matching delimiter not found '{0}'")]
    DelimiterNotFound(String),
    /// The last line of an unfinished value has no line break.
    #[error("Invalid value. EOF marker missing new line.")]
    MissingNewLine,
    /// A file of key and value pairs or paths is too large.
    #[error("${variable} file exceeds the maximum size of {limit} KiB (got {got} KiB).")]
    TooLarge { variable: &'static str, limit: usize, got: u64 },
    /// A summary is too large.
    #[error(
        "$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of {limit}k, got {got}k. For more information see: https://docs.github.com/actions/using-workflows/workflow-commands-for-github-actions#adding-a-markdown-summary"
    )]
    SummaryTooLarge { limit: usize, got: u64 },
    /// A list of artifacts is too large.
    #[error("$GITHUB_ARTIFACTS file exceeds the maximum size of {limit} KiB (got {got} KiB).")]
    ArtifactsTooLarge { limit: usize, got: u64 },
    /// A list of artifacts has a bad entry; lines count from 1.
    #[error("Invalid $GITHUB_ARTIFACTS entry on line {line}: {reason}")]
    Artifact { line: usize, reason: String },
}

/// What a file of names and values holds: the pairs in the order written, repetitions included, and what ended the reading
/// early. Pairs before a bad line count, as on GitHub; nothing behind it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValueFile {
    /// Names and values.
    pub pairs: Vec<(String, String)>,
    /// Why the rest was not read.
    pub error: Option<EnvironmentFileError>,
}

/// Reads `GITHUB_OUTPUT`, `GITHUB_ENV` or `GITHUB_STATE`.
#[must_use]
pub fn parse_key_value_file(bytes: &[u8]) -> KeyValueFile {
    let text = decode(bytes);
    let mut rest: &str = &text;
    let mut file = KeyValueFile::default();
    while let Some((line, _)) = next_line(&mut rest) {
        if line.is_empty() {
            continue;
        }
        match pair(line, &mut rest) {
            Ok(pair) => file.pairs.push(pair),
            Err(error) => {
                file.error = Some(error);
                break;
            }
        }
    }
    file
}

fn pair(line: &str, rest: &mut &str) -> Result<(String, String), EnvironmentFileError> {
    let equals = line.find('=').unwrap_or(usize::MAX);
    let heredoc = line.find("<<").unwrap_or(usize::MAX);
    if equals < heredoc {
        let (name, value) = (&line[..equals], &line[equals + 1..]);
        if name.is_empty() {
            return Err(EnvironmentFileError::EmptyName(line.to_owned()));
        }
        return Ok((name.to_owned(), value.to_owned()));
    }
    if heredoc < equals {
        let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
        if name.is_empty() || delimiter.is_empty() {
            return Err(EnvironmentFileError::EmptyNameOrDelimiter(line.to_owned()));
        }
        return Ok((name.to_owned(), heredoc_value(rest, delimiter)?.to_owned()));
    }
    Err(EnvironmentFileError::Format(line.to_owned()))
}

/// The lines up to the delimiter, without the line break before it.
fn heredoc_value<'a>(rest: &mut &'a str, delimiter: &str) -> Result<&'a str, EnvironmentFileError> {
    let all = *rest;
    let mut end = 0;
    loop {
        match next_line(rest) {
            None => return Err(EnvironmentFileError::DelimiterNotFound(delimiter.to_owned())),
            Some((line, _)) if line == delimiter => return Ok(&all[..end]),
            Some((_, false)) => return Err(EnvironmentFileError::MissingNewLine),
            Some((_, true)) => end = all.len() - rest.len() - 1,
        }
    }
}

/// The next line and whether a line break ended it.
fn next_line<'a>(rest: &mut &'a str) -> Option<(&'a str, bool)> {
    if rest.is_empty() {
        return None;
    }
    let (line, after, ended) = match rest.split_once('\n') {
        Some((line, after)) => (line, after, true),
        None => (*rest, "", false),
    };
    *rest = after;
    Some((line, ended))
}

/// Reads `GITHUB_PATH`: a directory a line. The last one comes first in `PATH`.
#[must_use]
pub fn parse_path_file(bytes: &[u8]) -> Vec<String> {
    decode(bytes).split(['\n', '\r']).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The text of a file as .NET reads it: a byte order mark decides between UTF-8 and UTF-16 (PowerShell 5 writes the latter) and
/// is dropped, and what cannot be decoded becomes U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks(2).map(|pair| if let [a, b] = pair { unit([*a, *b]) } else { 0xFFFD });
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, text @ ..] => String::from_utf8_lossy(text),
        [0xFF, 0xFE, text @ ..] => Cow::Owned(wide(text, u16::from_le_bytes)),
        [0xFE, 0xFF, text @ ..] => Cow::Owned(wide(text, u16::from_be_bytes)),
        text => String::from_utf8_lossy(text),
    }
}

/// Why a step may not set a variable for later steps through `GITHUB_ENV`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedVariable {
    /// It would make Node run other code; GitHub logs this as an error and goes on.
    #[error("Can't store {0} output parameter using '$GITHUB_ENV' command.")]
    Blocked(&'static str),
    /// The runner's own variables keep their values; GitHub says nothing, we warn.
    #[error("`{0}` is set by the runner and keeps its value")]
    Reserved(String),
    /// No process can have such a variable.
    #[error("`{0}` cannot be a variable: names and values must not hold a null character")]
    Impossible(String),
}

/// The variables that each step is given anew, whatever was written: the others that begin so are free, such as
/// `GITHUB_TOKEN`, which the runner does not set. (`GitHubContext` and `RunnerContext` in actions/runner.) See
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables>.
const GITHUB_NAMES: &str = "ACTION ACTIONS ACTION_PATH ACTION_REF ACTION_REPOSITORY ACTOR ACTOR_ID API_URL ARTIFACTS \
                            ARTIFACTS_LIST BASE_REF ENV EVENT_NAME EVENT_PATH GRAPHQL_URL HEAD_REF JOB JOB_WORKFLOW_SHA \
                            OUTPUT PATH REF REF_NAME REF_PROTECTED REF_TYPE REPOSITORY REPOSITORY_ID REPOSITORY_OWNER \
                            REPOSITORY_OWNER_ID RETENTION_DAYS RUN_ATTEMPT RUN_ID RUN_NUMBER SERVER_URL SHA STATE \
                            STEP_SUMMARY TRIGGERING_ACTOR WORKFLOW WORKFLOW_REF WORKFLOW_SHA WORKSPACE";
const RUNNER_NAMES: &str = "ARCH ENVIRONMENT NAME OS TEMP TOOL_CACHE WORKSPACE";

fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let among = |prefix: &str, names: &str| {
        upper.strip_prefix(prefix).is_some_and(|rest| names.split(' ').any(|one| one == rest))
    };
    among("GITHUB_", GITHUB_NAMES) || among("RUNNER_", RUNNER_NAMES)
}

/// Checks one pair of `GITHUB_ENV`. A refused one is left out and reported; the others stand.
pub fn check_variable(name: &str, value: &str) -> Result<(), RefusedVariable> {
    if name.eq_ignore_ascii_case("NODE_OPTIONS") {
        return Err(RefusedVariable::Blocked("NODE_OPTIONS"));
    }
    if is_reserved(name) {
        return Err(RefusedVariable::Reserved(name.to_owned()));
    }
    if name.contains('\0') || value.contains('\0') {
        return Err(RefusedVariable::Impossible(name.replace('\0', "\u{fffd}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{EnvironmentFile, check_variable, decode, parse_key_value_file, parse_path_file};

    fn check(text: &str, expect: &str) {
        let file = parse_key_value_file(text.as_bytes());
        let pairs = file.pairs.iter().map(|(name, value)| format!("{name}={value:?}"));
        let found: Vec<_> = pairs.chain(file.error.map(|error| format!("! {error}"))).collect();
        assert_eq!(found.join(" "), expect, "{text:?}");
    }

    #[test]
    fn key_value_files() {
        for (text, expect) in [
            ("", ""),
            ("\n\n", ""),
            ("A=1", r#"A="1""#),
            ("\nA=1\n\nB=a=b\n", r#"A="1" B="a=b""#),
            ("A=\nB= x ", r#"A="" B=" x ""#),
            ("A=x<<EOF\n", r#"A="x<<EOF""#),
            ("A<<EOF\nl1\nl2\nEOF\nB=2", r#"A="l1\nl2" B="2""#),
            ("A<<EOF\nEOF\n", r#"A="""#),
            ("A<<EOF\n\nEOF", r#"A="""#),
            ("A<<EOF\n\n\nEOF", r#"A="\n""#),
            ("A<<EOF\nx\n\nEOF", r#"A="x\n""#),
            ("A<<EOF\nhello\none\ntwo=x\nEOF \nEOF\n", r#"A="hello\none\ntwo=x\nEOF ""#),
            ("A<<=EOF\nx\n=EOF\nB<<<EOF\ny\n<EOF\nC<<EOF\nEOF=\n EOF\nEOF", r#"A="x" B="y" C="EOF=\n EOF""#),
            ("A<<EOF\nx<<y\nEOF", r#"A="x<<y""#),
            ("A<<EOF EOF\nx\nEOF EOF\n", r#"A="x""#),
            // As on Linux runners: the carriage return is part of every line.
            ("A=1\r\n", r#"A="1\r""#),
            ("A<<EOF\r\nx\r\nEOF\r\n", r#"A="x\r""#),
            ("A=1\nA=2", r#"A="1" A="2""#),
            ("A", "! Invalid format 'A'"),
            ("  ", "! Invalid format '  '"),
            ("=x", "! Invalid format '=x'. Name must not be empty"),
            ("<<EOF\nEOF", "! Invalid format '<<EOF'. Name must not be empty and delimiter must not be empty"),
            ("A<<\nx", "! Invalid format 'A<<'. Name must not be empty and delimiter must not be empty"),
            ("A<<EOF\nx\n", "! Invalid value. Matching delimiter not found 'EOF'"),
            ("A<<EOF", "! Invalid value. Matching delimiter not found 'EOF'"),
            ("A<<EOF\nx\nEO", "! Invalid value. EOF marker missing new line."),
            ("\u{feff}A=1", r#"A="1""#),
            ("A=1\nB<<E\n2\nE\nbad\nC=3", r#"A="1" B="2" ! Invalid format 'bad'"#),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn bytes_are_decoded_as_dotnet_does() {
        let utf16: Vec<u8> = "\u{feff}A=ö\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse_key_value_file(&utf16).pairs, [("A".to_owned(), "ö".to_owned())]);
        assert_eq!(decode(&[0xFE, 0xFF, 0, b'x', 0]), "x\u{fffd}");
        assert_eq!(decode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(parse_path_file("\u{feff}/a\r\n\n/b c\n/d".as_bytes()), ["/a", "/b c", "/d"]);
    }

    #[test]
    fn sizes_and_variables() {
        for file in EnvironmentFile::ALL {
            let limit = file.bytes_max() as u64;
            assert!(file.check_size(limit).is_ok());
            let error = file.check_size(limit + 1024).unwrap_err().to_string();
            assert!(error.starts_with(&format!("${} ", file.variable())), "{error}");
            assert_eq!(file.variable(), format!("GITHUB_{}", file.context_name().to_uppercase()));
        }
        let summary = EnvironmentFile::StepSummary.check_size(2 << 20).unwrap_err().to_string();
        assert!(summary.contains("up to a size of 1024k, got 2048k."), "{summary}");
        for (name, value, expect) in [
            ("A", "x", ""),
            ("PATH", "x", ""),
            ("Node_Options", "x", "Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command."),
            ("GITHUB_SHA", "x", "`GITHUB_SHA` is set by the runner and keeps its value"),
            ("GITHUB_ENV", "x", "`GITHUB_ENV` is set by the runner and keeps its value"),
            ("runner_os", "x", "`runner_os` is set by the runner and keeps its value"),
            // Names that the runner does not set belong to whoever sets them.
            ("GITHUB_TOKEN", "x", ""),
            ("GITHUB_PAGES_URL", "x", ""),
            ("RUNNER_TRACKING_ID", "x", ""),
            ("A", "\0", "`A` cannot be a variable: names and values must not hold a null character"),
        ] {
            assert_eq!(check_variable(name, value).map_or_else(|e| e.to_string(), |()| String::new()), expect);
        }
    }
}
