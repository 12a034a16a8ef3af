//! What the answers to our own calls establish, and what an applied notice makes due: each payment once, and nothing of
//! another payment.

use cashier_core::duty::ProviderQuery;
use cashier_core::inbox::CreateRecorded;
use cashier_core::transaction::{FirstAnswer, Transaction};

use super::*;

const ACCEPTED: CreateEnding = CreateEnding::Accepted(NextAction::Redirect);

fn created(
    ledger: &mut Ledger,
    id: u64,
    ending: &CreateEnding,
    update: Option<&Update>,
    refs: &[&str],
) -> CreateRecorded {
    let refs: Vec<ProviderRef> = refs.iter().map(|id| ProviderRef::new("payment_intent", id)).collect();
    let stated = CreateAnswerStated { ending, update, refs: &refs };
    ledger.decide(|draft| inbox::end_create(draft, &gateway(1), TransactionId(id), &stated)).unwrap()
}

fn add(ledger: &mut Ledger, row: Transaction) {
    ledger.decide(|draft| draft.add([Change::Transaction(Box::new(row))]));
}

fn ids(ledger: &Ledger, id: u64) -> Vec<String> {
    ledger.aggregate(id).transaction.refs.iter().map(|id| id.value.to_string()).collect()
}

#[test]
fn a_create_answer_about_another_payment_establishes_nothing_and_one_about_its_own_is_applied() {
    let mut ledger = Ledger::with(&[1, 1, 2]);
    let other = created(&mut ledger, 1, &ACCEPTED, Some(&paid("", 2, "pi_2")), &[]);
    assert_eq!(other.not_applied, Some(AppliedAnswer::OtherPayment));
    assert_eq!((ledger.standing(1), ledger.standing(2).1), ((1, 0, ReasonCode::None), 0));
    let own = created(&mut ledger, 1, &ACCEPTED, Some(&paid("", 1, "pi_1")), &[]);
    assert_eq!((own.not_applied, ledger.standing(1)), (None, (2, 10_000, ReasonCode::None)));
    let mismatched = created(&mut ledger, 3, &ACCEPTED, Some(&paid("", 3, "pi_3")), &[]);
    assert!(
        matches!(mismatched.not_applied, Some(AppliedAnswer::Failed(reason)) if reason.code == ReasonCode::ProviderConfigMismatch)
    );
}

#[test]
fn an_id_in_a_create_answer_stays_with_the_transaction_that_has_it() {
    let mut ledger = Ledger::with(&[1, 1]);
    created(&mut ledger, 1, &ACCEPTED, None, &["pi_1"]);
    created(&mut ledger, 2, &ACCEPTED, None, &["pi_1", "pi_2"]);
    created(&mut ledger, 2, &ACCEPTED, None, &["pi_2", "pi_3"]);
    assert_eq!(
        (ids(&ledger, 1), ids(&ledger, 2)),
        (vec!["pi_1".to_owned()], vec!["pi_2".to_owned(), "pi_3".to_owned()])
    );
}

#[test]
fn the_next_action_is_stored_with_the_first_acceptance_alone() {
    let declined = CreateEnding::Declined { reason: "no".into() };
    let open = |id, first_answer| Transaction { first_answer, ..deposit(id) };
    let mut ledger = Ledger::default();
    for (id, answer) in (1..).zip([FirstAnswer::Open, FirstAnswer::Unknown, FirstAnswer::Open]) {
        add(&mut ledger, open(id, answer));
    }
    let table = [(1, &ACCEPTED, true), (1, &ACCEPTED, false), (2, &ACCEPTED, true), (3, &declined, false)];
    for (id, ending, expected) in table {
        assert_eq!(created(&mut ledger, id, ending, None, &[]).newly_accepted, expected, "{id} {ending:?}");
    }
    let stated = created(&mut ledger, 1, &ACCEPTED, Some(&paid("", 1, "pi_1")), &[]);
    assert!(!stated.newly_accepted, "what else the answer states is no acceptance");
}

#[test]
fn a_query_finds_a_payment_and_what_it_waits_for_once() {
    let mut ledger = Ledger::with(&[1]);
    let mut answer =
        |update: Update| ledger.decide(|draft| inbox::apply_answer(draft, &gateway(1), TransactionId(1), &update));
    let applied = |found_payment, found_advance| AppliedAnswer::Applied { found_payment, found_advance };
    let authorised = Update { event_id: "a1".into(), advance: true, ..named("", 1, S::Pending) };
    assert_eq!(answer(named("", 1, S::Pending)), applied(false, false));
    assert_eq!(answer(authorised.clone()), applied(false, true));
    assert_eq!(answer(authorised), applied(false, false), "it was known");
    assert_eq!(answer(paid("", 1, "pi_1")), applied(true, false));
    assert_eq!(answer(paid("", 1, "pi_1")), applied(false, false), "it was known");
    assert_eq!(answer(paid("", 2, "pi_2")), AppliedAnswer::OtherPayment);
}

#[test]
fn an_answer_is_about_the_payment_whose_ids_it_names() {
    let mut ledger = Ledger::with(&[1, 1]);
    created(&mut ledger, 1, &ACCEPTED, None, &["pi_1"]);
    created(&mut ledger, 2, &ACCEPTED, None, &["pi_2"]);
    let applied = AppliedAnswer::Applied { found_payment: false, found_advance: false };
    for (id, expected) in [("pi_1", applied.clone()), ("pi_2", AppliedAnswer::OtherPayment), ("pi_3", applied)] {
        for reference in [None, Some(reference(1))] {
            let answer = Update { reference, ..with_ref(named("", 1, S::Pending), id) };
            let about = ledger.decide(|draft| inbox::apply_answer(draft, &gateway(1), TransactionId(1), &answer));
            assert_eq!(about, expected, "{id} {:?}", answer.reference);
        }
    }
}

#[test]
fn a_notice_makes_each_payment_due_and_has_each_provider_queried_once() {
    let mut ledger = Ledger::with(&[1, 1, 2, 2]);
    let filed = ledger.file(1, vec![named("e1", 1, S::Pending)]);
    assert_eq!((filed.due.len(), filed.queries.len()), (0, 0), "nothing is owed");
    let filed = ledger.file(1, vec![paid("e2", 1, "pi_1"), named("e3", 1, S::Pending), paid("e4", 2, "pi_2")]);
    assert_eq!((filed.due, filed.queries.len()), (vec![TransactionId(1), TransactionId(2)], 0));
    // Of another config, whose provider is queried.
    let filed = ledger.file(1, vec![named("e5", 3, S::Pending), named("e6", 3, S::Failed), named("e7", 4, S::Pending)]);
    assert_eq!(filed.due, []);
    assert_eq!(filed.queries, [3, 4].map(|id| (TransactionId(id), ProviderQuery::Status)));
}

#[test]
fn an_event_shows_the_id_of_its_configs_primary_kind_or_else_that_of_the_payment() {
    let mut ledger = Ledger::with(&[1]);
    let ids = |kinds: &[&str]| kinds.iter().map(|kind| ProviderRef::new(kind, &format!("{kind}_1"))).collect();
    let table: [(&[&str], &str); 3] =
        [(&["charge", "payment_intent"], "payment_intent_1"), (&["charge"], "pi_123"), (&[], "pi_123")];
    for (at, (kinds, _)) in table.iter().enumerate() {
        ledger.file(1, vec![Update { refs: ids(kinds), ..named(&format!("e{at}"), 1, S::Pending) }]);
    }
    let shown: Vec<_> = ledger.events().iter().map(|event| event.provider_payment_id.to_string()).collect();
    assert_eq!(shown, table.map(|(_, id)| id));
}

#[test]
fn an_early_event_that_names_a_reference_waits_for_that_transaction_alone() {
    let mut ledger = Ledger::with(&[1]);
    ledger.file(1, vec![with_ref(paid("e1", 9, "pi_1"), "pi_1"), with_ref(paid("e2", 2, "pi_2"), "pi_2")]);
    ledger.file(1, vec![Update { reference: None, ..with_ref(named("e3", 0, S::Pending), "pi_1") }]);
    // What went back of a payment that is not known to be of the transaction with its id.
    let elsewhere = Update { reference: Some(reference(9)), payment_id: "pi_7".into(), ..refunded("e4", 4_000) };
    ledger.file(1, vec![with_ref(elsewhere, "pi_1")]);
    add(&mut ledger, deposit(2));
    created(&mut ledger, 1, &ACCEPTED, None, &["pi_1"]);
    created(&mut ledger, 2, &ACCEPTED, None, &["pi_2"]);
    let states: Vec<(ProcessingStatus, u64)> =
        ledger.events().iter().map(|event| (event.processing_status, event.transaction_id.0)).collect();
    let (pending, processed) = (ProcessingStatus::Pending, ProcessingStatus::Processed);
    assert_eq!(states, [(pending, 0), (processed, 2), (processed, 1), (pending, 0)]);
    assert_eq!((ledger.standing(1).1, ledger.standing(2).1), (0, 10_000));
}
