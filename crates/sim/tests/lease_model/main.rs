//! I5, for every order of events within small bounds: two attempts of a job with `on_disconnect = stop` never run at the
//! same time.
//!
//! A model of the lease protocol, small enough to look at all of it: two masters that take over from each other, two
//! workers, one job. Messages are late for as long as they like, overtake each other or are lost, masters and workers do
//! nothing for as long as they like, sessions are given up and opened anew, and the workers' clocks are slower than the masters' within the
//! bound that the times allow. What is not in it: disks (the store is the one of its contract), and more than the
//! numbers below.
//!
//! The simulation runs the real code along chosen paths; this looks at every path of a sketch of it. Each of the rules
//! on which the promise rests is taken out once, to see that the model needs it.

#![expect(clippy::unwrap_used, reason = "a failure here is one of the test")]

mod explore;
mod model;

use explore::{Explored, explore};
use model::{Rule, State};

fn all_but(rule: Option<Rule>) -> Explored {
    explore(&State::first(), rule)
}

#[test]
fn two_attempts_never_run_at_the_same_time() {
    let explored = all_but(None);
    println!("{explored}");
    assert_eq!(explored.overlap, None, "{explored}");
    assert!(explored.is_whole, "all of it was looked at: {explored}");
    assert!(explored.waiting_again > 0, "a first attempt is given up");
    assert!(explored.takeovers > 0, "a master takes over somewhere");
}

/// Without this rule two attempts run at the same time somewhere.
fn is_needed(rule: Rule) {
    let explored = all_but(Some(rule));
    println!("without {rule:?}: {} states", explored.states);
    assert!(
        explored.overlap.is_some(),
        "nobody notices that {rule:?} is missing"
    );
}

#[test]
fn the_launcher_has_to_end_what_outlives_its_lease() {
    is_needed(Rule::LauncherFences);
}

#[test]
fn the_lease_has_to_begin_when_the_heartbeat_was_sent() {
    is_needed(Rule::AnchorAtSend);
}

#[test]
fn the_master_has_to_wait_beyond_the_lease() {
    is_needed(Rule::Grace);
}

#[test]
fn a_new_master_has_to_wait_for_leases_of_the_old_one() {
    is_needed(Rule::FailoverGrace);
}

#[test]
fn a_master_has_to_be_silent_once_it_may_not_lead_any_more() {
    is_needed(Rule::LeaderLease);
}

#[test]
fn a_session_that_was_silent_for_a_lease_has_to_be_over() {
    is_needed(Rule::SilentSessionsEnd);
}

#[test]
fn what_a_hello_does_not_list_must_count_only_once_its_worker_has_answered() {
    is_needed(Rule::HelloIsConfirmed);
}
