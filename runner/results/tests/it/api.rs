//! GitHub's API with the token of a job, as `@actions/github` asks it: what is read is the repository here, what is said is kept.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use workflow::model::{PermissionLevel, Permissions};

use crate::attacks::ask;
use crate::world::{Facts, Job, World};

const TOKEN: &str = "ghs_of_the_job";

/// A repository with two commits on `main`, a branch `feature/x` with a change and a renamed file, and a tag.
pub(crate) struct Scene {
    pub(crate) world: World,
    folder: PathBuf,
    first: String,
    main: String,
    feature: String,
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.args(words).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        command.env(format!("GIT_{who}_DATE"), "2026-01-02T03:04:05Z");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Scene {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let folder = world.root.path().join("repository");
        std::fs::create_dir_all(folder.join("src")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        let commit = |message: &str| {
            git(&folder, &["add", "-A"]);
            git(&folder, &["commit", "-qm", message]);
            git(&folder, &["rev-parse", "HEAD"])
        };
        git(&folder, &["init", "-q", "-b", "main"]);
        write("README.md", "# a\n");
        write("src/long name.txt", &"line\n".repeat(20));
        let first = commit("first");
        git(&folder, &["tag", "-a", "v1", "-m", "one"]);
        git(&folder, &["checkout", "-qb", "feature/x"]);
        git(&folder, &["mv", "src/long name.txt", "src/moved.txt"]);
        write("new.txt", "new\nlines\n");
        let feature = commit("feature: second");
        git(&folder, &["checkout", "-q", "main"]);
        write("README.md", "# b\n");
        let main = commit("third");
        Self { world, folder, first, main, feature }
    }

    pub(crate) fn facts(&self, permissions: Option<Permissions>) -> Facts {
        let payload = json!({ "pull_request": {
            "number": 5, "title": "A change", "state": "open", "labels": [{ "name": "old" }],
            "base": { "ref": "main", "sha": self.main }, "head": { "ref": "feature/x", "sha": self.feature },
        }});
        Facts { permissions, payload, sha: self.main.clone(), folder: Some(self.folder.clone()), ..Facts::default() }
    }

    pub(crate) async fn job(&self, given: &[(&str, PermissionLevel)]) -> Job {
        let scopes = given.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect();
        self.world.job(self.facts(Some(Permissions::Scopes(scopes)))).await
    }
}

/// What octokit gives for `VERB PATH` below the repository.
pub(crate) async fn octokit(job: &Job, route: &str, parameters: Json) -> Result<Json, String> {
    let (verb, path) = route.split_once(' ').unwrap();
    let mut all = json!({ "owner": "o", "repo": "r" });
    parameters.as_object().unwrap().iter().for_each(|(name, value)| all[name.as_str()] = value.clone());
    let route = format!("{verb} /repos/{{owner}}/{{repo}}{path}");
    let given = json!({ "token": TOKEN, "route": route, "parameters": all });
    job.drive("github", given).await.map(|answer| answer["data"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repository_is_read_as_it_lies_here() {
    let scene = Scene::new();
    let job = scene.job(&[("contents", PermissionLevel::Read), ("pull-requests", PermissionLevel::Read)]).await;
    let get = async |path: &str, parameters: Json| octokit(&job, &format!("GET {path}"), parameters).await.unwrap();

    let repository = get("", json!({})).await;
    assert_eq!((&repository["full_name"], &repository["owner"]["login"]), (&json!("o/r"), &json!("o")));
    let names = |list: &Json| list.as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Json>();
    assert_eq!(names(&get("/branches", json!({})).await), json!(["feature/x", "main"]));
    assert_eq!(names(&get("/tags", json!({})).await), json!(["v1"]));
    let found = get("/git/ref/{ref}", json!({ "ref": "heads/feature/x" })).await;
    assert_eq!((&found["object"]["sha"], &found["object"]["type"]), (&json!(scene.feature), &json!("commit")));
    let tag = get("/git/ref/{ref}", json!({ "ref": "tags/v1" })).await;
    let tag = get("/git/tags/{id}", json!({ "id": tag["object"]["sha"] })).await;
    assert_eq!(
        (&tag["tag"], &tag["message"], &tag["object"]["sha"]),
        (&json!("v1"), &json!("one\n"), &json!(scene.first))
    );

    for name in [scene.first.as_str(), &scene.first[..8], "v1", "tags/v1", "refs/tags/v1"] {
        let commit = get("/commits/{ref}", json!({ "ref": name })).await;
        assert_eq!(commit["sha"], json!(scene.first), "{name}");
        assert_eq!(
            commit["commit"]["author"],
            json!({ "name": "Ada", "email": "ada@example.org", "date": "2026-01-02T03:04:05Z" })
        );
        assert_eq!(commit["stats"], json!({ "additions": 21, "deletions": 0, "total": 21 }));
    }
    let history = get("/commits", json!({ "sha": "main" })).await;
    let shas: Vec<_> = history.as_array().unwrap().iter().map(|one| one["sha"].clone()).collect();
    assert_eq!(json!(shas), json!([scene.main, scene.first]));
    let of_file = get("/commits", json!({ "path": "src" })).await;
    assert_eq!(of_file.as_array().unwrap().len(), 1, "only the first commit touched it");

    let difference = get("/compare/{basehead}", json!({ "basehead": "main...feature/x" })).await;
    assert_eq!(
        (
            &difference["status"],
            &difference["ahead_by"],
            &difference["behind_by"],
            &difference["merge_base_commit"]["sha"]
        ),
        (&json!("diverged"), &json!(1), &json!(1), &json!(scene.first))
    );
    let files = get("/pulls/{number}/files", json!({ "number": 5 })).await;
    assert_eq!(files, difference["files"].as_array().map(|files| json!(files)).unwrap());
    assert_eq!(
        (&files[0]["filename"], &files[0]["status"], &files[0]["patch"]),
        (&json!("new.txt"), &json!("added"), &json!("@@ -0,0 +1,2 @@\n+new\n+lines"))
    );
    assert_eq!(
        (&files[1]["filename"], &files[1]["status"], &files[1]["previous_filename"]),
        (&json!("src/moved.txt"), &json!("renamed"), &json!("src/long name.txt"))
    );
    assert_eq!(get("/pulls/{number}", json!({ "number": 5 })).await["title"], json!("A change"));

    let file = get("/contents/{path}", json!({ "path": "README.md" })).await;
    assert_eq!(
        (&file["content"], &file["encoding"], &file["size"]),
        (&json!("IyBiCg==\n"), &json!("base64"), &json!(4))
    );
    let old = get("/contents/{path}", json!({ "path": "README.md", "ref": "v1" })).await;
    assert_eq!(old["content"], json!("IyBhCg==\n"));
    assert_eq!(names(&get("/contents/{path}", json!({ "path": "src" })).await), json!(["long name.txt"]));
    let file = get("/contents/{path}", json!({ "path": "src/long name.txt" })).await;
    assert_eq!(file["type"], json!("file"));
    let tree = get("/git/trees/{sha}", json!({ "sha": "main", "recursive": 1 })).await;
    let paths: Vec<_> = tree["tree"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect();
    assert_eq!(json!(paths), json!(["README.md", "src", "src/long name.txt"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages_and_files_their_bytes() {
    let scene = Scene::new();
    let job = scene.job(&[("contents", PermissionLevel::Read)]).await;
    let headers = format!("Authorization: token {TOKEN}\r\n");
    let (status, head, body) = ask(&job, "GET", "/api/v3/repos/o/r/branches?per_page=1", &headers, b"").await;
    let next = format!("<http://127.0.0.1:{}/api/v3/repos/o/r/branches?per_page=1&page=2>; rel=\"next\"", job.port);
    assert!(
        status == 200 && head.contains(&next) && body.contains("feature/x") && !body.contains("main"),
        "{head}{body}"
    );
    let (_, head, body) = ask(&job, "GET", "/api/v3/repos/o/r/branches?per_page=1&page=2", &headers, b"").await;
    assert!(!head.contains("rel=\"next\"") && body.contains("main"), "{head}{body}");
    let raw = format!("{headers}Accept: application/vnd.github.raw+json\r\n");
    let (status, _, body) = ask(&job, "GET", "/api/v3/repos/o/r/contents/src%2Flong%20name.txt", &raw, b"").await;
    assert_eq!((status, body), (200, "line\n".repeat(20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jobs_say_is_found_again() {
    let scene = Scene::new();
    let write = PermissionLevel::Write;
    let given = [("pull-requests", write), ("statuses", write), ("checks", write), ("contents", PermissionLevel::Read)];
    let job = scene.job(&given).await;
    let number = json!({ "number": 5 });
    let said = octokit(&job, "POST /issues/{number}/comments", json!({ "number": 5, "body": "12 tests passed" }))
        .await
        .unwrap();
    assert_eq!((&said["body"], &said["user"]["login"]), (&json!("12 tests passed"), &json!("github-actions[bot]")));
    let labels = octokit(&job, "POST /issues/{number}/labels", json!({ "number": 5, "labels": ["ready", "old"] }))
        .await
        .unwrap();
    assert_eq!(labels.as_array().unwrap().len(), 2, "{labels}");
    let status = json!({ "sha": "feature/x", "state": "success", "context": "size", "description": "4 MB" });
    assert_eq!(octokit(&job, "POST /statuses/{sha}", status).await.unwrap()["state"], json!("success"));
    let check = json!({ "name": "lint", "head_sha": scene.feature });
    let check = octokit(&job, "POST /check-runs", check).await.unwrap();
    let ended = json!({ "id": check["id"], "conclusion": "neutral", "output": { "title": "t", "summary": "s", "annotations": [{}] } });
    let ended = octokit(&job, "PATCH /check-runs/{id}", ended).await.unwrap();
    assert_eq!((&ended["status"], &ended["output"]["annotations_count"]), (&json!("completed"), &json!(1)));
    assert_eq!(ended["html_url"], json!(format!("https://github.com/o/r/runs/{}", check["id"])));
    job.served.lease.over();
    drop(job);

    // A later run finds what the earlier one said, and puts it right in its place.
    let mut facts = scene.facts(Some(Permissions::WriteAll));
    (facts.run, facts.job) = (2, "again");
    let job = scene.world.job(facts).await;
    let comments = octokit(&job, "GET /issues/{number}/comments", number.clone()).await.unwrap();
    assert_eq!(comments.as_array().unwrap().len(), 1);
    let id = &comments[0]["id"];
    let changed =
        octokit(&job, "PATCH /issues/comments/{id}", json!({ "id": id, "body": "13 tests passed" })).await.unwrap();
    assert_eq!((&changed["id"], &changed["body"]), (id, &json!("13 tests passed")));
    let issue = octokit(&job, "GET /issues/{number}", number.clone()).await.unwrap();
    assert_eq!(
        issue["labels"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Json>(),
        json!(["old", "ready"])
    );
    let combined = octokit(&job, "GET /commits/{ref}/status", json!({ "ref": scene.feature })).await.unwrap();
    assert_eq!((&combined["state"], &combined["total_count"]), (&json!("success"), &json!(1)));
    let checks = octokit(&job, "GET /commits/{ref}/check-runs", json!({ "ref": scene.feature })).await.unwrap();
    assert_eq!((&checks["total_count"], &checks["check_runs"][0]["conclusion"]), (&json!(1), &json!("neutral")));
    octokit(&job, "DELETE /issues/comments/{id}", json!({ "id": id })).await.unwrap();
    assert_eq!(octokit(&job, "GET /issues/{number}/comments", number).await.unwrap(), json!([]));
    let made = octokit(&job, "POST /issues", json!({ "title": "Flaky", "labels": ["ci"] })).await.unwrap();
    let closed =
        octokit(&job, "PATCH /issues/{number}", json!({ "number": made["number"], "state": "closed" })).await.unwrap();
    assert_eq!(
        (&closed["title"], &closed["state"], &closed["labels"][0]["name"]),
        (&json!("Flaky"), &json!("closed"), &json!("ci"))
    );
}

/// A process that was killed over a line leaves the lines before it.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_line_is_written_over() {
    let scene = Scene::new();
    let job = scene.job(&[("issues", PermissionLevel::Write)]).await;
    let say = async |text: &str| {
        octokit(&job, "POST /issues/{number}/comments", json!({ "number": 5, "body": text })).await.unwrap()
    };
    say("one").await;
    let file = scene.world.kept.said("o/r");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"id\":1000000002,\"at\":\"20");
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(say("two").await["id"], json!(1_000_000_002_u64));
    let comments = octokit(&job, "GET /issues/{number}/comments", json!({ "number": 5 })).await.unwrap();
    let bodies: Json = comments.as_array().unwrap().iter().map(|one| one["body"].clone()).collect();
    assert_eq!(bodies, json!(["one", "two"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_the_permissions_say_and_while_its_job_goes_on() {
    let scene = Scene::new();
    let write = PermissionLevel::Write;
    let check = async |job: &Job, method: &str, path: &str, token: &str, expect: u16, words: &str| {
        let body = if method == "GET" { &b""[..] } else { &b"{\"body\":\"x\",\"state\":\"success\"}"[..] };
        let headers = format!("Authorization: Bearer {token}\r\n");
        let (status, _, body) = ask(job, method, &format!("/api/v3{path}"), &headers, body).await;
        assert!(status == expect && body.contains(words), "{method} {path}: {status} {body}");
    };
    // Nothing is written: the repository may be read.
    let job = scene.world.job(scene.facts(None)).await;
    check(&job, "GET", "/repos/o/r/commits", TOKEN, 200, &scene.main).await;
    check(&job, "GET", "/repos/o/r/pulls/5", TOKEN, 403, "permissions: { pull-requests: read }").await;
    check(&job, "POST", "/repos/o/r/issues/5/comments", TOKEN, 403, "permissions: { issues: write }").await;
    check(&job, "GET", "/repos/o/r/commits", "ghs_another", 401, "-s GITHUB_TOKEN").await;
    check(&job, "GET", "/repos/o/r/commits", job.token(), 401, "Bad credentials").await;
    check(&job, "GET", "/repos/o/other/commits", TOKEN, 404, "for o/r only").await;
    check(&job, "GET", "/user", TOKEN, 403, "integration").await;
    check(&job, "POST", "/repos/o/r/dispatches", TOKEN, 404, "-s GITHUB_TOKEN").await;
    check(&job, "GET", "/repos/o/r/contents/..%2F..%2Fetc%2Fpasswd", TOKEN, 404, "Not Found").await;
    check(&job, "GET", "/repos/o/r/commits/main@%7B1%7D", TOKEN, 404, "Not Found").await;
    // The token of the API opens no other service.
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&job, "GET", "/_apis/artifactcache/cache?keys=x&version=y", &headers, b"").await.0, 401);
    // HEAD asks whether something is there.
    for (path, expect) in [("README.md", 200), ("none", 404)] {
        let path = format!("/api/v3/repos/o/r/contents/{path}");
        let (status, head, body) = ask(&job, "HEAD", &path, &headers, b"").await;
        assert_eq!((status, body.as_str()), (expect, ""), "{head}");
    }

    let mut facts = scene.facts(Some(Permissions::Scopes([("issues".to_owned(), write)].into_iter().collect())));
    (facts.run, facts.trusted) = (2, false);
    let fork = scene.world.job(facts).await;
    check(&fork, "POST", "/repos/o/r/issues/5/comments", TOKEN, 403, "a fork may read only").await;
    check(&fork, "GET", "/repos/o/r/issues/5", TOKEN, 200, "A change").await;
    check(&fork, "GET", "/repos/o/r/contents/README.md", TOKEN, 403, "contents: read").await;

    // A process that takes the job up knows the older token, which steps have in their environment, too.
    let mut facts = scene.facts(Some(Permissions::ReadAll));
    (facts.run, facts.record, facts.token) = (3, Some(job.served.record.clone()), "ghs_newer");
    let taken = scene.world.job(facts).await;
    for token in [TOKEN, "ghs_newer"] {
        check(&taken, "GET", "/repos/o/r/commits", token, 200, &scene.main).await;
    }
    job.served.lease.over();
    let (status, _, _) = ask(&job, "GET", "/api/v3/rate_limit", &headers, b"").await;
    assert!(matches!(status, 0 | 401), "{status}");
}

/// What `github/codeql-action` asks before anything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_leads_to_its_workflow() {
    let scene = Scene::new();
    let job = scene.job(&[("actions", PermissionLevel::Read)]).await;
    let run = octokit(&job, "GET /actions/runs/{run_id}", json!({ "run_id": 1 })).await.unwrap();
    assert!(run["workflow_url"].as_str().unwrap().ends_with("/repos/o/r/actions/workflows/ci.yml"), "{run}");
    let workflow = octokit(&job, "GET /actions/workflows/{id}", json!({ "id": "ci.yml" })).await.unwrap();
    assert_eq!(workflow["path"], json!(".github/workflows/ci.yml"));
    let other = octokit(&job, "GET /actions/workflows/{id}", json!({ "id": "other.yml" })).await;
    assert!(other.is_err_and(|error| error.contains("Not Found")));
}

/// What `actions/checkout` does: a fetch of one commit, by its id, into an empty repository.
#[tokio::test(flavor = "multi_thread")]
async fn git_fetches_commits_that_no_server_has_seen() {
    let scene = Scene::new();
    let job = scene.job(&[("contents", PermissionLevel::Read)]).await;
    let into = job.workspace.join("checkout");
    std::fs::create_dir_all(&into).unwrap();
    git(&into, &["init", "-q", "-b", "main"]);
    let run = async |words: &[&str], variables: &indexmap::IndexMap<String, String>| {
        let mut command = tokio::process::Command::new("git");
        command.args(words).current_dir(&into).envs(variables).env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").kill_on_drop(true);
        let output = command.output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (url, variables) = ("https://github.com/o/r", &job.served.actions);
    let want = format!("+{}:refs/remotes/origin/x", scene.feature);
    for version in ["0", "2"] {
        let protocol = format!("protocol.version={version}");
        let words = ["-c", &protocol, "fetch", "-q", "--no-tags", "--depth=1", url, &want];
        let (done, said) = run(&words, variables).await;
        assert!(done, "version {version}: {said}");
    }
    git(&into, &["checkout", "-q", "refs/remotes/origin/x"]);
    assert_eq!(std::fs::read_to_string(into.join("new.txt")).unwrap(), "new\nlines\n");
    // All of it, with what was asked for before in the request.
    let (done, said) = run(
        &["fetch", "-q", "--unshallow", url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"],
        variables,
    )
    .await;
    assert!(done, "{said}");
    assert_eq!(
        git(&into, &["rev-parse", "refs/remotes/origin/main", "v1^{commit}"]),
        format!("{}\n{}", scene.main, scene.first)
    );
    // As actions write it that push: they find what is here too, and are told so.
    let with_token = format!("https://x-access-token:{TOKEN}@github.com/o/r.git");
    let (done, said) = run(&["ls-remote", "--exit-code", &with_token, "refs/tags/v1"], variables).await;
    assert!(done, "{said}");
    for url in [url, with_token.as_str()] {
        let (done, said) = run(&["push", "-q", url, "HEAD:refs/heads/stolen"], variables).await;
        assert!(!done && said.contains("403"), "{said}");
    }
    // Another job's token opens nothing, and neither does one without the permission.
    let mut facts =
        scene.facts(Some(Permissions::Scopes([("issues".to_owned(), PermissionLevel::Write)].into_iter().collect())));
    (facts.run, facts.token) = (2, "ghs_another");
    let other = scene.world.job(facts).await;
    let (done, said) = run(&["ls-remote", url], &other.served.actions).await;
    assert!(!done && said.contains("403"), "{said}");
    let stolen = variables.iter().map(|(name, value)| (name.clone(), value.replace(TOKEN, "ghs_another"))).collect();
    let (done, said) = run(&["ls-remote", url], &stolen).await;
    assert!(!done && said.contains("Authentication failed"), "{said}");
}
