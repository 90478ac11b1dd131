//! How object stores are reached: HTTP/1.1 over the TLS and the cryptography of everything else here.
//!
//! The client that `object_store` would bring has a second way to judge certificates, with lists under terms of their
//! own.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::TokioExecutor;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may take until an answer begins, with what is sent before: a part of 8 MiB over 1 Mbit/s takes 70 s.
const ANSWER: Duration = Duration::from_mins(2);

/// Makes clients that trust who this machine trusts.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let is_plain_allowed = plain.is_some_and(|allowed| allowed == "true");
        let tls = tls(is_plain_allowed).map_err(|source| object_store::Error::Generic {
            store: "HTTP",
            source,
        })?;
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let secure = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(HttpClient::new(Service {
            client: Client::builder(TokioExecutor::new()).build(secure),
            is_plain_allowed,
        }))
    }
}

/// Who may answer. A machine without any certificates reaches nothing but plain HTTP.
fn tls(is_plain_allowed: bool) -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 && !is_plain_allowed {
        let why = found.errors.first().map(ToString::to_string);
        return Err(format!(
            "this machine trusts no certificate authority (see SSL_CERT_FILE){}",
            why.map(|why| format!(": {why}")).unwrap_or_default()
        )
        .into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<Tcp>, HttpRequestBody>,
    is_plain_allowed: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.is_plain_allowed && request.uri().scheme_str() != Some("https") {
            let plain = io::Error::other("plain HTTP is not allowed (see AWS_ALLOW_HTTP)");
            return Err(HttpError::new(HttpErrorKind::Unknown, plain));
        }
        let answered = timeout(ANSWER, self.client.request(request)).await;
        let answer = answered
            .map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?
            .map_err(|error| {
                // What has not begun can be repeated in any case, anything else only if it is idempotent.
                let kind = if error.is_connect() {
                    HttpErrorKind::Connect
                } else {
                    HttpErrorKind::Interrupted
                };
                HttpError::new(kind, error)
            })?;
        let interrupted = |error| HttpError::new(HttpErrorKind::Interrupted, error);
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(interrupted))))
    }
}
