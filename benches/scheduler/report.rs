//! What is printed: tables in Markdown, line by line as they are measured.

use jobyard_benches::machine::Machine;
use jobyard_benches::revision::Revision;
use jobyard_benches::scheduling::Shape;

use crate::events::Cost;
use crate::measure::Figure;
use crate::rows::Row;

/// On what, and what the words mean.
pub(crate) fn head(quick: bool) {
    println!("machine: {}", Machine::this());
    println!("{}", Revision::this());
    if cfg!(debug_assertions) {
        println!("not optimised: these figures mean nothing");
    }
    if quick {
        println!("quick: small loads, no goal is judged");
    }
    println!("{SETUP}");
}

/// A new table of loads.
pub(crate) fn section(title: &str) {
    println!("\n### {title}\n");
    println!(
        "| {:<40} | {:>9} | {:>7} | {:>8} | {:>6} | {:>6} | {:>7} | {:>11} | {:>9} | {:>8} | {:>5} | {:>11} | {:>8} |",
        "load",
        "jobs",
        "workers",
        "tag sets",
        "sets",
        "queues",
        "ns",
        "decisions/s",
        "yardstick",
        "assigned",
        "B/job",
        "scan-all ns",
        "slower"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
}

/// One load.
pub(crate) fn row(row: &Row, figure: &Figure) {
    let Shape {
        jobs,
        workers,
        queues,
        ..
    } = row.shape;
    let (tag_sets, sets) = row.shape.distinct();
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let bytes = or_dash(figure.bytes.map(|bytes| format!("{bytes:.0}")));
    let scan_all = figure.scan_all_ns;
    let slower = or_dash(scan_all.map(|ns| format!("{:.0} x", ns / figure.ns)));
    let scan_all = or_dash(scan_all.map(|ns| format!("{ns:.0}")));
    println!(
        "| {:<40} | {jobs:>9} | {workers:>7} | {tag_sets:>8} | {sets:>6} | {queues:>6} | {:>7.0} | {:>11.0} | {:>7.2} x | {:>8.2} | {bytes:>5} | {scan_all:>11} | {slower:>8} |",
        row.name,
        figure.ns,
        1e9 / figure.ns,
        figure.of_yardstick,
        figure.assigned,
    );
}

/// What single events and questions cost, for fleets of different sizes beside each other.
pub(crate) fn costs(title: &str, fleets: &[(usize, Vec<Cost>)]) {
    println!("\n### {title}\n");
    print!("| {:<40} |", "what");
    for (workers, _) in fleets {
        print!(
            " {:>15} | {:>8} |",
            format!("{workers} workers"),
            "assigned"
        );
    }
    println!();
    println!("|---|{}", "--:|--:|".repeat(fleets.len()));
    let Some((_, first)) = fleets.first() else {
        return;
    };
    for (at, cost) in first.iter().enumerate() {
        print!("| {:<40} |", cost.what);
        for (_, costs) in fleets {
            let Cost { ns, assigned, .. } = costs[at];
            print!(" {ns:>12.0} ns | {assigned:>8.2} |");
        }
        println!();
    }
}

const SETUP: &str = "\
A decision: a job that runs ends, the scheduler assigns what follows, and a job like that which was assigned is queued, so
that the load stays as it is. Workers have 1 to 8 slots (with resources: 4 to 32 slots and cores, 4 GiB each, some with 4
gpus), all taken. Each requirement set is one to four terms of all operators that hold for some tag set. Jobs share their
wants by set, are spread evenly over queues with weights from 1 to 10, run for a minute on average and have waited for up
to two when it begins. Spread, and otherwise the default policy. Warmed up by as many decisions as jobs run; medians of 5.
ns: processor time of the one thread.
yardstick: times the cost of removing and inserting one key in a BTreeSet of a million, taken in turns with the load.
assigned: jobs for each decision. B/job: live heap bytes of the scheduler for each waiting job, shared wants included.
scan-all: a first-come matcher on the same types and events that looks at all workers for each job that comes, and at all
jobs for each slot that becomes free; without fair shares, priorities, placement and reservations.";
