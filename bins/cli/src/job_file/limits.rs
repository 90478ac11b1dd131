//! The key `limits` of a job file, and the option `--limit`.

use jobyard_core::{LimitKind, Limits};
use serde::{Deserialize, Serialize};

use super::texts::{CoresText, SizeText};

/// The most that a job may use, each kind as its author writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a map of limits, as in { memory = \"512MiB\", processes = 100 }"
)]
pub(crate) struct LimitsText {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<SizeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<CoresText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_rate: Option<SizeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_rate: Option<SizeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<SizeText>,
}

impl LimitsText {
    /// The limits; how large each may be is checked with the rest of the spec.
    pub(crate) fn limits(&self) -> Limits {
        let size = |size: &Option<SizeText>| size.as_ref().map(|size| size.value);
        let mut limits = Limits::NONE;
        limits.memory = size(&self.memory);
        limits.cpu = self.cpu.as_ref().map(|cores| cores.millis);
        limits.processes = self.processes;
        limits.read_rate = size(&self.read_rate);
        limits.write_rate = size(&self.write_rate);
        limits.open_files = self.open_files;
        limits.file_size = size(&self.file_size);
        limits
    }

    /// Sets one; the reason if the value is none of its kind, or the kind has one already.
    pub(crate) fn set(&mut self, one: &LimitText) -> Result<(), String> {
        let value = &one.value;
        match one.kind {
            LimitKind::Memory => once(&mut self.memory, one, value.parse()?),
            LimitKind::Cpu => {
                let cores = value.parse().map_err(|wrong| format!("{wrong}"))?;
                once(&mut self.cpu, one, cores)
            }
            LimitKind::Processes => once(&mut self.processes, one, whole(value)?),
            LimitKind::ReadRate => once(&mut self.read_rate, one, value.parse()?),
            LimitKind::WriteRate => once(&mut self.write_rate, one, value.parse()?),
            LimitKind::OpenFiles => once(&mut self.open_files, one, whole(value)?),
            LimitKind::FileSize => once(&mut self.file_size, one, value.parse()?),
            other => Err(format!("this version does not know the limit {other}")),
        }
    }
}

fn once<T>(slot: &mut Option<T>, one: &LimitText, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("--limit gives {} twice", one.kind)),
    }
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no number: write a whole one, as in 100"))
}

/// One limit as an option gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitText {
    pub(crate) kind: LimitKind,
    value: String,
}

/// Reads `KIND=VALUE`.
pub(crate) fn read_limit(text: &str) -> Result<LimitText, String> {
    let wrong = "write it as KIND=VALUE, as in memory=512MiB";
    let (name, value) = text.split_once('=').ok_or(wrong)?;
    let kind = LimitKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == name);
    let Some(kind) = kind else {
        let known = LimitKind::ALL.map(LimitKind::as_str).join(", ");
        return Err(format!("{name:?} is no limit: there are {known}"));
    };
    let value = value.to_owned();
    let limit = LimitText { kind, value };
    LimitsText::default().set(&limit)?;
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_limit_is_read_in_its_unit() {
        let mut text = LimitsText::default();
        for one in [
            "memory=512MiB",
            "cpu=1.5",
            "processes=100",
            "read_rate=10MiB",
            "write_rate=4096",
            "open_files=1024",
            "file_size=0",
        ] {
            text.set(&read_limit(one).expect(one)).expect("once");
        }
        let limits = text.limits();
        let read = LimitKind::ALL.map(|kind| limits.of(kind));
        assert_eq!(
            read,
            [512 << 20, 1_500, 100, 10 << 20, 4_096, 1_024, 0].map(Some)
        );
        let twice = read_limit("cpu=2").and_then(|one| text.set(&one));
        assert_eq!(twice, Err("--limit gives cpu twice".to_owned()));
    }

    #[test]
    fn what_is_no_limit_is_refused_in_plain_words() {
        for (text, word) in [
            ("memory", "KIND=VALUE"),
            ("mem=1GiB", "there are memory, cpu"),
            ("Memory=1GiB", "is no limit"),
            ("=1", "is no limit"),
            ("memory=", "no size"),
            ("memory=-1", "no size"),
            ("memory=lots", "no size"),
            ("cpu=-1", "no number of cores"),
            ("processes=1.5", "a whole one"),
            ("processes=-1", "a whole one"),
            ("open_files=many", "a whole one"),
        ] {
            let error = read_limit(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
