//! Groups that somebody else removes while nothing runs in them.

use jobyard_core::{Exit, Limits};

use super::machine::{Yard, launch, limits};
use crate::cage::group;
use crate::protocol::Mechanism;

/// Two jobs at once, so that two leaves are kept for later; then all is removed, and as many run again.
fn starts_again_when_its_groups_were_removed(mechanism: Mechanism, limits: Limits) {
    let mut yard = Yard::new(mechanism);
    for _ in 0..2 {
        let runs = [7, 8].map(|code| {
            let run = yard.run(&launch(&format!("exit {code}"), limits));
            (run, code)
        });
        for (mut run, code) in runs {
            run.wait_exit();
            let end = run.end(yard.cages());
            assert_eq!((end.exit, end.empty), (Some(Exit::Exited(code)), true));
        }
        for own in yard.own_groups() {
            group::remove(&own).expect("nothing is in it");
        }
    }
}

#[test]
fn cgroup2_starts_again_when_its_groups_were_removed() {
    starts_again_when_its_groups_were_removed(Mechanism::Cgroup2, Limits::NONE);
}

#[test]
fn limits_are_set_again_when_the_groups_were_removed() {
    let limits = limits(|it| it.memory = Some(1 << 30));
    starts_again_when_its_groups_were_removed(Mechanism::Cgroup2, limits);
}

#[test]
fn the_freezer_starts_again_when_its_groups_were_removed() {
    starts_again_when_its_groups_were_removed(Mechanism::Freezer, Limits::NONE);
}
