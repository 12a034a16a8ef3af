//! The titles of facts in an explanation: each is one plain line with its values.

use std::collections::BTreeSet;

use cashier_core::aggregate::Aggregate;
use cashier_core::explanation::{
    DetailValue, EntryKind, ExplainedEntry, PaymentHistory, StoredAct, explain, title_of_decision, title_of_fact,
};
use cashier_core::facts::{Facts, MismatchKind, PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{ManagerId, Seq, TransactionId};
use cashier_core::reason::ReasonCode;
use cashier_core::session::Role;
use cashier_core::status::TransactionStatus;

use crate::samples::*;

/// Each variant's place in its table, by match, and what the table says of each.
macro_rules! tables {
    ($place:ident, $docs:ident: $(#[$meta:meta])* $name:ident { $(
        $(#[doc = $doc:literal])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? $(or $absent:literal)? : $ty:ty),* $(,)? })?
        $(( $inner:ident : $innerty:ty ))?
    );* $(;)? }) => {
        fn $place(fact: &$name) -> &'static str {
            match fact { $($name::$variant { .. } => $stored,)* }
        }
        const $docs: &[(&str, &str)] = &[$(($stored, concat!($($doc),*))),*];
    };
}

cashier_core::provider_fact_table!(tables! provider_name, PROVIDER:);
cashier_core::review_hold_table!(tables! hold_name, HOLDS:);
cashier_core::person_fact_table!(tables! person_name, PERSONS:);

fn provider_facts() -> Vec<(ProviderFact, &'static str)> {
    let (id, payment) = (|| Box::<str>::from("re_1"), || Box::<str>::from("pi_1"));
    vec![
        (ProviderFact::Accepted, "order accepted by the provider: the customer may pay"),
        (ProviderFact::Unanswered, "call that creates the order: no answer"),
        (ProviderFact::AdvanceWanted { event: "evt".into() }, "payment waits for our call that takes the money"),
        (ProviderFact::Confirmed { payment: payment(), minor: 25_000 }, "paid: 250.0 USD (payment pi_1)"),
        (ProviderFact::Declined { reason: "no\nfunds".into() }, "declined by the provider: no funds"),
        (ProviderFact::Cancelled { reason: ReasonCode::Expired }, "closed without payment: EXPIRED"),
        (
            ProviderFact::Refund { id: id(), payment: payment(), minor: 3_000 },
            "refunded: 30.0 USD (refund re_1, payment pi_1)",
        ),
        (ProviderFact::RefundedTotal { payment: "".into(), minor: 3_000 }, "refunded in all: 30.0 USD"),
        (
            ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor: 3_000 },
            "disputed: 30.0 USD (dispute dp_1)",
        ),
        (
            ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "".into() },
            "dispute of 30.0 USD ended for us (dispute dp_1)",
        ),
        (ProviderFact::LastQuery, "queried for the last time at its expiry"),
        (
            ProviderFact::RefundFailed { id: id(), payment: payment(), minor: 3_000 },
            "refund of 30.0 USD did not reach the customer (refund re_1, payment pi_1)",
        ),
        (
            ProviderFact::RefundOfRequest { id: id(), requested: "ours-refund-1".into() },
            "refund re_1 of the provider is our requested refund of 30.0 USD (ours-refund-1)",
        ),
    ]
}

fn holds() -> Vec<(ReviewHold, &'static str)> {
    vec![
        (ReviewHold::OutcomeUnknown, "review: it is not known whether the provider has the order"),
        (ReviewHold::AmountUnstated { payment: "pi_1".into() }, "review: paid without a stated amount (payment pi_1)"),
        (
            ReviewHold::Mismatch {
                what: MismatchKind::Amount,
                expected: "100.0 USD".into(),
                stated: "90.0 USD".into(),
                stated_minor: Some(9_000),
                payment: "pi_1".into(),
            },
            "review: another amount: 90.0 USD stated, 100.0 USD expected (payment pi_1)",
        ),
        (
            ReviewHold::Requested { status: "requires_review".into() },
            "review: the provider asks that a person decides: requires_review",
        ),
        (
            ReviewHold::PaymentReused { payment: "pi_1".into(), owner: "transaction 4".into() },
            "review: payment pi_1 belongs to another transaction: transaction 4",
        ),
        (
            ReviewHold::Misplaced { payment: "pi_1".into(), owner: "4".into() },
            "review: money of payment pi_1 went back, and it is stated as paid for transaction 4",
        ),
        (
            ReviewHold::CountedElsewhere { payment: "pi_1".into(), order: "".into() },
            "review: money of payment pi_1 went back, as was stated with another brand's order",
        ),
        (ReviewHold::ReturnBeside { deposit: "4".into() }, "review: more is owed again beside manual transaction 4"),
        (ReviewHold::Beside { deposit: "4".into() }, "review: manual transaction 4 was entered beside it"),
        (ReviewHold::NotStored, "review: more was stated than one payment may have, and is missing"),
        (ReviewHold::InReview { status: "".into() }, "review: the provider has not decided yet"),
    ]
}

fn person_facts() -> Vec<(PersonFact, &'static str)> {
    let id = || Box::<str>::from("ours-refund-1");
    let (by, reason): (Box<str>, Box<str>) = ("provider".into(), "too late".into());
    vec![
        (PersonFact::Held(TransactionStatus::Credited), "status set by hand: credited"),
        (PersonFact::Released, "status released: it follows the facts again"),
        (PersonFact::Approved, "approved"),
        (PersonFact::Rejected, "rejected"),
        (PersonFact::Resolved { minor: 9_000 }, "review resolved: 90.0 USD credited in all"),
        (PersonFact::Resolved { minor: 0 }, "review resolved: nothing is credited"),
        (PersonFact::Retried, "another attempt to post permitted"),
        (
            PersonFact::RefundRequested { id: id(), payment: "pi_1".into(), minor: 3_000 },
            "refund of 30.0 USD requested (payment pi_1)",
        ),
        (PersonFact::RefundRefused { id: id() }, "requested refund of 30.0 USD refused"),
        (PersonFact::RefundDone { id: id(), refund: "re_1".into() }, "requested refund of 30.0 USD made (refund re_1)"),
        (PersonFact::ReversalsWait, "each reversal waits for a person, as the config says"),
        (PersonFact::Entered { by: ManagerId(7) }, "entered by manager 7"),
        (PersonFact::CancelledByCustomer, "cancelled by the customer"),
        (PersonFact::EnteredBeside { deposit: TransactionId(4) }, "manual deposit 4 entered beside this order"),
        (PersonFact::Explained { words: "as\u{202e} asked".into() }, "reason written by hand: as\\u{202e} asked"),
        (PersonFact::Explained { words: "".into() }, "written reason taken back"),
        (PersonFact::CommentWritten { by: ManagerId(7) }, "comment changed by manager 7"),
        (PersonFact::MetadataWritten { by: ManagerId(7) }, "metadata changed by manager 7"),
        (
            PersonFact::RefundReason { id: id(), key: "".into(), reason: "not used".into() },
            "reason of the requested refund of 30.0 USD: not used",
        ),
        (
            PersonFact::RefundSent { id: id(), terms: 3, before: 0 },
            "call for a refund of 30.0 USD sent to the provider",
        ),
        (PersonFact::RefundCrashed { id: id() }, "call for a refund of 30.0 USD ended the process: it is not repeated"),
        (
            PersonFact::RefundAccepted { id: id(), refund: "re_1".into() },
            "requested refund of 30.0 USD accepted by the provider (refund re_1)",
        ),
        (PersonFact::RefundInTotal { id: id() }, "requested refund of 30.0 USD is part of the provider's total"),
        (
            PersonFact::RefundRefusal { id: id(), by, reason },
            "requested refund of 30.0 USD was refused by the provider: too late",
        ),
    ]
}

/// A refund of 30 USD that was requested, and a dispute of as much: facts about them that state no amount are titled with theirs.
fn known_facts() -> Facts {
    let mut facts = Facts::default();
    let requested = PersonFact::RefundRequested { id: "ours-refund-1".into(), payment: "pi_1".into(), minor: 3_000 };
    facts.record_person(Seq(1), NOW, requested);
    facts.record(Seq(1), NOW, ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor: 3_000 });
    facts
}

/// No title is what the code says of the fact, and each table is covered.
fn check(docs: &[(&str, &str)], known: &[(&'static str, String)]) {
    let names: BTreeSet<&str> = known.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, docs.iter().map(|(name, _)| *name).collect(), "every entry of the table has an example");
    for (_, title) in known {
        assert!(!title.contains(|c: char| c.is_control()) && !title.ends_with('.') && title.len() < 100, "{title}");
        for (_, doc) in docs {
            let first = doc.trim().split(". ").next().unwrap().trim_end_matches('.');
            assert!(*title != first || first.is_empty(), "{title}");
        }
    }
}

#[test]
fn every_fact_has_a_plain_title_with_its_values_on_one_line() {
    let (currency, facts) = (usd(0).currency, known_facts());
    let mut provider: Vec<(&str, String)> = Vec::new();
    for (fact, expected) in provider_facts() {
        assert_eq!(title_of_fact(&fact, &facts, currency), expected);
        provider.push((provider_name(&fact), expected.to_owned()));
    }
    let mut reviews: Vec<(&str, String)> = Vec::new();
    for (hold, expected) in holds() {
        let name = hold_name(&hold);
        let fact = ProviderFact::ReviewHold(hold);
        assert_eq!(title_of_fact(&fact, &facts, currency), expected);
        provider.push((provider_name(&fact), expected.to_owned()));
        reviews.push((name, expected.to_owned()));
    }
    let mut persons: Vec<(&str, String)> = Vec::new();
    for (fact, expected) in person_facts() {
        assert_eq!(title_of_decision(&fact, &facts, currency), expected);
        persons.push((person_name(&fact), expected.to_owned()));
    }
    check(PROVIDER, &provider);
    check(HOLDS, &reviews);
    check(PERSONS, &persons);
    let long = title_of_fact(&ProviderFact::Declined { reason: "x".repeat(500).into() }, &facts, currency);
    assert!(long.len() < 160, "{long}");
}

#[test]
fn a_refund_that_failed_without_an_amount_is_titled_with_the_one_that_was_stated_or_requested() {
    let currency = usd(0).currency;
    let failed = ProviderFact::RefundFailed { id: "re_1".into(), payment: "".into(), minor: 0 };
    let title = |facts: &Facts| title_of_fact(&failed, facts, currency);
    assert_eq!(title(&known_facts()), "refund did not reach the customer (refund re_1)", "nothing says which it is");
    let (id, refund) = (|| Box::<str>::from("ours-refund-1"), || Box::<str>::from("re_1"));
    let known_by = [
        PersonFact::RefundAccepted { id: id(), refund: refund() },
        PersonFact::RefundDone { id: id(), refund: refund() },
    ];
    for fact in known_by {
        let mut facts = known_facts();
        facts.record_person(Seq(2), NOW, fact);
        assert_eq!(title(&facts), "refund of 30.0 USD did not reach the customer (refund re_1)");
    }
    let stated = [
        (ProviderFact::RefundOfRequest { id: refund(), requested: id() }, "30.0 USD"),
        (ProviderFact::Refund { id: refund(), payment: "".into(), minor: 2_000 }, "20.0 USD"),
    ];
    for (fact, amount) in stated {
        let mut facts = known_facts();
        facts.record(Seq(2), NOW, fact);
        assert_eq!(title(&facts), format!("refund of {amount} did not reach the customer (refund re_1)"));
    }
}

fn decisions(known: &Aggregate, acts: Vec<StoredAct>) -> Vec<ExplainedEntry> {
    let history = PaymentHistory { acts, ..PaymentHistory::default() };
    let entries = explain(known.clone(), &history, &[], None, NOW).entries;
    entries.into_iter().filter(|entry| entry.kind == EntryKind::Decision).collect()
}

#[test]
fn a_decision_names_who_made_it_where_the_record_of_its_commit_says_so() {
    let mut known = aggregate(deposit(15));
    let id = || Box::<str>::from("ours-refund-1");
    let facts = &mut known.transaction.facts;
    let reason = PersonFact::RefundReason { id: id(), key: "k".into(), reason: "a part was not used".into() };
    facts.record_person(Seq(3), NOW, reason);
    facts.record_person(Seq(3), NOW, PersonFact::RefundRequested { id: id(), payment: "".into(), minor: 3_000 });
    facts.record_person(Seq(4), NOW, PersonFact::RefundSent { id: id(), terms: 1, before: 0 });
    let act = StoredAct {
        seq: Seq(3),
        at: NOW,
        manager_id: ManagerId(7),
        role: Role::Manager,
        brand: "".into(),
        command: "MngRefundCashierTransaction".into(),
        outcome: "done".into(),
        changes: Vec::new(),
    };
    let titles = |acts| decisions(&known, acts).into_iter().map(|entry| entry.title).collect::<Vec<_>>();
    let requested = "refund of 30.0 USD requested: a part was not used";
    assert_eq!(titles(Vec::new()), [requested, "call for a refund of 30.0 USD sent to the provider"]);
    let by = [format!("{requested} (manager 7)"), "call for a refund of 30.0 USD sent to the provider".into()];
    assert_eq!(titles(vec![act.clone()]), by, "one entry of the two facts; nobody decided the call");
    let entry = decisions(&known, vec![act]).remove(0);
    for shown in ["amount", "key", "reason", "id", "manager_id"] {
        assert_eq!(entry.details.iter().filter(|(name, _)| *name == shown).count(), 1, "{shown}: {entry:?}");
    }
    assert!(entry.details.contains(&("manager_id", DetailValue::Number(7))), "{entry:?}");
}
