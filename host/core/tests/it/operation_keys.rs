//! Keys of operations at the trading server: what they are made of, and that none is planned twice.

use cashier_core::aggregate::Aggregate;
use cashier_core::facts::ProviderFact;
use cashier_core::ids::{ManagerId, OperationId, Reference};
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};

use crate::samples::*;

fn paid() -> ProviderFact {
    ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }
}

fn refund(id: &str) -> ProviderFact {
    ProviderFact::Refund { id: id.into(), payment: "".into(), minor: 1_000 }
}

/// Records a fact; `seq` is also the id of the operation that is planned.
fn recorded(aggregate: &Aggregate, fact: ProviderFact, seq: u64) -> Aggregate {
    applied(aggregate, &aggregate.establish(fact, at(seq)))
}

fn ended(aggregate: &Aggregate, outcome: &PostingOutcome, seq: u64) -> Aggregate {
    let id = aggregate.operations.iter().find(|known| known.is_unsettled()).unwrap().id;
    applied(aggregate, &aggregate.end_posting(id, outcome, ManagerId(0), at(seq)))
}

fn new_deposit() -> Aggregate {
    Aggregate { transaction: deposit(15), operations: Vec::new() }
}

fn keys(aggregate: &Aggregate) -> Vec<String> {
    let key = |operation| OperationKey::of(&aggregate.transaction.reference, operation).to_string();
    aggregate.operations.iter().map(key).collect()
}

#[test]
fn m1_operations_of_one_transaction_are_keyed_by_reference_and_ordinal() {
    let posted = PostingOutcome::posted(7);
    let paid = ended(&recorded(&new_deposit(), paid(), 40), &posted, 41);
    let refunded = ended(&recorded(&paid, refund("re_1"), 50), &PostingOutcome::Refused { reason: "NO".into() }, 51);
    let retried = refunded.decide(cashier_core::facts::PersonFact::Retried, at(60));
    let reference = refunded.transaction.reference.clone();
    assert_eq!(keys(&applied(&refunded, &retried)), [1, 2, 3].map(|n| format!("{reference}:{n}")));
}

#[test]
fn m1_an_operation_made_before_keeps_its_id_as_key_and_the_next_one_is_the_first_with_an_ordinal() {
    let posted = PostingOutcome::posted(7);
    let mut before = recorded(&new_deposit(), paid(), 40);
    before.operations.iter_mut().for_each(|operation| operation.ordinal = 0);
    let refunded = recorded(&ended(&before, &posted, 41), refund("re_1"), 50);
    let reference = &refunded.transaction.reference;
    assert_eq!(keys(&refunded), ["40".to_owned(), format!("{reference}:1")]);
}

#[test]
fn m1_equal_operations_of_two_transactions_have_different_keys_though_their_ids_are_equal() {
    let first = recorded(&new_deposit(), paid(), 2);
    let mut other = new_deposit();
    other.transaction.reference = Reference::from_random(2);
    let second = recorded(&other, paid(), 2);
    let ids = |aggregate: &Aggregate| aggregate.operations.iter().map(|known| known.id).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![OperationId(2)], vec![OperationId(2)]));
    assert_ne!(keys(&first), keys(&second));
}

#[test]
fn a_key_reads_back_and_other_texts_are_no_keys() {
    let new = recorded(&new_deposit(), paid(), 40);
    let operation: &BalanceOperation = new.operations.first().unwrap();
    let reference = &new.transaction.reference;
    let key = OperationKey::of(reference, operation);
    assert_eq!(OperationKey::read(key.as_str()), Some(key.clone()));
    assert_eq!(key.parts(), Some((reference.clone(), 1)));
    let old = OperationKey::read("40").unwrap();
    assert_eq!((old.as_str(), old.parts()), ("40", None));
    for text in ["", ":", "4 0", "-1", "15:1", &format!("{reference}:"), &format!("{reference}:x"), reference.as_str()]
    {
        assert_eq!(OperationKey::read(text), None, "{text:?}");
    }
}
