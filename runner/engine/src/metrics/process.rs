//! What the system says of this process, under the names that all Prometheus clients use.

use nix::unistd::{SysconfVar, sysconf};

use super::number::Text;

/// Nothing is said where `/proc` is not to be read.
pub(super) fn render(text: &mut Text) {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4_096) as f64;
    if let Some(stat) = read("/proc/self/stat") {
        // The name in brackets may hold anything; the fields behind it are numbers.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let name = "process_cpu_seconds_total";
        text.head(name, "Processor time that was used, in seconds.", "counter");
        text.value(name, &[], (field(14) + field(15)) / ticks);
        text.gauge("process_resident_memory_bytes", "Memory in use.", &[], field(24) * page);
        text.gauge("process_virtual_memory_bytes", "Memory that is mapped.", &[], field(23));
        text.gauge("process_threads", "Threads.", &[], field(20));
        let booted = read("/proc/stat")
            .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok()));
        if let Some(booted) = booted {
            let help = "When it began, in seconds since 1970.";
            text.gauge("process_start_time_seconds", help, &[], booted + field(22) / ticks);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        text.gauge("process_open_fds", "Open files.", &[], open.count() as f64);
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
