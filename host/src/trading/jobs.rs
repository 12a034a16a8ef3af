//! What each request does to the rows and to the state in memory. The state changes only after every row was written, so
//! that a request that fails leaves it as it was.

use std::sync::Arc;

use cashier_core::account::Account;
use cashier_core::ids::Login;
use cashier_core::money::Money;
use cashier_core::operation::PostingOutcome;
use cashier_core::roster::{ImportReport, RosterPlan};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::books::BooksMark;
use super::posting::{PostingRefusal, judge};
use super::rates;
use super::requests::{PendingAnswer, QueuedRequest, RosterError, TradingRequest};
use super::roster::{self, Contested, Holdings, Roster};
use super::roster_changes;
use super::rows::{self, DiskFault, WriteCounters};
use crate::ports::Posting;

/// The holdings and counters, as the rows have them or as a batch leaves them.
#[derive(Clone)]
pub(super) struct TradingState {
    pub(super) holdings: Holdings,
    pub(super) counters: WriteCounters,
    pub(super) mark: BooksMark,
}

impl TradingState {
    /// A request without an answer, such as a posting to a contested account, gets none.
    pub(super) fn execute(
        &mut self,
        connection: &Connection,
        queued: QueuedRequest,
    ) -> Result<Option<PendingAnswer>, DiskFault> {
        match queued.request {
            TradingRequest::Post { posting, answer } => {
                Ok(self.post(connection, &posting)?.map(|outcome| deliver(answer, outcome)))
            }
            TradingRequest::Void { posting, reason, answer } => {
                let outcome = match known(connection, &posting)? {
                    Some(known) => known,
                    None => {
                        rows::insert_posting(connection, &posting, 0, reason.name())?;
                        self.mark.received(&posting);
                        PostingOutcome::Refused { reason: reason.name().into() }
                    }
                };
                Ok(Some(deliver(answer, outcome)))
            }
            TradingRequest::Find { posting, answer } => Ok(Some(deliver(answer, known(connection, &posting)?))),
            TradingRequest::Inspect { work, .. } => work(connection, &mut self.mark).map(Some),
            TradingRequest::Account { login, answer } => {
                Ok(Some(deliver(answer, self.holdings.facts(login).map_err(Contested::clone))))
            }
            TradingRequest::ApplyRoster { roster, judged, answer } => {
                Ok(Some(deliver(answer, self.apply_roster(connection, &roster, judged.as_ref())?)))
            }
            TradingRequest::SettleBalance { login, put_back, answer } => {
                Ok(Some(deliver(answer, self.settle_balance(connection, login, put_back)?)))
            }
            TradingRequest::Close => Ok(None),
        }
    }

    fn post(&mut self, connection: &Connection, posting: &Posting) -> Result<Option<PostingOutcome>, DiskFault> {
        if let Some(known) = known(connection, posting)? {
            return Ok(Some(known));
        }
        let login = posting.operation.login;
        if let Some(why) = self.holdings.contested.get(&login) {
            tracing::warn!(operation = %posting.operation.id, %login, %why, "posting waits: its account is contested");
            return Ok(None);
        }
        match judge(&self.holdings, posting) {
            Ok(account) => {
                let trade_order = self.counters.trade_order.saturating_add(1);
                rows::insert_posting(connection, posting, trade_order, "")?;
                if let Some(before) = self.holdings.accounts.get(&login) {
                    rows::move_balance(connection, login, before.balance, account.balance)?;
                }
                self.mark.received(posting);
                self.mark.posted(posting);
                self.counters.trade_order = trade_order;
                self.holdings.accounts.insert(login, Arc::new(account));
                Ok(Some(PostingOutcome::posted(trade_order)))
            }
            Err(refusal) => {
                rows::insert_posting(connection, posting, 0, refusal.code())?;
                self.mark.received(posting);
                Ok(Some(refused(refusal)))
            }
        }
    }

    fn apply_roster(
        &mut self,
        connection: &Connection,
        roster: &Roster,
        judged: Option<&RosterPlan>,
    ) -> Result<Result<ImportReport, RosterError>, DiskFault> {
        let changes = match roster::apply(&self.holdings, roster) {
            Ok(changes) => changes,
            Err(mistakes) => return Ok(Err(RosterError::Mistakes(mistakes))),
        };
        if judged.is_some_and(|judged| roster_changes::plan(&self.holdings, &changes) != *judged) {
            return Ok(Err(RosterError::Stale));
        }
        for group in &changes.groups {
            rows::put_group(connection, group)?;
        }
        for customer in &changes.customers {
            rows::put_customer(connection, customer)?;
        }
        for account in &changes.accounts {
            rows::put_account(connection, account)?;
        }
        for (pair, stated) in &changes.rates {
            rates::put(connection, *pair, stated)?;
        }
        self.holdings = changes.holdings;
        Ok(Ok(changes.report))
    }

    fn settle_balance(
        &mut self,
        connection: &Connection,
        login: Login,
        put_back: bool,
    ) -> Result<Option<Money>, DiskFault> {
        let Some(Contested::Edited { recorded, found }) = self.holdings.contested.get(&login) else { return Ok(None) };
        let Some(account) = self.holdings.accounts.get(&login) else { return Ok(None) };
        let balance = if put_back { *recorded } else { *found };
        let account = Account { balance, ..Account::clone(account) };
        rows::settle_balance(connection, login, balance)?;
        self.holdings.accounts.insert(login, Arc::new(account));
        self.holdings.contested.remove(&login);
        Ok(Some(balance))
    }
}

/// What is stored under the key of a posting.
fn known(connection: &Connection, posting: &Posting) -> Result<Option<PostingOutcome>, DiskFault> {
    let stored = rows::posting(connection, &posting.key())?;
    Ok(stored.map(|stored| if stored.is_same(posting) { stored.outcome } else { PostingOutcome::Conflict }))
}

fn refused(refusal: PostingRefusal) -> PostingOutcome {
    PostingOutcome::Refused { reason: refusal.code().into() }
}

/// The receiver may have gone by then.
pub(super) fn deliver<T: 'static>(answer: oneshot::Sender<T>, value: T) -> PendingAnswer {
    Box::new(move || drop(answer.send(value)))
}
