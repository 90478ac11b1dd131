//! What is printed.

use jobyard_benches::figures::median;
use jobyard_benches::machine::Machine;
use jobyard_benches::revision::Revision;

use crate::facts::{Facts, figure};
use crate::options::Options;
use crate::phase::Kind;

/// Prints rows, and the goals at the end.
pub(crate) struct Report {
    judges: bool,
    jobs: f64,
    goals: Vec<String>,
}

impl Report {
    /// Prints what is measured, and on what.
    pub(crate) fn new(options: &Options) -> Self {
        println!("machine: {}", Machine::this());
        println!("{}", Revision::this());
        println!("{} jobs, {} rounds", options.jobs, options.rounds);
        if cfg!(debug_assertions) {
            println!("not optimised: these figures mean nothing");
        }
        println!("{HEAD}");
        Self {
            judges: !options.quick,
            jobs: figure(options.jobs as u64),
            goals: Vec::new(),
        }
    }

    /// Prints the rows of one kind.
    pub(crate) fn add(&mut self, kind: Kind, rounds: &[Facts]) {
        let of = |measure: &dyn Fn(&Facts) -> f64| {
            let values: Vec<f64> = rounds.iter().map(measure).collect();
            median(&values).unwrap_or(f64::NAN)
        };
        let jobs = self.jobs;
        let submit_rate = |facts: &Facts| jobs / facts.get("submit");
        // As many jobs a second as that many rows are.
        let raw_rate = |facts: &Facts| jobs / facts.get("insert");
        let submitted = of(&|facts| facts.get("submit bytes") / jobs);
        let restarted = of(&|facts| facts.get("restart bytes") / jobs);
        let ratio = of(&|facts| submit_rate(facts) / raw_rate(facts));
        let restart = of(&|facts| facts.get("dispatched") / facts.get("scan"));
        println!(
            "| {:<6} | {:>9.0} | {:>9.0} | {:>9.0} | {:>9.0} | {:>8} | {:>5.2} | {:>6.2} | {:>6.2} | {:>7.2} | {:>10.2} | {:>6.2} |",
            kind.name(),
            submitted,
            restarted,
            of(&submit_rate),
            of(&raw_rate),
            format!("{:.2}", of(&|facts| facts.get("rows") / jobs)),
            ratio,
            of(&|facts| facts.get("scan")),
            of(&|facts| facts.get("load")),
            of(&|facts| facts.get("started")),
            of(&|facts| facts.get("dispatched")),
            restart,
        );
        let micros = |name: &'static str| of(&move |facts: &Facts| facts.get(name) * 1e6);
        self.goals.push(format!(
            "* {}: one change in a commit of its own: p50 {:.0} us, p99 {:.0} us, most {:.0} us",
            kind.name(),
            micros("single p50"),
            micros("single p99"),
            micros("single most"),
        ));
        let limit = match kind {
            Kind::Shared => 350.0,
            Kind::Own => 1_024.0,
        };
        let worst = submitted.max(restarted);
        self.goal(kind, "bytes a job below", limit, worst, worst < limit);
        self.goal(
            kind,
            "submits at least, of the raw insert rate",
            0.25,
            ratio,
            ratio >= 0.25,
        );
        self.goal(
            kind,
            "restart to first dispatch at most, of a bare scan",
            3.0,
            restart,
            restart <= 3.0,
        );
    }

    fn goal(&mut self, kind: Kind, what: &str, limit: f64, found: f64, is_reached: bool) {
        let verdict = match (self.judges, is_reached) {
            (false, _) => ", not judged",
            (true, true) => ", reached: yes",
            (true, false) => ", reached: no",
        };
        self.goals.push(format!(
            "* {}: {what} {limit}: {found:.2}{verdict}",
            kind.name()
        ));
    }

    /// Prints what the goals come to.
    pub(crate) fn finish(self) {
        println!();
        for goal in self.goals {
            println!("{goal}");
        }
    }
}

const HEAD: &str = "
B/job: memory of the process's own beyond what it had before, after the last submit and after a restart. raw: the same
rows into another store, in commits of 4,096, without a master. Seconds: scan, every column of the live rows with SQLite
alone; load, the same through the store; started, a master on them; dispatched, until a worker has its first job.

| specs  | B/job sub | B/job res | submits/s |   raw/s   | rows/job | ratio |  scan  |  load  | started | dispatched | ratio  |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";
