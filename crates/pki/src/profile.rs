//! The file with which a person or a program reaches a master.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::credentials::{Credentials, CredentialsError};
use crate::private_file::{self, PrivateFileError};

/// How many masters one profile names at most: a cluster has a leader and a few standbys.
pub const MAX_PROFILE_MASTERS: usize = 16;

/// The longest address of a master, in bytes: a host name has at most 253, and a port.
pub const MAX_MASTER_BYTES: usize = 272;

/// Where the masters are, and what makes their client a client. Whoever has the file *is* that client, so it is
/// written with mode 0600, and one that others can read is refused.
///
/// ```toml
/// masters = ["ci.example.org:7411"]
/// credentials = """
/// -----BEGIN CERTIFICATE-----
/// ...
/// """
/// ```
#[derive(Clone, Debug)]
pub struct ClientProfile {
    masters: Vec<String>,
    credentials: Credentials,
}

impl ClientProfile {
    /// A profile for masters given as `host:port`.
    pub fn new(masters: Vec<String>, credentials: Credentials) -> Result<Self, InvalidMasters> {
        check_masters(&masters)?;
        Ok(Self {
            masters,
            credentials,
        })
    }

    /// Where the masters listen, as `host:port`; at least one.
    pub fn masters(&self) -> &[String] {
        &self.masters
    }

    /// What the client shows to them.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Writes the file whole, with mode 0600. On return it is durable; after a crash or an error there is either the
    /// new file or what was there before. Blocks on the disk.
    pub fn save(&self, path: &Path) -> Result<(), PrivateFileError> {
        let pem = self.credentials.to_pem();
        // Reserved in full, so that no copy of the key is left behind by growing.
        let room = pem.len() + self.masters.len() * (MAX_MASTER_BYTES + 8) + HEADING.len() + 64;
        let mut text = Zeroizing::new(String::with_capacity(room));
        text.push_str(HEADING);
        text.push_str("masters = [");
        for (at, master) in self.masters.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            // The characters of an address need no escapes.
            let _ = write!(text, "{separator}\"{master}\"");
        }
        text.push_str("]\ncredentials = \"\"\"\n");
        text.push_str(&pem);
        text.push_str("\"\"\"\n");
        private_file::write(path, &text)
    }

    /// Reads a profile. Keys that it does not know are an error, so that a misspelt one is not ignored. Blocks on the
    /// disk.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let text = private_file::read(path)?.ok_or_else(|| ProfileError::Missing {
            path: path.to_owned(),
        })?;
        let file: ProfileFile = toml::from_str(&text).map_err(|error| ProfileError::Syntax {
            path: path.to_owned(),
            line: error.span().map_or(1, |span| line_of(&text, span.start)),
            // Only the message: the error as a whole quotes the file, and the file holds a key.
            problem: error.message().trim().to_owned(),
        })?;
        let pem = Zeroizing::new(file.credentials);
        let credentials =
            Credentials::from_pem(&pem).map_err(|problem| ProfileError::Credentials {
                path: path.to_owned(),
                problem,
            })?;
        Self::new(file.masters, credentials).map_err(|problem| ProfileError::Masters {
            path: path.to_owned(),
            problem,
        })
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// There is no such file.
    #[error("there is no profile {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be read, or others can read it. The operator's matter.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It is no profile: its author has to mend it.
    #[error("{}, line {line}: {problem}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Its list of masters is not usable.
    #[error("{}: masters: {problem}", path.display())]
    Masters {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: InvalidMasters,
    },
    /// Its certificates and key are not usable. Get a new profile.
    #[error("{}: {problem}", path.display())]
    Credentials {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: CredentialsError,
    },
}

/// Why a list of masters is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMasters {
    /// None, or more than [`MAX_PROFILE_MASTERS`].
    #[error("there are {count} addresses: give 1 to {MAX_PROFILE_MASTERS}")]
    Number {
        /// How many.
        count: usize,
    },
    /// Not `host:port`.
    #[error("{address:?} is no address: write it as host:port, for example ci.example.org:7411")]
    Address {
        /// What it says.
        address: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    masters: Vec<String>,
    credentials: String,
}

fn check_masters(masters: &[String]) -> Result<(), InvalidMasters> {
    if masters.is_empty() || masters.len() > MAX_PROFILE_MASTERS {
        return Err(InvalidMasters::Number {
            count: masters.len(),
        });
    }
    match masters.iter().find(|address| !is_address(address)) {
        Some(address) => Err(InvalidMasters::Address {
            address: address.chars().take(MAX_MASTER_BYTES).collect(),
        }),
        None => Ok(()),
    }
}

fn is_address(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%');
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    text.len() <= MAX_MASTER_BYTES
        && !host.is_empty()
        && text.chars().all(allowed)
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.split(|byte| *byte == b'\n').count()
}

const HEADING: &str =
    "# A client profile of Jobyard. It holds a private key: whoever has it may do what you may.\n";
