//! Worlds in which something was found once. A seed means the same history only as long as the simulation stays as it is,
//! so each finding also has a test of its own beside the code that was at fault.

use jobyard_sim::{Scenario, simulate};

/// Seeds, and what went wrong there.
const FOUND: [(u64, &str); 2] = [
    (
        254,
        "a worker did not confirm again what its master had forgotten",
    ),
    (503, "the same, with the attempt's report still under way"),
];

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, what) in FOUND {
        if let Err(failure) = simulate(seed, &Scenario::rough()) {
            panic!("{what}: {failure}");
        }
    }
}

#[test]
#[ignore = "known: the master cannot tell a late hello from a new one, and takes an attempt for never started"]
fn survive_hellos_that_overtake_each_other() {
    let mut scenario = Scenario::rough();
    scenario.late_hellos = true;
    for seed in 0..300 {
        if let Err(failure) = simulate(seed, &scenario) {
            panic!("{failure}");
        }
    }
}
