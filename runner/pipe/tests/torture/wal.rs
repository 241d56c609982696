//! X08: the WAL of a server that was killed is cut. It refuses to start and says why, or all that was acknowledged is
//! there.

use crate::server::wait_for;
use crate::world::{Witness, World};

/// Places at which it is cut.
const CUTS: u64 = 20;
/// Of the WAL and of each of its frames, in bytes; a frame holds a page as well.
const HEADER: u64 = 32;
const FRAME: u64 = 24 + 4_096;

const JOB: &str = "on: push\njobs:\n  one:\n    runs-on: here\n    steps:\n      - run: echo one\n";

#[test]
fn x08_wal_is_cut() {
    let world = World::new(&Witness::new(), JOB);
    let mut server = world.started();
    world.push();
    assert!(world.watch(1, || false));
    server.kill();
    wait_for("the server to be gone", || server.is_gone());
    let wal = std::fs::read(world.data().join("pipe.db-wal")).unwrap();
    let length = wal.len() as u64;
    let frames = (length - HEADER) / FRAME;
    assert!(frames > 10, "{frames}");
    let mut cuts = vec![0, 1, HEADER - 1, HEADER, HEADER + 1, length - 1, length - FRAME, length - FRAME - 1, length];
    let rest = CUTS + 1 - cuts.len() as u64;
    cuts.extend((0..rest).map(|each| HEADER + FRAME * (each * frames / rest) + [0, 12, 24, 2_000][each as usize % 4]));
    let names = ["pipe.db", "pipe.db-wal", "pipe.db.head"];
    let kept = names.map(|name| std::fs::read(world.data().join(name)).unwrap());
    let (mut refused, mut whole) = (0, 0);
    for cut in cuts {
        for (name, bytes) in names.iter().zip(&kept) {
            let bytes = if name.ends_with("-wal") { &bytes[..cut as usize] } else { bytes };
            std::fs::write(world.data().join(name), bytes).unwrap();
        }
        drop(std::fs::remove_file(world.data().join("pipe.db-shm")));
        std::fs::write(world.path("server.log"), "").unwrap();
        let mut server = world.serve(None);
        if server.listens {
            assert_eq!(world.runs(), [1], "cut at {cut} of {length}");
            assert_eq!(world.facts(1).last().unwrap()["type"], "run_finished", "cut at {cut} of {length}");
            server.kill();
            wait_for("the server to be gone", || server.is_gone());
            whole += 1;
        } else {
            assert_eq!(server.ended().code(), Some(6), "cut at {cut}");
            let said = world.server_log();
            assert!(said.contains("was acknowledged") && said.contains("pipe.db.head"), "cut at {cut}: {said}");
            refused += 1;
        }
    }
    println!("cut at {} places: refused at {refused}, whole at {whole}", refused + whole);
    assert!(refused >= CUTS - 3 && whole >= 1, "{refused} {whole}");
}
