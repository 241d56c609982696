//! What a pull request is compared with.

use super::*;

const LOST: &str = "is not in this repository, so nobody can tell which files differ";

struct World {
    folder: tempfile::TempDir,
    git: Git,
}

impl World {
    /// `main` with a file, `release` with one more, and `topic`, which is checked out, with two commits on top.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::init_opts(folder.path(), git2::RepositoryInitOptions::new().initial_head("main")).unwrap();
        let world = Self { folder, git };
        world.commit("main");
        for branch in ["release", "topic"] {
            world.branch(branch);
            world.commit(branch);
        }
        world.commit("last");
        world
    }

    fn commit(&self, file: &str) -> String {
        std::fs::write(self.folder.path().join(file), "").unwrap();
        let mut index = self.git.index().unwrap();
        index.add_path(Path::new(file)).unwrap();
        index.write().unwrap();
        let tree = self.git.find_tree(index.write_tree().unwrap()).unwrap();
        let author = git2::Signature::now("Ada", "ada@example.org").unwrap();
        let parent = self.git.head().ok().map(|head| head.peel_to_commit().unwrap());
        let parents: Vec<_> = parent.iter().collect();
        self.git.commit(Some("HEAD"), &author, &author, file, &tree, &parents).unwrap().to_string()
    }

    fn branch(&self, name: &str) {
        let head = self.git.head().unwrap().peel_to_commit().unwrap();
        self.git.branch(name, &head, false).unwrap();
        self.git.set_head(&format!("refs/heads/{name}")).unwrap();
    }

    fn at(&self, name: &str) -> String {
        self.git.revparse_single(name).unwrap().id().to_string()
    }

    fn seen(&self, base: Base) -> Repository {
        let wanted = Wanted {
            actor: None,
            default_branch: Some("main".to_owned()),
            remote: "origin".to_owned(),
            host: "github.com".to_owned(),
            base,
        };
        Repository::open(self.folder.path(), &wanted).unwrap()
    }
}

#[test]
fn a_pull_request_is_compared_with_the_base_that_is_named() {
    let world = World::new();
    let (main, release) = (world.at("main"), world.at("release"));
    for (branch, sha, expect_branch, expect_sha, files) in [
        (None, None, "main", &main, &["last", "release", "topic"][..]),
        (Some("release"), None, "release", &release, &["last", "topic"]),
        (Some("release"), Some(&main), "release", &main, &["last", "release", "topic"]),
        (Some("release"), Some(&"1".repeat(40)), "release", &release, &["last", "topic"]),
        (None, Some(&release), "main", &release, &["last", "topic"]),
    ] {
        let seen = world.seen(Base { branch: branch.map(str::to_owned), sha: sha.cloned() });
        assert_eq!((seen.facts.base.as_str(), seen.facts.base_sha.as_ref()), (expect_branch, Some(expect_sha)));
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        assert_eq!(seen.facts.proposed_files, Some(ChangedFiles::Known(files)), "{branch:?} {sha:?}");
        assert!(seen.remarks.is_empty(), "{:?}", seen.remarks);
    }
    // What the remote has counts before what lies here.
    let before = world.git.revparse_single("HEAD~1").unwrap().id();
    world.git.reference("refs/remotes/origin/release", before, true, "fetched").unwrap();
    let seen = world.seen(Base { branch: Some("release".to_owned()), sha: None });
    assert_eq!(seen.facts.proposed_files, Some(ChangedFiles::Known(vec!["last".to_owned()])));
}

#[test]
fn of_a_base_that_is_not_here_nothing_is_known() {
    let world = World::new();
    let seen = world.seen(Base { branch: Some("gone".to_owned()), sha: None });
    assert_eq!((seen.facts.base_sha, seen.facts.proposed_files), (None, Some(ChangedFiles::Unknown)));
    assert!(seen.remarks[0].contains(&format!("`gone` of the pull request {LOST}")), "{:?}", seen.remarks);
    // Nor of one whose history has nothing in common with this one.
    let tree = world.git.find_tree(world.git.index().unwrap().write_tree().unwrap()).unwrap();
    let author = git2::Signature::now("Ada", "ada@example.org").unwrap();
    world.git.commit(Some("refs/heads/apart"), &author, &author, "apart", &tree, &[]).unwrap();
    let seen = world.seen(Base { branch: Some("apart".to_owned()), sha: None });
    assert_eq!(seen.facts.base_sha, Some(world.at("apart")));
    assert_eq!(seen.facts.proposed_files, Some(ChangedFiles::Unknown));
}
