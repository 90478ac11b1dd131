//! Peers that do not speak as they should.

#![expect(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the test files share a master; each uses a part of it, and a failure there is one of the test"
)]

mod support;

use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use jobyard_core::Role;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use support::authority::Authority;
use support::{Master, QuietSessions, soon, worker_id};

async fn tls(
    master: &Master,
    config: &Arc<ClientConfig>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(master.address).await?;
    let name = ServerName::try_from("jobyard").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn channel(master: &Master, config: &Arc<ClientConfig>, protocol: &[u8]) -> Channel {
    let stream = tls(master, config, protocol).await.unwrap();
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take().map(TokioIo::new);
        async move { stream.ok_or_else(|| std::io::Error::other("used")) }
    });
    let endpoint = Endpoint::from_static("http://jobyard");
    endpoint.connect_with_connector(connector).await.unwrap()
}

/// Reads until the other side closes.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut bytes = Vec::new();
    // An alert, a reset or nothing: what counts is that it ends.
    let _ = stream.read_to_end(&mut bytes).await;
    assert!(bytes.len() < 64, "it talks: {bytes:?}");
}

#[tokio::test]
async fn workers_are_served_while_the_threads_of_clients_are_busy() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let clients = threads.handle().clone();
    let master = Master::start_with(
        Arc::new(Authority::new()),
        Arc::new(QuietSessions),
        |server| server.with_clients_on(clients),
    )
    .await;
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let (say, begun) = tokio::sync::oneshot::channel();
    threads.spawn(async move {
        say.send(()).unwrap();
        let _ = held.recv();
    });
    soon(begun).await.unwrap();

    let ask = |config: Arc<ClientConfig>| {
        let master = &master;
        async move {
            let mut health = HealthClient::new(channel(master, &config, b"h2").await);
            let request = HealthCheckRequest::default();
            let answer = health.check(request).await.unwrap();
            assert_eq!(answer.into_inner().status, 1);
        }
    };
    let mut client = Box::pin(ask(master.authority.client("anna", Role::Viewer)));
    tokio::select! {
        biased;
        () = &mut client => panic!("a client is served by the thread that is busy"),
        () = soon(ask(master.authority.worker(worker_id()))) => {}
    }
    let_go.send(()).unwrap();
    soon(client).await;
    threads.shutdown_background();
}

#[tokio::test]
async fn health_answers_members_and_clients() {
    let master = Master::quiet().await;
    for config in [
        master.authority.worker(worker_id()),
        master.authority.client("anna", Role::Viewer),
    ] {
        let mut health = HealthClient::new(channel(&master, &config, b"h2").await);
        for service in ["", "jobyard.v1.Jobs"] {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let answer = soon(health.check(request)).await.unwrap();
            assert_eq!(answer.into_inner().status, 1, "{service} is serving");
        }
    }
}

#[tokio::test]
async fn reflection_names_the_services() {
    let master = Master::quiet().await;
    let config = master.authority.client("anna", Role::Viewer);
    let mut reflection = ServerReflectionClient::new(channel(&master, &config, b"h2").await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures_util::stream::iter([request]);
    let answers = soon(reflection.server_reflection_info(requests)).await;
    let answer = soon(answers.unwrap().into_inner().message()).await;
    let Some(MessageResponse::ListServicesResponse(list)) =
        answer.unwrap().unwrap().message_response
    else {
        panic!("it lists services");
    };
    let names: Vec<_> = list.service.into_iter().map(|it| it.name).collect();
    assert!(
        names.contains(&"jobyard.v1.WorkerSession".to_owned()),
        "{names:?}"
    );
}

/// XA8
#[tokio::test]
async fn health_and_reflection_are_not_at_the_door_for_strangers() {
    let master = Master::quiet().await;
    let config = master.authority.without_certificate();
    let channel = channel(&master, &config, b"jobyard-enroll").await;
    let answer =
        soon(HealthClient::new(channel.clone()).check(HealthCheckRequest::default())).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    let requests = Request::new(futures_util::stream::pending());
    let mut reflection = ServerReflectionClient::new(channel);
    let answer = soon(reflection.server_reflection_info(requests)).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}

/// XE4
#[tokio::test]
async fn plain_text_is_closed() {
    let master = Master::quiet().await;
    for hello in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(master.address).await.unwrap();
        stream.write_all(hello).await.unwrap();
        soon(closed(&mut stream)).await;
    }
}

#[tokio::test]
async fn unknown_protocol_is_closed() {
    let master = Master::quiet().await;
    let config = master.authority.client("anna", Role::Admin);
    for protocol in [&b"http/1.1"[..], b"jobyard"] {
        let result = soon(tls(&master, &config, protocol)).await;
        assert!(result.is_err(), "{protocol:?} gets a connection");
    }
}

/// XT13
#[tokio::test(start_paused = true)]
async fn slow_handshake_is_cut() {
    let master = Master::quiet().await;
    let mut stream = TcpStream::connect(master.address).await.unwrap();
    // The beginning of a TLS record that never goes on.
    stream.write_all(&[22, 3, 1]).await.unwrap();
    closed(&mut stream).await;
}

/// XT8
#[tokio::test]
async fn first_bytes_of_a_stranger_with_a_certificate_door_are_an_alert() {
    let master = Master::quiet().await;
    let config = master.authority.without_certificate();
    let mut stream = soon(tls(&master, &config, b"h2")).await.unwrap();
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

/// Jobs as bytes, so that they may be what no client of ours sends.
#[derive(Clone, PartialEq, prost::Message)]
struct RawSubmit {
    #[prost(bytes = "vec", repeated, tag = "1")]
    jobs: Vec<Vec<u8>>,
}

/// A job that was recorded, with another value in the place of its second secret. What is left of the old value's room
/// is filled with a field that nobody knows.
fn job_with_secret(value: &str) -> Vec<u8> {
    const JOB: &[u8] = include_bytes!("golden/new_job_secrets.bin");
    const OLD: &[u8] = b"example-token";
    /// Field 2, with a length before it.
    const VALUE: u8 = 2 << 3 | 2;
    /// Field 15, likewise.
    const UNKNOWN: u8 = 15 << 3 | 2;
    let at = JOB.windows(OLD.len()).position(|bytes| bytes == OLD);
    let at = at.expect("the value stands there");
    assert_eq!(usize::from(JOB[at - 1]), OLD.len());
    let mut entry = vec![VALUE, u8::try_from(value.len()).unwrap()];
    entry.extend_from_slice(value.as_bytes());
    let rest = OLD.len() - value.len();
    if rest > 0 {
        entry.extend([UNKNOWN, u8::try_from(rest - 2).unwrap()]);
        entry.resize(OLD.len() + 2, b'?');
    }
    [&JOB[..at - 2], &entry, &JOB[at + OLD.len()..]].concat()
}

/// Whoever speaks to the master without our client is refused by the master.
#[tokio::test]
async fn xl4_a_secret_that_would_mask_everything_or_nothing_is_refused() {
    let master = Master::quiet().await;
    let tls = master.authority.client("anna", Role::Operator);
    let channel = channel(&master, &tls, b"h2").await;
    let submit = async |value: &str| {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/jobyard.v1.Jobs/Submit");
        let codec = tonic_prost::ProstCodec::<RawSubmit, ()>::default();
        let request = RawSubmit {
            jobs: vec![job_with_secret(value)],
        };
        soon(client.unary(Request::new(request), path, codec)).await
    };
    for (value, why) in [
        ("", "it is empty"),
        ("x", "only one character"),
        (" \t", "white space"),
        ("***", "asterisks"),
    ] {
        let refused = submit(value).await.expect_err("it is refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let said = refused.message();
        assert!(said.contains("TOKEN") && said.contains(why), "{said}");
    }
    submit("xyz").await.expect("that is a secret");
    assert!(master.control.last().1.starts_with("submit"));
}
