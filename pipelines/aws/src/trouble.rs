//! Why tasks of ECS do not run, in words that say what to do.

use crate::Ended;

/// Longest part of what ECS says that is shown, in characters.
const SAID_MAX: usize = 400;

/// What is behind the end of a task, by the words that ECS has for it:
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>.
#[must_use]
pub fn explained(ended: &Ended) -> String {
    let reasons = ended.containers.iter().map(|(_, _, reason)| reason.as_str());
    let all =
        std::iter::once(ended.stopped.as_str()).chain(reasons).filter(|text| !text.is_empty()).collect::<Vec<_>>();
    let said = all.join("; ");
    let codes = ended.containers.iter().filter_map(|(name, code, _)| Some((name, (*code)?)));
    let failed = codes.clone().find(|(_, code)| *code != 0);
    let short: String = said.chars().take(SAID_MAX).collect();
    let hint = hint(&said).map(str::to_owned).or_else(|| failed.map(|(name, code)| of_code(name, code)));
    let hint = hint.unwrap_or_else(|| "ECS ended it".to_owned());
    format!("task {}: {hint} ({short})", ended.task)
}

fn hint(said: &str) -> Option<&'static str> {
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if has(&["CannotPullContainer"]) {
        Some(of_pull(said))
    } else if has(&["exec format error"]) {
        Some("the image is for another platform than the task's: build it for `runtimePlatform`, or change that")
    } else if has(&["ResourceInitializationError"]) && has(&["secret", "ssm", "SecretsManager", "asm"]) {
        Some(
            "a secret could not be read: look whether it exists in this region, whether the execution role may read it, and \
             whether the subnet reaches Secrets Manager or SSM",
        )
    } else if has(&["ResourceInitializationError"]) {
        Some("what the task needs could not be made ready: its network, its log group, or its volumes")
    } else if has(&["failed ELB health checks", "failed container health checks"]) {
        Some("its health check failed: look at its log, at the path and port of the check, and at the grace period")
    } else if has(&["OutOfMemory"]) {
        Some("it had too little memory: raise `memory` of the container or the task")
    } else if has(&["CannotStartContainer", "CannotCreateContainer"]) {
        Some("its container could not be started: look at its command, user and mounts")
    } else if has(&["Spot"]) {
        Some("AWS took the Spot capacity back")
    } else {
        None
    }
}

fn of_pull(said: &str) -> &'static str {
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if has(&["manifest unknown", "not found"]) {
        "the image is not in the registry: was it pushed there, to this region, and did no lifecycle rule remove it?"
    } else if has(&["no matching manifest", "does not contain descriptor matching platform"]) {
        "the image is for another platform than the task's: build it for `runtimePlatform`, or change that"
    } else if has(&["AccessDenied", "not authorized", "403", "denied"]) {
        "the execution role may not pull the image: allow it `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer`"
    } else if has(&["i/o timeout", "context deadline", "dial tcp"]) {
        "the registry is not reached: the subnet needs a NAT gateway, a public address, or end points of ECR and S3"
    } else {
        "the image could not be pulled"
    }
}

fn of_code(container: &str, code: i32) -> String {
    match code {
        137 => format!("container `{container}` was killed (137): too little memory, or it did not end on SIGTERM"),
        139 => format!("container `{container}` crashed (139)"),
        126 | 127 => format!("container `{container}` has no such command ({code})"),
        code => format!("container `{container}` ended with exit code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ecs_says_is_explained() {
        let task = |stopped: &str, code: Option<i32>, reason: &str| {
            let containers = vec![("app".to_owned(), code, reason.to_owned())];
            explained(&Ended { task: "0af".into(), stopped: stopped.into(), containers, ..Ended::default() })
        };
        for (stopped, code, reason, words) in [
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): x: not found",
                None,
                "",
                "not in the registry",
            ),
            ("Task failed to start", None, "CannotPullContainerError: i/o timeout", "the subnet needs a NAT gateway"),
            (
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
                None,
                "",
                "another platform",
            ),
            (
                "Essential container in task exited",
                Some(1),
                "exec /app: exec format error",
                "build it for `runtimePlatform`",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm",
                None,
                "",
                "whether the execution role may read it",
            ),
            ("Task failed ELB health checks in (target-group x)", Some(0), "", "its health check failed"),
            (
                "Essential container in task exited",
                Some(137),
                "OutOfMemoryError: Container killed",
                "too little memory",
            ),
            ("Essential container in task exited", Some(3), "", "container `app` ended with exit code 3"),
            ("Scaling activity initiated by x", None, "", "ECS ended it"),
        ] {
            let text = task(stopped, code, reason);
            assert!(text.starts_with("task 0af: ") && text.contains(words) && text.contains(stopped), "{text}");
        }
    }
}
