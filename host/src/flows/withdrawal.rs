//! A withdrawal request: recorded for a person, debits nothing.

use std::sync::Arc;

use cashier_core::books::{Books, StoredBy};
use cashier_core::change::Change;
use cashier_core::deposit;
use cashier_core::ids::Reference;
use cashier_core::refusal::Refusal;
use cashier_core::session::{Actor, CustomerSession};
use cashier_core::texts::Texts;
use cashier_core::transaction::{Fresh, KeySpace, Transaction};
use cashier_core::withdrawal::{self, WithdrawalRequest};

use super::{Cashier, RequestContext, transactions};
use crate::ledger::Estimate;

/// Records a withdrawal request, or shows the one that its idempotency key stands for.
pub async fn withdraw(
    cashier: &Arc<Cashier>,
    session: &CustomerSession,
    request: WithdrawalRequest,
    context: RequestContext,
) -> Result<(Transaction, Arc<Texts>), Refusal> {
    cashier.limits.withdrawals.check(session.customer_id())?;
    let account = cashier.own_account(session, request.login).await?;
    let earlier = cashier.ledger.peek(|books| bound(books, &request))?;
    if earlier.is_none() {
        check_new(&request)?;
        withdrawal::check_account(&request, &account)?;
    }
    let _admitted = cashier.ledger.admit(Estimate::single(request.metadata_json.len() as u64))?;
    let random = [cashier.entropy.bits(), cashier.entropy.bits()];
    let stamp = cashier.stamp(Actor::Customer(request.customer_id), &context.request_id);
    let (limits, stores) = (cashier.rules.customer_limits, request.stored_bytes());
    let mut opened_beside = None;
    let ticket = cashier.ledger.decide(&stamp, |draft| {
        if let Some(earlier) =
            bound(draft.books_by_key(request.customer_id, KeySpace::Customer, &request.idempotency_key), &request)
        {
            let same = withdrawal::same_order(&earlier, &request);
            return if same { Ok(earlier) } else { Err(deposit::key_conflict()) };
        }
        check_new(&request)?;
        let stored = draft.customer_use(request.customer_id).stored(StoredBy::Withdrawals, draft.now());
        limits.check(None, stored, stores)?;
        opened_beside = Some(stored);
        let reference = random.map(Reference::from_random).into_iter().find(|new| draft.by_reference(new).is_none());
        let reference = reference.ok_or_else(|| Refusal::invalid("try again"))?;
        let fresh = Fresh { id: draft.next_transaction(), reference, now: draft.now() };
        let transaction = withdrawal::open(&request, &account, fresh);
        draft.store_texts(transaction.id, request.texts());
        draft.add([Change::Transaction(Box::new(transaction.clone()))]);
        Ok(transaction)
    })?;
    let transaction = ticket.durable().await?.into_inner()?;
    if let Some(stored) = opened_beside {
        limits.note(transaction.customer_id, stored, stores);
    }
    let texts = transactions::texts(cashier, &transaction).await?;
    Ok((transaction, texts))
}

fn check_new(request: &WithdrawalRequest) -> Result<(), Refusal> {
    request.refused_if_new.clone().map_or(Ok(()), Err)
}

fn bound(books: &Books, request: &WithdrawalRequest) -> Option<Transaction> {
    let key = &*request.idempotency_key;
    let id = (!key.is_empty()).then(|| books.by_key(request.customer_id, KeySpace::Customer, key)).flatten()?;
    books.transaction(id)
}
