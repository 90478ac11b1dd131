//! The part of the scheduler's policy that an operator chooses.

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use jobyard::scheduler::{Placement, Policy};
use serde::Deserialize;

use crate::patience::Patience;

/// What was said, if anything.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Scheduling {
    /// Which worker gets a job, of those that have room for it [default: spread]
    #[arg(long, env = "JOBYARD_PLACEMENT", value_enum)]
    pub(crate) placement: Option<PlacementChoice>,

    /// How long a job may be passed over for want of room until room is kept for it; `off`: for as long as it takes
    /// [default: 1m]
    #[arg(long, env = "JOBYARD_RESERVE_AFTER", value_name = "DURATION|off")]
    pub(crate) reserve_after: Option<Patience>,

    /// How long a queue with waiting jobs may get nothing until it rises by one class; `off`: it never rises
    /// [default: 1m]
    #[arg(long, env = "JOBYARD_AGEING", value_name = "DURATION|off")]
    pub(crate) ageing: Option<Patience>,

    /// How long a job waits that no known worker could ever run, until it ends; `off`: for as long as it takes
    /// [default: off]
    #[arg(long, env = "JOBYARD_GIVE_UP_AFTER", value_name = "DURATION|off")]
    pub(crate) give_up_after: Option<Patience>,
}

/// Which of the workers with room gets a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PlacementChoice {
    /// The least loaded: jobs disturb each other least.
    Spread,
    /// The most loaded: some machines become empty, and can be given back.
    Pack,
}

impl Scheduling {
    /// What is said here, and else there.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            placement: self.placement.or(other.placement),
            reserve_after: self.reserve_after.or(other.reserve_after),
            ageing: self.ageing.or(other.ageing),
            give_up_after: self.give_up_after.or(other.give_up_after),
        }
    }

    /// The policy with what is said here.
    pub(crate) fn policy(self) -> anyhow::Result<Policy> {
        let mut policy = Policy::default();
        match self.placement {
            None => {}
            Some(PlacementChoice::Spread) => policy.placement = Placement::Spread,
            Some(PlacementChoice::Pack) => policy.placement = Placement::Pack,
        }
        if let Some(Patience(reserve_after)) = self.reserve_after {
            policy.reserve_after = reserve_after;
        }
        if let Some(Patience(ageing)) = self.ageing {
            ensure!(
                ageing != Some(Duration::ZERO),
                "--ageing: a queue cannot rise all the time: write 1ms or more, or off"
            );
            policy.ageing = ageing;
        }
        if let Some(Patience(give_up_after)) = self.give_up_after {
            policy.give_up_after = give_up_after;
        }
        Ok(policy)
    }
}
