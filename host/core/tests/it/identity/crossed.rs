//! One payment under the references of two orders: `pi_1` is of order A, and what goes back of it is stated with the reference of
//! order B, which is paid by `pi_2`. Neither order is paid twice, and none stays short without a review.

use cashier_core::duty::{self, WorkKind};
use cashier_core::money::Money;
use cashier_core::operation::posted;
use cashier_core::status::TransactionStatus;
use cashier_core::transaction::Transaction;

use super::beside::steps::{Step, request};
use super::*;

mod decided;
mod ids;
mod repeated;
mod returned;

/// What goes back of a payment.
const BACK: [&str; 5] = ["dispute", "dispute without an id", "refund", "total", "everything"];

/// How A differs from B, so that a manual deposit beside B is not compared with it.
pub(super) const KINDS: [&str; 5] = ["opened later", "of a customer", "of an amount", "in a currency", "of a config"];

/// What a person may leave of B.
const LEFT: [i64; 2] = [0, 5_000];

fn back(what: &str, payment: &str, minor: i64) -> Update {
    let (id, stated) = (format!("{what} {payment}"), Some(StatedAmount::Exact(usd(minor))));
    let base = |status| Update { payment_id: payment.into(), amount: None, reference: None, ..named(&id, 0, status) };
    let refund = refunded(&id, minor).refund;
    let total = refund.clone().map(|refund| RefundStatement { reach: Reach::TotalSoFar, ..refund });
    match what {
        "dispute" => {
            let dispute = Some(DisputeStatement { id: format!("dp {payment}").into(), amount: stated });
            Update { dispute, ..base(S::Chargeback) }
        }
        "dispute without an id" => Update { amount: stated, ..base(S::Chargeback) },
        "refund" => Update { refund, ..base(S::Refunded) },
        "total" => Update { refund: total, ..base(S::Refunded) },
        _ => base(S::Refunded),
    }
}

/// That it did not reach the customer, or was lifted.
fn lifted(what: &str, payment: &str, minor: i64) -> Update {
    let stated = back(what, payment, minor);
    let status = if stated.status == S::Chargeback { S::ChargebackReversed } else { S::RefundFailed };
    Update { event_id: format!("lifted {what} {payment}").into(), status, ..stated }
}

fn under(id: u64, update: Update) -> Update {
    Update { reference: Some(reference(id)), ..update }
}

/// With the provider's id of the payment, where it is stated.
fn ids(is_stated: bool, update: Update) -> Update {
    let payment = update.payment_id.clone();
    if is_stated { with_ref(update, &payment) } else { update }
}

impl Ledger {
    /// The same books, from their rows.
    fn copy(&self) -> Self {
        let mut copy = Self { books: Books::new(), commits: self.commits.clone() };
        copy.books.set_counters(self.books.counters());
        copy.restart();
        copy
    }

    /// An order of 100.00 USD under config 1, different in one respect.
    pub(super) fn open(&mut self, kind: &str) -> u64 {
        self.decide(|draft| {
            let id = draft.next_transaction();
            let own = Transaction { config_id: ConfigId(1), ..deposit(id.0) };
            let other = || Transaction { customer_id: CustomerId(6), login: Login(2_000_010), ..own.clone() };
            let euro = currency("EUR");
            let row = match kind {
                "of a customer" => other(),
                "of a config" => Transaction { config_id: ConfigId(2), ..other() },
                "of an amount" => Transaction { amount: usd(5_000), ..own },
                "in a currency" => Transaction { amount: Money::new(10_000, euro), account_currency: euro, ..other() },
                _ => own,
            };
            draft.add([Change::Transaction(Box::new(row))]);
            id.0
        })
    }

    /// The statement, verified by the config of this order, and everything that it makes due is posted.
    fn state(&mut self, id: u64, update: Update) -> ProviderEvent {
        let config = self.aggregate(id).transaction.config_id;
        self.file(config.0, vec![update]);
        self.play(Step::Settled);
        self.events().pop().unwrap()
    }

    fn confirm(&mut self, id: u64, payment: &str, with_ids: bool) {
        let amount = Some(StatedAmount::Exact(self.aggregate(id).transaction.amount));
        self.state(id, ids(with_ids, Update { amount, ..paid(&format!("paid {payment}"), id, payment) }));
    }

    fn posted(&self, id: u64) -> i64 {
        let known = self.aggregate(id);
        assert!(known.operations.iter().all(|operation| !operation.is_unsettled()));
        posted(&known.transaction, &known.operations).minor
    }

    fn is_reviewed(&self, id: u64) -> bool {
        let known = self.aggregate(id);
        let is_listed = duty::of_transaction(&known, NOW).iter().any(|item| item.kind == WorkKind::Review);
        known.transaction.status == TransactionStatus::ManualReview && is_listed
    }

    /// Whether an open review of the order names the other transaction.
    fn names(&self, id: u64, other: u64) -> bool {
        let other = other.to_string();
        let known = self.aggregate(id).transaction;
        let is_named = |hold: &ReviewHold| match hold {
            ReviewHold::PaymentReused { owner, .. } => **owner == *other,
            ReviewHold::ReturnBeside { deposit } | ReviewHold::Beside { deposit } => **deposit == *other,
            _ => false,
        };
        known.facts.open_holds().any(is_named)
    }

    /// A person enters what an order lost, which stands and is posted.
    fn enter_lost(&mut self, id: u64) -> u64 {
        let minor = 10_000 - self.posted(id);
        self.enter(&account(), &request("", minor, true), true).unwrap();
        self.play(Step::Settled);
        let entered = self.books.transactions() as u64;
        assert_eq!(self.posted(entered), minor);
        entered
    }

    /// A person writes that an order is under review, and ends that.
    fn decide_by_hand(&mut self, id: u64, minor: i64) {
        if !self.is_reviewed(id) {
            self.play(Step::Write(id, TransactionStatus::ManualReview));
        }
        self.resolve(id, minor).unwrap();
        self.play(Step::Settled);
        assert_eq!(self.posted(id), minor);
    }
}

/// B, which is credited, and A where it is not opened later.
fn credited_beside(kind: &str) -> (Ledger, u64, Option<u64>) {
    let mut ledger = Ledger::default();
    let a = (kind != "opened later").then(|| ledger.open(kind));
    let b = ledger.open("");
    ledger.confirm(b, "pi_2", true);
    assert_eq!(ledger.posted(b), 10_000);
    (ledger, b, a)
}

/// What the body says of the cases in which it says anything.
fn wrong(mut body: impl FnMut(&str, bool, bool) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for what in BACK {
        for (early, late) in [(false, false), (true, true), (true, false), (false, true)] {
            let said = body(what, early, late);
            found.extend(said.map(|said| format!("{what}, ids {early} {late}: {said}")));
        }
    }
    found
}

/// Of each label the first cases that are wrong.
fn none_wrong(found: impl IntoIterator<Item = (String, Vec<String>)>) {
    let shown = |(label, cases): (String, Vec<String>)| {
        let count = cases.len();
        cases.into_iter().take(3).map(move |said| format!("{label} ({count} cases), {said}")).collect::<Vec<_>>()
    };
    let found: Vec<String> = found.into_iter().flat_map(shown).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_order_from_which_a_reversal_moves_away_is_not_credited_beside_what_was_entered_for_it() {
    none_wrong(KINDS.map(|kind| {
        let found = wrong(|what, early, late| {
            let (mut ledger, b, a) = credited_beside(kind);
            ledger.state(b, ids(early, under(b, back(what, "pi_1", 5_000))));
            let entered = ledger.enter_lost(b);
            let a = a.unwrap_or_else(|| ledger.open(kind));
            let before = ledger.posted(b);
            ledger.confirm(a, "pi_1", late);
            let (after, reviewed, named) = (ledger.posted(b), ledger.is_reviewed(b), ledger.names(b, entered));
            // Where A is alike what was entered, it waits for a person, and nothing has moved yet.
            let is_moved = ledger.aggregate(a).transaction.facts.confirms("pi_1");
            let holds = after == before && (!is_moved || (reviewed && named));
            (!holds).then(|| format!("{before} became {after}, reviewed {reviewed}, named {named}"))
        });
        (format!("A {kind}"), found)
    }));
}

#[test]
fn what_an_order_owes_again_because_a_further_payment_is_reviewed_waits_beside_what_was_entered() {
    let found = wrong(|what, early, late| {
        let mut ledger = Ledger::default();
        let id = ledger.open("");
        ledger.confirm(id, "pi_1", true);
        ledger.state(id, ids(early, under(id, back(what, "pi_1 further", 10_000))));
        let entered = ledger.enter_lost(id);
        ledger.confirm(id, "pi_1 further", late);
        let (after, reviewed, named) = (ledger.posted(id), ledger.is_reviewed(id), ledger.names(id, entered));
        let holds = after == 0 && reviewed && named;
        (!holds).then(|| format!("posted {after}, reviewed {reviewed}, named {named}"))
    });
    none_wrong([("one order".to_owned(), found)]);
}

#[test]
fn an_order_that_a_person_decided_and_a_reversal_moves_away_from_is_reviewed() {
    let cases = KINDS.into_iter().flat_map(|kind| LEFT.map(|left| (kind, left)));
    none_wrong(cases.map(|(kind, left)| {
        let found = wrong(|what, early, late| {
            let (mut ledger, b, a) = credited_beside(kind);
            ledger.state(b, ids(early, under(b, back(what, "pi_1", 10_000))));
            ledger.decide_by_hand(b, left);
            let a = a.unwrap_or_else(|| ledger.open(kind));
            ledger.confirm(a, "pi_1", late);
            let (after, reviewed) = (ledger.posted(b), ledger.is_reviewed(b));
            let holds = after == left && reviewed;
            (!holds).then(|| format!("{left} became {after}, reviewed {reviewed}"))
        });
        (format!("A {kind}, {left}"), found)
    }));
}

#[test]
fn an_order_that_a_person_decided_is_reviewed_when_what_went_back_is_lifted_unless_all_was_credited() {
    none_wrong([0, 5_000, 10_000].map(|left| {
        let found = wrong(|what, early, late| {
            let mut ledger = Ledger::default();
            let id = ledger.open("");
            ledger.confirm(id, "pi_1", true);
            ledger.state(id, ids(early, under(id, back(what, "pi_1", 10_000))));
            ledger.decide_by_hand(id, left);
            ledger.state(id, ids(late, under(id, lifted(what, "pi_1", 10_000))));
            let (after, reviewed) = (ledger.posted(id), ledger.is_reviewed(id));
            let holds = after == left && (reviewed || left == 10_000);
            (!holds).then(|| format!("{left} became {after}, reviewed {reviewed}"))
        });
        (format!("left {left}"), found)
    }));
}

/// A held payment of A, before or after what goes back of it is stated with B's reference.
fn held_and_back(what: &str, held: &str, is_first: bool, (early, late): (bool, bool)) -> (Ledger, u64, u64) {
    let mut ledger = Ledger::with(&[1, 1]);
    let (a, b) = (1, 2);
    ledger.confirm(b, "pi_2", true);
    let amount = (held != "unstated").then(|| StatedAmount::Exact(usd(9_500)));
    let states = ids(late, Update { amount, ..paid("held", a, "pi_1") });
    let reverses = ids(early, under(b, back(what, "pi_1", 9_500)));
    let (first, second) = if is_first { (states, reverses) } else { (reverses, states) };
    ledger.state(b, first);
    ledger.state(b, second);
    (ledger, a, b)
}

#[test]
fn what_goes_back_of_a_payment_that_is_held_for_another_order_leaves_nobody_short_and_is_seen_by_who_credits_it() {
    let ends = [9_500, 0, -1].into_iter().flat_map(|end| [("other amount", end), ("unstated", end)]);
    let cases = ends.flat_map(|(held, end)| [true, false].map(|is_first| (held, end, is_first)));
    none_wrong(cases.map(|(held, end, is_first)| {
        let found = wrong(|what, early, late| {
            let (mut ledger, a, b) = held_and_back(what, held, is_first, (early, late));
            let mut unseen = false;
            let is_reversal = |known: &ProviderFact| known.is_reversal() && *known.payment() == *"pi_1";
            for _ in 0..if end < 0 { 0 } else { 2 } {
                let saw = ledger.aggregate(a).transaction.facts.any(is_reversal);
                let ended = ledger.resolve(a, end);
                unseen |= ended.is_ok() && end > 0 && !saw;
                ledger.play(Step::Settled);
            }
            let (after, reviewed) = (ledger.posted(b), ledger.is_reviewed(b));
            let failed = ledger.events().into_iter().find(|event| event.processing_status == ProcessingStatus::Failed);
            let holds = (after == 10_000 || reviewed) && !unseen && failed.is_none();
            let failed = failed.map(|event| event.failure_reason);
            (!holds).then(|| format!("posted {after}, reviewed {reviewed}, unseen {unseen}, failed {failed:?}"))
        });
        (format!("{held}, payment first {is_first}, ended with {end}"), found)
    }));
}

/// Which orders a later statement about `pi_1` names, of A and B.
fn check_later(ledger: &Ledger, a: u64, b: u64, is_refused: bool) -> Option<String> {
    let mut found = Vec::new();
    for what in BACK {
        for (names, named) in [("A", Some(a)), ("B", Some(b)), ("none", None)] {
            for with_ids in [true, false] {
                let mut later = ledger.copy();
                let update = back(what, "pi_1", 1_000);
                let event_id = format!("later {what}").into();
                let stated = Update { event_id, reference: named.map(reference), ..ids(with_ids, update) };
                later.file(1, vec![stated]);
                let event = later.events().pop().unwrap();
                let is_own =
                    (event.processing_status, event.transaction_id) == (ProcessingStatus::Processed, TransactionId(a));
                // Of a payment that a person refused it is where a person looks at it, or waits.
                let is_shown = match event.processing_status {
                    ProcessingStatus::Processed => later.is_reviewed(event.transaction_id.0),
                    status => status == ProcessingStatus::Pending,
                };
                if !(is_own || is_refused && is_shown) {
                    let (at, why) = (event.transaction_id, event.failure_reason);
                    found.push(format!("{what} naming {names}, ids {with_ids}: of {at} {why}"));
                }
            }
        }
    }
    let count = found.len();
    found.into_iter().next().map(|first| format!("{count} later statements, {first}"))
}

#[test]
fn a_later_statement_about_a_payment_is_its_own_orders_whatever_it_names() {
    let moved = wrong(|what, early, late| {
        let (mut ledger, b, _) = credited_beside("opened later");
        ledger.state(b, ids(early, under(b, back(what, "pi_1", 10_000))));
        ledger.enter_lost(b);
        let a = ledger.open("opened later");
        ledger.confirm(a, "pi_1", late);
        check_later(&ledger, a, b, false)
    });
    let decided = wrong(|what, early, late| {
        let (mut ledger, b, a) = credited_beside("of a customer");
        ledger.state(b, ids(early, under(b, back(what, "pi_1", 10_000))));
        ledger.decide_by_hand(b, 0);
        ledger.confirm(a.unwrap(), "pi_1", late);
        check_later(&ledger, a.unwrap(), b, false)
    });
    let held = [9_500, 0, -1].map(|end| {
        let held = wrong(|what, early, late| {
            let (mut ledger, a, b) = held_and_back(what, "other amount", false, (early, late));
            for _ in 0..if end < 0 { 0 } else { 2 } {
                drop(ledger.resolve(a, end));
                ledger.play(Step::Settled);
            }
            check_later(&ledger, a, b, end == 0)
        });
        (format!("held, ended with {end}"), held)
    });
    let beside = [("beside what was entered".to_owned(), moved), ("decided by a person".to_owned(), decided)];
    none_wrong(beside.into_iter().chain(held));
}
