//! Which event, payment and transaction a provider's statement is about: ids of events that cannot collide, one transaction
//! for each payment, capacity for the ids of money, and early events of several configs.

use std::collections::BTreeSet;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::books::Books;
use cashier_core::change::{Body, Change, Commit, Stamp};
use cashier_core::draft::Draft;
use cashier_core::facts::{ProviderFact, ReviewHold};
use cashier_core::ids::*;
use cashier_core::inbox::{self, AppliedAnswer, CreateAnswerStated, Filed, FiledEvent};
use cashier_core::notice::{
    ProviderEvent, Reach, ReceivingConfig, RefundStatement, StatedAmount, Update, VerifiedNotice,
};
use cashier_core::reason::ReasonCode;
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, ProviderStatus as S};
use cashier_core::transaction::NextAction;
use proptest::prelude::*;

use crate::samples::*;

/// The books with every commit that made them.
#[derive(Default)]
struct Ledger {
    books: Books,
    commits: Vec<Commit>,
}

impl Ledger {
    /// Deposits 1, 2 … under these configs.
    fn with(configs: &[u64]) -> Self {
        let mut ledger = Self::default();
        for (id, config) in (1..).zip(configs) {
            let row = cashier_core::transaction::Transaction { config_id: ConfigId(*config), ..deposit(id) };
            ledger.decide(|draft| draft.add([Change::Transaction(Box::new(row))]));
        }
        ledger
    }

    fn decide<T>(&mut self, decision: impl FnOnce(&mut Draft<'_>) -> T) -> T {
        let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
        let mut draft = Draft::new(&self.books, NOW);
        let result = decision(&mut draft);
        if let (_, Some(commit)) = draft.into_commit(&stamp) {
            self.books.apply(&commit);
            self.commits.push(commit);
        }
        result
    }

    fn notice(&mut self, notice: &VerifiedNotice) -> Filed {
        let body = |id: NoticeId| Body::Answer {
            transaction_id: TransactionId(id.0),
            redirect_url: "".into(),
            instructions_json: "".into(),
        };
        self.decide(|draft| inbox::file(draft, notice, "sha256:00", body))
    }

    fn file(&mut self, config: u64, updates: Vec<Update>) -> Filed {
        self.notice(&VerifiedNotice::assertion(gateway(config), updates))
    }

    /// A start: the books are loaded from the rows that are on disk.
    fn restart(&mut self) {
        let mut books = Books::new();
        for change in self.commits.iter().flat_map(|commit| &commit.changes) {
            books.load(change.clone());
        }
        books.set_counters(self.books.counters());
        self.books = books;
    }

    fn aggregate(&self, id: u64) -> Aggregate {
        self.books.aggregate(TransactionId(id)).unwrap()
    }

    /// Status, planned or posted money, reason.
    fn standing(&self, id: u64) -> (u8, i64, ReasonCode) {
        let Aggregate { transaction, operations } = self.aggregate(id);
        let moved = operations.iter().map(|operation| operation.amount.minor).sum();
        (transaction.status.number(), moved, transaction.reason.code)
    }

    /// The newest row of each event.
    fn events(&self) -> Vec<ProviderEvent> {
        let rows = self.commits.iter().flat_map(|commit| &commit.changes).filter_map(|change| match change {
            Change::Event(row) => Some((row.id, (**row).clone())),
            _ => None,
        });
        rows.collect::<std::collections::BTreeMap<_, _>>().into_values().collect()
    }

    /// The unique index of the event table.
    fn check_keys(&self) {
        let mut keys = BTreeSet::new();
        for event in self.events() {
            assert!(keys.insert((event.config_id, event.event_id.clone())), "{} is stored twice", event.event_id);
        }
    }
}

/// The gateway of a config, of a merchant account that configs 1 and 2 share.
fn gateway(config: u64) -> ReceivingConfig {
    let account: &[ConfigId] = if config <= 2 { &[ConfigId(1), ConfigId(2)] } else { &[ConfigId(3)] };
    ReceivingConfig { config_id: ConfigId(config), merchant_account: account.into(), ..receiver() }
}

fn named(event: &str, id: u64, status: S) -> Update {
    Update { event_id: event.into(), reference: Some(reference(id)), refs: Vec::new(), ..update(status) }
}

fn paid(event: &str, id: u64, payment: &str) -> Update {
    Update { payment_id: payment.into(), ..named(event, id, S::Confirmed) }
}

fn with_ref(update: Update, id: &str) -> Update {
    Update { refs: vec![ProviderRef::new("payment_intent", id)], ..update }
}

fn refunded(event: &str, minor: i64) -> Update {
    let refund = RefundStatement {
        id: event.into(),
        amount: StatedAmount::Exact(usd(minor)),
        reach: Reach::Delta,
        requested: Box::default(),
    };
    Update { reference: None, refund: Some(refund), ..named(event, 0, S::Refunded) }
}

fn rows(filed: &Filed) -> Vec<Option<String>> {
    let row = |event: &FiledEvent| match event {
        FiledEvent::New(row) => Some(row.event_id.to_string()),
        FiledEvent::Duplicate(_) => None,
    };
    filed.events.iter().map(row).collect()
}

fn new_rows(filed: &Filed) -> usize {
    rows(filed).iter().flatten().count()
}

#[test]
fn m26_updates_with_the_ids_x2_x_and_x_in_one_notice_are_three_events() {
    for ids in [["x/2", "x", "x"], ["x", "x", "x/2"], ["x#2", "x", "x"], ["x", "x#2", "x"], ["x#2", "x#2", "x#2#2"]] {
        let mut ledger = Ledger::with(&[1]);
        let updates: Vec<Update> = ids.iter().map(|id| named(id, 1, S::Pending)).collect();
        assert_eq!(new_rows(&ledger.file(1, updates.clone())), 3, "{ids:?}");
        let again = ledger.file(1, updates);
        assert!(again.duplicate && new_rows(&again) == 0, "{ids:?}: the same notice gets the same ids");
        ledger.check_keys();
    }
}

#[test]
fn m26_a_later_notice_whose_own_id_looks_like_a_numbered_one_is_an_event_of_its_own() {
    let mut ledger = Ledger::with(&[1]);
    assert_eq!(new_rows(&ledger.file(1, vec![named("x", 1, S::Pending), named("x", 1, S::Failed)])), 2);
    for own in ["x/1", "x#1", "x#2", "x#2#1", "sha256:00#2"] {
        assert_eq!(new_rows(&ledger.file(1, vec![named(own, 1, S::Pending)])), 1, "{own}");
    }
    assert_eq!(new_rows(&ledger.file(1, vec![named("", 1, S::Pending), named("", 1, S::Failed)])), 2);
    ledger.check_keys();
}

#[test]
fn m20_a_payment_confirmed_for_two_references_credits_the_first_and_holds_the_second_naming_both() {
    for configs in [[1, 1], [1, 2], [2, 1]] {
        let mut ledger = Ledger::with(&configs);
        ledger.file(configs[0], vec![paid("e1", 1, "pi_9")]);
        ledger.restart();
        ledger.file(configs[1], vec![paid("e2", 2, "pi_9")]);
        assert_eq!(ledger.standing(1), (2, 10_000, ReasonCode::None), "{configs:?}");
        assert_eq!(ledger.standing(2), (9, 0, ReasonCode::PaymentIdReused), "{configs:?}");
        let detail = ledger.aggregate(2).transaction.reason.detail;
        assert_eq!(&*detail, "payment pi_9 confirmed transaction 1 before");
        // Repetitions, in any order and after a start, change nothing.
        ledger.restart();
        ledger.file(configs[1], vec![paid("e3", 2, "pi_9"), paid("e4", 1, "pi_9")]);
        assert_eq!((ledger.standing(1).1, ledger.standing(2).1), (10_000, 0));
    }
}

#[test]
fn m20_the_second_of_one_notice_is_held_and_a_refund_by_the_payments_id_reaches_the_first() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.file(1, vec![with_ref(paid("e1", 2, "pi_9"), "pi_9"), with_ref(paid("e2", 1, "pi_9"), "pi_9")]);
    assert_eq!((ledger.standing(2).0, ledger.standing(1)), (2, (9, 0, ReasonCode::PaymentIdReused)));
    ledger.file(1, vec![with_ref(refunded("re_1", 10_000), "pi_9")]);
    let refunded = ledger.aggregate(2).transaction.facts;
    assert!(refunded.any(|fact| matches!(fact, ProviderFact::Refund { .. })));
}

#[test]
fn m20_a_second_confirmation_without_an_amount_or_of_another_one_credits_nothing_and_leaves_the_ids_to_the_first() {
    for amount in [None, Some(StatedAmount::Exact(usd(1)))] {
        let mut ledger = Ledger::with(&[1, 2]);
        ledger.file(1, vec![with_ref(paid("e1", 1, "pi_9"), "pi_9")]);
        ledger.file(2, vec![Update { amount: amount.clone(), ..with_ref(paid("e2", 2, "pi_9"), "pi_9") }]);
        assert_eq!((ledger.standing(2).0, ledger.standing(2).1), (9, 0));
        assert_eq!(amount.is_none(), ledger.standing(2).2 == ReasonCode::PaymentIdReused);
        assert!(ledger.aggregate(2).transaction.refs.is_empty());
    }
}

#[test]
fn m20_a_reversal_that_names_one_transaction_and_the_payment_of_another_moves_nothing_and_names_both() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.file(1, vec![with_ref(paid("e1", 1, "pi_9"), "pi_9"), paid("e2", 2, "pi_8")]);
    let mixed = Update { reference: Some(reference(2)), payment_id: "pi_9".into(), ..refunded("re_1", 10_000) };
    ledger.file(1, vec![with_ref(mixed, "pi_9")]);
    let event = ledger.events().pop().unwrap();
    assert!(
        event.failure_reason.starts_with("PROVIDER_REF_MISMATCH") && event.failure_reason.contains("transaction 1")
    );
    assert_eq!(
        (ledger.standing(1), ledger.standing(2)),
        ((2, 10_000, ReasonCode::None), (2, 10_000, ReasonCode::None))
    );
}

#[test]
fn m20_transactions_that_an_earlier_version_credited_for_one_payment_stay_as_they_are() {
    let mut ledger = Ledger::with(&[1, 2]);
    for id in [1, 2] {
        let confirmed = ProviderFact::Confirmed { payment: "pi_9".into(), minor: 10_000 };
        ledger.decide(|draft| {
            let known = draft.aggregate(TransactionId(id)).unwrap();
            let (changes, _) = known.record(&gateway(id), &[confirmed], &[], draft.context());
            draft.add(changes);
        });
    }
    ledger.restart();
    ledger.file(2, vec![paid("e2", 2, "pi_9")]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    assert_eq!([1, 2].map(|id| ledger.standing(id)), [(2, 10_000, ReasonCode::None); 2]);
}

#[test]
fn m20_payments_of_different_merchant_accounts_and_different_payments_do_not_meet() {
    let mut ledger = Ledger::with(&[1, 3, 2]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    ledger.file(3, vec![paid("e2", 2, "pi_9")]);
    ledger.file(2, vec![paid("e3", 3, "pi_8")]);
    assert_eq!([1, 2, 3].map(|id| ledger.standing(id).0), [2, 2, 2]);
}

#[test]
fn m20_configs_that_verify_one_notice_share_their_payments() {
    let mut ledger = Ledger::with(&[1, 3]);
    ledger.file(1, vec![paid("e1", 1, "pi_9")]);
    let notice = VerifiedNotice::assertion(gateway(3), vec![paid("e2", 2, "pi_9")]);
    ledger.notice(&notice.also_verified_by(vec![gateway(1)]));
    assert_eq!(ledger.standing(2), (9, 0, ReasonCode::PaymentIdReused));
}

#[test]
fn m20_a_payment_id_in_the_answer_to_a_create_call_or_a_query_is_checked_as_well() {
    for own_reference in [true, false] {
        let answer = |id| Update {
            reference: own_reference.then(|| reference(id)),
            event_id: "".into(),
            ..with_ref(paid("", id, "pi_9"), "pi_9")
        };
        let mut ledger = Ledger::with(&[1, 2, 1]);
        ledger.file(1, vec![with_ref(paid("e1", 1, "pi_9"), "pi_9")]);
        let (ending, update) = (CreateEnding::Accepted(NextAction::None), answer(2));
        let stated = CreateAnswerStated { ending: &ending, update: Some(&update), refs: &update.refs };
        ledger.decide(|draft| inbox::end_create(draft, &gateway(2), TransactionId(2), &stated)).unwrap();
        let queried = ledger.decide(|draft| inbox::apply_answer(draft, &gateway(1), TransactionId(3), &answer(3)));
        assert_eq!(queried, AppliedAnswer::Applied { found_payment: false });
        for id in [2, 3] {
            assert_eq!(ledger.standing(id), (9, 0, ReasonCode::PaymentIdReused), "{id}, {own_reference}");
            assert!(ledger.aggregate(id).transaction.refs.is_empty(), "the id stays with the first");
        }
    }
}

/// A deposit after so many declined attempts, each with an id of its own, then paid.
fn paid_after(attempts: usize) -> Ledger {
    let mut ledger = Ledger::with(&[1]);
    for attempt in 0..attempts {
        let declined = Update { reason: format!("no {attempt}").into(), ..named(&format!("d{attempt}"), 1, S::Failed) };
        ledger.file(1, vec![with_ref(declined, &format!("pi_{attempt}"))]);
    }
    ledger.file(1, vec![with_ref(paid("paid", 1, "pi_paid"), "pi_paid")]);
    ledger
}

#[test]
fn m21_a_refund_by_the_payments_id_after_many_declined_attempts_is_matched() {
    for attempts in [0, 15, 16, 17, 64, 65, 300] {
        let mut ledger = paid_after(attempts);
        assert_eq!(ledger.standing(1).0, 2, "{attempts}");
        ledger.restart();
        ledger.file(1, vec![with_ref(refunded("re_1", 4_000), "pi_paid")]);
        // The second refund is named by the id of the first.
        ledger.file(1, vec![Update { refs: vec![ProviderRef::new("refund", "re_1")], ..refunded("re_2", 1) }]);
        let by_refund = Update {
            refs: vec![ProviderRef::new("payment_intent", "pi_paid"), ProviderRef::new("refund", "re_3")],
            ..refunded("re_3", 6_000)
        };
        ledger.file(1, vec![by_refund]);
        ledger.file(1, vec![Update { refs: vec![ProviderRef::new("refund", "re_3")], ..refunded("re_3", 6_000) }]);
        let facts = ledger.aggregate(1).transaction.facts;
        let refunds = facts.provider.iter().filter(|known| matches!(known.fact, ProviderFact::Refund { .. }));
        assert_eq!(refunds.count(), 2, "{attempts}: re_2 waits, for nothing names its payment");
    }
}

#[test]
fn m21_a_refund_that_names_the_confirmed_payment_alone_is_matched() {
    let mut ledger = paid_after(16);
    ledger.file(1, vec![Update { payment_id: "pi_paid".into(), ..refunded("re_1", 10_000) }]);
    assert_eq!(ledger.events().last().unwrap().transaction_id, TransactionId(1));
}

#[test]
fn m21_money_or_an_id_of_it_that_is_not_stored_is_a_review() {
    let mut ledger = paid_after(0);
    let many = |event: &str, from: usize, count: usize| Update {
        refs: (from..from + count).map(|n| ProviderRef::new("charge", &format!("ch_{n}"))).collect(),
        ..named(event, 1, S::Pending)
    };
    // Ids of statements that move no money leave capacity; of what exceeds theirs, the event says so.
    ledger.file(1, vec![many("p1", 0, 70)]);
    assert_eq!(ledger.aggregate(1).transaction.refs.len(), ProviderRef::PER_TRANSACTION_OTHER_MAX);
    assert!(ledger.events().last().unwrap().failure_reason.starts_with("TOO_MANY_FACTS"));
    assert_eq!(ledger.standing(1).2, ReasonCode::None);
    ledger.file(1, vec![Update { status: S::Refunded, amount: None, ..many("r1", 100, 70) }]);
    assert_eq!(ledger.aggregate(1).transaction.refs.len(), ProviderRef::PER_TRANSACTION_MAX);
    let holds = |ledger: &Ledger| {
        ledger
            .aggregate(1)
            .transaction
            .facts
            .provider
            .iter()
            .filter(|known| known.fact == ProviderFact::ReviewHold(ReviewHold::NotStored))
            .count()
    };
    assert_eq!((holds(&ledger), ledger.standing(1).0), (1, 9));

    let mut full = paid_after(0);
    for n in 0..140 {
        full.file(1, vec![Update { reference: Some(reference(1)), ..refunded(&format!("re_{n}"), 1) }]);
    }
    let failed = full.events().iter().filter(|event| event.failure_reason.starts_with("TOO_MANY_FACTS")).count();
    assert_eq!((failed, holds(&full), full.standing(1).0), (140 - 127, 1, 9));
    assert_eq!(full.standing(1).2, ReasonCode::TooManyStatements);
}

#[test]
fn m18_an_early_event_is_applied_under_whichever_verifying_config_owns_the_payment() {
    for (owner, restarts) in [(1, false), (2, false), (2, true)] {
        let mut ledger = Ledger::with(&[owner]);
        let early = with_ref(Update { reference: None, ..paid("e1", 1, "pi_1") }, "pi_1");
        let notice = VerifiedNotice::assertion(gateway(1), vec![early.clone()]).also_verified_by(vec![gateway(2)]);
        ledger.notice(&notice);
        assert_eq!(ledger.events()[0].processing_status, ProcessingStatus::Pending);
        if restarts {
            ledger.restart();
        }
        let (ending, refs) = (CreateEnding::Accepted(NextAction::Redirect), early.refs.clone());
        let stated = CreateAnswerStated { ending: &ending, update: None, refs: &refs };
        ledger.decide(|draft| inbox::end_create(draft, &gateway(owner), TransactionId(1), &stated)).unwrap();
        assert_eq!(ledger.standing(1), (2, 10_000, ReasonCode::None), "{owner} {restarts}");
        let event = ledger.events().remove(0);
        assert_eq!((event.processing_status, event.transaction_id), (ProcessingStatus::Processed, TransactionId(1)));
        assert!(ledger.notice(&notice).duplicate, "also once its owner is known");
    }
}

#[test]
fn m18_an_event_that_another_accounts_config_verified_alone_is_not_applied() {
    let mut ledger = Ledger::with(&[2]);
    let early = with_ref(Update { reference: None, ..paid("e1", 1, "pi_1") }, "pi_1");
    ledger.file(1, vec![early.clone()]);
    let ending = CreateEnding::Accepted(NextAction::Redirect);
    let stated = CreateAnswerStated { ending: &ending, update: None, refs: &early.refs };
    ledger.decide(|draft| inbox::end_create(draft, &gateway(2), TransactionId(1), &stated)).unwrap();
    assert_eq!(ledger.standing(1).1, 0);
    // Once the id is known: not applied either, and the owner's provider is queried.
    let filed = ledger.file(1, vec![Update { event_id: "e2".into(), ..early }]);
    assert_eq!((filed.queries.len(), ledger.standing(1).1), (1, 0));
    assert!(ledger.events()[1].failure_reason.starts_with("PROVIDER_CONFIG_MISMATCH"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn m26_no_ids_of_any_notices_collide(
        notices in prop::collection::vec(prop::collection::vec("[x#/12]{0,4}", 0..7), 1..6),
    ) {
        let mut ledger = Ledger::with(&[1]);
        for ids in &notices {
            let updates: Vec<Update> = ids.iter().map(|id| named(id, 1, S::Pending)).collect();
            ledger.file(1, updates.clone());
            prop_assert!(ledger.file(1, updates).duplicate);
        }
        ledger.check_keys();
    }
}
