//! How a machine becomes a worker.

use bytes::Bytes;
use jobyard_core::{
    EnrolRequest, Enrolled, MAX_CERTIFICATE_REQUEST_BYTES, SecretText, WorkerFacts, check_name,
};

use super::InvalidMessage;
use super::field::{at_most, id_bytes, required, short_text, worker_id};
use crate::generated::v1;

/// The longest printable token: three times what one has.
const MAX_TOKEN_BYTES: usize = 1024;

/// How many certificates an answer carries: a chain, and the roots of a rotation.
const MAX_CERTIFICATES: usize = 16;

impl From<EnrolRequest> for v1::EnrollRequest {
    fn from(request: EnrolRequest) -> Self {
        Self {
            token: request.token.expose().to_owned(),
            certificate_request: request.certificate_request.into(),
            name: request.name,
            facts: Some(request.facts.into()),
        }
    }
}

impl TryFrom<v1::EnrollRequest> for EnrolRequest {
    type Error = InvalidMessage;

    fn try_from(wire: v1::EnrollRequest) -> Result<Self, InvalidMessage> {
        at_most("token", wire.token.len(), MAX_TOKEN_BYTES)?;
        at_most(
            "certificate_request",
            wire.certificate_request.len(),
            MAX_CERTIFICATE_REQUEST_BYTES,
        )?;
        check_name(&wire.name).map_err(|problem| InvalidMessage::new("name", problem))?;
        let facts: WorkerFacts = required("facts", wire.facts)?;
        Ok(Self::new(
            SecretText::new(wire.token),
            wire.certificate_request.into(),
            wire.name,
            facts,
        ))
    }
}

impl From<Enrolled> for v1::EnrollResponse {
    fn from(enrolled: Enrolled) -> Self {
        Self {
            worker: id_bytes(enrolled.worker.as_uuid()),
            name: enrolled.name,
            certificates: enrolled.certificates,
            roots: enrolled.roots,
        }
    }
}

impl TryFrom<v1::EnrollResponse> for Enrolled {
    type Error = InvalidMessage;

    fn try_from(wire: v1::EnrollResponse) -> Result<Self, InvalidMessage> {
        Ok(Self::new(
            worker_id("worker", &wire.worker)?,
            short_text("name", wire.name)?,
            certificates("certificates", wire.certificates)?,
            certificates("roots", wire.roots)?,
        ))
    }
}

fn certificates(field: &str, list: Vec<Bytes>) -> Result<Vec<Bytes>, InvalidMessage> {
    at_most(field, list.len(), MAX_CERTIFICATES)?;
    if list.is_empty() {
        return Err(InvalidMessage::new(field, "there is none"));
    }
    Ok(list)
}
