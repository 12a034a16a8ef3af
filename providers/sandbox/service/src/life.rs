//! The life of a payment: which event may happen when, and what it changes. Pure: time and ids are given.
//! Knows nothing of webhooks; an event here is only what the payment remembers and shows.

use crate::money::Amount;
use crate::refusal::{Refusal, RefusalCode};
use crate::settings::REFUNDS_MAX;
use crate::wire::{Dispute, DisputeStatus, Event, EventKind, Payment, PaymentStatus, Refund};

/// Something that is to happen to a payment.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) kind: EventKind,
    /// For refunds and chargebacks; `None` is all that is left.
    pub(crate) amount: Option<Amount>,
    pub(crate) reason: String,
    pub(crate) now: i64,
    /// Sixteen random bytes in hex, for the event.
    pub(crate) event_id: String,
    /// The same, for the refund or dispute it may bring.
    pub(crate) part_id: String,
}

/// Changes the payment and tells of it, or refuses and changes nothing.
pub(crate) fn happen(payment: &mut Payment, happening: Happening) -> Result<Event, Refusal> {
    let Happening { kind, amount, reason, now, event_id, part_id } = happening;
    let mut told_as = None;
    let mut refund = None;
    let mut dispute = None;

    match (kind, payment.status) {
        (EventKind::Pending, _) => told_as = Some(PaymentStatus::Pending),

        (EventKind::Confirmed, PaymentStatus::Pending | PaymentStatus::Failed | PaymentStatus::Cancelled) => {
            payment.status = PaymentStatus::Confirmed;
            payment.failure_reason.clear();
        }
        (EventKind::Confirmed, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            told_as = Some(PaymentStatus::Confirmed);
        }

        (EventKind::Failed, PaymentStatus::Pending | PaymentStatus::Failed) => {
            payment.status = PaymentStatus::Failed;
            payment.failure_reason = if reason.is_empty() { "declined".to_owned() } else { reason };
        }
        (EventKind::Cancelled, PaymentStatus::Pending | PaymentStatus::Failed) => {
            payment.status = PaymentStatus::Cancelled;
            payment.failure_reason.clear();
        }
        (EventKind::Cancelled, PaymentStatus::Cancelled) => {}
        // Late news of an earlier moment: told, and nothing changes.
        (
            EventKind::Failed,
            PaymentStatus::Cancelled | PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback,
        ) => told_as = Some(PaymentStatus::Failed),
        (EventKind::Cancelled, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            told_as = Some(PaymentStatus::Cancelled);
        }

        (EventKind::Refunded, PaymentStatus::Confirmed) => {
            refund = Some(give_back(payment, amount, reason, now, part_id)?);
        }
        (EventKind::Chargeback, PaymentStatus::Confirmed | PaymentStatus::Refunded) => {
            dispute = Some(take_back(payment, amount, part_id)?);
        }
        (EventKind::Chargeback, PaymentStatus::Chargeback) => dispute = payment.dispute.clone(),
        (EventKind::ChargebackReversed, PaymentStatus::Chargeback) => {
            if let Some(open) = &mut payment.dispute {
                open.status = DisputeStatus::Reversed;
            }
            payment.status = settled_status(payment);
            dispute = payment.dispute.clone();
        }
        (EventKind::ChargebackReversed, PaymentStatus::Confirmed | PaymentStatus::Refunded)
            if payment.dispute.is_some() =>
        {
            dispute = payment.dispute.clone();
        }

        (
            EventKind::Refunded,
            PaymentStatus::Pending
            | PaymentStatus::Failed
            | PaymentStatus::Cancelled
            | PaymentStatus::Refunded
            | PaymentStatus::Chargeback,
        )
        | (EventKind::Chargeback, PaymentStatus::Pending | PaymentStatus::Failed | PaymentStatus::Cancelled)
        | (
            EventKind::ChargebackReversed,
            PaymentStatus::Pending
            | PaymentStatus::Failed
            | PaymentStatus::Cancelled
            | PaymentStatus::Confirmed
            | PaymentStatus::Refunded,
        ) => return Err(forbidden(payment, kind.word())),
    }

    payment.updated = now;
    let mut data = payment.clone();
    if let Some(status) = told_as {
        data.status = status;
    }
    Ok(Event { id: format!("evt_{event_id}"), kind, created: now, livemode: false, data, refund, dispute })
}

fn give_back(
    payment: &mut Payment,
    amount: Option<Amount>,
    reason: String,
    now: i64,
    part_id: String,
) -> Result<Refund, Refusal> {
    let left = payment.amount.minus(payment.refunded_total).unwrap_or(Amount::zero_like(payment.amount));
    let amount = amount.unwrap_or(left);
    if amount.is_zero() {
        return Err(Refusal::invalid("`amount` must be above zero"));
    }
    if amount > left {
        return Err(about(payment, format!("only {left} {} is left to refund", payment.currency)));
    }
    if payment.refunds.len() >= REFUNDS_MAX {
        return Err(about(payment, format!("a payment has at most {REFUNDS_MAX} refunds")));
    }
    let refund = Refund {
        id: format!("sr_{part_id}"),
        payment: payment.id.clone(),
        amount,
        currency: payment.currency.clone(),
        reason,
        created: now,
    };
    payment.refunds.push(refund.clone());
    payment.refunded_total = payment.refunded_total.plus(amount);
    payment.status = settled_status(payment);
    Ok(refund)
}

fn take_back(payment: &mut Payment, amount: Option<Amount>, part_id: String) -> Result<Dispute, Refusal> {
    // A full refund does not keep a payer's bank from disputing the whole.
    let left = payment.amount.minus(payment.refunded_total).filter(|left| !left.is_zero()).unwrap_or(payment.amount);
    let amount = amount.unwrap_or(left);
    if amount.is_zero() || amount > payment.amount {
        return Err(Refusal::invalid("`amount` must be above zero and at most the payment's"));
    }
    let dispute = Dispute { id: format!("sd_{part_id}"), amount, status: DisputeStatus::Open };
    payment.dispute = Some(dispute.clone());
    payment.status = PaymentStatus::Chargeback;
    Ok(dispute)
}

/// Where a paid payment stands when no dispute is open.
fn settled_status(payment: &Payment) -> PaymentStatus {
    if payment.refunded_total >= payment.amount { PaymentStatus::Refunded } else { PaymentStatus::Confirmed }
}

/// Position in the course of a life: events of one list happen in this order, whatever order they are sent in.
pub(crate) const fn course(kind: EventKind) -> u8 {
    match kind {
        EventKind::Pending => 0,
        EventKind::Failed => 1,
        EventKind::Cancelled => 2,
        EventKind::Confirmed => 3,
        EventKind::Refunded => 4,
        EventKind::Chargeback => 5,
        EventKind::ChargebackReversed => 6,
    }
}

pub(crate) fn forbidden(payment: &Payment, what: &str) -> Refusal {
    about(payment, format!("a {} payment cannot be {what}", payment.status.word()))
}

fn about(payment: &Payment, message: String) -> Refusal {
    Refusal { code: RefusalCode::NotAllowed, message, payment: Some(payment.id.clone()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn payment(status: PaymentStatus) -> Payment {
        let amount: Amount = "10.00".parse().unwrap();
        Payment {
            id: "sp_1".into(),
            status,
            amount,
            currency: "EUR".into(),
            reference: "r".into(),
            method: String::new(),
            description: String::new(),
            payment_url: String::new(),
            success_url: String::new(),
            failure_url: String::new(),
            metadata: Default::default(),
            failure_reason: String::new(),
            refunded_total: Amount::zero_like(amount),
            refunds: Vec::new(),
            dispute: None,
            livemode: false,
            created: 1,
            updated: 1,
        }
    }

    fn lived(words: &str) -> (PaymentStatus, Vec<String>) {
        let mut payment = payment(PaymentStatus::Pending);
        let told = words
            .split_whitespace()
            .map(|word| {
                let (kind, amount) = word.split_once('=').map_or((word, None), |(k, a)| (k, Some(a.parse().unwrap())));
                let happening = Happening {
                    kind: kind.parse().unwrap(),
                    amount,
                    reason: String::new(),
                    now: 2,
                    event_id: "e".into(),
                    part_id: "p".into(),
                };
                match happen(&mut payment, happening) {
                    Ok(event) => event.data.status.word().to_owned(),
                    Err(refusal) => refusal.code.word().to_owned(),
                }
            })
            .collect();
        (payment.status, told)
    }

    #[test]
    fn lives() {
        use PaymentStatus::*;
        let table: &[(&str, PaymentStatus, &[&str])] = &[
            ("confirmed", Confirmed, &["confirmed"]),
            ("failed confirmed", Confirmed, &["failed", "confirmed"]),
            ("confirmed failed cancelled", Confirmed, &["confirmed", "failed", "cancelled"]),
            ("cancelled confirmed", Confirmed, &["cancelled", "confirmed"]),
            ("cancelled failed", Cancelled, &["cancelled", "failed"]),
            ("refunded", Pending, &["not_allowed"]),
            ("confirmed refunded=4 refunded=7", Confirmed, &["confirmed", "confirmed", "not_allowed"]),
            ("confirmed refunded=4 refunded=6.000", Refunded, &["confirmed", "confirmed", "refunded"]),
            ("confirmed refunded refunded", Refunded, &["confirmed", "refunded", "not_allowed"]),
            ("confirmed chargeback chargeback_reversed", Confirmed, &["confirmed", "chargeback", "confirmed"]),
            (
                "confirmed refunded chargeback chargeback_reversed",
                Refunded,
                &["confirmed", "refunded", "chargeback", "refunded"],
            ),
            ("confirmed chargeback refunded", Chargeback, &["confirmed", "chargeback", "not_allowed"]),
            ("confirmed chargeback_reversed", Confirmed, &["confirmed", "not_allowed"]),
            ("confirmed chargeback=10.01", Confirmed, &["confirmed", "invalid_request"]),
            ("confirmed refunded=0", Confirmed, &["confirmed", "invalid_request"]),
            ("pending confirmed pending", Confirmed, &["pending", "confirmed", "pending"]),
        ];
        for (words, status, told) in table {
            assert_eq!(lived(words), (*status, told.iter().map(ToString::to_string).collect()), "{words}");
        }
    }
}
