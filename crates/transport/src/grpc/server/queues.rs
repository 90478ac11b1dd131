//! The service `Queues`.

use std::sync::Arc;

use jobyard_core::{Control, QueueChange};
use tonic::{Request, Response, Status};

use super::caller;
use super::jobs::answer;
use crate::generated::v1;
use crate::generated::v1::queues_server::Queues;
use crate::grpc::status::of_invalid;
use crate::wire::{QueuePage, after_queue};

/// Hands calls over to control.
#[derive(Debug)]
pub(super) struct QueuesService {
    control: Arc<dyn Control>,
}

impl QueuesService {
    pub(super) fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }
}

#[tonic::async_trait]
impl Queues for QueuesService {
    async fn list(
        &self,
        request: Request<v1::ListQueuesRequest>,
    ) -> Result<Response<v1::ListQueuesResponse>, Status> {
        let caller = caller::client(&request)?;
        let after = after_queue(request.into_inner()).map_err(of_invalid)?;
        let queues = self.control.queues(&caller).await;
        answer(queues.map(|queues| QueuePage::of(queues, after.as_deref())))
    }

    async fn set(
        &self,
        request: Request<v1::SetQueueRequest>,
    ) -> Result<Response<v1::Queue>, Status> {
        let caller = caller::client(&request)?;
        let (queue, change) =
            <(String, QueueChange)>::try_from(request.into_inner()).map_err(of_invalid)?;
        answer(self.control.set_queue(&caller, &queue, change).await)
    }
}
