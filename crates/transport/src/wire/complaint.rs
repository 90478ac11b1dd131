//! What workers complain about.

use jobyard_core::{
    Complaint, ComplaintKind, MAX_COMPLAINING, MAX_COMPLAINT_BYTES, MAX_COMPLAINTS,
    WorkerComplaints,
};

use super::InvalidMessage;
use super::field::{at_most, list, same_names, short_text};
use crate::generated::v1;

same_names!(ComplaintKind, [Disk, Memory, Load, Tainted], Unspecified);

/// As messages.
pub(super) fn to_complaints(complaints: Vec<Complaint>) -> Vec<v1::Complaint> {
    let message = |complaint: Complaint| {
        // Cut to its length, whoever has made it.
        let complaint = Complaint::new(complaint.kind, complaint.text);
        v1::Complaint {
            kind: v1::ComplaintKind::from(complaint.kind).into(),
            text: complaint.text,
        }
    };
    let complaints = complaints.into_iter().take(MAX_COMPLAINTS);
    complaints.map(message).collect()
}

/// Those of the complaints that are of a kind which is known here.
pub(super) fn complaints(
    field: &str,
    wire: Vec<v1::Complaint>,
) -> Result<Vec<Complaint>, InvalidMessage> {
    at_most(field, wire.len(), MAX_COMPLAINTS)?;
    let mut complaints = Vec::with_capacity(wire.len());
    for (at, it) in wire.into_iter().enumerate() {
        let within = |error: InvalidMessage| error.within(&format!("{field}[{at}]"));
        at_most("text", it.text.len(), MAX_COMPLAINT_BYTES).map_err(within)?;
        if let Ok(kind) = v1::ComplaintKind::try_from(it.kind) {
            let kind =
                ComplaintKind::try_from(kind).map_err(|error| within(error.within("kind")))?;
            complaints.push(Complaint::new(kind, it.text));
        }
    }
    Ok(complaints)
}

pub(super) fn to_said(said: Vec<WorkerComplaints>) -> v1::Complaining {
    let message = |worker: WorkerComplaints| v1::WorkerComplaints {
        name: worker.name,
        complaints: to_complaints(worker.complaints),
    };
    let said = said.into_iter().take(MAX_COMPLAINING);
    v1::Complaining {
        said: said.map(message).collect(),
    }
}

pub(super) fn said(wire: v1::Complaining) -> Result<Vec<WorkerComplaints>, InvalidMessage> {
    list("said", wire.said, MAX_COMPLAINING)
}

impl TryFrom<v1::WorkerComplaints> for WorkerComplaints {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WorkerComplaints) -> Result<Self, InvalidMessage> {
        Ok(Self::new(
            short_text("name", wire.name)?,
            complaints("complaints", wire.complaints)?,
        ))
    }
}
