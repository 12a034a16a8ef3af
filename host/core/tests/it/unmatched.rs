//! Statements about money whose transaction never appeared: listed, bounded, found again by their ids.

use cashier_core::books::Books;
use cashier_core::change::{Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::inbox::{GivenUp, UNMATCHED_PAYMENTS_MAX, give_up};
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, ProviderStatus};

use crate::samples::*;

/// An event of this status that waits for its transaction.
fn waiting(id: u64, status: ProviderStatus) -> Change {
    let update = cashier_core::notice::Update { event_id: format!("evt_{id}").into(), ..update(status) };
    let row = event(id, ProcessingStatus::Pending);
    Change::Event(Box::new(cashier_core::notice::ProviderEvent {
        event_id: update.event_id.clone(),
        update: Some(update),
        ..row
    }))
}

/// The same, received under another config.
fn waiting_under(config: u64, id: u64) -> Change {
    let Change::Event(row) = waiting(id, ProviderStatus::Confirmed) else { panic!("an event") };
    Change::Event(Box::new(cashier_core::notice::ProviderEvent { config_id: ConfigId(config), ..*row }))
}

/// Gives up on these and applies it.
fn given_up(books: &mut Books, ids: impl IntoIterator<Item = u64>) -> GivenUp {
    let mut draft = Draft::new(books, NOW);
    let given_up = give_up(&mut draft, ids.into_iter().map(EventId));
    let stamp = Stamp { actor: Actor::System, request_id: "test".into(), now: NOW };
    let (_, commit) = draft.into_commit(&stamp);
    if let Some(commit) = commit {
        books.apply(&commit);
    }
    given_up
}

fn listed(books: &Books) -> Vec<u64> {
    books.unmatched().map(|event| event.id.0).collect()
}

#[test]
fn a_confirmed_payment_and_a_refund_are_listed_and_stay_to_be_found() {
    let mut books = Books::new();
    let statuses =
        [ProviderStatus::Confirmed, ProviderStatus::Pending, ProviderStatus::Failed, ProviderStatus::Refunded];
    for (id, status) in (1..).zip(statuses) {
        books.load(waiting(id, status));
    }
    let first = given_up(&mut books, [1, 2, 3, 4, 9]);
    assert_eq!((first.listed.len(), first.dropped, listed(&books)), (2, 0, vec![1, 4]));
    assert_eq!(given_up(&mut books, [1, 2, 3, 4]).listed, [], "they wait no longer");
    let known = [ProviderRef::new("payment_intent", "pi_123")];
    let found: Vec<u64> = books.pending_events(ConfigId(1), known.iter()).iter().map(|event| event.id.0).collect();
    assert_eq!((books.has_pending_events(), found), (true, vec![1, 4]));
    assert_eq!(books.pending_events_before(NOW.plus(1)).count(), 0, "and is not given up on again");
}

#[test]
fn a_full_list_drops_its_oldest_payments() {
    let mut books = Books::new();
    let full = UNMATCHED_PAYMENTS_MAX as u64;
    for id in 1..=full + 3 {
        books.load(waiting(id, ProviderStatus::Confirmed));
    }
    let first = given_up(&mut books, 1..=full - 1);
    assert_eq!((first.listed.len(), first.dropped), (UNMATCHED_PAYMENTS_MAX - 1, 0));
    let second = given_up(&mut books, full..=full + 3);
    assert_eq!((second.listed.len(), second.dropped), (4, 3));
    let numbers = listed(&books);
    assert_eq!((numbers.len(), numbers.first(), numbers.last()), (UNMATCHED_PAYMENTS_MAX, Some(&4), Some(&(full + 3))));
}

#[test]
fn a_config_that_fills_the_list_displaces_its_own_payments_alone() {
    let mut books = Books::new();
    let full = UNMATCHED_PAYMENTS_MAX as u64;
    // Two payments of config 2 are the oldest of all; config 1 serves another shop too.
    for id in 1..=full + 12 {
        books.load(waiting_under(if id <= 2 || id > full + 10 { 2 } else { 1 }, id));
    }
    given_up(&mut books, 1..=full);
    let second = given_up(&mut books, full + 1..=full + 10);
    assert_eq!((second.listed.len(), second.dropped), (10, 10));
    assert_eq!(listed(&books)[..3], [1, 2, 13], "those of config 2 stay");
    let third = given_up(&mut books, full + 11..=full + 12);
    assert_eq!((third.listed.len(), third.dropped), (2, 2));
    assert_eq!((listed(&books)[..3].to_vec(), listed(&books).len()), (vec![1, 2, 15], UNMATCHED_PAYMENTS_MAX));
}

#[test]
fn s5_events_that_waited_long_are_found_by_their_time_the_oldest_first() {
    let mut books = Books::new();
    let received = [(1, 30), (2, 10), (3, 20), (4, 40)];
    for (id, seconds) in received {
        let Change::Event(row) = waiting(id, ProviderStatus::Confirmed) else { panic!("an event") };
        let row = cashier_core::notice::ProviderEvent { created_time: NOW.plus(seconds), ..*row };
        books.load(Change::Event(Box::new(row)));
    }
    let old = |books: &Books, seconds| -> Vec<u64> {
        books.pending_events_before(NOW.plus(seconds)).map(|event| event.id.0).collect()
    };
    assert_eq!((old(&books, 10), old(&books, 31), old(&books, 99)), (vec![], vec![2, 3, 1], vec![2, 3, 1, 4]));
    given_up(&mut books, [2, 1]);
    assert_eq!(old(&books, 99), [3, 4], "what is closed is found no more");
}
