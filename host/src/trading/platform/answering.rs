//! What an answer of the platform means for the connection that it came on: for its health, its session and its pace. What it means
//! for the money is its caller's; lines are `connection`'s.

use std::time::Duration;

use super::client::PlatformFailure;
use super::connection::{InFlight, LinkContext, PlatformConnection};
use super::pauses::{doubled, jittered};
use super::server_error::{ServerError, ServerErrorKind};

impl PlatformConnection {
    pub(super) fn answered(&mut self, ext_id: &str, now: Duration) -> Option<InFlight> {
        self.answered_at = Some(now);
        self.in_flight.remove(ext_id)
    }

    pub(super) fn answer(
        &mut self,
        call: InFlight,
        outcome: Result<serde_json::Value, ServerError>,
        link: &mut LinkContext<'_>,
    ) {
        let is_heartbeat = call.answer.is_none();
        match &outcome {
            Ok(_) => {
                // Errors alone are no service: a server that answers each with one is tried less and less often.
                *link.tries = 0;
                link.state.with(|seen| seen.done(&call.command));
            }
            Err(error) if error.says_no_or_nothing() && !error.is_named(&link.parts.expected) => {
                let why = error.to_string();
                link.state.with(|seen| seen.refused(&call.command, &why));
                if !is_heartbeat {
                    link.state.with(|seen| seen.call_refused());
                } else if link.state.with(|seen| seen.heartbeat_refused(&why)) {
                    self.session.refused(&why);
                }
            }
            Err(_) => {}
        }
        let outcome = match outcome {
            Ok(data) => {
                self.slowed = 0;
                Ok(data)
            }
            Err(error) => {
                tracing::warn!(command = &*call.command, %error, "trading server answered with an error");
                match error.kind {
                    ServerErrorKind::SyncTimeout | ServerErrorKind::Unreadable => {
                        Err(PlatformFailure::Unknown(error.to_string()))
                    }
                    ServerErrorKind::TooOften => {
                        self.slow_down(link);
                        Err(PlatformFailure::Answered(error))
                    }
                    ServerErrorKind::Stated | ServerErrorKind::Undecided => Err(PlatformFailure::Answered(error)),
                }
            }
        };
        if let Some(answer) = call.answer {
            // Whoever called may be gone.
            let _ = answer.send(outcome);
        }
    }

    /// Answers what was in flight: the one of which no byte was written was never sent.
    pub(super) fn close(&mut self, why: &str) {
        for (ext_id, call) in std::mem::take(&mut self.in_flight) {
            let unwritten = self.output.ext_id == ext_id && self.output.written == 0;
            let failure = if unwritten { PlatformFailure::NeverSent } else { PlatformFailure::Unknown };
            if let Some(answer) = call.answer {
                let _ = answer.send(Err(failure(why.to_owned())));
            }
        }
    }

    /// An error that names no call. The server answers, as far as that goes; which call it was about nobody knows, so that each still
    /// waits for an answer of its own.
    pub(super) fn unaddressed(&mut self, error: ServerError, link: &mut LinkContext<'_>) {
        tracing::warn!(%error, "trading server stated an error about no call");
        // Without status, code and text it may be no error at all.
        if error.kind != ServerErrorKind::Unreadable {
            self.answered_at = Some(link.parts.clock.monotonic());
        }
        if error.kind == ServerErrorKind::TooOften {
            self.slow_down(link);
        }
        if error.says_no_or_nothing() {
            link.state.with(|seen| {
                seen.refused("", &error.to_string());
                seen.call_refused();
            });
        }
    }

    /// Nothing is sent for a while, longer each time in a row.
    fn slow_down(&mut self, link: &LinkContext<'_>) {
        let pause = jittered(doubled(self.slowed), link.parts.entropy.bits());
        self.slow_until = link.parts.clock.monotonic().saturating_add(pause);
        self.slowed = self.slowed.saturating_add(1);
    }
}
