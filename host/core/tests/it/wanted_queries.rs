//! A query that an event requires is recorded, so that it stays due until its provider answered: about any transaction,
//! once for each, over every reload, and never before a posting that is owed.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::change::{Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::duty::{self, Duty, ProviderDuty, ProviderQuery, QueryOutcome};
use cashier_core::facts::{PersonFact, ProviderFact};
use cashier_core::ids::*;
use cashier_core::inbox::{self, Filed};
use cashier_core::notice::{ReceivingConfig, UnreadableNotice, Update, VerifiedNotice};
use cashier_core::operation::PostingOutcome;
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::{ProviderStatus as S, TransactionStatus, TransactionType};
use cashier_core::transaction::Transaction;

use crate::samples::*;

const QUERY: Option<Duty> = Some(Duty::Provider(ProviderDuty::Query));

struct Ledger(Books);

impl Ledger {
    fn with(rows: impl IntoIterator<Item = Transaction>) -> Self {
        let mut ledger = Self(Books::new());
        ledger.decide(|draft| draft.add(rows.into_iter().map(|row| Change::Transaction(Box::new(row)))));
        ledger
    }

    fn decide<T>(&mut self, decision: impl FnOnce(&mut Draft<'_>) -> T) -> T {
        let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
        let mut draft = Draft::new(&self.0, NOW);
        let result = decision(&mut draft);
        if let (_, Some(commit)) = draft.into_commit(&stamp) {
            self.0.apply(&commit);
        }
        result
    }

    /// Files a notice that the gateway of this config alone verified.
    fn receive(&mut self, config: u64, update: Update) -> Filed {
        let receiver = ReceivingConfig { config_id: ConfigId(config), ..receiver() };
        let notice = VerifiedNotice::assertion(receiver, vec![update]);
        self.decide(|draft| inbox::file(draft, &notice, "derived", |id| notice_body(id, 1))).unwrap()
    }

    fn keep_unreadable(&mut self, notice: &UnreadableNotice) -> Filed {
        self.decide(|draft| {
            inbox::file_unreadable(draft, &receiver(), notice, "derived".into(), 1, |id| notice_body(id, 1))
        })
        .unwrap()
    }

    fn known(&self, id: u64) -> Aggregate {
        self.0.aggregate(TransactionId(id)).unwrap()
    }

    fn due(&self, id: u64) -> Option<Duty> {
        duty::schedule(&self.known(id), NOW).duty
    }

    /// The books as the stored rows give them after a crash.
    fn reloaded(&self) -> Self {
        let mut books = Books::new();
        for known in self.0.aggregates() {
            books.load_transaction(&known.transaction, &known.operations);
        }
        books.set_counters(self.0.counters());
        Self(books)
    }
}

/// A deposit that was paid and credited.
fn credited(id: u64) -> Transaction {
    let paid = ProviderFact::Confirmed { payment: format!("pi_{id}").into(), minor: 10_000 };
    let changes = aggregate(deposit(id)).record(&receiver(), &[paid], &[], at(1)).0;
    let planned = applied(&aggregate(deposit(id)), &changes);
    let posted = PostingOutcome::posted(7);
    let changes = planned.end_posting(OperationId(1), &posted, ManagerId(0), at(2));
    Transaction { status: TransactionStatus::Credited, ..applied(&planned, &changes).transaction }
}

fn refunded(event: &str, id: u64) -> Update {
    Update { event_id: event.into(), reference: Some(reference(id)), refs: Vec::new(), ..update(S::Refunded) }
}

fn queried(filed: &Filed) -> Vec<u64> {
    filed.queries.iter().map(|(id, _)| id.0).collect()
}

#[test]
fn m18_what_another_config_reports_of_a_closed_payment_has_its_own_provider_queried_until_it_answers() {
    let mut ledger = Ledger::with([credited(15)]);
    let before = ledger.known(15).transaction;
    assert_eq!(ledger.due(15), None);
    assert_eq!(queried(&ledger.receive(2, refunded("e1", 15))), [15]);
    let after = ledger.known(15).transaction;
    let (query_wanted, version) = (after.query_wanted, after.version);
    assert_eq!(after, Transaction { query_wanted, version, ..before }, "nothing else of it changes");
    let mut reloaded = ledger.reloaded();
    assert_eq!((reloaded.due(15), reloaded.0.unsettled()), (QUERY, vec![TransactionId(15)]));
    let answered = reloaded.known(15).end_query(query_wanted);
    reloaded.decide(|draft| draft.add(answered));
    assert_eq!((reloaded.due(15), reloaded.0.unsettled()), (None, vec![]));
    assert!(reloaded.known(15).end_query(query_wanted).is_empty(), "it ends once");
}

#[test]
fn many_events_want_one_query_and_one_that_comes_while_it_is_under_way_wants_another() {
    let mut ledger = Ledger::with([credited(15)]);
    ledger.receive(2, refunded("e1", 15));
    ledger.receive(2, refunded("e2", 15));
    let asked = ledger.known(15).transaction.query_wanted;
    assert_eq!(ledger.0.unsettled(), [TransactionId(15)]);
    ledger.receive(3, refunded("e3", 15));
    assert!(ledger.known(15).end_query(asked).is_empty(), "the answer may be older than the third event");
    let ended = ledger.known(15).end_query(ledger.known(15).transaction.query_wanted);
    ledger.decide(|draft| draft.add(ended));
    assert_eq!(ledger.due(15), None);
    assert!(ledger.receive(2, refunded("e2", 15)).duplicate);
    assert_eq!(ledger.due(15), None, "a duplicate wants nothing");
}

#[test]
fn m18_the_payment_of_a_config_of_the_same_account_that_is_named_by_its_id_alone_is_queried() {
    let mut ledger = Ledger::with([credited(15)]);
    let receiver =
        ReceivingConfig { config_id: ConfigId(2), merchant_account: [ConfigId(1), ConfigId(2)].into(), ..receiver() };
    let by_payment = Update { reference: None, payment_id: "pi_15".into(), ..refunded("e1", 15) };
    let notice = VerifiedNotice::assertion(receiver, vec![by_payment]);
    ledger.decide(|draft| inbox::file(draft, &notice, "derived", |id| notice_body(id, 1))).unwrap();
    assert_eq!(ledger.reloaded().due(15), QUERY);
}

#[test]
fn what_its_own_config_reports_wants_no_further_query() {
    let mut ledger = Ledger::with([credited(15)]);
    assert!(queried(&ledger.receive(1, refunded("e1", 15))).is_empty());
    assert_eq!(ledger.known(15).transaction.query_wanted, Seq(0));
}

#[test]
fn a_manual_transaction_has_no_provider_to_query() {
    let mut ledger = Ledger::with([manual(15, TransactionType::Deposit)]);
    ledger.receive(2, refunded("e1", 15));
    assert_eq!((ledger.known(15).transaction.query_wanted, ledger.0.unsettled()), (Seq(0), vec![]));
}

#[test]
fn m3_every_payment_that_an_unreadable_notice_names_is_to_be_queried_also_beyond_the_sixteen_at_once() {
    let mut ledger =
        Ledger::with((1..=20).map(credited).chain([Transaction { config_id: ConfigId(2), ..credited(21) }]));
    let notice = UnreadableNotice {
        reason: "no amount".into(),
        references: (1..=21).map(reference).collect(),
        ..UnreadableNotice::default()
    };
    assert_eq!(queried(&ledger.keep_unreadable(&notice)), (1..=16).collect::<Vec<_>>());
    let ledger = ledger.reloaded();
    assert_eq!(ledger.0.unsettled(), (1..=21).map(TransactionId).collect::<Vec<_>>());
    assert!((1..=21).all(|id| ledger.due(id) == QUERY));
}

#[test]
fn m3_an_id_in_an_unreadable_notice_names_the_payment_of_any_config_of_the_merchant_account() {
    let named = |id: u64, config| {
        let mut row = Transaction { config_id: ConfigId(config), ..credited(id) };
        row.refs.add(ProviderRef::new("payment_intent", &format!("pi_{id}")), cashier_core::refs::CameWith::Money);
        row
    };
    let mut ledger = Ledger::with([named(1, 1), named(2, 2), named(3, 3)]);
    let receiver = ReceivingConfig { merchant_account: [ConfigId(1), ConfigId(2)].into(), ..receiver() };
    let refs = (1..=3).map(|id| ProviderRef::new("payment_intent", &format!("pi_{id}"))).collect();
    let notice = UnreadableNotice { reason: "no amount".into(), refs, ..UnreadableNotice::default() };
    let filed = ledger
        .decide(|draft| inbox::file_unreadable(draft, &receiver, &notice, "derived".into(), 1, |id| notice_body(id, 1)))
        .unwrap();
    assert_eq!(queried(&filed), [1, 2], "another account may have the same id");
    assert_eq!(ledger.reloaded().0.unsettled(), [TransactionId(1), TransactionId(2)]);
}

#[test]
fn a_query_is_wanted_once_of_a_payment_that_an_unreadable_notice_names_in_two_ways() {
    let mut row = credited(15);
    row.refs.add(ProviderRef::new("payment_intent", "pi_15"), cashier_core::refs::CameWith::Money);
    let mut ledger = Ledger::with([row]);
    let notice = UnreadableNotice {
        reason: "no amount".into(),
        references: vec![reference(15), reference(15)],
        refs: vec![ProviderRef::new("payment_intent", "pi_15")],
        ..UnreadableNotice::default()
    };
    let version = ledger.known(15).transaction.version;
    assert_eq!(queried(&ledger.keep_unreadable(&notice)), [15]);
    assert_eq!(ledger.known(15).transaction.version, version + 1);
    assert!(ledger.keep_unreadable(&notice).duplicate);
    assert_eq!(ledger.known(15).transaction.version, version + 1);
}

#[test]
fn a_wanted_query_keeps_no_posting_waiting_and_waits_for_no_person() {
    let wanted = |known: &Aggregate| applied(known, &known.want_query(at(9)));
    let paid = [ProviderFact::Confirmed { payment: "pi".into(), minor: 10_000 }];
    let planned = applied(&aggregate(deposit(15)), &aggregate(deposit(15)).record(&receiver(), &paid, &[], at(1)).0);
    let due = |known: &Aggregate| duty::schedule(known, NOW).duty;
    assert_eq!(due(&wanted(&planned)), Some(Duty::Settle));
    // Owed and not planned, as rows of earlier versions may be.
    let owed = Aggregate { operations: Vec::new(), ..planned.clone() };
    assert_eq!(due(&wanted(&owed)), Some(Duty::Settle));
    let refused = PostingOutcome::Refused { reason: "ACCOUNT_DISABLED".into() };
    let refused = applied(&planned, &planned.end_posting(OperationId(1), &refused, ManagerId(0), at(2)));
    assert_eq!(due(&refused), Some(Duty::AwaitRetry));
    assert_eq!(due(&wanted(&refused)), QUERY);
    let held = aggregate(credited(15));
    let held = applied(&held, &held.decide(PersonFact::Held(TransactionStatus::ManualReview), at(3)));
    assert_eq!((due(&held), due(&wanted(&held))), (None, QUERY));
}

#[test]
fn a_wanted_query_is_due_at_once_of_a_payment_in_any_status() {
    for status in TransactionStatus::ALL {
        let row = Transaction { status: *status, query_wanted: Seq(4), ..credited(15) };
        let due = duty::due(&row, &[], NOW);
        assert!(due == QUERY || due == Some(Duty::Settle), "{status:?}: {due:?}");
        assert!(duty::has_work(&row, &[]), "{status:?}");
    }
}

#[test]
fn an_answer_of_whatever_content_ends_what_is_wanted_and_no_answer_does_not() {
    use QueryOutcome as Q;
    let ends = [Q::Answered, Q::NotQueryable, Q::NotFound, Q::NoGateway, Q::NoAnswer].map(Q::is_definite);
    assert_eq!(ends, [true, true, true, false, false]);
}

#[test]
fn an_answer_that_leaves_the_payment_under_way_ends_what_is_wanted_only_where_it_is_queried_anyhow() {
    let open = Transaction { status: TransactionStatus::PendingPayment, ..deposit(15) };
    let expired = ProviderFact::Cancelled { reason: cashier_core::reason::ReasonCode::Expired };
    let changes = aggregate(open.clone()).record(&receiver(), &[ProviderFact::Accepted, expired], &[], at(90_000)).0;
    let closed = applied(&aggregate(open.clone()), &changes).transaction;
    assert!(!duty::has_work(&closed, &[]));
    for stated in S::ALL {
        let under_way = matches!(stated, S::Unknown | S::Pending | S::InReview);
        let ends = [&open, &closed, &credited(15)].map(|known| duty::ends_wanted_query(known, *stated));
        assert_eq!(ends, [true, !under_way, !under_way], "{stated:?}");
    }
}

#[test]
fn the_provider_is_called_about_what_is_open_late_or_wanted_and_about_nothing_else() {
    let open = Transaction { status: TransactionStatus::PendingPayment, ..deposit(15) };
    let wanted = Transaction { query_wanted: Seq(4), ..credited(15) };
    let table = [
        (open, true),
        (stated(&[ProviderFact::Accepted, ProviderFact::Declined { reason: "no funds".into() }]), true),
        (wanted, true),
        (credited(15), false),
        (manual(15, TransactionType::Deposit), false),
    ];
    for (row, expected) in table {
        assert_eq!(duty::is_queried(&aggregate(row.clone())), expected, "{row:?}");
    }
    let paid = [ProviderFact::Confirmed { payment: "pi".into(), minor: 10_000 }];
    let planned = applied(&aggregate(deposit(15)), &aggregate(deposit(15)).record(&receiver(), &paid, &[], at(1)).0);
    assert!(!duty::is_queried(&planned), "a posting is due");
}

#[test]
fn an_answer_says_what_it_found_that_was_not_known_before() {
    use inbox::AppliedAnswer as A;
    let mut ledger = Ledger::with([Transaction { status: TransactionStatus::PendingPayment, ..deposit(15) }]);
    let mut answer =
        |update: Update| ledger.decide(|draft| inbox::apply_answer(draft, &receiver(), TransactionId(15), &update));
    let found = |found_payment, found_advance| A::Applied { found_payment, found_advance };
    let approved = Update { advance: true, event_id: "".into(), ..update(S::Pending) };
    assert_eq!(answer(update(S::Pending)), found(false, false));
    assert_eq!(answer(approved.clone()), found(false, true));
    assert_eq!(answer(approved.clone()), found(false, false));
    assert_eq!(answer(update(S::Confirmed)), found(true, false));
    assert_eq!(answer(update(S::Confirmed)), found(false, false));
    assert_eq!(answer(approved), found(false, false));
}

/// An order whose attempts the provider stated in this order.
fn stated(facts: &[ProviderFact]) -> Transaction {
    let mut known = aggregate(deposit(15));
    for (seq, fact) in (1..).zip(facts) {
        known = applied(&known, &known.record(&receiver(), std::slice::from_ref(fact), &[], at(seq)).0);
    }
    known.transaction
}

#[test]
fn a_capture_is_due_whichever_of_two_attempts_was_stated_first() {
    let declined = ProviderFact::Declined { reason: "no funds".into() };
    let approved = ProviderFact::AdvanceWanted { event: "e".into() };
    let cancelled = ProviderFact::Cancelled { reason: cashier_core::reason::ReasonCode::Cancelled };
    let capture = Some(Duty::Provider(ProviderDuty::Advance));
    for order in [[declined.clone(), approved.clone()], [approved.clone(), declined.clone()]] {
        let order = stated(&order);
        assert_eq!(order.status, TransactionStatus::Failed);
        assert_eq!(duty::due(&order, &[], NOW), capture);
        let at_once = |advance| duty::query_after_update(&order, ConfigId(1), advance);
        assert_eq!((at_once(true), at_once(false)), (Some(ProviderQuery::Advance), None));
        // It does not replace the last query.
        let expired = duty::due(&order, &[], order.expires_time);
        assert_eq!(expired, Some(Duty::Provider(ProviderDuty::Expire)));
        assert_ne!(
            duty::due(&stated(&[declined.clone(), approved.clone(), ProviderFact::LastQuery]), &[], NOW),
            capture
        );
    }
    for closed in [vec![cancelled.clone(), approved.clone()], vec![approved, declined, cancelled]] {
        assert_ne!(duty::due(&stated(&closed), &[], NOW), capture, "no money is moved for an order that was closed");
    }
}
