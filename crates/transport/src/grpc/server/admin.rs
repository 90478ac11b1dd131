//! The service `Admin`.

use std::sync::Arc;

use jobyard_core::{AuditQuery, Control, Event, EventQuery};
use tonic::{Request, Response, Status};

use super::caller;
use super::frames::{Frames, Load, frames};
use super::jobs::answer;
use crate::generated::v1;
use crate::generated::v1::admin_server::Admin;
use crate::grpc::status::{of_control_error, of_invalid};
use crate::limits::EVENTS_PER_MESSAGE;

/// Hands calls over to control.
#[derive(Debug)]
pub(super) struct AdminService {
    control: Arc<dyn Control>,
}

impl AdminService {
    pub(super) fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    type EventsStream = Frames<v1::EventsResponse>;

    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let caller = caller::client(&request)?;
        answer(self.control.status(&caller).await)
    }

    async fn audit(
        &self,
        request: Request<v1::AuditRequest>,
    ) -> Result<Response<v1::AuditResponse>, Status> {
        let caller = caller::client(&request)?;
        let query = AuditQuery::try_from(request.into_inner()).map_err(of_invalid)?;
        answer(self.control.audit(&caller, query).await)
    }

    async fn events(
        &self,
        request: Request<v1::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let caller = caller::client(&request)?;
        let query = EventQuery::from(request.into_inner());
        let events = self.control.events(&caller, query).await;
        let events = events.map_err(|error| of_control_error(&error))?;
        let message = |events: Vec<Event>| v1::EventsResponse {
            events: events.into_iter().map(Into::into).collect(),
        };
        let load = Load {
            items: EVENTS_PER_MESSAGE,
            bytes: usize::MAX,
            size: |_| 0,
        };
        Ok(Response::new(frames(events, load, message)))
    }
}
