//! Lists while rows change between two holds of the lock: every answer is that of one moment.

use cashier_core::books::{Books, LIST_BYTES_MAX, Progress, Scan, Scope};
use cashier_core::change::Change;
use cashier_core::filter::{Clause, Filter, FilterBuilder, TransactionField};
use cashier_core::ids::{CustomerId, Seq, TransactionId};
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::TransactionStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;

use crate::samples::*;

/// Books, the rows that they should hold, and a list that is under way in them.
struct Desk {
    books: Books,
    rows: Vec<Transaction>,
    seq: u64,
}

impl Desk {
    fn with(rows: Vec<Transaction>) -> Self {
        let mut books = Books::new();
        for row in &rows {
            books.load(Change::Transaction(Box::new(row.clone())));
        }
        Self { books, rows, seq: 0 }
    }

    fn commit(&mut self, row: Transaction) {
        self.seq += 1;
        self.books.apply(&commit(self.seq, vec![Change::Transaction(Box::new(row.clone()))]));
        match self.rows.iter_mut().find(|known| known.id == row.id) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
    }

    fn row(&self, id: u64) -> Transaction {
        self.rows[id as usize - 1].clone()
    }

    fn moves(&mut self, id: u64, status: TransactionStatus) {
        self.commit(Transaction { status, ..self.row(id) });
    }

    fn now(&self, filter: &Filter<TransactionField>) -> (Vec<u64>, u64) {
        let page = filter.page(self.rows.iter());
        (page.rows.iter().map(|row| row.id.0).collect(), page.count)
    }

    /// Answers the filter, with `between` after every hold but the last; the holds, and the answer of the books at each.
    fn list(
        &mut self,
        filter: &Filter<TransactionField>,
        mut between: impl FnMut(&mut Self, u64),
    ) -> (Answer, Moments) {
        let mut moments = Vec::new();
        // No capacity at first: a page is found after one more hold.
        let (mut capacity, mut resume): (usize, Option<Box<Scan>>) = (0, None);
        for hold in 0..10_000 {
            moments.push(self.now(filter));
            match self.books.query(filter, &Scope::default(), capacity, resume.take()) {
                Progress::Found(mut page) => {
                    let mut rows = Vec::new();
                    while !page.is_finished() {
                        rows.extend(self.books.take_rows(filter, &mut page));
                        between(self, hold);
                    }
                    return (Answer { rows, count: page.count(), newest: page.newest() }, moments);
                }
                Progress::More(scan) => resume = Some(scan),
                Progress::NeedsCapacity(scan, bytes) => (capacity, resume) = (bytes, Some(scan)),
                Progress::Restless | Progress::TooLarge => panic!("given up"),
            }
            between(self, hold);
        }
        panic!("the list does not end");
    }
}

type Moments = Vec<(Vec<u64>, u64)>;

/// The answer is that of one of the moments; how many holds it took.
fn assert_of_one_moment((answer, moments): (Answer, Moments)) -> usize {
    let ids: Vec<u64> = answer.rows.iter().map(|row| row.id.0).collect();
    let shown = (ids, answer.count);
    assert!(moments.contains(&shown), "{} rows of {}: of no moment", shown.0.len(), shown.1);
    moments.len()
}

/// Rows of status 1 and 3 by turns.
fn turns(count: u64) -> Vec<Transaction> {
    let status =
        |id: u64| if id.is_multiple_of(2) { TransactionStatus::PendingPayment } else { TransactionStatus::Credited };
    let row = |id: u64| Transaction { status: status(id), created_time: UnixTime(1_000 + id as i64), ..deposit(id) };
    (1..=count).map(row).collect()
}

fn one_and_three(more: impl FnOnce(&mut FilterBuilder<TransactionField>)) -> Filter<TransactionField> {
    let mut builder = FilterBuilder::new();
    let numbers =
        [TransactionStatus::PendingPayment, TransactionStatus::Credited].map(|status| status.number().to_string());
    let numbers: Vec<&str> = numbers.iter().map(|number| &**number).collect();
    builder.listed(Clause::WhereIn, "status", &numbers).unwrap();
    more(&mut builder);
    builder.build()
}

fn by_id(b: &mut FilterBuilder<TransactionField>) {
    b.order_by("id", "asc").unwrap();
    b.limit("20000").unwrap();
}

#[test]
fn s6_rows_that_go_from_1_to_3_between_holds_are_shown_once() {
    let mut desk = Desk::with(turns(12_000));
    // Each hold visits rows of one status; those that move go to the other, before and behind the cursor.
    let listed = desk.list(&one_and_three(by_id), |desk, hold| {
        for id in (1..=30).map(|step| (hold * 30 + step) * 2 % 12_000 + 2) {
            desk.moves(id.min(12_000), TransactionStatus::Credited);
        }
    });
    assert_eq!((listed.0.rows.len(), listed.0.count), (12_000, 12_000));
    assert!(assert_of_one_moment(listed) > 2);
}

#[test]
fn s6_rows_that_leave_or_enter_a_list_or_are_made_between_holds_are_of_one_moment() {
    let plain: fn(&mut FilterBuilder<TransactionField>) = |_| {};
    let scanned = |b: &mut FilterBuilder<TransactionField>| b.flat(Clause::Where, &["method", "=", "card"]).unwrap();
    let paged = |b: &mut FilterBuilder<TransactionField>| {
        b.flat(Clause::Where, &["method", "=", "card"]).unwrap();
        b.order_by("processed_time", "desc").unwrap();
        b.offset("300").unwrap();
    };
    let filters = [one_and_three(by_id), one_and_three(plain), one_and_three(scanned), one_and_three(paged)];
    for (place, filter) in filters.iter().enumerate() {
        let mut desk = Desk::with(turns(20_000));
        let listed = desk.list(filter, |desk, hold| {
            for step in 1..=7 {
                let id = (hold * 7919 + step * 3_001) % 20_000 + 1;
                let out = if step % 3 == 0 { TransactionStatus::Failed } else { TransactionStatus::PendingPayment };
                let processed_time = UnixTime((hold * 13 + step) as i64);
                let row = Transaction { status: out, processed_time, ..desk.row(id) };
                desk.commit(row);
            }
            // Of the newest, which are on the page.
            desk.moves(20_000 - hold % 50, TransactionStatus::Failed);
            let id = desk.rows.len() as u64 + 1;
            desk.commit(Transaction { status: TransactionStatus::PendingPayment, ..deposit(id) });
        });
        let holds = assert_of_one_moment(listed);
        assert!(holds > 1 || place == 1, "filter {place} took {holds} holds");
    }
}

#[test]
fn s6_a_page_far_behind_the_first_row_is_of_one_moment() {
    let orders: [&[(&str, &str)]; 3] = [&[], &[("processed_time", "desc")], &[("login", "asc"), ("id", "desc")]];
    for (order, offset) in orders.into_iter().zip(["20000", "25000", "11000"]) {
        let filter = one_and_three(|b| {
            order.iter().for_each(|(field, direction)| b.order_by(field, direction).unwrap());
            b.offset(offset).unwrap();
        });
        let mut desk = Desk::with(turns(40_000));
        let listed = desk.list(&filter, |desk, hold| {
            for step in 1..=9 {
                let id = (hold * 7_919 + step * 3_001) % 40_000 + 1;
                let status = if step % 3 == 0 { TransactionStatus::Failed } else { TransactionStatus::PendingPayment };
                let processed_time = UnixTime((hold * 13 + step) as i64);
                let row = Transaction { status, processed_time, ..desk.row(id) };
                desk.commit(row);
            }
            let id = desk.rows.len() as u64 + 1;
            desk.commit(Transaction { status: TransactionStatus::PendingPayment, ..deposit(id) });
        });
        assert_eq!(listed.0.rows.len(), 100);
        assert!(assert_of_one_moment(listed) > 10, "{order:?}");
    }
}

#[test]
fn s6_a_row_that_is_taken_back_between_holds_is_in_no_list() {
    for offset in ["0", "9000"] {
        let filter = one_and_three(|b| {
            by_id(b);
            b.offset(offset).unwrap();
        });
        let mut desk = Desk::with(turns(30_000));
        let listed = desk.list(&filter, |desk, hold| {
            if (1..=3).contains(&hold) {
                let newest = TransactionId(desk.rows.len() as u64);
                desk.books.restore_transaction(newest, None);
                desk.rows.pop();
            }
        });
        assert_eq!(listed.0.count, 29_997);
        assert_of_one_moment(listed);
    }
}

#[test]
fn s6_a_list_begins_again_when_more_changed_than_is_remembered() {
    let mut desk = Desk::with(turns(12_000));
    let filter = one_and_three(by_id);
    let listed = desk.list(&filter, |desk, hold| {
        if hold == 1 {
            for id in 1..=9_000 {
                let row = Transaction { status: TransactionStatus::Failed, ..deposit(id) };
                desk.seq += 1;
                desk.books.apply(&commit(desk.seq, vec![Change::Transaction(Box::new(row.clone()))]));
                desk.rows[id as usize - 1] = row;
            }
        }
    });
    assert_eq!(listed.0.count, 3_000);
    assert_of_one_moment(listed);
}

#[test]
fn s6_a_list_that_more_and_more_changes_under_is_given_up() {
    let mut desk = Desk::with(turns(9_000));
    let filter = one_and_three(by_id);
    let mut resume = None;
    for hold in 0..100 {
        match desk.books.query(&filter, &Scope::default(), LIST_BYTES_MAX, resume.take()) {
            Progress::Found(_) | Progress::TooLarge | Progress::NeedsCapacity(..) => panic!("of no moment"),
            Progress::More(scan) => resume = Some(scan),
            Progress::Restless => {
                assert_eq!(hold, 17, "begun again 16 times");
                return;
            }
        }
        // What no commit made: the row was put back after its commit was refused.
        desk.books.load(Change::Transaction(Box::new(deposit(1))));
    }
    panic!("never given up");
}

#[test]
fn s6_a_list_waits_for_every_commit_that_touched_a_row_in_its_scope() {
    let mut desk = Desk::with(turns(10));
    desk.moves(2, TransactionStatus::Failed);
    let (answer, _) = desk.list(&one_and_three(by_id), |_, _| {});
    assert_eq!((answer.count, answer.newest), (9, Seq(1)), "that row 2 is missing is not durable before");
    desk.commit(Transaction { customer_id: CustomerId(99), ..deposit(11) });
    let own = Scope { customer: Some(CustomerId(5)), brand: None };
    let Progress::Found(page) = desk.books.query(&Filter::default(), &own, LIST_BYTES_MAX, None) else {
        panic!("one hold is enough")
    };
    assert_eq!((page.count(), page.newest()), (10, Seq(1)), "another customer's is not waited for");
}

#[test]
fn b2_a_page_whose_rows_take_more_than_a_named_number_of_bytes_is_not_held() {
    let refs: Refs = (0..64).map(|n| ProviderRef::new("charge", &format!("{n:0>250}"))).collect();
    let row = |id: u64| Transaction { refs: refs.clone(), ..deposit(id) };
    let fits = LIST_BYTES_MAX / (18 * 1024);
    let desk = Desk::with((1..=2_500).map(row).collect());
    let list = |limit: usize| {
        let mut builder = FilterBuilder::<TransactionField>::new();
        builder.limit(&limit.to_string()).unwrap();
        match desk.books.query(&builder.build(), &Scope::default(), LIST_BYTES_MAX, None) {
            Progress::Found(page) => Some((page.bytes() <= LIST_BYTES_MAX, page.count())),
            Progress::TooLarge => None,
            Progress::More(_) | Progress::NeedsCapacity(..) | Progress::Restless => panic!("one hold is enough"),
        }
    };
    assert_eq!((list(fits), list(2_500)), (Some((true, 2_500)), None));
}

#[test]
fn b2_the_rows_of_a_page_are_copied_once_there_is_capacity_for_them() {
    let mut desk = Desk::with(turns(9_000));
    for (offset, limit) in [(0, 3_000), (8_500, 300)] {
        let mut builder = FilterBuilder::<TransactionField>::new();
        builder.limit(&limit.to_string()).unwrap();
        builder.offset(&offset.to_string()).unwrap();
        let filter = builder.build();
        let (mut resume, mut sized) = (None, Vec::new());
        let page = loop {
            let capacity = sized.last().copied().unwrap_or_default();
            match desk.books.query(&filter, &Scope::default(), capacity, resume.take()) {
                Progress::Found(page) => break page,
                Progress::More(scan) => resume = Some(scan),
                Progress::NeedsCapacity(scan, bytes) => {
                    sized.push(bytes);
                    resume = Some(scan);
                    // A row changes, and the page is that of a later moment.
                    desk.moves(9_000 - offset, TransactionStatus::Failed);
                }
                Progress::TooLarge | Progress::Restless => panic!("given up"),
            }
        };
        assert!(!sized.is_empty() && page.bytes() <= *sized.last().unwrap(), "{sized:?} {}", page.bytes());
        assert_eq!(page.count(), desk.now(&filter).1);
    }
}
