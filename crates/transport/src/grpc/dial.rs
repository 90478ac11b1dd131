//! Reaching a master: TCP, TLS, and the first word of the other side.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::ConnectError;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::AsyncBufReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::limits::{CONNECT_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};

/// The name that every client says it looks for. What counts is the master's certificate, which the configuration
/// checks by its root and its URI; host names and addresses do not count.
const SERVER_NAME: &str = "jobyard";

/// How many addresses of one host name are tried.
const MAX_ADDRESSES: usize = 16;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// How long one address may take, TLS included, before the next is tried.
    pub connect_timeout: Duration,
    /// How long a connection is quiet before the master is asked whether it is there.
    pub keepalive_interval: Duration,
    /// How long the master may take to say so before the connection is given up.
    pub keepalive_timeout: Duration,
}

impl Default for ConnectOptions {
    /// 5 s each.
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
        }
    }
}

/// A text that is not the address of a master. Its author has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// No address at all.
    #[error("no address of a master was given")]
    None,
    /// Not a host and a port.
    #[error("{endpoint:?} is no address of a master: write HOST:PORT")]
    Malformed {
        /// The text.
        endpoint: String,
    },
}

/// Where the master is and how to speak to it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    endpoints: Arc<[String]>,
    tls: Arc<ClientConfig>,
    pub(crate) options: ConnectOptions,
}

impl Dialer {
    /// Speaks this protocol, whatever protocols the configuration names.
    pub(crate) fn new(
        endpoints: Vec<String>,
        tls: &ClientConfig,
        protocol: &[u8],
        options: ConnectOptions,
    ) -> Result<Self, InvalidEndpoint> {
        if endpoints.is_empty() {
            return Err(InvalidEndpoint::None);
        }
        for endpoint in &endpoints {
            check(endpoint)?;
        }
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        Ok(Self {
            endpoints: endpoints.into(),
            tls: Arc::new(tls),
            options,
        })
    }

    /// Connects to the first address that answers as it should, and says which.
    pub(crate) async fn dial(&self) -> Result<(TlsStream<TcpStream>, SocketAddr), ConnectError> {
        let mut failures = Failures::default();
        for endpoint in &*self.endpoints {
            let addresses = match timeout(self.options.connect_timeout, lookup_host(endpoint)).await
            {
                Ok(Ok(addresses)) => addresses,
                Ok(Err(error)) => {
                    failures.unreachable(endpoint, &error);
                    continue;
                }
                Err(_) => {
                    failures.unreachable(endpoint, &"its name was not resolved in time");
                    continue;
                }
            };
            for address in addresses.take(MAX_ADDRESSES) {
                match self.dial_address(address).await {
                    Ok(stream) => return Ok((stream, address)),
                    Err(error) => failures.add(error),
                }
            }
        }
        Err(failures.into_error())
    }

    /// Connects to this address.
    pub(crate) async fn dial_address(
        &self,
        address: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        match timeout(self.options.connect_timeout, self.open(address)).await {
            Ok(opened) => opened,
            Err(_) => Err(unreachable_at(address, &"it did not answer in time")),
        }
    }

    async fn open(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, ConnectError> {
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        let stream = connect
            .await
            .map_err(|error| unreachable_at(address, &error))?;
        let name = ServerName::try_from(SERVER_NAME).expect("the fixed name is a DNS name");
        let failed = |error: io::Error| tls_error(address, &error);
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let mut stream = connector.connect(name, stream).await.map_err(failed)?;
        // In TLS 1.3 the client is done before the server has looked at its certificate: only the server's first
        // bytes (an HTTP/2 server speaks first) tell that it was accepted, or an alert that it was not.
        let first = stream.fill_buf().await.map_err(failed)?;
        if first.is_empty() {
            return Err(unreachable_at(address, &"it closed the connection"));
        }
        Ok(stream)
    }
}

fn check(endpoint: &str) -> Result<(), InvalidEndpoint> {
    let sound = endpoint
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if sound {
        return Ok(());
    }
    Err(InvalidEndpoint::Malformed {
        endpoint: endpoint.to_owned(),
    })
}

fn unreachable_at(
    address: impl std::fmt::Display,
    problem: &dyn std::fmt::Display,
) -> ConnectError {
    ConnectError::Unreachable {
        problem: format!("{address}: {problem}"),
    }
}

/// Tells broken connections from broken trust.
fn tls_error(address: SocketAddr, error: &io::Error) -> ConnectError {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause.and_then(distrust) {
        Some(problem) => ConnectError::Untrusted {
            problem: format!("{address}: {problem}"),
        },
        None => unreachable_at(address, error),
    }
}

fn distrust(error: &rustls::Error) -> Option<String> {
    use rustls::AlertDescription as Alert;
    use rustls::Error;

    Some(match error {
        Error::InvalidCertificate(problem) => {
            format!("the certificate that the master shows was refused: {problem}")
        }
        Error::AlertReceived(Alert::CertificateRequired) => {
            "the master asks for a certificate and this side has none".to_owned()
        }
        Error::AlertReceived(Alert::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            "the other end speaks TLS and is no Jobyard master".to_owned()
        }
        Error::AlertReceived(Alert::CertificateExpired) => {
            "the master says that this side's certificate is out of date".to_owned()
        }
        Error::AlertReceived(alert) => {
            format!("the master refused this side's certificate or its hello: {alert:?}")
        }
        Error::PeerIncompatible(problem) => format!("no common version of TLS: {problem:?}"),
        Error::InvalidMessage(_) => "the other end does not speak TLS".to_owned(),
        _ => return None,
    })
}

/// Why no address would do. Broken trust says more than silence.
#[derive(Default)]
struct Failures {
    untrusted: Option<String>,
    unreachable: Vec<String>,
}

impl Failures {
    fn unreachable(&mut self, endpoint: &str, problem: &dyn std::fmt::Display) {
        self.unreachable.push(format!("{endpoint}: {problem}"));
    }

    fn add(&mut self, error: ConnectError) {
        match error {
            ConnectError::Untrusted { problem } => self.untrusted = Some(problem),
            ConnectError::Unreachable { problem } => self.unreachable.push(problem),
            other => self.unreachable.push(other.to_string()),
        }
    }

    fn into_error(self) -> ConnectError {
        match self.untrusted {
            Some(problem) => ConnectError::Untrusted { problem },
            None => ConnectError::Unreachable {
                problem: self.unreachable.join("; "),
            },
        }
    }
}
