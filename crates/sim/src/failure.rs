//! An invariant that does not hold.

use std::fmt;

/// An invariant did not hold: which, in which world, and what had happened just before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The world's seed.
    pub seed: u64,
    /// The name of its scenario.
    pub scenario: &'static str,
    /// The name of the invariant.
    pub invariant: &'static str,
    /// What does not hold.
    pub problem: String,
    /// Everything that happened to the attempts of the jobs that the problem names, attempt by attempt.
    pub histories: Vec<String>,
    /// The last things that happened, oldest first.
    pub last: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.invariant)?;
        writeln!(f, "{}", self.problem)?;
        writeln!(f, "what happened to these jobs:")?;
        for line in &self.histories {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "what happened last:")?;
        for line in &self.last {
            writeln!(f, "  {line}")?;
        }
        write!(
            f,
            "seed {} again: cargo xtask simulate --scenario {} --seed {0} --trace",
            self.seed, self.scenario
        )
    }
}

impl std::error::Error for Failure {}
