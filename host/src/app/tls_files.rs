//! The certificate of the listeners on disk: chain and key are followed together, as key files are. A renewal is used from the
//! next handshake on, once two looks found the same; files that do not fit keep the certificate that is served.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::file_access::FileUse;
use crate::followed_file::{FileForm, FileProblems, FileRules, FollowedFile, TakeAll};
use crate::http::tls::{self, ServedTls};
use crate::ports::Fault;

/// Reads the pair for the first time.
///
/// # Errors
/// A file cannot be read, is refused by its permissions, or they do not fit; naming setting and file.
pub(super) fn open(
    (chain, key): (PathBuf, PathBuf),
    strict: bool,
    problems: &Arc<FileProblems>,
) -> Result<(Arc<ServedTls>, FollowedFile), Fault> {
    let served = Arc::<OnceLock<Arc<ServedTls>>>::default();
    let taking = Arc::clone(&served);
    let named = format!("{} and {}", chain.display(), key.display());
    let take: TakeAll = Box::new(move |texts, is_sure| {
        // Two files are never replaced in one moment, and a part of a chain fits as the whole does.
        if !is_sure {
            return Ok(None);
        }
        let (chain, key) = if let [chain, key] = texts { (*chain, *key) } else { ("", "") };
        let config = tls::server_config(chain.as_bytes(), key.as_bytes())
            .map_err(|fault| Fault::new(format!("{named}: {fault}")))?;
        taking.get_or_init(|| Arc::new(ServedTls::new(Arc::clone(&config)))).replace(config);
        Ok(Some(chain.matches("-----BEGIN CERTIFICATE-----").count()))
    });
    let rules =
        |setting, content, strict| FileRules { setting, content, form: FileForm::Pem, when_empty: None, strict };
    let files = vec![
        (rules("tls_certificate_file", FileUse::Public, false), chain),
        (rules("tls_key_file", FileUse::Secret, strict), key),
    ];
    let file = FollowedFile::open_together(files, take, problems)?;
    let served = served.get().cloned().ok_or_else(|| Fault::new("there is no certificate"))?;
    Ok((served, file))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;

    use super::*;

    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()))
    }

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    struct Followed {
        folder: tempfile::TempDir,
        served: Arc<ServedTls>,
        file: FollowedFile,
        problems: Arc<FileProblems>,
    }

    impl Followed {
        fn open(strict: bool) -> (Self, Arc<ServerConfig>) {
            let (folder, problems) = (tempfile::tempdir().unwrap(), Arc::default());
            let (chain, key) = made();
            write(folder.path(), (&chain, &key));
            let (served, file) = open(paths(folder.path()), strict, &problems).unwrap();
            let config = served.current();
            (Self { folder, served, file, problems }, config)
        }

        fn write(&self, pair: (&str, &str)) {
            write(self.folder.path(), pair);
        }

        /// Whether another pair is served after so many looks.
        fn is_replaced(&mut self, looks: usize, served: &Arc<ServerConfig>) -> bool {
            (0..looks).for_each(|_| self.file.look());
            !Arc::ptr_eq(&self.served.current(), served)
        }

        fn problem(&self) -> String {
            let sentences = self.problems.sentences();
            assert!(sentences.len() <= 1, "{sentences:?}");
            sentences.into_iter().next().unwrap_or_default()
        }
    }

    fn paths(folder: &Path) -> (PathBuf, PathBuf) {
        (folder.join("chain.pem"), folder.join("key.pem"))
    }

    fn write(folder: &Path, (chain, key): (&str, &str)) {
        let (chain_file, key_file) = paths(folder);
        std::fs::write(chain_file, chain).unwrap();
        std::fs::write(&key_file, key).unwrap();
        #[cfg(unix)]
        mode(&key_file, 0o600);
    }

    #[cfg(unix)]
    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn n5_a_renewed_pair_is_served_and_a_broken_or_missing_one_keeps_the_last_and_is_a_problem() {
        let (mut followed, config) = Followed::open(false);
        let (second, third) = (made(), made());
        assert!(!followed.is_replaced(3, &config), "the same files change nothing");
        followed.write((&second.0, &second.1));
        assert!(!followed.is_replaced(1, &config), "they may be in the middle of being written");
        assert!(followed.is_replaced(1, &config) && followed.problem().is_empty());
        let config = followed.served.current();
        for broken in [(&*third.0, &*second.1), ("", ""), (&*third.0, "CANARY")] {
            followed.write(broken);
            assert!(!followed.is_replaced(3, &config), "a pair that does not fit is not served");
            let problem = followed.problem();
            assert!(problem.starts_with("tls_certificate_file = ") && problem.contains("was refused"), "{problem}");
            assert!(problem.ends_with("; what it held before stays valid") && !problem.contains("CANARY"), "{problem}");
        }
        let (chain, key) = paths(followed.folder.path());
        for (setting, path) in [("tls_certificate_file", chain), ("tls_key_file", key)] {
            followed.write((&second.0, &second.1));
            std::fs::remove_file(&path).unwrap();
            assert!(!followed.is_replaced(2, &config));
            assert!(followed.problem().starts_with(&format!("{setting} = {} cannot be read", path.display())));
        }
        followed.write((&third.0, &third.1));
        assert!(followed.is_replaced(2, &config) && followed.problem().is_empty());
        // The pair before is a renewal too.
        let config = followed.served.current();
        followed.write((&second.0, &second.1));
        assert!(followed.is_replaced(2, &config));
    }

    #[test]
    fn n5_a_chain_that_is_cut_for_a_moment_is_not_served() {
        let (mut followed, config) = Followed::open(false);
        let (leaf, key) = made();
        let whole = format!("{leaf}{}", made().0);
        followed.write((&leaf, &key));
        assert!(!followed.is_replaced(1, &config), "the leaf alone fits its key");
        followed.write((&whole, &key));
        assert!(!followed.is_replaced(1, &config) && followed.is_replaced(1, &config));
        assert!(followed.problem().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn k2_a_tls_key_is_judged_at_the_start_and_at_each_change() {
        let (mut followed, config) = Followed::open(true);
        let key = paths(followed.folder.path()).1;
        let second = made();
        followed.write((&second.0, &second.1));
        mode(&key, 0o644);
        assert!(!followed.is_replaced(3, &config), "what others may read is not taken");
        let problem = followed.problem();
        assert!(problem.starts_with("tls_key_file = ") && problem.contains("chmod 600 "), "{problem}");
        let refused = open(paths(followed.folder.path()), true, &Arc::default()).err().unwrap().what;
        assert!(refused.starts_with("tls_key_file = ") && refused.contains("strict_key_permissions"), "{refused}");
        assert!(open(paths(followed.folder.path()), false, &Arc::default()).is_ok(), "it is warned about");
        mode(&key, 0o600);
        assert!(followed.is_replaced(2, &config) && followed.problem().is_empty());
        // A pipe in the place of a file is not waited for.
        let config = followed.served.current();
        std::fs::remove_file(&key).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
        assert!(!followed.is_replaced(1, &config));
        assert!(followed.problem().ends_with("it is not a file; what it held before stays valid"));
    }
}
