//! What is printed.

use jobyard_benches::PROGRAM;
use jobyard_benches::figures::median;
use jobyard_benches::machine::Machine;

use crate::options::Options;
use crate::round::Round;

/// The rounds so far. Prints each when it is over, and the medians at the end.
pub(crate) struct Report {
    rounds: Vec<Round>,
}

impl Report {
    /// Prints what is measured, and on what.
    pub(crate) fn new(machine: &Machine, options: &Options) -> Self {
        println!("machine: {machine}");
        println!(
            "{} jobs of {PROGRAM}, {} at once, {} one by one, {} rounds",
            options.jobs, options.slots, options.single, options.rounds
        );
        if cfg!(debug_assertions) {
            println!("not optimised: these figures mean nothing");
        }
        Self { rounds: Vec::new() }
    }

    /// Prints a round.
    pub(crate) fn add(&mut self, round: Round) {
        if self.rounds.is_empty() {
            println!("\n{HEAD}");
        }
        self.rounds.push(round);
        println!("{}", line(&self.rounds.len().to_string(), &[round]));
    }

    /// Prints the medians, and each figure beside its yardstick.
    pub(crate) fn finish(self) {
        let rounds = &self.rounds;
        println!("{}", line("median", rounds));
        println!(
            "\n{:<42}{:>12}{:>12}{:>8}",
            "figure", "", "yardstick", "ratio"
        );
        let compare = |what: &str, decimals: usize, figure: Of, yardstick: Of| {
            let ratio = over(rounds, |round| figure(round) / yardstick(round));
            let (figure, yardstick) = (over(rounds, figure), over(rounds, yardstick));
            println!("{what:<42}{figure:>12.decimals$}{yardstick:>12.decimals$}{ratio:>8.2}");
        };
        compare(
            "jobs/s, of the bare pair",
            0,
            |r| r.real.rate,
            |r| r.bare.rate,
        );
        compare(
            "jobs/s, of the raw spawn rate",
            0,
            |r| r.real.rate,
            |r| r.raw,
        );
        compare(
            "jobs/s, of the executor alone",
            0,
            |r| r.real.rate,
            |r| r.supervised,
        );
        compare(
            "executor alone, of the bare pair",
            0,
            |r| r.supervised,
            |r| r.bare.rate,
        );
        compare(
            "bare pair's jobs/s, of the raw spawn rate",
            0,
            |r| r.bare.rate,
            |r| r.raw,
        );
        compare(
            "one job p50 ms, of the bare pair",
            2,
            |r| r.real.p50_ms,
            |r| r.bare.p50_ms,
        );
        compare(
            "one job p99 ms, of the bare pair",
            2,
            |r| r.real.p99_ms,
            |r| r.bare.p99_ms,
        );
        compare(
            "one job p99 ms, of its own p50",
            2,
            |r| r.real.p99_ms,
            |r| r.real.p50_ms,
        );
    }
}

/// One value of a round.
type Of = fn(&Round) -> f64;

const HEAD: &str = "round     raw/s  bare/s  executor/s  jobyard/s   of bare   of raw   \
                    bare p50/p99 ms   jobyard p50/p99 ms";

/// The medians of some rounds, or the values of one.
fn line(name: &str, rounds: &[Round]) -> String {
    let of = |value: Of| over(rounds, value);
    format!(
        "{name:<8}{:>7.0}{:>8.0}{:>12.0}{:>11.0}{:>10.2}{:>9.2}{:>18}{:>21}",
        of(|r| r.raw),
        of(|r| r.bare.rate),
        of(|r| r.supervised),
        of(|r| r.real.rate),
        of(|r| r.real.rate / r.bare.rate),
        of(|r| r.real.rate / r.raw),
        format!(
            "{:.2} / {:.2}",
            of(|r| r.bare.p50_ms),
            of(|r| r.bare.p99_ms)
        ),
        format!(
            "{:.2} / {:.2}",
            of(|r| r.real.p50_ms),
            of(|r| r.real.p99_ms)
        ),
    )
}

fn over(rounds: &[Round], value: impl Fn(&Round) -> f64) -> f64 {
    let values: Vec<f64> = rounds.iter().map(value).collect();
    median(&values).unwrap_or(f64::NAN)
}
