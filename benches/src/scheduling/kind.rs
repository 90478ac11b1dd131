//! What a job is, told by its id.

use jobyard_core::JobId;
use uuid::Uuid;

/// Of which kind a job is. It is written into the job's id, so that whoever drives a load needs no table beside the
/// scheduler's own, which would be measured with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// Which set of requirements; below 2^20.
    pub set: u32,
    /// Which queue.
    pub queue: u16,
    /// Which group, from 1; 0 for none.
    pub group: u16,
    /// Its priority; below 16.
    pub priority: u8,
}

impl Kind {
    /// An id in the form of a UUID of version 7: `serial` stands for the time, and is different for each job.
    pub fn id(self, serial: u64, chance: u64) -> JobId {
        let kind = u128::from(self.set)
            | u128::from(self.queue) << 20
            | u128::from(self.group) << 36
            | u128::from(self.priority) << 52;
        let chance = u128::from(chance);
        let id = (FIRST_MS + u128::from(serial)) << 80
            | 7 << 76
            | (chance & 0xfff) << 64
            | 0b10 << 62
            | (chance >> 12 & 0x3f) << 56
            | kind;
        JobId::from_uuid(Uuid::from_u128(id))
    }

    /// Reads it back.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "that is how the fields are cut out"
    )]
    pub fn of(job: JobId) -> Self {
        let id = job.as_uuid().as_u128() as u64;
        Self {
            set: (id & 0xf_ffff) as u32,
            queue: (id >> 20) as u16,
            group: (id >> 36) as u16,
            priority: (id >> 52 & 0xf) as u8,
        }
    }
}

/// Where the time in the ids begins: any late enough for ids to look like those of today.
const FIRST_MS: u128 = 1_790_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_kind() {
        let kind = Kind {
            set: 0xf_fffe,
            queue: 0xfffd,
            group: 0xfffb,
            priority: 9,
        };
        let id = kind.id(77, u64::MAX);
        assert_eq!(Kind::of(id), kind);
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert_ne!(kind.id(78, u64::MAX), id);
    }
}
