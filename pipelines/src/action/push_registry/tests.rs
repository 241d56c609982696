//! The action against the real `docker-registry`, where that program is.

use engine::step::trial::{Trial, Tried};

use super::*;
use crate::push::tests::Small;
use crate::registry::tests::Program;

async fn run(inputs: &[(&str, &str)]) -> Tried {
    let scratch = tempfile::tempdir().unwrap();
    let trial = Trial::new(scratch.path().to_path_buf(), scratch.path().join("w"), scratch.path());
    trial.run(&PushRegistry, inputs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_out_is_a_digest() {
    let Some(registry) = Program::start() else {
        println!("SKIPPED: docker-registry is not installed");
        return;
    };
    let mut image = Small::build("pipe-push-action", "action").await;
    let name = format!("{}/shop/frontend", registry.host);
    image.more = vec![format!("{name}:v7")];
    let inputs = [("image", image.name.as_str()), ("repository", &name), ("tags", "v7")];
    let dry = run(&[&inputs[..], &[("dry-run", "true")]].concat()).await;
    assert!(dry.result.is_ok() && dry.log.contains("give it the tags v7, unless another image has one"), "{}", dry.log);
    let tried = run(&inputs).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    let digest = &tried.outputs["digest"];
    assert_eq!(tried.outputs["image"], format!("{name}@{digest}"));
    assert_eq!(
        tried.outputs["imagedefinitions"],
        format!("[{{\"name\":\"frontend\",\"imageUri\":\"{name}@{digest}\"}}]")
    );
    assert_eq!(tried.outputs["image-detail"], format!("{{\"ImageURI\":\"{name}@{digest}\"}}"));
    assert_eq!(tried.outputs["pushed"], "true");
    assert_eq!(run(&inputs).await.outputs["pushed"], "false");
    image.remove().await;
}

#[tokio::test]
async fn inputs_are_checked() {
    let error = async |inputs: &[(&str, &str)]| run(inputs).await.result.unwrap_err().to_string();
    let least = [("image", "a:1"), ("repository", "r.example/a"), ("tags", "v1")];
    let with = |more: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        let kept = least.iter().filter(|(name, _)| !more.iter().any(|(given, _)| given == name));
        kept.chain(more).copied().collect()
    };
    for (inputs, words) in [
        (with(&[("repository", "shop/orders")]), "`repository: shop/orders` is no repository: write HOST/NAME"),
        (with(&[("repository", "r.example/a:v1")]), "without a tag"),
        (with(&[("tags", "r.example/a:v1")]), "`tags`: `r.example/a:v1` is no tag"),
        (with(&[("username", "x")]), "belong together"),
        (with(&[("tag", "x")]), "did you mean `tags`?"),
    ] {
        let error = error(&inputs).await;
        assert!(error.contains(words), "{words}\n{error}");
    }
}
