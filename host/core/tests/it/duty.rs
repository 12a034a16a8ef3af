//! What is due when: the window of a repeated create call has two ends, and what is final for the customer is queried until
//! and once at its expiry.

mod unconfirmed;

use cashier_core::aggregate::{Aggregate, CreateEnding, DecisionContext};
use cashier_core::change::Change;
use cashier_core::duty::{self, AtExpiry, Duty, ProviderDuty, ProviderQuery, QueryOutcome};
use cashier_core::facts::{Facts, MismatchKind, PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{ManagerId, OperationId, Seq};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::refs::{CameWith, ProviderRef};
use cashier_core::status::{Source, TransactionStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, Transaction};

use crate::samples::*;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

#[test]
fn m16_a_create_call_is_repeated_between_both_ends_of_the_window_alone() {
    let table = [
        ("at once", DAY, 0, true),
        ("just before the margin", DAY, 23 * HOUR - 1, true),
        ("exactly at the margin", DAY, 23 * HOUR, false),
        ("far ahead", DAY, 400 * DAY, false),
        ("set back by a second", DAY, -1, false),
        ("set back two hours", DAY, -2 * HOUR, false),
        ("set back to 1970", DAY, -NOW.0, false),
        ("no window", 0, 0, false),
        ("no window, set back two hours", 0, -2 * HOUR, false),
        ("no window, at 1970", 0, -NOW.0, false),
        ("negative window, set back two days", -1, -2 * DAY, false),
        ("a window of the margin", HOUR, 0, false),
        ("endless window, at the end of time", i64::MAX, i64::MAX - NOW.0, false),
    ];
    for (what, window, since, expected) in table {
        assert_eq!(duty::may_repeat_create(&deposit(15), window, NOW.plus(since)), expected, "{what}");
    }
    let unset = Transaction { created_time: UnixTime::UNSET, ..deposit(15) };
    assert!(!duty::may_repeat_create(&unset, DAY, UnixTime(HOUR)), "an order without a creation time");
}

#[test]
fn a_create_call_without_an_answer_is_repeated_until_the_customer_has_a_page_or_the_order_ended() {
    let mut waiting = Transaction { first_answer: FirstAnswer::Unknown, ..deposit(15) };
    let repeat = Some(Duty::Provider(ProviderDuty::RepeatCreate));
    assert_eq!(due(&waiting, 0), repeat);
    waiting.refs.add(ProviderRef::new("checkout_session", "cs_1"), CameWith::Money);
    assert_eq!(due(&waiting, 0), repeat, "a query that names the payment brings no page");
    let ended = Transaction { first_answer: FirstAnswer::Accepted, ..waiting.clone() };
    assert_eq!(due(&ended, 0), None);
    for status in [TransactionStatus::Failed, TransactionStatus::Credited, TransactionStatus::ManualReview] {
        assert_ne!(due(&Transaction { status, ..waiting.clone() }, 0), repeat, "{status:?}");
    }
}

#[test]
fn c1_a_create_call_that_ended_the_process_is_queried_and_never_repeated() {
    let open = Transaction { first_answer: FirstAnswer::Open, status: TransactionStatus::Created, ..deposit(15) };
    assert_eq!(due(&open, 0), Some(Duty::Provider(ProviderDuty::RepeatCreate)));
    for before in [open.clone(), Transaction { first_answer: FirstAnswer::Unknown, ..open }] {
        let crashed = aggregate(before.clone());
        let crashed = applied(&crashed, &crashed.crash_create(at(1)));
        assert_eq!(crashed.transaction.first_answer, FirstAnswer::Crashed);
        assert!(crashed.crash_create(at(2)).is_empty(), "recorded once");
        let expected = [None, Some(Duty::Provider(ProviderDuty::Query)), Some(Duty::Provider(ProviderDuty::Expire))];
        assert_eq!([1, 2 * duty::QUIET_SECONDS, DAY].map(|since| due(&crashed.transaction, since)), expected);
        // A decline that a late notice of the call states ends the order; it is not sent again for that.
        let ending = CreateEnding::Declined { reason: "no".into() };
        let declined = applied(&crashed, &crashed.end_create(&receiver(), &ending, &[], &[], at(3)));
        assert_eq!(declined.transaction.first_answer, FirstAnswer::Crashed);
    }
    for known in [FirstAnswer::Accepted, FirstAnswer::Declined, FirstAnswer::NeverSent] {
        let ended = aggregate(Transaction { first_answer: known, ..deposit(15) });
        assert!(ended.crash_create(at(1)).is_empty(), "{known:?}: its end was recorded");
    }
}

fn closed(status: TransactionStatus, facts: &[(i64, ProviderFact)]) -> Transaction {
    let mut all = Facts::default();
    for (seq, (at, fact)) in (1..).zip(facts) {
        all.record(Seq(seq), NOW.plus(*at), fact.clone());
    }
    Transaction { status, facts: all, ..deposit(15) }
}

fn due(transaction: &Transaction, seconds: i64) -> Option<Duty> {
    duty::due(transaction, &[], NOW.plus(seconds))
}

#[test]
fn m9_a_payment_that_the_provider_reviews_is_queried_and_captured_at_once_and_one_for_a_person_is_not() {
    let hold = |hold| ProviderFact::ReviewHold(hold);
    let table = [
        (vec![hold(ReviewHold::InReview { status: "r".into() })], Some(ProviderDuty::Query)),
        (
            vec![hold(ReviewHold::InReview { status: "r".into() }), ProviderFact::AdvanceWanted { event: "e".into() }],
            Some(ProviderDuty::Advance),
        ),
        (vec![hold(ReviewHold::Requested { status: "r".into() })], None),
        (
            vec![hold(ReviewHold::Requested { status: "r".into() }), ProviderFact::AdvanceWanted { event: "e".into() }],
            None,
        ),
        (vec![hold(ReviewHold::AmountUnstated { payment: "p".into() })], Some(ProviderDuty::Query)),
    ];
    for (facts, expected) in table {
        let changes = aggregate(deposit(15)).record(&receiver(), &facts, &[], at(1)).0;
        let transaction = applied(&aggregate(deposit(15)), &changes).transaction;
        assert_eq!(due(&transaction, 1), expected.map(Duty::Provider), "{facts:?}");
        let at_once = duty::query_after_update(&transaction, transaction.config_id, false);
        let advance = (expected == Some(ProviderDuty::Advance)).then_some(ProviderQuery::Advance);
        let unstated = transaction.reason.code == ReasonCode::AmountUnstated;
        assert_eq!(at_once, advance.or(unstated.then_some(ProviderQuery::Status)), "{facts:?}");
    }
}

#[test]
fn m17_what_was_accepted_is_queried_until_and_once_at_its_expiry() {
    use TransactionStatus as S;
    let declined = (5, ProviderFact::Declined { reason: "no funds".into() });
    let cancelled = |at, reason| (at, ProviderFact::Cancelled { reason });
    let accepted = (1, ProviderFact::Accepted);
    let last = (DAY, ProviderFact::LastQuery);
    let query = Some(Duty::Provider(ProviderDuty::Query));
    let expire = Some(Duty::Provider(ProviderDuty::Expire));
    let refused = |transaction| Transaction { first_answer: FirstAnswer::Declined, ..transaction };
    let unknown = |transaction| Transaction { first_answer: FirstAnswer::Unknown, ..transaction };
    let never_sent = |transaction| Transaction { first_answer: FirstAnswer::NeverSent, ..transaction };
    let endless = |transaction| Transaction { expires_time: UnixTime::UNSET, ..transaction };
    let table = [
        ("declined", closed(S::Failed, &[accepted.clone(), declined.clone()]), [None, query, expire]),
        (
            "cancelled by the customer",
            closed(S::Cancelled, &[accepted.clone(), cancelled(5, ReasonCode::Cancelled)]),
            [None, query, expire],
        ),
        (
            "expired early, says the provider",
            closed(S::Cancelled, &[accepted.clone(), cancelled(5, ReasonCode::Expired)]),
            [None, query, expire],
        ),
        (
            "unanswered, then declined",
            unknown(closed(S::Failed, &[(1, ProviderFact::Unanswered), declined.clone()])),
            [None, query, expire],
        ),
        ("declined at once", refused(closed(S::Failed, std::slice::from_ref(&declined))), [None; 3]),
        (
            "declined at once, then accepted",
            refused(closed(S::Failed, &[declined.clone(), accepted.clone()])),
            [None, query, expire],
        ),
        ("never sent", never_sent(closed(S::Failed, std::slice::from_ref(&declined))), [None; 3]),
        ("expired", closed(S::Cancelled, &[accepted.clone(), cancelled(DAY, ReasonCode::Expired)]), [None; 3]),
        ("queried at its expiry", closed(S::Failed, &[accepted.clone(), declined.clone(), last]), [None; 3]),
        ("declined, without expiry", endless(closed(S::Failed, &[accepted, declined])), [None, query, query]),
    ];
    for (what, transaction, expected) in table {
        assert_eq!([10, HOUR, DAY].map(|at| due(&transaction, at)), expected, "{what}");
        let expected = expected.iter().any(Option::is_some);
        let work = (duty::has_work(&transaction, &[]), duty::is_queried(&aggregate(transaction)));
        assert_eq!(work, (expected, expected), "{what}");
    }
    let endless = endless(closed(S::Failed, &[]));
    assert_eq!(due(&endless, duty::CLOSED_QUERY_SECONDS - 1), query);
    assert_eq!(due(&endless, duty::CLOSED_QUERY_SECONDS), expire);
}

#[test]
fn the_last_query_of_a_closed_order_is_recorded_once_it_was_answered() {
    let declined = closed(TransactionStatus::Failed, &[]);
    let record = AtExpiry::Record(ProviderFact::LastQuery);
    for (outcome, expected) in [
        (QueryOutcome::Answered, record.clone()),
        (QueryOutcome::NotFound, record.clone()),
        (QueryOutcome::NotQueryable, record),
        (QueryOutcome::NoAnswer, AtExpiry::Wait),
        (QueryOutcome::NoGateway, AtExpiry::Wait),
    ] {
        assert_eq!(duty::at_expiry(&declined, outcome), expected, "{outcome:?}");
    }
    let paid = closed(TransactionStatus::Credited, &[]);
    assert_eq!(duty::at_expiry(&paid, QueryOutcome::Answered), AtExpiry::Wait, "the answer was a payment");
}

#[test]
fn m17_an_unconfirmed_payment_of_which_a_part_went_back_is_queried() {
    let accepted = (1, ProviderFact::Accepted);
    let expired = (DAY, ProviderFact::Cancelled { reason: ReasonCode::Expired });
    let disputed = |minor| (2 * DAY, ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor });
    let refunded = |minor| (2 * DAY, ProviderFact::Refund { id: "re_1".into(), payment: "".into(), minor });
    let confirmed = (2 * DAY, ProviderFact::Confirmed { payment: "pi".into(), minor: 10_000 });
    let query = Some(Duty::Provider(ProviderDuty::Query));
    let table = [
        ("disputed in part", vec![accepted.clone(), disputed(4_000)], query),
        ("disputed in part after its expiry", vec![accepted.clone(), expired.clone(), disputed(4_000)], query),
        ("refunded in part after its expiry", vec![accepted.clone(), expired.clone(), refunded(4_000)], query),
        ("disputed as a whole", vec![accepted.clone(), disputed(10_000)], None),
        ("refunded as a whole", vec![accepted.clone(), expired.clone(), refunded(10_000)], None),
        ("confirmed as well", vec![accepted, expired, disputed(4_000), confirmed], Some(Duty::Settle)),
    ];
    for (what, facts, expected) in table {
        let derived = aggregate(closed(TransactionStatus::Created, &facts)).standing();
        let known = Transaction { updated_time: NOW.plus(2 * DAY), ..closed(derived.status, &facts) };
        assert_eq!(due(&known, 3 * DAY), expected, "{what}");
        assert_ne!(due(&known, 2 * DAY), query, "{what}: its confirmation may be on its way");
        assert_eq!(duty::is_queried(&aggregate(known)), expected == query, "{what}");
    }
}

/// Ends the operation that these changes made due.
fn settled(before: &Aggregate, changes: &[Change], outcome: &PostingOutcome, seq: u64) -> Aggregate {
    let planned = applied(before, changes);
    applied(&planned, &planned.end_posting(OperationId(seq), outcome, ManagerId(0), at(seq)))
}

#[test]
fn a_paid_order_of_which_a_part_went_back_is_not_queried_and_a_refused_reversal_waits_for_a_retry() {
    let posted = PostingOutcome::posted(7);
    let refused = PostingOutcome::Refused { reason: "NO_MONEY".into() };
    let confirmed = ProviderFact::Confirmed { payment: "pi".into(), minor: 10_000 };
    let paid = aggregate(deposit(15));
    let paid = settled(&paid, &paid.establish(confirmed, at(1)), &posted, 1);
    // A person's decision stands in place of the confirmation.
    let reviewed = ProviderFact::ReviewHold(ReviewHold::Requested { status: "manual".into() });
    let resolved = applied(&aggregate(deposit(15)), &aggregate(deposit(15)).establish(reviewed, at(1)));
    let resolved = settled(&resolved, &resolved.decide(PersonFact::Resolved { minor: 10_000 }, at(2)), &posted, 2);
    let disputed = ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor: 4_000 };
    let refunded = ProviderFact::Refund { id: "re_1".into(), payment: "".into(), minor: 4_000 };
    let table = [
        (&paid, disputed, TransactionStatus::Chargeback, ReasonCode::Chargeback),
        (&paid, refunded.clone(), TransactionStatus::Credited, ReasonCode::PartlyRefunded),
        (&resolved, refunded, TransactionStatus::Credited, ReasonCode::PartlyRefunded),
    ];
    for (before, reversal, status, reason) in table {
        for (outcome, expected) in [(&posted, None), (&refused, Some(Duty::AwaitRetry))] {
            let after = settled(before, &before.establish(reversal.clone(), at(3)), outcome, 3);
            let Aggregate { transaction, operations } = &after;
            assert_eq!((transaction.status, transaction.reason.code), (status, reason), "{outcome:?}");
            assert_eq!(duty::due(transaction, operations, NOW.plus(3 * DAY)), expected, "{reversal:?}, {outcome:?}");
            assert!(!duty::is_queried(&after), "{reversal:?}, {outcome:?}");
        }
    }
}

#[test]
fn m17_an_order_that_a_person_is_to_review_is_queried_until_its_expiry() {
    let hold = |hold| ProviderFact::ReviewHold(hold);
    let short = ReviewHold::Mismatch {
        what: MismatchKind::Amount,
        expected: "100.0 USD".into(),
        stated: "60.0 USD".into(),
        stated_minor: Some(6_000),
        payment: "".into(),
    };
    let look = hold(ReviewHold::Requested { status: "manual".into() });
    let paid = ProviderFact::Confirmed { payment: "pi".into(), minor: 10_000 };
    let query = Some(Duty::Provider(ProviderDuty::Query));
    let expire = Some(Duty::Provider(ProviderDuty::Expire));
    let table = [
        (vec![look.clone()], [None, query, expire]),
        (vec![hold(short)], [None, query, expire]),
        (vec![look.clone(), ProviderFact::LastQuery], [None; 3]),
        (vec![look, paid], [Some(Duty::Settle); 3]),
    ];
    for (stated, expected) in table {
        let facts: Vec<_> = [ProviderFact::Accepted].into_iter().chain(stated.clone()).map(|fact| (1, fact)).collect();
        let derived = aggregate(closed(TransactionStatus::Created, &facts)).standing();
        let known = Transaction { reason: derived.reason, ..closed(derived.status, &facts) };
        assert_eq!([10, HOUR, DAY].map(|at| due(&known, at)), expected, "{stated:?}");
        let expired = duty::at_expiry(&known, QueryOutcome::Answered);
        let last = AtExpiry::Record(ProviderFact::LastQuery);
        assert_eq!(expired == last, expected[2] == expire, "{stated:?}: it is never cancelled at the provider");
    }
}

#[test]
fn m24_a_postponed_expiry_begins_with_its_whole_length() {
    let mut postponed = deposit(15);
    postponed.postpone_expiry();
    assert!(postponed.expiry_is_postponed() && !deposit(15).expiry_is_postponed());
    assert!(!duty::is_expired(&postponed, UnixTime(i64::MAX)), "an open expiry is never reached");
    let pending = Transaction { status: TransactionStatus::PendingPayment, ..postponed.clone() };
    let declined = Transaction { status: TransactionStatus::Failed, ..postponed.clone() };
    for open in [&pending, &declined] {
        assert_eq!(due(open, 400 * DAY), Some(Duty::Provider(ProviderDuty::Query)));
        let schedule = duty::schedule(&aggregate(open.clone()), NOW);
        assert_eq!((schedule.expiry_postponed, schedule.pause_max), (true, i64::MAX));
    }
    let mended = DecisionContext { now: NOW.plus(20 * DAY), ..at(9) };
    let begun = applied(&aggregate(postponed.clone()), &aggregate(postponed).begin_expiry(mended)).transaction;
    assert_eq!(begun.expires_time, NOW.plus(21 * DAY));
    assert!(aggregate(begun).begin_expiry(mended).is_empty(), "it begins once");
    assert!(aggregate(deposit(15)).begin_expiry(mended).is_empty());
    let mut endless = Transaction { expires_time: UnixTime::UNSET, ..deposit(15) };
    let mut at_once = Transaction { expires_time: NOW, ..deposit(15) };
    endless.postpone_expiry();
    at_once.postpone_expiry();
    assert_eq!(at_once.expires_time, at_once.created_time, "an order that is expired stays so");
    assert_eq!(endless.expires_time, UnixTime::UNSET, "without an expiry nothing is postponed");
}

#[test]
fn a_pause_misses_no_end_of_queries() {
    let pause = |transaction: &Transaction, seconds| {
        duty::schedule(&aggregate(transaction.clone()), NOW.plus(seconds)).pause_max
    };
    let pending = Transaction { status: TransactionStatus::PendingPayment, ..deposit(15) };
    assert_eq!([0, HOUR, DAY - 1, DAY, 2 * DAY].map(|at| pause(&pending, at)), [DAY, 23 * HOUR, 1, i64::MAX, i64::MAX]);
    let endless = Transaction { expires_time: UnixTime::UNSET, ..closed(TransactionStatus::Failed, &[]) };
    assert_eq!(pause(&endless, HOUR), duty::CLOSED_QUERY_SECONDS - HOUR);
    let unpaid = Transaction { expires_time: UnixTime::UNSET, ..pending };
    assert_eq!(pause(&unpaid, HOUR), i64::MAX);
}

#[test]
fn a_look_at_what_is_not_due_misses_no_moment_at_which_it_is() {
    let look = |transaction: &Transaction, seconds| {
        let schedule = duty::schedule(&aggregate(transaction.clone()), NOW.plus(seconds));
        (schedule.duty, schedule.next_look)
    };
    let query = Some(Duty::Provider(ProviderDuty::Query));
    let pending = Transaction { status: TransactionStatus::PendingPayment, updated_time: NOW, ..deposit(15) };
    assert_eq!([0, 59].map(|at| look(&pending, at)), [(None, 60), (None, 1)]);
    assert_eq!(look(&pending, 60), (query, DAY - 60));
    let short = Transaction { expires_time: NOW.plus(20), ..pending.clone() };
    assert_eq!([0, 19].map(|at| look(&short, at)), [(None, 20), (None, 1)]);
    let credited = Transaction { status: TransactionStatus::Credited, expires_time: UnixTime::UNSET, ..pending };
    assert_eq!([look(&credited, 0).1, look(&credited, HOUR).1], [60, i64::MAX]);
}

#[test]
fn b5_an_order_whose_provider_is_asked_is_awaited_until_its_expiry_and_last_query_and_no_longer() {
    let pending = Transaction { status: TransactionStatus::PendingPayment, ..deposit(15) };
    let endless = Transaction { expires_time: UnixTime::UNSET, ..pending.clone() };
    let mut postponed = pending.clone();
    postponed.postpone_expiry();
    let manual = Transaction { source: Source::Manual, ..pending.clone() };
    let declined = closed(TransactionStatus::Failed, &[]);
    let ended =
        closed(TransactionStatus::Cancelled, &[(2 * DAY, ProviderFact::Cancelled { reason: ReasonCode::Expired })]);
    let never_sent = Transaction { first_answer: FirstAnswer::NeverSent, ..declined.clone() };
    let in_review = |holds: &[ReviewHold]| {
        let mut reviewed = Transaction { status: TransactionStatus::ManualReview, ..pending.clone() };
        for (seq, hold) in (1..).zip(holds) {
            reviewed.facts.record(Seq(seq), NOW, ProviderFact::ReviewHold(hold.clone()));
        }
        reviewed
    };
    let wanted = Transaction { status: TransactionStatus::Credited, query_wanted: Seq(7), ..pending.clone() };
    let credited = Transaction { status: TransactionStatus::Credited, ..pending.clone() };
    let last = Some(NOW.plus(DAY + duty::ENDING_SECONDS));
    let table = [
        (&in_review(&[ReviewHold::OutcomeUnknown]), last),
        (&in_review(&[ReviewHold::InReview { status: "p".into() }]), last),
        (&wanted, last),
        (&credited, None),
        (&ended, None),
        (&never_sent, None),
        (&pending, Some(NOW.plus(DAY + duty::ENDING_SECONDS))),
        (&endless, Some(NOW.plus(duty::CLOSED_QUERY_SECONDS))),
        (&postponed, Some(UnixTime(i64::MAX))),
        (&manual, None),
        (&declined, last),
    ];
    for (transaction, expected) in table {
        assert_eq!(duty::awaited_until(transaction), expected, "{transaction:?}");
    }
}

#[test]
fn the_last_query_changes_no_standing() {
    let fact = ProviderFact::LastQuery;
    assert!(!fact.is_definite() && !fact.is_money() && !fact.is_acceptance());
    let declined = closed(
        TransactionStatus::Failed,
        &[(1, ProviderFact::Accepted), (5, ProviderFact::Declined { reason: "no funds".into() })],
    );
    let before = aggregate(declined);
    let after = applied(&before, &before.establish(fact, at(9)));
    assert_eq!((after.standing(), after.transaction.status), (before.standing(), TransactionStatus::Failed));
    assert!(!duty::has_work(&after.transaction, &[]));
}
