//! Commands of this machine's operator to a running server: they go to the server's own manager listener, with a token signed by
//! its own key. Over TLS the server must show the certificate of the settings; its name does not matter, because the address is
//! the settings' too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_core::ids::ManagerId;
use cashier_core::session::Role;
use cashier_core::time::UnixTime as Moment;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::serve::runtime;
use super::terminal::CliError;
use super::token;
use crate::app::session_rules;
use crate::http::session::{BREAK_GLASS_SECONDS_MAX, NewToken};
use crate::ports::{Clock, Fault};
use crate::settings::Settings;
use crate::system::SystemClock;
use crate::text_file::read_pem;

/// How the sentence about a server that is not reached begins, and how that about a missing key ends: a command may add to them.
pub(super) const NOT_REACHED: &str = "the running server was not reached";
pub(super) const KEY_NEEDED: &str = "a session key of the settings that may sign for a manager";

/// Lifetime of the token: it is used at once.
const TOKEN_SECONDS: i64 = BREAK_GLASS_SECONDS_MAX;

/// How long the server may take: it writes a few thousand rows within a second, after the postings that wait before them.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest answer read: counts, the mistakes of one report, a page of approvals.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// In whose name a command is sent, and whether by whoever owns the host alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentBy {
    pub(super) manager: ManagerId,
    pub(super) break_glass: bool,
}

/// What the server answered.
pub(super) struct ServerAnswer {
    pub(super) status: u64,
    pub(super) data: Value,
}

impl ServerAnswer {
    /// The sentence of a refusal.
    pub(super) fn message(&self) -> &str {
        self.data.get("message").and_then(Value::as_str).unwrap_or("refused")
    }
}

/// What answers is another program.
pub(super) fn foreign() -> CliError {
    CliError("what answers on the manager listener is not this cashier".into())
}

/// Sends a message to the server of the settings.
pub(super) fn call(settings: &Settings, by: SentBy, message: Vec<u8>) -> Result<ServerAnswer, CliError> {
    let token = own_token(settings, by, SystemClock::new().now())?;
    let address = reachable(settings.manager_listen);
    let url = format!("{}://{address}/manager", settings.scheme());
    let failed = |what: String| CliError(format!("{NOT_REACHED} at {url}: {what}"));
    let answer = runtime()?.block_on(async {
        let sent = tokio::time::timeout(ANSWER_TIME_MAX, send(settings, address, &token, message));
        sent.await.unwrap_or_else(|_| Err("no answer in time: it is not known whether it was done".into()))
    });
    let mut answer: Value = serde_json::from_slice(&answer.map_err(failed)?).map_err(|_| foreign())?;
    let status = answer.get("status").and_then(Value::as_u64).ok_or_else(foreign)?;
    let data = answer.get_mut("data").map(Value::take).ok_or_else(foreign)?;
    Ok(ServerAnswer { status, data })
}

/// A token of every brand that the server of these settings accepts.
fn own_token(settings: &Settings, by: SentBy, now: Moment) -> Result<String, Fault> {
    let ttl_seconds = session_rules(settings).lifetime_max.min(TOKEN_SECONDS);
    let SentBy { manager, break_glass } = by;
    let role = Role::Admin;
    let new = NewToken { role, id: manager.0, brand: None, every_brand: true, break_glass, ttl_seconds, jti: None };
    token::keys(settings).and_then(|keys| keys.issue(new, now)).map_err(|fault| {
        Fault::new(format!("{fault}: a running server takes commands of this machine under {KEY_NEEDED}"))
    })
}

/// Where a listener of this machine is reached.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

async fn send(settings: &Settings, address: SocketAddr, token: &str, message: Vec<u8>) -> Result<Bytes, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let Some((chain, _)) = &settings.tls_files else { return exchange(stream, address, token, message).await };
    let pem = read_pem(chain)?;
    let own = CertificateDer::pem_slice_iter(&pem).next().and_then(Result::ok).ok_or("the certificate is not PEM")?;
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OwnCertificate { own: own.into_owned(), provider }))
        .with_no_client_auth();
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())?;
    exchange(stream, address, token, message).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    token: &str,
    message: Vec<u8>,
) -> Result<Bytes, String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = http::Request::post("/manager")
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .header("authorization", token)
        .body(Full::new(Bytes::from(message)))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| error.to_string())
}

/// Trusts the certificate of the settings alone, whoever issued it.
#[derive(Debug)]
struct OwnCertificate {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OwnCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.own {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("it shows another certificate than the one of the settings".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
