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
use crate::text_file;

/// How often the files are read: a person who renews a certificate is still looking at the screen.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// A file that is being replaced is missing, or does not fit the other, at one look.
const LOOKS_BEFORE_ERROR: u32 = 2;

/// Certificate chain and private key.
#[derive(Clone)]
pub(super) struct TlsFiles {
    chain: PathBuf,
    key: PathBuf,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct TlsTexts {
    chain: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl TlsFiles {
    pub(super) fn new((chain, key): (PathBuf, PathBuf)) -> Self {
        Self { chain, key }
    }

    /// Blocks on file I/O.
    pub(super) fn read(&self) -> Result<TlsTexts, Fault> {
        let read = |path: &PathBuf| text_file::read_pem(path).map_err(Fault::new);
        Ok(TlsTexts { chain: read(&self.chain)?, key: read(&self.key)? })
    }

    /// What is served from these texts. The fault names both files.
    pub(super) fn config(&self, texts: &TlsTexts) -> Result<Arc<ServerConfig>, Fault> {
        tls::server_config(&texts.chain, &texts.key)
            .map_err(|fault| Fault::new(format!("{} and {}: {fault}", self.chain.display(), self.key.display())))
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
        let mut looks_without = 0_u32;
        loop {
            asked.or(clock.sleep(CHECK_PAUSE)).await;
            let files = self.clone();
            let texts = match tokio::task::spawn_blocking(move || files.read()).await {
                Ok(Ok(texts)) => texts,
                Ok(Err(fault)) => {
                    looks_without = looks_without.saturating_add(1);
                    if looks_without == LOOKS_BEFORE_ERROR {
                        tracing::error!(%fault, "TLS files cannot be read, the certificate that is served stays");
                    }
                    continue;
                }
                Err(_) => continue,
            };
            looks_without = 0;
            if texts == known {
                misfit = None;
                continue;
            }
            let seen_before = misfit.as_ref() == Some(&texts);
            match self.config(&texts) {
                Ok(config) => {
                    served.replace(config);
                    tracing::info!(file = %self.chain.display(), "TLS files were reloaded");
                    (known, misfit) = (texts, None);
                }
                Err(fault) if seen_before => {
                    tracing::error!(%fault, "TLS files were rejected, the certificate that is served stays");
                    // Said once; the next change is judged again.
                    (known, misfit) = (texts, None);
                }
                Err(_) => misfit = Some(texts),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;
    use crate::reload_signal::ReloadSignal;
    use crate::system::SystemClock;

    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()))
    }

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    #[tokio::test]
    async fn n5_a_renewed_pair_is_served_and_a_broken_or_missing_one_keeps_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles::new((folder.path().join("chain.pem"), folder.path().join("key.pem")));
        let write = |(chain, key): (&str, &str)| {
            std::fs::write(&files.chain, chain).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        let (first, second, third) = (made(), made(), made());
        write((&first.0, &first.1));
        let known = files.read().unwrap();
        let served = Arc::new(ServedTls::new(files.config(&known).unwrap()));
        let signal = ReloadSignal::default();
        let asked = signal.part("TLS files");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let following = tokio::spawn(files.clone().follow(known, Arc::clone(&served), clock, asked));
        // Asked each time, it looks without its pause.
        let looks = async || {
            for _ in 0..20 {
                signal.ask();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let replaced = async |from: &Arc<ServerConfig>| {
            loop {
                signal.ask();
                tokio::time::sleep(Duration::from_millis(5)).await;
                let now = served.current();
                if !Arc::ptr_eq(&now, from) {
                    return now;
                }
            }
        };
        let config = served.current();
        looks().await;
        assert!(Arc::ptr_eq(&served.current(), &config), "the same files change nothing");
        write((&second.0, &second.1));
        let config = replaced(&config).await;
        for broken in [(&*third.0, &*first.1), ("", ""), (&*third.0, "CANARY")] {
            write(broken);
            looks().await;
            assert!(Arc::ptr_eq(&served.current(), &config), "a pair that does not fit is not served");
        }
        std::fs::remove_file(&files.key).unwrap();
        looks().await;
        assert!(Arc::ptr_eq(&served.current(), &config));
        write((&third.0, &third.1));
        let config = replaced(&config).await;
        // The pair before is a renewal too.
        write((&second.0, &second.1));
        replaced(&config).await;
        following.abort();
    }
}
