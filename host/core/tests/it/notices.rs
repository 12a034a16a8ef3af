//! What a statement, an event row and a set of ids say by themselves, before anything is matched or applied.

use cashier_core::ids::ConfigId;
use cashier_core::notice::{DisputeStatement, ProviderEvent, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::reason::ReasonCode;
use cashier_core::refs::{CameWith, ProviderRef, RefAdding, Refs};
use cashier_core::status::{ProcessingStatus, ProviderStatus, SignatureStatus};

use crate::samples::*;

fn refund() -> Option<RefundStatement> {
    let amount = StatedAmount::Exact(usd(1));
    Some(RefundStatement { id: "re_1".into(), amount, reach: Reach::Delta, requested: "".into() })
}

fn dispute() -> Option<DisputeStatement> {
    Some(DisputeStatement { id: "dp_1".into(), amount: None })
}

#[test]
fn a_statement_is_about_money_by_its_status_its_refund_or_its_dispute() {
    use ProviderStatus as S;
    for status in S::ALL {
        let money = [S::Confirmed, S::Refunded, S::RefundFailed, S::Chargeback, S::ChargebackReversed].contains(status);
        assert_eq!(update(*status).states_money(), money, "{status:?}");
        let refunded = Update { refund: refund(), ..update(*status) };
        let disputed = Update { dispute: dispute(), ..update(*status) };
        assert!(refunded.states_money() && disputed.states_money(), "{status:?}");
    }
}

#[test]
fn what_went_back_of_a_payment_is_stated_apart_from_what_is_stated_about_the_order() {
    use ProviderStatus as S;
    for status in [S::Confirmed, S::ManualReview, S::InReview, S::Pending, S::Failed] {
        let plain = update(status);
        let refunded = Update { refund: refund(), ..plain.clone() };
        let disputed = Update { dispute: dispute(), ..plain.clone() };
        let both = Update { dispute: dispute(), ..refunded.clone() };
        let apart = |whole: &Update, status| (Some(plain.clone()), Some(Update { status, ..whole.clone() }));
        assert_eq!(plain.divided(), (Some(plain.clone()), None), "{status:?}");
        assert_eq!(refunded.divided(), apart(&refunded, S::Refunded), "{status:?}");
        assert_eq!(disputed.divided(), apart(&disputed, S::Chargeback), "{status:?}");
        assert_eq!(both.divided(), apart(&both, S::Refunded), "{status:?}");
    }
    for status in [S::Refunded, S::RefundFailed, S::Chargeback, S::ChargebackReversed] {
        let reversal = Update { refund: refund(), dispute: dispute(), ..update(status) };
        assert_eq!(reversal.divided(), (None, Some(reversal.clone())), "{status:?}");
    }
}

#[test]
fn an_event_waits_for_its_transaction_or_for_a_module_that_reads_it() {
    use ProcessingStatus as P;
    let row = |status| event(1, status);
    let unmatched =
        || ProviderEvent { failure_reason: ReasonCode::TransactionNotFound.name().into(), ..row(P::Failed) };
    let unread = || ProviderEvent { update: None, ..row(P::Failed) };
    let pending_update = Some(update(ProviderStatus::Pending));
    let forged = SignatureStatus::Invalid;
    let table = [
        ("pending", row(P::Pending), [true, false, false]),
        ("processed", row(P::Processed), [false; 3]),
        ("ignored", row(P::Ignored), [false; 3]),
        ("failed", row(P::Failed), [false; 3]),
        ("unread", unread(), [true, true, false]),
        ("in quarantine", ProviderEvent { signature_status: forged, ..unread() }, [false; 3]),
        ("ignored, without an update", ProviderEvent { processing_status: P::Ignored, ..unread() }, [false; 3]),
        ("money without a transaction", unmatched(), [true, false, true]),
        ("the same, processed since", ProviderEvent { processing_status: P::Processed, ..unmatched() }, [false; 3]),
        ("the same, forged", ProviderEvent { signature_status: forged, ..unmatched() }, [false; 3]),
        ("no money and no transaction", ProviderEvent { update: pending_update, ..unmatched() }, [false; 3]),
    ];
    for (what, row, expected) in table {
        assert_eq!([row.waits(), row.is_unread(), row.is_unmatched_payment()], expected, "{what}");
    }
}

#[test]
fn an_event_is_verified_by_the_config_that_it_is_filed_under_and_by_those_that_it_lists() {
    let row = ProviderEvent { also_verified_by: [2, 4].map(ConfigId).into(), ..event(1, ProcessingStatus::Pending) };
    assert_eq!([1, 2, 3, 4].map(|config| row.is_verified_by(ConfigId(config))), [true, true, false, true]);
}

#[test]
fn an_id_without_a_kind_or_value_or_of_more_than_the_stored_length_is_not_added() {
    let (kind, value) = ("k".repeat(ProviderRef::KIND_LENGTH_MAX), "v".repeat(ProviderRef::VALUE_LENGTH_MAX));
    let table = [
        ("".to_owned(), "pi_1".to_owned(), RefAdding::Full),
        ("charge".to_owned(), "".to_owned(), RefAdding::Full),
        (format!("{kind}k"), "pi_1".to_owned(), RefAdding::Full),
        ("charge".to_owned(), format!("{value}v"), RefAdding::Full),
        (kind.clone(), value.clone(), RefAdding::Added),
        (kind, value, RefAdding::Known),
    ];
    let mut refs = Refs::default();
    assert!(refs.is_empty());
    for (kind, value, expected) in table {
        let added = refs.add(ProviderRef::new(&kind, &value), CameWith::Money);
        assert_eq!(added, expected, "{} and {} characters", kind.len(), value.len());
    }
    assert_eq!((refs.len(), refs.is_empty()), (1, false));
}
