//! A trading server elsewhere beside the books of a running cashier: what agrees, also while postings are made, lists no row; what
//! differs is found, named one by one, and gone once it is put right.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cashier_core::account::{AccountFacts, Customer, Group};
use cashier_core::ids::{CustomerId, ServerName};
use cashier_core::operation::PostingFlaw;
use cashier_core::status::OperationCmd;
use futures_util::future::{BoxFuture, ready};

use super::*;
use crate::pair::elsewhere::{Agreement, BooksComparison, ComparedBefore, DifferenceStanding};
use crate::ports::{Clock, DifferenceKind, PostStep, ServerDifferences, Voiding};
use crate::test_cashier::TestClock;
use crate::trading::remote::{PostingsPage, RemoteServer, UnreadPosting};

/// A server elsewhere that posts into memory.
#[derive(Default)]
pub(super) struct Far {
    pub(super) postings: Mutex<Vec<FoundPosting>>,
    /// Orders of others that name a key.
    named: Mutex<Vec<FoundPosting>>,
    /// Rows that cannot be read.
    unread: Mutex<Vec<UnreadPosting>>,
    counts: bool,
    /// Of a key that it does not have it says that the outcome is unknown, as of a request with a recorded number; or nothing.
    pub(super) says: Mutex<OfOthers>,
    /// It lists nothing, as where a list is cut.
    pub(super) lists_nothing: AtomicBool,
    /// For so long it is not to be called: until that was waited for, nothing is answered.
    pub(super) pause: Mutex<Duration>,
    /// Done while it is asked for its count, the next one first.
    meanwhile: Mutex<Vec<Meanwhile>>,
    pages: AtomicUsize,
    /// Asked for a key of which it says nothing, it asks not to be called for so long.
    asks_to_wait: Mutex<Duration>,
    /// The key and number of an order that it has beside the one that it lists: it names that one to who asks for the key.
    second: Mutex<Option<(OperationKey, u64)>>,
}

/// What is said of keys that are not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum OfOthers {
    #[default]
    NotMade,
    Unknown,
    Nothing,
}

type Meanwhile = Box<dyn FnOnce(&Far) + Send>;

impl Far {
    pub(super) fn take(&self, index: usize) -> FoundPosting {
        self.postings.lock().unwrap().remove(index)
    }

    pub(super) fn put(&self, posting: FoundPosting) {
        self.postings.lock().unwrap().push(posting);
    }
}

impl RemoteServer for Far {
    fn account(&self, _: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        Box::pin(ready(Ok(None)))
    }

    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn customer(&self, _: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>> {
        Box::pin(ready(Ok(None)))
    }

    fn post(&self, _: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        Box::pin(ready(PostStep::NotSent))
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        if !self.pause.lock().unwrap().is_zero() {
            return Box::pin(ready(Err(Fault::new("it asked not to be called"))));
        }
        let known = self.postings.lock().unwrap();
        let known = known.iter().find(|known| known.key == posting.key());
        let outcome = known.map(|known| match known.is_same(&posting.operation) {
            true => known.outcome.clone(),
            false => PostingOutcome::Conflict,
        });
        let said = match (outcome, *self.says.lock().unwrap()) {
            (None, OfOthers::Unknown) => Ok(Some(PostingOutcome::Unknown)),
            (None, OfOthers::Nothing) => {
                *self.pause.lock().unwrap() = *self.asks_to_wait.lock().unwrap();
                Err(Fault::new("the key is pending"))
            }
            (Some(PostingOutcome::Posted { trade_order, flaw }), _) => {
                let second = self.second.lock().unwrap().clone().filter(|(key, _)| *key == posting.key());
                let flaw = second.map(|(_, other)| PostingFlaw::Twice { other }).or(flaw);
                Ok(Some(PostingOutcome::Posted { trade_order, flaw }))
            }
            (outcome, _) => Ok(outcome),
        };
        Box::pin(ready(said))
    }

    fn void(&self, _: Durable<Posting>, _: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        Box::pin(ready(Err(Fault::new("nothing is voided here"))))
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }

    fn postings(&self, _: Box<str>, _: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>> {
        self.pages.fetch_add(1, Ordering::SeqCst);
        let lists = !self.lists_nothing.load(Ordering::SeqCst);
        let postings = if lists { self.postings.lock().unwrap().clone() } else { Vec::new() };
        let (unread, named) = (self.unread.lock().unwrap().clone(), self.named.lock().unwrap().clone());
        Box::pin(ready(Ok(PostingsPage { postings, named, unread, ..PostingsPage::default() })))
    }

    fn posted_count(&self) -> BoxFuture<'static, Result<Option<u64>, Fault>> {
        let next = self.meanwhile.lock().unwrap().pop();
        next.into_iter().for_each(|next| next(self));
        let count = self.postings.lock().unwrap().iter().filter(|known| known.is_posted()).count() as u64;
        let count = count + self.unread.lock().unwrap().iter().filter(|unread| unread.is_posted).count() as u64;
        Box::pin(ready(Ok(self.counts.then_some(count))))
    }

    /// Whoever asks waits for it.
    fn pause(&self) -> Duration {
        std::mem::take(&mut *self.pause.lock().unwrap())
    }

    /// Not called while it asks not to be.
    fn answers(&self) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(ready(self.health()))
    }

    fn health(&self) -> Result<(), Fault> {
        match self.pause.lock().unwrap().is_zero() {
            true => Ok(()),
            false => Err(Fault::new("it asked not to be called")),
        }
    }
}

/// The books, the server, and what is known of both.
struct Compared {
    books: Cashier,
    far: Far,
    clock: TestClock,
    before: ComparedBefore,
    _folder: TempDir,
}

pub(super) fn far_name() -> ServerName {
    ServerName::read("far").unwrap()
}

impl Compared {
    /// Three deposits were posted at a server that counts, or does not.
    async fn with_three(counts: bool) -> Self {
        let folder = folder();
        let books = Cashier::open(folder.path()).await.unwrap();
        let far = Far { counts, ..Far::default() };
        let compared =
            Self { books, far, clock: TestClock::default(), before: ComparedBefore::default(), _folder: folder };
        for _ in 0..3 {
            compared.pay(Settle::Recorded).await;
        }
        // The comparison begins after they were recorded.
        compared.clock.advance(Duration::from_secs(10));
        compared
    }

    /// A deposit of 25.50 USD.
    async fn pay(&self, how: Settle) -> TransactionId {
        let (id, found) = plan(&self.books).await;
        self.far.put(found);
        if how == Settle::Recorded {
            record(&self.books, id).await;
        }
        id
    }

    fn comparison(&self) -> BooksComparison<'_> {
        static FAR: std::sync::LazyLock<ServerName> = std::sync::LazyLock::new(far_name);
        BooksComparison {
            ledger: &self.books.ledger,
            clock: &self.clock,
            name: &FAR,
            server: &self.far,
            before: &self.before,
        }
    }

    async fn quickly(&self) -> Agreement {
        self.comparison().quickly().await.unwrap()
    }

    /// Lists the rows, and remembers what it found.
    async fn listed(&mut self) -> Option<ServerDifferences> {
        let found = self.comparison().thoroughly().await.unwrap();
        self.before =
            ComparedBefore { began: Some(self.clock.now()), differences: found.clone().map(Arc::new), database: 0 };
        found
    }

    fn differs(&self) -> Vec<(DifferenceKind, TransactionId)> {
        let known = self.before.differences.as_ref().map(|known| known.kept.clone()).unwrap_or_default();
        known.into_iter().map(|one| (one.kind, one.transaction_id)).collect()
    }
}

/// A paid deposit, and its posting as the server makes it.
pub(super) async fn plan(books: &Cashier) -> (TransactionId, FoundPosting) {
    let account = books.trading.account(Login(100)).await.unwrap().unwrap();
    let account = AccountFacts { server: far_name(), ..account };
    let reference = Reference::from_random(SystemEntropy.bits());
    let own = reference.clone();
    books
        .decide(move |draft| {
            let fresh = Fresh { id: draft.next_transaction(), reference: own, now: NOW };
            let blank = Transaction::blank(fresh, Login(100), usd(2_550), &account);
            let row = Transaction { config_id: ConfigId(1), provider: "stub".into(), ..blank };
            draft.add([Change::Transaction(Box::new(row))]);
        })
        .await;
    books.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor: 2_550 }).await;
    let id = books.ledger.peek(|books| books.by_reference(&reference)).unwrap().unwrap();
    let known = books.ledger.peek(|books| books.aggregate(id)).unwrap().unwrap();
    let operation = &known.operations[0];
    let found = FoundPosting {
        key: OperationKey::of(&reference, operation),
        operation_id: operation.id,
        transaction_id: id,
        customer_id: CustomerId(5),
        login: operation.login,
        cmd: operation.cmd,
        reason: operation.reason,
        amount: operation.amount,
        created_time: NOW,
        outcome: PostingOutcome::posted(7_000 + id.0),
    };
    (id, found)
}

pub(super) async fn record(books: &Cashier, id: TransactionId) {
    end(books, id, PostingOutcome::posted(7_000 + id.0)).await;
}

pub(super) async fn end(books: &Cashier, id: TransactionId, outcome: PostingOutcome) {
    books
        .decide(move |draft| {
            let (aggregate, at) = (draft.aggregate(id).unwrap(), draft.context());
            let operation = aggregate.operations[0].id;
            draft.add(aggregate.end_posting(operation, &outcome, ManagerId(0), at));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn books_and_a_server_that_agree_list_no_row_also_with_a_posting_that_is_not_recorded() {
    let mut compared = Compared::with_three(true).await;
    compared.pay(Settle::Posted).await;
    // Planned, and not posted yet.
    plan(&compared.books).await;
    for began in [None, Some(NOW)] {
        compared.before.began = began;
        assert_eq!(compared.quickly().await, Agreement::Equal);
    }
    assert_eq!(compared.far.pages.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn postings_that_are_made_and_recorded_while_it_compares_are_no_difference() {
    let mut compared = Compared::with_three(true).await;
    compared.before.began = Some(NOW);
    // As many as there are counts, so that no two of them ever agree: the counts have bounds.
    for _ in 0..20 {
        let (_, found) = plan(&compared.books).await;
        compared.far.meanwhile.lock().unwrap().push(Box::new(move |far: &Far| far.put(found)));
    }
    assert_eq!(compared.quickly().await, Agreement::Equal);
    assert_eq!(compared.far.meanwhile.lock().unwrap().len(), 10, "five times two counts");
    // More are lost than can be under way.
    for id in 4..=13 {
        record(&compared.books, TransactionId(id)).await;
    }
    compared.far.postings.lock().unwrap().clear();
    assert!(matches!(compared.quickly().await, Agreement::Differs(_)));
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_the_server_lost_is_named_until_it_is_there_again() {
    for counts in [true, false] {
        let mut compared = Compared::with_three(counts).await;
        let lost = compared.far.take(2);
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
        let found = compared.listed().await.unwrap();
        let key = &lost.key;
        let sentence = format!(
            "it does not have 1 postings of the books (the first: operation 3 of transaction 3, key {key}, 25.5 USD to login 100)"
        );
        assert_eq!(*found.sentence, *sentence);
        assert_eq!(compared.differs(), [(DifferenceKind::Lost, TransactionId(3))]);
        let text = format!(
            "the trading server does not have a posting of the books: key {key}, 25.5 USD to login 100, trade order 7003, transaction 3"
        );
        assert_eq!(found.kept[0].to_string(), text);
        // Known as it is, it is not found anew, and nothing is listed.
        let (pages, before) = (compared.far.pages.load(Ordering::SeqCst), found.kept[0].since);
        compared.clock.advance(Duration::from_secs(60));
        assert_eq!(compared.quickly().await, Agreement::Equal, "{counts}");
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::Stands);
        assert_eq!(compared.far.pages.load(Ordering::SeqCst), pages + usize::from(!counts));
        assert_eq!(compared.listed().await.unwrap().kept[0].since, before);
        compared.far.put(lost);
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
        assert_eq!(compared.listed().await, None);
        assert_eq!(compared.quickly().await, Agreement::Equal);
    }
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_the_books_do_not_have_is_named_with_its_transaction_where_there_is_one() {
    for counts in [true, false] {
        let mut compared = Compared::with_three(counts).await;
        // One of other books, and one that these have as refused.
        let of_others = FoundPosting {
            key: OperationKey::read("dabcdefghjkmnpqrstvw:1").unwrap(),
            transaction_id: TransactionId(90),
            ..compared.far.postings.lock().unwrap()[0].clone()
        };
        compared.far.put(of_others);
        let id = compared.pay(Settle::Posted).await;
        end(&compared.books, id, PostingOutcome::Refused { reason: "NO".into() }).await;
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
        let found = compared.listed().await.unwrap();
        assert_eq!(compared.differs(), [(DifferenceKind::Extra, TransactionId(0)), (DifferenceKind::Extra, id)]);
        assert_eq!((found.count, found.surplus, found.lost, found.beyond()), (2, 2, 0, 0));
        assert_eq!(
            found.kept[0].to_string(),
            "the books do not have a posting of the trading server: key dabcdefghjkmnpqrstvw:1, 25.5 USD to login 100, trade order 7001"
        );
        assert_eq!(compared.quickly().await, Agreement::Equal, "{counts}");
        // A further one is a further difference.
        compared.pay(Settle::Recorded).await;
        let more = FoundPosting { key: OperationKey::read("dabcdefghjkmnpqrstvx:1").unwrap(), ..compared.far.take(0) };
        compared.far.put(more);
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_posting_of_another_amount_is_named_as_the_server_has_it() {
    for counts in [true, false] {
        let mut compared = Compared::with_three(counts).await;
        compared.far.postings.lock().unwrap()[1].amount = usd(99_900);
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
        let found = compared.listed().await.unwrap();
        assert_eq!(compared.differs(), [(DifferenceKind::Other, TransactionId(2))]);
        assert_eq!((found.count, found.surplus, found.lost), (1, 0, 0), "it is not lost, too");
        assert_eq!(found.kept[0].amount, usd(99_900));
        assert_eq!(compared.quickly().await, Agreement::Equal);
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::NotSaid);
    }
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_the_server_made_twice_or_under_another_number_is_named_until_one_of_both_is_gone() {
    for counts in [true, false] {
        let mut compared = Compared::with_three(counts).await;
        let again =
            FoundPosting { outcome: PostingOutcome::posted(9_999), ..compared.far.postings.lock().unwrap()[1].clone() };
        compared.far.put(again);
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
        let found = compared.listed().await.unwrap();
        assert_eq!(compared.differs(), [(DifferenceKind::OtherOrder, TransactionId(2))]);
        assert_eq!((found.count, found.surplus, found.lost, found.beyond()), (1, 1, 0, 0));
        assert_eq!(found.kept[0].trade_order, 9_999, "the one to delete");
        assert_eq!(
            found.kept[0].to_string(),
            format!(
                "the trading server has a posting as another order than the books name, or has both: key {}, 25.5 USD to login 100, trade order 9999, transaction 2",
                found.kept[0].key
            )
        );
        drop(compared.far.take(3));
        assert_eq!(compared.listed().await, None);
        // The one that the books name was deleted instead.
        compared.before = ComparedBefore::default();
        compared.far.postings.lock().unwrap()[1].outcome = PostingOutcome::posted(9_999);
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
        compared.listed().await.unwrap();
        assert_eq!(compared.differs(), [(DifferenceKind::OtherOrder, TransactionId(2))], "it is not lost, too");
        assert_eq!(compared.quickly().await, Agreement::Equal, "nothing is found anew");
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::Stands);
        compared.far.postings.lock().unwrap()[1].outcome = PostingOutcome::posted(7_002);
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
    }
}

#[tokio::test(start_paused = true)]
async fn a_posting_of_no_recorded_outcome_that_is_listed_under_two_numbers_is_named() {
    let mut compared = Compared::with_three(false).await;
    let id = compared.pay(Settle::Posted).await;
    assert_eq!(compared.listed().await, None);
    let again =
        FoundPosting { outcome: PostingOutcome::posted(9_999), ..compared.far.postings.lock().unwrap()[3].clone() };
    compared.far.put(again.clone());
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::OtherOrder, id)]);
    // One that changed while it was listed stands there twice.
    compared.far.postings.lock().unwrap()[3] = again;
    assert_eq!(compared.listed().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_one_difference_and_hides_no_other() {
    for counts in [true, false] {
        let mut compared = Compared::with_three(counts).await;
        let unread = |key: Option<&OperationKey>, is_posted| UnreadPosting {
            key: key.cloned(),
            is_posted,
            what: "key test, trade order 7: posting key must be the key of an operation".into(),
        };
        compared.far.unread.lock().unwrap().push(unread(None, true));
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts}");
        let lost = compared.far.take(2);
        let found = compared.listed().await.unwrap();
        assert_eq!(
            *found.sentence,
            *format!(
                "it does not have 1 postings of the books (the first: operation 3 of transaction 3, key {}, 25.5 USD to login \
                 100); 1 of its postings cannot be read (the first: {})",
                lost.key,
                unread(None, true).what
            )
        );
        assert_eq!(compared.differs(), [(DifferenceKind::Lost, TransactionId(3))]);
        assert_eq!((found.count, found.surplus, found.lost, found.unread, found.beyond()), (2, 1, 1, 1, 1));
        compared.far.put(lost);
        assert_eq!(compared.listed().await.unwrap().beyond(), 1, "it is one item of the work list");
        assert_eq!(compared.quickly().await, Agreement::Equal, "the count is as it was found");
        assert_eq!(
            compared.comparison().standing().await.unwrap(),
            DifferenceStanding::NotSaid,
            "it may be readable now"
        );
        // Of a posting of the books the one row that cannot be read is all that differs, whether they recorded it or not.
        compared.far.unread.lock().unwrap().clear();
        let unrecorded = compared.pay(Settle::Posted).await;
        for index in [2, 2] {
            let posting = compared.far.take(index);
            compared.far.unread.lock().unwrap().push(unread(Some(&posting.key), true));
        }
        let found = compared.listed().await.unwrap();
        assert_eq!((found.count, found.surplus, found.lost, found.unread), (2, 0, 0, 2), "{counts}");
        // One that was refused counts nowhere, and is not taken for the posting of the books.
        compared.far.unread.lock().unwrap().clear();
        record(&compared.books, unrecorded).await;
        let key = compared.far.postings.lock().unwrap()[0].key.clone();
        drop(compared.far.take(0));
        compared.far.unread.lock().unwrap().push(unread(Some(&key), false));
        let found = compared.listed().await.unwrap();
        assert_eq!((found.count, found.surplus, found.lost, found.unread), (4, 0, 3, 1), "{counts}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_differences_than_are_kept_are_counted() {
    let mut compared = Compared::with_three(true).await;
    let one = compared.far.take(0);
    for number in 0..300 {
        let key = OperationKey::read(&format!("dabcdefghjkmnpqrstvw:{}", number + 1)).unwrap();
        compared.far.put(FoundPosting { key, ..one.clone() });
    }
    let found = compared.listed().await.unwrap();
    assert_eq!((found.count, found.surplus, found.lost, found.kept.len(), found.beyond()), (301, 300, 1, 256, 45));
    assert_eq!(found.kept[0].kind, DifferenceKind::Lost, "its customer may be unpaid");
    assert_eq!(compared.quickly().await, Agreement::Equal, "the count is as it was found");
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_is_not_listed_is_named_also_where_the_server_does_not_say_that_it_has_not_made_it() {
    for (counts, says) in [(true, OfOthers::Unknown), (false, OfOthers::Unknown), (true, OfOthers::Nothing)] {
        let mut compared = Compared::with_three(counts).await;
        let missing = compared.far.take(2);
        *compared.far.says.lock().unwrap() = says;
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts} {says:?}");
        let found = compared.listed().await.unwrap();
        assert_eq!(compared.differs(), [(DifferenceKind::Unsaid, TransactionId(3))], "{says:?}");
        assert_eq!((found.count, found.lost, found.unsaid), (1, 0, 1));
        let text = format!(
            "the trading server does not list a posting of the books, and does not say that it has not made it: key {}, \
             25.5 USD to login 100, trade order 7003, transaction 3",
            missing.key
        );
        assert_eq!(found.kept[0].to_string(), text);
        assert_eq!(compared.quickly().await, Agreement::Equal, "whether it counts it is not known");
        let standing = match says {
            OfOthers::Nothing => DifferenceStanding::NotSaid,
            OfOthers::Unknown | OfOthers::NotMade => DifferenceStanding::Stands,
        };
        assert_eq!(compared.comparison().standing().await.unwrap(), standing, "{says:?}");
        compared.far.put(missing);
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
        assert_eq!(compared.listed().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lost_postings_of_the_last_hour_is_found_though_newer_ones_are_there() {
    let mut compared = Compared::with_three(false).await;
    compared.before.began = Some(NOW);
    drop(compared.far.take(0));
    for _ in 0..20 {
        compared.pay(Settle::Recorded).await;
    }
    assert!(matches!(compared.quickly().await, Agreement::Differs(_)));
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::Lost, TransactionId(1))]);
}

#[tokio::test(start_paused = true)]
async fn what_only_a_list_of_all_rows_says_is_not_taken_for_put_right() {
    let mut compared = Compared::with_three(true).await;
    let of_others = FoundPosting {
        key: OperationKey::read("dabcdefghjkmnpqrstvw:1").unwrap(),
        ..compared.far.postings.lock().unwrap()[0].clone()
    };
    compared.far.put(of_others);
    compared.far.postings.lock().unwrap()[1].amount = usd(99_900);
    // Of other values, and the operation was refused for it.
    let id = compared.pay(Settle::Posted).await;
    compared.far.postings.lock().unwrap()[4].amount = usd(7);
    end(&compared.books, id, PostingOutcome::Conflict).await;
    compared.listed().await.unwrap();
    let (extra, other) = (DifferenceKind::Extra, DifferenceKind::Other);
    assert_eq!(compared.differs(), [(extra, TransactionId(0)), (extra, id), (other, TransactionId(2))]);
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::NotSaid);
}

#[tokio::test(start_paused = true)]
async fn a_posting_of_another_servers_transaction_is_one_that_the_books_do_not_have_there() {
    let mut compared = Compared::with_three(true).await;
    static OTHER: std::sync::LazyLock<ServerName> = std::sync::LazyLock::new(|| ServerName::read("other").unwrap());
    let comparison = BooksComparison { name: &OTHER, ..compared.comparison() };
    assert!(matches!(comparison.quickly().await.unwrap(), Agreement::Differs(_)));
    let found = comparison.thoroughly().await.unwrap();
    compared.before.differences = found.map(Arc::new);
    let extra = |id| (DifferenceKind::Extra, TransactionId(id));
    assert_eq!(compared.differs(), [extra(1), extra(2), extra(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asked_not_to_be_called_is_waited_for_and_not_taken_for_one_that_says_nothing() {
    let mut compared = Compared::with_three(true).await;
    let lost = compared.far.take(2);
    *compared.far.pause.lock().unwrap() = Duration::from_secs(30);
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::Lost, TransactionId(3))]);
    compared.far.put(lost);
    *compared.far.pause.lock().unwrap() = Duration::from_secs(30);
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_which_it_says_nothing_and_asks_to_wait_holds_up_no_comparison() {
    for began in [None, Some(NOW)] {
        let mut compared = Compared::with_three(true).await;
        (compared.before.began, compared.clock) = (began, TestClock::running());
        plan(&compared.books).await;
        *compared.far.says.lock().unwrap() = OfOthers::Nothing;
        *compared.far.asks_to_wait.lock().unwrap() = Duration::from_secs(5);
        assert_eq!(compared.quickly().await, Agreement::Equal);
        // As long as that is waited for, too, no further key is asked for.
        *compared.far.asks_to_wait.lock().unwrap() = Duration::from_secs(60);
        for _ in 0..3 {
            plan(&compared.books).await;
        }
        let before = compared.clock.monotonic();
        assert_eq!(compared.quickly().await, Agreement::Equal);
        assert_eq!(compared.clock.monotonic() - before, Duration::from_secs(60));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_order_that_is_not_listed_is_named_until_the_server_does_not_have_it_any_more() {
    for (counts, is_listed) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut compared = Compared::with_three(counts).await;
        let key = compared.far.postings.lock().unwrap()[1].key.clone();
        *compared.far.second.lock().unwrap() = Some((key, 9_999));
        compared.far.lists_nothing.store(!is_listed, Ordering::SeqCst);
        assert!(matches!(compared.quickly().await, Agreement::Differs(_)), "{counts} {is_listed}");
        // No list may hide it.
        for _ in 0..2 {
            let found = compared.listed().await.unwrap();
            assert_eq!(compared.differs(), [(DifferenceKind::OtherOrder, TransactionId(2))], "{counts} {is_listed}");
            assert_eq!((found.kept[0].trade_order, found.count, found.surplus), (9_999, 1, 0));
            assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::Stands);
        }
        *compared.far.second.lock().unwrap() = None;
        assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
        assert_eq!(compared.listed().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_conflicts_where_the_posting_is_not_listed_is_not_taken_for_lost() {
    let mut compared = Compared::with_three(true).await;
    compared.far.lists_nothing.store(true, Ordering::SeqCst);
    compared.far.postings.lock().unwrap()[1].amount = usd(7);
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::Unsaid, TransactionId(2))]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_listed_and_not_asked_for_is_not_taken_for_lost() {
    let compared = Compared::with_three(true).await;
    compared.far.lists_nothing.store(true, Ordering::SeqCst);
    let counts = async |kept_max| {
        let found = compared.comparison().row_by_row(kept_max, compared.clock.now()).await.unwrap();
        (found.lost.count, found.unsaid.count, found.unasked.count)
    };
    assert_eq!(counts(1).await, (0, 0, 0), "each was asked for, and is there");
    compared.far.postings.lock().unwrap().clear();
    assert_eq!(counts(2).await, (2, 0, 1), "the third was not asked for");
}

#[tokio::test(start_paused = true)]
async fn a_posting_beside_a_refused_operation_ends_once_it_was_taken_back_there() {
    let mut compared = Compared::with_three(true).await;
    let id = compared.pay(Settle::Posted).await;
    end(&compared.books, id, PostingOutcome::Refused { reason: "NO".into() }).await;
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::Extra, id)]);
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::Stands);
    compared.far.postings.lock().unwrap()[3].outcome = PostingOutcome::Refused { reason: "DELETED".into() };
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
    drop(compared.far.take(3));
    *compared.far.says.lock().unwrap() = OfOthers::Unknown;
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::NotSaid);
}

#[tokio::test(start_paused = true)]
async fn a_posting_of_the_last_hour_that_is_not_listed_and_of_which_nothing_is_said_is_not_passed_over() {
    let mut compared = Compared::with_three(false).await;
    compared.before.began = Some(NOW);
    drop(compared.far.take(0));
    *compared.far.says.lock().unwrap() = OfOthers::Nothing;
    assert!(matches!(compared.quickly().await, Agreement::Differs(_)));
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::Unsaid, TransactionId(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_what_changed_lately_that_hides_all_of_it_is_not_taken_for_agreement() {
    let mut compared = Compared::with_three(false).await;
    compared.before.began = Some(NOW);
    compared.far.lists_nothing.store(true, Ordering::SeqCst);
    assert!(matches!(compared.quickly().await, Agreement::Differs(_)));
    // Recorded just after the begin of the list, they may have been made before it.
    compared.before.began = Some(NOW.plus(50 * 60));
    assert_eq!(compared.quickly().await, Agreement::Equal);
}

#[tokio::test(start_paused = true)]
async fn a_second_order_that_is_known_does_not_end_because_nothing_is_said_of_it_once() {
    let mut compared = Compared::with_three(false).await;
    let key = compared.far.postings.lock().unwrap()[1].key.clone();
    *compared.far.second.lock().unwrap() = Some((key, 9_999));
    compared.listed().await.unwrap();
    for says in [OfOthers::Nothing, OfOthers::Unknown] {
        *compared.far.says.lock().unwrap() = says;
        let hidden = compared.far.take(1);
        compared.listed().await.unwrap();
        assert!(compared.differs().contains(&(DifferenceKind::OtherOrder, TransactionId(2))), "{says:?}");
        compared.far.postings.lock().unwrap().insert(1, hidden);
    }
    *compared.far.second.lock().unwrap() = None;
    assert_eq!(compared.listed().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_right_behind_a_key_of_which_nothing_is_said_does_not_stand_for_ever() {
    let mut compared = Compared::with_three(true).await;
    let (first, _) = (compared.far.take(0), compared.far.take(0));
    compared.listed().await.unwrap();
    compared.far.put(first);
    *compared.far.says.lock().unwrap() = OfOthers::Nothing;
    compared.far.lists_nothing.store(true, Ordering::SeqCst);
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::PutRight);
    drop(compared.far.take(1));
    assert_eq!(compared.comparison().standing().await.unwrap(), DifferenceStanding::NotSaid);
}

#[tokio::test(start_paused = true)]
async fn an_order_of_others_that_names_a_key_is_about_it_where_it_moves_money_the_same_way() {
    let mut compared = Compared::with_three(false).await;
    let ours = compared.far.postings.lock().unwrap()[1].clone();
    let by_hand = FoundPosting { outcome: PostingOutcome::posted(9_999), ..ours.clone() };
    let reversal = FoundPosting { cmd: OperationCmd::BalanceOut, amount: usd(-2_550), ..by_hand.clone() };
    let of_nobody = FoundPosting { key: OperationKey::read("dabcdefghjkmnpqrstvw:1").unwrap(), ..by_hand.clone() };
    *compared.far.named.lock().unwrap() = vec![reversal, of_nobody];
    assert_eq!((compared.quickly().await, compared.listed().await), (Agreement::Equal, None));
    compared.far.named.lock().unwrap().push(by_hand);
    assert!(matches!(compared.quickly().await, Agreement::Differs(_)));
    compared.listed().await.unwrap();
    assert_eq!(compared.differs(), [(DifferenceKind::OtherOrder, TransactionId(2))]);
}
