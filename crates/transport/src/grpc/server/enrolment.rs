//! The service of machines that want to become workers.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jobyard_core::{EnrolRequest, Enrolled, EnrolmentHandler, Refusal, RefusalReason};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::caller;
use super::failures::Failures;
use crate::generated::v1;
use crate::generated::v1::enrollment_server::Enrollment;
use crate::grpc::status;

/// Hands requests over to the master, unless their address has failed too often.
pub(super) struct EnrolmentService {
    handler: Arc<dyn EnrolmentHandler>,
    failures: Mutex<Failures>,
}

impl EnrolmentService {
    pub(super) fn new(handler: Arc<dyn EnrolmentHandler>) -> Self {
        Self {
            handler,
            failures: Mutex::default(),
        }
    }

    async fn enrol(
        &self,
        address: IpAddr,
        request: v1::EnrollRequest,
    ) -> Result<Enrolled, Refusal> {
        self.check(address)?;
        let enrolled = match EnrolRequest::try_from(request) {
            Ok(request) => self.handler.enrol(&address.to_string(), request).await,
            Err(error) => Err(status::invalid_refusal(&error)),
        };
        if let Err(refusal) = &enrolled
            && !refusal.reason.is_temporary()
        {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.note(address, Instant::now());
        }
        enrolled
    }

    fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wait) = failures.wait(address, Instant::now()) else {
            return Ok(());
        };
        let mut refusal = Refusal::new(
            RefusalReason::Exhausted,
            "too many attempts to enrol from this address have failed: wait before the next",
        );
        refusal.retry_after = Some(wait);
        Err(refusal)
    }
}

#[tonic::async_trait]
impl Enrollment for EnrolmentService {
    async fn enroll(
        &self,
        request: Request<v1::EnrollRequest>,
    ) -> Result<Response<v1::EnrollResponse>, Status> {
        let address = caller::peer(&request)?.address.ip();
        let enrolled = self.enrol(address, request.into_inner()).await;
        let enrolled = enrolled.map_err(|refusal| status::of_refusal(&refusal))?;
        Ok(Response::new(enrolled.into()))
    }
}
