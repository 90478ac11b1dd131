//! Thresholds and readings make complaints.

use std::collections::BTreeMap;

use jobyard_core::{Complaint, ComplaintKind};

use super::{DiskReading, FULL_DISK, MemoryReading, Protection, Readings};

/// By how much something has to be better than its threshold before a complaint ends: a quarter.
const WELL_WITHIN: u64 = 4;

/// With fewer files left to make, a disk is as good as full: one job may unpack thousands.
const MIN_FREE_FILES: u64 = 2_000;

/// With fewer, not even a job's own directory can be made for sure.
const NO_FREE_FILES: u64 = 16;

/// Says what is wrong with a machine. Remembers what it said, so that a complaint lasts until its cause is well over.
#[derive(Clone, Debug)]
pub struct Guard {
    protection: Protection,
    complaints: BTreeMap<ComplaintKind, Complaint>,
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// For these reasons no jobs are taken. Empty: they are.
    pub complaints: Vec<Complaint>,
    /// Nothing can be run at all.
    pub exhausted: bool,
}

impl Guard {
    /// A guard that has not looked yet.
    pub const fn new(protection: Protection) -> Self {
        Self {
            protection,
            complaints: BTreeMap::new(),
        }
    }

    /// What is wrong, by these readings and by what was wrong before.
    pub fn judge(&mut self, readings: &Readings) -> Judgement {
        let complains = |kind| self.complaints.contains_key(&kind);
        let disk = readings.disk.as_ref();
        let memory = readings.memory.as_ref();
        let found = [
            (
                ComplaintKind::Disk,
                disk.map(|disk| self.protection.disk(disk, complains(ComplaintKind::Disk))),
            ),
            (
                ComplaintKind::Memory,
                memory.map(|memory| {
                    self.protection
                        .memory(memory, complains(ComplaintKind::Memory))
                }),
            ),
            (
                ComplaintKind::Load,
                readings
                    .load_millis
                    .map(|load| self.protection.load(load, complains(ComplaintKind::Load))),
            ),
        ];
        for (kind, problem) in found {
            match problem {
                Some(Some(text)) => {
                    self.complaints
                        .entry(kind)
                        .or_insert_with(|| Complaint::new(kind, text));
                }
                Some(None) => drop(self.complaints.remove(&kind)),
                // Without a reading nothing has changed.
                None => {}
            }
        }
        Judgement {
            complaints: self.complaints.values().cloned().collect(),
            exhausted: disk.is_some_and(|disk| self.protection.is_exhausted(disk)),
        }
    }
}

impl Protection {
    /// What is wrong with the disk; `before`: something was.
    fn disk(&self, disk: &DiskReading, before: bool) -> Option<String> {
        let percent = u64::from(self.min_free_disk_percent);
        let (bytes, percents) = (
            at_least(self.min_free_disk, before),
            at_least(percent, before).min(100),
        );
        if disk.free < bytes {
            return Some(format!(
                "{} of {} are free, and at least {} have to be",
                size(disk.free),
                size(disk.total),
                size(self.min_free_disk)
            ));
        }
        if disk.free_percent() < percents {
            return Some(format!(
                "{} % of {} are free, and at least {percent} % have to be",
                disk.free_percent(),
                size(disk.total)
            ));
        }
        let files = disk.free_files.filter(|_| self.guards_disk())?;
        (files < at_least(MIN_FREE_FILES, before))
            .then(|| format!("only {files} more files can be made"))
    }

    const fn guards_disk(&self) -> bool {
        self.min_free_disk > 0 || self.min_free_disk_percent > 0
    }

    fn is_exhausted(&self, disk: &DiskReading) -> bool {
        let no_files = disk.free_files.is_some_and(|files| files < NO_FREE_FILES);
        self.guards_disk() && (disk.free < FULL_DISK.min(self.full_below()) || no_files)
    }

    /// Who asks for less than a full disk leaves does not mean more.
    const fn full_below(&self) -> u64 {
        if self.min_free_disk > 0 {
            self.min_free_disk
        } else {
            FULL_DISK
        }
    }

    fn memory(&self, memory: &MemoryReading, before: bool) -> Option<String> {
        if memory.available < at_least(self.min_free_memory, before) {
            return Some(format!(
                "{} are available, and at least {} have to be",
                size(memory.available),
                size(self.min_free_memory)
            ));
        }
        let (max, pressure) = (self.max_memory_pressure?, memory.pressure?);
        (u64::from(pressure) > at_most(u64::from(max) * 100, before)).then(|| {
            format!(
                "all tasks waited for memory for {} % of the last ten seconds, and at most {max} % are allowed",
                pressure / 100
            )
        })
    }

    fn load(&self, load: u64, before: bool) -> Option<String> {
        let max = self.max_load_millis?;
        (load > at_most(max, before)).then(|| {
            format!(
                "the load is {} for each processor, and at most {} is allowed",
                thousandths(load),
                thousandths(max)
            )
        })
    }
}

/// What has to be reached: more, once it was not.
const fn at_least(threshold: u64, before: bool) -> u64 {
    if before {
        threshold.saturating_add(threshold / WELL_WITHIN)
    } else {
        threshold
    }
}

/// What may not be exceeded: less, once it was.
const fn at_most(threshold: u64, before: bool) -> u64 {
    if before {
        threshold - threshold / WELL_WITHIN
    } else {
        threshold
    }
}

/// For people, with one decimal place.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, power)| bytes >> power > 0) {
        Some((unit, power)) => {
            let tenths = (u128::from(bytes) * 10) >> power;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

fn thousandths(value: u64) -> String {
    format!("{}.{:02}", value / 1000, value % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn disk(free: u64) -> Readings {
        Readings {
            disk: Some(DiskReading::new(free, 100 * GIB)),
            ..Readings::default()
        }
    }

    fn memory(available: u64, pressure: u32) -> Readings {
        Readings {
            memory: Some(MemoryReading {
                available,
                pressure: Some(pressure),
            }),
            ..Readings::default()
        }
    }

    fn load(millis: u64) -> Readings {
        Readings {
            load_millis: Some(millis),
            ..Readings::default()
        }
    }

    /// Which complaints follow one another.
    fn sequence(protection: Protection, readings: &[Readings]) -> Vec<usize> {
        let mut guard = Guard::new(protection);
        readings
            .iter()
            .map(|readings| guard.judge(readings).complaints.len())
            .collect()
    }

    #[test]
    fn a_complaint_ends_when_its_cause_is_well_over() {
        let at = |percent: u64| disk(GIB * percent / 100);
        let readings = [at(101), at(99), at(101), at(124), at(125), at(101), at(99)];
        assert_eq!(
            sequence(Protection::default(), &readings),
            [0, 1, 1, 1, 0, 0, 1]
        );
    }

    #[test]
    fn the_words_stay_those_of_its_beginning() {
        let mut guard = Guard::new(Protection::default());
        let first = guard.judge(&disk(GIB / 2)).complaints;
        assert_eq!(
            first[0].text,
            "512.0 MiB of 100.0 GiB are free, and at least 1.0 GiB have to be"
        );
        assert_eq!(guard.judge(&disk(GIB / 4)).complaints, first);
    }

    #[test]
    fn a_share_of_the_disk_can_be_asked_for() {
        let protection = Protection {
            min_free_disk: 0,
            min_free_disk_percent: 8,
            ..Protection::NONE
        };
        let readings = [
            disk(8 * GIB),
            disk(8 * GIB - 1),
            disk(9 * GIB),
            disk(10 * GIB),
        ];
        assert_eq!(sequence(protection, &readings), [0, 1, 1, 0]);
    }

    #[test]
    fn files_are_room_too() {
        let mut readings = disk(50 * GIB);
        let mut guard = Guard::new(Protection::default());
        for (files, complaints, exhausted) in [
            (2_000, 0, false),
            (1_999, 1, false),
            (3, 1, true),
            (2_500, 0, false),
        ] {
            readings.disk.as_mut().unwrap().free_files = Some(files);
            let judgement = guard.judge(&readings);
            assert_eq!(judgement.complaints.len(), complaints, "{files}");
            assert_eq!(judgement.exhausted, exhausted, "{files}");
        }
    }

    #[test]
    fn only_a_disk_without_any_room_is_exhausted() {
        let mut guard = Guard::new(Protection::default());
        assert!(!guard.judge(&disk(FULL_DISK)).exhausted);
        assert!(guard.judge(&disk(FULL_DISK - 1)).exhausted);
        let mut unguarded = Guard::new(Protection::NONE);
        assert_eq!(unguarded.judge(&disk(0)), Judgement::default());
    }

    #[test]
    fn memory_is_short_by_its_amount_or_by_those_who_wait() {
        let readings = [
            memory(GIB, 0),
            memory(100 << 20, 0),
            memory(140 << 20, 0),
            memory(160 << 20, 0),
            memory(GIB, 2_001),
            memory(GIB, 1_600),
            memory(GIB, 1_500),
        ];
        assert_eq!(
            sequence(Protection::default(), &readings),
            [0, 1, 1, 0, 1, 1, 0]
        );
    }

    #[test]
    fn load_matters_only_where_it_is_asked_for() {
        let readings = [load(2_000), load(2_001), load(1_501), load(1_500)];
        assert_eq!(sequence(Protection::default(), &readings), [0; 4]);
        let protection = Protection {
            max_load_millis: Some(2_000),
            ..Protection::NONE
        };
        assert_eq!(sequence(protection, &readings), [0, 1, 1, 0]);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let none = Readings::default();
        let readings = [none, disk(1), none, disk(2 * GIB)];
        assert_eq!(sequence(Protection::default(), &readings), [0, 1, 1, 0]);
    }
}
