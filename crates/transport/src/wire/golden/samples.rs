//! Values of which the frames are made.

use jobyard_core::{
    AttemptId, AttemptNumber, JobId, Protocol, Residue, TagSet, Timestamp, WorkerFacts,
};
use uuid::Uuid;

pub(super) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_a0b0_0000_7000_8000_0000_0000_0000 | number)
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + micros)
}

pub(super) fn attempt(number: u32) -> AttemptId {
    let number = AttemptNumber::new(number).unwrap();
    AttemptId::new(JobId::from_uuid(uuid(0x10)), number)
}

pub(super) fn facts() -> WorkerFacts {
    let mut facts = WorkerFacts::default();
    facts.host = "builder-1.example.org".to_owned();
    facts.os = "linux".to_owned();
    facts.arch = "x86_64".to_owned();
    facts.version = "0.1.0".to_owned();
    facts.cores = 16;
    facts.memory_bytes = 64 << 30;
    facts
}

pub(super) fn tags() -> TagSet {
    let tags = ["os=linux", "has=git", "has=cargo", "rust"];
    TagSet::try_from(tags.map(|tag| tag.parse().unwrap()).to_vec()).unwrap()
}

pub(super) fn protocol() -> Protocol {
    Protocol {
        version: 1,
        features: ["detach".to_owned(), "zstd".to_owned()].into(),
    }
}

pub(super) fn residue() -> Residue {
    let mut residue = Residue::default();
    residue.killed = 3;
    residue.output_held_open = true;
    residue.unconfirmed = true;
    residue
}
