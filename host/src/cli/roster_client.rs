//! `cashier trading import` while a server runs: the roster goes to the server's own manager listener, with a token signed by
//! its own key, and is applied whole or not at all. Over TLS the server must show the certificate of the settings; its name
//! does not matter, because the address is the settings' too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_core::ids::ManagerId;
use cashier_core::roster::{ImportReport, Tally};
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
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::serve::runtime;
use super::terminal::CliError;
use super::token;
use crate::app::session_rules;
use crate::http::session::NewToken;
use crate::manager::{MESSAGE_LENGTH_MAX, roster};
use crate::ports::{Clock, Fault};
use crate::settings::Settings;
use crate::system::SystemClock;
use crate::text_file::{read_pem, read_text_up_to};
use crate::trading::import::FILE_BYTES_MAX;

/// Lifetime of the token: it is used at once.
const TOKEN_SECONDS: i64 = 60;

/// How long the server may take: it writes a few thousand rows within a second, after the postings that wait before them.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest answer read: counts, or the mistakes of one report.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Sends the roster of a file to the server of the settings.
pub(super) fn import(settings: &Settings, file: &Path, by: ManagerId) -> Result<ImportReport, CliError> {
    let text = read_text_up_to(file, FILE_BYTES_MAX).map_err(CliError)?;
    let message = message(&text).map_err(|problem| CliError(format!("{}: {problem}", file.display())))?;
    let token = own_token(settings, by, SystemClock::new().now())?;
    let address = reachable(settings.manager_listen);
    let url = format!("{}://{address}/manager", settings.scheme());
    let failed =
        |what: String| CliError(format!("the server that holds the database was not reached at {url}: {what}"));
    let answer = runtime()?.block_on(async {
        let sent = tokio::time::timeout(ANSWER_TIME_MAX, send(settings, address, &token, message));
        sent.await.unwrap_or_else(|_| Err("no answer in time: it is not known whether it was imported".into()))
    });
    read_answer(&answer.map_err(failed)?)
}

/// A token of every brand that the server of these settings accepts.
fn own_token(settings: &Settings, by: ManagerId, now: Moment) -> Result<String, Fault> {
    let ttl_seconds = session_rules(settings).lifetime_max.min(TOKEN_SECONDS);
    let new = NewToken { role: Role::Admin, id: by.0, brand: None, every_brand: true, ttl_seconds, jti: None };
    token::keys(settings).and_then(|keys| keys.issue(new, now)).map_err(|fault| {
        Fault::new(format!(
            "{fault}: a running server takes a roster under a session key of the settings; without one that may sign for a \
             manager, import while it is stopped"
        ))
    })
}

/// The message of a roster; its lines stay as they are where it is small enough, so that mistakes name those of the file.
fn message(text: &str) -> Result<Vec<u8>, String> {
    let not_json = |error: serde_json::Error| format!("not a file of groups, customers and accounts: {error}");
    let raw: &RawValue = serde_json::from_str(text).map_err(not_json)?;
    let whole = |data: &str| format!("{{\"command\":\"{}\",\"data\":{data}}}", roster::IMPORT.name).into_bytes();
    let as_written = whole(raw.get());
    if as_written.len() <= MESSAGE_LENGTH_MAX {
        return Ok(as_written);
    }
    let compact = whole(&serde_json::from_str::<Value>(text).map_err(not_json)?.to_string());
    match compact.len() {
        0..=MESSAGE_LENGTH_MAX => Ok(compact),
        length => Err(format!(
            "{length} bytes are more than the {MESSAGE_LENGTH_MAX} that a running server takes at once: import it in parts, or \
             while the server is stopped"
        )),
    }
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

fn read_answer(body: &[u8]) -> Result<ImportReport, CliError> {
    let foreign = || CliError("what answers on the manager listener is not this cashier".into());
    let answer: Value = serde_json::from_slice(body).map_err(|_| foreign())?;
    let data = answer.get("data").ok_or_else(foreign)?;
    if answer.get("status").and_then(Value::as_u64) != Some(200) {
        let message = data.get("message").and_then(Value::as_str).unwrap_or("refused");
        return Err(CliError(message.replace("; line ", "\n  line ").replace("imported: line", "imported:\n  line")));
    }
    let tally = |name: &str| {
        let of = |count: &str| data.get(name)?.get(count)?.as_u64();
        Some(Tally { added: of("added")?, updated: of("updated")?, unchanged: of("unchanged")? })
    };
    let report = || {
        Some(ImportReport { groups: tally("groups")?, customers: tally("customers")?, accounts: tally("accounts")? })
    };
    report().ok_or_else(foreign)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_is_sent_as_written_compact_or_not_at_all() {
        let small = "{\n  \"groups\": []\n}\n";
        let sent = |text: &str| message(text).map(|message| String::from_utf8(message).unwrap());
        let expected = "{\"command\":\"MngImportCashierRoster\",\"data\":{\n  \"groups\": []\n}}";
        assert_eq!(sent(small).as_deref(), Ok(expected));
        let padded = format!("{{\"groups\":{}[1.50]}}", " ".repeat(MESSAGE_LENGTH_MAX));
        let expected = "{\"command\":\"MngImportCashierRoster\",\"data\":{\"groups\":[1.50]}}";
        assert_eq!(sent(&padded).as_deref(), Ok(expected));
        let large = format!("{{\"groups\":\"{}\"}}", "x".repeat(MESSAGE_LENGTH_MAX));
        assert!(sent(&large).unwrap_err().contains("import it in parts"));
        assert!(sent("{} {}").unwrap_err().contains("not a file of groups"));
    }
}
