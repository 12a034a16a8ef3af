//! What is posted at rest is a function of the set of provider facts, also under review (docs/life-of-a-transaction.md,
//! "what is owed"). Each row of the table is played in every order, with repetitions, while postings end early or late;
//! random sets are compared with a simple model.

mod model;
mod rows;
mod zero;

use cashier_core::aggregate::Aggregate;
use cashier_core::duty::{self, Duty};
use cashier_core::facts::ProviderFact;
use cashier_core::ids::ManagerId;
use cashier_core::operation::{PostingOutcome, posted};
use cashier_core::reason::ReasonCode;
use cashier_core::status::TransactionStatus;
use cashier_core::time::UnixTime;
use proptest::prelude::*;

use self::model::expected;
use crate::samples::*;
use crate::standing::any_fact;

/// Where a transaction comes to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    posted: i64,
    status: TransactionStatus,
    code: ReasonCode,
    detail: Box<str>,
}

/// Plays facts one by one. The trading server answers the posting under way after the steps that `answers` names (bit by
/// bit, repeated), sometimes first with no answer; at the end it answers everything.
fn play(facts: &[ProviderFact], answers: u32) -> Rest {
    let mut now = aggregate(deposit(15));
    let mut seq = 0;
    let mut next = || {
        seq += 1;
        at(seq)
    };
    for (step, fact) in facts.iter().enumerate() {
        let (changes, _) = now.record(&receiver(), std::slice::from_ref(fact), &[], next());
        now = applied(&now, &changes);
        match answers >> (2 * step % 32) & 3 {
            0 => {}
            1 => now = answered(&now, &PostingOutcome::Unknown, next()),
            _ => now = answered(&now, &PostingOutcome::posted(7), next()),
        }
    }
    while now.operations.iter().any(|known| known.is_unsettled()) {
        now = answered(&now, &PostingOutcome::posted(7), next());
    }
    let standing = now.standing();
    assert_eq!(standing.owed_minor, posted(&now.transaction, &now.operations).minor, "not at rest: {facts:?}");
    let due = duty::due(&now.transaction, &now.operations, UnixTime(i64::MAX));
    assert!(!matches!(due, Some(Duty::Settle | Duty::AwaitRetry)), "{due:?} at rest: {facts:?}");
    let reason = now.transaction.reason;
    Rest { posted: standing.owed_minor, status: now.transaction.status, code: reason.code, detail: reason.detail }
}

fn answered(now: &Aggregate, outcome: &PostingOutcome, at: cashier_core::aggregate::DecisionContext) -> Aggregate {
    let under_way = now.operations.iter().find(|known| known.is_unsettled()).map(|known| known.id);
    under_way.map_or_else(|| now.clone(), |id| applied(now, &now.end_posting(id, outcome, ManagerId(0), at)))
}

/// All orders of a few facts.
fn orders(facts: &[ProviderFact]) -> Vec<Vec<ProviderFact>> {
    if facts.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for place in 0..facts.len() {
        let mut rest = facts.to_vec();
        let first = rest.remove(place);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

/// The one rest of a set of facts, in every order, with and without repetition, with postings that end at any time.
fn rest(facts: &[ProviderFact]) -> Rest {
    let mut found: Option<Rest> = None;
    for (number, order) in (0_u32..).zip(orders(facts)) {
        let repeated: Vec<ProviderFact> = order.iter().chain(&order).cloned().collect();
        // Never, at once, every second time, and a pattern that differs from order to order.
        for answers in [0, u32::MAX, 0x8888_8888, number.wrapping_mul(0x9e37_79b9)] {
            for facts in [&order, &repeated] {
                let rest = play(facts, answers);
                let first = found.get_or_insert_with(|| rest.clone());
                assert_eq!(*first, rest, "another rest in the order {facts:?}");
            }
        }
    }
    found.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_random_set_of_facts_comes_to_the_rest_of_the_model_in_any_order(
        (facts, shuffled) in prop::collection::vec(any_fact(), 0..9).prop_flat_map(|facts| {
            let doubled: Vec<ProviderFact> = facts.iter().chain(&facts).cloned().collect();
            (Just(facts), Just(doubled).prop_shuffle())
        }),
        answers in any::<[u32; 2]>(),
    ) {
        let rest = play(&facts, answers[0]);
        prop_assert_eq!((rest.posted, rest.status, rest.code), expected(&facts, 10_000), "{:?}", facts);
        prop_assert_eq!(rest, play(&shuffled, answers[1]));
    }
}
