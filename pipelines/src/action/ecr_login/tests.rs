//! What the job's Docker gets.

use super::super::answering::answers;
use serde_json::Value;

use super::super::fake_aws::with_keys;
use super::*;

#[test]
fn the_jobs_docker_is_logged_in() {
    let body = r#"{"authorizationData":[{"authorizationToken":"QVdTOnBhc3M6d29yZA==",
        "proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"}]}"#;
    let (endpoint, _got) = answers(vec![("200 OK", body.to_owned())]);
    let scratch = tempfile::tempdir().unwrap();
    let trial = with_keys(&endpoint, scratch.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tried = runtime.block_on(trial.run(&EcrLogin, &[]));
    assert!(tried.result.is_ok(), "{}", tried.log);
    let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    assert_eq!(tried.outputs["registry"], host);
    assert_eq!(tried.outputs["docker_password_123456789012_dkr_ecr_eu_central_1_amazonaws_com"], "pass:word");
    let (name, folder) = &tried.exports[0];
    assert_eq!(name, "DOCKER_CONFIG", "never that of the user");
    let config: Value = serde_json::from_slice(&tried.files[&format!("{folder}/config.json")]).unwrap();
    assert_eq!(config["auths"][host]["auth"], "QVdTOnBhc3M6d29yZA==");
    assert!(!tried.log.contains("pass:word"), "{}", tried.log);
    let public = runtime.block_on(trial.run(&EcrLogin, &[("registry-type", "public")]));
    assert!(public.result.unwrap_err().to_string().contains("without a login"));
}
