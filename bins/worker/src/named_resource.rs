//! Things that can be counted, as people write them.

use std::collections::BTreeMap;
use std::str::FromStr;

use jobyard_core::check_resource_name;
use serde::{Deserialize, Deserializer, de};

/// So many of something with a name: `gpu=2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedResource {
    pub(crate) name: String,
    pub(crate) count: u64,
}

impl FromStr for NamedResource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no NAME=N: write a name and a whole number, as in gpu=2");
        let (name, count) = text.split_once('=').ok_or_else(wrong)?;
        check_resource_name(name).map_err(|problem| problem.to_string())?;
        if !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            count: count.parse().map_err(|_| wrong())?,
        })
    }
}

/// Those of the command line by name. A name that comes twice is refused: which one was meant?
pub(crate) fn by_name(resources: &[NamedResource]) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for NamedResource { name, count } in resources {
        anyhow::ensure!(
            !counts.contains_key(name),
            "--resource: {name} is given twice; say once how many there are"
        );
        counts.insert(name.clone(), *count);
    }
    Ok(counts)
}

/// Those of a file: a table of counts.
pub(crate) fn table<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, u64>, D::Error> {
    let counts = BTreeMap::<String, u64>::deserialize(deserializer)?;
    for name in counts.keys() {
        check_resource_name(name).map_err(de::Error::custom)?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_whole_number() {
        let gpu: NamedResource = "gpu.a100=2".parse().unwrap();
        assert_eq!((gpu.name.as_str(), gpu.count), ("gpu.a100", 2));
        let cases = [
            ("gpu", "as in gpu=2"),
            ("gpu=", "as in gpu=2"),
            ("gpu=-1", "as in gpu=2"),
            ("gpu=+1", "as in gpu=2"),
            ("gpu=1.5", "as in gpu=2"),
            ("=2", "name of a resource"),
            ("GPU=2", "lower case"),
            ("memory=2", "option of its own"),
        ];
        for (text, said) in cases {
            let problem = text.parse::<NamedResource>().unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }
}
