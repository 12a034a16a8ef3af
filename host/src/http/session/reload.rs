//! Reloads the session key file while the server runs: a line that is added makes a key valid, a line that is removed
//! invalidates its tokens with the next request. A file that cannot be read or parsed changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{SessionKeys, parse_keys};
use crate::ports::Clock;
use crate::text_file;

/// How often the file is checked: a person who removes a key is still looking at the screen.
const CHECK_PAUSE: Duration = Duration::from_secs(1);

/// Checks the file for ever. `known` is the text that `keys` were parsed from.
pub async fn reload_on_change(
    path: PathBuf,
    mut known: Zeroizing<String>,
    keys: Arc<SessionKeys>,
    clock: Arc<dyn Clock>,
) {
    loop {
        clock.sleep(CHECK_PAUSE).await;
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || text_file::read_text(&file).map(Zeroizing::new)).await;
        // A file that is being replaced is missing for a moment.
        let Ok(Ok(text)) = read else { continue };
        if text == known {
            continue;
        }
        match parse_keys(&text).and_then(|parsed| keys.replace(parsed)) {
            Ok(()) => tracing::info!(file = %path.display(), "session key file was reloaded"),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "session key file was rejected, the previous keys stay valid");
            }
        }
        known = text;
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::CustomerId;
    use cashier_core::session::Role;

    use super::*;
    use crate::http::session::issue_token;
    use crate::system::SystemClock;

    #[tokio::test(start_paused = true)]
    async fn removing_a_key_from_the_file_invalidates_its_tokens_and_a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.key");
        let line = |kid: &str, byte: &str| format!("{kid}:{}\n", byte.repeat(32));
        let (old, new) = (line("old", "01"), line("new", "02"));
        std::fs::write(&path, &old).unwrap();
        let keys = Arc::new(SessionKeys::parse(&old).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let token = issue_token(&keys, Role::Customer, 5, None, 3600, clock.now()).unwrap();
        let is_valid = |token: &str| keys.customer(Some(token), clock.now()).is_ok();
        let (file, known) = (path.clone(), Zeroizing::new(old.clone()));
        let reloading = tokio::spawn(reload_on_change(file, known, Arc::clone(&keys), clock.clone()));

        std::fs::write(&path, format!("{new}{old}")).unwrap();
        let signed_by_new = loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let token = issue_token(&keys, Role::Customer, 5, None, 3600, clock.now()).unwrap();
            let header = token.split('.').next().unwrap().to_owned();
            if header != issue_header(&old) {
                break token;
            }
        };
        assert!(is_valid(&token) && is_valid(&signed_by_new), "both keys are valid");
        std::fs::write(&path, "broken").unwrap();
        tokio::time::sleep(CHECK_PAUSE * 2).await;
        assert!(is_valid(&token) && is_valid(&signed_by_new), "a broken file changes nothing");
        std::fs::write(&path, &new).unwrap();
        while is_valid(&token) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(is_valid(&signed_by_new));
        assert_eq!(keys.customer(Some(&signed_by_new), clock.now()).unwrap().customer_id(), CustomerId(5));
        reloading.abort();
    }

    /// The header of a token signed by the first key of this text.
    fn issue_header(text: &str) -> String {
        let keys = SessionKeys::parse(text).unwrap();
        let now = SystemClock::new().now();
        let token = issue_token(&keys, Role::Customer, 5, None, 3600, now).unwrap();
        token.split('.').next().unwrap().to_owned()
    }
}
