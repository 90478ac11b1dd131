//! Which TLS configuration a connection gets.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ClientHello;

use crate::grpc::{ALPN_ENROLMENT, ALPN_MAIN};

/// Gives the configuration that the next handshake uses. Called for each connection: cheap, never blocks.
pub type TlsConfigSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// The two configurations of a master's one port. Each has to name its own protocol (`h2`, `jobyard-enroll`) and no
/// other; a connection that ends up with another protocol is closed.
#[derive(Clone)]
pub struct ServerTls {
    main: TlsConfigSource,
    enrolment: TlsConfigSource,
}

impl ServerTls {
    /// Configurations that may be replaced while the master runs. `main` has to demand a certificate, `enrolment`
    /// must not.
    pub fn new(main: TlsConfigSource, enrolment: TlsConfigSource) -> Self {
        Self { main, enrolment }
    }

    /// Configurations that stay as they are, or that replace their certificates by themselves.
    pub fn fixed(main: Arc<ServerConfig>, enrolment: Arc<ServerConfig>) -> Self {
        Self::new(
            Arc::new(move || Arc::clone(&main)),
            Arc::new(move || Arc::clone(&enrolment)),
        )
    }

    pub(super) fn config(&self, door: DoorKind) -> Arc<ServerConfig> {
        match door {
            DoorKind::Main => (self.main)(),
            DoorKind::Enrolment => (self.enrolment)(),
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DoorKind {
    /// Everything but enrolment.
    Main,
    /// Enrolment and nothing else.
    Enrolment,
}

impl DoorKind {
    /// Whoever offers the main protocol is asked for a certificate, whatever else it offers. Nobody else but those who
    /// enrol is let in.
    pub(super) fn of(hello: &ClientHello<'_>) -> Option<Self> {
        let offers = |wanted| {
            hello
                .alpn()
                .is_some_and(|mut offered| offered.any(|protocol| protocol == wanted))
        };
        if offers(ALPN_MAIN) {
            Some(Self::Main)
        } else if offers(ALPN_ENROLMENT) {
            Some(Self::Enrolment)
        } else {
            None
        }
    }

    pub(super) fn protocol(self) -> &'static [u8] {
        match self {
            Self::Main => ALPN_MAIN,
            Self::Enrolment => ALPN_ENROLMENT,
        }
    }
}
