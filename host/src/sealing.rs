//! Seal keys come and go: the key file is followed while the server runs, and what is sealed with an older key is brought
//! under the newest one in the background, and by `cashier reseal`. How a row is sealed is `strand/seal`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::file_access::FileUse;
use crate::flows::{Cashier, configure};
use crate::followed_file::{FileForm, FileProblems, FileRules, FollowedFile, Take};
use crate::key_file::KEY_FILE_BYTES_MAX;
use crate::ledger::Watermark;
use crate::ports::{Entropy, Fault};
use crate::reload_signal::ReloadAsked;
use crate::settings::Settings;
use crate::strand::reseal::{self, ResealCursor, SealUse, UnreadableRows};
use crate::strand::seal::{SealKeys, SealRing};
use crate::strand::{self, BatchLimits, Strand, StrandSettings};
use crate::system::SystemEntropy;

/// Between two looks at the key file: a person who changed it is still looking at the screen.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Looks until what another program prevented is tried again: a minute.
const RETRY_LOOKS: u32 = 60;

/// The seal key file, which is followed; `None` where the keys came from the environment.
pub(crate) fn key_file(
    settings: &Settings,
    ring: &Arc<SealRing>,
    problems: &Arc<FileProblems>,
) -> Result<Option<FollowedFile>, Fault> {
    let Some(path) = settings.seal_keys_file.clone() else { return Ok(None) };
    let rules = FileRules {
        setting: "seal_keys_file",
        content: FileUse::Secret,
        form: FileForm::Text(KEY_FILE_BYTES_MAX),
        when_empty: None,
        strict: settings.strict_key_permissions,
    };
    let ring = Arc::clone(ring);
    let take: Take = Box::new(move |text, is_sure| {
        let keys = SealKeys::parse(text)?;
        let ids: Vec<u32> = keys.ids().collect();
        if !is_sure && ring.ids().iter().any(|known| !ids.contains(known)) {
            return Ok(None);
        }
        ring.replace(keys).map(|()| Some(ids.len()))
    });
    FollowedFile::open(rules, path, take, problems).map(Some)
}

/// Looks at the key file; whether the ring has other keys now.
async fn changed(file: &mut Option<FollowedFile>, ring: &SealRing) -> bool {
    let Some(mut followed) = file.take() else { return false };
    let before = ring.ids();
    let looked = tokio::task::spawn_blocking(move || {
        followed.look();
        followed
    });
    // The task is interrupted at a stop alone.
    *file = looked.await.ok();
    ring.ids() != before
}

/// Reseals and follows the key file for ever.
pub(crate) async fn keep(cashier: Arc<Cashier>, strand: Arc<Strand>, file: Option<(FollowedFile, ReloadAsked)>) {
    let (mut file, mut asked) = file.unzip();
    let mut is_reported = false;
    loop {
        let resealed = resealed(&strand).await;
        let is_done = resealed.is_ok();
        match resealed {
            Ok(rows) => {
                if rows > 0 || is_reported {
                    tracing::info!(rows, newest = strand.ring().newest(), "rows were resealed with the newest key");
                }
                report(&strand).await;
                is_reported = true;
            }
            Err(fault) => tracing::warn!(%fault, "resealing was interrupted: it is tried again in a minute"),
        }
        let mut looks = 0;
        while is_done || looks < RETRY_LOOKS {
            let pause = cashier.clock.sleep(LOOK_PAUSE);
            match &mut asked {
                Some(asked) => asked.or(pause).await,
                None => pause.await,
            }
            looks += 1;
            // A reading that was dropped, or failed, or came before the row was resealed.
            if looks.is_multiple_of(RETRY_LOOKS) {
                configure::read_what_opens_again(&cashier, |sealed| strand.ring().has_key_of(sealed));
            }
            if changed(&mut file, strand.ring()).await {
                configure::read_again(&cashier);
                break;
            }
        }
    }
}

/// Reseals every row that opens; returns how many there were.
async fn resealed(strand: &Strand) -> Result<u64, Fault> {
    let (mut rows, mut cursor) = (0, Some(ResealCursor::default()));
    while let Some(place) = cursor {
        let step = strand.reseal(place).await?;
        rows += step.rows;
        cursor = step.next;
    }
    Ok(rows)
}

/// Logs which keys of the file nothing needs any more, and which are needed still.
async fn report(strand: &Strand) {
    let (path, ring) = (strand.path().to_owned(), Arc::clone(strand.ring()));
    let sealed_with = Arc::clone(&ring);
    let counted = tokio::task::spawn_blocking(move || {
        let rows = reseal::unreadable_rows(&path, &sealed_with, Arc::new(SystemEntropy))?;
        reseal::used_keys(&path, &rows.lost)
    });
    let used = match counted.await {
        Ok(Ok(used)) => used,
        Ok(Err(fault)) => return tracing::warn!(%fault, "sealed columns were not counted"),
        Err(_) => return,
    };
    for key in idle(&ring, &used) {
        tracing::info!(key, "seal key is used by no column any more: its line can be removed from the key file");
    }
    let newest = ring.newest();
    for (key, columns) in used.by_key.iter().filter(|(key, _)| **key != newest) {
        tracing::warn!(
            key,
            columns,
            "sealed columns do not open and keep their key: `cashier reseal --check` names them"
        );
    }
}

/// Keys of the file that seal nothing and that no column needs.
fn idle(ring: &SealRing, used: &SealUse) -> Vec<u32> {
    let newest = ring.newest();
    ring.ids().into_iter().filter(|key| *key != newest && !used.by_key.contains_key(key)).collect()
}

/// What is sealed with which key.
#[derive(Debug)]
pub struct ResealReport {
    /// Rows that were resealed.
    pub rows: u64,
    pub newest: u32,
    pub used: SealUse,
    /// Keys of the file that no column needs any more.
    pub idle: Vec<u32>,
    /// A sentence for each row that does not open.
    pub unreadable: Vec<String>,
    /// A sentence for each key of audit fingerprints that does not open and that a newer one has replaced.
    pub lost: Vec<String>,
}

impl ResealReport {
    /// Whether every other key than the newest can go.
    pub fn is_all_newest(&self) -> bool {
        self.used.is_all_of(self.newest) && self.unreadable.is_empty()
    }
}

/// The seal keys of the settings; an error names their file.
pub fn seal_keys(settings: &Settings) -> Result<SealKeys, Fault> {
    SealKeys::parse(&settings.seal_keys).map_err(|fault| fault.during(settings.seal_key_source()))
}

/// Reseals every row of a stopped server.
pub async fn reseal(settings: &Settings) -> Result<ResealReport, Fault> {
    let path = settings.bases.join("cashier.db");
    let strand_settings = StrandSettings {
        path,
        keys: seal_keys(settings)?,
        entropy: Arc::new(SystemEntropy),
        batch: BatchLimits::default(),
    };
    let strand = strand::open(strand_settings, Arc::new(Watermark::new())).map_err(|fault| {
        fault.during("a running server reseals by itself, see `cashier reseal --check`; a stopped one")
    })?;
    let rows = resealed(&strand).await;
    strand.close()?;
    Ok(ResealReport { rows: rows?, ..seal_use(settings)? })
}

/// What is sealed with which key, read beside a running server.
pub fn seal_use(settings: &Settings) -> Result<ResealReport, Fault> {
    let path: &Path = &settings.bases.join("cashier.db");
    let keys = seal_keys(settings)?;
    let ring = Arc::new(SealRing::new(keys));
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let UnreadableRows { found: unreadable, lost } = reseal::unreadable_rows(path, &ring, entropy)?;
    let used = reseal::used_keys(path, &lost)?;
    let (newest, idle) = (ring.newest(), idle(&ring, &used));
    Ok(ResealReport { rows: 0, newest, idle, used, unreadable, lost: lost.into_values().collect() })
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::ConfigId;
    use cashier_core::provider_config::{ProviderConfig, UnreadableColumn};

    use super::*;
    use crate::test_cashier::{TestCashier, TestEntropy, config};

    fn line(number: u32, byte: &str) -> String {
        format!("{number}:{}\n", byte.repeat(32))
    }

    #[tokio::test]
    async fn k1_a_key_file_that_is_missing_broken_or_gives_a_number_another_key_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let (old, new) = (line(1, "01"), line(2, "02"));
        let ring = Arc::new(SealRing::new(SealKeys::parse(&old).unwrap()));
        std::fs::write(&path, &old).unwrap();
        let settings =
            Settings::parse("seal_keys_file = \"seal.key\"\nsession_keys_file = \"seal.key\"", folder.path(), &|_| {
                None
            });
        let problems = Arc::default();
        let mut file = key_file(&settings.unwrap(), &ring, &problems).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!changed(&mut file, &ring).await, "it is missing for a moment");
        for text in ["", "# no key", "broken", &line(1, "02"), &format!("{}{new}", line(1, "02"))] {
            std::fs::write(&path, text).unwrap();
            assert!(!changed(&mut file, &ring).await && !changed(&mut file, &ring).await, "{text}");
            assert_eq!(problems.sentences().len(), 1, "{text}: it is listed");
            assert_eq!((ring.newest(), ring.ids()), (1, vec![1]), "{text}");
        }
        std::fs::write(&path, format!("{old}{new}")).unwrap();
        assert!(changed(&mut file, &ring).await && !changed(&mut file, &ring).await, "once");
        assert!(problems.sentences().is_empty());
        assert_eq!((ring.newest(), ring.ids()), (2, vec![1, 2]));
        let used = |keys: &[(u32, u64)]| SealUse { by_key: keys.iter().copied().collect(), ..SealUse::default() };
        assert_eq!([idle(&ring, &used(&[(1, 1), (2, 4)])), idle(&ring, &used(&[(2, 5)]))], [vec![], vec![1]]);
        std::fs::write(&path, &old).unwrap();
        assert!(!changed(&mut file, &ring).await, "one look: it may be being written");
        assert_eq!(ring.newest(), 2, "nothing is resealed under the older key");
        std::fs::write(&path, &new).unwrap();
        assert!(!changed(&mut file, &ring).await, "another text than at the look before");
        assert!(changed(&mut file, &ring).await);
        assert_eq!((ring.newest(), ring.ids()), (2, vec![2]));
    }

    fn unreadable(env: &TestCashier, id: u64) -> usize {
        env.cashier.snapshot().config(ConfigId(id)).map_or(9, |served| served.config.unreadable.len())
    }

    /// With key 1.
    fn opened_strand(folder: &Path) -> Arc<Strand> {
        let settings = StrandSettings {
            path: folder.join("cashier.db"),
            keys: SealKeys::parse(&format!("1:{}", "01".repeat(32))).unwrap(),
            entropy: Arc::new(TestEntropy::default()),
            batch: BatchLimits::default(),
        };
        Arc::new(strand::open(settings, Arc::new(Watermark::new())).unwrap())
    }

    fn sealed_by(key: u8) -> ProviderConfig {
        ProviderConfig {
            unreadable: vec![UnreadableColumn {
                sealed: Box::from([2, 0, 0, 0, key, 9, 9]),
                column: "secret_key",
                holds_text: true,
                had_key: false,
                why: "sealed with a key".into(),
            }],
            ..config(u64::from(key))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k1_what_opens_again_is_asked_for_again_by_whoever_follows_the_key_file() {
        let folder = tempfile::tempdir().unwrap();
        let strand = opened_strand(folder.path());
        let env = TestCashier::with_rows(vec![sealed_by(1), sealed_by(2)]).await;
        let kept = tokio::spawn(keep(Arc::clone(&env.cashier), Arc::clone(&strand), None));
        // Nobody asks: the message was dropped. Its key is there, so it is found by itself; that of the other is not.
        env.disk.replace_configs(vec![config(1), sealed_by(2)]);
        // The strand's thread resealed nothing in real time meanwhile.
        while unreadable(&env, 1) > 0 {
            env.run_for(10).await;
            std::thread::yield_now();
        }
        assert_eq!([1, 2].map(|id| unreadable(&env, id)), [0, 1]);
        env.disk.replace_configs(vec![config(1), config(2)]);
        env.run_for(200).await;
        assert_eq!(unreadable(&env, 2), 1, "its key is missing still");
        kept.abort();
    }
    #[tokio::test(start_paused = true)]
    async fn b6_a_row_whose_bytes_were_changed_is_not_read_again_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let strand = opened_strand(folder.path());
        let mut changed = ProviderConfig { id: ConfigId(3), ..sealed_by(1) };
        changed.unreadable[0].had_key = true;
        let env = TestCashier::with_rows(vec![sealed_by(1), changed.clone()]).await;
        let kept = tokio::spawn(keep(Arc::clone(&env.cashier), Arc::clone(&strand), None));
        env.disk.replace_configs(vec![config(1), changed]);
        while unreadable(&env, 1) > 0 {
            env.run_for(10).await;
            std::thread::yield_now();
        }
        env.disk.replace_configs(vec![config(1), config(3)]);
        env.run_for(200).await;
        assert_eq!(unreadable(&env, 3), 1, "nothing asked for a reading");
        kept.abort();
    }
}
