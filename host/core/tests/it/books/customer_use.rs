//! What a customer takes of what is limited: right after every change of a row, in any order of loading, after an image and
//! after a row that was taken back.

use cashier_core::books::{CustomerUse, STORED_PERIOD_DAYS, StoredBy, StoredBytes};

use super::*;

const DAY: i64 = 24 * 60 * 60;

/// Open deposits, and bytes that deposits and withdrawals stored.
type Used = (u32, u64);

fn used(open_deposits: u32, stored_bytes: u64) -> Used {
    (open_deposits, stored_bytes)
}

fn shown(taken: CustomerUse) -> Used {
    let bytes = |by| taken.stored(by, deposit(1).created_time).sum();
    (taken.open_deposits, bytes(StoredBy::Deposits) + bytes(StoredBy::Withdrawals))
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
        (shown(books.customer_use(CustomerId(5))), shown(books.customer_use(CustomerId(6))))
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
    assert_eq!(shown(books.customer_use(CustomerId(5))), used(0, 100));
    books.restore_transaction(TransactionId(1), Some(&stored));
    assert_eq!(shown(books.customer_use(CustomerId(5))), used(1, 100));
    books.restore_transaction(TransactionId(1), None);
    assert_eq!(shown(books.customer_use(CustomerId(5))), used(0, 0));
}

#[test]
fn b1_stored_bytes_count_until_the_period_after_theirs_has_ended_whatever_the_order_of_the_rows() {
    const PERIOD: i64 = STORED_PERIOD_DAYS * DAY;
    let begin = 600 * PERIOD;
    let made = |id: u64, at: i64, bytes: u32| Transaction {
        created_time: UnixTime(begin + at),
        ..deposit_of(id, 5, TransactionStatus::Credited, bytes)
    };
    let withdrawal = Transaction { kind: TransactionType::Withdrawal, ..made(4, PERIOD, 1_000) };
    let rows = [made(1, -1, 1), made(2, 0, 10), made(3, PERIOD, 100), withdrawal];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut books = Books::new();
        for (seq, index) in (1..).zip(order) {
            books.apply(&commit(seq, vec![row(rows[index].clone())]));
        }
        let taken = books.customer_use(CustomerId(5));
        let at = |time: i64, by| {
            let StoredBytes { before, current, seconds_left } = taken.stored(by, UnixTime(begin + time));
            (before, current, seconds_left)
        };
        let deposits = |time: i64| at(time, StoredBy::Deposits);
        assert_eq!(deposits(PERIOD), (10, 100, PERIOD), "{order:?}: what is older is over");
        assert_eq!(deposits(2 * PERIOD - 1), (10, 100, 1));
        assert_eq!(deposits(2 * PERIOD), (100, 0, PERIOD));
        assert_eq!(deposits(3 * PERIOD), (0, 0, PERIOD));
        assert_eq!(at(PERIOD, StoredBy::Withdrawals), (0, 1_000, PERIOD), "a sum of their own");
        assert_eq!(books.customers_storing(1_000, UnixTime(begin + PERIOD), 5), (1, vec![CustomerId(5)]));
        assert_eq!(books.customers_storing(1_001, UnixTime(begin + PERIOD), 5), (0, vec![]));
        books.restore_transaction(TransactionId(3), None);
        let taken = books.customer_use(CustomerId(5));
        assert_eq!(taken.stored(StoredBy::Deposits, UnixTime(begin + PERIOD)).sum(), 10);
    }
}

#[test]
fn b1_when_bytes_fit_again_is_known() {
    let stored = StoredBytes { before: 40, current: 50, seconds_left: 7 };
    let period = STORED_PERIOD_DAYS * DAY;
    let table =
        [(10, Some(0)), (11, Some(7)), (50, Some(7)), (51, Some(7 + period)), (100, Some(7 + period)), (101, None)];
    for (wanted, seconds) in table {
        assert_eq!(stored.seconds_until(wanted, 100), seconds, "{wanted}");
    }
}
