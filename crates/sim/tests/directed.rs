//! Every invariant holds also where some things go wrong more often than in the roughest world.

use jobyard_sim::{Scenario, simulate};

/// How many worlds of each kind: what is quick in a build for tests.
const WORLDS: u64 = 20;

#[test]
fn hold_every_invariant_while_workers_are_cut_off() {
    run(&Scenario::apart());
}

#[test]
fn hold_every_invariant_while_long_jobs_are_stopped() {
    run(&Scenario::stopped());
}

#[test]
fn hold_every_invariant_while_jobs_are_stopped_before_a_slow_journal_has_them() {
    run(&Scenario::slow());
}

#[test]
fn hold_every_invariant_while_jobs_end_by_force_before_they_begin() {
    run(&Scenario::forced());
}

#[test]
fn hold_every_invariant_while_workers_drain() {
    run(&Scenario::drained());
}

#[test]
fn hold_every_invariant_while_journals_cannot_be_written() {
    run(&Scenario::unwritten());
}

#[test]
fn hold_every_invariant_while_hellos_are_late() {
    run(&Scenario::late());
}

#[test]
fn hold_every_invariant_under_many_orders() {
    run(&Scenario::ordered());
}

#[test]
fn hold_every_invariant_while_answers_are_late() {
    run(&Scenario::answered_late());
}

#[test]
fn hold_every_invariant_against_intruders() {
    run(&Scenario::intruded());
}

fn run(scenario: &Scenario) {
    for seed in 0..WORLDS {
        if let Err(failure) = simulate(seed, scenario) {
            panic!("{failure}");
        }
    }
}
