//! `pipe gc`: makes room where a disk is full. What goes, and what never does, is [`engine::collect`]'s.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::collect::{Collected, Wish, collect};
use engine::kept::{Kept, KeptRules};
use engine::placement::{DockerPlacement, DockerSettings, LeftoverFilter, Owner, Placement, TransportChoice};
use engine::store::listing::Listing;
use engine::store::rollouts::Rollouts;
use engine::store::{Database, Options, StoreError};
use jiff::Timestamp;

use crate::args::{GcArgs, Global};
use crate::config::Paths;
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

/// A run of this machine that was killed never ends in its log; one that began so long ago goes on no more.
const LONGEST_LOCAL_RUN: Duration = Duration::from_secs(24 * 60 * 60);

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
    let (spared_since, needed) = in_use(&folder.join("pipe.db"), options, since).await?;
    // How long caches are kept is for those to say who add to them.
    let rules = KeptRules { cache_unused: Duration::MAX, cache_bytes: u64::MAX, ..KeptRules::default() };
    let docker = docker(&folder).await;
    let wish = Wish { disk_percent: args.disk_percent, dry_run: args.dry_run, spared_since, needed };
    let mut collected = collect(&folder, &Kept::new(&folder, rules), docker.as_ref(), wish).await;
    if let Some(docker) = docker.filter(|_| !args.dry_run)
        && let Err(error) = docker.remove_leftovers(LeftoverFilter::Forsaken).await
    {
        collected.problems.push(error.to_string());
    }
    Ok(collected)
}

/// When the oldest run began that goes on, and images that deployments may go back to.
async fn in_use(
    path: &Path,
    options: Options,
    since: Timestamp,
) -> Result<(Option<Timestamp>, BTreeSet<String>), Failure> {
    if !path.exists() {
        return Ok((None, BTreeSet::new()));
    }
    let database = Database::open(path, options).map_err(|error| {
        let in_use = matches!(error, StoreError::InUse { .. });
        let help = "a server makes room by itself: `[retention] disk-percent` in pipe.toml says when";
        Failure::environment(format!("cannot {error}")).maybe_help(in_use.then(|| help.to_owned()))
    })?;
    let (listing, rollouts) = (Listing::on(database.clone()), Rollouts::on(database.clone()));
    let (since, images) = tokio::join!(listing.oldest_open(since), rollouts.images());
    database.close().await;
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
    use engine::collect::{Disk, Gone};

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
