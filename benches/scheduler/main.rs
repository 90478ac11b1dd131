//! What a decision of the scheduler costs, alone on one thread, beside its yardstick and a scan-all matcher.
//!
//! `cargo bench -p jobyard-benches --bench scheduler -- --help`

#![forbid(unsafe_code)]

mod events;
mod goals;
mod measure;
mod options;
mod report;
mod rows;

use clap::Parser;
use jobyard_benches::scheduling::Yardstick;

use events::{churn, fleet, questions};
use goals::Goals;
use measure::{Figure, Plan};
use options::Options;

fn main() {
    let options = Options::parse();
    let mut plan = if options.quick {
        Plan::quick()
    } else {
        Plan::full()
    };
    if options.no_scan_all {
        plan.scan_all = None;
    }
    report::head(options.quick);
    let mut yardstick = Yardstick::new();
    loads(&options, plan, &mut yardstick);
    single_events(&options, plan);
    if options.wants("goals") {
        println!("\n### Goals\n");
        let goals = Goals::measure(plan, options.quick, &mut yardstick);
        for line in goals.lines() {
            println!("* {line}");
        }
    }
}

fn loads(options: &Options, plan: Plan, yardstick: &mut Yardstick) {
    for section in rows::sections() {
        let mut rows = section.rows;
        rows.retain(|row| options.wants(&row.name));
        if rows.is_empty() {
            continue;
        }
        report::section(section.title);
        for row in rows {
            let row = if options.quick { row.quick() } else { row };
            report::row(&row, &Figure::take(&row, plan, yardstick));
        }
    }
}

fn single_events(options: &Options, plan: Plan) {
    let (events, asked) = (options.wants("churn"), options.wants("questions"));
    if !events && !asked {
        return;
    }
    let (mut churned, mut answered) = (Vec::new(), Vec::new());
    for workers in [1_000, 10_000, 100_000] {
        let mut yard = fleet(workers, plan, options.quick);
        let workers = yard.workload().shape().workers;
        if events {
            churned.push((workers, churn(&mut yard)));
        }
        if asked {
            answered.push((workers, questions(&mut yard)));
        }
    }
    report::costs("Churn: events of workers while jobs run", &churned);
    report::costs("Questions", &answered);
}
