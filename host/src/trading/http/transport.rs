//! Carries one signed request to the server and its reply back: HTTP/1.1 over TLS, with connections kept. It follows no redirect,
//! repeats nothing that may have left, reads no signature and knows no call. hyper's pooled client sends a request again by itself
//! only where the connection was closed before any byte of it was written.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::ports::Fault;
use crate::text_file;
use crate::web_url;

/// Calls to one server at one time; the next one waits for its turn within its own time. A server of a broker's takes some hundred
/// a second with it, and its threads are not spent on one client.
pub(super) const IN_FLIGHT_MAX: usize = 64;

/// Largest answer: a page of 500 postings has some 300 KiB, a list of ten thousand groups 1.5 MiB.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// For connecting, less than a call may take: a server that is not there is known as such before the call's own end.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// An idle connection is closed before the usual 60 s of a server, so that few requests meet one that is just closing.
const IDLE_WAIT: Duration = Duration::from_secs(30);

/// Longest file of trusted certificates: a hundred of them.
const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A request with its signature, as it is sent.
#[derive(Clone)]
pub(super) struct SignedRequest {
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

/// What came back, whatever it is worth.
pub(super) struct RawReply {
    pub(super) status: u16,
    pub(super) id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) signature: Option<String>,
    /// Seconds after which to come again.
    pub(super) retry_after: Option<u64>,
    pub(super) body: Bytes,
}

/// Why nothing came back.
pub(super) enum NoReply {
    /// No byte of the request left.
    NotSent(String),
    /// The connection ended before any byte of an answer: it may have arrived.
    Unanswered(String),
    /// It may have arrived.
    Broken(String),
}

/// The connections to one server.
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
}

impl Transport {
    /// # Errors
    /// The URL or the file of certificates is not usable, by name.
    pub(super) fn open(url: &str, ca_file: Option<PathBuf>, plain_http_allowed: bool) -> Result<Self, Fault> {
        let wrong = |problem: &str| Fault::new(format!("the URL of the trading server {problem}"));
        let parsed = web_url::parse(url).map_err(wrong)?;
        if parsed.fragment().is_some() {
            return Err(wrong("must have no fragment"));
        }
        if parsed.scheme() == "http" && !plain_http_allowed && !web_url::is_loopback(&parsed) {
            return Err(wrong("is plain HTTP beyond this machine: use https, or allow it in the settings"));
        }
        let uri: Uri = parsed.as_str().parse().map_err(|_| wrong("is not a URL"))?;
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_WAIT));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls_config(ca_file)?).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_WAIT)
            .pool_max_idle_per_host(IN_FLIGHT_MAX)
            .retry_canceled_requests(true)
            .build(https.wrap_connector(tcp));
        Ok(Self { client, uri })
    }

    /// Host and port, for logs: the path may be a secret of the broker's.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// Sends a request and reads the whole reply.
    pub(super) async fn send(&self, request: SignedRequest) -> Result<RawReply, NoReply> {
        let SignedRequest { id, timestamp, signature, body } = request;
        let built = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::new(body))
            .map_err(|error| NoReply::NotSent(format!("the request cannot be written: {error}")))?;
        let reply = self.client.request(built).await.map_err(|error| {
            let why = with_sources(&error);
            if error.is_connect() { NoReply::NotSent(why) } else { NoReply::Unanswered(why) }
        })?;
        let (head, body) = reply.into_parts();
        let collected = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            NoReply::Broken(if error.is::<LengthLimitError>() {
                format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")
            } else {
                format!("the answer was cut off: {error}")
            })
        })?;
        Ok(RawReply {
            status: head.status.as_u16(),
            id: only(&head.headers, "webhook-id"),
            timestamp: only(&head.headers, "webhook-timestamp"),
            signature: only(&head.headers, "webhook-signature"),
            retry_after: only(&head.headers, RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok()),
            body: collected.to_bytes(),
        })
    }
}

/// A header that is there once.
fn only(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.to_owned();
    values.next().is_none().then_some(value)
}

/// The error and what caused it, which alone names the certificate or the closed connection.
fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Trusts the public roots, or the certificates of the file and no others.
fn tls_config(ca_file: Option<PathBuf>) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let named = |problem: String| Fault::new(format!("ca_file {}: {problem}", path.display()));
            let text = text_file::read_text_up_to(&path, CA_FILE_BYTES_MAX).map_err(named)?;
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate = certificate.map_err(|error| named(format!("not PEM: {error}")))?;
                roots.add(certificate).map_err(|error| named(format!("a certificate is not usable: {error}")))?;
            }
            if roots.is_empty() {
                return Err(named("there is no certificate in it".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(format!("TLS cannot be set up: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
