//! All output of a worker.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobyard_core::{AttemptId, LogEnd, MAX_LOG_LIMIT};

use tokio::sync::Notify;

use super::budget::{Budget, give_way};
use super::log::SpoolLog;
use super::tombstone;

/// The output of every attempt that a worker holds.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    logs: BTreeMap<AttemptId, Arc<SpoolLog>>,
    shortage: Arc<Notify>,
    budget: Arc<Budget>,
}

impl Spool {
    /// Opens or creates the directory, and finds what an earlier life left there, or a launcher writes there. Has no
    /// budget. Blocks.
    pub fn open(dir: &Path) -> Result<Self, SpoolError> {
        Self::open_within(dir, u64::MAX)
    }

    /// The same for output that may take so many bytes. Blocks.
    pub fn open_within(dir: &Path, budget: u64) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError {
            path: dir.to_owned(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(failed)?;
        tombstone::settle(dir).map_err(failed)?;
        let mut logs = BTreeMap::new();
        let shortage = Arc::default();
        let budget = Arc::new(Budget::new(budget));
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let Ok(attempt) = name.replacen('.', "/", 1).parse::<AttemptId>() else {
                continue;
            };
            let log = SpoolLog::recover(attempt, path, MAX_LOG_LIMIT).map_err(failed)?;
            let log = log.with_shortage(&shortage).within(&budget);
            logs.insert(attempt, Arc::new(log));
        }
        Ok(Self {
            dir: dir.to_owned(),
            logs,
            shortage,
            budget,
        })
    }

    /// Is told when output of any attempt is dropped although its limit is not reached: the disk is worth a look. Several
    /// such attempts may come as one notification.
    pub fn shortage(&self) -> Arc<Notify> {
        Arc::clone(&self.shortage)
    }

    /// The room that all output may take, and takes.
    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// Gives up the output of so many attempts that the rest fits. What is returned has to be
    /// [buried](SpoolLog::bury): those, and what could not be buried before.
    pub(crate) fn make_room(&self) -> Vec<Arc<SpoolLog>> {
        let claims = self.logs.values().filter_map(|log| log.claim()).collect();
        let given_up = give_way(claims, self.budget.bytes());
        for log in given_up.iter().filter_map(|attempt| self.find(*attempt)) {
            log.give_up();
        }
        let due = self.logs.values().filter(|log| log.take_burial());
        due.cloned().collect()
    }

    /// The output of an attempt: what is there, or none yet. `limit` holds for output that is new. Touches no file.
    pub fn log(&mut self, attempt: AttemptId, limit: u64) -> Arc<SpoolLog> {
        let dir = self.dir.join(format!("{}.{}", attempt.job, attempt.number));
        let log = self.logs.entry(attempt).or_insert_with(|| {
            let log = SpoolLog::new(attempt, dir, limit);
            Arc::new(log.with_shortage(&self.shortage).within(&self.budget))
        });
        log.set_limit(limit);
        Arc::clone(log)
    }

    /// The output of an attempt, if it is known.
    pub fn find(&self, attempt: AttemptId) -> Option<Arc<SpoolLog>> {
        self.logs.get(&attempt).cloned()
    }

    /// Says that the output of an attempt of an earlier life ends here.
    pub fn close(&mut self, attempt: AttemptId, end: LogEnd) {
        self.log(attempt, end.bytes).close_at(end);
    }

    /// Takes an attempt out. What [`Discarded::delete`] then deletes is no longer found here.
    pub fn discard(&mut self, attempt: AttemptId) -> Option<Discarded> {
        self.logs.remove(&attempt).map(Discarded)
    }

    /// Takes out every attempt but these.
    pub fn take_all_but(&mut self, wanted: impl Fn(AttemptId) -> bool) -> Vec<Discarded> {
        let unwanted = self.logs.extract_if(.., |attempt, _| !wanted(*attempt));
        unwanted.map(|(_, log)| Discarded(log)).collect()
    }
}

/// Output that is wanted no longer.
#[derive(Debug)]
pub struct Discarded(Arc<SpoolLog>);

impl Discarded {
    /// Whether there is anything to delete.
    pub fn has_files(&self) -> bool {
        self.0.has_files()
    }

    /// Deletes it. Blocks.
    pub fn delete(self) {
        self.0.remove();
    }
}

/// Why there is no spool. The operator's matter: rights, a full disk.
#[derive(Debug, thiserror::Error)]
#[error("the spool {} cannot be used: {source}", path.display())]
#[non_exhaustive]
pub struct SpoolError {
    /// The directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jobyard_core::{AttemptNumber, JobId, OutputStream, Timestamp};
    use uuid::Uuid;

    use super::*;

    const MIB: usize = 1 << 20;

    fn attempt() -> AttemptId {
        AttemptId::new(JobId::from_uuid(Uuid::from_u128(1)), AttemptNumber::FIRST)
    }

    fn print(log: &SpoolLog, bytes: usize) {
        let bytes = Bytes::from(vec![b'x'; bytes]);
        log.write(OutputStream::Stdout, Timestamp::from_micros(1), &bytes);
    }

    #[test]
    fn what_could_not_be_deleted_counts_and_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open_within(dir.path(), MIB as u64).unwrap();
        let log = spool.log(attempt(), u64::MAX);
        print(&log, 3 * MIB);
        // No file can be made under this name.
        let name = format!("{}.1", attempt().job);
        let obstacle = dir.path().join(format!("{name}.passing.in"));
        fs::create_dir(&obstacle).unwrap();
        let given_up = spool.make_room();
        assert_eq!(given_up.len(), 1);
        assert_eq!(spool.make_room().len(), 0, "somebody is at it");
        given_up[0].bury();
        assert_eq!(spool.budget.used(), 3 * MIB as u64);
        let given_up = spool.make_room();
        assert_eq!(given_up.len(), 1, "that failed");
        fs::remove_dir(&obstacle).unwrap();
        given_up[0].bury();
        assert_eq!(spool.budget.used(), 0);
        assert_eq!(spool.make_room().len(), 0);
        assert!(dir.path().join(name).is_file());
    }

    #[test]
    fn what_was_giving_way_when_the_worker_ended_has_given_way() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("{}.1.passing.in", attempt().job);
        fs::write(dir.path().join(name), "7").unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let log = spool.find(attempt()).expect("it is known");
        assert_eq!((log.progress().end, log.claim()), (7, None));
    }

    #[test]
    fn the_name_of_the_data_directory_is_all_the_same() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("ci.passing.out").join("x.passing.in");
        print(&Spool::open(&dir).unwrap().log(attempt(), 100), 10);
        let spool = Spool::open(&dir).unwrap();
        let log = spool.find(attempt()).expect("it is there");
        assert_eq!(log.progress().end, 10);
    }
}
