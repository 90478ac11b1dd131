//! From a request to the service that answers it, past the policy.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use jobyard_core::{Refusal, RefusalReason, SessionHandler};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;
use tower::Service;
use tracing::{Instrument, debug, info_span};

use super::admin::AdminService;
use super::connection::Peer;
use super::enrolment::EnrolmentService;
use super::jobs::JobsService;
use super::policy::Policy;
use super::queues::QueuesService;
use super::serve::{ServeError, Services};
use super::session::SessionService;
use super::workers::WorkersService;
use crate::generated::DESCRIPTORS;
use crate::generated::v1::admin_server::AdminServer;
use crate::generated::v1::enrollment_server::EnrollmentServer;
use crate::generated::v1::jobs_server::JobsServer;
use crate::generated::v1::queues_server::QueuesServer;
use crate::generated::v1::worker_session_server::WorkerSessionServer;
use crate::generated::v1::workers_server::WorkersServer;
use crate::grpc::{REQUEST_ID, status};
use crate::limits::{MAX_ANSWER_BYTES, MAX_ENROLMENT_BYTES, MAX_MESSAGE_BYTES};

type Answer = Result<Response<Body>, Infallible>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What connections with a certificate reach.
#[derive(Clone)]
pub(super) struct MainDoor {
    services: Arc<MainServices>,
}

struct MainServices {
    registry: Arc<dyn SessionHandler>,
    session: WorkerSessionServer<SessionService>,
    jobs: JobsServer<JobsService>,
    workers: WorkersServer<WorkersService>,
    queues: QueuesServer<QueuesService>,
    admin: AdminServer<AdminService>,
    health: HealthServer<HealthService>,
    reflect: Reflect,
}

/// The reflection service has no name that could be written down.
type Reflect = Box<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

impl MainDoor {
    pub(super) async fn new(services: &Services) -> Result<Self, ServeError> {
        let session = SessionService::new(Arc::clone(&services.sessions));
        let control = &services.control;
        Ok(Self {
            services: Arc::new(MainServices {
                registry: Arc::clone(&services.sessions),
                session: WorkerSessionServer::new(session)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES),
                jobs: JobsServer::new(JobsService::new(Arc::clone(control)))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_ANSWER_BYTES),
                workers: WorkersServer::new(WorkersService::new(Arc::clone(control)))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_ANSWER_BYTES),
                queues: QueuesServer::new(QueuesService::new(Arc::clone(control)))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_ANSWER_BYTES),
                admin: AdminServer::new(AdminService::new(Arc::clone(control)))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_ANSWER_BYTES),
                health: health().await,
                reflect: reflection()?,
            }),
        })
    }

    fn answer(&self, request: Request<Body>) -> Result<Answering, Status> {
        let path = request.uri().path();
        let policy = Policy::of(path).ok_or_else(|| unknown(path))?;
        let Some(peer) = request.extensions().get::<Arc<Peer>>() else {
            return Err(status::of_refusal(&Refusal::new(
                RefusalReason::Unauthenticated,
                "the connection has no peer",
            )));
        };
        let services = &self.services;
        if let Err(refusal) = policy.admit(peer, &services.registry) {
            debug!(path, address = %peer.address, %refusal, "a call was refused");
            return Err(status::of_refusal(&refusal));
        }
        let service = path.split('/').nth(1).unwrap_or_default();
        Ok(match service {
            <WorkerSessionServer<SessionService>>::NAME => services.session.clone().call(request),
            <JobsServer<JobsService>>::NAME => services.jobs.clone().call(request),
            <WorkersServer<WorkersService>>::NAME => services.workers.clone().call(request),
            <QueuesServer<QueuesService>>::NAME => services.queues.clone().call(request),
            <AdminServer<AdminService>>::NAME => services.admin.clone().call(request),
            <HealthServer<HealthService>>::NAME => services.health.clone().call(request),
            REFLECTION => (services.reflect)(request),
            _ => return Err(unknown(path)),
        })
    }
}

/// As much of a client's text as a UUID has.
fn shortened(text: &str) -> &str {
    const UUID_BYTES: usize = 36;
    text.get(..UUID_BYTES).unwrap_or(text)
}

const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

impl Service<Request<Body>> for MainDoor {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<tracing::instrument::Instrumented<Answering>, Ready<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The client's id of the request, so that its log and this one can be laid side by side. Checked later; a text
        // that is no id is escaped by the log.
        let id = request.headers().get(REQUEST_ID);
        let id = id.and_then(|id| id.to_str().ok()).map(shortened);
        let span = info_span!("rpc", path = request.uri().path(), request = id);
        match self.answer(request) {
            Ok(answering) => Either::Left(answering.instrument(span)),
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}

/// What connections without a certificate reach.
#[derive(Clone)]
pub(super) struct EnrolmentDoor {
    service: EnrollmentServer<EnrolmentService>,
}

impl EnrolmentDoor {
    pub(super) fn new(services: &Services) -> Self {
        let service = EnrolmentService::new(Arc::clone(&services.enrolment));
        Self {
            service: EnrollmentServer::new(service)
                .max_decoding_message_size(MAX_ENROLMENT_BYTES)
                .max_encoding_message_size(MAX_ENROLMENT_BYTES),
        }
    }
}

impl Service<Request<Body>> for EnrolmentDoor {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Answering, Ready<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match Policy::of(request.uri().path()) {
            Some(Policy::Stranger) => Either::Left(self.service.call(request)),
            _ => Either::Right(ready(Ok(unknown(request.uri().path()).into_http()))),
        }
    }
}

fn unknown(path: &str) -> Status {
    const SHOWN_CHARS: usize = 100;
    let path: String = path.chars().take(SHOWN_CHARS).collect();
    Status::new(
        Code::Unimplemented,
        format!("there is no method {path} here"),
    )
}

async fn health() -> HealthServer<HealthService> {
    let reporter = tonic_health::server::HealthReporter::new();
    reporter
        .set_serving::<WorkerSessionServer<SessionService>>()
        .await;
    reporter.set_serving::<JobsServer<JobsService>>().await;
    reporter
        .set_serving::<WorkersServer<WorkersService>>()
        .await;
    reporter.set_serving::<QueuesServer<QueuesService>>().await;
    reporter.set_serving::<AdminServer<AdminService>>().await;
    HealthServer::new(HealthService::from_health_reporter(reporter))
}

fn reflection() -> Result<Reflect, ServeError> {
    let server = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| ServeError::Descriptors {
            problem: error.to_string(),
        })?
        .max_decoding_message_size(MAX_ENROLMENT_BYTES);
    Ok(Box::new(move |request| server.clone().call(request)))
}
