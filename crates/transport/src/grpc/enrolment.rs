//! How a machine without a certificate asks for one.

use std::sync::Arc;

use jobyard_core::{ConnectError, EnrolRequest, Enrolled, Refusal, RefusalReason};
use rustls::ClientConfig;

use super::dial::{ConnectOptions, Dialer, InvalidEndpoint};
use super::{ALPN_ENROLMENT, channel, status};
use crate::generated::v1::enrollment_client::EnrollmentClient;
use crate::limits::MAX_ENROLMENT_BYTES;

/// The machine's side of enrolment.
#[derive(Clone, Debug)]
pub struct GrpcEnrolment {
    dialer: Dialer,
}

impl GrpcEnrolment {
    /// A way to the master at one of these addresses, each `HOST:PORT`. The configuration has to check the master
    /// against the root that the token pins: the token is sent as soon as it is satisfied.
    pub fn new(
        endpoints: Vec<String>,
        tls: &Arc<ClientConfig>,
        options: ConnectOptions,
    ) -> Result<Self, InvalidEndpoint> {
        let dialer = Dialer::new(endpoints, tls, ALPN_ENROLMENT, options)?;
        Ok(Self { dialer })
    }

    /// Asks to become a worker. A repeat with the same token and key gives the same worker, so that a lost answer
    /// does no harm. Cancel-safe in the same sense.
    pub async fn enrol(&self, request: EnrolRequest) -> Result<Enrolled, ConnectError> {
        let (stream, _) = self.dialer.dial().await?;
        let channel = channel::over(stream, self.dialer.options).await?;
        let mut client =
            EnrollmentClient::new(channel).max_decoding_message_size(MAX_ENROLMENT_BYTES);
        let answered = client.enroll(tonic::Request::new(request.into())).await;
        let answer = answered.map_err(|status| status::connect_error(&status))?;
        let enrolled = Enrolled::try_from(answer.into_inner());
        enrolled.map_err(|error| {
            let problem = format!("the master's answer cannot be read: {error}");
            Refusal::new(RefusalReason::Incompatible, problem).into()
        })
    }
}
