//! Verifies a provider's update against the order: amount, currency, brand and mode are compared before anything becomes a
//! fact (docs/api/webhooks.md, rule 4). It knows no event and no other transaction.

use crate::facts::{MismatchKind, ProviderFact, ReviewHold};
use crate::money::Money;
use crate::notice::{Reach, ReceivingConfig, RefundStatement, StatedAmount, Update};
use crate::reason::{Reason, ReasonCode};
use crate::status::ProviderStatus;
use crate::transaction::Transaction;

/// The facts that an update received under `receiver` establishes about `transaction`.
///
/// # Errors
/// The update was received under another config than the transaction was made under; it establishes nothing.
pub fn verify(
    transaction: &Transaction,
    receiver: &ReceivingConfig,
    update: &Update,
) -> Result<Vec<ProviderFact>, Reason> {
    if receiver.config_id != transaction.config_id {
        let detail = format!(
            "received under config {}, the transaction was made under {}",
            receiver.config_id, transaction.config_id
        );
        return Err(Reason::new(ReasonCode::ProviderConfigMismatch, detail));
    }
    let mut facts = stated_facts(transaction, update);
    if update.advance {
        facts.push(ProviderFact::AdvanceWanted { event: update.event_id.clone() });
    }
    if facts.iter().any(ProviderFact::is_money)
        && let Some(hold) = wrong_mode_or_brand(transaction, receiver, update)
    {
        facts = vec![ProviderFact::ReviewHold(hold)];
    }
    for fact in &mut facts {
        if let ProviderFact::ReviewHold(ReviewHold::Mismatch { payment, .. }) = fact {
            *payment = update.payment_id.clone();
        }
    }
    Ok(facts)
}

/// Mode and brand must agree before a statement about money counts.
fn wrong_mode_or_brand(transaction: &Transaction, receiver: &ReceivingConfig, update: &Update) -> Option<ReviewHold> {
    let mode = |sandbox: bool| if sandbox { "sandbox" } else { "live" };
    let stated_sandbox = update.sandbox.unwrap_or(receiver.sandbox);
    if update.mode_conflict {
        return Some(mismatch(MismatchKind::Mode, mode(transaction.sandbox), "both modes", None));
    }
    if stated_sandbox != transaction.sandbox || receiver.sandbox != transaction.sandbox {
        return Some(mismatch(MismatchKind::Mode, mode(transaction.sandbox), mode(stated_sandbox), None));
    }
    if !receiver.brand.is_empty() && receiver.brand != transaction.brand {
        return Some(mismatch(MismatchKind::Brand, &transaction.brand, &receiver.brand, None));
    }
    None
}

fn mismatch(what: MismatchKind, expected: &str, stated: &str, stated_minor: Option<i64>) -> ReviewHold {
    let payment = Box::default();
    ReviewHold::Mismatch { what, expected: expected.into(), stated: stated.into(), stated_minor, payment }
}

fn stated_facts(transaction: &Transaction, update: &Update) -> Vec<ProviderFact> {
    let reason =
        || -> Box<str> { if update.reason.is_empty() { update.raw_status.clone() } else { update.reason.clone() } };
    match update.status {
        ProviderStatus::Pending => vec![ProviderFact::Accepted],
        ProviderStatus::Confirmed => with_reversals(vec![confirmation(transaction, update)], transaction, update),
        ProviderStatus::Failed => vec![ProviderFact::Declined { reason: reason() }],
        ProviderStatus::Cancelled => vec![ProviderFact::Cancelled { reason: cancel_code(update) }],
        ProviderStatus::Refunded if update.refund.is_some() => with_reversals(Vec::new(), transaction, update),
        ProviderStatus::Refunded => with_reversals(vec![refunded_whole(transaction, update)], transaction, update),
        ProviderStatus::Chargeback => {
            let mut facts = vec![chargeback(transaction, update)];
            facts.extend(refund(transaction, update));
            facts
        }
        ProviderStatus::ChargebackReversed => {
            let id = update.dispute.as_ref().map_or_else(|| update.payment_id.clone(), |dispute| dispute.id.clone());
            let mut facts = vec![ProviderFact::ChargebackReversed { id, payment: update.payment_id.clone() }];
            facts.extend(paid_again(transaction, update));
            facts.extend(refund(transaction, update));
            facts
        }
        ProviderStatus::ManualReview => {
            let mut hold = ReviewHold::Requested { status: reason() };
            if let Some(StatedAmount::Exact(stated)) = update.amount
                && stated != transaction.amount
            {
                let expected = transaction.amount.to_string();
                hold = mismatch(MismatchKind::Amount, &expected, &stated.to_string(), Some(stated.minor));
            }
            with_reversals(vec![ProviderFact::ReviewHold(hold)], transaction, update)
        }
        ProviderStatus::InReview => {
            let hold = ProviderFact::ReviewHold(ReviewHold::InReview { status: reason() });
            with_reversals(vec![hold], transaction, update)
        }
        ProviderStatus::RefundFailed => refund_failed(transaction, update),
        ProviderStatus::Unknown => Vec::new(),
    }
}

/// The facts with the refund and the dispute of the update: the answer to a query states at once what notices state one by
/// one.
fn with_reversals(mut facts: Vec<ProviderFact>, transaction: &Transaction, update: &Update) -> Vec<ProviderFact> {
    facts.extend(refund(transaction, update));
    facts.extend(update.dispute.is_some().then(|| chargeback(transaction, update)));
    facts
}

fn cancel_code(update: &Update) -> ReasonCode {
    if update.raw_status.contains("expired") { ReasonCode::Expired } else { ReasonCode::Cancelled }
}

fn confirmation(transaction: &Transaction, update: &Update) -> ProviderFact {
    let payment = update.payment_id.clone();
    let Some(stated) = &update.amount else {
        return ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment });
    };
    let ordered = transaction.amount;
    let hold = match compare(transaction, stated) {
        Ok(minor) if minor == ordered.minor => return ProviderFact::Confirmed { payment, minor },
        Ok(minor) => {
            let stated = Money::new(minor, ordered.currency).to_string();
            mismatch(MismatchKind::Amount, &ordered.to_string(), &stated, Some(minor))
        }
        Err(hold) => hold,
    };
    ProviderFact::ReviewHold(hold)
}

/// A payment whose dispute was reversed is paid. It counts as confirmed where the whole ordered amount is stated beside
/// the dispute; any other amount may be the disputed one and establishes nothing about the payment.
fn paid_again(transaction: &Transaction, update: &Update) -> Option<ProviderFact> {
    let whole = update.amount.as_ref().is_some_and(|stated| *stated == StatedAmount::Exact(transaction.amount));
    (whole && update.dispute.is_some()).then(|| confirmation(transaction, update))
}

/// A refund of which no amount is stated beside that of the payment.
fn refunded_whole(transaction: &Transaction, update: &Update) -> ProviderFact {
    let payment = update.payment_id.clone();
    match update.amount.as_ref().map(|stated| taken_back(transaction, stated)) {
        None => ProviderFact::RefundedTotal { payment, minor: transaction.amount.minor },
        Some(Ok(minor)) => ProviderFact::RefundedTotal { payment, minor },
        Some(Err(hold)) => ProviderFact::ReviewHold(hold),
    }
}

/// The refund of the update, if it states one.
fn refund(transaction: &Transaction, update: &Update) -> Vec<ProviderFact> {
    let Some(statement) = &update.refund else { return Vec::new() };
    let (id, payment) = (refund_id(update, statement), update.payment_id.clone());
    let fact = match (taken_back(transaction, &statement.amount), statement.reach) {
        _ if statement.is_nothing() => return Vec::new(),
        (Err(hold), _) => ProviderFact::ReviewHold(hold),
        (Ok(minor), Reach::TotalSoFar) => ProviderFact::RefundedTotal { payment, minor },
        (Ok(_), Reach::Delta) if id.is_empty() => refund_without_id(),
        (Ok(minor), Reach::Delta) => ProviderFact::Refund { id, payment, minor },
    };
    let link = refund_link(&fact, statement);
    [Some(fact), link].into_iter().flatten().collect()
}

fn refund_failed(transaction: &Transaction, update: &Update) -> Vec<ProviderFact> {
    let id = match &update.refund {
        Some(statement) => refund_id(update, statement),
        None => update.event_id.clone(),
    };
    if id.is_empty() {
        return vec![refund_without_id()];
    }
    // An amount that cannot be compared, or is none, is unknown: the failure itself is certain, and a person looks at it.
    let own = update.refund.as_ref().filter(|statement| statement.reach == Reach::Delta);
    let stated = own.and_then(|statement| taken_back(transaction, &statement.amount).ok());
    let fact = ProviderFact::RefundFailed { id, payment: update.payment_id.clone(), minor: stated.unwrap_or(0) };
    let link = update.refund.as_ref().and_then(|statement| refund_link(&fact, statement));
    [Some(fact), link].into_iter().flatten().collect()
}

fn refund_id(update: &Update, statement: &RefundStatement) -> Box<str> {
    if statement.id.is_empty() { update.event_id.clone() } else { statement.id.clone() }
}

/// Without an id a refund cannot be distinguished from its own repetition.
fn refund_without_id() -> ProviderFact {
    ProviderFact::ReviewHold(ReviewHold::Requested { status: "refund without an id".into() })
}

/// That a refund is the one we requested.
fn refund_link(fact: &ProviderFact, statement: &RefundStatement) -> Option<ProviderFact> {
    let (ProviderFact::Refund { id, .. } | ProviderFact::RefundFailed { id, .. }) = fact else { return None };
    let requested = statement.requested.clone();
    (!requested.is_empty()).then(|| ProviderFact::RefundOfRequest { id: id.clone(), requested })
}

fn chargeback(transaction: &Transaction, update: &Update) -> ProviderFact {
    let (id, amount) = match &update.dispute {
        Some(dispute) => (dispute.id.clone(), dispute.amount.as_ref()),
        None => (update.payment_id.clone(), update.amount.as_ref()),
    };
    let payment = update.payment_id.clone();
    match amount.map(|stated| taken_back(transaction, stated)) {
        None => ProviderFact::Chargeback { id, payment, minor: transaction.amount.minor },
        Some(Ok(minor)) => ProviderFact::Chargeback { id, payment, minor },
        Some(Err(hold)) => ProviderFact::ReviewHold(hold),
    }
}

/// The minor units that went back: more than zero. A negative amount would give money, and a dispute of zero, or a payment
/// of zero that was refunded, is none that can be taken back: a person looks at it.
fn taken_back(transaction: &Transaction, stated: &StatedAmount) -> Result<i64, ReviewHold> {
    let minor = compare(transaction, stated)?;
    if minor > 0 {
        return Ok(minor);
    }
    let stated = Money::new(minor, transaction.amount.currency).to_string();
    Err(mismatch(MismatchKind::Amount, &transaction.amount.to_string(), &stated, None))
}

/// The stated minor units, if they are of the transaction's currency.
fn compare(transaction: &Transaction, stated: &StatedAmount) -> Result<i64, ReviewHold> {
    let expected = transaction.amount;
    match stated {
        StatedAmount::Exact(money) if money.currency == expected.currency => Ok(money.minor),
        StatedAmount::Exact(money) => {
            Err(mismatch(MismatchKind::Currency, &expected.to_string(), &money.to_string(), None))
        }
        StatedAmount::Unreadable(text) => Err(mismatch(MismatchKind::Amount, &expected.to_string(), text, None)),
    }
}
