//! Takes the differences over into the books: postings become posted operations of their transactions, or of recovered ones
//! where those are lost; lost postings become reviews; ids move past every one seen. Nothing is credited. Each transaction is
//! one decision, so that an interrupted run is continued by the next.

use std::collections::{BTreeMap, BTreeSet};

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::aggregate::{Aggregate, DecisionContext};
use cashier_core::change::Stamp;
use cashier_core::draft::Draft;
use cashier_core::ids::{OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::OperationKey;
use cashier_core::reconcile::{FoundPosting, recovered, recovered_texts};
use cashier_core::session::Actor;
use cashier_core::time::UnixTime;
use cashier_core::transaction::Fresh;

use super::{ByTransaction, Differences};
use crate::ledger::Ledger;
use crate::ports::{Entropy, Fault, TradingServer};
use crate::trading::embedded::Embedded;

/// Request id of its commits.
const REQUEST_ID: &str = "reconcile";

/// Postings of transactions that the books do not have, by reference or id.
type Vanished = BTreeMap<Box<str>, Vec<FoundPosting>>;

/// What was done, by number of postings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Imported into transactions of the books.
    pub imported: usize,
    /// Imported into transactions that were recovered for a person to see.
    pub recovered: usize,
    /// Operations that are under review, because their posting is not there.
    pub lost: usize,
}

/// Both databases, open and locked.
pub struct Reconciler<'a> {
    pub ledger: &'a Ledger,
    pub trading: &'a Embedded,
    pub entropy: &'a dyn Entropy,
    pub now: UnixTime,
}

/// Ids that are free: above the books' counters and those seen at the trading server, or a posting's own.
struct FreeIds {
    /// The books handed out no higher ones.
    counted: (TransactionId, OperationId),
    newest: (TransactionId, OperationId),
    taken: (BTreeSet<TransactionId>, BTreeSet<OperationId>),
}

impl FreeIds {
    fn transaction(&mut self, own: TransactionId) -> TransactionId {
        if own > self.counted.0 && self.taken.0.insert(own) {
            return own;
        }
        self.newest.0.0 += 1;
        self.newest.0
    }

    /// The posting's own id, if no other operation has it.
    fn own_operation(&mut self, own: OperationId) -> Option<OperationId> {
        (own > self.counted.1 && self.taken.1.insert(own)).then_some(own)
    }

    fn operation(&mut self) -> OperationId {
        self.newest.1.0 += 1;
        self.newest.1
    }
}

impl Reconciler<'_> {
    /// Applies differences that were found since both databases were opened; `identity` is that of cashier.db.
    pub async fn apply(&self, differences: Differences, identity: &str) -> Result<Applied, Fault> {
        let counters = self.peek(|books| books.counters())?;
        let counted = (TransactionId(counters.transaction), OperationId(counters.operation));
        let newest = (counted.0.max(differences.seen.0), counted.1.max(differences.seen.1));
        let mut ids = FreeIds { counted, newest, taken: Default::default() };
        let (known, vanished) = self.by_transaction(differences)?;
        let mut applied = Applied::default();
        for (id, differing) in known {
            let Some(aggregate) = self.peek(|books| books.aggregate(id))? else { continue };
            let found = self.with_free_ids(&aggregate, differing.found, &mut ids).await?;
            applied.imported += found.len();
            applied.lost += differing.lost.len();
            self.decide(&mut ids, |draft, at| draft.add(aggregate.reconcile(&found, &differing.lost, at))).await?;
        }
        for (_, found) in vanished {
            applied.recovered += found.len();
            self.recover(found, &mut ids).await?;
        }
        let newest = ids.newest;
        self.decide(&mut ids, |draft, _| draft.skip_ids(newest.0, newest.1)).await?;
        self.trading.adopt(identity).await?;
        Ok(applied)
    }

    /// The differences of transactions that the books have, and the postings of those that they do not have.
    fn by_transaction(&self, differences: Differences) -> Result<(ByTransaction, Vanished), Fault> {
        let mut known = ByTransaction::new();
        let mut vanished = Vanished::new();
        for posting in differences.unknown {
            match self.transaction_of(&posting)? {
                Some(id) => known.entry(id).or_default().found.push(posting),
                None => vanished.entry(group(&posting)).or_default().push(posting),
            }
        }
        for lost in differences.lost {
            known.entry(lost.transaction).or_default().lost.push(lost.operation);
        }
        for posting in differences.besides {
            let others = match self.transaction_of(&posting)? {
                Some(id) => known.get_mut(&id).map(|differing| &mut differing.found),
                None => vanished.get_mut(&group(&posting)),
            };
            if let Some(others) = others {
                others.push(posting);
            }
        }
        let own_order = |found: &mut Vec<FoundPosting>| found.sort_by_key(|posting| posting.operation_id);
        known.values_mut().for_each(|differing| own_order(&mut differing.found));
        vanished.values_mut().for_each(own_order);
        Ok((known, vanished))
    }

    /// The transaction of a posting: by reference; one made before by its id, provided that customer, login and currency
    /// are the transaction's.
    fn transaction_of(&self, posting: &FoundPosting) -> Result<Option<TransactionId>, Fault> {
        self.peek(|books| match posting.key.parts() {
            Some((reference, _)) => books.by_reference(&reference),
            None => books.transaction(posting.transaction_id).filter(|own| is_of(own, posting)).map(|own| own.id),
        })
    }

    /// The postings under ids that no other operation has. One whose key is its id gets another key where that is taken.
    async fn with_free_ids(
        &self,
        aggregate: &Aggregate,
        mut found: Vec<FoundPosting>,
        ids: &mut FreeIds,
    ) -> Result<Vec<FoundPosting>, Fault> {
        let own = aggregate.operations.iter().map(|operation| operation.ordinal);
        let mut newest = own.chain(found.iter().map(FoundPosting::ordinal)).max().unwrap_or_default();
        for posting in &mut found {
            if aggregate.keyed(&posting.key).is_some() {
                continue;
            }
            let own = ids.own_operation(posting.operation_id);
            if own.is_none() && posting.ordinal() == 0 {
                newest += 1;
                let key = OperationKey::read(&format!("{}:{newest}", aggregate.transaction.reference));
                let key = key.ok_or_else(|| Fault::new("a reference makes no key"))?;
                self.trading.rekey(posting, &key).await?;
                posting.key = key;
            }
            posting.operation_id = own.unwrap_or_else(|| ids.operation());
        }
        Ok(found)
    }

    /// Puts a recovered transaction in place of the one that the books lost.
    async fn recover(&self, found: Vec<FoundPosting>, ids: &mut FreeIds) -> Result<(), Fault> {
        let Some(first) = found.iter().find(|posting| posting.is_posted()) else { return Ok(()) };
        let account = self.trading.account(first.login).await?.unwrap_or_else(|| nameless(first));
        let fresh = Fresh {
            id: ids.transaction(first.transaction_id),
            reference: match first.key.parts() {
                Some((reference, _)) => reference,
                None => Reference::from_random(self.entropy.bits()),
            },
            now: self.now,
        };
        let id = fresh.id;
        let aggregate = Aggregate { transaction: recovered(fresh, first, &account), operations: Vec::new() };
        let found = self.with_free_ids(&aggregate, found, ids).await?;
        let recover = |draft: &mut Draft<'_>, at| {
            draft.add(aggregate.reconcile(&found, &[], at));
            draft.store_texts(id, recovered_texts());
        };
        self.decide(ids, recover).await
    }

    async fn decide(
        &self,
        ids: &mut FreeIds,
        decision: impl FnOnce(&mut Draft<'_>, DecisionContext),
    ) -> Result<(), Fault> {
        let stamp = Stamp { actor: Actor::System, request_id: REQUEST_ID.into(), now: self.now };
        // An operation that is planned meanwhile gets an id that no posting has.
        let next_operation = ids.operation();
        let refused = |refusal: cashier_core::refusal::Refusal| Fault::new(format!("cashier.db: {}", refusal.message));
        let ticket = self
            .ledger
            .decide(&stamp, |draft| {
                let at = DecisionContext { next_operation, ..draft.context() };
                decision(draft, at);
            })
            .map_err(refused)?;
        ticket.durable().await.map(|_| ()).map_err(refused)
    }

    fn peek<T>(&self, read: impl FnOnce(&cashier_core::books::Books) -> T) -> Result<T, Fault> {
        self.ledger.peek(read).map_err(|refusal| Fault::new(format!("cashier.db: {}", refusal.message)))
    }
}

/// The name of a vanished transaction among others: its reference; where the posting has none its id, which restored books
/// may have handed out to another account as well.
fn group(posting: &FoundPosting) -> Box<str> {
    let FoundPosting { transaction_id, customer_id, login, amount, .. } = posting;
    match posting.key.parts() {
        Some((reference, _)) => reference.as_str().into(),
        None => format!("{transaction_id} {customer_id} {login} {}", amount.currency).into(),
    }
}

fn is_of(own: &cashier_core::transaction::Transaction, posting: &FoundPosting) -> bool {
    (own.customer_id, own.login, own.account_currency) == (posting.customer_id, posting.login, posting.amount.currency)
}

/// The account of a posting whose login the trading server does not know any more.
fn nameless(posting: &FoundPosting) -> AccountFacts {
    let currency = posting.amount.currency;
    AccountFacts {
        customer: Customer {
            customer_id: posting.customer_id,
            country: Box::default(),
            brand: Box::default(),
            status: 0,
            deposit_allowed: false,
            withdrawal_allowed: false,
        },
        account: Account {
            login: posting.login,
            customer_id: posting.customer_id,
            group: Box::default(),
            enabled: false,
            balance: Money::new(0, currency),
        },
        group: Group {
            group: Box::default(),
            brand: Box::default(),
            currency,
            account_mode: AccountMode::Real,
            enabled: false,
        },
        server: ServerName::default(),
        age_seconds: 0,
    }
}
