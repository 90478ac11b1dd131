//! Who asks, from the certificate.

use std::sync::Arc;

use jobyard_core::{Caller, PeerIdentity, Refusal, RefusalReason, WorkerPeer};
use tonic::{Request, Status};

use super::connection::Peer;
use crate::grpc::{REQUEST_ID, status};
use crate::wire::InvalidMessage;

/// The peer of a request. The door has attached it; without it nothing is done.
pub(super) fn peer<T>(request: &Request<T>) -> Result<&Arc<Peer>, Status> {
    request.extensions().get::<Arc<Peer>>().ok_or_else(|| {
        status::of_refusal(&Refusal::new(
            RefusalReason::Unauthenticated,
            "the connection has no peer",
        ))
    })
}

/// The worker that sent a request.
pub(super) fn worker<T>(request: &Request<T>) -> Result<WorkerPeer, Status> {
    let peer = peer(request)?;
    match &peer.identity {
        Ok(PeerIdentity::Worker { id, .. }) => Ok(WorkerPeer::new(*id, peer.address.to_string())),
        _ => Err(not_for_them()),
    }
}

/// The client that sent a request, with the request's id.
pub(super) fn client<T>(request: &Request<T>) -> Result<Caller, Status> {
    let Ok(PeerIdentity::Client { name, role, .. }) = &peer(request)?.identity else {
        return Err(not_for_them());
    };
    let mut caller = Caller::new(name.clone(), *role);
    if let Some(value) = request.metadata().get(REQUEST_ID) {
        let id = value.to_str().ok().and_then(|text| text.parse().ok());
        let invalid = || status::of_invalid(InvalidMessage::new(REQUEST_ID, "it is no UUID"));
        caller.request = Some(id.ok_or_else(invalid)?);
    }
    Ok(caller)
}

fn not_for_them() -> Status {
    status::of_refusal(&Refusal::new(
        RefusalReason::Forbidden,
        "this certificate is not for this",
    ))
}
