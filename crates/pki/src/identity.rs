//! Reading the identity out of a leaf, strictly.

use bytes::Bytes;
use jobyard_core::{Authenticator, CertSerial, ClusterId, IdentityError, PeerIdentity};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::chain::Purpose;
use crate::spiffe::{Holder, SpiffeName};

/// Accepts the leaves that the authority of one cluster writes, and nothing else.
///
/// It looks at the leaf alone; whoever calls it has verified the chain.
#[derive(Clone, Copy, Debug)]
pub struct ClusterAuthenticator {
    cluster: ClusterId,
}

impl ClusterAuthenticator {
    /// For peers of `cluster`.
    pub const fn new(cluster: ClusterId) -> Self {
        Self { cluster }
    }

    pub(crate) fn identify_leaf(&self, leaf: &[u8]) -> Result<PeerIdentity, IdentityError> {
        let identity = read_leaf(leaf)?;
        if cluster_of(&identity) == Some(self.cluster) {
            Ok(identity)
        } else {
            Err(unacceptable("it belongs to another cluster"))
        }
    }
}

impl Authenticator for ClusterAuthenticator {
    fn identify(&self, chain: &[Bytes]) -> Result<PeerIdentity, IdentityError> {
        self.identify_leaf(chain.first().ok_or(IdentityError::Missing)?)
    }
}

/// Reads a leaf of any cluster. What is demanded is exactly what
/// [`LocalAuthority`](crate::LocalAuthority) writes: the purpose that fits the name, one URI, no CA, no extension
/// that it does not know.
pub(crate) fn read_leaf(der: &[u8]) -> Result<PeerIdentity, IdentityError> {
    let (rest, leaf) =
        X509Certificate::from_der(der).map_err(|_| unacceptable("it is malformed"))?;
    if !rest.is_empty() {
        return Err(unacceptable("bytes follow it"));
    }
    check_form(&leaf)?;
    let purpose = purpose(&leaf)?;
    let name = name(&leaf)?;
    let serial = CertSerial::from_bytes(leaf.raw_serial());
    let cluster = name.cluster;
    match (name.holder, purpose) {
        (Holder::Master, Purpose::Server) => Ok(PeerIdentity::Master { cluster }),
        (Holder::Worker(id), Purpose::Client) => Ok(PeerIdentity::Worker {
            cluster,
            id,
            serial,
        }),
        (Holder::Client { role, name }, Purpose::Client) => Ok(PeerIdentity::Client {
            cluster,
            name,
            role,
            serial,
        }),
        _ => Err(unacceptable("its purpose does not fit its name")),
    }
}

/// The cluster that an identity belongs to; `None` for a kind that this crate does not know.
pub(crate) fn cluster_of(identity: &PeerIdentity) -> Option<ClusterId> {
    match identity {
        PeerIdentity::Master { cluster }
        | PeerIdentity::Worker { cluster, .. }
        | PeerIdentity::Client { cluster, .. } => Some(*cluster),
        _ => None,
    }
}

/// Version, set of extensions, CA flag and key usage.
fn check_form(leaf: &X509Certificate<'_>) -> Result<(), IdentityError> {
    if leaf.version() != X509Version::V3 {
        return Err(unacceptable("it is not of version 3"));
    }
    let known = [
        OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_EXTENDED_KEY_USAGE,
        OID_X509_EXT_KEY_USAGE,
        OID_X509_EXT_SUBJECT_ALT_NAME,
        OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
    ];
    if leaf
        .iter_extensions()
        .any(|extension| !known.contains(&extension.oid))
    {
        return Err(unacceptable("it has an extension that is not ours"));
    }
    let constraints = leaf.basic_constraints().ok().flatten();
    if constraints.is_none_or(|found| found.value.ca || found.value.path_len_constraint.is_some()) {
        return Err(unacceptable("it does not say that it is no authority"));
    }
    let usage = leaf.key_usage().ok().flatten();
    if usage.is_none_or(|found| found.value.flags != DIGITAL_SIGNATURE) {
        return Err(unacceptable("its key usage is not just digital signature"));
    }
    Ok(())
}

/// The one extended key usage.
pub(crate) fn purpose(leaf: &X509Certificate<'_>) -> Result<Purpose, IdentityError> {
    let usage = leaf
        .extended_key_usage()
        .ok()
        .flatten()
        .ok_or_else(|| unacceptable("it does not state one purpose"))?
        .value;
    let ExtendedKeyUsage {
        any: false,
        code_signing: false,
        email_protection: false,
        time_stamping: false,
        ocsp_signing: false,
        server_auth,
        client_auth,
        other,
    } = usage
    else {
        return Err(unacceptable("it has a foreign purpose"));
    };
    match (server_auth, client_auth, other.is_empty()) {
        (true, false, true) => Ok(Purpose::Server),
        (false, true, true) => Ok(Purpose::Client),
        _ => Err(unacceptable("it does not have exactly one purpose")),
    }
}

/// The one URI.
fn name(leaf: &X509Certificate<'_>) -> Result<SpiffeName, IdentityError> {
    let names = leaf
        .subject_alternative_name()
        .ok()
        .flatten()
        .ok_or_else(|| unacceptable("it has no name"))?
        .value;
    let [GeneralName::URI(uri)] = names.general_names[..] else {
        return Err(unacceptable("it does not have exactly one URI as its name"));
    };
    SpiffeName::parse(uri).ok_or_else(|| unacceptable("its name is not of this cluster's form"))
}

const fn unacceptable(problem: &'static str) -> IdentityError {
    IdentityError::Unacceptable { problem }
}

/// The flags of a key usage with digital signature alone, as the parser gives them.
const DIGITAL_SIGNATURE: u16 = 1;
