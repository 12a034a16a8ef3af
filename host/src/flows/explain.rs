//! What happened to a payment: finds the transaction that a question is about, reads what is stored about it, and has the core
//! explain it. It changes nothing and calls nobody.

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::books::Books;
use cashier_core::explanation::{self, Explanation, NextTry, PaymentName};
use cashier_core::ids::{Reference, Seq, TransactionId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::ManagerSession;
use cashier_core::transaction::Transaction;

use super::list_reader::ManagerReader;
use super::list_time::within_list_time;
use super::{Cashier, transactions};
use crate::ledger::storage_unavailable;
use crate::ports::{PaymentTraces, TRACES_MAX};

/// Transactions that are listed where a question names several: more is no question about one payment.
pub const MATCHES_MAX: usize = 64;

/// The answer to a question about a payment.
pub enum ExplainedPayment {
    One(Box<Explanation>),
    /// The name is that of several: the newest of them, by falling id.
    Several(Vec<TransactionId>),
}

/// Explains the one transaction of this name that exists for the session, or lists those that there are.
///
/// # Errors
/// 404 where none exists for the session; 503 while the books or the database cannot be read.
pub async fn explain(
    cashier: &Cashier,
    session: &ManagerSession,
    name: &PaymentName,
) -> Result<ExplainedPayment, Refusal> {
    let ticket = cashier.ledger.read(|books| {
        let found = named(books, session, name);
        let newest = found.iter().map(|id| books.touched(*id)).max();
        (found, newest.unwrap_or(Seq(0)))
    })?;
    let mut found = ticket.durable().await?.into_inner();
    match found.as_slice() {
        [] => Err(Refusal::new(RefusalCode::NotFound, not_found(name))),
        [id] => Ok(ExplainedPayment::One(Box::new(one(cashier, session, *id).await?))),
        _ => {
            found.sort_unstable_by(|a, b| b.cmp(a));
            found.truncate(MATCHES_MAX);
            Ok(ExplainedPayment::Several(found))
        }
    }
}

/// What there is to look at next: a payment that no order has is known by its webhooks alone.
fn not_found(name: &PaymentName) -> &'static str {
    match name {
        PaymentName::Id(_) | PaymentName::Reference(_) => "there is no such transaction",
        PaymentName::PaymentId(_) | PaymentName::AnyId(_) => {
            "no transaction has this id: look for webhooks about the payment in MngGetCashierProviderEventsByFilter"
        }
    }
}

/// The transactions of this name that exist for the session.
fn named(books: &Books, session: &ManagerSession, name: &PaymentName) -> Vec<TransactionId> {
    let with_id = |value: &str, is_it: &dyn Fn(&Transaction) -> bool| {
        let known = books.with_any_id(value).into_iter();
        known.filter(|id| books.transaction(*id).is_some_and(|row| is_it(&row))).collect()
    };
    let found: Vec<TransactionId> = match name {
        PaymentName::Id(id) => vec![*id],
        PaymentName::Reference(text) => {
            Reference::read(text).and_then(|reference| books.by_reference(&reference)).into_iter().collect()
        }
        PaymentName::PaymentId(value) => with_id(value, &|row| {
            row.provider_payment_id == *value || row.facts.payments().any(|payment| *payment == **value)
        }),
        PaymentName::AnyId(value) => with_id(value, &|_| true),
    };
    let sees = |id: &TransactionId| books.transaction(*id).is_some_and(|row| session.sees(&row.brand));
    found.into_iter().filter(sees).collect()
}

async fn one(cashier: &Cashier, session: &ManagerSession, id: TransactionId) -> Result<Explanation, Refusal> {
    let aggregate = transactions::one(cashier, session, id).await?;
    let row = &aggregate.transaction;
    let names = searched_names(&row.provider_payment_id, row.ids().into_iter().map(|id| id.value).collect());
    let (reference, brand) = (row.reference.clone(), session.brand().map(Into::into));
    let traces = PaymentTraces { id, reference, names, created_time: row.created_time, brand };
    let history =
        within_list_time(cashier, &ManagerReader::of(session), cashier.archive.payment_history(traces)).await?;
    let mut history = history.map_err(|fault| {
        tracing::error!(%fault, transaction = %id, "reading what is stored about a transaction failed");
        storage_unavailable()
    })?;
    // A config of every brand receives events without one: those that belong to the transaction are its own.
    let is_own = |brand: &str| brand.is_empty() || session.sees(brand);
    history.events.retain(|event| session.sees(&event.brand) || (event.transaction_id == id && is_own(&event.brand)));
    history.unverified.retain(|known| session.sees(&known.event.brand));
    history.acts.retain(|act| session.sees(&act.brand));
    let now = cashier.clock.now();
    let tried = cashier.next_tries.of(id).map(|(until, tries)| {
        let left = until.saturating_sub(cashier.clock.monotonic());
        NextTry { not_before: now.plus(i64::try_from(left.as_secs()).unwrap_or(i64::MAX)), tries }
    });
    let snapshot = cashier.snapshot();
    let waits = |row: &&Approval| row.transaction_id == id && row.state_at(now) == ApprovalState::Open;
    let approvals = snapshot.approvals().filter(waits).filter(|row| session.sees(&row.brand));
    let approvals: Vec<Approval> = approvals.cloned().collect();
    Ok(explanation::explain(aggregate, &history, &approvals, tried, now))
}

/// The ids at the provider by which others name a payment: the one that it is known by, then as many of the others as are searched for.
fn searched_names(payment_id: &str, mut others: Vec<Box<str>>) -> Vec<Box<str>> {
    others.sort_unstable();
    others.dedup();
    let others = others.into_iter().filter(|name| **name != *payment_id);
    let names = std::iter::once(Box::<str>::from(payment_id)).chain(others).filter(|name| !name.is_empty());
    names.take(TRACES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_that_a_payment_is_known_by_is_searched_for_however_many_others_it_has() {
        let others: Vec<Box<str>> = (10..40).rev().map(|number| format!("ch_{number}").into()).collect();
        let names = searched_names("pi_1", [others, vec!["pi_1".into(), "ch_10".into(), "".into()]].concat());
        let expected: Vec<Box<str>> =
            ["pi_1".into()].into_iter().chain((10..25).map(|of| format!("ch_{of}").into())).collect();
        assert_eq!(names, expected);
        assert_eq!(searched_names("", vec!["".into(), "ch_1".into()]), ["ch_1".into()]);
    }
}
