//! Life cycles with reviews, refunds that we requested, and reversals that wait for a person.

use cashier_core::facts::MismatchKind;

use super::*;

#[test]
fn a_reversal_waits_for_a_person_under_a_config_that_says_so_and_a_later_one_waits_again() {
    let waits = || Person(PersonFact::ReversalsWait);
    play(
        deposit(15),
        vec![
            waits(),
            confirmed(),
            Post,
            refund("re_1", 3_000),
            Person(PersonFact::Retried),
            Post,
            chargeback(),
            Person(PersonFact::RefundRequested { id: "1".into(), payment: "".into(), minor: 500 }),
            Person(PersonFact::Approved),
            Post,
        ],
        expect![[r#"
            person: ReversalsWait -> created | owed 0 posted 0
            confirmed pi_1 -> provider_confirmed | owed 100 posted 0 | BALANCE_IN 100 planned
            posted -> credited | owed 100 posted 100
            refund re_1 of 30 -> manual_review REVERSAL_WAITS posted 100.0 USD, owed 70.0 USD; also stated: confirmed 100.0 USD (pi_1), refunded 30.0 USD | owed 70 posted 100
            person: Retried -> credited PARTLY_REFUNDED | owed 70 posted 100 | BALANCE_OUT -30 planned
            posted -> credited PARTLY_REFUNDED | owed 70 posted 70
            chargeback -> manual_review BEYOND_CONFIRMED refunds and disputes exceed the ordered amount; also stated: confirmed 100.0 USD (pi_1), refunded 30.0 USD, disputed 100.0 USD (dp_1), REVERSAL_WAITS: posted 70.0 USD, owed 0.0 USD | owed 0 posted 70
            person: RefundRequested { id: "1", payment: "", minor: 500 } -> manual_review BEYOND_CONFIRMED refunds and disputes exceed the ordered amount; also stated: confirmed 100.0 USD (pi_1), refunded 30.0 USD, disputed 100.0 USD (dp_1), REVERSAL_WAITS: posted 70.0 USD, owed 0.0 USD | owed 0 posted 70
            person: Approved -> manual_review BEYOND_CONFIRMED refunds and disputes exceed the ordered amount; also stated: confirmed 100.0 USD (pi_1), refunded 30.0 USD, disputed 100.0 USD (dp_1) | owed 0 posted 70 | BALANCE_OUT -70 planned
            posted -> manual_review BEYOND_CONFIRMED refunds and disputes exceed the ordered amount; also stated: confirmed 100.0 USD (pi_1), refunded 30.0 USD, disputed 100.0 USD (dp_1) | owed 0 posted 0
        "#]],
    );
    // Before the credit nothing has to be taken back.
    play(
        deposit(15),
        vec![waits(), refund("re_1", 3_000), confirmed(), Post],
        expect![[r#"
        person: ReversalsWait -> created | owed 0 posted 0
        refund re_1 of 30 -> created | owed 0 posted 0
        confirmed pi_1 -> provider_confirmed PARTLY_REFUNDED | owed 70 posted 0 | BALANCE_IN 70 planned
        posted -> credited PARTLY_REFUNDED | owed 70 posted 70
    "#]],
    );
}

#[test]
fn a_refund_that_a_person_requested_does_not_wait_for_another_person() {
    let waits = Person(PersonFact::ReversalsWait);
    let requested = Person(PersonFact::RefundRequested { id: "1".into(), payment: "".into(), minor: 4_000 });
    let end = played(deposit(15), vec![waits, confirmed(), Post, requested, Post]);
    assert_eq!(cashier_core::operation::posted(&end.transaction, &end.operations).minor, 6_000);
    assert_eq!(end.transaction.status, TransactionStatus::Credited);
}

#[test]
fn m6_a_refund_that_we_requested_counts_once_in_any_order_of_its_statements() {
    let requested = || Person(PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 4_000 });
    let done = || Person(PersonFact::RefundDone { id: "own".into(), refund: "re_1".into() });
    let stated = || refund("re_1", 4_000);
    let link = || Provider(ProviderFact::RefundOfRequest { id: "re_1".into(), requested: "own".into() });
    let total = || Provider(ProviderFact::RefundedTotal { payment: "".into(), minor: 4_000 });
    // The request is recorded before its call is made; whatever follows comes in any order.
    let statements: [&dyn Fn() -> Step; 4] = [&stated, &link, &done, &total];
    for order in 0..24 {
        let mut left: Vec<usize> = (0..4).collect();
        let (mut code, mut steps) = (order, vec![confirmed(), Post, requested(), Post]);
        for count in (1..=4).rev() {
            steps.push(statements[left.remove(code % count)]());
            code /= count;
        }
        let end = played(deposit(15), steps);
        assert_eq!((end.standing().owed_minor, end.transaction.status), (6_000, TransactionStatus::Credited));
    }
    let both = played(deposit(15), vec![confirmed(), Post, requested(), Post, stated(), link(), refund("re_2", 1_000)]);
    assert_eq!(both.standing().owed_minor, 5_000, "another refund beside it counts");
}

#[test]
fn m31_a_refund_that_we_requested_and_that_failed_is_given_back_and_flagged() {
    let requested = || Person(PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 4_000 });
    let link = || Provider(ProviderFact::RefundOfRequest { id: "re_1".into(), requested: "own".into() });
    let failed = || Provider(ProviderFact::RefundFailed { id: "re_1".into(), payment: "".into(), minor: 4_000 });
    for last in [vec![link(), failed()], vec![failed(), link()], vec![link(), refund("re_1", 4_000), failed()]] {
        let mut steps = vec![confirmed(), Post, requested(), Post];
        steps.extend(last);
        steps.push(Post);
        let end = played(deposit(15), steps);
        assert_eq!((end.standing().owed_minor, end.transaction.reason.code), (10_000, ReasonCode::RefundFailed));
        assert_eq!(cashier_core::operation::posted(&end.transaction, &end.operations).minor, 10_000);
    }
}

#[test]
fn each_review_is_ended_by_a_persons_resolution_and_begins_again_with_a_later_fact_of_its_kind() {
    let other = || Provider(ProviderFact::Confirmed { payment: "pi_2".into(), minor: 10_000 });
    let lifted = |id: &str| Provider(ProviderFact::ChargebackReversed { id: id.into(), payment: "".into() });
    let failed = |id: &str| Provider(ProviderFact::RefundFailed { id: id.into(), payment: "".into(), minor: 1 });
    let must_decide =
        |status: &str| Provider(ProviderFact::ReviewHold(ReviewHold::Requested { status: status.into() }));
    let third = || Provider(ProviderFact::Confirmed { payment: "pi_3".into(), minor: 10_000 });
    type Again = Box<dyn Fn() -> Step>;
    let reviews: Vec<(ReasonCode, Vec<Step>, Again)> = vec![
        (ReasonCode::SecondPayment, vec![other()], Box::new(third)),
        (ReasonCode::BeyondConfirmed, vec![refund("re_1", 10_001)], Box::new(|| refund("re_2", 10_001))),
        (ReasonCode::DisputeUnmatched, vec![chargeback(), lifted("dp_8")], Box::new(move || lifted("dp_9"))),
        (ReasonCode::RefundFailed, vec![failed("re_1")], Box::new(move || failed("re_2"))),
        (ReasonCode::ProviderReview, vec![must_decide("a")], Box::new(move || must_decide("b"))),
    ];
    for (code, facts, again) in reviews {
        let mut steps = vec![confirmed(), Post];
        steps.extend(facts);
        steps.push(Person(PersonFact::Resolved { minor: 10_000 }));
        steps.push(again());
        let prefixes = 1..=steps.len();
        let codes: Vec<ReasonCode> =
            prefixes.map(|count| played(deposit(15), steps[..count].to_vec()).transaction.reason.code).collect();
        let (reviewed, resolved) = (&codes[codes.len() - 3], &codes[codes.len() - 2]);
        assert_eq!((*reviewed, *resolved == code, codes[codes.len() - 1]), (code, false, code), "{codes:?}");
    }
}

/// The payment of a second confirmation, and a refund of it.
fn second_payment() -> Step {
    Provider(ProviderFact::Confirmed { payment: "pi_2".into(), minor: 10_000 })
}

fn refund_of(payment: &str, id: &str, minor: i64) -> Step {
    Provider(ProviderFact::Refund { id: id.into(), payment: payment.into(), minor })
}

#[test]
fn a_resolution_stands_beside_what_was_reversed_before_it_and_gives_way_to_what_is_reversed_later() {
    let resolved = |minor| Person(PersonFact::Resolved { minor });
    let mismatch = || {
        Provider(ProviderFact::ReviewHold(ReviewHold::Mismatch {
            what: MismatchKind::Amount,
            expected: "100.0 USD".into(),
            stated: "60.0 USD".into(),
            stated_minor: Some(6_000),
            payment: "".into(),
        }))
    };
    let lifted = || Provider(ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "".into() });
    use TransactionStatus as S;
    let rows: Vec<(Vec<Step>, i64, S)> = vec![
        (vec![confirmed(), refund("re_1", 3_000), resolved(10_000)], 10_000, S::Credited),
        (vec![confirmed(), refund("re_1", 10_000), resolved(10_000)], 10_000, S::Credited),
        (vec![confirmed(), refund("re_1", 3_000), resolved(10_000), refund("re_2", 2_000)], 8_000, S::Credited),
        (vec![confirmed(), chargeback(), resolved(10_000)], 10_000, S::Credited),
        // What a person gave back is not given back twice.
        (vec![confirmed(), chargeback(), resolved(10_000), lifted()], 10_000, S::Credited),
        (vec![confirmed(), resolved(10_000), chargeback()], 0, S::Chargeback),
        (vec![mismatch(), resolved(6_000)], 6_000, S::Credited),
        (vec![mismatch(), resolved(6_000), refund("re_1", 2_000)], 4_000, S::Credited),
        (vec![mismatch(), resolved(6_000), refund("re_1", 6_000)], 0, S::Refunded),
        // What was paid beyond what a person left owed goes back first.
        (vec![confirmed(), resolved(6_000), refund("re_1", 4_000)], 6_000, S::Credited),
        (vec![confirmed(), resolved(6_000), refund("re_1", 10_000)], 0, S::Refunded),
        (vec![confirmed(), resolved(0), refund("re_1", 10_000)], 0, S::Cancelled),
        (vec![confirmed(), second_payment(), resolved(10_000), refund_of("pi_2", "re_1", 10_000)], 10_000, S::Credited),
        (vec![confirmed(), second_payment(), refund_of("pi_2", "re_1", 10_000), resolved(10_000)], 10_000, S::Credited),
        (
            vec![
                confirmed(),
                second_payment(),
                refund_of("pi_2", "re_1", 10_000),
                resolved(10_000),
                refund_of("pi_1", "re_2", 10_000),
            ],
            0,
            S::Refunded,
        ),
    ];
    for (mut steps, posted, status) in rows {
        steps.extend([Post, Post, Post]);
        let shown = format!("{steps:?}");
        let end = played(deposit(15), steps);
        let at_rest = cashier_core::operation::posted(&end.transaction, &end.operations).minor;
        assert_eq!((at_rest, end.transaction.status), (posted, status), "{shown}");
    }
}

#[test]
fn a_refund_that_a_person_requested_of_a_second_payment_takes_nothing_of_the_first() {
    let requested =
        |payment: &str, minor| Person(PersonFact::RefundRequested { id: "own".into(), payment: payment.into(), minor });
    let total_of = |payment: &str| Provider(ProviderFact::RefundedTotal { payment: payment.into(), minor: 10_000 });
    let done = || Person(PersonFact::RefundDone { id: "own".into(), refund: "re_1".into() });
    let rows: Vec<(Vec<Step>, i64)> = vec![
        (vec![requested("pi_2", 10_000)], 10_000),
        (vec![requested("pi_2", 10_000), total_of("pi_2")], 10_000),
        (vec![requested("pi_2", 10_000), done()], 10_000),
        (vec![requested("pi_2", 10_000), done(), total_of("pi_2"), refund_of("pi_2", "re_1", 10_000)], 10_000),
        (vec![requested("pi_2", 10_000), total_of("pi_1")], 0),
        (vec![total_of("pi_1"), requested("pi_2", 4_000)], 6_000),
        (vec![total_of("pi_1"), total_of("pi_2"), requested("", 4_000)], 0),
        (vec![requested("", 10_000)], 10_000),
        (vec![requested("", 10_000), done(), refund_of("pi_2", "re_1", 10_000), total_of("pi_1")], 0),
    ];
    for (later, posted) in rows {
        let mut steps = vec![confirmed(), second_payment(), Post];
        steps.extend(later);
        steps.extend([Post, Post]);
        let shown = format!("{steps:?}");
        let end = played(deposit(15), steps);
        assert_eq!(cashier_core::operation::posted(&end.transaction, &end.operations).minor, posted, "{shown}");
    }
}
