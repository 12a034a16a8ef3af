//! The lifecycle of a payment: which event is allowed in which status, and what it changes. Pure: time and ids are
//! arguments. Does not send webhooks; an event here is only the record that a webhook will carry.

use crate::api_error::{ApiError, ApiErrorCode};
use crate::decimal_amount::DecimalAmount;
use crate::event_kind::EventKind;
use crate::settings::REFUNDS_MAX;
use crate::wire::{DisputeStatus, Payment, PaymentDispute, PaymentEvent, PaymentRefund, PaymentStatus};

/// An event to apply to a payment.
#[derive(Debug, Clone)]
pub(crate) struct EventInput {
    pub(crate) kind: EventKind,
    /// For refunds and chargebacks; `None` is the remaining amount.
    pub(crate) amount: Option<DecimalAmount>,
    pub(crate) reason: String,
    /// The merchant's own id of a refund; may be empty.
    pub(crate) reference: String,
    pub(crate) now: i64,
    /// Sixteen random bytes in hex, for the event.
    pub(crate) event_id: String,
    /// The same, for the refund or dispute it may create.
    pub(crate) part_id: String,
}

/// Changes the payment and returns the event, or returns an error and changes nothing.
pub(crate) fn apply_event(payment: &mut Payment, input: EventInput) -> Result<PaymentEvent, ApiError> {
    let EventInput { kind, amount, reason, reference, now, event_id, part_id } = input;
    let mut reported_as = None;
    let mut refund = None;
    let mut dispute = None;

    match (kind, payment.status) {
        (EventKind::Pending, _) => reported_as = Some(PaymentStatus::Pending),

        (EventKind::Confirmed, PaymentStatus::Pending | PaymentStatus::Failed | PaymentStatus::Cancelled) => {
            payment.status = PaymentStatus::Confirmed;
            payment.failure_reason.clear();
        }
        (EventKind::Confirmed, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            reported_as = Some(PaymentStatus::Confirmed);
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
        // A late event about an earlier status: reported, and nothing changes.
        (
            EventKind::Failed,
            PaymentStatus::Cancelled | PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback,
        ) => reported_as = Some(PaymentStatus::Failed),
        (EventKind::Cancelled, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            reported_as = Some(PaymentStatus::Cancelled);
        }

        (EventKind::Refunded, PaymentStatus::Confirmed) => {
            let new = NewRefund { amount, reason, reference, now, part_id };
            refund = Some(refund_payment(payment, new)?);
        }
        (EventKind::RefundFailed, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            refund = Some(fail_refund(payment)?);
        }
        (EventKind::Chargeback, PaymentStatus::Confirmed | PaymentStatus::Refunded) => {
            dispute = Some(open_dispute(payment, amount, part_id)?);
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
        | (
            EventKind::Chargeback | EventKind::RefundFailed,
            PaymentStatus::Pending | PaymentStatus::Failed | PaymentStatus::Cancelled,
        )
        | (
            EventKind::ChargebackReversed,
            PaymentStatus::Pending
            | PaymentStatus::Failed
            | PaymentStatus::Cancelled
            | PaymentStatus::Confirmed
            | PaymentStatus::Refunded,
        ) => return Err(not_allowed_in_status(payment, kind.as_str())),
    }

    payment.updated = now;
    let mut data = payment.clone();
    if let Some(status) = reported_as {
        data.status = status;
    }
    Ok(PaymentEvent { id: format!("evt_{event_id}"), kind, created: now, livemode: false, data, refund, dispute })
}

/// A refund to record.
struct NewRefund {
    amount: Option<DecimalAmount>,
    reason: String,
    reference: String,
    now: i64,
    part_id: String,
}

fn refund_payment(payment: &mut Payment, new: NewRefund) -> Result<PaymentRefund, ApiError> {
    let NewRefund { amount, reason, reference, now, part_id } = new;
    let left = payment.amount.minus(payment.refunded_total).unwrap_or(DecimalAmount::zero_like(payment.amount));
    let amount = amount.unwrap_or(left);
    if amount.is_zero() {
        return Err(ApiError::invalid("`amount` must be above zero"));
    }
    if amount > left {
        return Err(not_allowed(payment, format!("only {left} {} is left to refund", payment.currency)));
    }
    if payment.refunds.len() >= REFUNDS_MAX {
        return Err(not_allowed(payment, format!("a payment has at most {REFUNDS_MAX} refunds")));
    }
    let refund = PaymentRefund {
        id: format!("sr_{part_id}"),
        payment: payment.id.clone(),
        amount,
        currency: payment.currency.clone(),
        reason,
        created: now,
        reference,
        failed: false,
    };
    payment.refunds.push(refund.clone());
    payment.refunded_total = payment.refunded_total.plus(amount);
    payment.status = settled_status(payment);
    Ok(refund)
}

/// The newest refund that did not fail is returned to the merchant.
fn fail_refund(payment: &mut Payment) -> Result<PaymentRefund, ApiError> {
    let Some(newest) = payment.refunds.iter_mut().rfind(|refund| !refund.failed) else {
        return Err(not_allowed(payment, "no refund of the payment can fail".to_owned()));
    };
    newest.failed = true;
    let refund = newest.clone();
    let left = payment.refunded_total.minus(refund.amount);
    payment.refunded_total = left.unwrap_or(DecimalAmount::zero_like(payment.amount));
    if payment.status == PaymentStatus::Refunded {
        payment.status = settled_status(payment);
    }
    Ok(refund)
}

fn open_dispute(
    payment: &mut Payment,
    amount: Option<DecimalAmount>,
    part_id: String,
) -> Result<PaymentDispute, ApiError> {
    // A payer's bank can dispute the whole amount even after a full refund.
    let left = payment.amount.minus(payment.refunded_total).filter(|left| !left.is_zero()).unwrap_or(payment.amount);
    let amount = amount.unwrap_or(left);
    if amount.is_zero() || amount > payment.amount {
        return Err(ApiError::invalid("`amount` must be above zero and at most the payment's"));
    }
    let dispute = PaymentDispute { id: format!("sd_{part_id}"), amount, status: DisputeStatus::Open };
    payment.dispute = Some(dispute.clone());
    payment.status = PaymentStatus::Chargeback;
    Ok(dispute)
}

/// The status of a paid payment when no dispute is open.
fn settled_status(payment: &Payment) -> PaymentStatus {
    if payment.refunded_total >= payment.amount { PaymentStatus::Refunded } else { PaymentStatus::Confirmed }
}

/// Position in the lifecycle: events of one list are applied in this order, independently of the order of sending.
pub(crate) const fn lifecycle_order(kind: EventKind) -> u8 {
    match kind {
        EventKind::Pending => 0,
        EventKind::Failed => 1,
        EventKind::Cancelled => 2,
        EventKind::Confirmed => 3,
        EventKind::Refunded => 4,
        EventKind::RefundFailed => 5,
        EventKind::Chargeback => 6,
        EventKind::ChargebackReversed => 7,
    }
}

pub(crate) fn not_allowed_in_status(payment: &Payment, action: &str) -> ApiError {
    not_allowed(payment, format!("a {} payment cannot be {action}", payment.status.as_str()))
}

fn not_allowed(payment: &Payment, message: String) -> ApiError {
    ApiError { code: ApiErrorCode::NotAllowed, message, payment: Some(payment.id.clone()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn payment(status: PaymentStatus) -> Payment {
        let amount: DecimalAmount = "10.00".parse().unwrap();
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
            refunded_total: DecimalAmount::zero_like(amount),
            refunds: Vec::new(),
            dispute: None,
            livemode: false,
            created: 1,
            updated: 1,
        }
    }

    fn after(events: &str) -> (PaymentStatus, Vec<String>) {
        let mut payment = payment(PaymentStatus::Pending);
        let outcomes = events
            .split_whitespace()
            .map(|item| {
                let (kind, amount) = item.split_once('=').map_or((item, None), |(k, a)| (k, Some(a.parse().unwrap())));
                let input = EventInput {
                    kind: kind.parse().unwrap(),
                    amount,
                    reason: String::new(),
                    reference: String::new(),
                    now: 2,
                    event_id: "e".into(),
                    part_id: "p".into(),
                };
                match apply_event(&mut payment, input) {
                    Ok(event) => event.data.status.as_str().to_owned(),
                    Err(error) => error.code.as_str().to_owned(),
                }
            })
            .collect();
        (payment.status, outcomes)
    }

    #[test]
    fn each_event_list_ends_in_its_status() {
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
            ("confirmed refunded=4 refund_failed", Confirmed, &["confirmed", "confirmed", "confirmed"]),
            (
                "confirmed refunded refund_failed refunded",
                Refunded,
                &["confirmed", "refunded", "confirmed", "refunded"],
            ),
            ("confirmed refund_failed", Confirmed, &["confirmed", "not_allowed"]),
            (
                "confirmed refunded refund_failed refund_failed",
                Confirmed,
                &["confirmed", "refunded", "confirmed", "not_allowed"],
            ),
            ("confirmed chargeback refunded", Chargeback, &["confirmed", "chargeback", "not_allowed"]),
            ("confirmed chargeback_reversed", Confirmed, &["confirmed", "not_allowed"]),
            ("confirmed chargeback=10.01", Confirmed, &["confirmed", "invalid_request"]),
            ("confirmed refunded=0", Confirmed, &["confirmed", "invalid_request"]),
            ("pending confirmed pending", Confirmed, &["pending", "confirmed", "pending"]),
        ];
        for (events, status, outcomes) in table {
            assert_eq!(after(events), (*status, outcomes.iter().map(ToString::to_string).collect()), "{events}");
        }
    }
}
