//! What is known of the connection to the platform: whether there is one, since when, why not, and what the server refuses. It sends
//! nothing.

use std::collections::VecDeque;
use std::time::Duration;

use cashier_core::time::UnixTime;

use crate::ports::Fault;

/// Closed connections whose time of closing is kept; of older ones it is at least as long ago.
const CLOSED_KEPT_MAX: usize = 64;

/// Refusals of one command in a row that are no longer about what was asked, but about the command; of calls in a row, perhaps about
/// the session.
const REFUSED_IN_A_ROW: u32 = 3;

/// What is known of the connection.
#[derive(Debug, Default)]
pub(super) struct LinkHealth {
    /// Of the present or the last connection, from 1.
    pub(super) connection: u64,
    pub(super) connected_since: Option<UnixTime>,
    /// Why there is no connection.
    pub(super) problem: Option<String>,
    /// What the server refused of each command in a row, until it does it again: rights, or what it does not know.
    pub(super) refusals: Vec<CommandRefusal>,
    /// Calls that were refused in a row on this connection, whichever they were. The heartbeat is none: a session without the right to it
    /// may do everything else.
    pub(super) refused_in_a_row: u32,
    /// What the server said when it refused the heartbeat too: it does nothing for the session, until it does something.
    pub(super) session_refused: Option<Box<str>>,
    /// Answers to calls that were given up, and answers that came twice.
    pub(super) answers_dropped: u64,
    /// When the last connections were closed, by the monotonic clock.
    pub(super) closed: VecDeque<(u64, Duration)>,
    /// Connections up to this one are closed once nothing is under way on them: a person asks about what one of them carried, or the
    /// token was replaced.
    pub(super) retired: u64,
}

/// A command that the server does not do.
#[derive(Debug)]
pub(super) struct CommandRefusal {
    command: Box<str>,
    why: Box<str>,
    times: u32,
}

impl LinkHealth {
    /// Whether this is the present connection, or when it was closed.
    pub(super) fn closed_at(&self, connection: u64) -> Option<Duration> {
        let known = self.closed.iter().find(|(number, _)| *number == connection).map(|(_, at)| *at);
        known.or_else(|| self.closed.front().filter(|(oldest, _)| connection < *oldest).map(|(_, at)| *at))
    }

    pub(super) fn close(&mut self, at: Duration, why: String) {
        self.connected_since = None;
        self.problem = Some(why);
        if self.closed.len() >= CLOSED_KEPT_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back((self.connection, at));
    }

    /// The server did it.
    pub(super) fn done(&mut self, command: &str) {
        self.refusals.retain(|known| *known.command != *command && !known.command.is_empty());
        self.refused_in_a_row = 0;
        self.session_refused = None;
    }

    /// The server said no. An empty command: it did not say of which.
    pub(super) fn refused(&mut self, command: &str, why: &str) {
        match self.refusals.iter_mut().find(|known| *known.command == *command) {
            Some(known) => {
                known.times = known.times.saturating_add(1);
                known.why = why.into();
            }
            None => self.refusals.push(CommandRefusal { command: command.into(), why: why.into(), times: 1 }),
        }
    }

    /// A call was refused.
    pub(super) fn call_refused(&mut self) {
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
    }

    /// Whether it is to be found out by the heartbeat if the server refuses the session, and no longer what it is asked.
    pub(super) fn is_in_question(&self) -> bool {
        self.refused_in_a_row >= REFUSED_IN_A_ROW
    }

    /// The server refused the heartbeat; whether it refuses the session.
    pub(super) fn heartbeat_refused(&mut self, why: &str) -> bool {
        if self.is_in_question() {
            self.session_refused = Some(why.into());
        }
        self.is_in_question()
    }

    pub(super) fn reaches(&self) -> Result<(), Fault> {
        match (&self.connected_since, &self.session_refused) {
            (None, _) => {
                let problem = self.problem.as_deref().unwrap_or("not connected");
                Err(Fault::new(format!("the trading server cannot be reached: {problem}")))
            }
            (Some(_), Some(why)) => Err(Fault::new(format!(
                "the trading server refuses everything that it is asked: {why}; is the token of the file one of a session that it knows?"
            ))),
            (Some(_), None) => Ok(()),
        }
    }

    pub(super) fn health(&self) -> Result<(), Fault> {
        self.reaches()?;
        match self.refusals.iter().find(|refusal| refusal.times >= REFUSED_IN_A_ROW) {
            Some(CommandRefusal { command, why, .. }) => Err(Fault::new(format!(
                "the trading server refuses {}: {why}; if it is about rights, the broker grants them to the session of the token",
                if command.is_empty() { "what is sent" } else { command }
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_refused_where_the_heartbeat_is_after_other_commands_until_one_is_done() {
        let mut seen = LinkHealth { connected_since: Some(UnixTime(1)), ..LinkHealth::default() };
        assert!((0..9).all(|_| !seen.heartbeat_refused("no")), "a session without the right to it");
        (0..REFUSED_IN_A_ROW).for_each(|_| seen.call_refused());
        assert!(seen.is_in_question() && seen.reaches().is_ok());
        assert!(seen.heartbeat_refused("WHO_ARE_YOU"));
        assert!(seen.reaches().unwrap_err().what.contains("refuses everything that it is asked: WHO_ARE_YOU"));
        seen.done("GetGroups");
        assert!(!seen.is_in_question() && seen.reaches().is_ok());
    }
}
