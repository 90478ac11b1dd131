//! The names of files, and what they say of a log.

use std::ffi::OsStr;

use jobyard_core::{AttemptId, AttemptNumber, JobId};

/// What a file of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Frames from this offset on.
    Segment {
        /// The offset of its first byte in the attempt's sequence.
        base: u64,
    },
    /// All of a log that is over, compressed.
    Sealed,
    /// The same, while it is written.
    SealedPartial,
    /// Says where in the archive the log is, and that it takes so many bytes there.
    Archived {
        /// The length of the file in the archive.
        bytes: u64,
    },
    /// The same, while it is written.
    ArchivedPartial {
        /// The length of the file in the archive.
        bytes: u64,
    },
    /// Says what is still to be removed from the archive.
    Removing {
        /// The length of the file in the archive.
        bytes: u64,
    },
}

/// The files of one log, with their lengths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Base and length, in order.
    pub(crate) segments: Vec<(u64, u64)>,
    /// The length of the sealed file.
    pub(crate) sealed: Option<u64>,
    /// What the archive holds, and the length of the file that says so.
    pub(crate) archived: Option<(u64, u64)>,
    /// What the archive is to lose, and the length of the file that says so.
    pub(crate) removing: Option<(u64, u64)>,
    /// What was being written, or what is left of it.
    pub(crate) partials: Vec<Kind>,
}

impl Files {
    /// Adds a file. What is being written counts for nothing.
    pub(crate) fn add(&mut self, kind: Kind, len: u64) {
        match kind {
            Kind::Segment { base } => self.segments.push((base, len)),
            Kind::Sealed => self.sealed = Some(len),
            Kind::Archived { bytes } => self.archived = Some((bytes, len)),
            Kind::Removing { bytes } => self.removing = Some((bytes, len)),
            Kind::SealedPartial | Kind::ArchivedPartial { .. } => self.partials.push(kind),
        }
    }

    /// Whether there is a log, and not only something to be removed.
    pub(crate) fn is_log(&self) -> bool {
        !self.segments.is_empty() || self.sealed.is_some() || self.archived.is_some()
    }

    /// The room that segments take.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segments.iter().map(|(_, len)| len).sum()
    }

    /// The room that all take here.
    pub(crate) fn bytes(&self) -> u64 {
        let pointers = [self.archived, self.removing];
        let pointers = pointers.iter().flatten().map(|(_, len)| len);
        self.segment_bytes() + self.sealed.unwrap_or(0) + pointers.sum::<u64>()
    }

    /// The room that they take in the archive.
    pub(crate) fn archived_bytes(&self) -> u64 {
        let pointers = [self.archived, self.removing];
        pointers.iter().flatten().map(|(bytes, _)| bytes).sum()
    }
}

/// The name of a file.
pub(crate) fn name_of(attempt: AttemptId, kind: Kind) -> String {
    let AttemptId { job, number, .. } = attempt;
    match kind {
        Kind::Segment { base } => format!("{job}.{number}.{base:020}.log"),
        Kind::Sealed => format!("{job}.{number}.zst"),
        Kind::SealedPartial => format!("{job}.{number}.zst.partial"),
        Kind::Archived { bytes } => format!("{job}.{number}.{bytes:020}.archived"),
        Kind::ArchivedPartial { bytes } => format!("{job}.{number}.{bytes:020}.archived.partial"),
        Kind::Removing { bytes } => format!("{job}.{number}.{bytes:020}.removing"),
    }
}

/// Whose file it is, and what. `None` for a file that is none of ours.
pub(crate) fn parse_name(name: &OsStr) -> Option<(AttemptId, Kind)> {
    let mut parts = name.to_str()?.split('.');
    let job: JobId = parts.next()?.parse().ok()?;
    let number = AttemptNumber::new(parts.next()?.parse().ok()?)?;
    let rest: Vec<&str> = parts.collect();
    let kind = match rest[..] {
        ["zst"] => Kind::Sealed,
        ["zst", "partial"] => Kind::SealedPartial,
        [base, "log"] => Kind::Segment {
            base: base.parse().ok()?,
        },
        [bytes, "archived"] => Kind::Archived {
            bytes: bytes.parse().ok()?,
        },
        [bytes, "archived", "partial"] => Kind::ArchivedPartial {
            bytes: bytes.parse().ok()?,
        },
        [bytes, "removing"] => Kind::Removing {
            bytes: bytes.parse().ok()?,
        },
        _ => return None,
    };
    Some((AttemptId::new(job, number), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_were_made() {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(7));
        let attempt = AttemptId::new(job, AttemptNumber::FIRST);
        for kind in [
            Kind::Segment { base: 8 },
            Kind::Sealed,
            Kind::SealedPartial,
            Kind::Archived { bytes: u64::MAX },
            Kind::ArchivedPartial { bytes: 0 },
            Kind::Removing { bytes: 5 },
        ] {
            let name = name_of(attempt, kind);
            assert_eq!(parse_name(OsStr::new(&name)), Some((attempt, kind)));
        }
        for other in ["lock", "a.1.zst", "x", ""] {
            assert_eq!(parse_name(OsStr::new(other)), None);
        }
    }
}
