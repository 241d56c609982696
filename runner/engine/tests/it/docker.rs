//! Jobs in containers: commands, files, walls, ends.

use std::time::Duration;

use bytes::Bytes;
use engine::placement::{
    ExecEvent, ExecOutcome, ExecRequest, JobHandle, Ladder, LeftoverFilter, Placement as _, PlacementError,
    TransportChoice,
};

use crate::world::{World, docker, ok, shell};

#[tokio::test]
async fn a_job_over_a_socket() {
    a_job(TransportChoice::Socket).await;
}

#[tokio::test]
async fn a_job_over_stdio() {
    a_job(TransportChoice::Stdio).await;
}

async fn a_job(transport: TransportChoice) {
    let world = World::new();
    std::fs::write(world.folder.path().join("workspace/file"), "from here").unwrap();
    std::fs::write(world.folder.path().join("run/event.json"), "{}").unwrap();
    let placement = world.docker(transport).await;
    let job = world.start(&placement, world.spec()).await.unwrap();
    let job = &*job;

    assert_eq!(ok(job, "pwd; cat file; echo; echo $GIVEN $FROM_IMAGE; id -u").await, "/work\nfrom here\n1 yes\n0\n");
    assert_eq!(ok(job, "cat /__pipe/event.json").await, "{}");
    let sudo = job.facts().sudo_directory.clone().unwrap();
    assert_eq!(ok(job, &format!("PATH=$PATH:{sudo}; sudo -n id -u")).await, "0\n");
    let (outcome, output) = shell(job, "echo out; echo err >&2; exit 3").await;
    assert!(matches!(outcome, ExecOutcome::Exited { code: 3, .. }), "{outcome:?}");
    assert_eq!(output, "out\nerr\n");
    let absent = job.exec(ExecRequest::new(["no-such-program"], "/")).await.unwrap().output(0).await.0;
    assert!(matches!(&absent, ExecOutcome::NotStarted { reason } if reason.contains("no-such-program")), "{absent:?}");

    files(job).await;
    users_and_environment(job).await;
    job.stop().await.unwrap();
    job.stop().await.unwrap();
    world.assert_clean();
}

async fn files(job: &dyn JobHandle) {
    job.write_file("/work/deep/er/new", Bytes::from_static(b"written"), 0o755).await.unwrap();
    assert_eq!(ok(job, "cat deep/er/new; test -x deep/er/new").await, "written");
    job.write_file("/__pipe/script", Bytes::from_static(b"echo hi"), 0o644).await.unwrap();
    assert_eq!(ok(job, "sh /__pipe/script").await, "hi\n");
    ok(job, "echo -n answer > /work/made; ln -s /etc/passwd /work/link; echo inside > /tmp/own").await;
    let read = async |path: &str| job.read_file(path, 100).await.map(|content| content.map(|content| content.to_vec()));
    assert_eq!(read("/work/made").await.unwrap().unwrap(), b"answer");
    assert_eq!(read("/tmp/own").await.unwrap().unwrap(), b"inside\n");
    assert_eq!(read("/work/none").await.unwrap(), None);
    // The job's own file of that name, never this machine's.
    assert!(String::from_utf8(read("/work/link").await.unwrap().unwrap()).unwrap().contains("me:x:1234"));
    let large = vec![7_u8; 3 << 20];
    job.write_file("/tmp/large", Bytes::from(large.clone()), 0o644).await.unwrap();
    assert_eq!(job.read_file("/tmp/large", 4 << 20).await.unwrap().unwrap(), large);
    assert!(job.read_file("/tmp/large", 1 << 20).await.is_err());
    job.remove_path("/work/deep").await.unwrap();
    assert_eq!(ok(job, "ls /work").await, "file\nlink\nmade\n");
    job.remove_path("/work").await.unwrap();
    assert_eq!(read("/work/file").await.unwrap(), None);
}

async fn users_and_environment(job: &dyn JobHandle) {
    let mut request =
        ExecRequest::new(["sh", "-c", "id -u; env | grep -v -e PWD -e SHLVL -e RUNNER_TRACKING_ID; pwd"], "/tmp");
    request.env = vec![("PATH".into(), "/bin".into()), ("A".into(), "b c".into())];
    request.inherit_env = false;
    request.user = Some("me".into());
    let (outcome, output) = job.exec(request).await.unwrap().output(1000).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let output = String::from_utf8(output).unwrap();
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["/tmp", "1234", "A=b c", "PATH=/bin"]);
}

#[tokio::test]
async fn commands_side_by_side_and_cancelled() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let job = world.start(&placement, world.spec()).await.unwrap();
    let job = &*job;
    let mut stubborn = job
        .exec(ExecRequest::new(["sh", "-c", "trap '' INT TERM; echo up; while :; do sleep 1; done"], "/"))
        .await
        .unwrap();
    assert!(matches!(stubborn.next().await, Some(ExecEvent::Output { offset: 0, .. })));
    assert_eq!(ok(job, "echo meanwhile").await, "meanwhile\n");
    let ladder = Ladder { after_interrupt: Duration::from_millis(50), after_terminate: Duration::from_millis(50) };
    job.cancel(stubborn.id, ladder).await.unwrap();
    let (outcome, _) = stubborn.output(0).await;
    assert!(matches!(outcome, ExecOutcome::Exited { cancelled: true, signal: Some(9), code: 137, .. }), "{outcome:?}");
    let mut slow = ExecRequest::new(["sleep", "100"], "/");
    slow.timeout = Some(Duration::from_millis(50));
    let (outcome, _) = job.exec(slow).await.unwrap().output(0).await;
    assert!(matches!(outcome, ExecOutcome::Exited { timed_out: true, .. }), "{outcome:?}");
    assert!(!outcome.is_success());
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn a_killed_container_is_lost_and_never_green() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let job = world.start(&placement, world.spec()).await.unwrap();
    let mut exec = job.exec(ExecRequest::new(["sh", "-c", "echo up; sleep 100"], "/")).await.unwrap();
    assert!(matches!(exec.next().await, Some(ExecEvent::Output { .. })));
    docker(&["kill", job.facts().container_id.as_deref().unwrap()]);
    let (outcome, _) = exec.output(0).await;
    assert!(matches!(&outcome, ExecOutcome::Lost { reason } if reason.contains("container was killed")), "{outcome:?}");
    assert!(matches!(job.exec(ExecRequest::new(["true"], "/")).await, Err(PlacementError::Agent { .. })));
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn stopping_ends_what_runs() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let job = world.start(&placement, world.spec()).await.unwrap();
    let exec = job.exec(ExecRequest::new(["sleep", "100"], "/")).await.unwrap();
    job.stop().await.unwrap();
    assert!(matches!(exec.output(0).await.0, ExecOutcome::Lost { .. }));
    world.assert_clean();
}

#[tokio::test]
async fn walls() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let mut spec = world.spec();
    spec.options = "--memory 64m --cpus 1 --env FROM_OPTION=x --hostname box --tmpfs /scratch".into();
    spec.volumes = vec!["data:/data".into()];
    let job = world.start(&placement, spec).await.unwrap();
    let job = &*job;
    let status = ok(job, "grep -e CapEff -e CapBnd -e NoNewPrivs -e Seccomp: /proc/self/status").await;
    assert_eq!(status.matches("00000000000404fb").count(), 2, "{status}");
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    let (outcome, _) = shell(job, "test -e /var/run/docker.sock -o -e /run/docker.sock").await;
    assert!(!outcome.is_success());
    assert_eq!(ok(job, "echo $FROM_OPTION; cat /proc/sys/kernel/hostname; touch /data/x /scratch/x").await, "x\nbox\n");
    assert!(!shell(job, "echo >> /__pipe_agent/pipe-agent").await.0.is_success(), "the agent cannot be overwritten");
    let inspected = docker(&["inspect", job.facts().container_id.as_deref().unwrap()]);
    for expected in [
        "\"PidsLimit\": 4096",
        "\"Memory\": 67108864",
        "\"NanoCpus\": 1000000000",
        "\"Type\": \"none\"",
        "\"Privileged\": false",
    ] {
        assert!(inspected.contains(expected), "{expected} is not in {inspected}");
    }
    job.stop().await.unwrap();
    world.assert_clean();
}

#[tokio::test]
async fn refusals_make_nothing() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let refused = async |change: &dyn Fn(&mut engine::placement::JobSpec), expect: &str| {
        let mut spec = world.spec();
        change(&mut spec);
        let error = world.start(&placement, spec).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
        world.assert_clean();
    };
    refused(&|spec| spec.options = "--privileged".into(), "`--privileged` would give the job the whole machine").await;
    refused(&|spec| spec.volumes = vec!["/etc:/h".into()], "outside the workspace").await;
    refused(&|spec| spec.image.reference = "Bad Name".into(), "image `Bad Name`: not an image name").await;
}

#[tokio::test]
async fn a_missing_image() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let mut spec = world.spec();
    spec.image.reference = "localhost:9/none/such:1".into();
    let error = world.start(&placement, spec).await.unwrap_err().to_string();
    assert!(error.contains("image `localhost:9/none/such:1`: the registry cannot be reached"), "{error}");
    assert!(error.contains("docker pull localhost:9/none/such:1") && error.contains("-P LABEL=IMAGE"), "{error}");
    let mut spec = world.spec();
    spec.image.reference = "pipe-test/never-made:1".into();
    spec.image.pull = engine::placement::PullPolicy::Never;
    let error = world.start(&placement, spec).await.unwrap_err().to_string();
    assert!(error.contains("not on this machine, and pulling is off"), "{error}");
    world.assert_clean();
}

#[tokio::test]
async fn much_output_arrives_whole() {
    let world = World::new();
    let placement = world.docker(TransportChoice::Auto).await;
    let job = world.start(&placement, world.spec()).await.unwrap();
    // `PIPE_TEST_OUTPUT_BYTES=1000000000` measures.
    let bytes: u64 = std::env::var("PIPE_TEST_OUTPUT_BYTES").map_or(50_000_000, |text| text.parse().unwrap());
    let began = std::time::Instant::now();
    let mut exec =
        job.exec(ExecRequest::new(["sh", "-c", &format!("yes 0123456 | head -c {bytes}")], "/")).await.unwrap();
    let mut due = 0;
    let outcome = loop {
        match exec.next().await.unwrap() {
            ExecEvent::Output { offset, bytes } => {
                assert_eq!(offset, due);
                assert_eq!(bytes[0], b"0123456\n"[usize::try_from(due % 8).unwrap()]);
                due += bytes.len() as u64;
            }
            ExecEvent::Ended(outcome) => break outcome,
        }
    };
    eprintln!("{bytes} bytes in {:?}", began.elapsed());
    assert!(outcome.is_success(), "{outcome:?}");
    assert_eq!(due, bytes);
    assert_eq!(exec.next().await, None);
    job.stop().await.unwrap();
    assert_eq!(placement.remove_leftovers(LeftoverFilter::Own).await.unwrap(), engine::placement::Removed::default());
    world.assert_clean();
}
