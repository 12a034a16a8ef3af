//! Databases in which an earlier release left a contradiction: found at the first start, and taken over by reconcile.

use cashier_core::facts::ProviderFact;
use cashier_core::ids::{ManagerId, TransactionId};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;

use super::{Applied, Cashier, Settle, folder, pay, reconciled, refused, reviews, run, two_deposits};

#[test]
fn m15_an_operation_that_was_refused_without_asking_is_credited_once_its_posting_is_found() {
    let folder = folder();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let reference = cashier.deposit(100, 2_550).await;
        cashier.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor: 2_550 }).await;
        cashier.settle(Settle::Posted).await;
        let id = TransactionId(1);
        cashier
            .decide(move |draft| {
                let (aggregate, at) = (draft.aggregate(id).unwrap(), draft.context());
                let refused = PostingOutcome::Refused { reason: ReasonCode::AccountNotFound.name().into() };
                draft.add(aggregate.end_posting(aggregate.operations[0].id, &refused, ManagerId(0), at));
            })
            .await;
        assert_eq!(reviews(&cashier), [(id, ReasonCode::CreditRefused)]);
        cashier.close();
    });
    assert!(refused(folder.path()).contains("1 postings are not in the books"));
    run(async {
        assert_eq!(reconciled(folder.path(), true).await.applied.unwrap().imported, 1);
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.settle(Settle::Recorded).await;
        assert_eq!((cashier.balance(100), reviews(&cashier)), (2_550, Vec::new()));
        cashier.close();
    });
}

#[test]
fn m1_an_older_posting_whose_number_is_another_operations_id_gets_a_key_of_its_own() {
    let (folder, _copies) = two_deposits();
    let trading = rusqlite::Connection::open(folder.path().join("trading.db")).unwrap();
    // As the release before wrote it: the number is the key, and there is no reference.
    trading
        .execute_batch(
            "UPDATE posting SET key = '2', reference = '' WHERE transaction_id = 2; UPDATE books SET digest = X''",
        )
        .unwrap();
    drop(trading);
    refused(folder.path());
    run(async {
        assert_eq!(reconciled(folder.path(), true).await.applied, Some(Applied { imported: 1, recovered: 0, lost: 1 }));
        assert_eq!(reconciled(folder.path(), true).await.differences, "");
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let ordinals = cashier.ledger.peek(|books| books.aggregate(TransactionId(2))).unwrap().unwrap().operations;
        assert_eq!(ordinals.iter().map(|known| known.ordinal).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(reviews(&cashier), [(TransactionId(2), ReasonCode::PostingLost)]);
        pay(&cashier, 2_550).await;
        assert_eq!(cashier.balance(100), 3 * 2_550);
        cashier.close();
    });
}

#[test]
fn m1_older_postings_of_two_customers_under_one_transaction_id_are_recovered_apart() {
    let (folder, _copies) = two_deposits();
    std::fs::remove_file(folder.path().join("cashier.db")).unwrap();
    let trading = rusqlite::Connection::open(folder.path().join("trading.db")).unwrap();
    // Restored books handed out the id of the first once more, to an account that is gone by now.
    let older = "UPDATE posting SET key = operation_id, reference = '', transaction_id = 1";
    let other = "UPDATE posting SET customer_id = 6, login = 200 WHERE operation_id = 2";
    trading.execute_batch(&format!("{older}; {other}; UPDATE books SET digest = X''")).unwrap();
    drop(trading);
    run(async {
        assert_eq!(reconciled(folder.path(), true).await.applied.unwrap().recovered, 2);
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let recovered: Vec<_> = cashier.ledger.peek(|books| books.aggregates().collect()).unwrap();
        let owners: Vec<_> =
            recovered.iter().map(|known| (known.transaction.login.0, known.operations.len())).collect();
        assert_eq!(owners, [(100, 1), (200, 1)]);
        cashier.close();
    });
}
