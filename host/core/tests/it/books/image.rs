//! An image of the books: copied while decisions go on, loaded, and with the rows applied that changed since, it gives every
//! answer that the books give.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Books, IMAGE_FORMAT, ImageBlock, ImageLoader, LoadedImage};
use cashier_core::change::Change;
use cashier_core::conversion::{Conversion, Rate};
use cashier_core::digest::PostedTotals;
use cashier_core::facts::{Facts, ProviderFact, Recorded};
use cashier_core::ids::*;
use cashier_core::operation::BalanceOperation;
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::status::*;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, Transaction};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::operation;
use crate::samples::*;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A history of rows: opened, changed, paid, credited; each change is noted once the image is begun.
struct History {
    books: Books,
    numbers: Numbers,
    changed: Vec<Change>,
    last: u64,
    operations: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        Self { books: Books::new(), numbers: Numbers(seed), changed: Vec::new(), last: 0, operations: 0 }
    }

    fn load(&mut self, change: Change) {
        self.books.load(change.clone());
        self.changed.push(change);
    }

    fn step(&mut self) {
        if self.last == 0 || self.numbers.below(3) == 0 {
            // Now and then an id is skipped, so that rows are not where their id says.
            self.last += 1 + u64::from(self.numbers.below(500) == 0);
            let (id, customer) = (self.last, self.numbers.below(40));
            let row = Transaction {
                customer_id: CustomerId(customer),
                login: Login(customer * 2 + self.numbers.below(2)),
                stored_bytes: u32::try_from(id % 7 * 300).unwrap_or(0),
                provider: format!("provider-{}", self.numbers.below(3)).into(),
                config_id: ConfigId(1 + self.numbers.below(3)),
                server: if id % 3 == 0 { far() } else { ServerName::default() },
                created_time: UnixTime(NOW.0 + i64::try_from(id).unwrap_or(0)),
                ..deposit(id)
            };
            return self.load(Change::Transaction(Box::new(row)));
        }
        let id = TransactionId(1 + self.numbers.below(self.last));
        let Some(Aggregate { mut transaction, operations }) = self.books.aggregate(id) else { return };
        match self.numbers.below(5) {
            0 => {
                transaction.status = TransactionStatus::Credited;
                transaction.expires_time = UnixTime::UNSET;
            }
            1 => {
                transaction.provider_payment_id = format!("pi_{}", id.0).into();
                transaction.refs =
                    [ProviderRef::new("ch", &format!("ch_{}", self.numbers.below(900)))].into_iter().collect::<Refs>();
            }
            2 => {
                transaction.status = TransactionStatus::Failed;
                transaction.first_answer = FirstAnswer::NeverSent;
            }
            3 => {
                let fact = ProviderFact::Confirmed { payment: format!("pay_{}", id.0).into(), minor: 10_000 };
                let provider = vec![Recorded { seq: Seq(1), at: NOW, fact }];
                transaction.facts = Facts { provider, persons: Vec::new() };
                transaction.method = format!("method-{}", self.numbers.below(4)).into();
            }
            _ => {
                let status = match self.numbers.below(3) {
                    0 => OperationStatus::Planned,
                    1 => OperationStatus::Posted,
                    _ => OperationStatus::Refused,
                };
                let known = operations.into_iter().next();
                let fresh = || {
                    self.operations += 1;
                    operation(self.operations, status)
                };
                let changed = BalanceOperation { transaction_id: id, status, ..known.unwrap_or_else(fresh) };
                return self.load(Change::Operation(Box::new(changed)));
            }
        }
        self.load(Change::Transaction(Box::new(transaction)));
    }

    fn event(&mut self, id: u64) {
        self.books.remember_event_key(ConfigId(1), &format!("evt_{id}"), EventId(id));
    }
}

/// A trading server elsewhere.
fn far() -> ServerName {
    ServerName::read("far").unwrap()
}

fn answers(books: &Books, last: u64) -> Vec<String> {
    let mut all = vec![format!("{} {:?} {:?}", books.transactions(), books.counters(), books.unsettled())];
    let posted = books.posted_elsewhere(&far()).map(|total| total.count);
    all.push(format!("{posted:?} {:?}", books.unrecorded_after(TransactionId(0), usize::MAX)));
    for id in (1..=last).map(TransactionId) {
        let Some(known) = books.aggregate(id) else { continue };
        let row = &known.transaction;
        let found = (
            books.by_reference(&row.reference),
            books.by_key(row.customer_id, KeySpace::Customer, &row.idempotency_key),
            books.by_carried("ion4", &format!("pi_{}", id.0), |_| true),
            books.owner_of_payment(&[row.config_id], &format!("pay_{}", id.0), |_| true),
            row.refs.iter().map(|known| books.by_provider_ref(row.config_id, known)).collect::<Vec<_>>(),
        );
        all.push(format!("{known:?} {found:?}"));
    }
    all.extend((0..45).map(|id| format!("{:?}", books.of_customer(CustomerId(id)).collect::<Vec<_>>())));
    all.extend((0..45).map(|id| format!("{:?}", books.customer_use(CustomerId(id)))));
    all.extend((0..5).map(|id| format!("{:?}", books.config_activity(ConfigId(id)))));
    all.extend((0..3_000).map(|id| format!("{:?}", books.known_event(ConfigId(1), &format!("evt_{id}")))));
    let mut page = |field, value: String| all.push(format!("{:?}", crate::query::page_of(books, field, &value)));
    (0..80).for_each(|login| page("login", login.to_string()));
    (1..10).for_each(|status| page("status", status.to_string()));
    (0..3).for_each(|provider| page("provider", format!("provider-{provider}")));
    all
}

/// Over the operations that are posted in the books.
fn posted(books: &Books) -> PostedTotals {
    let mut posted = PostedTotals::default();
    for known in books.aggregates() {
        known.operations.iter().for_each(|operation| posted.add(&known.transaction, operation));
    }
    posted
}

fn loaded(blocks: &[Vec<u8>]) -> Option<LoadedImage> {
    let mut loader = ImageLoader::default();
    for block in blocks {
        loader.add(ImageBlock::decode(block)?)?;
    }
    loader.finish()
}

/// The blocks of an image, with so many steps of history between two of them.
fn copied(history: &mut History, steps: u64) -> Vec<Vec<u8>> {
    let mut copy = history.books.begin_image().expect("no operation waits for its transaction");
    history.changed.clear();
    let (mut blocks, mut block) = (Vec::new(), Vec::new());
    while history.books.copy_image(&mut copy, &mut block) {
        blocks.push(block.clone());
        (0..steps).for_each(|_| history.step());
    }
    blocks
}

#[test]
fn s8_an_image_with_what_changed_since_gives_every_answer_of_the_books() {
    for (seed, steps_between) in [(1, 0), (2, 1), (3, 40), (4, 300)] {
        let mut history = History::new(seed);
        (0..6_000).for_each(|_| history.step());
        (0..2_000).for_each(|id| history.event(id));
        let blocks = copied(&mut history, steps_between);
        (0..500).for_each(|_| history.step());
        let mut image = loaded(&blocks).expect("an image");
        let (transactions, operations): (Vec<_>, Vec<_>) =
            history.changed.iter().partition(|change| matches!(change, Change::Transaction(_)));
        // A start reads the rows as they are at the end: each once, transactions first.
        let mut newest = std::collections::BTreeMap::new();
        for change in transactions.into_iter().chain(operations) {
            newest.insert(key(change), change.clone());
        }
        for change in newest.values() {
            assert!(image.apply(change), "seed {seed}: {change:?}");
        }
        let (left, built) = (answers(&history.books, history.last), answers(&image.books, history.last));
        for (left, built) in left.iter().zip(&built) {
            assert_eq!(left, built, "seed {seed}");
        }
        assert_eq!(left.len(), built.len());
        let expected = posted(&history.books);
        assert_eq!(image.posted, expected.embedded, "seed {seed}");
        let unrecorded =
            |known: &Aggregate| known.operations.iter().any(|known| known.status == OperationStatus::Planned);
        let waiting = history.books.aggregates().filter(unrecorded).map(|known| known.transaction.id).collect();
        assert_eq!(image.unrecorded, waiting, "seed {seed}");
        for books in [&history.books, &image.books] {
            let (found, expected) = (books.posted_elsewhere(&far()).unwrap(), &expected.elsewhere.0[&far()]);
            assert_eq!(found.count, expected.count, "seed {seed}");
            // One that is posted no more has no successor among the newest.
            assert!(found.recent.is_subset(&expected.recent) && !found.recent.is_empty(), "seed {seed}");
            let found = books.unrecorded_after(TransactionId(0), usize::MAX);
            assert!(found.iter().eq(image.unrecorded.iter()), "seed {seed}");
        }
    }
}

fn key(change: &Change) -> (u8, u64) {
    match change {
        Change::Transaction(row) => (0, row.id.0),
        Change::Operation(row) => (1, row.id.0),
        Change::Event(_) | Change::Config(_) | Change::ConfigDeleted(_) | Change::Override(_) | Change::Approval(_) => {
            (2, 0)
        }
    }
}

#[test]
fn books_of_an_image_go_on_as_the_others_do() {
    let mut history = History::new(7);
    (0..4_000).for_each(|_| history.step());
    let blocks = copied(&mut history, 0);
    let mut other = History {
        books: loaded(&blocks).expect("an image").books,
        numbers: Numbers(history.numbers.0),
        changed: Vec::new(),
        ..history
    };
    (0..4_000).for_each(|_| history.step());
    (0..4_000).for_each(|_| other.step());
    assert_eq!(history.last, other.last);
    for (left, right) in answers(&history.books, history.last).iter().zip(&answers(&other.books, other.last)) {
        assert_eq!(left, right);
    }
}

#[test]
fn s8_an_image_holds_the_slots_of_rows_that_were_taken_back() {
    for taken_back in [vec![1], vec![1, 2, 3], vec![700], vec![5, 256, 257, 1_024, 1_025]] {
        let mut history = History::new(13);
        (0..4_000).for_each(|_| history.step());
        let newest = history.last;
        for id in taken_back.iter().copied().chain([newest]) {
            history.books.restore_transaction(TransactionId(id), None);
        }
        let mut image = loaded(&copied(&mut history, 0)).expect("an image").books;
        // The newest of each config: that of a row which was taken back is remembered, and no image has it.
        for config in 1..=3 {
            let (id, created_time) = (newest + config, NOW.plus(1_000_000));
            let row = Transaction { config_id: ConfigId(config), created_time, ..deposit(id) };
            history.books.load(Change::Transaction(Box::new(row.clone())));
            image.load(Change::Transaction(Box::new(row)));
        }
        let (left, right) = (answers(&history.books, newest + 3), answers(&image, newest + 3));
        let expected = posted(&history.books).elsewhere.0[&far()].count;
        assert_eq!(history.books.posted_elsewhere(&far()).unwrap().count, expected, "{taken_back:?}");
        let differs = left.iter().zip(&right).find(|(left, right)| left != right);
        assert!(differs.is_none() && left.len() == right.len(), "{taken_back:?}: {differs:?}");
        assert_eq!(history.books.transactions(), image.transactions());
    }
}

#[test]
fn a_block_that_is_missing_cut_or_doubled_is_no_image() {
    let mut history = History::new(9);
    (0..3_000).for_each(|_| history.step());
    let blocks = copied(&mut history, 0);
    assert!(loaded(&blocks).is_some());
    assert!(loaded(&blocks[..blocks.len() - 1]).is_none(), "without its end");
    assert!(loaded(&blocks[1..]).is_none(), "without its first rows");
    let doubled: Vec<Vec<u8>> = blocks[..1].iter().chain(&blocks).cloned().collect();
    assert!(loaded(&doubled).is_none(), "more rows than it states");
    let rows = blocks.first().expect("rows");
    for length in 1..rows.len().min(2_000) {
        let cut = ImageBlock::decode(&rows[..length]);
        assert!(cut.is_none() || length == 1 || loaded(&[rows[..length].to_vec()]).is_none(), "{length}");
    }
}

#[test]
fn a_row_that_contradicts_an_image_in_what_never_changes_is_refused() {
    let mut history = History::new(11);
    (0..100).for_each(|_| history.step());
    let blocks = copied(&mut history, 0);
    let row = history.books.transaction(TransactionId(1)).expect("a row");
    let changed = |row| Change::Transaction(Box::new(row));
    let apply = |row| loaded(&blocks).expect("an image").apply(&changed(row));
    assert!(apply(row.clone()));
    assert!(!apply(Transaction { customer_id: CustomerId(77), ..row.clone() }));
    assert!(!apply(Transaction { login: Login(77), ..row.clone() }));
    assert!(!apply(Transaction { config_id: ConfigId(77), ..row.clone() }));
    assert!(!apply(Transaction { provider: "other".into(), ..row.clone() }));
    assert!(!apply(Transaction { reference: reference(77_777), ..row.clone() }));
    assert!(!apply(Transaction { created_time: NOW.plus(-1), ..row }));
}

#[test]
fn no_image_is_begun_while_an_operation_waits_for_its_transaction() {
    let mut books = Books::new();
    books.load(Change::Operation(Box::new(operation(1, OperationStatus::Planned))));
    assert!(books.begin_image().is_none());
    books.load(Change::Transaction(Box::new(deposit(15))));
    assert!(books.begin_image().is_some());
}

/// Rows with many kinds of values; fixed, so that the bytes of their image are.
fn varied_books() -> Books {
    let mut history = History::new(3);
    (0..3_000).for_each(|_| history.step());
    (0..300).for_each(|id| history.event(id));
    // The same in every run.
    let mut runner = TestRunner::deterministic();
    let fact = |_| crate::standing::any_fact().new_tree(&mut runner).expect("a fact").current();
    let provider = (0..200).map(fact).map(|fact| Recorded { seq: Seq(9), at: NOW.plus(5), fact }).collect();
    let facts = Facts { provider, persons: Vec::new() };
    let rate = Rate::parse("1.0832").unwrap();
    let conversion = Some(Box::new(Conversion { rate, time: NOW, source: "desk".into() }));
    history.load(Change::Transaction(Box::new(Transaction { facts, conversion, ..deposit(history.last + 1) })));
    history.books
}

#[test]
fn an_image_of_another_layout_has_another_format() {
    let books = varied_books();
    let mut copy = books.begin_image().expect("an image");
    let (mut block, mut hash) = (Vec::new(), 0xcbf2_9ce4_8422_2325_u64);
    while books.copy_image(&mut copy, &mut block) {
        hash = block.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }
    assert_eq!(
        (IMAGE_FORMAT, hash),
        (11, 5_961_091_720_834_494_131),
        "where the bytes of an image change, its format must"
    );
}
