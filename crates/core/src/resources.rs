//! What jobs take of a worker, and what workers have.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tag::{InvalidTag, check_key};

/// How many named resources one worker may offer or one job may ask for.
pub const MAX_NAMED_RESOURCES: usize = 32;

/// The most of one resource that can be offered or asked for: far from overflow, however much is added up.
pub const MAX_AMOUNT: u64 = 1 << 52;

/// An amount of each resource: what a worker has, or what a job takes of it while it runs.
///
/// What a job takes is reserved when it is assigned and given back once, when it ends. Nothing enforces it here: it is
/// what is promised, so that no worker is promised twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Resources {
    /// Places for jobs. Every job takes at least one.
    pub slots: u32,
    /// Processor time, in thousandths of a core.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpu_millis: u64,
    /// Memory, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_bytes: u64,
    /// Anything else that can be counted, by name: `gpu`, `license`, ... Names are lower-case, as keys of tags are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
}

impl Resources {
    /// Slots alone.
    pub const fn of_slots(slots: u32) -> Self {
        Self {
            slots,
            cpu_millis: 0,
            memory_bytes: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Adds so much of a named resource.
    #[must_use]
    pub fn with(mut self, name: &str, count: u64) -> Self {
        self.counts.insert(name.to_ascii_lowercase(), count);
        self
    }

    /// Whether all of `asked` is there.
    pub fn covers(&self, asked: &Self) -> bool {
        asked
            .iter()
            .all(|(kind, amount)| self.amount(kind) >= amount)
    }

    /// How much of one resource there is.
    pub fn amount(&self, kind: ResourceKind<'_>) -> u64 {
        match kind {
            ResourceKind::Slots => u64::from(self.slots),
            ResourceKind::Cpu => self.cpu_millis,
            ResourceKind::Memory => self.memory_bytes,
            ResourceKind::Named(name) => self.counts.get(name).copied().unwrap_or(0),
        }
    }

    /// Every resource of which there is some: slots, cpu, memory, then the named ones by name.
    pub fn iter(&self) -> impl Iterator<Item = (ResourceKind<'_>, u64)> {
        let fixed = [
            (ResourceKind::Slots, u64::from(self.slots)),
            (ResourceKind::Cpu, self.cpu_millis),
            (ResourceKind::Memory, self.memory_bytes),
        ];
        let named = self.counts.iter();
        fixed
            .into_iter()
            .chain(named.map(|(name, count)| (ResourceKind::Named(name), *count)))
            .filter(|(_, amount)| *amount > 0)
    }

    /// Checks names and numbers against their limits.
    pub fn check(&self) -> Result<(), InvalidResources> {
        if self.counts.len() > MAX_NAMED_RESOURCES {
            return Err(InvalidResources::TooMany);
        }
        for name in self.counts.keys() {
            check_resource_name(name)?;
        }
        match self.iter().find(|(_, amount)| *amount > MAX_AMOUNT) {
            Some((kind, _)) => Err(InvalidResources::TooMuch {
                name: kind.to_string(),
            }),
            None => Ok(()),
        }
    }
}

impl From<u32> for Resources {
    fn from(slots: u32) -> Self {
        Self::of_slots(slots)
    }
}

/// Checks the name of a resource that is not one of the three that have fields.
pub fn check_resource_name(name: &str) -> Result<(), InvalidResources> {
    if ["slots", "cpu", "memory"].contains(&name) {
        return Err(InvalidResources::Reserved {
            name: name.to_owned(),
        });
    }
    check_key(name).map_err(|problem| InvalidResources::BadName { problem })?;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(InvalidResources::UpperCase {
            name: name.to_owned(),
        });
    }
    Ok(())
}

// serde hands a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

/// Which resource. `Display` gives the name under which people know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind<'a> {
    /// Places for jobs.
    Slots,
    /// Processor time, in thousandths of a core.
    Cpu,
    /// Memory, in bytes.
    Memory,
    /// A count of this name.
    Named(&'a str),
}

impl fmt::Display for ResourceKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slots => "slots",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Named(name) => name,
        })
    }
}

/// An amount of a resource as people write it: `1.5` cores, `2.5 GiB`, `3`.
pub fn show_amount(resource: &str, amount: u64) -> String {
    match resource {
        "cpu" if amount.is_multiple_of(1000) => (amount / 1000).to_string(),
        "cpu" => {
            let text = format!("{}.{:03}", amount / 1000, amount % 1000);
            text.trim_end_matches('0').to_owned()
        }
        "memory" => show_bytes(amount),
        _ => amount.to_string(),
    }
}

fn show_bytes(amount: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut unit, mut scale) = ("bytes", 1_u64);
    for (power, name) in (1_u32..).zip(UNITS) {
        if amount >= 1 << (10 * power) {
            (unit, scale) = (name, 1 << (10 * power));
        }
    }
    let tenths = u128::from(amount) * 10 / u128::from(scale);
    if tenths.is_multiple_of(10) {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// Why amounts of resources are refused. Their author has to mend them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidResources {
    /// A name that could not be the key of a tag either.
    #[error("the name of a resource: {problem}")]
    BadName {
        /// What is wrong with it.
        problem: InvalidTag,
    },
    /// A name that is written with capitals.
    #[error("the name of a resource is written in lower case, unlike `{name}`")]
    UpperCase {
        /// The name.
        name: String,
    },
    /// A resource that has an option of its own.
    #[error("`{name}` is no named resource: it has an option of its own")]
    Reserved {
        /// The name.
        name: String,
    },
    /// More than [`MAX_NAMED_RESOURCES`].
    #[error("at most {MAX_NAMED_RESOURCES} named resources can be given")]
    TooMany,
    /// More than [`MAX_AMOUNT`].
    #[error("{name}: at most {MAX_AMOUNT} can be given")]
    TooMuch {
        /// Of which resource.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_none() {
        let has = Resources::of_slots(2).with("gpu", 1);
        assert!(has.covers(&Resources::of_slots(2)));
        assert!(has.covers(&Resources::of_slots(1).with("GPU", 1)));
        assert!(!has.covers(&Resources::of_slots(1).with("license", 1)));
        let mut wants = Resources::of_slots(1);
        wants.cpu_millis = 1;
        assert!(!has.covers(&wants));
    }

    #[test]
    fn names_that_have_an_option_of_their_own_are_refused() {
        for name in ["cpu", "memory", "slots", "GPU", "a b", ""] {
            assert!(check_resource_name(name).is_err(), "{name}");
        }
        assert_eq!(check_resource_name("gpu.a100"), Ok(()));
    }

    #[test]
    fn amounts_are_shown_in_the_units_in_which_they_are_written() {
        assert_eq!(show_amount("cpu", 1_500), "1.5");
        assert_eq!(show_amount("cpu", 2_000), "2");
        assert_eq!(show_amount("memory", 5 << 29), "2.5 GiB");
        assert_eq!(show_amount("memory", 1 << 40), "1 TiB");
        assert_eq!(show_amount("memory", 100), "100 bytes");
        assert_eq!(show_amount("gpu", 3), "3");
    }

    #[test]
    fn too_much_is_refused_by_name() {
        let too_much = Resources::of_slots(1).with("gpu", MAX_AMOUNT + 1);
        assert_eq!(
            too_much.check(),
            Err(InvalidResources::TooMuch {
                name: "gpu".to_owned()
            })
        );
    }
}
