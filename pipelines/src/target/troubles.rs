//! The last words of tasks that ended, for people.

use aws::{Cloud, Ended, LogStream};
use serde_json::Value;

/// Lines of a log that are shown.
const LINES_MAX: u32 = 20;

/// The end of what a container has written whose task ended: of the one that failed, else of `container` in the first. Whoever may not
/// read logs is told that.
pub(super) async fn last_lines(cloud: &Cloud, definition: &Value, container: &str, ended: &[Ended]) -> Option<String> {
    let has_failed = |code: &Option<i32>| code.is_some_and(|code| code != 0);
    let task = ended.iter().find(|one| one.containers.iter().any(|(_, code, _)| has_failed(code))).or(ended.first())?;
    let failed = task.containers.iter().find(|(_, code, _)| has_failed(code));
    let (name, _, _) = failed.or_else(|| task.containers.iter().find(|(name, _, _)| name == container))?;
    let all = definition["containerDefinitions"].as_array()?;
    let stream = LogStream::of(all.iter().find(|one| one["name"] == name.as_str())?, &task.task)?;
    match cloud.logs().last(&stream, LINES_MAX).await {
        Ok(lines) if lines.is_empty() => None,
        Ok(lines) => {
            Some(format!("the end of the log of `{name}` in task {}:\n    {}", task.task, lines.join("\n    ")))
        }
        Err(problem) => Some(format!("its log cannot be read: {}", problem.words)),
    }
}
