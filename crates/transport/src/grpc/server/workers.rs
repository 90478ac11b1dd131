//! The service `Workers`.

use std::sync::Arc;

use jobyard_core::{Control, NewToken, WorkerCommand};
use tonic::{Request, Response, Status};

use super::caller;
use super::jobs::answer;
use crate::generated::v1;
use crate::generated::v1::workers_server::Workers;
use crate::grpc::status::{of_control_error, of_invalid};

/// Hands calls over to control.
#[derive(Debug)]
pub(super) struct WorkersService {
    control: Arc<dyn Control>,
}

impl WorkersService {
    pub(super) fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }
}

#[tonic::async_trait]
impl Workers for WorkersService {
    async fn list(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let caller = caller::client(&request)?;
        let removed = request.into_inner().removed;
        let workers = self.control.workers(&caller, removed).await;
        let workers = workers.map_err(|error| of_control_error(&error))?;
        Ok(Response::new(v1::ListWorkersResponse {
            workers: workers.into_iter().map(Into::into).collect(),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let caller = caller::client(&request)?;
        let worker = request.into_inner().worker;
        answer(self.control.worker(&caller, &worker).await)
    }

    async fn set(
        &self,
        request: Request<v1::SetWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let caller = caller::client(&request)?;
        let (worker, to): (String, WorkerCommand) =
            request.into_inner().try_into().map_err(of_invalid)?;
        answer(self.control.set_worker(&caller, &worker, to).await)
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let caller = caller::client(&request)?;
        let token = NewToken::try_from(request.into_inner()).map_err(of_invalid)?;
        answer(self.control.create_token(&caller, token).await)
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let caller = caller::client(&request)?;
        let tokens = self.control.tokens(&caller).await;
        let tokens = tokens.map_err(|error| of_control_error(&error))?;
        Ok(Response::new(v1::ListTokensResponse {
            tokens: tokens.into_iter().map(Into::into).collect(),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let caller = caller::client(&request)?;
        let token = request.into_inner().token;
        let revoked = self.control.revoke_token(&caller, &token).await;
        revoked.map_err(|error| of_control_error(&error))?;
        Ok(Response::new(v1::RevokeTokenResponse {}))
    }
}
