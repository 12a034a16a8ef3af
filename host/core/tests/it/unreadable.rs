//! Authentic notices that no build of their module has understood: what is stored, what is queried, their limits, and how
//! one is resolved.

use cashier_core::books::Books;
use cashier_core::change::{Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::duty::ProviderQuery;
use cashier_core::ids::*;
use cashier_core::inbox::{self, BeyondLimit, Filed, FiledEvent};
use cashier_core::notice::{ProviderEvent, ReceivingConfig, UnreadableNotice, Update, VerifiedNotice};
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, ProviderStatus as S, SignatureStatus};
use cashier_core::time::UnixTime;

use crate::samples::*;

struct Ledger(Books);

impl Ledger {
    /// So many deposits under config 1, and one under config 2.
    fn with(deposits: u64) -> Self {
        let mut ledger = Self(Books::new());
        for id in 1..=deposits + 1 {
            let mut row = deposit(id);
            if id > deposits {
                row.config_id = ConfigId(2);
            }
            ledger.decide(|draft| draft.add([Change::Transaction(Box::new(row))]));
        }
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

    fn keep(&mut self, notice: &UnreadableNotice, derived: &str, bytes: usize) -> Result<Filed, BeyondLimit> {
        let body = |id| notice_body(id, bytes);
        self.decide(|draft| inbox::file_unreadable(draft, &receiver(), notice, derived.into(), bytes as u64, body))
    }

    fn read(&mut self, id: u64, notice: VerifiedNotice) -> Option<Filed> {
        self.decide(|draft| inbox::resolve(draft, &notice, EventId(id)))
    }

    fn unread(&self) -> Vec<(u64, u64)> {
        self.0.unread().map(|known| (known.event.id.0, known.bytes)).collect()
    }
}

fn words(reason: &str) -> UnreadableNotice {
    UnreadableNotice { reason: reason.into(), ..UnreadableNotice::default() }
}

fn only(filed: &Filed) -> &ProviderEvent {
    match filed.events.as_slice() {
        [FiledEvent::New(event)] => event,
        other => panic!("{other:?}"),
    }
}

fn verified(updates: Vec<Update>) -> VerifiedNotice {
    VerifiedNotice::assertion(ReceivingConfig { module_hash: "11".into(), ..receiver() }, updates)
}

fn paid(event: &str, id: u64) -> Update {
    let payment = format!("pi_{id}");
    Update {
        event_id: event.into(),
        reference: Some(reference(id)),
        refs: vec![ProviderRef::new("payment_intent", &payment)],
        payment_id: payment.into(),
        ..update(S::Confirmed)
    }
}

#[test]
fn m3_an_unreadable_notice_is_an_event_of_its_own_kind_and_moves_nothing() {
    let mut ledger = Ledger::with(2);
    let named = UnreadableNotice {
        event_id: "evt_9".into(),
        references: vec![reference(2), reference(99)],
        ..words("no amount")
    };
    let filed = ledger.keep(&named, "derived", 7).unwrap();
    let event = only(&filed);
    assert_eq!((event.signature_status, event.processing_status), (SignatureStatus::Valid, ProcessingStatus::Failed));
    assert_eq!((&*event.event_id, &*event.failure_reason), ("evt_9", "UNREADABLE_NOTICE: no amount"));
    assert_eq!((event.transaction_id, event.processed_time, &*event.module_hash), (TransactionId(2), NOW, "00"));
    assert!(event.is_unread() && filed.due.is_empty() && !filed.duplicate);
    assert_eq!(filed.queries, [(TransactionId(2), ProviderQuery::Status)]);
    assert_eq!(ledger.unread(), [(1, 7)]);
    let again = ledger.keep(&named, "other", 7).unwrap();
    assert!(again.duplicate && matches!(again.events[..], [FiledEvent::Duplicate(EventId(1))]));
    assert!(again.queries.is_empty());
}

#[test]
fn m3_every_payment_that_an_unreadable_notice_names_is_queried_once_and_at_most_sixteen() {
    let mut ledger = Ledger::with(20);
    // The 21st is another config's: its own gateway is queried, and the event stays without a transaction.
    let of = |ids: &[u64]| UnreadableNotice { references: ids.iter().map(|id| reference(*id)).collect(), ..words("x") };
    let queried = |filed: &Filed| filed.queries.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
    let filed = ledger.keep(&of(&[3, 1, 3]), "a", 1).unwrap();
    assert_eq!((queried(&filed), only(&filed).transaction_id), (vec![1, 3], TransactionId(0)));
    let filed = ledger.keep(&of(&[21]), "b", 1).unwrap();
    assert_eq!((queried(&filed), only(&filed).transaction_id), (vec![21], TransactionId(0)));
    let all: Vec<u64> = (1..=20).collect();
    assert_eq!(queried(&ledger.keep(&of(&all), "c", 1).unwrap()), (1..=16).collect::<Vec<_>>());
    // By an id, within the config alone.
    ledger.decide(|draft| inbox::file(draft, &verified(vec![paid("e1", 4)]), "d", |id| notice_body(id, 1))).unwrap();
    let by_id = UnreadableNotice { refs: vec![ProviderRef::new("payment_intent", "pi_4")], ..words("x") };
    let filed = ledger.keep(&by_id, "e", 1).unwrap();
    assert_eq!((queried(&filed), only(&filed).transaction_id), (vec![4], TransactionId(4)));
}

#[test]
fn m10_a_config_keeps_so_many_unreadable_notices_and_so_many_bytes_of_them() {
    let mut ledger = Ledger::with(1);
    for number in 0..256 {
        ledger.keep(&words("x"), &format!("n{number}"), 1).unwrap();
    }
    assert_eq!(ledger.keep(&words("x"), "n256", 1).unwrap_err(), BeyondLimit);
    assert!(ledger.keep(&words("x"), "n3", 1).unwrap().duplicate, "a repetition is no further one");
    // One that is read makes space for another.
    ledger.read(3, verified(Vec::new())).unwrap();
    ledger.keep(&words("x"), "n256", 1).unwrap();

    let mut ledger = Ledger::with(1);
    let most = 16 * 1024 * 1024;
    ledger.keep(&words("x"), "n0", most - 1).unwrap();
    assert_eq!(ledger.keep(&words("x"), "n1", 2).unwrap_err(), BeyondLimit);
    ledger.keep(&words("x"), "n1", 1).unwrap();
    assert_eq!(ledger.keep(&words("x"), "n2", 1).unwrap_err(), BeyondLimit);
    let other = ReceivingConfig { config_id: ConfigId(2), ..receiver() };
    let filed = ledger
        .decide(|draft| inbox::file_unreadable(draft, &other, &words("x"), "n2".into(), 1, |id| notice_body(id, 1)));
    assert!(filed.is_ok(), "each config has limits of its own");
}

#[test]
fn m3_a_build_that_understands_it_resolves_the_row_and_files_further_updates_beside_it() {
    let mut ledger = Ledger::with(2);
    let kept = ledger.keep(&UnreadableNotice { references: vec![reference(1)], ..words("x") }, "derived", 5).unwrap();
    assert_eq!(only(&kept).transaction_id, TransactionId(1));
    let filed = ledger.read(1, verified(vec![paid("e1", 2), paid("e2", 1)])).unwrap();
    let [FiledEvent::New(first), FiledEvent::New(second)] = &filed.events[..] else { panic!("{filed:?}") };
    let row = |event: &ProviderEvent| (event.id.0, event.notice_id.0, event.transaction_id.0, event.processing_status);
    assert_eq!(row(first), (1, 1, 2, ProcessingStatus::Processed));
    assert_eq!(row(second), (2, 1, 1, ProcessingStatus::Processed));
    assert_eq!([&*first.event_id, &*first.failure_reason, &*first.module_hash], ["e1", "", "11"]);
    assert_eq!(&*first.provider_payment_id, "pi_2");
    assert_eq!((filed.due.len(), ledger.unread().len()), (2, 0));
    assert!(ledger.read(1, verified(vec![paid("e3", 2)])).is_none(), "it is not unread any more");
    assert_eq!(ledger.0.known_event(ConfigId(1), "e1"), Some(EventId(1)));
}

#[test]
fn m3_a_notice_whose_own_id_could_be_read_is_resolved_in_its_row() {
    let mut ledger = Ledger::with(1);
    ledger.keep(&UnreadableNotice { event_id: "e1".into(), ..words("x") }, "derived", 5).unwrap();
    let filed = ledger.read(1, verified(vec![paid("e1", 1)])).unwrap();
    let row = only(&filed);
    assert_eq!(
        (row.id, row.processing_status, row.transaction_id),
        (EventId(1), ProcessingStatus::Processed, TransactionId(1))
    );
    assert_eq!((filed.due.as_slice(), ledger.unread().len()), (&[TransactionId(1)][..], 0));
}

#[test]
fn m3_a_notice_without_a_known_payment_waits_for_it_once_it_is_read() {
    let mut ledger = Ledger::with(1);
    ledger.keep(&UnreadableNotice { references: vec![reference(1)], ..words("x") }, "derived", 5).unwrap();
    let elsewhere = Update { reference: None, ..paid("e1", 77) };
    let filed = ledger.read(1, verified(vec![elsewhere])).unwrap();
    let event = only(&filed);
    assert_eq!((event.processing_status, event.transaction_id), (ProcessingStatus::Pending, TransactionId(0)));
    assert_eq!(event.processed_time, UnixTime::UNSET, "it was not processed by being kept");
}

#[test]
fn m3_what_was_sent_again_and_understood_is_applied_once() {
    let mut ledger = Ledger::with(1);
    // Sent again under the same id and understood, it resolves the row that it has.
    ledger.keep(&UnreadableNotice { event_id: "e1".into(), ..words("x") }, "derived", 5).unwrap();
    let again = verified(vec![paid("e1", 1)]);
    let filed = ledger.decide(|draft| inbox::file(draft, &again, "d", |id| notice_body(id, 9))).unwrap();
    assert_eq!((only(&filed).id, only(&filed).notice_id), (EventId(1), NoticeId(2)));
    assert!(!filed.duplicate && ledger.unread().is_empty());
    // Under another id it has a row of its own; reading the first then changes nothing more.
    ledger.keep(&words("x"), "derived", 5).unwrap();
    let filed = ledger.read(2, verified(vec![paid("e1", 1)])).unwrap();
    let [FiledEvent::Duplicate(EventId(1)), FiledEvent::New(row)] = &filed.events[..] else { panic!("{filed:?}") };
    assert_eq!((row.id, row.processing_status), (EventId(2), ProcessingStatus::Ignored));
    assert_eq!((&*row.failure_reason, row.processed_time), ("IGNORED: it was sent again and applied", NOW));
    assert!(filed.due.is_empty() && ledger.unread().is_empty());
}

#[test]
fn m3_a_build_that_does_not_understand_it_either_leaves_its_words_and_its_hash() {
    let mut ledger = Ledger::with(1);
    ledger.keep(&words("no amount"), "derived", 5).unwrap();
    let newer = ReceivingConfig { module_hash: "11".into(), ..receiver() };
    ledger.decide(|draft| inbox::still_unread(draft, &newer, EventId(1), "no type"));
    let known = ledger.0.unread().next().unwrap();
    assert_eq!((&*known.event.failure_reason, &*known.event.module_hash), ("UNREADABLE_NOTICE: no type", "11"));
    assert_eq!((known.bytes, known.event.processing_status), (5, ProcessingStatus::Failed));
    ledger.decide(|draft| inbox::still_unread(draft, &newer, EventId(9), "no type"));
    assert_eq!(ledger.unread(), [(1, 5)]);
}

#[test]
fn m11_a_notice_with_nothing_to_do_has_its_own_id_and_its_reason() {
    let mut ledger = Ledger::with(1);
    let notice = verified(Vec::new()).described("evt_7".into(), "a test event".into());
    let filed = ledger.decide(|draft| inbox::file(draft, &notice, "d", |id| notice_body(id, 1))).unwrap();
    let event = only(&filed);
    assert_eq!((event.processing_status, event.processed_time), (ProcessingStatus::Ignored, NOW));
    assert_eq!([&*event.event_id, &*event.failure_reason], ["evt_7", "IGNORED: a test event"]);
    assert!(!event.is_unread());
    let unknown = Update { reason: "of tomorrow".into(), ..Update { status: S::Unknown, ..paid("e2", 1) } };
    let filed =
        ledger.decide(|draft| inbox::file(draft, &verified(vec![unknown]), "d", |id| notice_body(id, 1))).unwrap();
    assert_eq!(&*only(&filed).failure_reason, "IGNORED: of tomorrow");
    let silent = Update { status: S::Unknown, reason: "".into(), ..paid("e3", 1) };
    let filed =
        ledger.decide(|draft| inbox::file(draft, &verified(vec![silent]), "d", |id| notice_body(id, 1))).unwrap();
    assert_eq!((only(&filed).processing_status, &*only(&filed).failure_reason), (ProcessingStatus::Ignored, ""));
}
