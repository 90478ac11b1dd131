//! What is printed.

use jobyard_benches::machine::Machine;
use jobyard_benches::revision::Revision;

use crate::figure::{Figure, Turn};
use crate::options::Options;
use crate::place::{Places, file_system};
use crate::row::{LAUNCHED, LAUNCHED_LARGE, Row, Way};

/// Prints rows, and the goals at the end.
pub(crate) struct Report {
    judges: bool,
}

impl Report {
    /// Prints what is measured, and on what.
    pub(crate) fn new(options: &Options, places: &Places) -> Self {
        // `cargo bench` adds the first of these itself.
        let given = std::env::args().skip(1);
        let command: Vec<String> = given.filter(|word| word != "--bench").collect();
        println!("machine: {}", Machine::this());
        println!("{}", Revision::this());
        println!(
            "command: cargo bench -p jobyard-benches --bench spawn -- {}",
            command.join(" ")
        );
        println!(
            "{} jobs a rate, {} at once, {} one by one, {} rounds; disk: {}; launcher: {}; ballast: {} MiB",
            options.jobs,
            options.slots,
            options.single,
            options.rounds,
            file_system(places.disk()),
            if options.launcher.is_some() {
                "a program of its own"
            } else {
                "the benchmark itself"
            },
            options.ballast,
        );
        if cfg!(debug_assertions) {
            println!("not optimised: these figures mean nothing");
        }
        println!("{HEAD}");
        Self {
            judges: !options.quick,
        }
    }

    /// Prints a row.
    pub(crate) fn row(figure: &Figure) {
        let (least, most) = figure.spread(Turn::rate_ratio);
        let launched = matches!(figure.row.way, Way::Launched(_));
        let supervised = figure.row.way != Way::Forked;
        let or_dash = |wanted: bool, value: f64| {
            if wanted {
                format!("{value:.0}")
            } else {
                "-".to_owned()
            }
        };
        println!(
            "| {:<40} | {:>6.0} | {:>6.0} | {:>5.2} | {:>9} | {:>13} | {:>13} | {:>4.2} | {:>4.2} | {:>5} | {:>8} | {:>6} |",
            figure.row.name,
            figure.of(|turn| turn.rate),
            figure.of(|turn| turn.raw_rate),
            figure.of(Turn::rate_ratio),
            format!("{least:.2}-{most:.2}"),
            pair(
                figure.of(|turn| turn.single.p50),
                figure.of(|turn| turn.single.p99)
            ),
            pair(
                figure.of(|turn| turn.raw_single.p50),
                figure.of(|turn| turn.raw_single.p99)
            ),
            figure.of(Turn::p50_ratio),
            figure.of(Turn::p99_ratio),
            or_dash(supervised, figure.of(|turn| turn.agent_us)),
            or_dash(launched, figure.of(|turn| turn.launcher_us)),
            or_dash(launched, figure.of(|turn| turn.launcher_kib)),
        );
    }

    /// Prints that a row is not measured, and why.
    pub(crate) fn left_out(row: &Row, reason: &str) {
        println!("| {:<40} | left out: {reason} |", row.name);
    }

    /// Prints what the goals come to.
    pub(crate) fn finish(self, figures: &[Figure]) {
        println!();
        let find = |name: &str| figures.iter().find(|figure| figure.row.name == name);
        for name in [LAUNCHED, LAUNCHED_LARGE] {
            if let Some(figure) = find(name) {
                self.goal(name, figure);
            }
        }
        if let (Some(small), Some(large)) = (find(LAUNCHED), find(LAUNCHED_LARGE)) {
            let ratio = large.of(Turn::rate_ratio) / small.of(Turn::rate_ratio);
            println!("* with ballast, of without: {ratio:.2}");
        }
    }

    fn goal(&self, name: &str, figure: &Figure) {
        let rate = figure.of(Turn::rate_ratio);
        let p50 = figure.of(Turn::p50_ratio);
        println!(
            "* {name}: jobs a second at least {RATE_GOAL} of the raw spawn rate: {rate:.2}{}",
            self.verdict(rate >= RATE_GOAL)
        );
        println!(
            "* {name}: p50 at most {P50_GOAL} times a raw spawn: {p50:.2}{}",
            self.verdict(p50 <= P50_GOAL)
        );
    }

    fn verdict(&self, is_reached: bool) -> &'static str {
        match (self.judges, is_reached) {
            (false, _) => ", not judged",
            (true, true) => ", reached: yes",
            (true, false) => ", reached: no",
        }
    }
}

fn pair(one: f64, other: f64) -> String {
    format!("{one:.0} / {other:.0}")
}

const RATE_GOAL: f64 = 0.85;
const P50_GOAL: f64 = 1.5;

const HEAD: &str = "
raw: the standard library alone (posix_spawn), two threads, no standard input, two pipes read to their end. Medians;
ratios are taken within a round. p50 / p99: one at a time, in microseconds. agent, launcher: processor time for each
job, in microseconds. KiB: memory of the launcher's own, afterwards.

| what                                     | jobs/s |  raw/s | ratio |   from-to |     p50 / p99 | raw p50 / p99 |  p50 |  p99 | agent | launcher |    KiB |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";
