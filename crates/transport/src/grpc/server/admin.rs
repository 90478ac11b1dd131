//! The service `Admin`.

use std::sync::Arc;

use jobyard_core::{AuditQuery, Control};
use tonic::{Request, Response, Status};

use super::caller;
use super::jobs::answer;
use crate::generated::v1;
use crate::generated::v1::admin_server::Admin;
use crate::grpc::status::of_invalid;

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
}
