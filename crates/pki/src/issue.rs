//! Credentials for somebody who is on the same side as the authority.

use jobyard_core::{CertAuthority, IssueError, Profile, Timestamp};

use crate::credentials::{Credentials, CredentialsError};
use crate::key_request::{KeyRequest, KeyRequestError};

/// Makes a key and has it certified: for the master itself, and for the first operator. Everybody else makes a
/// key where it is used, and sends a request. Cancel-safe: without the result nothing can be used.
pub async fn issue_credentials(
    authority: &dyn CertAuthority,
    profile: &Profile,
    now: Timestamp,
) -> Result<Credentials, IssueCredentialsError> {
    let request = KeyRequest::generate()?;
    let issued = authority.issue(request.request_der(), profile).await?;
    let roots = authority.trust_bundle().roots;
    Ok(request.complete(&issued.certificates, &roots, now)?)
}

/// Why no credentials were made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueCredentialsError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyRequestError),
    /// The authority refused.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// What the authority gave is not usable now: most likely its own certificates have expired.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}
