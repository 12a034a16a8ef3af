//! Transactions that persons enter, process and reject: each decision is judged by `core::manual` under the ledger's lock, so
//! that of two persons one decides.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Books, StoredBy};
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::manual::{self, ManualRequest};
use cashier_core::operation::BalanceOperation;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, CustomerSession};
use cashier_core::status::TransactionType;
use cashier_core::transaction::{Fresh, KeySpace, Transaction};
use cashier_core::{credited_once, decisions, deposit};

use super::decisions::{Decision, decide, decide_and_settle};
use super::manager_act::{AuditSubject, ManagerAct, recorded};
use super::{Cashier, RequestContext, settle, transactions};
use crate::ledger::Estimate;

/// Enters a manual transaction, or shows the one that its idempotency key stands for.
///
/// # Errors
/// 404 for an account that does not exist for the session; 400 where it is another customer's, has another currency or is a demo
/// account that real money may not reach; 409 where the money may be there already, or the key is another request's; 429 beyond
/// what a customer may store.
pub async fn enter(cashier: &Arc<Cashier>, act: &ManagerAct, request: ManualRequest) -> Result<Aggregate, Refusal> {
    let account = cashier.account(request.login).await?;
    let account = account.filter(|account| act.session.sees(&account.customer.brand));
    let account = account.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such account"))?;
    manual::check_account(&request, &account)?;
    let customer = account.customer.customer_id;
    let by = act.session.manager_id();
    let live_on_demo_allowed = cashier.snapshot().allows_live_on_demo(&account.customer.brand);
    let processes = request.process_now && !cashier.rules.second_person.manual;
    let _admitted = cashier.ledger.admit(Estimate::single(request.metadata_json.len() as u64))?;
    let random = [cashier.entropy.bits(), cashier.entropy.bits()];
    let (limits, stores) = (cashier.rules.customer_limits, request.stored_bytes());
    let ticket = cashier.ledger.decide(&act.stamp(cashier), |draft| {
        let books = draft.books_by_key(customer, KeySpace::Manager, &request.idempotency_key);
        if let Some(earlier) = bound(books, &request, &account.customer.brand, customer) {
            let same = manual::same_request(&earlier, &request);
            return if same { Ok(earlier.id) } else { Err(deposit::key_conflict()) };
        }
        request.refused_if_new.clone().map_or(Ok(()), Err)?;
        manual::check_mode(&request, &account, live_on_demo_allowed)?;
        let by_kind = match request.kind {
            TransactionType::Deposit => StoredBy::Deposits,
            TransactionType::Withdrawal => StoredBy::Withdrawals,
        };
        limits.check(None, draft.customer_use(customer).stored(by_kind, draft.now()), stores)?;
        let beside = credited_once::check_entry(draft, &request, &account)?;
        let reference = random.map(Reference::from_random).into_iter().find(|new| draft.by_reference(new).is_none());
        let reference = reference.ok_or_else(|| Refusal::invalid("try again"))?;
        let fresh = Fresh { id: draft.next_transaction(), reference, now: draft.now() };
        let opened = manual::open(draft, &request, &account, by, fresh, &beside);
        let id = opened.transaction.id;
        if processes {
            let changes = manual::process(&opened, by, false, draft.context())?;
            draft.add(changes);
        }
        let mut changes = vec![
            recorded("amount", "", request.amount.to_string()),
            recorded("provider_payment_id", "", request.provider_payment_id.clone()),
            recorded("processed", "", if processes { "yes" } else { "no" }),
        ];
        changes.extend(beside.iter().map(|open| recorded("entered beside", "", open.to_string())));
        let subject = AuditSubject { transaction: id, ..AuditSubject::default() };
        draft.store(act.record(subject, "entered", changes));
        Ok(id)
    })?;
    let id = ticket.durable().await?.into_inner()?;
    settled(cashier, act, id).await
}

fn bound(
    books: &Books,
    request: &ManualRequest,
    brand: &str,
    customer: cashier_core::ids::CustomerId,
) -> Option<Transaction> {
    let key = &*request.idempotency_key;
    let id = (!key.is_empty()).then(|| books.by_key(customer, KeySpace::Manager, key)).flatten()?;
    books.transaction(id).filter(|known| *known.brand == *brand)
}

async fn settled(cashier: &Arc<Cashier>, act: &ManagerAct, id: TransactionId) -> Result<Aggregate, Refusal> {
    let known = transactions::one(cashier, &act.session, id).await?;
    if !known.operations.iter().any(BalanceOperation::is_unsettled) {
        return Ok(known);
    }
    settle::within_patience(cashier, id).await;
    transactions::one(cashier, &act.session, id).await
}

/// Approves a manual transaction and posts it. Without an answer of the trading server it is shown as it is.
///
/// # Errors
/// 404 where it does not exist for the session; what [`manual::process`] refuses; 409 with the trading server's reason where
/// that refused the posting: the transaction waits for a person again.
pub async fn process(cashier: &Arc<Cashier>, act: &ManagerAct, id: TransactionId) -> Result<Aggregate, Refusal> {
    let mut judged = None;
    let second_person = cashier.rules.second_person.manual;
    let after = decide_and_settle(cashier, act, id, |draft, known| {
        credited_once::check_once(draft, known, &[], None)?;
        let changes = manual::process(known, act.session.manager_id(), second_person, draft.context())?;
        draft.add(changes);
        judged = Some(known.clone());
        Ok(Decision::default())
    })
    .await?;
    match judged.and_then(|before| decisions::refused_posting(&before, &after)) {
        Some(refusal) => Err(refusal),
        None => Ok(after),
    }
}

/// Rejects a manual transaction: it is closed, and nothing is posted.
///
/// # Errors
/// 404 where it does not exist for the session; what [`manual::reject`] refuses.
pub async fn reject(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: TransactionId,
    reason: &str,
) -> Result<Aggregate, Refusal> {
    decide(cashier, act, id, |draft, known| {
        let changes = manual::reject(known, reason, draft.context())?;
        draft.add(changes);
        Ok(Decision::default())
    })
    .await
}

/// The customer takes the own withdrawal request back.
///
/// # Errors
/// 429 where the customer asks too often; what [`manual::cancel`] refuses.
pub async fn cancel(
    cashier: &Arc<Cashier>,
    session: &CustomerSession,
    id: TransactionId,
    context: &RequestContext,
) -> Result<Transaction, Refusal> {
    cashier.limits.withdrawals.check(session.customer_id())?;
    let _admitted = cashier.ledger.admit(Estimate::single(0))?;
    let stamp = cashier.stamp(Actor::Customer(session.customer_id()), &context.request_id);
    let ticket = cashier.ledger.decide(&stamp, |draft| {
        let (known, changes) = manual::cancel(draft.aggregate(id), session, draft.context())?;
        draft.add(changes);
        Ok(draft.aggregate(id).unwrap_or(known).transaction)
    })?;
    ticket.durable().await?.into_inner()
}
