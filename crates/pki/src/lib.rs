//! Trust in Jobyard: who is who, how a stranger becomes a worker, and how every connection is secured.
//!
//! # Theory of operation
//!
//! A cluster has one root and two intermediates, made by [`LocalAuthority`] when a master starts for the first
//! time: one signs the master's certificates, the other those of workers and people. A leaf carries exactly one
//! name, a URI such as `spiffe://CLUSTER/worker/ID`, and exactly one purpose, so that no certificate can stand in
//! for another kind. [`ClusterAuthenticator`] reads it back and refuses everything else. Host names count nowhere.
//!
//! A worker joins with a [`JoinToken`]: one printable word with an id, a secret, and the fingerprint of the root.
//!
//! 1. It makes a key and a request ([`KeyRequest`]); the key never leaves it.
//! 2. It connects with [`enrolment_client_config`], which refuses any server whose chain does not end in the
//!    pinned root, *before* the secret is sent.
//! 3. The master checks the request's proof of possession ([`CsrKey`]) and then the token ([`TokenRecord::admit`]):
//!    a pure function, whose result the master commits before it signs anything.
//! 4. The worker checks what it was given ([`KeyRequest::complete`]) and keeps it ([`Credentials::save`]).
//!
//! From then on both ends use mutual TLS ([`ServerTls`], [`client_config`]): version 1.3 only, no resumption, no
//! early data, one crypto provider that is passed explicitly.
//!
//! Renewal, rotation of the root and revocation lists do not exist here; an authority that is asked to rotate
//! refuses.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use jobyard_core::{Clock, Now, Steady, Timestamp};
//! use jobyard_pki::{JoinToken, LocalAuthority};
//!
//! #[derive(Debug)]
//! struct Fixed;
//! impl Clock for Fixed {
//!     fn now(&self) -> Now {
//!         Now { wall: Timestamp::from_micros(1_800_000_000_000_000), steady: Steady::from_micros(0) }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = tempfile::tempdir()?;
//! let authority = LocalAuthority::open_or_create(&data.path().join("pki"), Arc::new(Fixed))?;
//! let token = JoinToken::mint(vec![authority.root_pin()])?;
//! let word = token.expose();
//! assert_eq!(JoinToken::parse(&word)?.id(), token.id());
//! assert_eq!(format!("{token:?}"), format!("jyt1.{}.***", token.id()));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod authority;
mod base32;
mod chain;
mod credentials;
mod csr;
mod digest;
mod enrolment;
mod identity;
mod issue;
mod key_request;
mod pem;
mod private_file;
mod profile;
mod random;
mod spiffe;
mod tls;
mod token;

pub use authority::{
    AUTHORITY_LIFETIME, BACKDATE, CLIENT_LIFETIME, LocalAuthority, OpenAuthorityError,
    ROOT_LIFETIME, SERVER_LIFETIME,
};
pub use credentials::{Credentials, CredentialsError, LoadCredentialsError};
pub use csr::{CsrError, CsrKey};
pub use digest::SpkiHash;
pub use enrolment::{Admission, Denial, InvalidTerms, MAX_TOKEN_TAGS, TokenRecord};
pub use identity::ClusterAuthenticator;
pub use issue::{IssueCredentialsError, issue_credentials};
pub use key_request::{KeyRequest, KeyRequestError};
pub use private_file::PrivateFileError;
pub use profile::{
    ClientProfile, InvalidMasters, MAX_MASTER_BYTES, MAX_PROFILE_MASTERS, ProfileError,
};
pub use random::NoRandomness;
pub use tls::{
    ALPN_ENROLL, ALPN_H2, Door, ServerTls, TlsConfigError, client_config, enrolment_client_config,
    master_of_chain, server_name,
};
pub use token::{
    InvalidTokenId, JoinSecret, JoinToken, MAX_PINS, MAX_TOKEN_CHARS, RootPin, SecretHash,
    TOKEN_ENTROPY_BYTES, TokenError, TokenId,
};
