//! Control over the wire.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use jobyard_core::{
    Admin, AuditPage, AuditQuery, Caller, ControlError, CreatedToken, Event, EventQuery,
    EventStream, Explanation, Fleet, Job, JobId, JobPage, JobQuery, JobState, Jobs, LogItem,
    LogQuery, LogStream, MasterStatus, NewJob, NewToken, QueueChange, QueueInfo, RequestId,
    StopOptions, Submitted, TokenInfo, Worker, WorkerCommand,
};
use prost::Message;
use rustls::ClientConfig;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::dial::{ConnectOptions, Dialer, InvalidEndpoint};
use super::{ALPN_MAIN, REQUEST_ID, channel, status};
use crate::generated::v1;
use crate::generated::v1::admin_client::AdminClient;
use crate::generated::v1::jobs_client::JobsClient;
use crate::generated::v1::queues_client::QueuesClient;
use crate::generated::v1::workers_client::WorkersClient;
use crate::limits::{MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES, MAX_QUEUE_PAGES};
use crate::wire::{self, InvalidMessage, QueuePage, id_bytes};

/// [`Control`](jobyard_core::Control) of a master elsewhere.
///
/// Connects with the first call, and again when the connection was lost; a call that was under way then fails with
/// [`ControlError::Unavailable`] and may be repeated. The name and role of the caller come from the certificate in the
/// configuration, whatever [`Caller`] a call is given; of that only the request id is used. Cheap to clone; clones
/// share the connection. Has to be made within a Tokio runtime.
#[derive(Clone, Debug)]
pub struct GrpcControl {
    jobs: JobsClient<Channel>,
    workers: WorkersClient<Channel>,
    queues: QueuesClient<Channel>,
    admin: AdminClient<Channel>,
}

impl GrpcControl {
    /// A way to the master at one of these addresses, each `HOST:PORT`. The protocols that the configuration names
    /// are replaced.
    pub fn new(
        endpoints: Vec<String>,
        tls: &Arc<ClientConfig>,
        options: ConnectOptions,
    ) -> Result<Self, InvalidEndpoint> {
        let dialer = Dialer::new(endpoints, tls, ALPN_MAIN, options)?;
        let channel = channel::lazy(dialer, None);
        Ok(Self {
            jobs: JobsClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            workers: WorkersClient::new(channel.clone())
                .max_decoding_message_size(MAX_ANSWER_BYTES),
            queues: QueuesClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            admin: AdminClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES),
        })
    }
}

#[async_trait]
impl Jobs for GrpcControl {
    async fn submit(
        &self,
        caller: &Caller,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Submitted>, ControlError> {
        let request = v1::SubmitRequest {
            jobs: jobs.into_iter().map(Into::into).collect(),
        };
        if request.encoded_len() > MAX_MESSAGE_BYTES {
            let problem = format!(
                "together they have more than {MAX_MESSAGE_BYTES} bytes: send fewer at a time"
            );
            return Err(ControlError::invalid("jobs", problem));
        }
        let answered = self.jobs.clone().submit(mutating(caller, request)).await;
        let jobs = answer(answered)?.jobs.into_iter().map(read);
        jobs.collect()
    }

    async fn job(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let request = v1::GetJobRequest {
            id: id_bytes(id.as_uuid()),
        };
        let answered = self.jobs.clone().get(reading(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn jobs(&self, caller: &Caller, query: JobQuery) -> Result<JobPage, ControlError> {
        let request = v1::ListJobsRequest::from(query);
        let answered = self.jobs.clone().list(reading(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn wait(&self, caller: &Caller, id: JobId) -> Result<Job, ControlError> {
        let request = v1::WaitJobRequest {
            id: id_bytes(id.as_uuid()),
        };
        let answered = self.jobs.clone().wait(reading(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn stop(
        &self,
        caller: &Caller,
        id: JobId,
        options: StopOptions,
    ) -> Result<JobState, ControlError> {
        let request = wire::stop_request(id, options);
        let answered = self.jobs.clone().stop(mutating(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn logs(&self, caller: &Caller, query: LogQuery) -> Result<LogStream, ControlError> {
        let request = v1::LogsRequest::from(query);
        let answered = self.jobs.clone().logs(reading(caller, request)).await;
        let items = answer(answered)?
            .map_err(|status| status::control_error(&status))
            .and_then(|frame| async { read::<_, Vec<LogItem>>(frame) })
            .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
            .try_flatten();
        Ok(items.boxed())
    }

    async fn explain(&self, caller: &Caller, id: JobId) -> Result<Explanation, ControlError> {
        let request = v1::ExplainRequest {
            id: id_bytes(id.as_uuid()),
        };
        let answered = self.jobs.clone().explain(reading(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn retry(
        &self,
        caller: &Caller,
        id: JobId,
        new_id: JobId,
    ) -> Result<Submitted, ControlError> {
        let request = v1::RetryJobRequest {
            id: id_bytes(id.as_uuid()),
            new_id: id_bytes(new_id.as_uuid()),
        };
        let answered = self.jobs.clone().retry(mutating(caller, request)).await;
        answer(answered).and_then(read)
    }
}

#[async_trait]
impl Fleet for GrpcControl {
    async fn workers(&self, caller: &Caller, removed: bool) -> Result<Vec<Worker>, ControlError> {
        let request = v1::ListWorkersRequest { removed };
        let answered = self.workers.clone().list(reading(caller, request)).await;
        answer(answered)?.workers.into_iter().map(read).collect()
    }

    async fn worker(&self, caller: &Caller, worker: &str) -> Result<Worker, ControlError> {
        let request = v1::GetWorkerRequest {
            worker: worker.to_owned(),
        };
        let answered = self.workers.clone().get(reading(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn set_worker(
        &self,
        caller: &Caller,
        worker: &str,
        to: WorkerCommand,
    ) -> Result<Worker, ControlError> {
        let request = wire::set_worker_request(worker, to);
        let answered = self.workers.clone().set(mutating(caller, request)).await;
        answer(answered).and_then(read)
    }

    async fn queues(&self, caller: &Caller) -> Result<Vec<QueueInfo>, ControlError> {
        let (mut queues, mut after) = (Vec::new(), None);
        for _ in 0..MAX_QUEUE_PAGES {
            let request = v1::ListQueuesRequest { after };
            let answered = self.queues.clone().list(reading(caller, request)).await;
            let page: QueuePage = answer(answered).and_then(read)?;
            queues.extend(page.queues);
            after = page.next;
            if after.is_none() {
                return Ok(queues);
            }
        }
        Err(ControlError::Internal {
            problem: format!("it has more queues than fit into {MAX_QUEUE_PAGES} answers"),
        })
    }

    async fn set_queue(
        &self,
        caller: &Caller,
        queue: &str,
        change: QueueChange,
    ) -> Result<QueueInfo, ControlError> {
        let request = mutating(caller, wire::set_queue_request(queue, change));
        let answered = self.queues.clone().set(request).await;
        answer(answered).and_then(read)
    }

    async fn create_token(
        &self,
        caller: &Caller,
        token: NewToken,
    ) -> Result<CreatedToken, ControlError> {
        let request = mutating(caller, v1::CreateTokenRequest::from(token));
        let answered = self.workers.clone().create_token(request).await;
        answer(answered).and_then(read)
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<TokenInfo>, ControlError> {
        let request = reading(caller, v1::ListTokensRequest {});
        let answered = self.workers.clone().list_tokens(request).await;
        answer(answered)?.tokens.into_iter().map(read).collect()
    }

    async fn revoke_token(&self, caller: &Caller, token: &str) -> Result<(), ControlError> {
        let request = v1::RevokeTokenRequest {
            token: token.to_owned(),
        };
        let request = mutating(caller, request);
        let answered = self.workers.clone().revoke_token(request).await;
        answer(answered).map(|v1::RevokeTokenResponse {}| ())
    }
}

#[async_trait]
impl Admin for GrpcControl {
    async fn status(&self, caller: &Caller) -> Result<MasterStatus, ControlError> {
        let request = reading(caller, v1::StatusRequest {});
        let answered = self.admin.clone().status(request).await;
        answer(answered).and_then(read)
    }

    async fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage, ControlError> {
        let request = reading(caller, v1::AuditRequest::from(query));
        let answered = self.admin.clone().audit(request).await;
        answer(answered).and_then(read)
    }

    async fn events(
        &self,
        caller: &Caller,
        query: EventQuery,
    ) -> Result<EventStream, ControlError> {
        let request = reading(caller, v1::EventsRequest::from(query));
        let answered = self.admin.clone().events(request).await;
        let events = answer(answered)?
            .map_err(|status| status::control_error(&status))
            .and_then(|frame| async { read::<_, Vec<Event>>(frame) })
            .map_ok(|events| stream::iter(events.into_iter().map(Ok)))
            .try_flatten();
        Ok(events.boxed())
    }
}

/// A request that changes nothing. It has an id if the caller gave one.
fn reading<T>(caller: &Caller, message: T) -> Request<T> {
    with_id(caller.request, message)
}

/// A request that changes something. It always has an id.
fn mutating<T>(caller: &Caller, message: T) -> Request<T> {
    let id = caller
        .request
        .unwrap_or_else(|| RequestId::from_uuid(Uuid::now_v7()));
    with_id(Some(id), message)
}

fn with_id<T>(id: Option<RequestId>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(id) = id {
        let value = MetadataValue::try_from(id.to_string()).expect("a UUID is ASCII");
        request.metadata_mut().insert(REQUEST_ID, value);
    }
    request
}

fn answer<T>(answered: Result<Response<T>, Status>) -> Result<T, ControlError> {
    match answered {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(status::control_error(&status)),
    }
}

fn read<W, C>(message: W) -> Result<C, ControlError>
where
    C: TryFrom<W, Error = InvalidMessage>,
{
    C::try_from(message).map_err(|error| ControlError::Internal {
        problem: format!("its answer cannot be read: {error}"),
    })
}
