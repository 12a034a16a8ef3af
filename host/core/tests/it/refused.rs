//! Commits that the database refused: which others rest on them, and books whose rows were put back against books that never
//! had the refused changes.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Books, LIST_BYTES_MAX, Progress, Scope, StoredEvent};
use cashier_core::change::{Body, Change, Commit, Stamp};
use cashier_core::dependence::Refusals;
use cashier_core::draft::Draft;
use cashier_core::filter::{Clause, FilterBuilder, TransactionField};
use cashier_core::ids::*;
use cashier_core::inbox;
use cashier_core::notice::{ProviderEvent, UnreadableNotice, Update, VerifiedNotice};
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::*;
use cashier_core::transaction::{FirstAnswer, KeySpace, Transaction};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::samples::*;

fn row(transaction: Transaction) -> Change {
    Change::Transaction(Box::new(transaction))
}

/// The commit of one decision on these books.
fn decided(books: &Books, decision: impl FnOnce(&mut Draft<'_>)) -> Commit {
    let mut draft = Draft::new(books, NOW);
    decision(&mut draft);
    let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
    draft.into_commit(&stamp).1.unwrap()
}

fn refused(commit: &Commit) -> Refusals {
    let mut refusals = Refusals::default();
    refusals.add(commit);
    refusals
}

type Decision<'a> = dyn Fn(&mut Draft<'_>) + 'a;

#[test]
fn s3_a_commit_rests_on_a_refused_one_whose_rows_it_changes_or_looked_for() {
    let mut books = Books::new();
    (1..=3).for_each(|id| books.load(row(deposit(id))));
    let payment = ProviderRef::new("payment_intent", "pi_1");
    let first = decided(&books, |draft| {
        let changed = Transaction { refs: [payment.clone()].into_iter().collect(), ..deposit(1) };
        draft.add([row(changed)]);
    });
    let other = |draft: &mut Draft<'_>| draft.add([row(deposit(3))]);
    let table: [(&str, bool, Box<Decision<'_>>); 11] = [
        ("another transaction", false, Box::new(other)),
        ("the same transaction", true, Box::new(|draft| draft.add([row(deposit(1))]))),
        (
            "its order",
            true,
            Box::new(|draft| {
                draft.store(Body::Order { transaction_id: TransactionId(1), details: Default::default() });
            }),
        ),
        (
            "it was read",
            true,
            Box::new(|draft| {
                draft.aggregate(TransactionId(1));
                other(draft);
            }),
        ),
        (
            "another was read",
            false,
            Box::new(|draft| {
                draft.aggregate(TransactionId(2));
                other(draft);
            }),
        ),
        (
            "its payment was looked for, and not found",
            true,
            Box::new(|draft| {
                assert_eq!(draft.owner_of_payment(&[ConfigId(1)], "pi_1"), None);
                other(draft);
            }),
        ),
        (
            "another payment was looked for",
            false,
            Box::new(|draft| {
                draft.owner_of_payment(&[ConfigId(1)], "pi_2");
                other(draft);
            }),
        ),
        (
            "its idempotency key was looked for",
            true,
            Box::new(|draft| {
                draft.books_by_key(CustomerId(5), KeySpace::Customer, "key-1");
                other(draft);
            }),
        ),
        (
            "the key of another customer",
            false,
            Box::new(|draft| {
                draft.books_by_key(CustomerId(6), KeySpace::Customer, "key-1");
                other(draft);
            }),
        ),
        (
            "its reference was drawn",
            true,
            Box::new(|draft| {
                draft.by_reference(&deposit(1).reference);
                other(draft);
            }),
        ),
        (
            "the books were read without saying what",
            true,
            Box::new(|draft| {
                draft.books();
                other(draft);
            }),
        ),
    ];
    for (what, rests, decision) in table {
        assert_eq!(refused(&first).reaches(&decided(&books, decision)), rests, "{what}");
    }
    let nothing = Refusals::default();
    assert!(!nothing.reaches(&first), "nothing is refused");
}

#[test]
fn s3_what_a_refused_commit_looked_for_may_be_there_again() {
    let books = Books::new();
    let moved = decided(&books, |draft| {
        draft.by_provider_ref(ConfigId(1), &ProviderRef::new("payment_intent", "pi_lost"));
        draft.add([row(deposit(1))]);
    });
    let later = decided(&books, |draft| {
        draft.by_provider_ref(ConfigId(1), &ProviderRef::new("payment_intent", "pi_lost"));
        draft.add([row(deposit(2))]);
    });
    assert!(refused(&moved).reaches(&later), "a row that gave the id up has it again");
}

#[test]
fn s3_an_event_and_whatever_was_decided_because_none_waits() {
    let books = Books::new();
    let event = |id| Change::Event(Box::new(event(id, ProcessingStatus::Processed)));
    let filed_again = decided(&books, |draft| draft.add([event(1)]));
    let none_waits = decided(&books, |draft| {
        assert!(!draft.may_have_pending_events());
        draft.add([row(deposit(2))]);
    });
    assert!(refused(&filed_again).reaches(&none_waits), "it may wait again");
    let same_key = decided(&books, |draft| {
        draft.known_event(ConfigId(1), "evt_1");
        draft.add([event(9)]);
    });
    let other_key = decided(&books, |draft| {
        draft.known_event(ConfigId(2), "evt_9");
        draft.add([event(9)]);
    });
    assert!(refused(&filed_again).reaches(&same_key));
    assert!(!refused(&filed_again).reaches(&other_key));
    let config = |id| Change::Config(Box::new(config(id)));
    let edit = decided(&books, |draft| draft.add([config(1)]));
    assert!(refused(&edit).reaches(&decided(&books, |draft| draft.add([config(1)]))));
    assert!(!refused(&edit).reaches(&decided(&books, |draft| draft.add([config(2)]))));
}

#[test]
fn s3_a_webhook_rests_on_no_refused_webhook_about_another_payment() {
    let mut books = Books::new();
    (1..=2).for_each(|id| books.load(row(deposit(id))));
    let webhook = |books: &Books, id: u64, named: bool, readable: bool| {
        let payment = format!("pi_{id}");
        let stated = Update {
            event_id: format!("evt_of_{id}").into(),
            reference: named.then(|| deposit(id).reference),
            refs: vec![ProviderRef::new("payment_intent", &payment)],
            payment_id: payment.into(),
            ..update(ProviderStatus::Confirmed)
        };
        let notice = VerifiedNotice::assertion(receiver(), vec![stated]);
        let unreadable = UnreadableNotice {
            event_id: format!("evt_of_{id}").into(),
            references: vec![deposit(id).reference],
            refs: Vec::new(),
            reason: "new format".into(),
        };
        decided(books, |draft| {
            if readable {
                inbox::file(draft, &notice, "sha256:00", |id| notice_body(id, 2)).unwrap();
            } else {
                inbox::file_unreadable(draft, &receiver(), &unreadable, "".into(), 2, |id| notice_body(id, 2)).unwrap();
            }
        })
    };
    for (first_named, first_readable) in [(true, true), (false, true), (true, false)] {
        let first = webhook(&books, 1, first_named, first_readable);
        let mut after = Books::new();
        (1..=2).for_each(|id| after.load(row(deposit(id))));
        after.apply(&first);
        for (named, readable) in [(true, true), (false, true), (true, false)] {
            let other = webhook(&after, 2, named, readable);
            assert!(!refused(&first).reaches(&other), "{first_named} {first_readable} {named} {readable}");
        }
    }
    let first = webhook(&books, 1, true, true);
    books.apply(&first);
    let declined = Update {
        event_id: "evt_later".into(),
        reference: Some(deposit(1).reference),
        ..update(ProviderStatus::Failed)
    };
    let notice = VerifiedNotice::assertion(receiver(), vec![declined]);
    let about_it = decided(&books, |draft| drop(inbox::file(draft, &notice, "sha256:00", |id| notice_body(id, 2))));
    assert!(refused(&first).reaches(&about_it), "the same payment");
}

/// What can be asked of the books, in one text.
fn seen(books: &Books) -> String {
    use std::fmt::Write;
    let mut all: Vec<Aggregate> = books.aggregates().collect();
    all.sort_by_key(|known| known.transaction.id);
    let mut text = format!("{all:?} {} {:?}", books.transactions(), books.unsettled());
    for number in 1..=12 {
        let customers: Vec<_> = books.of_customer(CustomerId(number)).collect();
        let key = books.by_key(CustomerId(number % 3), KeySpace::Customer, &format!("key-{}", number % 4));
        let reference = books.by_reference(&reference(number));
        let payment = books.by_provider_ref(ConfigId(1), &ProviderRef::new("payment_intent", &format!("pi_{number}")));
        let known = books.known_event(ConfigId(1), &format!("evt_{number}"));
        let pending = books.pending_event(EventId(number));
        let activity = books.config_activity(ConfigId(number)).map(|known| (known.transactions, known.open));
        let row = books.aggregate(TransactionId(number)).is_some();
        write!(text, "\n{customers:?} {key:?} {reference:?} {payment:?} {known:?} {pending:?} {activity:?} {row}")
            .unwrap();
    }
    for condition in [
        None,
        Some(["provider", "=", "stripe"]),
        Some(["login", "=", "1001"]),
        Some(["customer_id", "=", "1"]),
        Some(["status", "=", "1"]),
    ] {
        let mut filter = FilterBuilder::<TransactionField>::new();
        if let Some(condition) = condition {
            filter.flat(Clause::Where, &condition).unwrap();
        }
        let filter = filter.build();
        let Progress::Found(page) = books.query(&filter, &Scope::default(), LIST_BYTES_MAX, None) else {
            panic!("few rows")
        };
        let answer = Answer::of(books, &filter, *page);
        let ids: Vec<_> = answer.rows.iter().map(|row| row.id).collect();
        write!(text, "\n{condition:?}: {ids:?} {}", answer.count).unwrap();
    }
    text
}

/// A row that shares customers, logins, keys and configs with others.
fn any_row() -> impl Strategy<Value = Transaction> {
    (1..=12_u64, 0..3_u64, 0..3_u64, 0..4_u64, 0..6_u64, any::<bool>()).prop_map(
        |(id, customer, login, key, payment, open)| Transaction {
            customer_id: CustomerId(id % 3),
            login: Login(1_000 + id % 4),
            config_id: ConfigId(1 + id % 2),
            provider: if id % 2 == 0 { "stripe" } else { "sandbox" }.into(),
            idempotency_key: format!("key-{}", id % 4).into(),
            first_answer: if key == 0 { FirstAnswer::NeverSent } else { FirstAnswer::Open },
            status: if open { TransactionStatus::PendingPayment } else { TransactionStatus::Failed },
            refs: [ProviderRef::new("payment_intent", &format!("pi_{}", payment + customer))].into_iter().collect(),
            version: u32::try_from(login).unwrap(),
            ..deposit(id)
        },
    )
}

fn any_event() -> impl Strategy<Value = ProviderEvent> {
    (1..=12_u64, any::<bool>()).prop_map(|(id, pending)| {
        let status = if pending { ProcessingStatus::Pending } else { ProcessingStatus::Processed };
        event(id, status)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s3_books_whose_rows_were_put_back_are_like_books_that_never_had_the_refused_changes(
        kept in vec(any_row(), 0..12),
        kept_events in vec(any_event(), 0..6),
        refused in vec(any_row(), 1..12),
        refused_events in vec(any_event(), 0..6),
        later in vec(any_row(), 0..6),
    ) {
        let (mut with, mut without) = (Books::new(), Books::new());
        for change in kept.iter().cloned().map(row).chain(kept_events.iter().cloned().map(|event| Change::Event(Box::new(event)))) {
            with.load(change.clone());
            without.load(change);
        }
        for change in refused.iter().cloned().map(row).chain(refused_events.iter().cloned().map(|event| Change::Event(Box::new(event)))) {
            with.load(change);
        }
        // Later commits of other rows, which stay.
        let untouched = |row: &&Transaction| refused.iter().all(|other| other.id != row.id);
        for change in later.iter().filter(untouched).cloned().map(row) {
            with.load(change.clone());
            without.load(change);
        }
        for id in refused.iter().map(|row| row.id) {
            with.restore_transaction(id, without.aggregate(id).as_ref());
        }
        for event in &refused_events {
            let stored = kept_events.iter().rfind(|known| known.id == event.id).map(|known| (known.clone(), 0));
            let owner = without.known_event(event.config_id, &event.event_id);
            let (id, config, event_id) = (event.id, event.config_id, event.event_id.clone());
            with.restore_event(&StoredEvent { id, config, event_id, row: stored, owner });
        }
        prop_assert_eq!(seen(&with), seen(&without));
        // The books go on: rows that were taken out may come again.
        for change in refused.into_iter().map(row) {
            with.load(change.clone());
            without.load(change);
        }
        prop_assert_eq!(seen(&with), seen(&without));
    }
}

#[test]
fn a_late_confirmation_rests_on_a_refused_manual_deposit_of_its_customer() {
    let books = Books::new();
    let of_customer =
        |id: u64| Transaction { customer_id: deposit(2).customer_id, ..manual(id, TransactionType::Deposit) };
    let entered = decided(&books, |draft| draft.add([row(of_customer(1))]));
    let confirmed = |customer: u64| {
        decided(&books, |draft| {
            let order = Transaction { customer_id: CustomerId(customer), ..deposit(9) };
            draft.manual_deposits_since(&order, |amount| amount == usd(10_000));
            draft.add([row(deposit(9))]);
        })
    };
    assert!(refused(&entered).reaches(&confirmed(deposit(2).customer_id.0)));
    assert!(!refused(&entered).reaches(&confirmed(77)), "another customer's");
    let first = confirmed(deposit(2).customer_id.0);
    let other = decided(&books, |draft| {
        draft.manual_deposits_since(&deposit(8), |amount| amount == usd(10_000));
        draft.add([row(Transaction { reference: deposit(3).reference, idempotency_key: "k8".into(), ..deposit(8) })]);
    });
    assert!(!refused(&first).reaches(&other), "both looked for the same, and neither wrote it");
}
