//! Whether the session of a connection is still the one to use: a broker replaces its token in the file, or the server refuses
//! everything that it is asked. Then another connection is opened, with the token of the file. It sends nothing itself.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

/// Between two looks at the file of the token, as between two heartbeats: a broker who replaced it waits for no more.
const TOKEN_PAUSE: Duration = Duration::from_secs(20);

/// What is known of the session of one connection.
pub(super) struct SessionWatch {
    looked_at: Duration,
    /// Nothing was asked on it yet.
    is_new: bool,
    /// When the heartbeat was sent last because the session is in question. It may have no answer, or one that decides nothing.
    asked_at: Option<Duration>,
    /// Why another one is to be begun.
    ended: Option<String>,
}

impl SessionWatch {
    pub(super) fn new(now: Duration) -> Self {
        Self { looked_at: now, is_new: true, asked_at: None, ended: None }
    }

    /// By the monotonic clock.
    pub(super) fn next_look(&self) -> Duration {
        self.looked_at.saturating_add(TOKEN_PAUSE)
    }

    /// Whether the file has another token now. One that cannot be read is being written, or is named when it is needed.
    pub(super) fn is_replaced(
        &mut self,
        now: Duration,
        token: &str,
        read: impl FnOnce() -> Result<Arc<Zeroizing<String>>, String>,
    ) -> bool {
        if now < self.next_look() {
            return false;
        }
        self.looked_at = now;
        let is_replaced = read().is_ok_and(|found| found.as_str() != token);
        if is_replaced {
            self.ended = Some("its token was replaced".to_owned());
        }
        is_replaced
    }

    /// Whether the heartbeat is to be sent now: the session is in question, or the one before it was refused and this one is new.
    pub(super) fn asks(&mut self, now: Duration, is_in_question: bool, was_refused: bool) -> bool {
        let may_ask = self.asked_at.is_none_or(|asked| now.saturating_sub(asked) >= TOKEN_PAUSE);
        let asks = may_ask && (is_in_question || was_refused && self.is_new);
        self.is_new = false;
        if asks {
            self.asked_at = Some(now);
        }
        asks
    }

    /// The server refuses the session.
    pub(super) fn refused(&mut self, why: &str) {
        self.ended = Some(format!(
            "it refuses everything that it is asked: {why}; is the token of the file one of a session that it knows?"
        ));
    }

    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }
}
