//! Which button of the page is allowed in which status; the merchant's cancel call is one of them. Pure.

use crate::api_error::ApiError;
use crate::lifecycle::not_allowed_in_status;
use crate::wire::{Payment, PaymentStatus};

/// A button of the hosted page, or the merchant's cancel call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    Pay,
    Decline,
    Cancel,
}

/// What pressing a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ButtonEffect {
    /// The payment changes.
    Change,
    /// The payment has that status already.
    NoChange,
}

pub(crate) fn button_effect(payment: &Payment, button: Button) -> Result<ButtonEffect, ApiError> {
    match (button, payment.status) {
        (_, PaymentStatus::Pending) | (Button::Pay | Button::Cancel, PaymentStatus::Failed) => Ok(ButtonEffect::Change),
        (Button::Pay, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback)
        | (Button::Decline, PaymentStatus::Failed)
        | (Button::Cancel, PaymentStatus::Cancelled) => Ok(ButtonEffect::NoChange),
        (Button::Pay, PaymentStatus::Cancelled) => Err(not_allowed_in_status(payment, "paid")),
        (
            Button::Decline,
            PaymentStatus::Cancelled | PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback,
        ) => Err(not_allowed_in_status(payment, "declined")),
        (Button::Cancel, PaymentStatus::Confirmed | PaymentStatus::Refunded | PaymentStatus::Chargeback) => {
            Err(not_allowed_in_status(payment, "cancelled"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::tests::payment;

    #[test]
    fn each_button_has_its_effect_in_each_status() {
        use ButtonEffect::{Change, NoChange};
        use PaymentStatus::*;
        let table = [
            (Button::Pay, [Some(Change), Some(NoChange), Some(Change), None, Some(NoChange), Some(NoChange)]),
            (Button::Decline, [Some(Change), None, Some(NoChange), None, None, None]),
            (Button::Cancel, [Some(Change), None, Some(Change), Some(NoChange), None, None]),
        ];
        for (button, expected) in table {
            for (status, expected) in
                [Pending, Confirmed, Failed, Cancelled, Refunded, Chargeback].into_iter().zip(expected)
            {
                assert_eq!(button_effect(&payment(status), button).ok(), expected, "{button:?} {status:?}");
            }
        }
    }
}
