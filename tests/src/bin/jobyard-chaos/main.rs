//! Kills, stops, cuts off and drains everything that runs, at random, under a stream of jobs, and then counts.
//!
//! `cargo xtask chaos` builds what it needs and starts it. What it does follows from its seed, which it prints; when it
//! does what depends on the machine.

#![forbid(unsafe_code)]

mod logs;
mod stream;
mod verdict;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use jobyard_core::parse_duration;

use crate::stream::Stream;
use crate::world::World;

/// Random faults under real jobs.
#[derive(Debug, Parser)]
#[command(name = "jobyard-chaos")]
struct Arguments {
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    time: Duration,

    /// What follows from chance follows from this number [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!(
        "chaos: seed {seed}, for {:?} (again: cargo xtask chaos --seed {seed})",
        arguments.time
    );
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new();
    let mut stream = Stream::new(random.fork());
    let end = Instant::now() + arguments.time;
    while Instant::now() < end {
        stream.flow(&world.cluster);
        world.strike(&mut random, stream.known());
        world.let_pass(Duration::from_millis(random.u64(100..900)));
    }
    world.calm_down();
    stream.end(&world.cluster);
    let verdict = verdict::of(&world, &stream);
    let struck = world.struck.iter();
    let struck: Vec<String> = struck.map(|(what, n)| format!("{n} x {what}")).collect();
    println!("chaos: {}", struck.join(", "));
    println!("chaos: {}", verdict.summary);
    if verdict.problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    for problem in &verdict.problems {
        eprintln!("chaos: {problem}");
    }
    eprintln!("chaos: FAILED with seed {seed}");
    ExitCode::FAILURE
}
