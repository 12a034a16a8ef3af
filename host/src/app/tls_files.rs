//! The certificate of the listeners on disk: read at the start, and followed like a key file. A renewal is used from the next
//! handshake on; files that do not fit keep the certificate that is served.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use zeroize::Zeroizing;

use crate::http::tls::{self, ServedTls};
use crate::ports::{Clock, Fault};
use crate::reload_signal::ReloadAsked;

/// How often the files are read: a person who renews a certificate is still looking at the screen.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// Certificate chain and private key.
#[derive(Clone)]
pub(super) struct TlsFiles {
    chain: PathBuf,
    key: PathBuf,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct TlsTexts {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl TlsFiles {
    pub(super) fn new((chain, key): (PathBuf, PathBuf)) -> Self {
        Self { chain, key }
    }

    /// Blocks on file I/O.
    pub(super) fn read(&self) -> Result<TlsTexts, Fault> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|error| Fault::new(format!("{}: {error}", path.display())));
        Ok(TlsTexts { chain: read(&self.chain)?, key: Zeroizing::new(read(&self.key)?) })
    }

    /// Reads the files for ever. `served` was made from `known`.
    pub(super) async fn follow(
        self,
        mut known: TlsTexts,
        served: Arc<ServedTls>,
        clock: Arc<dyn Clock>,
        mut asked: ReloadAsked,
    ) {
        // Two files are never replaced in one moment: what does not fit at one look only is being replaced.
        let mut misfit: Option<TlsTexts> = None;
        let mut missing = false;
        loop {
            asked.or(clock.sleep(CHECK_PAUSE)).await;
            let files = self.clone();
            let texts = match tokio::task::spawn_blocking(move || files.read()).await {
                Ok(Ok(texts)) => texts,
                Ok(Err(fault)) => {
                    if std::mem::replace(&mut missing, true) {
                        continue;
                    }
                    tracing::error!(%fault, "TLS files cannot be read, the certificate that is served stays");
                    continue;
                }
                Err(_) => continue,
            };
            missing = false;
            if texts == known {
                misfit = None;
                continue;
            }
            let seen_before = misfit.as_ref() == Some(&texts);
            match texts.config() {
                Ok(config) => {
                    served.replace(config);
                    tracing::info!(file = %self.chain.display(), "TLS files were reloaded");
                    (known, misfit) = (texts, None);
                }
                Err(fault) if seen_before => {
                    tracing::error!(%fault, file = %self.chain.display(), "TLS files were rejected, the certificate that is served stays");
                    // Said once; the next change is judged again.
                    (known, misfit) = (texts, None);
                }
                Err(_) => misfit = Some(texts),
            }
        }
    }
}

impl TlsTexts {
    pub(super) fn config(&self) -> Result<Arc<ServerConfig>, Fault> {
        tls::server_config(&self.chain, &self.key)
    }
}
