//! Worlds in which something was found once. A seed means the same history only as long as the simulation stays as it is,
//! so each finding also has a test of its own beside the code that was at fault.

use jobyard_sim::{Scenario, simulate};

/// Seeds, and what went wrong there.
const FOUND: [(u64, &str); 3] = [
    (
        50,
        "a hello that came late made the master take an attempt for never started",
    ),
    (
        254,
        "a worker did not confirm again what its master had forgotten",
    ),
    (503, "the same, with the attempt's report still under way"),
];

#[test]
fn what_was_found_once_stays_mended() {
    let mut scenario = Scenario::rough();
    // Nobody complained in the worlds in which it was found.
    scenario.complain_every = None;
    for (seed, what) in FOUND {
        if let Err(failure) = simulate(seed, &scenario) {
            panic!("{what}: {failure}");
        }
    }
}
