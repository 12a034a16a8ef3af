//! What a customer takes of what is limited: right after every change of a row, in any order of loading, after an image and
//! after a row that was taken back.

use cashier_core::books::CustomerUse;

use super::*;

fn used(open_deposits: u32, stored_bytes: u64) -> CustomerUse {
    CustomerUse { open_deposits, stored_bytes }
}

fn deposit_of(id: u64, customer: u64, status: TransactionStatus, stored_bytes: u32) -> Transaction {
    Transaction { customer_id: CustomerId(customer), status, stored_bytes, ..deposit(id) }
}

#[test]
fn b1_open_deposits_and_stored_bytes_of_a_customer_follow_every_change() {
    let mut books = Books::new();
    let mut put = |changed: Transaction| {
        // Twice is the same as once.
        books.apply(&commit(changed.id.0, vec![row(changed.clone())]));
        books.apply(&commit(changed.id.0, vec![row(changed.clone())]));
        (books.customer_use(CustomerId(5)), books.customer_use(CustomerId(6)))
    };
    assert_eq!(put(deposit_of(1, 5, TransactionStatus::Created, 100)), (used(1, 100), used(0, 0)));
    assert_eq!(put(deposit_of(2, 5, TransactionStatus::PendingPayment, 0)), (used(2, 100), used(0, 0)));
    assert_eq!(put(deposit_of(3, 6, TransactionStatus::Created, 7)), (used(2, 100), used(1, 7)));
    assert_eq!(put(deposit_of(1, 5, TransactionStatus::PendingPayment, 100)), (used(2, 100), used(1, 7)));
    assert_eq!(put(deposit_of(1, 5, TransactionStatus::Credited, 100)), (used(1, 100), used(1, 7)), "its bytes stay");
    assert_eq!(put(deposit_of(2, 5, TransactionStatus::Failed, 0)), (used(0, 100), used(1, 7)));
    assert_eq!(
        put(deposit_of(2, 5, TransactionStatus::PendingPayment, 0)),
        (used(1, 100), used(1, 7)),
        "paid after all"
    );
    assert_eq!(put(deposit_of(1, 5, TransactionStatus::Credited, 0)), (used(1, 0), used(1, 7)), "erased");
    let manual = Transaction { source: Source::Manual, ..deposit_of(4, 5, TransactionStatus::Created, 9) };
    assert_eq!(put(manual), (used(1, 9), used(1, 7)), "a person enters no deposit that is to be paid");
}

#[test]
fn b1_a_row_that_is_put_back_gives_back_what_it_took() {
    let mut books = Books::new();
    let open = deposit_of(1, 5, TransactionStatus::Created, 100);
    books.apply(&commit(1, vec![row(open.clone())]));
    let stored = Aggregate { transaction: open.clone(), operations: Vec::new() };
    books.apply(&commit(2, vec![row(Transaction { status: TransactionStatus::Credited, ..open })]));
    assert_eq!(books.customer_use(CustomerId(5)), used(0, 100));
    books.restore_transaction(TransactionId(1), Some(&stored));
    assert_eq!(books.customer_use(CustomerId(5)), used(1, 100));
    books.restore_transaction(TransactionId(1), None);
    assert_eq!(books.customer_use(CustomerId(5)), used(0, 0));
}
