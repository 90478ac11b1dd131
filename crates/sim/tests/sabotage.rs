//! The invariants see what they are there to see: each deliberate bug of the surroundings is found by the one that is
//! meant for it.

use jobyard_sim::{Sabotage, Scenario, simulate};

/// How many worlds a bug may hide in before it must have been found.
const WORLDS: u64 = 200;

#[test]
fn find_effects_that_leave_before_their_commit() {
    find(Sabotage::SpeakBeforeCommit, "no submitted job is lost");
}

#[test]
fn find_an_executor_that_starts_what_it_should_adopt() {
    find(Sabotage::AdoptByStarting, "no attempt starts twice");
}

#[test]
fn find_a_worker_that_forgets_its_journal() {
    find(
        Sabotage::ForgetJournal,
        "a job that is not repeatable runs once",
    );
}

#[test]
fn find_slots_that_do_not_exist() {
    find(Sabotage::OverstateSlots, "no resource is ever oversold");
}

#[test]
fn find_exclusive_tags_that_are_hidden() {
    find(
        Sabotage::HideExclusive,
        "a job goes only to a worker that suits it",
    );
}

#[test]
fn find_queues_that_are_forgotten() {
    find(Sabotage::ForgetQueues, "no queue runs more than its cap");
}

#[test]
fn find_groups_that_are_forgotten() {
    find(
        Sabotage::ForgetGroups,
        "no group runs more than its jobs allow",
    );
}

#[test]
fn find_complaints_that_are_hidden() {
    find(
        Sabotage::HideComplaints,
        "a worker that complains gets nothing",
    );
}

#[test]
fn find_messages_that_never_arrive() {
    find(Sabotage::DropForgets, "nothing is left over");
}

#[test]
fn find_output_that_is_dropped_too_early() {
    find(
        Sabotage::TrimBeyondDurable,
        "a stored log is a prefix of what was printed",
    );
}

#[test]
fn find_output_that_is_shifted() {
    find(
        Sabotage::ShiftOutput,
        "a stored log is a prefix of what was printed",
    );
}

#[test]
fn find_output_that_is_not_waited_for() {
    find(
        Sabotage::DropRest,
        "a log is complete unless a fault took some of it",
    );
}

#[test]
fn find_tombstones_that_are_ignored() {
    find(
        Sabotage::IgnoreTombstones,
        "the same job id means the same job",
    );
}

#[test]
fn find_finished_jobs_that_come_back() {
    find(Sabotage::ReviveFinished, "outcomes are final");
}

#[test]
fn find_leases_that_nobody_enforces() {
    find_within(
        &Scenario::apart(),
        Sabotage::ForgetLeases,
        "two attempts of a job overlap only if that is declared",
    );
}

/// The bug breaks this invariant in some world. In another it may break another one first.
fn find(bug: Sabotage, invariant: &str) {
    find_within(&Scenario::rough(), bug, invariant);
}

fn find_within(scenario: &Scenario, bug: Sabotage, invariant: &str) {
    let scenario = scenario.clone().with(bug);
    let mut others = Vec::new();
    for seed in 0..WORLDS {
        match simulate(seed, &scenario) {
            Err(failure) if failure.invariant == invariant => {
                assert!(failure.to_string().contains(&format!("seed {seed}")));
                return;
            }
            Err(failure) => others.push(failure.invariant),
            Ok(_) => {}
        }
    }
    panic!("{bug:?} was not found by {invariant:?}, but by {others:?}");
}
