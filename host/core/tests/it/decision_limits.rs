//! However often persons decide about one transaction, its row stays small, and what is owed can still be posted, a review ended.

use cashier_core::aggregate::{Aggregate, DecisionContext};
use cashier_core::change::Change;
use cashier_core::decisions::{self, Correction, Resolution, WrittenTexts};
use cashier_core::facts::{
    DECISION_PAUSE_SECONDS, DECISIONS_MAX, DECISIONS_WITH_REVIEWS_MAX, PersonFact, ProviderFact, ReviewHold,
    TEXTS_WRITTEN_MAX,
};
use cashier_core::ids::ManagerId;
use cashier_core::manual;
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::{TransactionStatus, TransactionType};
use cashier_core::texts::Texts;
use proptest::prelude::*;

use crate::samples::*;

#[derive(Debug, Clone)]
enum Command {
    Write(TransactionStatus),
    Explain(u8),
    Retry,
    Process,
    Resolve(bool),
    /// The provider wants a person to look again.
    Review(u8),
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => prop::sample::select(TransactionStatus::ALL).prop_map(Command::Write),
        4 => any::<u8>().prop_map(Command::Explain),
        6 => Just(Command::Retry),
        4 => Just(Command::Process),
        2 => any::<bool>().prop_map(Command::Resolve),
        1 => any::<u8>().prop_map(Command::Review),
    ]
}

fn confirmed() -> ProviderFact {
    ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }
}

fn write(known: &Aggregate, status: Option<TransactionStatus>, words: Option<String>, at: DecisionContext) -> Decided {
    let correction = Correction { status, failure_reason: words.map(Into::into), texts: None };
    decisions::correct(known, &correction, at)
}

type Decided = Result<Vec<Change>, Refusal>;

/// Every posting that is under way ends so.
fn ended(known: &Aggregate, outcome: &PostingOutcome, at: DecisionContext) -> Aggregate {
    match known.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id) {
        Some(id) => applied(known, &known.end_posting(id, outcome, ManagerId(3), at)),
        None => known.clone(),
    }
}

fn refused() -> PostingOutcome {
    PostingOutcome::Refused { reason: "account closed".into() }
}

fn decisions_of(known: &Aggregate) -> usize {
    let counted = |fact: &PersonFact| !matches!(fact, PersonFact::Entered { .. });
    known.transaction.facts.persons.iter().filter(|known| counted(&known.fact)).count()
}

fn decide(known: &Aggregate, command: &Command, at: DecisionContext) -> Decided {
    match command {
        Command::Write(status) => write(known, Some(*status), None, at),
        Command::Explain(words) => write(known, None, Some(format!("call {words}")), at),
        Command::Retry => decisions::retry(known, None, at),
        Command::Process => manual::process(known, ManagerId(4), false, at),
        Command::Resolve(true) => decisions::resolve(known, Resolution::Credit(usd(10_000)), at),
        Command::Resolve(false) => decisions::resolve(known, Resolution::Refuse, at),
        Command::Review(number) => {
            let hold = ProviderFact::ReviewHold(ReviewHold::Requested { status: format!("look {number}").into() });
            Ok(known.record(&receiver(), &[hold], &[], at).0)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_row_stays_small_and_what_is_owed_is_posted_however_often_persons_decide(
        by_hand in any::<bool>(),
        commands in prop::collection::vec(any_command(), 300..600),
        pauses in prop::collection::vec(prop_oneof![20 => 0_i64..5, 1 => 0_i64..100_000], 600),
    ) {
        let mut known = if by_hand {
            aggregate(manual(15, TransactionType::Deposit))
        } else {
            let order = aggregate(deposit(15));
            applied(&order, &order.record(&receiver(), &[confirmed()], &[], at(2)).0)
        };
        known = ended(&known, &refused(), at(3));
        let (mut seq, mut now) = (4, at(4).now);
        for (command, pause) in commands.iter().zip(pauses) {
            (seq, now) = (seq + 2, now.plus(pause));
            let before = decisions_of(&known);
            match decide(&known, command, DecisionContext { now, ..at(seq) }) {
                Ok(changes) => known = applied(&known, &changes),
                Err(refusal) if refusal.code == RefusalCode::TooManyDecisions => prop_assert!(before >= DECISIONS_MAX),
                Err(_) => {}
            }
            known = ended(&known, &refused(), DecisionContext { now, ..at(seq + 1) });
        }
        let days = usize::try_from((now.0 - at(4).now.0) / DECISION_PAUSE_SECONDS).unwrap();
        prop_assert!(decisions_of(&known) <= DECISIONS_WITH_REVIEWS_MAX + 1 + days, "{}", decisions_of(&known));
        prop_assert!(known.operations.len() <= DECISIONS_WITH_REVIEWS_MAX + 2 + days, "{}", known.operations.len());

        // A person who comes the day after releases what was written, ends the review, and the money is posted.
        now = now.plus(DECISION_PAUSE_SECONDS);
        let context = |step: u64| DecisionContext { now, ..at(seq + 10 + step) };
        if known.transaction.facts.is_held() {
            let released = write(&known, Some(TransactionStatus::PendingPayment), None, context(0));
            known = applied(&known, &released.unwrap());
        }
        let nature = if by_hand { manual::process(&known, ManagerId(4), false, context(1)) } else {
            match known.transaction.status {
                TransactionStatus::ManualReview => decisions::resolve(&known, Resolution::Credit(usd(10_000)), context(1)),
                _ => decisions::retry(&known, None, context(1)),
            }
        };
        match nature {
            Ok(changes) => {
                known = ended(&applied(&known, &changes), &PostingOutcome::posted(9), context(2));
                let posted = |known: &BalanceOperation| known.trade_order == 9;
                let refuses = known.standing().owed_minor == 0;
                prop_assert!(refuses || known.operations.iter().any(posted), "{:?}", known.standing());
            }
            // Nothing is owed, or it was decided otherwise: never for the number of decisions.
            Err(refusal) => prop_assert_ne!(refusal.code, RefusalCode::TooManyDecisions, "{}", refusal.message),
        }
    }
}

#[test]
fn beyond_the_limit_nothing_is_written_a_retry_waits_a_day_and_a_review_is_ended_at_once() {
    let order = aggregate(deposit(15));
    let mut known = applied(&order, &order.record(&receiver(), &[confirmed()], &[], at(2)).0);
    known = ended(&known, &refused(), at(3));
    for number in 0..DECISIONS_MAX as u64 {
        let changes = write(&known, None, Some(format!("call {number}")), at(10 + number)).unwrap();
        known = applied(&known, &changes);
    }
    let last = at(9 + DECISIONS_MAX as u64).now;
    let context = |now, step: u64| DecisionContext { now, ..at(500 + step) };
    let refused_code = |decided: Decided| decided.unwrap_err().code;
    let write_again = |known: &Aggregate, now| write(known, None, Some("once more".into()), context(now, 0));
    assert_eq!(refused_code(write_again(&known, last)), RefusalCode::TooManyDecisions);
    let held = write(&known, Some(TransactionStatus::Failed), None, context(last, 1));
    assert_eq!(refused_code(held), RefusalCode::TooManyDecisions);
    let soon = decisions::retry(&known, None, context(last.plus(60), 2)).unwrap_err();
    assert_eq!(soon.code, RefusalCode::TooManyDecisions);
    assert_eq!(soon.retry_after_seconds, (DECISION_PAUSE_SECONDS - 60) as u64);
    let later = last.plus(DECISION_PAUSE_SECONDS);
    assert_eq!(refused_code(write_again(&known, later)), RefusalCode::TooManyDecisions, "whenever");

    // A review that begins now is ended now.
    let look = ProviderFact::ReviewHold(ReviewHold::Requested { status: "look".into() });
    let review = applied(&known, &known.record(&receiver(), &[look], &[], context(last, 3)).0);
    assert_eq!(review.transaction.status, TransactionStatus::ManualReview);
    let resolved = decisions::resolve(&review, Resolution::Credit(usd(10_000)), context(last, 4)).unwrap();
    assert!(resolved.iter().any(|change| matches!(change, Change::Operation(_))), "{resolved:?}");

    // A retry a day later is posted, and the next one waits for the day after.
    let retried = applied(&known, &decisions::retry(&known, None, context(later, 5)).unwrap());
    let again = ended(&retried, &refused(), context(later, 6));
    assert_eq!(refused_code(decisions::retry(&again, None, context(later.plus(1), 7))), RefusalCode::TooManyDecisions);
    let credited = ended(&retried, &PostingOutcome::posted(9), context(later, 6));
    assert_eq!(credited.transaction.status, TransactionStatus::Credited);
}

#[test]
fn however_often_its_texts_are_written_a_withdrawal_is_processed_and_rejected_at_once() {
    let mut known = aggregate(manual(15, TransactionType::Withdrawal));
    let text = |number: u64| Texts { comment: format!("{number}").into(), metadata_json: format!("[{number}]").into() };
    let write = |known: &Aggregate, number: u64, now| {
        let texts = WrittenTexts { before: text(number), after: text(number + 1), by: ManagerId(3) };
        let correction = Correction { texts: Some(texts), ..Correction::default() };
        decisions::correct(known, &correction, DecisionContext { now, ..at(10 + number) })
    };
    let now = at(10).now;
    // One text, and then two with each command: the last one takes both although one place is left.
    let mut first = WrittenTexts { before: text(0), after: text(0), by: ManagerId(3) };
    first.after.comment = "first".into();
    let first = Correction { texts: Some(first), ..Correction::default() };
    known = applied(&known, &decisions::correct(&known, &first, at(9)).unwrap());
    let commands = TEXTS_WRITTEN_MAX as u64 / 2;
    for number in 0..commands {
        known = applied(&known, &write(&known, number, now).unwrap());
    }
    let refused = write(&known, commands, now).unwrap_err();
    let waits = (refused.code, refused.retry_after_seconds);
    assert_eq!(waits, (RefusalCode::TooManyDecisions, DECISION_PAUSE_SECONDS as u64), "{}", refused.message);
    let context = DecisionContext { now, ..at(500) };
    assert!(manual::process(&known, ManagerId(4), true, context).is_ok());
    assert!(manual::reject(&known, "no", context).is_ok());
    let mut explained = known.clone();
    for number in 1..DECISIONS_MAX as u64 {
        let words = self::write(&explained, None, Some(format!("call {number}")), at(100 + number));
        explained = applied(&explained, &words.expect("texts take no place of words"));
    }
    assert!(manual::process(&explained, ManagerId(4), true, context).is_ok());
    let later = now.plus(DECISION_PAUSE_SECONDS);
    let next_day = applied(&known, &write(&known, commands, later).unwrap());
    assert_eq!(next_day.transaction.facts.persons.len(), known.transaction.facts.persons.len() + 2);
    // Nor do decisions take a place of theirs.
    let mut decided = aggregate(manual(16, TransactionType::Withdrawal));
    for number in 0..DECISIONS_MAX as u64 {
        decided =
            applied(&decided, &self::write(&decided, None, Some(format!("call {number}")), at(10 + number)).unwrap());
    }
    assert!(write(&decided, 200, now).is_ok());
}
