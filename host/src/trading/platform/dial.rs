//! Opens connections to the platform, plain or through TLS, and reads the token that stands in every message. It sends nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::ports::Fault;
use crate::text_file;

/// Size of a token file: a JWT with many claims takes a tenth of it.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// An open connection.
pub(super) trait PlatformStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> PlatformStream for T {}

/// Opens connections; the caller gives up when it takes too long. The error is a sentence for the operator.
pub(super) trait PlatformDial: Send + Sync {
    fn dial(&self) -> BoxFuture<'static, Result<Box<dyn PlatformStream>, String>>;
    /// The token, as its file has it now.
    fn token(&self) -> Result<Arc<Zeroizing<String>>, String>;
}

/// How the connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformTls {
    /// Not at all: money and token pass in the clear. For a connection that a tunnel carries.
    Plain,
    /// TLS that trusts the public roots.
    PublicRoots { name: Box<str> },
    /// TLS that trusts the certificates of a PEM file alone.
    RootsFile { name: Box<str>, file: PathBuf },
}

/// Over TCP.
pub(super) struct TcpDial {
    address: Box<str>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token_file: PathBuf,
}

impl TcpDial {
    /// # Errors
    /// The certificates or the name cannot be used, or the token cannot be read.
    pub(super) fn new(address: &str, tls: &PlatformTls, token_file: &Path) -> Result<Self, Fault> {
        let tls = match tls {
            PlatformTls::Plain => None,
            PlatformTls::PublicRoots { name } => {
                let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                Some((connector(roots)?, server_name(name)?))
            }
            PlatformTls::RootsFile { name, file } => Some((connector(roots_of(file)?)?, server_name(name)?)),
        };
        read_token(token_file).map_err(Fault::new)?;
        Ok(Self { address: address.into(), tls, token_file: token_file.to_owned() })
    }
}

impl PlatformDial for TcpDial {
    fn dial(&self) -> BoxFuture<'static, Result<Box<dyn PlatformStream>, String>> {
        let (address, tls) = (self.address.clone(), self.tls.clone());
        Box::pin(async move {
            let socket = TcpStream::connect(&*address).await.map_err(|error| format!("{address}: {error}"))?;
            // A message is written whole; waiting to fill a segment would only delay it.
            let _ = socket.set_nodelay(true);
            let Some((connector, name)) = tls else { return Ok(Box::new(socket) as Box<dyn PlatformStream>) };
            match connector.connect(name, socket).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn PlatformStream>),
                Err(error) => Err(format!("TLS with {address}: {error}")),
            }
        })
    }

    fn token(&self) -> Result<Arc<Zeroizing<String>>, String> {
        read_token(&self.token_file).map(Arc::new)
    }
}

/// The token of a file; no error repeats a part of it.
fn read_token(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = text_file::read_file_up_to(path, TOKEN_BYTES_MAX)?;
    let token = text_file::trimmed(&text);
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(token) {
        return Err(format!("{}: must hold one token, without blanks", path.display()));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

fn roots_of(file: &Path) -> Result<RootCertStore, Fault> {
    let pem = text_file::read_pem(file).map_err(Fault::new)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
        roots.add(certificate).map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
    }
    if roots.is_empty() {
        return Err(Fault::new(format!("{}: has no certificate", file.display())));
    }
    Ok(roots)
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn server_name(name: &str) -> Result<ServerName<'static>, Fault> {
    ServerName::try_from(name.to_owned()).map_err(|_| Fault::new(format!("{name:?} cannot be named to TLS")))
}
