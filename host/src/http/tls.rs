//! TLS for a listener: turns a certificate chain and a key in PEM into a server configuration. It opens no file.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::ports::Fault;

/// The TLS of listeners. What replaces it is used from the next handshake on.
pub struct ServedTls(ArcSwap<ServerConfig>);

impl ServedTls {
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(ArcSwap::new(config))
    }

    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

/// Reads chain and key. The fault names what is wrong and contains neither.
pub fn server_config(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>, Fault> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::new("the TLS certificate file is not PEM"))?;
    if chain.is_empty() {
        return Err(Fault::new("the TLS certificate file holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|_| Fault::new("the TLS key file holds no private key in PEM"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(format!("TLS versions: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| Fault::new(format!("the TLS certificate and key do not fit: {error}")))?;
    // The listeners speak HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
