//! What killed processes left is removed; what living ones own is not.

use engine::placement::{LeftoverFilter, Owner, Placement as _, Removed, ResourceKind, TransportChoice};

use crate::world::{World, docker, image, service};

/// A container, a network and a volume as a process would have left them.
fn leave(world: &World, process: &str, name: &str) {
    image();
    let labels = [
        format!("dev.pipe.owner={}", world.owner().installation()),
        format!("dev.pipe.process={process}"),
        format!("dev.pipe.run={name}"),
    ];
    let labels: Vec<&str> = labels.iter().flat_map(|label| ["--label", label.as_str()]).collect();
    let unique = format!("pipe-test-{name}-{}", world.owner().installation());
    docker(&[&["network", "create"], labels.as_slice(), &[&unique]].concat());
    docker(&[&["volume", "create"], labels.as_slice(), &[&unique]].concat());
    let mount = format!("{unique}:/v");
    let run = ["run", "-d", "--name", &unique, "--network", &unique, "-v", &mount];
    docker(&[&run, labels.as_slice(), &[image(), "sleep", "100"]].concat());
}

#[tokio::test]
async fn only_the_dead_are_cleared_away() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let job = world.start(&placement, world.spec()).await.unwrap();
    // Marks: process, its start, the machine's start, the table of processes.
    leave(&world, "1:1:another-boot:1", "dead");
    leave(&world, "not a mark", "unknown");
    let ours = placement.ours().await.unwrap();
    assert_eq!(ours.len(), 7);
    assert_eq!(ours.iter().filter(|resource| resource.owner_alive).count(), 1);
    assert_eq!(ours.iter().filter(|resource| resource.kind == ResourceKind::Volume).count(), 2);
    let run = LeftoverFilter::Run("unknown".into());
    let three = Removed { containers: 1, networks: 1, volumes: 1, processes: 0 };
    assert_eq!(placement.remove_leftovers(run).await.unwrap(), three);
    assert_eq!(placement.remove_leftovers(LeftoverFilter::Abandoned).await.unwrap(), three);
    assert_eq!(placement.ours().await.unwrap().len(), 1);
    let own = placement.remove_leftovers(LeftoverFilter::Own).await.unwrap();
    assert_eq!(own, Removed { containers: 1, ..Removed::default() });
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn everything_of_a_job_with_services_goes() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let mut spec = world.spec();
    let mut holder = service("db", "exec sleep 100");
    holder.volumes = vec!["data:/data".into(), "/scratch".into()];
    spec.services = vec![holder];
    let _job = world.start(&placement, spec).await.unwrap();
    let kinds = |resources: Vec<engine::placement::Resource>| {
        let mut kinds: Vec<_> = resources.into_iter().map(|resource| resource.kind).collect();
        kinds.sort_unstable();
        kinds
    };
    use ResourceKind::{Container, Network, Volume};
    let found = kinds(placement.ours().await.unwrap());
    assert_eq!(found, [Container, Container, Network, Volume, Volume]);
    placement.remove_leftovers(LeftoverFilter::Own).await.unwrap();
    world.assert_clean();
}

/// Everything of an installation, by label.
fn left_of(owner: &Owner) -> Vec<String> {
    let filter = format!("label=dev.pipe.owner={}", owner.installation());
    let kinds = [&["ps", "--all", "--quiet"][..], &["network", "ls", "--quiet"], &["volume", "ls", "--quiet"]];
    kinds
        .iter()
        .flat_map(|kind| {
            docker(&[kind, &["--filter", filter.as_str()][..]].concat()).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn what_nobody_comes_back_for_goes() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    image();
    let scratch = tempfile::tempdir().unwrap();
    let folders = ["here", "gone"].map(|name| scratch.path().join(name));
    let owners = folders.each_ref().map(|folder| Owner::new(folder));
    for (folder, owner) in folders.iter().zip(&owners) {
        let ahead = folder.join("run/ahead/one");
        std::fs::create_dir_all(&ahead).unwrap();
        let (name, mount) =
            (format!("pipe-ahead-test-{}", owner.installation()), format!("{}:/__pipe", ahead.display()));
        let labels = [
            format!("dev.pipe.owner={}", owner.installation()),
            "dev.pipe.process=1:1:another-boot:1".to_owned(),
            "dev.pipe.run=ahead".to_owned(),
        ];
        let labels: Vec<&str> = labels.iter().flat_map(|label| ["--label", label.as_str()]).collect();
        docker(&[&["network", "create"], labels.as_slice(), &[&name]].concat());
        docker(&[&["volume", "create"], labels.as_slice(), &[&name]].concat());
        docker(&[&["run", "-d", "--name", &name, "-v", &mount][..], &labels, &[image(), "sleep", "100"]].concat());
    }
    std::fs::remove_dir_all(&folders[1]).unwrap();
    placement.remove_leftovers(LeftoverFilter::Forsaken).await.unwrap();
    assert_eq!(left_of(&owners[0]).len(), 3, "somebody may come back");
    assert_eq!(left_of(&owners[1]), [""; 0]);
    std::fs::remove_dir_all(&folders[0]).unwrap();
    let removed = placement.remove_leftovers(LeftoverFilter::Forsaken).await.unwrap();
    assert!(removed.containers >= 1 && removed.networks >= 1 && removed.volumes >= 1, "{removed:?}");
    assert_eq!(left_of(&owners[0]), [""; 0]);
    world.assert_clean();
}
