//! Keys that one of the two databases knows otherwise: planned and posted, posted with other values, refused.

use super::*;

#[test]
fn a_crash_between_posting_and_recording_is_no_difference() {
    let folder = folder();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let reference = cashier.deposit(100, 2_550).await;
        cashier.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor: 2_550 }).await;
        cashier.settle(Settle::Posted).await;
        cashier.close();
        assert_eq!(reconciled(folder.path(), false).await.differences, "");
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.settle(Settle::Recorded).await;
        assert_eq!((cashier.balance(100), reviews(&cashier)), (2_550, Vec::new()));
        cashier.close();
    });
}

#[test]
fn a_key_that_is_known_with_other_values_is_a_review() {
    let folder = folder();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.post_other_values().await;
        cashier.settle(Settle::Recorded).await;
        assert_eq!(reviews(&cashier), [(TransactionId(1), ReasonCode::OperationKeyConflict)]);
        assert_eq!(cashier.balance(100), 7);
        cashier.close();
    });
}

#[test]
fn a_planned_operation_whose_key_was_posted_with_other_values_is_refused_at_a_start_and_reconciled() {
    let folder = folder();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.post_other_values().await;
        cashier.close();
    });
    let why = refused(folder.path());
    assert!(why.starts_with("cashier.db is older than trading.db: 1 postings are not in the books"), "{why}");
    run(async {
        assert_eq!(reconciled(folder.path(), true).await.applied.unwrap().imported, 1);
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.settle(Settle::Recorded).await;
        assert_eq!(reviews(&cashier), [(TransactionId(1), ReasonCode::PostingImported)]);
        assert_eq!(cashier.balance(100), 7);
        cashier.close();
    });
}

#[test]
fn a_refused_posting_of_a_lost_transaction_is_recovered_with_its_others_at_once() {
    let (folder, copies) = two_deposits();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let second = cashier.ledger.peek(|books| books.aggregate(TransactionId(2))).unwrap().unwrap();
        let mut refused = posting(&second.transaction, &second.operations[0]);
        (refused.operation.id, refused.operation.ordinal) = (OperationId(3), 2);
        cashier.trading.void(Durable::assertion(refused), ReasonCode::Withheld).await.unwrap();
        cashier.close();
        copy(copies.path(), folder.path(), "cashier.db");
        assert_eq!(reconciled(folder.path(), true).await.applied, Some(Applied { imported: 0, recovered: 2, lost: 0 }));
        assert_eq!(reconciled(folder.path(), true).await.differences, "");
        let cashier = Cashier::open(folder.path()).await.unwrap();
        assert_eq!(cashier.balance(100), 2 * 2_550);
        cashier.close();
    });
}
