//! The standing of a provider deposit for every subset of provider facts, and its independence of order and repetition.

use std::fmt::Write as _;

use cashier_core::facts::{Facts, PersonFact, ProviderFact, Recorded, ReviewHold};
use cashier_core::ids::Seq;
use cashier_core::reason::ReasonCode;
use cashier_core::standing::{Nature, Posted, Standing, derive};
use cashier_core::status::TransactionStatus;
use expect_test::expect_file;
use proptest::prelude::*;

use crate::samples::*;

fn confirmed(payment: &str) -> ProviderFact {
    ProviderFact::Confirmed { payment: payment.into(), minor: 10_000 }
}

/// Each with its symbol in the table; the order is 100.00.
fn alphabet() -> [(char, ProviderFact); 10] {
    [
        ('a', ProviderFact::Accepted),
        ('c', confirmed("pi_1")),
        ('d', ProviderFact::Declined { reason: "no funds".into() }),
        ('x', ProviderFact::Cancelled { reason: ReasonCode::Expired }),
        ('r', ProviderFact::Refund { id: "re_1".into(), payment: "".into(), minor: 3_000 }),
        ('t', ProviderFact::RefundedTotal { payment: "".into(), minor: 10_000 }),
        ('b', ProviderFact::Chargeback { id: "dp_1".into(), payment: "".into(), minor: 10_000 }),
        ('v', ProviderFact::ChargebackReversed { id: "dp_1".into(), payment: "".into() }),
        ('u', ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown)),
        ('n', ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment: "pi_1".into() })),
    ]
}

fn facts_of(facts: impl IntoIterator<Item = ProviderFact>) -> Facts {
    let mut all = Facts::default();
    for (place, fact) in facts.into_iter().enumerate() {
        all.record(Seq(place as u64 + 1), NOW, fact);
    }
    all
}

fn standing(facts: &Facts, posted: Posted) -> Standing {
    derive(Nature::ProviderDeposit, usd(10_000), facts, posted)
}

#[test]
fn every_subset_of_provider_facts_has_the_listed_standing() {
    let alphabet = alphabet();
    let mut table = String::from(
        "# a accepted, c confirmed 100, d declined, x cancelled, r refund of 30, t refunded 100 in all,\n\
         # b chargeback of 100, v its reversal, u outcome unknown, n confirmed without amount\n\
         # facts: status reason owed (! no posting may be planned), nothing posted yet\n",
    );
    for subset in 0_u32..1 << alphabet.len() {
        let chosen =
            || alphabet.iter().enumerate().filter(|(place, _)| subset >> place & 1 == 1).map(|(_, known)| known);
        let symbols: String = chosen().map(|(symbol, _)| symbol).collect();
        let now = standing(&facts_of(chosen().map(|(_, fact)| fact.clone())), Posted::default());
        let (stop, code) = (if now.may_post { "" } else { " !" }, &now.reason.code);
        let gap = if *code == ReasonCode::None { "" } else { " " };
        writeln!(table, "{symbols}: {}{gap}{code} {}{stop}", now.status.name(), now.owed_minor / 100).unwrap();
    }
    expect_file!["standing.txt"].assert_eq(&table);
}

#[test]
fn a_mismatch_changes_the_status_and_no_money_beside_any_other_facts() {
    let alphabet = alphabet();
    let mismatch = ProviderFact::ReviewHold(ReviewHold::Mismatch {
        what: cashier_core::facts::MismatchKind::Amount,
        expected: "100.0 USD".into(),
        stated: "90.0 USD".into(),
        stated_minor: Some(9_000),
        payment: "".into(),
    });
    for subset in 0_u32..1 << alphabet.len() {
        let chosen = alphabet.iter().enumerate().filter(|(place, _)| subset >> place & 1 == 1);
        let facts: Vec<ProviderFact> = chosen.map(|(_, (_, fact))| fact.clone()).collect();
        let without = standing(&facts_of(facts.clone()), Posted::default());
        let now = standing(&facts_of(facts.into_iter().chain([mismatch.clone()])), Posted::default());
        assert_eq!((now.status, now.may_post), (TransactionStatus::ManualReview, true), "{subset:b}");
        assert_eq!(now.owed_minor, without.owed_minor, "{subset:b}");
    }
}

/// Facts of all kinds with few distinct ids, so that repetition and conflict are common.
pub(crate) fn any_fact() -> impl Strategy<Value = ProviderFact> {
    let minor = prop::sample::select(vec![0_i64, 1, 3_000, 5_000, 10_000, 12_000]);
    let id = prop::sample::select(vec!["1", "2"]);
    // Unnamed, the payment's own, or named.
    let dispute = prop::sample::select(vec!["", "1", "d1", "d2"]);
    // None, one of those that may be confirmed, or another.
    let payment = prop::sample::select(vec!["", "1", "2", "3"]);
    prop_oneof![
        Just(ProviderFact::Accepted),
        Just(ProviderFact::Unanswered),
        Just(ProviderFact::LastQuery),
        id.clone().prop_map(|id| ProviderFact::AdvanceWanted { event: id.into() }),
        prop::sample::select(vec!["", "1", "2"]).prop_map(confirmed),
        id.clone().prop_map(|id| ProviderFact::Declined { reason: id.into() }),
        prop::sample::select(vec![ReasonCode::Expired, ReasonCode::Cancelled])
            .prop_map(|reason| ProviderFact::Cancelled { reason }),
        (id.clone(), payment.clone(), minor.clone()).prop_map(|(id, payment, minor)| ProviderFact::Refund {
            id: id.into(),
            payment: payment.into(),
            minor
        }),
        (payment.clone(), minor.clone())
            .prop_map(|(payment, minor)| ProviderFact::RefundedTotal { payment: payment.into(), minor }),
        (id.clone(), payment.clone(), minor.clone()).prop_map(|(id, payment, minor)| ProviderFact::RefundFailed {
            id: id.into(),
            payment: payment.into(),
            minor
        }),
        (id.clone(), id.clone())
            .prop_map(|(id, requested)| ProviderFact::RefundOfRequest { id: id.into(), requested: requested.into() }),
        (dispute.clone(), payment.clone(), minor.clone()).prop_map(|(id, payment, minor)| ProviderFact::Chargeback {
            id: id.into(),
            payment: payment.into(),
            minor
        }),
        (dispute, payment)
            .prop_map(|(id, payment)| ProviderFact::ChargebackReversed { id: id.into(), payment: payment.into() }),
        Just(ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown)),
        id.clone().prop_map(|id| ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment: id.into() })),
        id.clone().prop_map(|id| ProviderFact::ReviewHold(ReviewHold::Requested { status: id.into() })),
        id.clone().prop_map(|id| ProviderFact::ReviewHold(ReviewHold::InReview { status: id.into() })),
        id.prop_map(|id| ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment: id.into(), owner: "9".into() })),
        (minor, prop::sample::select(vec!["", "1", "2", "3"])).prop_map(|(minor, payment)| {
            ProviderFact::ReviewHold(ReviewHold::Mismatch {
                what: cashier_core::facts::MismatchKind::Amount,
                expected: "100".into(),
                stated: "90".into(),
                stated_minor: Some(minor),
                payment: payment.into(),
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn order_and_repetition_never_show(
        (facts, shuffled) in prop::collection::vec(any_fact(), 0..9).prop_flat_map(|facts| {
            let doubled: Vec<ProviderFact> = facts.iter().chain(&facts).cloned().collect();
            (Just(facts), Just(doubled).prop_shuffle())
        }),
        posted in prop::sample::select(vec![0_i64, 7_000, 10_000]),
        refused in any::<bool>(),
    ) {
        let posted = Posted { minor: posted, refused, review: None };
        prop_assert_eq!(standing(&facts_of(facts), posted), standing(&facts_of(shuffled), posted));
    }

    #[test]
    fn owed_stays_within_the_ordered_amount(facts in prop::collection::vec(any_fact(), 0..12)) {
        let now = standing(&facts_of(facts.clone()), Posted::default());
        prop_assert!((0..=10_000).contains(&now.owed_minor));
        let paid = facts.iter().any(|fact| matches!(fact, ProviderFact::Confirmed { .. }));
        prop_assert!(paid || now.owed_minor == 0, "owed without a payment: {:?}", now);
        prop_assert!(now.may_post, "stopped without a person: {:?}", now);
    }
}

#[test]
fn a_resolution_ends_the_reviews_of_its_own_commit_and_of_earlier_ones() {
    let hold = |hold| vec![confirmed("1"), ProviderFact::ReviewHold(hold)];
    let reviews = [
        vec![confirmed("1"), confirmed("2")],
        vec![confirmed("1"), ProviderFact::RefundedTotal { payment: "".into(), minor: 10_001 }],
        vec![
            confirmed("1"),
            ProviderFact::Chargeback { id: "d1".into(), payment: "".into(), minor: 1 },
            ProviderFact::ChargebackReversed { id: "d2".into(), payment: "".into() },
        ],
        vec![confirmed("1"), ProviderFact::RefundFailed { id: "r".into(), payment: "".into(), minor: 1 }],
        hold(ReviewHold::Requested { status: "s".into() }),
    ];
    for facts in reviews {
        let newest = facts.len() as u64;
        let mut all = facts_of(facts);
        let in_review = |all: &Facts| {
            let code = standing(all, Posted::default()).reason.code;
            !matches!(code, ReasonCode::None | ReasonCode::Chargeback | ReasonCode::PartlyRefunded)
        };
        assert!(in_review(&all), "{all:?}");
        for (seq, ended) in [(newest - 1, false), (newest, true), (newest + 1, true)] {
            all.persons.clear();
            all.record_person(Seq(seq), NOW, PersonFact::Resolved { minor: 10_000 });
            assert_eq!(in_review(&all), !ended, "resolved at {seq}: {all:?}");
        }
    }
}

#[test]
fn the_set_of_facts_is_bounded() {
    use cashier_core::facts::{PROVIDER_FACTS_MAX, Recording};
    let mut facts =
        facts_of((0..PROVIDER_FACTS_MAX as i64).map(|minor| ProviderFact::RefundedTotal { payment: "".into(), minor }));
    let next = |facts: &mut Facts, minor| {
        facts.record(Seq(999), NOW, ProviderFact::RefundedTotal { payment: "".into(), minor })
    };
    assert_eq!(next(&mut facts, 1_000), Recording::Full);
    assert_eq!(next(&mut facts, 5), Recording::Duplicate);
    let newest =
        Recorded { seq: Seq(128), at: NOW, fact: ProviderFact::RefundedTotal { payment: "".into(), minor: 127 } };
    assert_eq!(facts.provider.last(), Some(&newest));
}

#[test]
fn many_declines_exclude_neither_the_end_nor_the_payment() {
    use cashier_core::facts::{PROVIDER_OTHER_FACTS_MAX, Recording};
    let declines =
        (0..PROVIDER_OTHER_FACTS_MAX).map(|number| ProviderFact::Declined { reason: number.to_string().into() });
    let mut facts = facts_of(declines);
    let mut record = |fact| facts.record(Seq(999), NOW, fact);
    assert_eq!(record(ProviderFact::Declined { reason: "one more".into() }), Recording::Full);
    assert_eq!(record(ProviderFact::Accepted), Recording::Added);
    assert_eq!(record(ProviderFact::Cancelled { reason: ReasonCode::Expired }), Recording::Added);
    assert_eq!(record(ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }), Recording::Added);
}
