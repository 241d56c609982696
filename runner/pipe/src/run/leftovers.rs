//! What a killed `pipe` left behind is removed by the next command, whichever it is.
//!
//! It looks at two folders only; the container engine is asked when there is a folder of a process that is gone.

use super::machine;
use crate::args::Global;
use crate::config::Settings;
use crate::terminal::{self, Terminal};

/// Removes it, if there is anything. Never a reason for a command to fail.
pub fn remove(global: &Global) {
    // The command itself tells what is wrong with the settings.
    let Ok(settings) = Settings::load(global, None) else { return };
    if !machine::folders(&settings).has_abandoned() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let removed = runtime.block_on(async {
        // Rollouts are left to a process that lives for longer, and that knows whether their run is taken up.
        let machine = machine::open(&settings, 1, None).await.map_err(|failure| failure.message)?;
        machine.remove_abandoned().await.map_err(|error| error.to_string())
    });
    if let Err(problem) = removed {
        terminal::warning(Terminal::stderr(global.color), &problem);
    }
}
