//! Counters as Prometheus reads them: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

use crate::stats::{RevisionStats, Stats};

/// A counter's name, what it is, its type, and where it is read.
type Family = (&'static str, &'static str, &'static str, fn(&RevisionStats) -> u64);

const FAMILIES: [Family; 8] = [
    ("pipe_proxy_errors_total", "Answers 5xx, and requests without one", "counter", |row| row.errors),
    ("pipe_proxy_connection_errors_total", "Backends not reached", "counter", |row| row.connection_errors),
    ("pipe_proxy_timeouts_total", "Requests not answered in time", "counter", |row| row.time_outs),
    ("pipe_proxy_abandoned_total", "Requests whose client went away", "counter", |row| row.abandoned),
    ("pipe_proxy_diverted_total", "Requests that another colour got", "counter", |row| row.diverted),
    ("pipe_proxy_in_flight", "Requests being answered", "gauge", |row| row.in_flight),
    ("pipe_proxy_weight", "Share in thousandths", "gauge", |row| row.weight.into()),
    ("pipe_proxy_ejected_backends", "Backends that get nothing now", "gauge", |row| row.ejected.len() as u64),
];

/// One bound of a histogram in so many is told.
const BOUNDS_STEP: usize = 4;

pub(crate) fn text(stats: &Stats) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = write(&mut text, stats);
    text
}

fn write(text: &mut String, stats: &Stats) -> std::fmt::Result {
    writeln!(text, "# HELP pipe_proxy_generation Number of the table\n# TYPE pipe_proxy_generation gauge")?;
    writeln!(text, "pipe_proxy_generation {}", stats.generation)?;
    let requests = "pipe_proxy_requests_total";
    writeln!(text, "# HELP {requests} Requests by status class and method\n# TYPE {requests} counter")?;
    for row in &stats.revisions {
        let labels = labels(row);
        for (class, methods) in &row.by_status {
            for (method, count) in methods {
                writeln!(text, "{requests}{{{labels},class=\"{class}\",method=\"{method}\"}} {count}")?;
            }
        }
    }
    for (name, help, kind, value) in FAMILIES {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        for row in &stats.revisions {
            writeln!(text, "{name}{{{}}} {}", labels(row), value(row))?;
        }
    }
    histogram(text, stats)
}

fn histogram(text: &mut String, stats: &Stats) -> std::fmt::Result {
    let name = "pipe_proxy_answer_seconds";
    writeln!(text, "# HELP {name} Time until an answer began\n# TYPE {name} histogram")?;
    for row in &stats.revisions {
        let labels = labels(row);
        let (mut count, mut sum) = (0, 0.0);
        for (index, (bound, more)) in row.latency.iter().enumerate() {
            count += more;
            let seconds = *bound as f64 / 1e6;
            if *bound == u64::MAX {
                writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
                continue;
            }
            sum += seconds * *more as f64;
            if index % BOUNDS_STEP == 0 {
                writeln!(text, "{name}_bucket{{{labels},le=\"{seconds}\"}} {count}")?;
            }
        }
        // By the bounds: at most an eighth too much.
        writeln!(text, "{name}_sum{{{labels}}} {sum:.6}\n{name}_count{{{labels}}} {count}")?;
    }
    Ok(())
}

/// Names are checked where tables come in: they have neither quotes nor backslashes.
fn labels(row: &RevisionStats) -> String {
    let colour = row.colour.as_deref().unwrap_or_default();
    format!("service=\"{}\",revision=\"{}\",colour=\"{colour}\"", row.service, row.revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::{Outcome, Tally};
    use hyper::Method;

    #[test]
    fn what_is_counted_is_told() {
        let tally = Tally::new("orders", "r1");
        tally.record(&Method::GET, Outcome::Answered(200), 1_000);
        tally.record(&Method::GET, Outcome::Answered(503), 3_000);
        tally.record(&Method::POST, Outcome::TimedOut, 100_000_000);
        let text = text(&Stats { generation: 3, revisions: vec![tally.read()], ..Stats::default() });
        for line in [
            "pipe_proxy_generation 3",
            r#"pipe_proxy_requests_total{service="orders",revision="r1",colour="",class="2xx",method="GET"} 1"#,
            r#"pipe_proxy_requests_total{service="orders",revision="r1",colour="",class="failed",method="POST"} 1"#,
            r#"pipe_proxy_errors_total{service="orders",revision="r1",colour=""} 2"#,
            r#"pipe_proxy_answer_seconds_bucket{service="orders",revision="r1",colour="",le="+Inf"} 3"#,
            r#"pipe_proxy_answer_seconds_bucket{service="orders",revision="r1",colour="",le="0.001024"} 1"#,
            r#"pipe_proxy_answer_seconds_count{service="orders",revision="r1",colour=""} 3"#,
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        }
    }
}
