//! HTTP/2 on top of a connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;
use hyper_util::rt::TokioIo;
use jobyard_core::{ConnectError, mutated};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::dial::{ConnectOptions, Dialer};
use crate::limits::{CONNECTION_WINDOW_BYTES, MAX_HTTP_FRAME_BYTES, STREAM_WINDOW_BYTES};

/// What HTTP/2 calls the other end; nobody reads it.
const AUTHORITY: &str = "http://jobyard";

/// A channel that lives as long as this connection.
pub(crate) async fn over(
    stream: TlsStream<TcpStream>,
    options: ConnectOptions,
) -> Result<Channel, ConnectError> {
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = service_fn(move |_: Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            stream.map(TokioIo::new).ok_or(ConnectError::Unreachable {
                problem: "the connection was lost".to_owned(),
            })
        }
    });
    let connected = endpoint(options).connect_with_connector(connector).await;
    connected.map_err(|error| ConnectError::Unreachable {
        problem: error.to_string(),
    })
}

/// A channel that connects when it is needed, and again when its connection was lost: to this address, or to any of
/// the master's.
pub(crate) fn lazy(dialer: Dialer, address: Option<SocketAddr>) -> Channel {
    let options = dialer.options;
    let connector = service_fn(move |_: Uri| {
        let dialer = dialer.clone();
        async move {
            let stream = match address {
                Some(address) => dialer.dial_address(address).await?,
                None => dialer.dial().await?.0,
            };
            Ok::<_, ConnectError>(TokioIo::new(stream))
        }
    });
    endpoint(options).connect_with_connector_lazy(connector)
}

fn endpoint(options: ConnectOptions) -> Endpoint {
    let (mut interval, mut timeout) = (options.keepalive_interval, options.keepalive_timeout);
    if mutated("nobody is asked whether it is there") {
        interval *= 10_000;
    }
    if mutated("a ping is not missed") {
        timeout *= 10_000;
    }
    Endpoint::from_static(AUTHORITY)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_HTTP_FRAME_BYTES)
        .http2_keep_alive_interval(interval)
        .keep_alive_timeout(timeout)
        .keep_alive_while_idle(true)
}
