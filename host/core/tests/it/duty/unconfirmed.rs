//! A payment without a confirmation is queried whatever review it is under, in any order of facts, and whichever of several
//! reviews is shown.

use cashier_core::facts::PersonFact;

use super::*;

const QUERY: Option<Duty> = Some(Duty::Provider(ProviderDuty::Query));
const EXPIRE: Option<Duty> = Some(Duty::Provider(ProviderDuty::Expire));

fn hold(hold: ReviewHold) -> Vec<ProviderFact> {
    vec![ProviderFact::ReviewHold(hold)]
}

fn in_review() -> Vec<ProviderFact> {
    hold(ReviewHold::InReview { status: "processing".into() })
}

fn unstated() -> Vec<ProviderFact> {
    hold(ReviewHold::AmountUnstated { payment: "pi_9".into() })
}

fn look() -> Vec<ProviderFact> {
    hold(ReviewHold::Requested { status: "manual".into() })
}

fn reused() -> Vec<ProviderFact> {
    hold(ReviewHold::PaymentReused { payment: "pi_1".into(), owner: "1".into() })
}

fn failed_refund() -> Vec<ProviderFact> {
    vec![ProviderFact::RefundFailed { id: "re_1".into(), payment: "pi_1".into(), minor: 4_000 }]
}

fn unmatched() -> Vec<ProviderFact> {
    vec![
        ProviderFact::Chargeback { id: "du_1".into(), payment: "pi_1".into(), minor: 4_000 },
        ProviderFact::ChargebackReversed { id: "du_2".into(), payment: "pi_1".into() },
    ]
}

fn mismatch() -> Vec<ProviderFact> {
    hold(ReviewHold::Mismatch {
        what: MismatchKind::Brand,
        expected: "ion4".into(),
        stated: "ion5".into(),
        stated_minor: None,
        payment: "".into(),
    })
}

/// What the provider stated of a payment without confirming it.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    /// Only a person ends the review.
    Person,
    /// The provider is asked until it has answered.
    Provider,
    /// It was paid, and a part of it went back.
    WentBack,
}

fn reviews() -> Vec<(Open, Vec<ProviderFact>)> {
    vec![
        (Open::Person, look()),
        (Open::Person, reused()),
        (Open::Person, mismatch()),
        (Open::Person, hold(ReviewHold::NotStored)),
        (Open::Person, hold(ReviewHold::Misplaced { payment: "pi_9".into(), owner: "4".into() })),
        (Open::Person, hold(ReviewHold::CountedElsewhere { payment: "pi_9".into(), order: "4".into() })),
        (Open::Provider, in_review()),
        (Open::Provider, unstated()),
        (Open::WentBack, failed_refund()),
        (Open::WentBack, unmatched()),
    ]
}

fn recorded(order: Transaction, facts: &[ProviderFact]) -> Aggregate {
    let mut known = aggregate(order);
    for (seq, fact) in (1..).zip(facts) {
        known = applied(&known, &known.record(&receiver(), std::slice::from_ref(fact), &[], at(seq)).0);
    }
    known
}

/// What is due at once, after an hour, at the expiry and after the last query.
fn dues(known: &Aggregate) -> [Option<Duty>; 4] {
    let queried = applied(known, &known.establish(ProviderFact::LastQuery, at(99)));
    let due = |known: &Aggregate, seconds| duty::due(&known.transaction, &known.operations, NOW.plus(seconds));
    [due(known, 10), due(known, HOUR), due(known, DAY), due(&queried, 2 * DAY)]
}

#[test]
fn m17_a_payment_under_any_review_is_queried_until_and_at_its_expiry() {
    for (open, facts) in reviews() {
        let expected = match open {
            Open::Person => [None, QUERY, EXPIRE, None],
            Open::Provider => [QUERY; 4],
            Open::WentBack => [None, QUERY, EXPIRE, QUERY],
        };
        let known = recorded(deposit(15), &[vec![ProviderFact::Accepted], facts.clone()].concat());
        assert_eq!(known.transaction.status, TransactionStatus::ManualReview, "{facts:?}");
        assert_eq!(dues(&known), expected, "{facts:?}");
        assert!(duty::has_work(&known.transaction, &known.operations));
    }
}

#[test]
fn m17_which_of_two_reviews_is_shown_decides_about_no_query() {
    for (first, facts) in reviews() {
        for (second, more) in reviews() {
            let all = [vec![ProviderFact::Accepted], facts.clone(), more.clone()].concat();
            let known = recorded(deposit(15), &all);
            // A payment that went back was decided, so the provider is not deciding.
            let decides = |open, facts: &Vec<_>, other| {
                open == Open::Provider && !(other == Open::WentBack && *facts == in_review())
            };
            let asked = decides(first, &facts, second) || decides(second, &more, first);
            let expected = match (asked, first == Open::WentBack || second == Open::WentBack) {
                (true, _) => [QUERY; 4],
                (false, true) => [None, QUERY, EXPIRE, QUERY],
                (false, false) => [None, QUERY, EXPIRE, None],
            };
            assert_eq!(dues(&known), expected, "{facts:?} {more:?}: {}", known.transaction.reason);
        }
    }
}

#[test]
fn m17_a_review_of_an_order_that_was_refused_or_without_an_expiry_is_queried_too() {
    let refused = Transaction { first_answer: FirstAnswer::Declined, ..deposit(15) };
    let declined = ProviderFact::Declined { reason: "no funds".into() };
    let stated = recorded(refused.clone(), &[vec![declined.clone()], reused()].concat());
    assert_eq!(dues(&stated), [None, QUERY, EXPIRE, None], "the provider has what it states a review of");
    assert_eq!(dues(&recorded(refused, &[declined])), [None; 4]);
    let endless = recorded(Transaction { expires_time: UnixTime::UNSET, ..deposit(15) }, &reused());
    assert_eq!(dues(&endless), [None, QUERY, QUERY, None]);
    assert_eq!(duty::due(&endless.transaction, &[], NOW.plus(duty::CLOSED_QUERY_SECONDS)), EXPIRE);
}

#[test]
fn what_a_person_holds_is_not_queried_for_a_payment_until_it_is_released() {
    let decide = |known: &Aggregate, fact, seq| applied(known, &known.decide(fact, at(seq)));
    let reviewed = recorded(deposit(15), &[vec![ProviderFact::Accepted], reused()].concat());
    let held = decide(&reviewed, PersonFact::Held(TransactionStatus::ManualReview), 5);
    assert_eq!(dues(&held), [None; 4]);
    let contradicted = recorded_after(&held, &look(), 6);
    assert_eq!(dues(&contradicted), [None; 4]);
    let released = decide(&contradicted, PersonFact::Released, 7);
    assert_eq!(dues(&released), [None, QUERY, EXPIRE, None]);
    // What the provider alone can answer is asked all the same.
    assert_eq!(dues(&recorded_after(&held, &unstated(), 6)), [QUERY; 4]);
    let resolved = decide(&recorded_after(&reviewed, &unstated(), 4), PersonFact::Resolved { minor: 10_000 }, 5);
    assert_eq!(dues(&resolved), [Some(Duty::Settle); 4]);
    let closed = decide(&recorded_after(&reviewed, &unstated(), 4), PersonFact::Resolved { minor: 0 }, 5);
    assert_eq!(dues(&closed), [None, QUERY, EXPIRE, None], "closed, and a payment that comes all the same is found");
}

#[test]
fn a_payment_that_went_back_unconfirmed_is_queried_after_its_expiry_unless_a_person_holds_or_resolved_it() {
    let decide = |known: &Aggregate, fact, seq| applied(known, &known.decide(fact, at(seq)));
    let went_back = recorded(deposit(15), &[vec![ProviderFact::Accepted], failed_refund()].concat());
    assert_eq!(dues(&went_back)[3], QUERY);
    assert_eq!(dues(&decide(&went_back, PersonFact::Held(TransactionStatus::ManualReview), 5)), [None; 4]);
    let resolved = decide(&went_back, PersonFact::Resolved { minor: 0 }, 5);
    let reviewed_again = recorded_after(&resolved, &unmatched(), 6);
    assert_eq!(reviewed_again.transaction.status, TransactionStatus::ManualReview);
    assert_eq!(dues(&reviewed_again), [None, QUERY, EXPIRE, None]);
}

fn recorded_after(known: &Aggregate, facts: &[ProviderFact], seq: u64) -> Aggregate {
    applied(known, &known.record(&receiver(), facts, &[], at(seq)).0)
}

#[test]
fn a_confirmation_ends_the_queries_under_every_review_that_a_person_ends() {
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    for (open, facts) in reviews() {
        let known = recorded(deposit(15), &[facts.clone(), vec![paid.clone()]].concat());
        assert!(!duty::is_queried(&known), "the posting comes first");
        let id = known.operations[0].id;
        let posted = PostingOutcome::posted(7);
        let posted = applied(&known, &known.end_posting(id, &posted, ManagerId(0), at(8)));
        assert_eq!(duty::is_queried(&posted), facts == unstated(), "{facts:?}");
        assert!(open != Open::Person || posted.transaction.status == TransactionStatus::ManualReview);
    }
}

#[test]
fn a_capture_is_due_while_the_provider_reviews_the_payment_whatever_else_is_to_be_reviewed() {
    let wants = || vec![ProviderFact::AdvanceWanted { event: "e".into() }];
    let capture = Some(Duty::Provider(ProviderDuty::Advance));
    for facts in [
        vec![wants(), in_review(), look()],
        vec![look(), wants(), in_review()],
        vec![reused(), in_review(), wants()],
        vec![in_review(), wants(), unstated()],
    ] {
        let known = recorded(deposit(15), &facts.concat());
        assert_eq!(duty::due(&known.transaction, &[], NOW), capture, "{facts:?}");
    }
    for facts in [vec![wants(), look()], vec![wants(), in_review(), failed_refund()]] {
        assert_ne!(duty::due(&recorded(deposit(15), &facts.concat()).transaction, &[], NOW), capture, "{facts:?}");
    }
}
