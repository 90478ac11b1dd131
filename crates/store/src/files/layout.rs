//! Where the files of logs lie.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobyard_core::{AttemptId, AttemptNumber, JobId, LogUsage};

/// Directories on each of the two levels.
const FAN_OUT: usize = 256;

/// The file that the owner of the directory locks.
const LOCK_FILE: &str = "lock";

/// The ending of segment files.
const EXTENSION: &str = "log";

/// The directory of all logs.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    inventory: Mutex<Inventory>,
    /// Keeps other processes out as long as it is open.
    _lock: File,
}

/// What is known about the directory without looking.
#[derive(Debug)]
struct Inventory {
    /// Which directories of the second level are there, and durably so: one bit each.
    leaves: Box<[u64; FAN_OUT * FAN_OUT / 64]>,
    usage: LogUsage,
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
    pub(crate) fn open(root: &Path) -> Result<Self, LayoutError> {
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
            inventory: Mutex::new(Inventory::take(root)?),
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

    /// Whether a file of this attempt may exist. Asks no disk, so that attempts without output cost nothing.
    pub(crate) fn may_hold(&self, attempt: AttemptId) -> bool {
        self.inventory().has(leaf_number(attempt))
    }

    /// The segments of an attempt: base and length of the file, in order.
    pub(crate) fn segments_of(&self, attempt: AttemptId) -> io::Result<Vec<(u64, u64)>> {
        let mut segments = Vec::new();
        if !self.may_hold(attempt) {
            return Ok(segments);
        }
        for entry in fs::read_dir(self.leaf(attempt))? {
            let entry = entry?;
            if let Some((owner, base)) = parse_name(&entry.file_name())
                && owner == attempt
            {
                segments.push((base, entry.metadata()?.len()));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// The path of a segment.
    pub(crate) fn path(&self, attempt: AttemptId, base: u64) -> PathBuf {
        let AttemptId { job, number, .. } = attempt;
        self.leaf(attempt)
            .join(format!("{job}.{number}.{base:020}.{EXTENSION}"))
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
    /// Looks at every file once, and makes the names of the directories durable.
    fn take(root: &Path) -> io::Result<Self> {
        let mut inventory = Self {
            leaves: Box::new([0; FAN_OUT * FAN_OUT / 64]),
            usage: LogUsage::default(),
        };
        for (high, branch) in numbered_directories(root)? {
            for (low, leaf) in numbered_directories(&branch)? {
                inventory.add(high * FAN_OUT + low);
                inventory.take_leaf(&leaf)?;
            }
            sync_directory(&branch)?;
        }
        sync_directory(root)?;
        Ok(inventory)
    }

    fn take_leaf(&mut self, leaf: &Path) -> io::Result<()> {
        for entry in fs::read_dir(leaf)? {
            let entry = entry?;
            if let Some((_, base)) = parse_name(&entry.file_name()) {
                self.usage.logs += u64::from(base == 0);
                self.usage.bytes += entry.metadata()?.len();
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

fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
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

/// Whose segment a file is, and where it begins. `None` for a file that is none.
pub(crate) fn parse_name(name: &std::ffi::OsStr) -> Option<(AttemptId, u64)> {
    let mut parts = name.to_str()?.split('.');
    let job: JobId = parts.next()?.parse().ok()?;
    let number = AttemptNumber::new(parts.next()?.parse().ok()?)?;
    let base = parts.next()?.parse().ok()?;
    (parts.next() == Some(EXTENSION) && parts.next().is_none())
        .then(|| (AttemptId::new(job, number), base))
}
