//! One connection to the platform: writes the calls that wait, and hands each answer to its call. A line that is cut or is no message
//! ends it, and what was in flight is unknown then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::client::{PlatformCall, PlatformFailure, PlatformLinkState};
use super::dial::{PlatformDial, PlatformStream};
use super::messages::{self, Incoming};
use super::output::{Output, advance};
use super::session::SessionWatch;
use crate::ports::{Clock, Entropy};

/// How long a server waits for a synchronous operation before it answers that it does not know; its default.
const SERVER_SYNC_WAIT: Duration = Duration::from_secs(5);

/// How long an answer may take once its call is written: the server's own wait, and two seconds for the way.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(7);
const _: () = assert!(ANSWER_WAIT_MAX.as_secs() > SERVER_SYNC_WAIT.as_secs());

/// Calls in flight: the published clients send as many as they like; a server that is behind must not be sent more.
const CALLS_IN_FLIGHT_MAX: usize = 64;

/// Longest line: a page of rows takes a tenth of it.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connection on which nothing came for so long is asked something: tunnels and firewalls drop idle ones after a minute.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(20);

/// What the connection needs from outside.
pub(super) struct LinkParts {
    pub(super) dial: Arc<dyn PlatformDial>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// A cheap command for an idle connection.
    pub(super) heartbeat: Box<str>,
    /// Codes and texts that answer a question, and say nothing of the connection's health.
    pub(super) expected: Vec<Box<str>>,
}

/// What a connection uses of the link that made it.
pub(super) struct LinkContext<'l> {
    pub(super) parts: &'l LinkParts,
    pub(super) state: &'l PlatformLinkState,
    pub(super) queue: &'l mut mpsc::Receiver<PlatformCall>,
    /// Connections in a row that brought no success.
    pub(super) tries: &'l mut u32,
}

pub(super) struct InFlight {
    pub(super) command: Box<str>,
    /// `None` is the heartbeat's.
    pub(super) answer: Option<oneshot::Sender<Result<serde_json::Value, PlatformFailure>>>,
    written_at: Duration,
    deadline: Duration,
}

pub(super) struct PlatformConnection {
    reader: ReadHalf<Box<dyn PlatformStream>>,
    writer: WriteHalf<Box<dyn PlatformStream>>,
    pub(super) token: Arc<Zeroizing<String>>,
    number: u64,
    prefix: String,
    sent: u64,
    input: Vec<u8>,
    pub(super) output: Output,
    pub(super) in_flight: BTreeMap<Box<str>, InFlight>,
    pub(super) session: SessionWatch,
    received_at: Duration,
    /// When the last answer came, to whichever call.
    pub(super) answered_at: Option<Duration>,
    /// Nothing is sent before, because the server said "too often"; and how often in a row it did.
    pub(super) slow_until: Duration,
    pub(super) slowed: u32,
}

impl PlatformConnection {
    pub(super) fn new(
        stream: Box<dyn PlatformStream>,
        token: Arc<Zeroizing<String>>,
        number: u64,
        now: Duration,
        bits: u128,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            token,
            number,
            // An answer to a call of an earlier run is none of ours.
            prefix: format!("{:012x}", bits & 0xffff_ffff_ffff),
            sent: 0,
            input: Vec::new(),
            output: Output { flushed: true, ..Output::default() },
            in_flight: BTreeMap::new(),
            session: SessionWatch::new(now),
            received_at: now,
            answered_at: None,
            slow_until: Duration::ZERO,
            slowed: 0,
        }
    }

    /// Serves until the connection cannot be used any more, and says why.
    pub(super) async fn serve(&mut self, mut link: LinkContext<'_>) -> String {
        let clock = Arc::clone(&link.parts.clock);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let now = clock.monotonic();
            if let Err(why) = self.expire(now) {
                return why;
            }
            // What is under way is answered first: a posting of another account must not become unknown by it.
            let is_ending = match self.ends(now, &link) {
                Some(why) if self.in_flight.is_empty() && self.output.is_done() => return why,
                ends => ends.is_some(),
            };
            if self.output.is_done() && now >= self.slow_until && !is_ending {
                let is_idle = now.saturating_sub(self.received_at) >= HEARTBEAT_PAUSE && self.in_flight.is_empty();
                let (is_in_question, was_refused) =
                    link.state.with(|seen| (seen.is_in_question(), seen.session_refused.is_some()));
                if self.session.asks(now, is_in_question, was_refused) || is_idle {
                    self.write(&link.parts.heartbeat, "{}", None, now);
                }
            }
            let is_written = self.output.is_done();
            let may_begin =
                is_written && !is_ending && now >= self.slow_until && self.in_flight.len() < CALLS_IN_FLIGHT_MAX;
            let rest = self.output.line.get(self.output.written..).unwrap_or_default();
            let wake = clock.sleep(self.next_wake(now));
            // The first that is ready in this order: what is to be written is bounded, what comes is not.
            tokio::select! {
                biased;
                written = advance(&mut self.writer, rest), if !is_written => match written {
                    Ok(_) if self.output.is_written() => self.output.flushed = true,
                    Ok(0) => return "it takes no more bytes".to_owned(),
                    Ok(count) => self.output.written = self.output.written.saturating_add(count),
                    Err(error) => return error.to_string(),
                },
                call = link.queue.recv(), if may_begin => match call {
                    Some(call) => self.begin(call, clock.monotonic()),
                    None => return "the cashier stops".to_owned(),
                },
                read = self.reader.read(&mut chunk) => match read {
                    Ok(0) if self.input.is_empty() => return "the server closed it".to_owned(),
                    Ok(0) => return "the server closed it within a line".to_owned(),
                    Ok(count) => {
                        self.received_at = clock.monotonic();
                        let part = chunk.get(..count).unwrap_or_default();
                        if let Err(why) = self.take(part, &mut link) {
                            return why.to_owned();
                        }
                    }
                    Err(error) => return error.to_string(),
                },
                () = wake => {}
            }
        }
    }

    /// Why it is to be closed as soon as nothing is under way on it.
    fn ends(&mut self, now: Duration, link: &LinkContext<'_>) -> Option<String> {
        if self.session.is_replaced(now, &self.token, || link.parts.dial.token()) {
            link.state.with(|seen| seen.retired = seen.retired.max(self.number));
        }
        let is_retired = link.state.with(|seen| seen.retired >= self.number);
        let ends = self.session.ended().or(is_retired.then_some("a person asks about a posting that it carried"));
        ends.map(str::to_owned)
    }

    fn next_wake(&self, now: Duration) -> Duration {
        let deadlines = self.in_flight.values().map(|call| call.deadline);
        let heartbeat = self.received_at.saturating_add(HEARTBEAT_PAUSE);
        let slow = Some(self.slow_until).filter(|until| *until > now);
        let next = deadlines.chain(slow).chain([heartbeat, self.session.next_look()]).filter(|at| *at > now).min();
        next.map_or(HEARTBEAT_PAUSE, |at| at.saturating_sub(now))
    }

    /// Begins to write a call, unless its caller took it back.
    fn begin(&mut self, call: PlatformCall, now: Duration) {
        if call.answer.is_closed() || !call.trace.written_to(self.number) {
            return;
        }
        self.write(&call.command, &call.data, Some(call.answer), now);
    }

    fn write(
        &mut self,
        command: &str,
        data: &str,
        answer: Option<oneshot::Sender<Result<serde_json::Value, PlatformFailure>>>,
        now: Duration,
    ) {
        self.sent = self.sent.saturating_add(1);
        let ext_id: Box<str> = format!("{}-{}", self.prefix, self.sent).into();
        let line = messages::request(command, data, &ext_id, &self.token);
        self.output = Output { line, written: 0, flushed: false, ext_id: ext_id.clone() };
        let deadline = now.saturating_add(ANSWER_WAIT_MAX);
        self.in_flight.insert(ext_id, InFlight { command: command.into(), answer, written_at: now, deadline });
    }

    /// Gives up the calls whose time is over; the error ends a connection on which no call was answered since one of them was written:
    /// a dead link takes what is sent as long as its buffers last.
    fn expire(&mut self, now: Duration) -> Result<(), String> {
        let over: Vec<Box<str>> =
            self.in_flight.iter().filter(|(_, call)| call.deadline <= now).map(|(id, _)| id.clone()).collect();
        for ext_id in over {
            let Some(call) = self.in_flight.remove(&ext_id) else { continue };
            let seconds = ANSWER_WAIT_MAX.as_secs();
            tracing::warn!(command = &*call.command, seconds, "call to the trading server timed out");
            if let Some(answer) = call.answer {
                let _ = answer.send(Err(PlatformFailure::Unknown(format!("no answer within {seconds} s"))));
            }
            if self.answered_at.is_none_or(|answered| answered < call.written_at) {
                return Err("it does not answer".to_owned());
            }
            // Half of it written: whatever follows would be a part of it.
            if !self.output.is_done() && self.output.ext_id == ext_id {
                return Err("it takes no bytes".to_owned());
            }
        }
        Ok(())
    }

    /// Takes what was read, line by line.
    fn take(&mut self, part: &[u8], link: &mut LinkContext<'_>) -> Result<(), &'static str> {
        let searched = self.input.len();
        self.input.extend_from_slice(part);
        let mut input = std::mem::take(&mut self.input);
        let (mut from, mut search) = (0, searched);
        while let Some(end) = input.get(search..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
            let end = search.saturating_add(end);
            let line = input.get(from..end).unwrap_or_default();
            self.take_line(line.strip_suffix(b"\r").unwrap_or(line), link)?;
            from = end.saturating_add(1);
            search = from;
        }
        input.drain(..from);
        self.input = input;
        if self.input.len() > LINE_BYTES_MAX { Err("a line is too long") } else { Ok(()) }
    }

    fn take_line(&mut self, line: &[u8], link: &mut LinkContext<'_>) -> Result<(), &'static str> {
        // Some servers keep a connection open by empty lines.
        if line.is_empty() {
            return Ok(());
        }
        match messages::read(line)? {
            Incoming::Ignored => {}
            // Nobody may be listening.
            Incoming::Push(push) => drop(link.state.pushes.send(push)),
            Incoming::Unaddressed(error) => self.unaddressed(error.without(&self.token), link),
            Incoming::Answer { ext_id, outcome } => match self.answered(&ext_id, link.parts.clock.monotonic()) {
                Some(call) => self.answer(call, outcome.map_err(|error| error.without(&self.token)), link),
                None => link.state.with(|seen| seen.answers_dropped = seen.answers_dropped.saturating_add(1)),
            },
        }
        Ok(())
    }
}
