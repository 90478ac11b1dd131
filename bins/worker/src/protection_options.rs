//! When the worker takes no jobs for its machine's sake.

use std::fmt;
use std::str::FromStr;

use anyhow::ensure;
use clap::Args;
use jobyard_worker::protection::Protection;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::cores::Cores;
use crate::file::ConfigFile;
use crate::size::Size;

/// What the command line says about it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProtectionOptions {
    /// How much has to be free where the data directory is for jobs to be taken, as in 2GiB or 5%; 0: it does not matter
    /// [default: 1GiB]
    #[arg(
        long,
        env = "JOBYARD_MIN_FREE_DISK",
        value_name = "SIZE",
        allow_negative_numbers = true,
        global = true
    )]
    pub(crate) min_free_disk: Option<FreeDisk>,

    /// How much memory has to be available for jobs to be taken, as in 500MiB; 0: it does not matter [default: 128MiB]
    #[arg(
        long,
        env = "JOBYARD_MIN_FREE_MEMORY",
        value_name = "SIZE",
        allow_negative_numbers = true,
        global = true
    )]
    pub(crate) min_free_memory: Option<Size>,

    /// For how many hundredths of its time the machine may wait for memory for jobs to be taken; 100: it does not matter
    /// [default: 20]
    #[arg(
        long,
        env = "JOBYARD_MAX_MEMORY_PRESSURE",
        value_name = "PERCENT",
        value_parser = percentage,
        allow_negative_numbers = true,
        global = true
    )]
    pub(crate) max_memory_pressure: Option<u8>,

    /// How high the load of the last minute may be for each processor for jobs to be taken, as in 2 or 1.5 [default: it
    /// does not matter]
    #[arg(
        long,
        env = "JOBYARD_MAX_LOAD",
        value_name = "N",
        allow_negative_numbers = true,
        global = true
    )]
    pub(crate) max_load: Option<Cores>,
}

fn percentage(text: &str) -> Result<u8, String> {
    let percent = text.parse().ok();
    percent
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| {
            "it is a percentage: a whole number from 1 to 100, where 100 means that it does not matter".to_owned()
        })
}

/// Room on a disk: an amount, or a share of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FreeDisk {
    Bytes(u64),
    Percent(u8),
}

impl FromStr for FreeDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(|size: Size| Self::Bytes(size.bytes));
        };
        let percent = percent.trim().parse().ok().filter(|percent| *percent < 100);
        percent.map(Self::Percent).ok_or_else(|| {
            format!("`{text}` is no share of a disk: write a whole number, as in 5%")
        })
    }
}

impl<'de> Deserialize<'de> for FreeDisk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FreeDiskVisitor)
    }
}

struct FreeDiskVisitor;

impl Visitor<'_> for FreeDiskVisitor {
    type Value = FreeDisk;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, as in \"2GiB\" or \"5%\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FreeDisk, E> {
        text.parse().map_err(E::custom)
    }
}

impl ProtectionOptions {
    /// Puts flags and file together.
    pub(crate) fn settle(&self, file: &ConfigFile) -> anyhow::Result<Protection> {
        let mut protection = Protection::default();
        match self.min_free_disk.or(file.min_free_disk) {
            Some(FreeDisk::Bytes(bytes)) => protection.min_free_disk = bytes,
            Some(FreeDisk::Percent(percent)) => {
                protection.min_free_disk = 0;
                protection.min_free_disk_percent = percent;
            }
            None => {}
        }
        if let Some(size) = self.min_free_memory.or(file.min_free_memory) {
            protection.min_free_memory = size.bytes;
        }
        if let Some(percent) = self.max_memory_pressure.or(file.max_memory_pressure) {
            ensure!(
                (1..=100).contains(&percent),
                "--max-memory-pressure: {percent} is no percentage from 1 to 100"
            );
            protection.max_memory_pressure = (percent < 100).then_some(percent);
        }
        let load = self.max_load.or(file.max_load);
        protection.max_load_millis = load.map(|load| load.millis);
        Ok(protection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_on_a_disk_is_an_amount_or_a_share() {
        assert_eq!("2GiB".parse(), Ok(FreeDisk::Bytes(2 << 30)));
        assert_eq!("0".parse(), Ok(FreeDisk::Bytes(0)));
        assert_eq!("5%".parse(), Ok(FreeDisk::Percent(5)));
        for wrong in ["5", "%", "100%", "-1%", "1.5%", "much"] {
            assert!(wrong.parse::<FreeDisk>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let settle =
            |options: ProtectionOptions, file: ConfigFile| options.settle(&file).expect("sensible");
        let usual = settle(ProtectionOptions::default(), ConfigFile::default());
        assert_eq!(usual, Protection::default());
        let file = ConfigFile {
            min_free_disk: Some(FreeDisk::Percent(5)),
            min_free_memory: Some(Size { bytes: 1 << 30 }),
            max_memory_pressure: Some(100),
            max_load: Some(Cores { millis: 1500 }),
            ..ConfigFile::default()
        };
        let flags = ProtectionOptions {
            min_free_memory: Some(Size { bytes: 0 }),
            ..ProtectionOptions::default()
        };
        let mut wanted = Protection::NONE;
        wanted.min_free_disk_percent = 5;
        wanted.max_load_millis = Some(1500);
        assert_eq!(settle(flags, file), wanted);
    }
}
