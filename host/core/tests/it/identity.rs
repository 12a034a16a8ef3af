//! Which event and transaction a statement is about: ids of events that cannot collide, and early events of several configs.

mod answers;
mod beside;
mod crossed;
mod early;
mod misdirected;
mod other_orders;
mod payments;
mod reversals;

use std::collections::BTreeSet;

use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::books::Books;
use cashier_core::change::{Body, Change, Commit, Stamp};
use cashier_core::draft::Draft;
use cashier_core::facts::{ProviderFact, ReviewHold};
use cashier_core::ids::*;
use cashier_core::inbox::{self, AppliedAnswer, CreateAnswerStated, Filed, FiledEvent};
use cashier_core::notice::{
    DisputeStatement, ProviderEvent, Reach, ReceivingConfig, RefundStatement, StatedAmount, Update, VerifiedNotice,
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
        self.decide(|draft| inbox::file(draft, notice, "sha256:00", body)).unwrap()
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

#[test]
fn m18_an_event_that_failed_under_another_config_is_applied_once_its_own_config_verifies_it() {
    let mut ledger = Ledger::with(&[2]);
    ledger.file(2, vec![with_ref(paid("e1", 1, "pi_1"), "pi_1")]);
    // The secret of config 2 is wrong, and config 1 of the same account verifies the dispute alone.
    let disputed = with_ref(Update { reference: None, amount: None, ..named("d1", 0, S::Chargeback) }, "pi_1");
    ledger.file(1, vec![disputed.clone()]);
    assert!(ledger.events()[1].failure_reason.starts_with("PROVIDER_CONFIG_MISMATCH"));
    let mended = VerifiedNotice::assertion(gateway(2), vec![disputed]).also_verified_by(vec![gateway(1)]);
    for duplicate in [false, true, true] {
        assert_eq!(ledger.notice(&mended).duplicate, duplicate);
        assert_eq!(ledger.aggregate(1).standing().owed_minor, 0);
    }
    ledger.check_keys();
    // What was applied under its own config is no news under another receiver.
    let paid = with_ref(paid("e1", 1, "pi_1"), "pi_1");
    let other = VerifiedNotice::assertion(gateway(1), vec![paid]).also_verified_by(vec![gateway(2)]);
    assert!(ledger.notice(&other).duplicate);
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
