//! How calls end: the answer of a create call against what the customer was answered before, an order at its expiry, and
//! an operation that was withheld.

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::duty::{self, AtExpiry, QueryOutcome};
use cashier_core::facts::{PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{ManagerId, OperationId, Seq};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::{Reason, ReasonCode};
use cashier_core::status::{OperationStatus, TransactionStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, NextAction, Transaction};

use crate::samples::{NOW, aggregate, applied, at, deposit, receiver};

#[test]
fn the_end_of_a_create_call_never_changes_an_answer_that_was_given() {
    use FirstAnswer as F;
    let declined = || ProviderFact::Declined { reason: "no".into() };
    let endings = [
        CreateEnding::Accepted(NextAction::Redirect),
        CreateEnding::Declined { reason: "no".into() },
        CreateEnding::NeverSent { reason: "no".into() },
        CreateEnding::Unknown,
    ];
    // For each answer before: answer, next action and fact after each ending; `None` where nothing changes.
    type After = Option<(FirstAnswer, NextAction, ProviderFact)>;
    let given = |answer| Some((answer, NextAction::Instructions, ProviderFact::Accepted));
    let table: [(FirstAnswer, [After; 4]); 5] = [
        (
            F::Open,
            [
                Some((F::Accepted, NextAction::Redirect, ProviderFact::Accepted)),
                Some((F::Declined, NextAction::None, declined())),
                Some((F::NeverSent, NextAction::None, declined())),
                Some((F::Unknown, NextAction::Wait, ProviderFact::Unanswered)),
            ],
        ),
        (
            F::Unknown,
            [
                Some((F::Accepted, NextAction::Redirect, ProviderFact::Accepted)),
                Some((F::Unknown, NextAction::None, declined())),
                None,
                None,
            ],
        ),
        (F::Accepted, [given(F::Accepted), None, None, None]),
        (F::Declined, [given(F::Declined), None, None, None]),
        (F::NeverSent, [given(F::NeverSent), None, None, None]),
    ];
    for (before, after) in table {
        for (ending, expected) in endings.iter().zip(after) {
            let order = Transaction { first_answer: before, next_action: NextAction::Instructions, ..deposit(15) };
            let changes = aggregate(order.clone()).end_create(&receiver(), ending, &[], &[], at(1));
            let ended = applied(&aggregate(order), &changes).transaction;
            let facts: Vec<&ProviderFact> = ended.facts.provider.iter().map(|known| &known.fact).collect();
            match expected {
                Some((answer, action, fact)) => {
                    assert_eq!((ended.first_answer, ended.next_action), (answer, action), "{before:?}, {ending:?}");
                    assert_eq!(facts, [&fact], "{before:?}, {ending:?}");
                }
                None => assert!(changes.is_empty(), "{before:?}, {ending:?}: {changes:?}"),
            }
        }
    }
}

#[test]
fn an_order_that_was_never_sent_names_its_provider_as_unavailable_unless_it_is_paid_all_the_same() {
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    let never_sent = CreateEnding::NeverSent { reason: "no".into() };
    let order = aggregate(Transaction { first_answer: FirstAnswer::Open, ..deposit(15) });
    let ended = |ending: &CreateEnding| {
        applied(&order, &order.end_create(&receiver(), ending, &[], &[], at(1))).transaction.reason
    };
    assert_eq!(ended(&CreateEnding::Declined { reason: "no".into() }), Reason::new(ReasonCode::ProviderDeclined, "no"));
    assert_eq!(ended(&never_sent), Reason::new(ReasonCode::ProviderUnavailable, "no"));
    let unsent = applied(&order, &order.end_create(&receiver(), &never_sent, &[], &[], at(1)));
    assert_eq!(applied(&unsent, &unsent.establish(paid, at(2))).transaction.reason, Reason::default());
}

#[test]
fn an_unpaid_order_ends_at_its_expiry_by_what_is_known_of_it() {
    let expired = || ProviderFact::Cancelled { reason: ReasonCode::Expired };
    let unknown = || AtExpiry::Record(ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown));
    let table = [
        (QueryOutcome::NoAnswer, AtExpiry::Wait, AtExpiry::Wait),
        (QueryOutcome::NoGateway, AtExpiry::Wait, unknown()),
        (QueryOutcome::NotQueryable, AtExpiry::Cancel(expired()), unknown()),
        (QueryOutcome::Answered, AtExpiry::Cancel(expired()), AtExpiry::Cancel(expired())),
        (QueryOutcome::NotFound, AtExpiry::Record(expired()), AtExpiry::Record(expired())),
    ];
    for (outcome, accepted, never_accepted) in table {
        let mut order = Transaction { status: TransactionStatus::PendingPayment, ..deposit(15) };
        order.facts.record(Seq(1), NOW, ProviderFact::Unanswered);
        assert_eq!(duty::at_expiry(&order, outcome), never_accepted, "{outcome:?}, never accepted");
        order.facts.record(Seq(2), NOW, ProviderFact::Accepted);
        assert_eq!(duty::at_expiry(&order, outcome), accepted, "{outcome:?}, accepted");
    }
}

#[test]
fn an_order_is_expired_from_the_second_of_its_expiry() {
    let expires = |time| Transaction { expires_time: time, ..deposit(15) };
    let is_expired = |time, now| duty::is_expired(&expires(time), now);
    assert!(!is_expired(NOW, NOW.plus(-1)) && is_expired(NOW, NOW) && is_expired(NOW, NOW.plus(1)));
    assert!(!is_expired(UnixTime::UNSET, NOW), "unset never expires");
    assert!(!is_expired(UnixTime(-3_600), NOW), "a postponed expiry has not begun");
    assert_eq!((duty::CLOSED_QUERY_SECONDS, duty::QUIET_SECONDS), (1_209_600, 60));
}

#[test]
fn a_withheld_operation_is_planned_again_and_a_refused_one_waits_for_a_person() {
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    let planned = applied(&aggregate(deposit(15)), &aggregate(deposit(15)).record(&receiver(), &[paid], &[], at(1)).0);
    assert_eq!(planned.operations.len(), 1);
    let end = |reason: &str| {
        let outcome = PostingOutcome::Refused { reason: reason.into() };
        applied(&planned, &planned.end_posting(OperationId(1), &outcome, ManagerId(0), at(2)))
    };
    let withheld = end(ReasonCode::Withheld.name());
    let states: Vec<OperationStatus> = withheld.operations.iter().map(|known| known.status).collect();
    assert_eq!(states, [OperationStatus::Refused, OperationStatus::Planned]);
    assert_eq!((withheld.transaction.refused_seq, withheld.operations[1].ordinal), (Seq(0), 2));
    let refused = end("ACCOUNT_NOT_FOUND");
    assert_eq!((refused.operations.len(), refused.transaction.refused_seq), (1, Seq(2)));
    assert_eq!(refused.transaction.status, TransactionStatus::CreditFailed);
    assert_eq!(&*refused.transaction.reason.detail, "ACCOUNT_NOT_FOUND");
    assert!(refused.resume(at(3)).is_empty(), "a refusal is final until a person retries");
    let retried = applied(&refused, &refused.decide(PersonFact::Retried, at(3)));
    assert_eq!((retried.operations.len(), retried.operations[1].ordinal), (2, 2));

    // As earlier rules left it: withheld, and nothing planned after it.
    let mut left = withheld;
    left.operations.truncate(1);
    let resumed = applied(&left, &left.resume(at(4)));
    assert_eq!((resumed.operations.len(), resumed.operations[1].status), (2, OperationStatus::Planned));
    assert_eq!(resumed.operations[1].amount.minor, 10_000);
}

#[test]
fn a_retry_permits_another_attempt_only_after_the_refusal() {
    let paid = ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    let planned = applied(&aggregate(deposit(15)), &aggregate(deposit(15)).establish(paid, at(1)));
    let refusal = PostingOutcome::Refused { reason: "NO".into() };
    // For the commit of each: how many operations there are in the end.
    for (retried, refused, expected) in [(2, 3, 1), (3, 3, 1), (3, 2, 2)] {
        let retry = |before: &Aggregate| applied(before, &before.decide(PersonFact::Retried, at(retried)));
        let refuse = |before: &Aggregate| {
            applied(before, &before.end_posting(OperationId(1), &refusal, ManagerId(0), at(refused)))
        };
        let ended = if retried > refused { retry(&refuse(&planned)) } else { refuse(&retry(&planned)) };
        assert_eq!(ended.operations.len(), expected, "retried in commit {retried}, refused in commit {refused}");
    }
}
