//! `cashier db reconcile --apply` with a trading server elsewhere: what is certain is taken over into the books, and what they have as
//! posted stays as they have it.

use std::collections::BTreeSet;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::status::OperationCmd;

use super::elsewhere::{Far, OfOthers, end, far_name, plan, record};
use super::*;
use crate::pair::offline::{ServerElsewhere, ServersElsewhere};
use crate::test_cashier::TestClock;
use crate::trading::remote::RemoteServer;

/// Books beside such a server, and the folder that they are in.
struct Beside {
    folder: TempDir,
    far: Arc<Far>,
}

impl Beside {
    fn new() -> Self {
        Self { folder: folder(), far: Arc::default() }
    }

    async fn books(&self) -> Cashier {
        Cashier::open(self.folder.path()).await.unwrap()
    }

    /// A credited deposit of 25.50 USD.
    async fn pay(&self, books: &Cashier) -> TransactionId {
        let (id, found) = plan(books).await;
        self.far.put(found);
        record(books, id).await;
        id
    }

    async fn reconcile(&self, taken: TakeOver) -> Reconciliation {
        self.tried(taken).await.unwrap()
    }

    async fn tried(&self, taken: TakeOver) -> Result<Reconciliation, Fault> {
        let clock = TestClock::default();
        let server = ServerElsewhere { name: far_name(), opened: Ok(Arc::clone(&self.far) as Arc<dyn RemoteServer>) };
        let elsewhere = ServersElsewhere { clock: &clock, servers: vec![server] };
        let entropy = Arc::new(SystemEntropy);
        reconcile(self.folder.path(), RING, entropy, || NOW, taken, Some(elsewhere)).await
    }

    /// What is left of the server after that.
    async fn left(&self, taken: TakeOver) -> u64 {
        self.reconcile(taken).await.elsewhere[0].left
    }
}

fn all_unlisted() -> TakeOver {
    TakeOver::UnlistedToo { keys: BTreeSet::new() }
}

async fn aggregate(books: &Cashier, id: TransactionId) -> Aggregate {
    books.ledger.peek(|books| books.aggregate(id)).unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_books_have_as_posted_is_not_replaced_by_what_the_server_has_under_its_key() {
    let beside = Beside::new();
    let books = beside.books().await;
    for _ in 0..3 {
        beside.pay(&books).await;
    }
    let before = [aggregate(&books, TransactionId(1)).await, aggregate(&books, TransactionId(2)).await];
    books.close();
    // Of another amount; of an account that cannot be read; and a person's own order under the key, beside ours.
    let of_third = beside.far.postings.lock().unwrap()[2].clone();
    beside.far.postings.lock().unwrap()[0].amount = usd(99_900);
    beside.far.postings.lock().unwrap()[1].amount = usd(0);
    beside.far.put(FoundPosting {
        cmd: OperationCmd::BalanceOut,
        amount: usd(-2_550),
        outcome: PostingOutcome::posted(9_000),
        ..of_third
    });
    for taken in [TakeOver::Nothing, TakeOver::Differences, all_unlisted()] {
        assert_eq!(beside.left(taken.clone()).await, 3, "{taken:?}");
    }
    let books = beside.books().await;
    assert_eq!([aggregate(&books, TransactionId(1)).await, aggregate(&books, TransactionId(2)).await], before);
    books.close();
}

#[tokio::test(start_paused = true)]
async fn postings_that_are_taken_over_get_ids_of_the_books_whatever_the_server_says() {
    let beside = Beside::new();
    let books = beside.books().await;
    let (first, found) = plan(&books).await;
    end(&books, first, PostingOutcome::Refused { reason: "NO".into() }).await;
    let (second, other) = plan(&books).await;
    end(&books, second, PostingOutcome::Refused { reason: "NO".into() }).await;
    books.close();
    // Both were made all the same, and further ones of these transactions, of which the books are too old to know.
    for (posting, further) in [(found, 3), (other, 4)] {
        let (reference, _) = posting.key.parts().unwrap();
        let key = OperationKey::read(&format!("{reference}:{further}")).unwrap();
        beside.far.put(FoundPosting { key, operation_id: OperationId(3), ..posting.clone() });
        beside.far.put(posting);
    }
    assert_eq!(beside.left(TakeOver::Nothing).await, 4);
    assert_eq!(beside.left(TakeOver::Differences).await, 0);
    let books = beside.books().await;
    let of = async |id| aggregate(&books, id).await.operations.into_iter().map(|known| known.id.0).collect::<Vec<_>>();
    let ids = [of(first).await, of(second).await].concat();
    // With those that take back what was credited twice.
    assert_eq!((ids.len(), BTreeSet::from_iter(&ids).len()), (6, 6), "no two operations have one id: {ids:?}");
    books.close();
    assert_eq!(beside.left(TakeOver::Nothing).await, 0, "they agree");
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_is_not_listed_is_lost_only_where_the_server_or_a_person_says_so() {
    let beside = Beside::new();
    let books = beside.books().await;
    for _ in 0..3 {
        beside.pay(&books).await;
    }
    books.close();
    let [first, second] = [0, 0].map(|index| beside.far.take(index).key);
    let lines = [
        (
            OfOthers::Unknown,
            2,
            "not listed at trading server far, which does not say more: operation 1 of transaction 1",
        ),
        (
            OfOthers::Nothing,
            0,
            "not listed at trading server far, which was not asked for it or gave no answer: operation 1",
        ),
    ];
    for (says, unsaid, line) in lines {
        *beside.far.says.lock().unwrap() = says;
        for taken in [TakeOver::Nothing, TakeOver::Differences] {
            let found = beside.reconcile(taken.clone()).await;
            assert_eq!((found.elsewhere[0].left, found.elsewhere[0].unsaid), (2, unsaid), "{says:?} {taken:?}");
            assert!(found.elsewhere[0].differences.as_ref().unwrap().starts_with(line));
        }
    }
    // One that hangs may be under way: nobody says of all such that they are lost.
    assert_eq!(beside.left(all_unlisted()).await, 2);
    let of = |keys: &[&OperationKey]| TakeOver::UnlistedToo { keys: keys.iter().copied().cloned().collect() };
    let there = beside.far.postings.lock().unwrap()[0].key.clone();
    let refused = beside.tried(of(&[&second, &there])).await.unwrap_err();
    assert!(refused.what.starts_with(&format!("no trading server leaves {there} unlisted")), "{refused}");
    assert_eq!(beside.left(TakeOver::Nothing).await, 2, "nothing was changed");
    // It is named although it hangs.
    assert_eq!(beside.left(of(&[&second])).await, 1);
    *beside.far.says.lock().unwrap() = OfOthers::Unknown;
    let status = async |id| {
        let books = beside.books().await;
        let operation = aggregate(&books, TransactionId(id)).await.operations[0].clone();
        books.close();
        (operation.status, operation.failure_reason)
    };
    assert_eq!(status(1).await.0, OperationStatus::Posted, "{first} was not named");
    assert_eq!(status(2).await, (OperationStatus::Refused, "POSTING_LOST".into()));
    assert_eq!(beside.left(all_unlisted()).await, 0);
    assert_eq!(status(1).await, (OperationStatus::Refused, "POSTING_LOST".into()));
}

#[tokio::test(start_paused = true)]
async fn of_two_orders_of_one_key_one_is_taken_over_and_the_other_is_left() {
    let beside = Beside::new();
    let books = beside.books().await;
    let (id, found) = plan(&books).await;
    end(&books, id, PostingOutcome::Refused { reason: "NO".into() }).await;
    let (open, other) = plan(&books).await;
    books.close();
    beside.far.put(FoundPosting { outcome: PostingOutcome::posted(9_000), ..found.clone() });
    beside.far.put(found);
    // One without an outcome gets it once the cashier runs.
    beside.far.put(FoundPosting { amount: usd(7), ..other });
    assert_eq!(beside.left(TakeOver::Nothing).await, 3);
    assert_eq!(beside.left(TakeOver::Differences).await, 2);
    let books = beside.books().await;
    let operations = aggregate(&books, id).await.operations;
    assert_eq!((operations[0].status, operations[0].trade_order), (OperationStatus::Posted, 9_000));
    assert_eq!(aggregate(&books, open).await.operations[0].status, OperationStatus::Planned);
    books.close();
}
