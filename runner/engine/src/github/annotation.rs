//! Annotations of steps in the form of GitHub's checks.

use workflow::command::{Annotation, AnnotationLevel};

use super::report::{CheckAnnotation, CheckLevel};
use super::text::{MESSAGE_BYTES_MAX, NAME_CHARS_MAX, cut_bytes, cut_chars};

/// Where GitHub puts what has no place.
const NO_PATH: &str = ".github";
/// Most annotations of one check; GitHub's pages show few of them.
pub(super) const ANNOTATIONS_MAX: usize = 500;

/// As GitHub wants it. `repository` (`owner/name`) tells where the workspace lies in an absolute path.
pub(super) fn check_annotation(annotation: &Annotation, repository: &str) -> CheckAnnotation {
    let path = annotation.file.as_deref().and_then(|file| relative(file, repository));
    let line = annotation.line.unwrap_or(1).max(1);
    let has_place = path.is_some() && annotation.line.is_some();
    let (start_line, end_line) = if has_place { (line, annotation.end_line.unwrap_or(line).max(line)) } else { (1, 1) };
    let columns = annotation.column.filter(|column| has_place && start_line == end_line && *column > 0);
    let message = match (&path, &annotation.file) {
        (None, Some(file)) => format!("{file}: {}", annotation.message),
        (Some(_), _) | (None, None) => annotation.message.clone(),
    };
    // GitHub refuses an empty one.
    let message = if message.trim().is_empty() { annotation.level.name().to_owned() } else { message };
    CheckAnnotation {
        path: path.unwrap_or_else(|| NO_PATH.to_owned()),
        start_line,
        end_line,
        start_column: columns,
        end_column: columns.map(|column| annotation.end_column.unwrap_or(column).max(column)),
        annotation_level: match annotation.level {
            AnnotationLevel::Notice => CheckLevel::Notice,
            AnnotationLevel::Warning => CheckLevel::Warning,
            AnnotationLevel::Error => CheckLevel::Failure,
        },
        message: cut_bytes(&message, MESSAGE_BYTES_MAX, "…"),
        title: annotation.title.as_deref().filter(|title| !title.is_empty()).map(|t| cut_chars(t, NAME_CHARS_MAX)),
    }
}

/// The path from the root of the repository; `None` where it lies outside.
fn relative(file: &str, repository: &str) -> Option<String> {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let twice = format!("/{name}/{name}/");
    let inside = match file.split_once(&twice) {
        Some((_, inside)) => inside,
        None => file.strip_prefix("/github/workspace/").unwrap_or(file),
    };
    let inside = inside.strip_prefix("./").unwrap_or(inside);
    let outside = inside.is_empty() || inside.starts_with('/') || inside.split('/').any(|part| part == "..");
    (!outside && !inside.chars().any(char::is_control)).then(|| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_repository() {
        for (file, expected) in [
            ("src/a.rs", Some("src/a.rs")),
            ("./src/a.rs", Some("src/a.rs")),
            ("/home/runner/work/shop/shop/src/a.rs", Some("src/a.rs")),
            ("/__w/shop/shop/a.rs", Some("a.rs")),
            ("/github/workspace/a.rs", Some("a.rs")),
            ("/usr/include/x.h", None),
            ("../x", None),
            ("a/../../x", None),
            ("", None),
        ] {
            assert_eq!(relative(file, "mona/shop").as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn what_github_refuses_is_mended() {
        let mut annotation = Annotation::new(AnnotationLevel::Error, "m");
        annotation.file = Some("/etc/x".into());
        annotation.line = Some(7);
        let check = check_annotation(&annotation, "a/b");
        assert_eq!((check.path.as_str(), check.start_line, check.message.as_str()), (".github", 1, "/etc/x: m"));
        annotation.file = Some("x".into());
        (annotation.line, annotation.end_line, annotation.column, annotation.end_column) =
            (Some(7), Some(3), Some(5), Some(2));
        let check = check_annotation(&annotation, "a/b");
        assert_eq!((check.start_line, check.end_line, check.start_column, check.end_column), (7, 7, Some(5), Some(5)));
        annotation.end_line = Some(9);
        assert_eq!(check_annotation(&annotation, "a/b").start_column, None);
        annotation.message = "é".repeat(40_000);
        annotation.title = Some("t".repeat(300));
        let check = check_annotation(&annotation, "a/b");
        assert!(check.message.len() <= MESSAGE_BYTES_MAX && check.title.unwrap().chars().count() == 255);
        annotation.message = " ".into();
        assert_eq!(check_annotation(&annotation, "a/b").message, "error");
    }
}
