//! Keeps a connection to the platform open: connects, and connects again, with pauses that grow. What a connection carries is
//! `connection`'s.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::client::{CALLS_QUEUED_MAX, CONNECTED, PlatformCall, PlatformClient, PlatformFailure, PlatformLinkState};
use super::connection::{LinkContext, LinkParts, PlatformConnection};
use super::dial::PlatformStream;
use super::messages::PlatformPush;
use super::pauses::{doubled, jittered};
use crate::ports::Spawn;

/// From name to connection, with TLS: two lost packets are repeated after 1 and 3 s.
const LINK_DIAL_WAIT: Duration = Duration::from_secs(5);

/// Starts the connection as a background task.
pub(super) fn open(parts: LinkParts, spawn: &dyn Spawn) -> PlatformClient {
    let (calls, queue) = mpsc::channel(CALLS_QUEUED_MAX);
    let state = PlatformLinkState::new();
    let clock = Arc::clone(&parts.clock);
    let client = PlatformClient { calls, state: Arc::clone(&state), opened: clock.monotonic(), clock };
    spawn.background(Box::pin(PlatformLink { parts, state, queue, tries: 0 }.run()));
    client
}

struct PlatformLink {
    parts: LinkParts,
    state: Arc<PlatformLinkState>,
    queue: mpsc::Receiver<PlatformCall>,
    /// Connections in a row that brought no answer.
    tries: u32,
}

impl PlatformLink {
    async fn run(mut self) {
        while !self.queue.is_closed() || !self.queue.is_empty() {
            let why = match self.connect().await {
                Ok((stream, token)) => {
                    let (number, now) = (self.begin_connection(), self.parts.clock.monotonic());
                    let mut connection = PlatformConnection::new(stream, token, number, now, self.parts.entropy.bits());
                    let Self { parts, state, queue, tries } = &mut self;
                    let why = connection.serve(LinkContext { parts, state, queue, tries }).await;
                    self.state.with(|seen| seen.close(self.parts.clock.monotonic(), why.clone()));
                    connection.close(&why);
                    tracing::warn!(connection = number, why, "connection to the trading server was closed");
                    // Closed on purpose, by a person's question or for another token: what waits goes to the next one at once.
                    if self.state.with(|seen| seen.retired >= number) {
                        continue;
                    }
                    why
                }
                Err(why) => {
                    tracing::warn!(why, tries = self.tries, "connection to the trading server failed");
                    self.state.with(|seen| seen.problem = Some(why.clone()));
                    why
                }
            };
            self.pause(&why).await;
        }
    }

    fn begin_connection(&self) -> u64 {
        tracing::info!("connected to the trading server");
        // What was pushed meanwhile was missed. Nobody may be listening.
        let connected = PlatformPush { event: CONNECTED.into(), data: serde_json::Value::Null };
        drop(self.state.pushes.send(connected));
        self.state.with(|seen| {
            seen.connection = seen.connection.saturating_add(1);
            seen.connected_since = Some(self.parts.clock.now());
            seen.problem = None;
            // A new session may have other rights.
            seen.refusals.clear();
            seen.refused_in_a_row = 0;
            seen.connection
        })
    }

    async fn connect(&self) -> Result<(Box<dyn PlatformStream>, Arc<Zeroizing<String>>), String> {
        // Read again for each connection: a broker who replaces a token may close the session of the old one.
        let token = self.parts.dial.token()?;
        match select(self.parts.dial.dial(), self.parts.clock.sleep(LINK_DIAL_WAIT)).await {
            Either::Left((stream, _)) => Ok((stream?, token)),
            Either::Right(((), _)) => Err("no connection before the deadline".to_owned()),
        }
    }

    /// Waits before the next try; what is to be sent meanwhile is refused at once, as nothing of it was sent.
    async fn pause(&mut self, why: &str) {
        let length = jittered(doubled(self.tries), self.parts.entropy.bits());
        self.tries = self.tries.saturating_add(1);
        let mut rest = self.parts.clock.sleep(length);
        loop {
            match select(rest, std::pin::pin!(self.queue.recv())).await {
                Either::Left(_) | Either::Right((None, _)) => return,
                Either::Right((Some(call), left)) => {
                    let _ = call.answer.send(Err(PlatformFailure::NeverSent(why.to_owned())));
                    rest = left;
                }
            }
        }
    }
}
