//! A proxy without the rest of `pipe`, for measurements: `stand LISTEN FOLDER [own|shared] [THREADS]
//! [take-over|hyper]`; `hyper`: no request takes the short way. Ends with its input. Its crate's tests kill it.

use std::io::Write as _;

use proxy::Options;
use proxy::options::Threads;
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, folder, more @ ..] = arguments.as_slice() else {
        return Err("stand LISTEN FOLDER [own|shared] [THREADS]".into());
    };
    let mut options = Options::new("measured", listen.parse()?, folder);
    let threads = more.get(1).map_or(Ok(2), |count| count.parse())?;
    options.threads = match more.first().map(String::as_str) {
        Some("shared") => Threads::Shared(threads),
        Some(_) | None => Threads::EachItsOwn(threads),
    };
    options.take_over = more.get(2).is_some_and(|word| word == "take-over");
    options.short_way = more.get(2).is_none_or(|word| word != "hyper");
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = stop.clone();
    std::thread::spawn(move || {
        let mut nothing = String::new();
        while std::io::stdin().read_line(&mut nothing).is_ok_and(|read| read > 0) {}
        told.cancel();
    });
    runtime.block_on(proxy::serve(options, stop, |about| {
        let _nobody_reads = writeln!(std::io::stdout(), "ready {}", about.listen);
    }))?;
    Ok(())
}
