//! What workers have and what jobs require of them.

use std::collections::HashSet;

use fastrand::Rng;
use jobyard_core::{Requirement, TagSet};

const SYSTEMS: [&str; 3] = ["linux", "darwin", "windows"];
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
const TOOLS: [&str; 6] = ["git", "docker", "cargo", "node", "java", "qemu"];
const CARDS: [&str; 3] = ["a100", "h100", "t4"];
const POOLS: usize = 10;

/// What a worker is, before it is written as tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Traits {
    system: usize,
    architecture: usize,
    pool: usize,
    /// Also of its capacity.
    pub(super) cores: u64,
    tools: Vec<usize>,
    card: Option<usize>,
}

impl Traits {
    /// So many different ones.
    pub(super) fn distinct(count: usize, rng: &mut Rng) -> Vec<Self> {
        let mut seen = HashSet::new();
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let traits = Self::by_chance(rng);
            if seen.insert(traits.clone()) {
                all.push(traits);
            }
        }
        all
    }

    fn by_chance(rng: &mut Rng) -> Self {
        Self {
            system: rng.usize(..SYSTEMS.len()),
            architecture: rng.usize(..ARCHITECTURES.len()),
            pool: rng.usize(..POOLS),
            cores: 4 << rng.u32(..4),
            tools: (0..TOOLS.len()).filter(|_| rng.bool()).collect(),
            card: (rng.u8(..4) == 0).then(|| rng.usize(..CARDS.len())),
        }
    }

    /// As a worker offers them.
    pub(super) fn tags(&self) -> TagSet {
        let mut texts = vec![
            EVERYBODYS.to_owned(),
            format!("os={}", SYSTEMS[self.system]),
            format!("arch={}", ARCHITECTURES[self.architecture]),
            format!("pool=p{}", self.pool),
            format!("cores={}", self.cores),
            format!("mem={}GiB", 4 * self.cores),
        ];
        texts.extend(
            self.tools
                .iter()
                .map(|tool| format!("has={}", TOOLS[*tool])),
        );
        texts.extend(self.card.map(|card| format!("gpu={}", CARDS[card])));
        let mut tags = TagSet::new();
        for text in texts {
            let tag = text.parse().expect("a tag that is written above");
            tags.insert(tag).expect("few tags");
        }
        tags
    }

    /// How many graphics cards such a worker has.
    pub(super) fn cards(&self) -> u64 {
        if self.card.is_some() { 4 } else { 0 }
    }

    /// One to four terms that hold for such a worker.
    pub(super) fn requirements(&self, rng: &mut Rng) -> Vec<Requirement> {
        (0..rng.u8(1..=4)).map(|_| self.term(rng)).collect()
    }

    /// One that holds.
    pub(super) fn term(&self, rng: &mut Rng) -> Requirement {
        let other = |of: usize, count: usize, rng: &mut Rng| (of + rng.usize(1..count)) % count;
        let system = SYSTEMS[self.system];
        let text = match rng.u8(..10) {
            0 => format!("os={system}"),
            1 => {
                let other = SYSTEMS[other(self.system, SYSTEMS.len(), rng)];
                format!("os={system}|{other}")
            }
            2 => {
                let other = SYSTEMS[other(self.system, SYSTEMS.len(), rng)];
                format!("os!={other}")
            }
            3 => format!("arch={}", ARCHITECTURES[self.architecture]),
            4 => format!("pool=p{}", self.pool),
            5 => format!("pool!=p{}", other(self.pool, POOLS, rng)),
            6 => format!("cores>={}", rng.u64(1..=self.cores)),
            7 => format!("mem>={}GiB", rng.u64(1..=4 * self.cores)),
            8 => match self.card {
                Some(card) => format!("gpu={}", CARDS[card]),
                None => "!gpu".to_owned(),
            },
            _ => match self.tools.first() {
                Some(_) => format!("has={}", TOOLS[self.tools[rng.usize(..self.tools.len())]]),
                None => "!has".to_owned(),
            },
        };
        requirement(&text)
    }
}

/// What every worker offers.
pub(super) const EVERYBODYS: &str = "builder";

/// Of a text that is known to be one.
pub(super) fn requirement(text: &str) -> Requirement {
    text.parse().expect("a requirement that is written here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_hold_for_whom_they_are_made() {
        let mut rng = Rng::with_seed(1);
        for traits in Traits::distinct(100, &mut rng) {
            let tags = traits.tags();
            for requirement in traits.requirements(&mut rng) {
                assert!(requirement.is_met_by(&tags), "{requirement} of {traits:?}");
            }
        }
    }
}
