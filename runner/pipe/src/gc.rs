//! `pipe gc`: makes room where a disk is full. What goes, and what never does, is [`engine::collect`]'s.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::collect::{Collected, Gone, Wish, collect};
use engine::folders::Folders;
use engine::kept::{Kept, KeptRules};
use engine::local::{Stand, forget_stand, stands};
use engine::placement::{
    DockerPlacement, DockerSettings, LeftoverFilter, Owner, Placement, ResourceKind, TransportChoice,
};
use engine::store::listing::Listing;
use engine::store::rollouts::Rollouts;
use engine::store::{Database, Options, SqliteStore, StoreError};
use jiff::{SignedDuration, Timestamp};

use crate::args::{GcArgs, Global};
use crate::config::Paths;
use crate::exit::{Exit, Failure};
use crate::serve::forget_runs;
use crate::terminal::{self, Terminal};

/// A run of this machine that was killed never ends in its log; one that began so long ago goes on no more.
const LONGEST_LOCAL_RUN: Duration = Duration::from_secs(24 * 60 * 60);
/// A disk with less room is full.
const ROOM_TO_OPEN_BYTES: u64 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// A server runs in the folder, or something could not be removed.
pub fn run(args: &GcArgs, global: &Global) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment(format!("cannot start: {error}")))?;
    let collected = runtime.block_on(perform(args))?;
    let mut output = terminal::results();
    if args.json {
        writeln!(output, "{:#}", serde_json::json!(collected))?;
    } else {
        output.write_all(text(&collected, args.dry_run).as_bytes())?;
    }
    output.flush()?;
    for problem in &collected.problems {
        terminal::warning(Terminal::stderr(global.color), problem);
    }
    Ok(if collected.problems.is_empty() { Exit::Success } else { Exit::Failure })
}

async fn perform(args: &GcArgs) -> Result<Collected, Failure> {
    let (folder, options) = match &args.data {
        Some(folder) => (folder.clone(), Options::SERVER),
        None => (Paths::from_environment(&terminal::variable).state, Options::LOCAL),
    };
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder {}", folder.display())));
    }
    let since = match args.data {
        Some(_) => Timestamp::MIN,
        None => Timestamp::now().checked_sub(LONGEST_LOCAL_RUN).unwrap_or(Timestamp::MIN),
    };
    let path = folder.join("pipe.db");
    let wish = Wish {
        disk_percent: args.disk_percent,
        dry_run: args.dry_run,
        spared_since: Timestamp::now().checked_sub(LONGEST_LOCAL_RUN).ok(),
        needed: BTreeSet::new(),
    };
    let first =
        if path.exists() && is_full(&folder) { first_room(&folder, wish.clone()).await } else { Collected::default() };
    let database = match path.exists().then(|| open(&path, options)).transpose() {
        // Nothing went, so there is no more room than before.
        Err(_) if args.dry_run && !first.gone.is_empty() => return Ok(first),
        opened => opened?,
    };
    let (spared_since, needed) = match &database {
        Some(database) => in_use(database, since).await?,
        None => (None, BTreeSet::new()),
    };
    let docker = docker(&folder).await;
    let wish = Wish { spared_since, needed, ..wish };
    let mut collected = collect(&folder, &kept(&folder), docker.as_ref(), wish).await;
    if !args.dry_run {
        collected.bytes += first.bytes;
        collected.gone.splice(..0, first.gone);
    }
    if let (Some(days), Some(database)) = (args.run_days, &database) {
        old_runs(&mut collected, (database, &folder), days, args.dry_run).await?;
    }
    if args.data.is_none() {
        places(&mut collected, &folder, docker.as_deref(), args.dry_run).await;
    }
    if let Some(docker) = docker {
        forsaken(&mut collected, &*docker, args.dry_run).await;
    }
    if let Some(database) = database {
        database.close().await;
    }
    Ok(collected)
}

/// Entries of caches, without saying by which rules those who add to them keep them.
fn kept(folder: &Path) -> Kept {
    Kept::new(folder, KeptRules { cache_unused: Duration::MAX, cache_bytes: u64::MAX, ..KeptRules::default() })
}

/// Whether not even a database can be opened, which makes a file of 32 KiB beside it.
fn is_full(folder: &Path) -> bool {
    engine::collect::room(folder).is_some_and(|room| room < ROOM_TO_OPEN_BYTES)
}

/// Room for opening the database, made without it: entries of caches that nobody has used for as long as a run can take.
async fn first_room(folder: &Path, wish: Wish) -> Collected {
    collect(folder, &kept(folder), None, wish).await
}

/// Runs that ended so many days ago.
async fn old_runs(
    collected: &mut Collected,
    (database, folder): (&Database, &Path),
    days: u32,
    is_dry: bool,
) -> Result<(), Failure> {
    let failed = |error: StoreError| Failure::environment(format!("cannot {error}"));
    let before = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * i64::from(days)));
    let (before, store) = (before.unwrap_or(Timestamp::MIN), SqliteStore::on(database.clone()));
    let old = store.old_runs(before).await.map_err(failed)?;
    if !is_dry {
        let (_, problems) = forget_runs(&store, folder, before).await.map_err(failed)?;
        collected.problems.extend(problems);
    }
    let folders = Folders { state: folder.to_owned(), runtime: folder.to_owned() };
    for run in old {
        // What could not be removed is told as a problem.
        if is_dry || !folders.logs(run).exists() {
            collected.gone.push(Gone { kind: "run", name: run.to_string(), bytes: 0, used: 0 });
        }
    }
    Ok(())
}

/// Places of jobs that failed and were kept.
async fn places(collected: &mut Collected, folder: &Path, docker: Option<&dyn Placement>, is_dry: bool) {
    for stand in stands(folder) {
        let name = format!("{}/{}", stand.run, stand.job);
        let used = u64::try_from(stand.at.as_second()).unwrap_or_default();
        if !is_dry && let Err(problem) = remove_place(folder, &stand, docker).await {
            collected.problems.push(format!("the place of {name}: {problem}"));
            continue;
        }
        collected.gone.push(Gone { kind: "place", name, bytes: 0, used });
    }
}

async fn remove_place(folder: &Path, stand: &Stand, docker: Option<&dyn Placement>) -> Result<(), String> {
    if let (Some(_), Some(docker)) = (&stand.container, docker) {
        let filter = LeftoverFilter::Job { run: stand.run.to_string(), job: stand.job.clone() };
        docker.remove_leftovers(filter).await.map_err(|error| error.to_string())?;
    }
    for folder in &stand.folders {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("{}: {error}", folder.display()));
            }
            Ok(()) | Err(_) => {}
        }
        // Other places of the run may be beside it.
        let _not_empty = folder.parent().map(std::fs::remove_dir);
    }
    forget_stand(folder, stand).map_err(|error| error.to_string())
}

/// What jobs of installations left whose folder is gone.
async fn forsaken(collected: &mut Collected, docker: &dyn Placement, is_dry: bool) {
    let found = match docker.forsaken().await {
        Ok(found) => found,
        Err(error) => return collected.problems.push(error.to_string()),
    };
    if !is_dry && let Err(error) = docker.remove_leftovers(LeftoverFilter::Forsaken).await {
        collected.problems.push(error.to_string());
    }
    let left = if is_dry { Vec::new() } else { docker.forsaken().await.unwrap_or_default() };
    for (kind, name) in found.into_iter().filter(|one| !left.contains(one)) {
        let kind = match kind {
            ResourceKind::Container => "container of a folder that is gone",
            ResourceKind::Network => "network of a folder that is gone",
            ResourceKind::Volume => "volume of a folder that is gone",
            ResourceKind::Process => "process of a folder that is gone",
        };
        collected.gone.push(Gone { kind, name, bytes: 0, used: 0 });
    }
}

fn open(path: &Path, options: Options) -> Result<Database, Failure> {
    Database::open(path, options).map_err(|error| {
        let in_use = matches!(error, StoreError::InUse { .. });
        let help = "a server makes room by itself: `[retention] disk-percent` in pipe.toml says when";
        Failure::environment(format!("cannot {error}")).maybe_help(in_use.then(|| help.to_owned()))
    })
}

/// When the oldest run began that goes on, and images that deployments may go back to.
async fn in_use(database: &Database, since: Timestamp) -> Result<(Option<Timestamp>, BTreeSet<String>), Failure> {
    let (listing, rollouts) = (Listing::on(database.clone()), Rollouts::on(database.clone()));
    let (since, images) = tokio::join!(listing.oldest_open(since), rollouts.images());
    let failed = |error: StoreError| Failure::environment(format!("cannot {error}"));
    Ok((since.map_err(failed)?, images.map_err(failed)?))
}

/// The container engine, where there is one.
async fn docker(folder: &Path) -> Option<Arc<dyn Placement>> {
    let settings = DockerSettings {
        owner: Owner::new(folder),
        // Nothing is started.
        agent: PathBuf::new(),
        transport: TransportChoice::default(),
        isolate: false,
        allowed_options: Vec::new(),
        allowed_folders: Vec::new(),
        nodes: None,
        claims: None,
    };
    DockerPlacement::connect(settings).await.ok().map(|docker| Arc::new(docker) as Arc<dyn Placement>)
}

fn text(collected: &Collected, is_dry: bool) -> String {
    let mut text = String::new();
    for disk in &collected.disks {
        text.push_str(&format!("{}: {} % full\n", disk.path.display(), disk.percent));
    }
    for gone in &collected.gone {
        text.push_str(&format!("  {} {}  {}\n", gone.kind, gone.name, size(gone.bytes)));
    }
    let words = if is_dry { "would be freed" } else { "freed" };
    match collected.gone.len() {
        0 => text.push_str("nothing has to go, or may\n"),
        count => text.push_str(&format!("{count} things, {} {words}\n", size(collected.bytes))),
    }
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0 => "-".to_owned(),
        1..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use engine::collect::Disk;

    use super::*;

    #[test]
    fn what_went_is_told() {
        let mut collected = Collected {
            disks: vec![Disk { path: "/data".into(), percent: 91, wanted_bytes: 9 }],
            ..Collected::default()
        };
        assert_eq!(text(&collected, false), "/data: 91 % full\nnothing has to go, or may\n");
        collected.gone.push(Gone { kind: "image", name: "shop:1".into(), bytes: 12_300_000, used: 1 });
        collected.bytes = 12_300_000;
        let expect = "/data: 91 % full\n  image shop:1  12.3 MB\n1 things, 12.3 MB would be freed\n";
        assert_eq!(text(&collected, true), expect);
        for (bytes, expect) in [(0, "-"), (1, "1 kB"), (2_500_000_000, "2.5 GB")] {
            assert_eq!(size(bytes), expect);
        }
    }
}
