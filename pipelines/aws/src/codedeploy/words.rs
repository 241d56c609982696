//! What CodeDeploy refuses and why its deployments fail, in words that say what to do.

use crate::{Fault, Problem};

/// The policy that AWS has for the role of a deployment group.
const POLICY: &str = "AWSCodeDeployRoleForECS";

/// A refusal of something that was asked of a group.
pub(super) fn of_group(problem: Problem, application: &str, group: &str) -> Problem {
    let place = format!("deployment group {group} of application {application}");
    let (fault, words) = match problem.code.as_str() {
        "ApplicationDoesNotExistException" => (
            Fault::Request,
            format!(
                "there is no CodeDeploy application `{application}` here: check its name, the account and the region"
            ),
        ),
        "DeploymentGroupDoesNotExistException" => (
            Fault::Request,
            format!("application {application} has no deployment group `{group}`: check its name, or create it"),
        ),
        "DeploymentLimitExceededException" => {
            (Fault::Request, format!("{place} deploys something already: wait for its end, or stop it"))
        }
        "InvalidRoleException" | "RoleRequiredException" | "RoleDoesNotExistException" => (
            Fault::Permission,
            format!(
                "CodeDeploy cannot use the service role of {place}: `codedeploy.amazonaws.com` has to be trusted by it, and it \
                 needs the policy {POLICY}"
            ),
        ),
        "InvalidECSServiceException" | "ECSServiceMappingLimitExceededException" => {
            (Fault::Request, format!("the service of {place} is gone, or its deployment controller is not CODE_DEPLOY"))
        }
        "InvalidRevisionException" | "RevisionRequiredException" | "InvalidAppSpecContentException" => {
            (Fault::Request, "CodeDeploy does not understand the AppSpec".to_owned())
        }
        "DeploymentConfigDoesNotExistException" => {
            (Fault::Request, "there is no such deployment configuration here".to_owned())
        }
        _ => return problem,
    };
    // Behind AWS's code stand its own words.
    let at = problem.words.find(&format!(" ({}", problem.code)).unwrap_or(problem.words.len());
    Problem { fault, words: format!("{words}{}", &problem.words[at..]), ..problem }
}

/// Why a deployment was given up, of the code and message of its `errorInformation`:
/// <https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ErrorInformation.html>.
#[must_use]
pub fn gave_up(code: &str, message: &str) -> String {
    let hint = match code {
        "ALARM_ACTIVE" => "an alarm was on",
        "HOOK_EXECUTION_FAILURE" => "a function of the AppSpec failed, or said nothing within an hour: look at its log",
        "TIMEOUT" => "it took longer than CodeDeploy waits",
        "ECS_UPDATE_ERROR" => "ECS did not take the new tasks: look at the task definition, its ports and its roles",
        "IAM_ROLE_PERMISSIONS" => {
            "the service role of the deployment group may not do what it needs: give it AWSCodeDeployRoleForECS"
        }
        "IAM_ROLE_MISSING" => "the service role of the deployment group is gone",
        "INVALID_ECS_SERVICE" => "the service is gone, or its deployment controller is not CODE_DEPLOY",
        "ELASTIC_LOAD_BALANCING_INVALID" | "ELB_INVALID_INSTANCE" => {
            "the load balancer is not set up as the deployment group says: look at its listeners and target groups"
        }
        "MANUAL_STOP" => "somebody stopped it",
        "HEALTH_CONSTRAINTS" | "HEALTH_CONSTRAINTS_INVALID" => "too few of the new tasks were healthy",
        "THROTTLED" => "AWS was too busy: try again later",
        "INTERNAL_ERROR" => "AWS failed: try again later",
        "APPLICATION_MISSING" | "DEPLOYMENT_GROUP_MISSING" => {
            "its application or deployment group was deleted meanwhile"
        }
        _ => "it failed",
    };
    match message.trim() {
        "" => format!("{hint} ({code})"),
        message => format!("{hint} ({code}: {message})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        for (code, fault, words) in [
            ("ApplicationDoesNotExistException", Fault::Request, "there is no CodeDeploy application `shop`"),
            (
                "DeploymentGroupDoesNotExistException",
                Fault::Request,
                "application shop has no deployment group `orders`",
            ),
            ("DeploymentLimitExceededException", Fault::Request, "deploys something already: wait for its end"),
            ("InvalidRoleException", Fault::Permission, "AWSCodeDeployRoleForECS"),
            ("InvalidECSServiceException", Fault::Request, "its deployment controller is not CODE_DEPLOY"),
            ("ThrottlingException", Fault::Aws, "AWS refused it"),
        ] {
            let plain = Problem::plain(Fault::Aws, format!("AWS refused it ({code}: the group 'orders' d-123)"));
            let problem = of_group(Problem { code: code.to_owned(), ..plain }, "shop", "orders");
            assert!(problem.words.contains(words), "{problem}");
            assert_eq!(problem.fault, fault, "{code}");
            assert!(problem.words.ends_with(&format!("({code}: the group 'orders' d-123)")), "{problem}");
        }
    }

    #[test]
    fn ends_are_explained() {
        assert_eq!(gave_up("MANUAL_STOP", ""), "somebody stopped it (MANUAL_STOP)");
        assert_eq!(gave_up("ALARM_ACTIVE", "<5xx>"), "an alarm was on (ALARM_ACTIVE: <5xx>)");
        assert!(gave_up("NEW_ONE", "x").starts_with("it failed (NEW_ONE"));
    }
}
