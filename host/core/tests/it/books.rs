//! The books against a plain list of rows: every lookup gives the same answer. That every field survives packing is in
//! `packing`, what growth costs in `growth`, what a customer takes in `customer_use`.

mod customer_use;
mod growth;
mod image;
mod packing;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Activity, Books};
use cashier_core::change::{Change, Counters};
use cashier_core::facts::{Facts, ProviderFact};
use cashier_core::ids::*;
use cashier_core::notice::Update;
use cashier_core::operation::BalanceOperation;
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::*;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, Transaction};

use crate::samples::*;

fn row(transaction: Transaction) -> Change {
    Change::Transaction(Box::new(transaction))
}

fn operation(id: u64, status: OperationStatus) -> BalanceOperation {
    BalanceOperation {
        id: OperationId(id),
        transaction_id: TransactionId(15),
        ordinal: 1,
        login: Login(2_000_009),
        trade_order: 0,
        request_order: 0,
        cmd: OperationCmd::BalanceIn,
        amount: usd(10_000),
        reason: OperationReason::Deposit,
        status,
        failure_reason: "".into(),
        created_time: NOW,
        updated_time: NOW,
    }
}

#[test]
fn a_key_finds_its_transaction_only_while_it_is_bound() {
    let mut books = Books::new();
    let find = |books: &Books, key| books.by_key(CustomerId(5), KeySpace::Customer, key);
    books.load(row(deposit(1)));
    assert_eq!(find(&books, "key-1"), Some(TransactionId(1)));
    assert_eq!(find(&books, "key-2"), None);
    assert_eq!(books.by_key(CustomerId(6), KeySpace::Customer, "key-1"), None);
    assert_eq!(books.by_key(CustomerId(5), KeySpace::Manager, "key-1"), None);

    let never_sent = |status| row(Transaction { first_answer: FirstAnswer::NeverSent, status, ..deposit(1) });
    books.load(never_sent(TransactionStatus::Failed));
    assert_eq!(find(&books, "key-1"), None);
    books.load(row(Transaction { idempotency_key: "key-1".into(), ..deposit(2) }));
    assert_eq!(find(&books, "key-1"), Some(TransactionId(2)));

    books.load(never_sent(TransactionStatus::Credited));
    assert_eq!(find(&books, "key-1"), Some(TransactionId(1)), "the first, which was paid after all");

    books.load(row(Transaction { idempotency_key: "".into(), ..deposit(3) }));
    assert_eq!(find(&books, ""), None);
}

#[test]
fn references_and_provider_ids_find_their_transaction() {
    let mut books = Books::new();
    let refs = |ids: &[(&str, &str)]| ids.iter().map(|(kind, value)| ProviderRef::new(kind, value)).collect::<Refs>();
    books.load(row(Transaction { refs: refs(&[("payment_intent", "pi_1")]), ..deposit(1) }));
    books.load(row(Transaction { config_id: ConfigId(2), refs: refs(&[("payment_intent", "pi_1")]), ..deposit(2) }));
    books.load(row(Transaction { provider_payment_id: "bank-7".into(), ..manual(3, TransactionType::Deposit) }));
    let grown = refs(&[("payment_intent", "pi_1"), ("charge", "ch_1")]);
    books.load(row(Transaction { refs: grown, provider_payment_id: "pi_1".into(), ..deposit(1) }));

    assert_eq!(books.by_reference(&reference(2)), Some(TransactionId(2)));
    assert_eq!(books.by_reference(&reference(9)), None);
    let of = |config, kind, value| books.by_provider_ref(ConfigId(config), &ProviderRef::new(kind, value));
    assert_eq!(of(1, "payment_intent", "pi_1"), Some(TransactionId(1)));
    assert_eq!(of(2, "payment_intent", "pi_1"), Some(TransactionId(2)));
    assert_eq!(of(1, "charge", "ch_1"), Some(TransactionId(1)));
    assert_eq!(of(1, "charge", "pi_1"), None, "only equal kinds are compared");
    assert_eq!(of(3, "payment_intent", "pi_1"), None);
    assert_eq!(books.by_carried("ion4", "bank-7", |_| true), Some(TransactionId(3)));
    assert_eq!(books.by_carried("ion4", "ch_1", |_| true), Some(TransactionId(1)));
    assert_eq!(books.by_carried("other", "ch_1", |_| true), None);
    assert_eq!(books.of_customer(CustomerId(5)).collect::<Vec<_>>(), [3, 2, 1].map(TransactionId));
}

#[test]
fn keys_of_verified_events_are_permanent_and_pending_events_are_held_in_full() {
    use ProcessingStatus as P;
    let mut books = Books::new();
    let put = |books: &mut Books, event| books.load(Change::Event(Box::new(event)));
    put(&mut books, event(1, P::Processed));
    put(&mut books, event(2, P::Pending));
    put(
        &mut books,
        cashier_core::notice::ProviderEvent { signature_status: SignatureStatus::Invalid, ..event(3, P::Pending) },
    );
    books.remember_event_key(ConfigId(1), "evt_9", EventId(9));
    books.remember_event_key(ConfigId(1), "evt_9", EventId(10));

    let known_event = |books: &Books, config, id| books.known_event(ConfigId(config), id);
    assert_eq!(known_event(&books, 1, "evt_1"), Some(EventId(1)));
    assert_eq!(known_event(&books, 2, "evt_1"), None);
    assert_eq!(known_event(&books, 1, "evt_2"), Some(EventId(2)));
    assert_eq!(known_event(&books, 1, "evt_3"), None, "a forged event shadows nothing");
    assert_eq!(known_event(&books, 1, "evt_9"), Some(EventId(9)), "the first row of a key stays");

    let known = [ProviderRef::new("payment_intent", "pi_123")];
    let waiting = |books: &Books, config| -> Vec<u64> {
        books.pending_events(ConfigId(config), known.iter()).iter().map(|event| event.id.0).collect()
    };
    assert_eq!(waiting(&books, 1), [2]);
    assert_eq!(waiting(&books, 2), [] as [u64; 0]);
    assert_eq!(books.pending_event(EventId(2)), Some(&event(2, P::Pending)));
    assert_eq!(books.pending_events_before(NOW).count(), 0);
    assert!(books.pending_events_before(NOW.plus(1)).eq([&event(2, P::Pending)]));

    let renamed = Update { refs: vec![ProviderRef::new("charge", "ch_1")], ..update(ProviderStatus::Confirmed) };
    put(&mut books, cashier_core::notice::ProviderEvent { update: Some(renamed), ..event(2, P::Pending) });
    assert_eq!(waiting(&books, 1), [] as [u64; 0]);
    put(&mut books, event(2, P::Processed));
    assert_eq!((books.pending_event(EventId(2)), known_event(&books, 1, "evt_2")), (None, Some(EventId(2))));
}

#[test]
fn activity_counts_transactions_and_open_transactions_of_a_config() {
    let mut books = Books::new();
    assert_eq!(books.config_activity(ConfigId(1)), None);
    books.load(row(deposit(1)));
    books.load(row(Transaction { created_time: NOW.plus(50), status: TransactionStatus::Failed, ..deposit(2) }));
    let activity = |open, newest| Some(Activity { transactions: 2, open, newest_created: NOW.plus(newest) });
    assert_eq!(books.config_activity(ConfigId(1)), activity(1, 50));
    books.load(row(Transaction { status: TransactionStatus::Credited, ..deposit(1) }));
    books.load(row(Transaction { status: TransactionStatus::Credited, ..deposit(1) }));
    assert_eq!(books.config_activity(ConfigId(1)), activity(0, 50));
    books.load(row(Transaction { status: TransactionStatus::ManualReview, ..deposit(1) }));
    assert_eq!(books.config_activity(ConfigId(1)), activity(1, 50));
}

#[test]
fn transactions_with_due_work_are_listed() {
    use TransactionStatus as S;
    let quiet = || Transaction {
        expires_time: UnixTime::UNSET,
        status: S::Failed,
        first_answer: FirstAnswer::Declined,
        ..deposit(15)
    };
    let accepted = |status| Transaction { first_answer: FirstAnswer::Accepted, status, ..quiet() };
    let one = |fact| {
        let mut facts = Facts::default();
        facts.record(Seq(1), NOW, fact);
        facts
    };
    let known = |fact, status| Transaction { facts: one(fact), status, ..quiet() };
    let confirmed = || ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 };
    let table: Vec<(&str, bool, Transaction, Vec<BalanceOperation>)> = vec![
        ("failed", false, quiet(), vec![]),
        ("expires", true, Transaction { status: S::PendingPayment, ..deposit(15) }, vec![]),
        ("never expires", true, Transaction { status: S::PendingPayment, ..quiet() }, vec![]),
        ("expired", false, Transaction { facts: one(ProviderFact::LastQuery), ..accepted(S::Cancelled) }, vec![]),
        ("declined after it was accepted", true, accepted(S::Failed), vec![]),
        ("cancelled after it was accepted", true, accepted(S::Cancelled), vec![]),
        ("create open", true, Transaction { first_answer: FirstAnswer::Open, status: S::Created, ..quiet() }, vec![]),
        ("create open, ended by an update", true, Transaction { first_answer: FirstAnswer::Open, ..quiet() }, vec![]),
        ("waits for a person", false, manual(15, TransactionType::Withdrawal), vec![]),
        ("unanswered", true, known(ProviderFact::Unanswered, S::PendingPayment), vec![]),
        ("advance", true, known(ProviderFact::AdvanceWanted { event: "e".into() }, S::PendingPayment), vec![]),
        ("owes", true, known(confirmed(), S::ProviderConfirmed), vec![]),
        ("planned", true, known(confirmed(), S::ProviderConfirmed), vec![operation(1, OperationStatus::Planned)]),
        ("unknown", true, known(confirmed(), S::ProviderConfirmed), vec![operation(1, OperationStatus::Unknown)]),
        ("credited", false, known(confirmed(), S::Credited), vec![operation(1, OperationStatus::Posted)]),
        ("refused", true, known(confirmed(), S::CreditFailed), vec![operation(1, OperationStatus::Refused)]),
    ];
    for (what, expected, transaction, operations) in table {
        let mut books = Books::new();
        books.load(row(transaction));
        for known in operations {
            books.load(Change::Operation(Box::new(known)));
        }
        assert_eq!(books.unsettled(), if expected { vec![TransactionId(15)] } else { vec![] }, "{what}");
    }
}

#[test]
fn counters_are_those_of_the_newest_commit_and_configs_are_not_held() {
    let mut books = Books::new();
    books.set_counters(Counters { transaction: 3, ..Counters::default() });
    assert_eq!(books.counters().transaction, 3);
    books.apply(&commit(9, vec![Change::Config(Box::new(config(1))), Change::Override(Box::new(allow(1)))]));
    assert_eq!((books.counters().seq, books.transactions()), (9, 0));
    assert_eq!(books.touched(TransactionId(1)), Seq(0));
}
