//! A cluster on disk, and connections in memory.
#![expect(dead_code, reason = "every test file uses another part of this")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jobyard_core::{
    CertAuthority, Clock, IssuedChain, Now, Profile, Role, Steady, Timestamp, WorkerId,
};
use jobyard_pki::{
    Credentials, CsrKey, KeyRequest, LocalAuthority, ServerTls, issue_credentials, server_name,
};
use rcgen::KeyPair;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

/// The machine's time, moved by whole seconds. TLS looks at the machine's time, so certificates are made elsewhen.
#[derive(Debug)]
pub(crate) struct ShiftedClock(pub(crate) i64);

impl Clock for ShiftedClock {
    fn now(&self) -> Now {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let micros = i64::try_from(since.as_micros()).unwrap() + self.0 * 1_000_000;
        Now {
            wall: Timestamp::from_micros(micros),
            steady: Steady::default(),
        }
    }
}

pub(crate) const DAY: i64 = 24 * 60 * 60;

pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

/// An authority of its own, in a directory that is removed with it.
pub(crate) struct Cluster {
    pub(crate) home: tempfile::TempDir,
    pub(crate) authority: LocalAuthority,
    shift: i64,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::made(0)
    }

    /// Made `shift` seconds from now.
    pub(crate) fn made(shift: i64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let authority = open(&home.path().join("pki"), shift);
        Self {
            home,
            authority,
            shift,
        }
    }

    /// The same cluster, issuing `shift` seconds from now.
    pub(crate) fn at(self, shift: i64) -> Self {
        let authority = open(&self.dir(), shift);
        Self {
            authority,
            shift,
            ..self
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("pki")
    }

    pub(crate) fn now(&self) -> Timestamp {
        ShiftedClock(self.shift).now().wall
    }

    pub(crate) fn credentials(&self, profile: &Profile) -> Credentials {
        block_on(issue_credentials(&self.authority, profile, self.now())).unwrap()
    }

    pub(crate) fn master(&self) -> Credentials {
        self.credentials(&Profile::Master)
    }

    pub(crate) fn worker(&self) -> Credentials {
        self.credentials(&worker_profile(1))
    }

    pub(crate) fn client(&self) -> Credentials {
        self.credentials(&Profile::Client {
            name: "ada".to_owned(),
            role: Role::Admin,
        })
    }

    pub(crate) fn tls(&self) -> ServerTls {
        ServerTls::new(&self.master()).unwrap()
    }

    pub(crate) fn issue(&self, request: &KeyRequest, profile: &Profile) -> IssuedChain {
        block_on(self.authority.issue(request.request_der(), profile)).unwrap()
    }

    /// The certificate and key of one of the authority's files.
    pub(crate) fn stolen(&self, file: &str) -> (CertificateDer<'static>, KeyPair) {
        let text = std::fs::read_to_string(self.dir().join(file)).unwrap();
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap();
        (certificate, KeyPair::try_from(&key).unwrap())
    }
}

pub(crate) fn open(dir: &std::path::Path, shift: i64) -> LocalAuthority {
    LocalAuthority::open_or_create(dir, Arc::new(ShiftedClock(shift))).unwrap()
}

pub(crate) fn worker_profile(number: u128) -> Profile {
    Profile::Worker {
        id: WorkerId::from_uuid(Uuid::from_u128(number)),
    }
}

pub(crate) fn csr_key(request: &KeyRequest) -> CsrKey {
    CsrKey::from_request_der(request.request_der()).unwrap()
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Chain (roots included) and key of credentials, for peers that break the rules.
pub(crate) fn parts(
    credentials: &Credentials,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let text = credentials.to_pem();
    let chain = CertificateDer::pem_slice_iter(text.as_bytes())
        .map(Result::unwrap)
        .collect();
    (
        chain,
        PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap(),
    )
}

/// How a handshake ended at both ends.
pub(crate) struct Handshake {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
    pub(crate) client_error: Option<rustls::Error>,
    pub(crate) server_error: Option<rustls::Error>,
}

impl Handshake {
    /// Lets both ends talk until neither has anything to say.
    pub(crate) fn run(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Self {
        let client = ClientConnection::new(Arc::clone(client), server_name()).unwrap();
        let server = ServerConnection::new(Arc::clone(server)).unwrap();
        let mut this = Self {
            client,
            server,
            client_error: None,
            server_error: None,
        };
        while this.client.wants_write() || this.server.wants_write() {
            this.step();
        }
        this
    }

    fn step(&mut self) {
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        while self.client.wants_write() {
            self.client.write_tls(&mut to_server).unwrap();
        }
        if self.server_error.is_none() && !to_server.is_empty() {
            let mut bytes = to_server.as_slice();
            while !bytes.is_empty() {
                self.server.read_tls(&mut bytes).unwrap();
            }
            self.server_error = self.server.process_new_packets().err();
        }
        while self.server.wants_write() {
            self.server.write_tls(&mut to_client).unwrap();
        }
        if self.client_error.is_none() && !to_client.is_empty() {
            let mut bytes = to_client.as_slice();
            while !bytes.is_empty() {
                self.client.read_tls(&mut bytes).unwrap();
            }
            self.client_error = self.client.process_new_packets().err();
        }
    }

    #[track_caller]
    pub(crate) fn expect_success(&self) {
        assert_eq!((&self.client_error, &self.server_error), (&None, &None));
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
    }

    /// The server let nobody in, and said so.
    #[track_caller]
    pub(crate) fn expect_server_refuses(&self) -> &rustls::Error {
        assert!(
            self.server.is_handshaking(),
            "the server's handshake is not over"
        );
        self.server_error.as_ref().unwrap()
    }

    /// The client broke off during the handshake: it never could have sent anything of its own.
    #[track_caller]
    pub(crate) fn expect_client_refuses(&self) -> &rustls::Error {
        assert!(
            self.client.is_handshaking(),
            "the client's handshake is not over"
        );
        self.client_error.as_ref().unwrap()
    }
}
