//! Machines that want to become workers.

use async_trait::async_trait;
use jobyard_core::{
    CertAuthority, EnrolRequest, Enrolled, EnrolmentHandler, IssueError, Profile, Refusal,
    RefusalReason, WorkerId,
};
use jobyard_pki::{CsrKey, Denial, JoinToken};
use tracing::{info, warn};
use uuid::Uuid;

use super::master::Master;
use crate::engine::{Answer, Input, Joining};

#[async_trait]
impl EnrolmentHandler for Master {
    async fn enrol(&self, address: &str, request: EnrolRequest) -> Result<Enrolled, Refusal> {
        // The proof that the key is theirs comes first: a bad request must not consume a use of the token.
        let key = CsrKey::from_request_der(&request.certificate_request).map_err(|problem| {
            Refusal::new(
                RefusalReason::Invalid,
                format!("the certificate request cannot be used: {problem}"),
            )
        })?;
        let Ok(token) = JoinToken::parse(request.token.expose().trim()) else {
            return Err(self.refuse_unreadable(address).await);
        };
        let (reply, answer) = self.shared.replies.expect();
        let joining = Joining {
            reply,
            address: address.to_owned(),
            token: token.id().as_str().to_owned(),
            secret: token.secret().clone(),
            key: key.spki_hash(),
            name: request.name,
            facts: request.facts,
            fresh: WorkerId::from_uuid(Uuid::now_v7()),
        };
        let told = self
            .shared
            .inbox
            .tell(Input::Enrol(Box::new(joining)))
            .await;
        told.map_err(|problem| unavailable(&problem))?;
        match answer.await {
            Ok(Answer::Enrolled { worker, name }) => {
                self.sign(worker, name, &request.certificate_request).await
            }
            Ok(Answer::Denied(refusal)) => {
                warn!(address, "enrolment refused");
                Err(refusal)
            }
            Ok(_) | Err(_) => Err(unavailable(&"the master is starting anew; try again")),
        }
    }
}

impl Master {
    /// Makes a worker inside this program a member, without token and certificate: the program vouches for it. The same
    /// name gives the same worker again, also after a restart. Connect it through an in-process transport.
    ///
    /// # Errors
    ///
    /// When the name cannot be used, or a worker that joined over the network has it.
    pub async fn admit_local(&self, name: &str) -> Result<WorkerId, Refusal> {
        let (reply, answer) = self.shared.replies.expect();
        let fresh = WorkerId::from_uuid(Uuid::now_v7());
        let input = Input::AdmitLocal {
            reply,
            name: name.to_owned(),
            fresh,
        };
        self.shared
            .inbox
            .tell(input)
            .await
            .map_err(|problem| unavailable(&problem))?;
        match answer.await {
            Ok(Answer::Enrolled { worker, .. }) => Ok(worker),
            Ok(Answer::Denied(refusal)) => Err(refusal),
            Ok(_) | Err(_) => Err(unavailable(&"the master is starting anew; try again")),
        }
    }

    /// The worker and the use of its token are durable: now its key is signed.
    async fn sign(
        &self,
        worker: WorkerId,
        name: String,
        request_der: &[u8],
    ) -> Result<Enrolled, Refusal> {
        let authority: &dyn CertAuthority = &*self.shared.config.authority;
        let chain = authority
            .issue(request_der, &Profile::Worker { id: worker })
            .await;
        let chain = chain.map_err(|problem| match problem {
            IssueError::BadRequest { .. } => {
                Refusal::new(RefusalReason::Invalid, problem.to_string())
            }
            _ => unavailable(&problem),
        })?;
        info!(%worker, name, serial = %chain.serial, "worker enrolled");
        let roots = authority.trust_bundle().roots;
        Ok(Enrolled::new(worker, name, chain.certificates, roots))
    }

    /// A word that is no token at all is refused like any other bad token.
    async fn refuse_unreadable(&self, address: &str) -> Refusal {
        let refused = Input::Refused {
            who: address.to_owned(),
            action: "enrol".to_owned(),
            subject: "token".to_owned(),
            cause: "the word is no join token".to_owned(),
        };
        let _ = self.shared.inbox.tell(refused).await;
        Refusal::new(RefusalReason::Unauthenticated, Denial::PUBLIC_TEXT)
    }
}

fn unavailable(problem: &dyn ToString) -> Refusal {
    Refusal::new(RefusalReason::Unavailable, problem.to_string())
}
