//! What a deposit's customer is answered, for every way its create call ended and every status.

use cashier_core::status::TransactionStatus;
use cashier_core::transaction::{CustomerAnswer, FirstAnswer, NextAction, Transaction};

use crate::samples::deposit;

#[test]
fn m27_m34_the_answer_follows_the_state_and_never_refuses_or_redirects_what_is_paid() {
    use CustomerAnswer::{Declined, NeverSent, Next};
    use NextAction::{Instructions, None, Redirect, Wait};
    let endings = [
        (FirstAnswer::Open, None),
        (FirstAnswer::Accepted, Redirect),
        (FirstAnswer::Accepted, Instructions),
        (FirstAnswer::Declined, None),
        (FirstAnswer::NeverSent, None),
        (FirstAnswer::Unknown, Wait),
        (FirstAnswer::Crashed, Wait),
    ];
    let (wait, none) = (Next(Wait), Next(None));
    for status in TransactionStatus::ALL {
        let expected = match status {
            TransactionStatus::Created | TransactionStatus::PendingPayment => {
                [wait, Next(Redirect), Next(Instructions), wait, wait, wait, wait]
            }
            TransactionStatus::ProviderConfirmed
            | TransactionStatus::CreditFailed
            | TransactionStatus::ManualReview => [wait; 7],
            TransactionStatus::Credited | TransactionStatus::Refunded | TransactionStatus::Chargeback => [none; 7],
            TransactionStatus::Failed | TransactionStatus::Cancelled => {
                [none, none, none, Declined, NeverSent, none, none]
            }
        };
        for ((first_answer, next_action), expected) in endings.into_iter().zip(expected) {
            let row = Transaction { status: *status, first_answer, next_action, ..deposit(15) };
            assert_eq!(row.answer(), expected, "{status:?} {first_answer:?} {next_action:?}");
            let released = expected == NeverSent;
            assert_eq!(row.binds_key(), !released, "{status:?} {first_answer:?}");
        }
    }
}
