//! Who may call which method: one table, checked against the services when the server is made.

use std::collections::BTreeSet;

use jobyard_core::{PeerIdentity, Refusal, RefusalReason, SessionHandler};
use prost::Message;
use prost_types::FileDescriptorSet;

use super::accept::name_of;
use super::connection::Peer;
use super::serve::ServeError;
use crate::generated::DESCRIPTORS;
use crate::link::Membership;
use std::sync::Arc;

/// Whom a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Workers of the cluster.
    Worker,
    /// People and programs; what they may do is decided behind [`Control`](jobyard_core::Control).
    Client,
    /// Both.
    Member,
    /// Machines without a certificate, at the other door. Nobody at this one.
    Stranger,
}

/// Every method of every service.
const TABLE: &[(&str, Policy)] = &[
    ("/jobyard.v1.Enrollment/Enroll", Policy::Stranger),
    ("/jobyard.v1.WorkerSession/Connect", Policy::Worker),
    ("/jobyard.v1.WorkerSession/Upload", Policy::Worker),
    ("/jobyard.v1.Jobs/Submit", Policy::Client),
    ("/jobyard.v1.Jobs/Get", Policy::Client),
    ("/jobyard.v1.Jobs/List", Policy::Client),
    ("/jobyard.v1.Jobs/Wait", Policy::Client),
    ("/jobyard.v1.Jobs/Stop", Policy::Client),
    ("/jobyard.v1.Jobs/Logs", Policy::Client),
    ("/jobyard.v1.Jobs/Explain", Policy::Client),
    ("/jobyard.v1.Jobs/Retry", Policy::Client),
    ("/jobyard.v1.Workers/List", Policy::Client),
    ("/jobyard.v1.Workers/Get", Policy::Client),
    ("/jobyard.v1.Workers/Set", Policy::Client),
    ("/jobyard.v1.Workers/CreateToken", Policy::Client),
    ("/jobyard.v1.Workers/ListTokens", Policy::Client),
    ("/jobyard.v1.Workers/RevokeToken", Policy::Client),
    ("/jobyard.v1.Queues/List", Policy::Client),
    ("/jobyard.v1.Queues/Set", Policy::Client),
    ("/jobyard.v1.Admin/Status", Policy::Client),
    ("/jobyard.v1.Admin/Audit", Policy::Client),
    ("/jobyard.v1.Admin/Events", Policy::Client),
    ("/grpc.health.v1.Health/Check", Policy::Member),
    ("/grpc.health.v1.Health/Watch", Policy::Member),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Policy::Member,
    ),
];

impl Policy {
    /// The policy of a method, by the path of its requests.
    pub(super) fn of(path: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|(method, _)| *method == path)
            .map(|(_, policy)| *policy)
    }

    /// Whether this peer may call a method of this policy now.
    pub(super) fn admit(
        self,
        peer: &Peer,
        registry: &Arc<dyn SessionHandler>,
    ) -> Result<(), Refusal> {
        let identity = peer
            .identity
            .as_ref()
            .map_err(|error| Refusal::new(RefusalReason::Unauthenticated, error.to_string()))?;
        match (self, identity) {
            (Self::Worker | Self::Member, PeerIdentity::Worker { id, .. }) => {
                Membership::new(Arc::clone(registry), *id).check()
            }
            (Self::Client | Self::Member, PeerIdentity::Client { .. }) => Ok(()),
            _ => Err(Refusal::new(
                RefusalReason::Forbidden,
                format!(
                    "{} may not call this: it is for {}",
                    name_of(identity),
                    self.audience()
                ),
            )),
        }
    }

    fn audience(self) -> &'static str {
        match self {
            Self::Worker => "workers",
            Self::Client => "clients",
            Self::Member => "workers and clients",
            Self::Stranger => "machines without a certificate",
        }
    }
}

/// Fails if a method of a service has no policy, or a policy no method.
pub(super) fn check_table() -> Result<(), ServeError> {
    let methods = methods_of(&[
        DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ])?;
    let declared: BTreeSet<String> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
    match methods.symmetric_difference(&declared).next() {
        Some(method) => Err(ServeError::Policy {
            method: method.clone(),
        }),
        None if declared.len() == TABLE.len() => Ok(()),
        None => Err(ServeError::Policy {
            method: "one that is listed twice".to_owned(),
        }),
    }
}

/// The paths of all methods in these descriptors.
fn methods_of(descriptors: &[&[u8]]) -> Result<BTreeSet<String>, ServeError> {
    let mut methods = BTreeSet::new();
    for bytes in descriptors {
        let set = FileDescriptorSet::decode(*bytes).map_err(|error| ServeError::Descriptors {
            problem: error.to_string(),
        })?;
        for file in set.file {
            let package = file.package().to_owned();
            for service in &file.service {
                let paths = service
                    .method
                    .iter()
                    .map(|method| format!("/{package}.{}/{}", service.name(), method.name()));
                methods.extend(paths);
            }
        }
    }
    Ok(methods)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// XA10
    #[test]
    fn every_method_has_a_policy() {
        check_table().unwrap();
    }

    #[test]
    fn a_method_without_a_policy_has_nobody() {
        assert_eq!(Policy::of("/jobyard.v1.Jobs/Delete"), None);
        assert_eq!(Policy::of(""), None);
    }
}
