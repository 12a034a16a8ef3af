//! Events that wait for their transaction are bounded, per config and in all: what is beyond that is not filed, what waits is
//! not dropped for it, and what has its transaction is never refused for it.

use cashier_core::aggregate::CreateEnding;
use cashier_core::books::{Books, PendingSize};
use cashier_core::change::{Body, Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::ids::{ConfigId, EventId, NoticeId, TransactionId};
use cashier_core::inbox::{self, BeyondLimit, Filed, FiledEvent};
use cashier_core::notice::{ProviderEvent, ReceivingConfig, Update, VerifiedNotice};
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, ProviderStatus};
use cashier_core::transaction::NextAction;

use crate::samples::*;

/// Events of one config, and of all, that may wait.
const OF_CONFIG: u64 = 16_384;
const IN_ALL: u64 = 65_536;
const BYTES_OF_CONFIG: u64 = 32 * 1024 * 1024;

/// A payment that no transaction has: its ids carry this name.
fn unknown(name: &str) -> Update {
    Update {
        event_id: format!("evt_{name}").into(),
        reference: None,
        refs: vec![ProviderRef::new("payment_intent", &format!("pi_of_{name}"))],
        payment_id: "".into(),
        ..update(ProviderStatus::Confirmed)
    }
}

fn gateway(config: u64) -> ReceivingConfig {
    ReceivingConfig { config_id: ConfigId(config), merchant_account: [ConfigId(config)].into(), ..receiver() }
}

/// So many events of a config that wait already, with ids from `first` on.
fn load(books: &mut Books, config: u64, first: u64, count: u64) {
    for id in first..first + count {
        let update = unknown(&id.to_string());
        let row = ProviderEvent {
            config_id: ConfigId(config),
            event_id: update.event_id.clone(),
            update: Some(update),
            ..event(id, ProcessingStatus::Pending)
        };
        books.load(Change::Event(Box::new(row)));
    }
    books.set_counters(cashier_core::change::Counters { event: first + count, ..books.counters() });
}

fn decide<T>(books: &mut Books, decision: impl FnOnce(&mut Draft<'_>) -> T) -> T {
    let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
    let mut draft = Draft::new(books, NOW);
    let result = decision(&mut draft);
    if let (_, Some(commit)) = draft.into_commit(&stamp) {
        books.apply(&commit);
    }
    result
}

fn file(books: &mut Books, config: u64, updates: Vec<Update>) -> Result<Filed, BeyondLimit> {
    let body = |id: NoticeId| Body::Answer {
        transaction_id: TransactionId(id.0),
        redirect_url: "".into(),
        instructions_json: "".into(),
    };
    let notice = VerifiedNotice::assertion(gateway(config), updates);
    decide(books, |draft| inbox::file(draft, &notice, "sha256:00", body))
}

fn sizes(books: &Books, config: u64) -> (u64, u64) {
    (books.pending_size_of(ConfigId(config)).events, books.pending_in_all().events)
}

#[test]
fn s5_a_config_at_its_limit_takes_no_more_that_wait_and_drops_none() {
    let mut books = Books::new();
    books.load(Change::Transaction(Box::new(deposit(1))));
    load(&mut books, 1, 1, OF_CONFIG - 1);
    let counters = books.counters();
    assert_eq!(file(&mut books, 1, vec![unknown("a"), unknown("b")]).unwrap_err(), BeyondLimit, "both or none");
    assert_eq!((books.counters(), sizes(&books, 1).0), (counters, OF_CONFIG - 1), "nothing was filed");
    assert_eq!(books.known_event(ConfigId(1), "evt_a"), None, "so that its repetition is no duplicate");
    file(&mut books, 1, vec![unknown("a")]).unwrap();
    assert_eq!(file(&mut books, 1, vec![unknown("b")]).unwrap_err(), BeyondLimit);
    assert_eq!(sizes(&books, 1), (OF_CONFIG, OF_CONFIG));
    assert!(books.pending_event(EventId(1)).is_some(), "the oldest still waits");

    let again = file(&mut books, 1, vec![unknown("a")]).unwrap();
    assert!(again.duplicate, "what waits already is answered as a duplicate");
    let known = Update {
        event_id: "evt_own".into(),
        reference: Some(deposit(1).reference),
        ..update(ProviderStatus::Confirmed)
    };
    let filed = file(&mut books, 1, vec![known]).unwrap();
    assert!(matches!(&filed.events[..], [FiledEvent::New(row)] if row.transaction_id == TransactionId(1)), "{filed:?}");
    file(&mut books, 2, vec![unknown("c")]).unwrap();
    assert_eq!(sizes(&books, 2), (1, OF_CONFIG + 1), "another config has a limit of its own");

    decide(&mut books, |draft| inbox::give_up(draft, [EventId(1)]));
    file(&mut books, 1, vec![unknown("b")]).unwrap();
    assert_eq!(sizes(&books, 1), (OF_CONFIG, OF_CONFIG + 1), "what was given up counts no more");
}

#[test]
fn s5_all_configs_together_have_a_limit() {
    let mut books = Books::new();
    for config in 1..=5 {
        load(&mut books, config, config * 100_000, IN_ALL / 5);
    }
    load(&mut books, 6, 1, IN_ALL % 5);
    assert_eq!(books.pending_in_all().events, IN_ALL);
    for config in [1, 6, 7] {
        assert_eq!(file(&mut books, config, vec![unknown("a")]).unwrap_err(), BeyondLimit, "config {config}");
    }
    decide(&mut books, |draft| inbox::give_up(draft, [EventId(100_000)]));
    file(&mut books, 7, vec![unknown("a")]).unwrap();
}

#[test]
fn s5_large_events_are_bounded_by_their_memory() {
    let mut books = Books::new();
    let large = |number: u64| {
        let id = |place: u64| ProviderRef::new("payment_intent", &format!("{number:0>100}_{place:0>100}"));
        Update { refs: (0..100).map(id).collect(), ..unknown(&number.to_string()) }
    };
    let refused = (1..OF_CONFIG).find(|number| file(&mut books, 1, vec![large(*number)]).is_err()).unwrap();
    let size = books.pending_size_of(ConfigId(1));
    assert_eq!(size.events, refused - 1);
    assert!(size.bytes <= BYTES_OF_CONFIG && size.plus(PendingSize::of(&large(refused), 1)).bytes > BYTES_OF_CONFIG);
    assert!(size.bytes / size.events > 40_000, "what its ids take is counted: {size:?}");
    file(&mut books, 2, vec![large(refused)]).unwrap();
}

#[test]
fn s5_the_decision_that_brings_a_transaction_applies_few_events_however_many_were_sent() {
    let mut books = Books::new();
    let payment = ProviderRef::new("payment_intent", "pi_1");
    let stated = |number: u64| Update {
        event_id: format!("evt_{number}").into(),
        refs: vec![payment.clone()],
        payment_id: "pi_1".into(),
        ..unknown(&number.to_string())
    };
    let taken = (1..1_000).find(|number| file(&mut books, 1, vec![stated(*number)]).is_err()).unwrap() - 1;
    assert_eq!((taken, sizes(&books, 1).0), (64, 64));
    file(&mut books, 1, vec![unknown("other")]).unwrap();
    file(&mut books, 2, vec![stated(1)]).unwrap();
    assert!(file(&mut books, 1, vec![stated(taken)]).unwrap().duplicate, "what waits already");

    books.load(Change::Transaction(Box::new(deposit(1))));
    let answer = inbox::CreateAnswerStated {
        ending: &CreateEnding::Accepted(NextAction::Redirect),
        update: None,
        refs: std::slice::from_ref(&payment),
    };
    decide(&mut books, |draft| inbox::end_create(draft, &gateway(1), TransactionId(1), &answer)).unwrap();
    assert_eq!(sizes(&books, 1).0, 1, "all were applied but the other payment's");
    (65..200).for_each(|number| drop(file(&mut books, 1, vec![stated(number)]).unwrap()));
}

#[test]
fn s5_what_is_counted_ends_with_what_waits() {
    let mut books = Books::new();
    load(&mut books, 1, 1, 3);
    load(&mut books, 2, 10, 2);
    load(&mut books, 1, 1, 3);
    assert_eq!((sizes(&books, 1), sizes(&books, 2)), ((3, 5), (2, 5)), "a row that is put twice counts once");
    decide(&mut books, |draft| inbox::give_up(draft, [1, 2, 3, 10, 11].map(EventId)));
    let nothing = PendingSize::default();
    assert_eq!((books.pending_in_all(), books.pending_size_of(ConfigId(1))), (nothing, nothing));
}
