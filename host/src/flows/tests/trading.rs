//! A trading server in memory that loses answers, is slow, refuses, or keys by nothing, as a test says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::ids::{Login, OperationId, TransactionId};
use cashier_core::operation::PostingOutcome;
use futures_util::future::BoxFuture;

use super::world::{CUSTOMER, LOGIN, lock, usd};
use crate::ports::{Durable, Fault, Posting, TradingServer};

/// What the trading server does with the next posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    Fine,
    /// Posted; the answer is lost.
    Silent,
    /// Never arrives.
    Lost,
    Refuse,
    /// Posted after this many seconds.
    Slow(u64),
}

/// Balances by the operations posted; survives crashes.
#[derive(Default)]
pub(super) struct Trading {
    pub(super) posted: Mutex<Vec<(OperationId, TransactionId, i64)>>,
    refused: Mutex<BTreeMap<OperationId, ()>>,
    pub(super) script: Mutex<VecDeque<Post>>,
    pub(super) unkeyed: AtomicBool,
}

impl Trading {
    pub(super) fn balance(&self) -> i64 {
        lock(&self.posted).iter().map(|(_, _, minor)| minor).sum()
    }

    pub(super) fn credited(&self, id: TransactionId) -> i64 {
        lock(&self.posted).iter().filter(|(_, of, _)| *of == id).map(|(_, _, minor)| minor).sum()
    }

    fn take(&self, posting: &Posting) -> PostingOutcome {
        let operation = &posting.operation;
        if !self.unkeyed.load(Ordering::SeqCst)
            && let Some(known) = self.known(operation.id)
        {
            return known;
        }
        let mut posted = lock(&self.posted);
        posted.push((operation.id, operation.transaction_id, operation.amount.minor));
        PostingOutcome::Posted { trade_order: posted.len() as u64 }
    }

    fn known(&self, id: OperationId) -> Option<PostingOutcome> {
        let place = lock(&self.posted).iter().position(|(known, ..)| *known == id);
        let refused = lock(&self.refused).contains_key(&id);
        let refused = refused.then(|| PostingOutcome::Refused { reason: "NO".into() });
        place.map(|place| PostingOutcome::Posted { trade_order: place as u64 + 1 }).or(refused)
    }
}

pub(super) struct TradingPort(pub(super) Arc<Trading>);

impl TradingServer for TradingPort {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let customer = Customer {
            customer_id: CUSTOMER,
            country: "DE".into(),
            brand: "main".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        };
        let group = Group {
            group: "real".into(),
            brand: "main".into(),
            currency: usd(0).currency,
            account_mode: AccountMode::Real,
            enabled: true,
        };
        let balance = usd(self.0.balance());
        let account = Account { login, customer_id: CUSTOMER, group: "real".into(), enabled: true, balance };
        let found = (login == LOGIN).then_some(AccountFacts { customer, account, group });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostingOutcome> {
        let trading = Arc::clone(&self.0);
        let next = lock(&trading.script).pop_front().unwrap_or(Post::Fine);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            match next {
                Post::Fine => trading.take(posting.get()),
                Post::Lost => PostingOutcome::Unknown,
                Post::Refuse => {
                    lock(&trading.refused).insert(posting.get().operation.id, ());
                    PostingOutcome::Refused { reason: "NO".into() }
                }
                Post::Silent => {
                    trading.take(posting.get());
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    PostingOutcome::Unknown
                }
                Post::Slow(seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    trading.take(posting.get())
                }
            }
        })
    }

    fn find(&self, id: OperationId) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        Box::pin(std::future::ready(Ok(self.0.known(id))))
    }

    fn keyed_by_operation(&self) -> bool {
        !self.0.unkeyed.load(Ordering::SeqCst)
    }
}
