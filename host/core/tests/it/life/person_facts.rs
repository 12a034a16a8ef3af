//! Life cycles with decisions of persons: held statuses, rejections, resolved reviews, refunds, manual transactions.

use super::*;

#[test]
fn a_mismatch_is_resolved_by_a_person_for_exactly_the_given_amount() {
    let mismatch = || {
        Provider(ProviderFact::ReviewHold(ReviewHold::Mismatch {
            what: cashier_core::facts::MismatchKind::Amount,
            expected: "100.0 USD".into(),
            stated: "90.0 USD".into(),
            stated_minor: Some(9_000),
            payment: "".into(),
        }))
    };
    play(
        deposit(15),
        vec![mismatch(), Person(PersonFact::Resolved { minor: 9_000 }), Post, mismatch()],
        expect![[r#"
        review hold -> manual_review AMOUNT_MISMATCH expected 100.0 USD, the provider states 90.0 USD | owed 0 posted 0
        person: Resolved { minor: 9000 } -> provider_confirmed | owed 90 posted 0 | BALANCE_IN 90 planned
        posted -> credited | owed 90 posted 90
        review hold -> credited | owed 90 posted 90
    "#]],
    );
    play(
        deposit(15),
        vec![mismatch(), Person(PersonFact::Resolved { minor: 0 }), confirmed()],
        expect![[r#"
            review hold -> manual_review AMOUNT_MISMATCH expected 100.0 USD, the provider states 90.0 USD | owed 0 posted 0
            person: Resolved { minor: 0 } -> cancelled REJECTED | owed 0 posted 0
            confirmed pi_1 -> manual_review CONFIRMED_BUT_REJECTED a person resolved 0.0 USD, the provider confirmed 100.0 USD | owed 0 posted 0
        "#]],
    );
}

#[test]
fn a_confirmation_of_a_transaction_held_as_credited_posts_nothing() {
    use TransactionStatus as S;
    play(
        deposit(15),
        vec![
            held(S::Credited),
            confirmed(),
            Person(PersonFact::Released),
            confirmed(),
            Person(PersonFact::Retried),
            Post,
        ],
        expect![[r#"
            person: Held(Credited) -> credited | owed 0 posted 0
            confirmed pi_1 -> credited | owed 100 posted 0
            person: Released -> provider_confirmed | owed 100 posted 0
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0
            person: Retried -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
}

#[test]
fn a_held_status_that_the_provider_contradicts_is_moved_to_review() {
    use TransactionStatus as S;
    play(
        deposit(15),
        vec![held(S::Failed), declined(), confirmed(), Person(PersonFact::Retried)],
        expect![[r#"
        person: Held(Failed) -> failed | owed 0 posted 0
        declined -> failed PROVIDER_DECLINED no funds | owed 0 posted 0
        confirmed pi_1 -> manual_review HELD_BUT_HEARD a person set failed, the provider reports provider_confirmed | owed 100 posted 0
        person: Retried -> manual_review HELD_BUT_HEARD a person set failed, the provider reports provider_confirmed | owed 100 posted 0
    "#]],
    );
    play(
        deposit(15),
        vec![confirmed(), held(S::Cancelled), Post, confirmed()],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        person: Held(Cancelled) -> cancelled | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> cancelled | owed 100 posted 100
        confirmed pi_1 -> cancelled | owed 100 posted 100
    "#]],
    );
}

#[test]
fn a_rejected_and_confirmed_deposit_is_in_review_in_either_order() {
    let rejected = || Person(PersonFact::Rejected);
    play(
        deposit(15),
        vec![rejected(), confirmed(), Person(PersonFact::Resolved { minor: 10_000 }), Post],
        expect![[r#"
        person: Rejected -> cancelled REJECTED | owed 0 posted 0
        confirmed pi_1 -> manual_review CONFIRMED_BUT_REJECTED | owed 100 posted 0
        person: Resolved { minor: 10000 } -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
    play(
        deposit(15),
        vec![confirmed(), rejected(), Post],
        expect![[r#"
        confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
        person: Rejected -> manual_review CONFIRMED_BUT_REJECTED | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> manual_review CONFIRMED_BUT_REJECTED | owed 100 posted 100
    "#]],
    );
    play(
        deposit(15),
        vec![rejected(), declined(), expired()],
        expect![[r#"
        person: Rejected -> cancelled REJECTED | owed 0 posted 0
        declined -> cancelled REJECTED | owed 0 posted 0
        cancelled EXPIRED -> cancelled REJECTED | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_managers_refund_is_debited_first_and_credited_again_if_the_provider_refuses() {
    let requested = |id: &str| Person(PersonFact::RefundRequested { id: id.into(), payment: "".into(), minor: 4_000 });
    let refused = Person(PersonFact::RefundRefused { id: "1".into() });
    play(
        deposit(15),
        vec![confirmed(), Post, requested("1"), Post, refused, Post],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            person: RefundRequested { id: "1", payment: "", minor: 4000 } -> credited REFUND_PENDING refund 1 of 40.0 USD waits for the debit of the account | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited REFUND_PENDING refund 1 of 40.0 USD is to be sent to the provider | owed 60 posted 60
            person: RefundRefused { id: "1" } -> provider_confirmed REFUND_REFUSED refund 1 of 40.0 USD was refused by the provider | owed 100 posted 60 | BALANCE_IN 40 planned
            posted -> credited REFUND_REFUSED refund 1 of 40.0 USD was refused by the provider | owed 100 posted 100
        "#]],
    );
}

#[test]
fn a_managers_refund_and_the_providers_statement_of_it_count_once() {
    let requested = || Person(PersonFact::RefundRequested { id: "1".into(), payment: "".into(), minor: 4_000 });
    let done = || Person(PersonFact::RefundDone { id: "1".into(), refund: "re_1".into() });
    let total = || Provider(ProviderFact::RefundedTotal { payment: "".into(), minor: 4_000 });
    play(
        deposit(15),
        vec![confirmed(), Post, requested(), Post, done(), refund("re_1", 4_000), total()],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            person: RefundRequested { id: "1", payment: "", minor: 4000 } -> credited REFUND_PENDING refund 1 of 40.0 USD waits for the debit of the account | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited REFUND_PENDING refund 1 of 40.0 USD is to be sent to the provider | owed 60 posted 60
            person: RefundDone { id: "1", refund: "re_1" } -> credited PARTLY_REFUNDED | owed 60 posted 60
            refund re_1 of 40 -> credited PARTLY_REFUNDED | owed 60 posted 60
            refunded 40 in all -> credited PARTLY_REFUNDED | owed 60 posted 60
        "#]],
    );
    play(
        deposit(15),
        vec![confirmed(), Post, requested(), Post, total(), done()],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            person: RefundRequested { id: "1", payment: "", minor: 4000 } -> credited REFUND_PENDING refund 1 of 40.0 USD waits for the debit of the account | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited REFUND_PENDING refund 1 of 40.0 USD is to be sent to the provider | owed 60 posted 60
            refunded 40 in all -> credited REFUND_PENDING refund 1 of 40.0 USD is to be sent to the provider | owed 60 posted 60
            person: RefundDone { id: "1", refund: "re_1" } -> credited PARTLY_REFUNDED | owed 60 posted 60
        "#]],
    );
    // A total recorded before the request does not include it.
    play(
        deposit(15),
        vec![confirmed(), Post, total(), Post, requested(), Post, done(), refund("re_1", 4_000)],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            refunded 40 in all -> credited PARTLY_REFUNDED | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited PARTLY_REFUNDED | owed 60 posted 60
            person: RefundRequested { id: "1", payment: "", minor: 4000 } -> credited REFUND_PENDING refund 1 of 40.0 USD waits for the debit of the account | owed 20 posted 60 | BALANCE_OUT -40 planned
            posted -> credited REFUND_PENDING refund 1 of 40.0 USD is to be sent to the provider | owed 20 posted 20
            person: RefundDone { id: "1", refund: "re_1" } -> credited PARTLY_REFUNDED | owed 20 posted 20
            refund re_1 of 40 -> credited PARTLY_REFUNDED | owed 20 posted 20
        "#]],
    );
}

#[test]
fn a_refund_whose_posting_was_refused_may_be_asked_again() {
    let requested = |id: &str| Person(PersonFact::RefundRequested { id: id.into(), payment: "".into(), minor: 4_000 });
    let refused = Person(PersonFact::RefundRefused { id: "1".into() });
    play(
        deposit(15),
        vec![confirmed(), Post, requested("1"), Refuse("no balance"), refused, requested("2"), Post],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            person: RefundRequested { id: "1", payment: "", minor: 4000 } -> credited REFUND_PENDING refund 1 of 40.0 USD waits for the debit of the account | owed 60 posted 100 | BALANCE_OUT -40 planned
            posting refused -> credited REFUND_REFUSED refund 1 of 40.0 USD was refused by the trading server: no balance | owed 100 posted 100
            person: RefundRefused { id: "1" } -> credited REFUND_REFUSED refund 1 of 40.0 USD was refused by the trading server: no balance | owed 100 posted 100
            person: RefundRequested { id: "2", payment: "", minor: 4000 } -> credited REFUND_PENDING refund 2 of 40.0 USD waits for the debit of the account | owed 60 posted 100 | BALANCE_OUT -40 planned
            posted -> credited REFUND_PENDING refund 2 of 40.0 USD is to be sent to the provider | owed 60 posted 60
        "#]],
    );
}

#[test]
fn a_manual_deposit_is_credited_when_approved() {
    let approved = || Person(PersonFact::Approved);
    let row = || manual(15, TransactionType::Deposit);
    play(
        row(),
        vec![approved(), Post],
        expect![[r#"
        person: Approved -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
        posted -> credited | owed 100 posted 100
    "#]],
    );
    play(
        row(),
        vec![approved(), Refuse("login disabled"), approved(), Post],
        expect![[r#"
            person: Approved -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> manual_review CREDIT_REFUSED login disabled | owed 100 posted 0
            person: Approved -> manual_review CREDIT_REFUSED | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
    play(
        row(),
        vec![approved(), Refuse("login disabled"), Person(PersonFact::Rejected)],
        expect![[r#"
            person: Approved -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> manual_review CREDIT_REFUSED login disabled | owed 100 posted 0
            person: Rejected -> cancelled REJECTED | owed 0 posted 0
        "#]],
    );
}

#[test]
fn a_manual_withdrawal_debits_when_approved_and_never_when_rejected() {
    let approved = || Person(PersonFact::Approved);
    let row = || manual(15, TransactionType::Withdrawal);
    play(
        row(),
        vec![approved(), Post],
        expect![[r#"
        person: Approved -> manual_review | owed -100 posted 0 | BALANCE_OUT -100 planned
        posted -> credited | owed -100 posted -100
    "#]],
    );
    play(
        row(),
        vec![Person(PersonFact::Rejected)],
        expect![[r#"
        person: Rejected -> cancelled REJECTED | owed 0 posted 0
    "#]],
    );
}

#[test]
fn a_held_manual_transaction_moves_money_only_after_a_persons_retry() {
    play(
        manual(15, TransactionType::Withdrawal),
        vec![
            Person(PersonFact::Approved),
            Refuse("no balance"),
            held(TransactionStatus::Credited),
            Person(PersonFact::Released),
            Person(PersonFact::Retried),
            Post,
        ],
        expect![[r#"
            person: Approved -> manual_review | owed -100 posted 0 | BALANCE_OUT -100 planned
            posting refused -> manual_review CREDIT_REFUSED no balance | owed -100 posted 0
            person: Held(Credited) -> credited | owed -100 posted 0
            person: Released -> manual_review CREDIT_REFUSED no balance | owed -100 posted 0
            person: Retried -> manual_review CREDIT_REFUSED | owed -100 posted 0 | BALANCE_OUT -100 planned
            posted -> credited | owed -100 posted -100
        "#]],
    );
}

#[test]
fn m29_a_withheld_posting_is_planned_again_by_itself_and_a_refused_one_is_not() {
    use TransactionStatus as S;
    let played = play(
        deposit(15),
        vec![
            confirmed(),
            held(S::ManualReview),
            Refuse("WITHHELD"),
            Person(PersonFact::Released),
            Person(PersonFact::Approved),
            Refuse("ACCOUNT_NOT_FOUND"),
            confirmed(),
            Person(PersonFact::Retried),
            held(S::ManualReview),
            Refuse("WITHHELD"),
            Person(PersonFact::Resolved { minor: 10_000 }),
            Person(PersonFact::Released),
            Post,
        ],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            person: Held(ManualReview) -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> manual_review | owed 100 posted 0
            person: Released -> provider_confirmed | owed 100 posted 0
            person: Approved -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> credit_failed CREDIT_REFUSED ACCOUNT_NOT_FOUND | owed 100 posted 0
            confirmed pi_1 -> credit_failed CREDIT_REFUSED ACCOUNT_NOT_FOUND | owed 100 posted 0
            person: Retried -> credit_failed CREDIT_REFUSED | owed 100 posted 0 | BALANCE_IN 100 planned
            person: Held(ManualReview) -> manual_review | owed 100 posted 0 | BALANCE_IN 100 planned
            posting refused -> manual_review | owed 100 posted 0
            person: Resolved { minor: 10000 } -> manual_review | owed 100 posted 0
            person: Released -> credit_failed CREDIT_REFUSED | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
        "#]],
    );
    let keys: Vec<u32> = played.operations.iter().map(|known| known.ordinal).collect();
    assert_eq!(keys, [1, 2, 3, 4], "each under a key of its own");
}

#[test]
fn m15_a_posting_counts_as_absent_only_a_minute_after_its_connection_was_closed() {
    let sent = play(
        deposit(15),
        vec![confirmed(), NoAnswer],
        expect![[r#"
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            no answer to the posting -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 unknown
        "#]],
    );
    let id = sent.operations[0].id;
    let table = [(None, false), (Some(-1), false), (Some(59), false), (Some(60), true), (Some(i64::MAX), true)];
    for (closed_seconds, counts) in table {
        let changes = sent.confirm_absent(id, closed_seconds, ManagerId(3), at(3));
        assert_eq!(changes.is_empty(), !counts, "{closed_seconds:?}");
        let after = applied(&sent, &changes);
        assert_eq!(after.operations.len(), if counts { 2 } else { 1 }, "{closed_seconds:?}");
        let posted = applied(&after, &after.end_posting(id, &PostingOutcome::posted(7), ManagerId(0), at(4)));
        assert_eq!(posted == after, counts, "{closed_seconds:?}: its outcome is final");
        // A second statement about the same operation plans nothing more.
        assert!(after.confirm_absent(id, closed_seconds, ManagerId(3), at(5)).is_empty(), "{closed_seconds:?}");
    }
}
