//! What the scenarios cost so far.

/// The most instructions that a scenario may take. `None` if nothing is written about it: its first figure is to be
/// written there then.
pub(crate) fn limit(scenario: &str) -> Option<u64> {
    let lines = BASELINE.lines().filter(|line| !line.starts_with('#'));
    let mut known = lines.filter_map(|line| line.rsplit_once(' '));
    let (_, count) = known.find(|(name, _)| name.trim() == scenario)?;
    let count: u64 = count.parse().ok()?;
    Some(count + count / ONE_IN)
}

const BASELINE: &str = include_str!("baseline.txt");

/// A twentieth, five percent: more than another minor version of the compiler usually makes, less than a mistake costs.
const ONE_IN: u64 = 20;
