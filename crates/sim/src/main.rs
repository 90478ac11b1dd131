//! `jobyard-sim`: runs worlds from seeds until one fails. `cargo xtask simulate` and `cargo xtask mutants` build and start
//! it.

#![forbid(unsafe_code)]

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use jobyard_sim::{Mutant, Scenario, Summary, run, trace};

/// How many worlds may hide a deliberate bug.
const MUTANT_SEEDS: u64 = 400;

/// How long one world may keep a core busy, in milliseconds.
const GOAL_MILLIS: f64 = 60.0;

const USAGE: &str = "\
usage: jobyard-sim [--seeds N] [--from S] [--scenario NAME] [--jobs THREADS] [--partial]
       jobyard-sim --seed S [--scenario ..] [--trace]
       jobyard-sim --mutants [NAME ..] [--jobs THREADS]
scenarios: rough, calm, apart, stopped, unwritten, late, ordered, intruded";

/// What is asked for.
#[derive(Debug)]
struct Arguments {
    seeds: u64,
    from: u64,
    scenario: Scenario,
    threads: NonZeroUsize,
    /// Faults and transitions that never occurred are no failure.
    partial: bool,
    trace: bool,
    mutants: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let result = parse(std::env::args().skip(1)).and_then(|arguments| match &arguments.mutants {
        Some(names) => find_mutants(&arguments, names),
        None if arguments.trace => show(&arguments),
        None => simulate(&arguments),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let cores = std::thread::available_parallelism();
    let mut arguments = Arguments {
        seeds: 10_000,
        from: 0,
        scenario: Scenario::rough(),
        threads: cores.unwrap_or(NonZeroUsize::MIN),
        partial: false,
        trace: false,
        mutants: None,
    };
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            match &mut arguments.mutants {
                Some(names) => names.push(word),
                None => return Err(format!("what is {word:?}?\n{USAGE}")),
            }
            continue;
        }
        match word.as_str() {
            "--partial" => arguments.partial = true,
            "--trace" => arguments.trace = true,
            "--mutants" => arguments.mutants = Some(Vec::new()),
            "--seeds" => arguments.seeds = number(&word, words.next())?,
            "--from" => arguments.from = number(&word, words.next())?,
            "--seed" => {
                (arguments.from, arguments.seeds) = (number(&word, words.next())?, 1);
                arguments.partial = true;
            }
            "--jobs" => arguments.threads = number(&word, words.next())?,
            "--scenario" => {
                let name = words.next().unwrap_or_default();
                arguments.scenario = Scenario::named(&name)
                    .ok_or_else(|| format!("there is no scenario {name:?}\n{USAGE}"))?;
            }
            _ => return Err(format!("what is {word:?}?\n{USAGE}")),
        }
    }
    Ok(arguments)
}

fn number<T: std::str::FromStr>(option: &str, value: Option<String>) -> Result<T, String> {
    let value = value.unwrap_or_default();
    value
        .parse()
        .map_err(|_| format!("{option} wants a number, not {value:?}"))
}

/// The whole history of one world.
fn show(arguments: &Arguments) -> Result<(), String> {
    let (history, result) = trace(arguments.from, &arguments.scenario);
    for line in history {
        println!("{line}");
    }
    let summary = result.map_err(|failure| failure.to_string())?;
    println!("{summary}");
    Ok(())
}

fn simulate(arguments: &Arguments) -> Result<(), String> {
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    let total = arguments.seeds;
    let found = run(
        seeds,
        &arguments.scenario,
        arguments.threads,
        || {},
        |done| eprintln!("{done} of {total} worlds hold"),
    );
    let each = found.core_time_per_world().as_secs_f64() * 1_000.0;
    println!("{}", found.summary);
    println!(
        "{} worlds in {:.1} s on {} threads: {:.1} a second, {each:.1} ms of a core each, {:.2} of the goal of {GOAL_MILLIS} ms",
        found.summary.worlds,
        found.took.as_secs_f64(),
        found.threads,
        f64::from(u32::try_from(found.summary.worlds).unwrap_or(u32::MAX))
            / found.took.as_secs_f64(),
        each / GOAL_MILLIS,
    );
    if let Some(failure) = found.failure {
        return Err(failure.to_string());
    }
    check_coverage(arguments, &found.summary)
}

/// Everything that shall occur did.
fn check_coverage(arguments: &Arguments, summary: &Summary) -> Result<(), String> {
    if arguments.partial || arguments.scenario.fault_every.is_none() {
        return Ok(());
    }
    let mut missing: Vec<String> = summary
        .missing_faults()
        .into_iter()
        .map(|fault| format!("fault {fault:?}"))
        .collect();
    missing.extend(
        summary
            .missing_transitions()
            .iter()
            .map(ToString::to_string),
    );
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join("\n  ");
    Err(format!(
        "these never occurred (with few seeds, say --partial):\n  {list}"
    ))
}

/// Each deliberate bug has to be found.
fn find_mutants(arguments: &Arguments, names: &[String]) -> Result<(), String> {
    if !Mutant::are_built_in() {
        return Err(
            "this build has no deliberate bugs: cargo xtask mutants makes one that has".to_owned(),
        );
    }
    let unknown = |name: &&String| Mutant::ALL.iter().all(|mutant| mutant.name != **name);
    if let Some(name) = names.iter().find(unknown) {
        return Err(format!("there is no deliberate bug {name:?}"));
    }
    let is_wanted =
        |mutant: &&Mutant| names.is_empty() || names.iter().any(|name| name == mutant.name);
    let began = Instant::now();
    let mut survivors = Vec::new();
    println!(
        "{:<58} {:<10} {:>6} {:>4} {:>7}  found by",
        "deliberate bug", "scenario", "worlds", "seed", "seconds"
    );
    for mutant in Mutant::ALL.iter().filter(is_wanted) {
        let scenario = &mutant.scenario();
        let found = run(
            0..MUTANT_SEEDS,
            scenario,
            arguments.threads,
            || mutant.switch_on(),
            |_| {},
        );
        let took = found.took.as_secs_f64();
        let (worlds, seed, by) = match &found.failure {
            Some(failure) => (
                found.summary.worlds + 1,
                failure.seed.to_string(),
                failure.invariant,
            ),
            None => (found.summary.worlds, "-".to_owned(), "NOBODY"),
        };
        let (name, scenario) = (mutant.name, scenario.name);
        println!("{name:<58} {scenario:<10} {worlds:>6} {seed:>4} {took:>7.1}  {by}");
        if found.failure.is_none() {
            survivors.push(name);
        }
    }
    println!("{:.0} s", began.elapsed().as_secs_f64());
    if survivors.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not found in {MUTANT_SEEDS} worlds: {}",
        survivors.join(", ")
    ))
}
