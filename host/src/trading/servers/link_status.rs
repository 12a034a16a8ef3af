//! What a trading server is shown as, and whether something can be posted to it: by whether it answers, and whether its postings were
//! compared with the books. It asks nothing.

use std::sync::Arc;

use cashier_core::ids::ServerName;
use cashier_core::time::UnixTime;

use super::link::{ComparisonState, Server, ServerLink};
use crate::ports::{Fault, ServerDifferences, TradingServer, TradingStatus};

/// Why nothing is posted to a server whose database a person accepted in place of the one before.
const OTHER_DATABASE: &str = "it has another database of postings than before";

/// Why nothing can be posted to a server now.
enum Obstacle {
    /// Its circuit breaker is open; the last failure.
    CutOff(Box<str>),
    Unreached(Fault),
    /// Its postings, or those of the database that it has now, were not compared with the books yet.
    NotCompared(Box<str>),
}

impl ServerLink {
    /// Whether something can be posted now.
    pub(super) fn reaches(&self) -> Result<(), Fault> {
        match self.obstacle() {
            None => Ok(()),
            Some(Obstacle::CutOff(_)) => Err(self.cut_off()),
            Some(Obstacle::Unreached(fault)) => Err(fault),
            Some(Obstacle::NotCompared(why)) => Err(Fault::new(format!(
                "postings of trading server {} were not compared with the books yet: {why}",
                self.name
            ))),
        }
    }

    /// As [`RemoteServer::states_ready`](crate::trading::remote::RemoteServer::states_ready).
    pub(super) fn states_ready(&self) -> Result<(), Fault> {
        match &self.server {
            Server::Embedded(_) => Ok(()),
            Server::Remote { server, .. } => server.states_ready(),
        }
    }

    /// Why nothing can be posted now: the one judgement that postings, pages and metrics go by.
    fn obstacle(&self) -> Option<Obstacle> {
        match &self.server {
            Server::Embedded(server) => server.readiness().err().map(Obstacle::Unreached),
            Server::Remote { .. } if self.is_cut_off() => Some(Obstacle::CutOff(self.lock().answering.last_failure())),
            Server::Remote { server, .. } => {
                let unreached = server.reaches().err().map(Obstacle::Unreached);
                unreached.or_else(|| self.awaits_comparison().map(Obstacle::NotCompared))
            }
        }
    }

    /// Whether it answers, as far as that is known without asking.
    pub(super) fn is_answering(&self) -> bool {
        let is_well = match &self.server {
            Server::Embedded(_) => true,
            Server::Remote { server, .. } => server.reaches().is_ok(),
        };
        let state = self.lock();
        is_well && state.answering.is_answering()
    }

    pub(super) fn status(&self) -> TradingStatus {
        let (protocol, health) = match &self.server {
            Server::Embedded(_) => (ServerName::EMBEDDED, Ok(())),
            Server::Remote { protocol, server } => (*protocol, server.health()),
        };
        let obstacle = self.obstacle();
        let state = self.lock();
        let is_silent = matches!(obstacle, Some(Obstacle::CutOff(_) | Obstacle::Unreached(_)));
        let since = state.answering.failing_since().filter(|_| is_silent);
        TradingStatus {
            server: self.name.clone(),
            protocol,
            problem: obstacle.map(|obstacle| match obstacle {
                Obstacle::CutOff(why) => why,
                Obstacle::Unreached(fault) => fault.to_string().into(),
                Obstacle::NotCompared(_) => "its postings are compared with the books first".into(),
            }),
            remark: health.err().filter(|_| !is_silent).map(|fault| fault.to_string().into()),
            failing_since: since.unwrap_or(UnixTime::UNSET),
            is_cut_off: state.answering.is_cut_off(),
            not_compared: match &state.comparison {
                ComparisonState::Due(why) => Some(why.clone()),
                ComparisonState::Compared(..) if self.has_another_database() => Some(OTHER_DATABASE.into()),
                ComparisonState::Compared(_, differs) => differs.as_ref().map(|differs| differs.sentence.clone()),
            },
            compared_time: match &state.comparison {
                ComparisonState::Due(_) => UnixTime::UNSET,
                ComparisonState::Compared(at, _) => *at,
            },
        }
    }

    /// What was found to differ from the books, where something was.
    pub(super) fn differences(&self) -> Option<Arc<ServerDifferences>> {
        match &self.lock().comparison {
            ComparisonState::Due(_) => None,
            ComparisonState::Compared(_, differs) => differs.clone(),
        }
    }

    /// A comparison with the books ended: what differs, or nothing. Or it could not be made, for this reason: what an earlier one
    /// found is true until it can.
    pub(super) fn note_comparison(&self, found: Result<Option<Arc<ServerDifferences>>, &Fault>) {
        let mut state = self.lock();
        match (found, &state.comparison) {
            (Ok(found), _) => state.comparison = ComparisonState::Compared(self.clock.now(), found),
            (Err(fault), ComparisonState::Due(_)) => state.comparison = ComparisonState::Due(fault.to_string().into()),
            (Err(_), ComparisonState::Compared(..)) => {}
        }
    }

    /// It is to be compared with the books again: it answers after it did not, or its connection is a new one.
    pub(super) fn note_return(&self) {
        self.again.notify_one();
    }

    /// Resolves once that was said since this resolved last.
    pub(super) async fn returned(&self) {
        self.again.notified().await;
    }

    pub(super) fn awaits_comparison(&self) -> Option<Box<str>> {
        match &self.lock().comparison {
            ComparisonState::Due(why) => Some(why.clone()),
            ComparisonState::Compared(..) => self.has_another_database().then(|| OTHER_DATABASE.into()),
        }
    }

    /// It has another database of postings than the one that was compared.
    pub(super) fn has_another_database(&self) -> bool {
        match &self.server {
            Server::Embedded(_) => false,
            Server::Remote { server, .. } => !server.is_compared(),
        }
    }
}
