//! Why Terraform failed, in words: whose fault it is and what to do.

use super::said::Problem;

/// Where it ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// `terraform`, or what the workflow names.
    pub(super) program: &'a str,
    /// Folder below the workspace.
    pub(super) folder: &'a str,
}

/// One sentence or more for the step's error.
pub(super) fn explain(errors: &[Problem], place: Place<'_>) -> String {
    let Some(first) = errors.first() else {
        return "it said nothing of why; the log has all that it wrote".to_owned();
    };
    let all = || errors.iter().map(|problem| format!("{}\n{}", problem.summary, problem.detail));
    if let Some(words) = all().find_map(|text| lock(&text, place)) {
        return words;
    }
    let text = all().collect::<Vec<_>>().join("\n");
    match known(&text, place) {
        Some(words) => words,
        None => plain(first, errors.len() - 1),
    }
}

/// Its own words.
fn plain(first: &Problem, others: usize) -> String {
    let place = first.place.as_ref().map_or_else(String::new, |(file, line)| format!(" ({file}, line {line})"));
    let detail = first.detail.split_whitespace().collect::<Vec<_>>().join(" ");
    let detail: String = detail.chars().take(400).collect();
    let mut words = first.summary.trim_end_matches('.').to_owned() + &place;
    if !detail.is_empty() {
        words.push_str(": ");
        words.push_str(&detail);
    }
    match others {
        0 => {}
        1 => words.push_str("; there is one more error in the log"),
        more => words.push_str(&format!("; there are {more} more errors in the log")),
    }
    words
}

/// Who holds the state, since when, and what unlocks it.
fn lock(text: &str, place: Place<'_>) -> Option<String> {
    if !text.contains("Error acquiring the state lock") {
        return None;
    }
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim()).filter(|value| !value.is_empty())
    };
    let Some(id) = field("ID") else {
        return Some("the state is locked, and who holds the lock could not be read: try again in a while".to_owned());
    };
    let who = field("Who").unwrap_or("somebody");
    let doing = match field("Operation").unwrap_or_default() {
        "OperationTypeApply" => "applies a plan",
        "OperationTypePlan" => "makes a plan",
        "OperationTypeRefresh" => "looks at what there is",
        _ => "works on it",
    };
    // With fractions of nanoseconds and the zone's name twice: `2026-11-23 02:21:21.550731135 +0000 UTC`.
    let since = field("Created").unwrap_or("an unknown time");
    let since = since.split_once('.').map_or_else(|| since.to_owned(), |(to_second, _)| format!("{to_second} UTC"));
    let of = field("Path").map_or_else(String::new, |path| format!(" {path}"));
    let what = if text.contains("resource temporarily unavailable") {
        "a process on this machine holds it, and the lock goes when that process ends: wait for it, or find what hangs and end it"
            .to_owned()
    } else {
        format!(
            "if that was killed and nobody works on it any more, run `{} force-unlock {id}` in {}, with the backend and credentials of \
             this step",
            place.program, place.folder
        )
    };
    Some(format!(
        "the state{of} is locked: {who} {doing} since {since} (lock {id}). A retry makes sense once that is over, and `lock-timeout: \
         10m` waits for it; {what}"
    ))
}

/// Failures that people meet, by what is said of them.
fn known(text: &str, place: Place<'_>) -> Option<String> {
    let has = |part: &str| text.contains(part);
    let any = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has("Saved plan is stale") {
        return Some(
            "the plan is stale: the state was changed by somebody else after it was made. Nothing was applied; make a new plan and \
             have that one approved"
                .to_owned(),
        );
    }
    if any(&["AccessDenied", "UnauthorizedOperation", "is not authorized to perform"]) {
        let between = |from: &str| {
            let rest = text.split_once(from)?.1;
            rest.split_whitespace().next().map(|word| word.trim_end_matches([',', '.', '"']).to_owned())
        };
        let action = between("not authorized to perform:").or_else(|| between("not authorized to perform"));
        let action = action.map_or_else(String::new, |action| format!(" {action}"));
        let on = between("on resource:").map_or_else(String::new, |resource| format!(" on {resource}"));
        return Some(format!(
            "AWS refused{action}{on}: the role of this job may not do that. Add it to the role's policy (docs/deploying.md has one for \
             each action); a retry alone does not help"
        ));
    }
    if any(&["ExpiredToken", "ExpiredTokenException", "token included in the request is expired"]) {
        return Some(
            "the credentials of AWS are expired: get new ones in a step right before this one (`uses: pipe/aws-credentials@v1`), for \
             longer with `role-duration-seconds`"
                .to_owned(),
        );
    }
    if any(&["No valid credential sources found", "no EC2 IMDS role found", "failed to refresh cached credentials"]) {
        return Some(
            "there are no credentials of AWS: put `uses: pipe/aws-credentials@v1` before this step, and `id-token: write` into the \
             job's `permissions`"
                .to_owned(),
        );
    }
    if any(&["InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"]) {
        return Some(
            "AWS does not know these credentials: the key is deleted, mistyped, or of another partition".to_owned(),
        );
    }
    if any(&[
        "Failed to query available provider packages",
        "Failed to install provider",
        "could not connect to registry",
    ]) {
        return Some(format!(
            "a provider cannot be fetched: {}. The job needs the registry, or a mirror that `TF_CLI_CONFIG_FILE` names (`{} providers \
             mirror FOLDER` makes one); a retry makes sense if the registry was down",
            text.lines().find(|line| line.contains("for provider ")).unwrap_or("see the log").trim(),
            place.program
        ));
    }
    if any(&["Inconsistent dependency lock file", "checksums recorded in the dependency lock file"]) {
        return Some(format!(
            "the providers are not those of .terraform.lock.hcl: run `{0} init -upgrade` or `{0} providers lock` in {1} and commit the \
             file",
            place.program, place.folder
        ));
    }
    if has("No value for required variable") {
        let variable = text.split_once("input variable \"").and_then(|(_, rest)| rest.split_once('"'));
        let variable = variable.map_or("a variable", |(name, _)| name);
        return Some(format!(
            "`{variable}` has no value: give it in `var`, a file in `var-file`, or TF_VAR_{variable}"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { program: "terraform", folder: "infra" };

    fn said(summary: &str, detail: &str) -> String {
        let problem = Problem { is_error: true, summary: summary.into(), detail: detail.into(), place: None };
        explain(&[problem], PLACE)
    }

    #[test]
    fn a_lock_is_somebodys() {
        let info = "Lock Info:\n  ID:        5eed2c75-1559\n  Path:      shop/prod.tfstate\n  Operation: OperationTypeApply\n  \
                    Who:       ann@laptop\n  Version:   1.11.4\n  Created:   2026-11-23 02:21:21.550731135 +0000 UTC\n  Info:      \n";
        let summary = "Error acquiring the state lock";
        let remote = said(summary, &format!("Error message: ConditionalCheckFailedException\n{info}"));
        assert_eq!(
            remote,
            "the state shop/prod.tfstate is locked: ann@laptop applies a plan since 2026-11-23 02:21:21 UTC (lock 5eed2c75-1559). A \
             retry makes sense once that is over, and `lock-timeout: 10m` waits for it; if that was killed and nobody works on it any \
             more, run `terraform force-unlock 5eed2c75-1559` in infra, with the backend and credentials of this step"
        );
        let local = said(summary, &format!("Error message: resource temporarily unavailable\n{info}"));
        assert!(local.contains("a process on this machine holds it") && !local.contains("force-unlock"), "{local}");
        assert!(said(summary, "").starts_with("the state is locked, and who holds"));
    }

    #[test]
    fn known_failures_say_what_to_do() {
        for (summary, detail, expected) in [
            ("Saved plan is stale", "", "make a new plan"),
            (
                "creating EC2 VPC",
                "api error UnauthorizedOperation: User: arn:aws:sts::1:assumed-role/plan is not authorized to perform: \
                 ec2:CreateVpc on resource: arn:aws:ec2:us-east-1:1:vpc/*, because no policy",
                "AWS refused ec2:CreateVpc on arn:aws:ec2:us-east-1:1:vpc/*: the role",
            ),
            ("validating provider credentials", "api error ExpiredToken: expired", "are expired"),
            ("No valid credential sources found", "", "there are no credentials of AWS"),
            ("x", "api error InvalidClientTokenId: The security token", "does not know these credentials"),
            (
                "Failed to query available provider packages",
                "Could not retrieve the list of available versions for provider hashicorp/aws: could not connect to registry",
                "provider hashicorp/aws: could not connect to registry. The job needs the registry",
            ),
            ("Inconsistent dependency lock file", "", "commit the file"),
            (
                "No value for required variable",
                "The root module input variable \"size\" is not set",
                "`size` has no value",
            ),
            ("Unsupported argument.", "An argument\n  named \"x\"", "Unsupported argument: An argument named \"x\""),
        ] {
            assert!(said(summary, detail).contains(expected), "{}", said(summary, detail));
        }
        assert!(explain(&[], PLACE).starts_with("it said nothing"));
    }
}
