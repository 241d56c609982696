//! AWS's own clients against the fake: boto3 and the `aws` command. What they send and get is held against botocore's models.

use std::process::{Command, Output};

use fake_aws::{Fake, Options};

fn run(fake: &Fake, command: &mut Command) -> Output {
    let found = command.envs(fake.environment()).env_remove("AWS_PROFILE").output().unwrap();
    assert!(
        found.status.success(),
        "{}{}",
        String::from_utf8_lossy(&found.stdout),
        String::from_utf8_lossy(&found.stderr)
    );
    found
}

#[test]
fn boto3_makes_the_whole_tour_and_no_shape_is_wrong() {
    let (Some(python), Some(_)) = (fake_aws::python(), fake_aws::botocore()) else {
        eprintln!(
            "fake-aws boto3: SKIPPED, no Python with boto3 is here (scripts/validators.sh; PIPE_TEST_PYTHON names one)"
        );
        return;
    };
    let fake = Fake::start(Options::default()).unwrap();
    let output = run(&fake, Command::new(python).args(["-c", include_str!("tour.py")]));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().last(), Some("the tour is over"));
    assert_eq!(fake.model_mistakes().unwrap(), Vec::<String>::new());
    let called: std::collections::BTreeSet<_> = fake.journal().iter().map(|call| call.service.clone()).collect();
    assert_eq!(called.len(), 11, "{called:?}");
}

#[test]
fn the_aws_command_is_understood() {
    if Command::new("aws").arg("--version").output().is_err() {
        eprintln!("fake-aws aws: SKIPPED, the command `aws` is not here");
        return;
    }
    let fake = Fake::start(Options::default()).unwrap();
    let aws = |arguments: &str| {
        let output = run(&fake, Command::new("aws").args(arguments.split(' ')));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(aws("sts get-caller-identity").contains("arn:aws:iam::123456789012:user/pipe"));
    aws("ecr create-repository --repository-name shop");
    assert!(!aws("ecr get-login-password").trim().is_empty());
    aws("ecs create-cluster --cluster-name shop");
    assert!(aws("ecs describe-clusters --clusters shop --query clusters[0].status").contains("ACTIVE"));
    aws("elbv2 create-target-group --name tg --protocol HTTP --port 80 --vpc-id vpc-1 --target-type ip");
    assert!(aws("elbv2 describe-target-groups --query TargetGroups[0].HealthCheckIntervalSeconds").contains("30"));
    aws("cloudwatch put-metric-data --namespace Shop --metric-name Errors --value 3");
    assert!(aws("cloudwatch list-metrics --namespace Shop").contains("Errors"));
    aws("deploy create-application --application-name shop --compute-platform ECS");
    assert!(aws("deploy list-applications").contains("shop"));
}
