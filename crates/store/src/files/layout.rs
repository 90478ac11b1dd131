//! Where the files of logs lie.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobyard_core::{AttemptId, LogUsage};

use super::names::{Files, Kind, name_of, parse_name};

/// Directories on each of the two levels.
const FAN_OUT: usize = 256;

/// The file that the owner of the directory locks.
const LOCK_FILE: &str = "lock";

/// The file that says that logs were moved to an archive from here.
const ARCHIVE_FILE: &str = "archive-begun";

/// What stands in it.
const ARCHIVE_TEXT: &str = "Logs were moved from here to an archive. With this file, a place without the marker of an archive counts as not mounted.\n";

/// How many logs the first look remembers as worth a second one.
const MAX_CANDIDATES: usize = 65_536;

/// The directory of all logs.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    inventory: Mutex<Inventory>,
    archive_is_begun: AtomicBool,
    /// Keeps other processes out as long as it is open.
    _lock: File,
}

/// What is known about the directory without looking.
#[derive(Debug)]
struct Inventory {
    /// Which directories of the second level are there, and durably so: one bit each.
    leaves: Box<[u64; FAN_OUT * FAN_OUT / 64]>,
    usage: LogUsage,
    /// Logs that may have to be brought into another form.
    candidates: Vec<AttemptId>,
    /// There were more.
    left_out: bool,
}

/// Why the directory could not be taken.
#[derive(Debug)]
pub(crate) enum LayoutError {
    /// Another process has it.
    Held,
    /// It cannot be read or made.
    Io(io::Error),
}

impl From<io::Error> for LayoutError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Layout {
    /// Takes a directory, which is made if it is not there, and counts what is in it.
    pub(crate) fn open(
        root: &Path,
        is_candidate: impl Fn(&Files) -> bool,
    ) -> Result<Self, LayoutError> {
        fs::create_dir_all(root)?;
        let lock = owner_only(OpenOptions::new().write(true).create(true).truncate(false))
            .open(root.join(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LayoutError::Held),
            Err(TryLockError::Error(error)) => return Err(LayoutError::Io(error)),
        }
        Ok(Self {
            root: root.to_owned(),
            inventory: Mutex::new(Inventory::take(root, &is_candidate, true)?),
            archive_is_begun: AtomicBool::new(root.join(ARCHIVE_FILE).try_exists()?),
            _lock: lock,
        })
    }

    /// What all logs take.
    pub(crate) fn usage(&self) -> LogUsage {
        self.inventory().usage
    }

    /// A log grew or shrank on disk.
    pub(crate) fn count(&self, logs: i64, bytes: i64) {
        let usage = &mut self.inventory().usage;
        usage.logs = usage.logs.saturating_add_signed(logs);
        usage.bytes = usage.bytes.saturating_add_signed(bytes);
    }

    /// The archive got or lost so many bytes.
    pub(crate) fn count_archived(&self, bytes: i64) {
        let usage = &mut self.inventory().usage;
        usage.archived = usage.archived.saturating_add_signed(bytes);
    }

    /// What the first look found worth a second one; and whether there were more than it remembered. Once.
    pub(crate) fn take_candidates(&self) -> (Vec<AttemptId>, bool) {
        let mut inventory = self.inventory();
        let left_out = std::mem::take(&mut inventory.left_out);
        (std::mem::take(&mut inventory.candidates), left_out)
    }

    /// Looks once more for what is worth a second look. Says as well whether there was more.
    pub(crate) fn look_again(
        &self,
        is_candidate: impl Fn(&Files) -> bool,
    ) -> io::Result<(Vec<AttemptId>, bool)> {
        let found = Inventory::take(&self.root, &is_candidate, false)?;
        Ok((found.candidates, found.left_out))
    }

    /// Whether it is known that there is an archive for what is here.
    pub(crate) fn archive_is_begun(&self) -> bool {
        self.archive_is_begun.load(Ordering::Acquire)
    }

    /// There is an archive: durable when this returns.
    pub(crate) fn say_archive_is_begun(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        let mut file = owner_only(options).open(self.root.join(ARCHIVE_FILE))?;
        file.write_all(ARCHIVE_TEXT.as_bytes())?;
        file.sync_all()?;
        sync_directory(&self.root)?;
        self.archive_is_begun.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a file of this attempt may exist. Asks no disk, so that attempts without output cost nothing.
    pub(crate) fn may_hold(&self, attempt: AttemptId) -> bool {
        self.inventory().has(leaf_number(attempt))
    }

    /// The files of an attempt.
    pub(crate) fn files_of(&self, attempt: AttemptId) -> io::Result<Files> {
        let mut files = Files::default();
        if !self.may_hold(attempt) {
            return Ok(files);
        }
        for entry in fs::read_dir(self.leaf(attempt))? {
            let entry = entry?;
            if let Some((owner, kind)) = parse_name(&entry.file_name())
                && owner == attempt
            {
                files.add(kind, entry.metadata()?.len());
            }
        }
        files.segments.sort_unstable();
        Ok(files)
    }

    /// The path of a segment.
    pub(crate) fn path(&self, attempt: AttemptId, base: u64) -> PathBuf {
        self.file(attempt, Kind::Segment { base })
    }

    /// The path of a file.
    pub(crate) fn file(&self, attempt: AttemptId, kind: Kind) -> PathBuf {
        self.leaf(attempt).join(name_of(attempt, kind))
    }

    /// Makes a new segment file, readable for its owner alone. Its name is durable after [`sync_names`](Self::sync_names).
    pub(crate) fn create(&self, attempt: AttemptId, base: u64) -> io::Result<File> {
        self.make_leaf(attempt)?;
        owner_only(OpenOptions::new().write(true).create_new(true)).open(self.path(attempt, base))
    }

    /// Makes the names of an attempt's files durable.
    pub(crate) fn sync_names(&self, attempt: AttemptId) -> io::Result<()> {
        sync_directory(&self.leaf(attempt))
    }

    /// Makes the directory of an attempt's files, durably. One at a time: whoever finds it made may rely on it.
    fn make_leaf(&self, attempt: AttemptId) -> io::Result<()> {
        let number = leaf_number(attempt);
        let mut inventory = self.inventory();
        if inventory.has(number) {
            return Ok(());
        }
        let leaf = self.leaf(attempt);
        let branch = leaf.parent().unwrap_or(&self.root);
        make_directory(branch)?;
        sync_directory(&self.root)?;
        make_directory(&leaf)?;
        sync_directory(branch)?;
        inventory.add(number);
        Ok(())
    }

    /// The directory that an attempt's files lie in. Ids begin with the time, so their ends spread better.
    fn leaf(&self, attempt: AttemptId) -> PathBuf {
        let number = leaf_number(attempt);
        self.root
            .join(format!("{:02x}/{:02x}", number / FAN_OUT, number % FAN_OUT))
    }

    fn inventory(&self) -> MutexGuard<'_, Inventory> {
        self.inventory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inventory {
    /// Looks at every file once, and makes the names of the directories durable. With `sweep`, removes what was being
    /// written when a process ended.
    fn take(root: &Path, is_candidate: &impl Fn(&Files) -> bool, sweep: bool) -> io::Result<Self> {
        let mut inventory = Self {
            leaves: Box::new([0; FAN_OUT * FAN_OUT / 64]),
            usage: LogUsage::default(),
            candidates: Vec::new(),
            left_out: false,
        };
        for (high, branch) in numbered_directories(root)? {
            for (low, leaf) in numbered_directories(&branch)? {
                inventory.add(high * FAN_OUT + low);
                inventory.take_leaf(&leaf, is_candidate, sweep)?;
            }
            sync_directory(&branch)?;
        }
        sync_directory(root)?;
        Ok(inventory)
    }

    fn take_leaf(
        &mut self,
        leaf: &Path,
        is_candidate: &impl Fn(&Files) -> bool,
        sweep: bool,
    ) -> io::Result<()> {
        let mut logs: BTreeMap<AttemptId, Files> = BTreeMap::new();
        for entry in fs::read_dir(leaf)? {
            let entry = entry?;
            if let Some((attempt, kind)) = parse_name(&entry.file_name()) {
                let bytes = entry.metadata()?.len();
                logs.entry(attempt).or_default().add(kind, bytes);
            }
        }
        for (attempt, files) in logs {
            for partial in files.partials.iter().filter(|_| sweep) {
                let path = leaf.join(name_of(attempt, *partial));
                if let Err(problem) = fs::remove_file(&path) {
                    tracing::warn!(%problem, path = %path.display(), "what an earlier process left cannot be removed");
                }
            }
            self.usage.logs += u64::from(files.is_log());
            self.usage.bytes += files.bytes();
            self.usage.archived += files.archived_bytes();
            if !is_candidate(&files) {
                continue;
            }
            if self.candidates.len() < MAX_CANDIDATES {
                self.candidates.push(attempt);
            } else {
                self.left_out = true;
            }
        }
        Ok(())
    }

    fn has(&self, leaf: usize) -> bool {
        self.leaves[leaf / 64] & (1 << (leaf % 64)) != 0
    }

    fn add(&mut self, leaf: usize) {
        self.leaves[leaf / 64] |= 1 << (leaf % 64);
    }
}

/// Makes the entries of a directory durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

pub(super) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The directories below this one whose names are two hexadecimal digits.
pub(crate) fn numbered_directories(path: &Path) -> io::Result<Vec<(usize, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .filter(|name| name.len() == 2)
            .and_then(|name| usize::from_str_radix(name, 16).ok());
        if let Some(number) = number
            && entry.file_type()?.is_dir()
        {
            found.push((number, entry.path()));
        }
    }
    Ok(found)
}

fn leaf_number(attempt: AttemptId) -> usize {
    let uuid = attempt.job.as_uuid();
    let bytes = uuid.as_bytes();
    usize::from(bytes[14]) * FAN_OUT + usize::from(bytes[15])
}
