//! Which button of the page may be pressed when; the merchant's cancel call is one of them. Pure.

use crate::life::forbidden;
use crate::refusal::Refusal;
use crate::wire::{Payment, PaymentStatus};

/// A button of the hosted page, or the merchant's cancel call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    Pay,
    Decline,
    Cancel,
}

/// What a pressed button leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Press {
    /// Something happens.
    Acts,
    /// It was so already; nothing happens again.
    Repeats,
}

pub(crate) fn press(payment: &Payment, button: Button) -> Result<Press, Refusal> {
    match (button, payment.status) {
        (_, PaymentStatus::Pending) | (Button::Pay | Button::Cancel, PaymentStatus::Failed) => Ok(Press::Acts),
        (Button::Pay, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback)
        | (Button::Decline, PaymentStatus::Failed)
        | (Button::Cancel, PaymentStatus::Cancelled) => Ok(Press::Repeats),
        (Button::Pay, PaymentStatus::Cancelled) => Err(forbidden(payment, "paid")),
        (
            Button::Decline,
            PaymentStatus::Cancelled | PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback,
        ) => Err(forbidden(payment, "declined")),
        (Button::Cancel, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            Err(forbidden(payment, "cancelled"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::tests::payment;

    #[test]
    fn buttons() {
        use PaymentStatus::*;
        let table = [
            (
                Button::Pay,
                [
                    Some(Press::Acts),
                    Some(Press::Repeats),
                    Some(Press::Acts),
                    None,
                    Some(Press::Repeats),
                    Some(Press::Repeats),
                ],
            ),
            (Button::Decline, [Some(Press::Acts), None, Some(Press::Repeats), None, None, None]),
            (Button::Cancel, [Some(Press::Acts), None, Some(Press::Acts), Some(Press::Repeats), None, None]),
        ];
        for (button, expected) in table {
            for (status, expected) in
                [Pending, Confirmed, Failed, Cancelled, Refunded, Chargeback].into_iter().zip(expected)
            {
                assert_eq!(press(&payment(status), button).ok(), expected, "{button:?} {status:?}");
            }
        }
    }
}
