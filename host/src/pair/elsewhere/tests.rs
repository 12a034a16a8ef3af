//! What the comparison of a start asks of a server elsewhere: the same however many postings the books have. It compares no outcome
//! of the comparison itself but that both agree.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cashier_core::account::{AccountFacts, AccountMode, Customer, Group};
use cashier_core::change::Change;
use cashier_core::digest::RECENT_MAX;
use cashier_core::eligibility::account_of;
use cashier_core::ids::{ConfigId, CustomerId, Login, OperationId, Reference};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{Fresh, Transaction};
use futures_util::future::{BoxFuture, FutureExt, ready};

use super::lately::{LISTED_BEFORE_SECONDS, RECENT_AT_START_MAX};
use super::*;
use crate::ledger::{Admission, Watermark};
use crate::ports::{Durable, Loaded, PostStep, Posting, Recorder, Voiding};
use crate::test_cashier::TestClock;
use crate::trading::remote::PostingsPage;

const NOW: i64 = 1_779_270_000;
/// Between two postings: some hundred a day, so that those of the last days are fewer than the fewest rows.
const POSTED_EVERY: i64 = 600;
/// Operations without a recorded outcome, every other one of them posted.
const UNRECORDED: u64 = 6;

const FEW: u64 = 1_000;
const MANY: u64 = 100_000;

#[tokio::test]
async fn a_start_asks_a_server_that_counts_for_its_count_and_few_postings_however_many_there_are() {
    for rows in [FEW, MANY] {
        let (agreement, asked) = compared_with(rows, true).await;
        assert_eq!(agreement, Agreement::Equal, "{rows} rows");
        let found = NEWEST_FOUND + usize::try_from(UNRECORDED).unwrap();
        assert_eq!(asked, Asked { calls: [("find", found), ("posted_count", 2)].into(), rows: 0 }, "{rows} rows");
    }
}

#[tokio::test]
async fn a_start_lists_of_a_server_that_does_not_count_the_postings_of_days_however_many_there_are() {
    let newest = i64::try_from(RECENT_AT_START_MAX + usize::try_from(UNRECORDED).unwrap()).unwrap();
    let since = usize::try_from(newest + LISTED_BEFORE_SECONDS / POSTED_EVERY).unwrap();
    for rows in [FEW, MANY] {
        let (agreement, asked) = compared_with(rows, false).await;
        assert_eq!(agreement, Agreement::Equal, "{rows} rows");
        let calls: BTreeMap<&str, usize> = [("find", NEWEST_FOUND), ("posted_count", 1), ("postings", 1)].into();
        assert_eq!(asked.calls, calls, "{rows} rows");
        assert!(
            asked.rows <= since && asked.rows >= RECENT_AT_START_MAX,
            "{} of {rows} rows, {since} expected",
            asked.rows
        );
    }
}

#[tokio::test]
async fn a_start_does_not_wait_for_keys_of_which_a_server_that_answers_says_nothing() {
    let unrecorded = usize::try_from(UNRECORDED).unwrap();
    // Of the newest so many are asked for within a minute.
    for (silence, newest) in [(Silence::OfKeys, NEWEST_FOUND), (Silence::Hangs(Duration::from_secs(5)), 12)] {
        let (agreement, asked) = compared(FEW, true, silence).await;
        assert_eq!((agreement, asked.calls["find"]), (Ok(Agreement::Equal), newest + unrecorded), "{silence:?}");
    }
}

#[tokio::test]
async fn a_start_asks_for_no_further_keys_once_look_ups_hung_for_a_minute() {
    let (agreement, asked) = compared(FEW, true, Silence::Hangs(Duration::from_secs(15))).await;
    assert_eq!((agreement, asked.calls["find"]), (Ok(Agreement::Equal), 4 + 4));
}

#[tokio::test]
async fn a_server_that_posts_all_the_while_is_waited_for_no_longer_where_look_ups_hang() {
    let (agreement, asked) = compared(FEW, true, Silence::HangsAndPosts(Duration::from_secs(15))).await;
    assert_eq!((agreement, asked.calls["find"]), (Ok(Agreement::Equal), 4 + 4));
    assert_eq!(asked.calls["posted_count"], 2 * COUNT_TRIES_MAX, "it is counted again");
}

#[tokio::test]
async fn a_server_that_answers_nothing_else_either_is_not_compared() {
    let (agreement, asked) = compared(FEW, true, Silence::Down).await;
    assert_eq!((agreement, asked.calls["find"]), (Err(Fault::new("the key is pending")), 1));
}

/// What a server was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Asked {
    calls: BTreeMap<&'static str, usize>,
    /// Postings that it listed.
    rows: usize,
}

/// Compares books of so many postings with a server that has the same.
async fn compared_with(rows: u64, counts: bool) -> (Agreement, Asked) {
    let (agreement, asked) = compared(rows, counts, Silence::None).await;
    (agreement.unwrap(), asked)
}

/// What a server does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    None,
    /// Whether it has made a posting: it answers that it does not know.
    OfKeys,
    /// The same, and each such look-up hangs for so long; every other call is answered.
    Hangs(Duration),
    /// The same, and no two counts are the same.
    HangsAndPosts(Duration),
    /// Its look-ups get no answer, and no call after them does.
    Down,
}

async fn compared(rows: u64, counts: bool, silence: Silence) -> (Result<Agreement, Fault>, Asked) {
    let (ledger, server) = alike(rows, counts, silence);
    compared_after(&ledger, &server, ComparedBefore::default()).await
}

async fn compared_after(
    ledger: &Ledger,
    server: &FarPostings,
    before: ComparedBefore,
) -> (Result<Agreement, Fault>, Asked) {
    let name = main();
    let comparison = BooksComparison { ledger, clock: &*server.clock, name: &name, server, before: &before };
    let agreement = comparison.quickly().await;
    let asked = server.asked.lock().unwrap().clone();
    (agreement, asked)
}

/// Books of so many postings, and a server that has the same.
fn alike(rows: u64, counts: bool, silence: Silence) -> (Ledger, FarPostings) {
    let mut loaded = Loaded::default();
    let mut server = FarPostings {
        counts,
        silence,
        clock: Arc::default(),
        posted: BTreeMap::new(),
        by_time: Vec::new(),
        asked: Mutex::default(),
    };
    for id in 1..=rows {
        let recorded = id + UNRECORDED <= rows;
        let (transaction, operation) = deposit(id, rows, recorded);
        let key = OperationKey::of(&transaction.reference, &operation);
        if recorded || id.is_multiple_of(2) {
            let posting = found(&transaction, &operation);
            server.posted.insert(key.clone(), posting.outcome.clone());
            server.by_time.push(posting);
        }
        loaded.books.load(Change::Transaction(Box::new(transaction)));
        loaded.books.load(Change::Operation(Box::new(operation)));
    }
    let admission = Admission::new(Admission::DEFAULT_LIMIT);
    (Ledger::new(Arc::new(NoDisk), Arc::new(Watermark::new()), loaded.books, admission), server)
}

#[tokio::test]
async fn a_posting_that_was_lost_is_found_though_more_were_recorded_since_than_are_remembered() {
    let rows = RECENT_MAX as u64 + 1_000;
    let (ledger, mut server) = alike(rows, false, Silence::None);
    // Since the time of the 100th.
    let began = UnixTime(NOW - POSTED_EVERY * (rows - 100).cast_signed());
    let before = || ComparedBefore { began: Some(began), ..ComparedBefore::default() };
    assert_eq!(compared_after(&ledger, &server, before()).await.0, Ok(Agreement::Equal));
    let (transaction, operation) = deposit(200, rows, true);
    let lost = OperationKey::of(&transaction.reference, &operation);
    server.posted.remove(&lost);
    server.by_time.retain(|posting| posting.key != lost);
    let (found, _) = compared_after(&ledger, &server, before()).await;
    assert!(matches!(&found, Ok(Agreement::Differs(sentence)) if sentence.contains(lost.as_str())), "{found:?}");
}

fn main() -> ServerName {
    ServerName::read("main").unwrap()
}

/// The n-th deposit of so many, with its operation.
fn deposit(id: u64, rows: u64, recorded: bool) -> (Transaction, BalanceOperation) {
    let time = UnixTime(NOW - POSTED_EVERY * (rows - id).cast_signed());
    let amount = Money::new(2_550, Currency::from_code("USD").unwrap());
    let group = Group {
        group: "demo".into(),
        brand: "ion4".into(),
        currency: amount.currency,
        account_mode: AccountMode::Demo,
        enabled: true,
    };
    let account = AccountFacts { server: main(), ..account_of("ion4", group) };
    let fresh = Fresh { id: TransactionId(id), reference: Reference::from_random(u128::from(id)), now: time };
    let blank = Transaction::blank(fresh, Login(100), amount, &account);
    let transaction = Transaction { config_id: ConfigId(1), provider: "stub".into(), ..blank };
    let operation = BalanceOperation {
        id: OperationId(id),
        transaction_id: transaction.id,
        ordinal: 1,
        login: transaction.login,
        trade_order: if recorded { 9_000_000 + id } else { 0 },
        request_order: 0,
        cmd: OperationCmd::BalanceIn,
        amount,
        reason: OperationReason::Deposit,
        status: if recorded { OperationStatus::Posted } else { OperationStatus::Planned },
        failure_reason: Box::default(),
        created_time: time,
        updated_time: time,
    };
    (transaction, operation)
}

fn found(transaction: &Transaction, operation: &BalanceOperation) -> FoundPosting {
    FoundPosting {
        key: OperationKey::of(&transaction.reference, operation),
        operation_id: operation.id,
        transaction_id: transaction.id,
        customer_id: transaction.customer_id,
        login: operation.login,
        cmd: operation.cmd,
        reason: operation.reason,
        amount: operation.amount,
        created_time: operation.created_time,
        outcome: PostingOutcome::posted(9_000_000 + operation.id.0),
    }
}

/// A server of many postings, which counts what it is asked for.
struct FarPostings {
    /// Whether it states how many it has; else it lists what changed since a time.
    counts: bool,
    silence: Silence,
    clock: Arc<TestClock>,
    posted: BTreeMap<OperationKey, PostingOutcome>,
    by_time: Vec<FoundPosting>,
    asked: Mutex<Asked>,
}

impl FarPostings {
    fn note(&self, call: &'static str, rows: usize) {
        let mut asked = self.asked.lock().unwrap();
        *asked.calls.entry(call).or_default() += 1;
        asked.rows += rows;
    }
}

impl RemoteServer for FarPostings {
    fn account(&self, _: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        self.note("account", 0);
        ready(Ok(None)).boxed()
    }

    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>> {
        self.note("groups", 0);
        ready(Ok(Vec::new())).boxed()
    }

    fn customer(&self, _: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>> {
        self.note("customer", 0);
        ready(Ok(None)).boxed()
    }

    fn post(&self, _: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        unreachable!("a comparison posts nothing")
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        self.note("find", 0);
        if let Silence::Hangs(length) | Silence::HangsAndPosts(length) = self.silence {
            self.clock.advance(length);
        }
        if self.silence != Silence::None {
            return ready(Err(Fault::new("the key is pending"))).boxed();
        }
        ready(Ok(self.posted.get(&posting.key()).cloned())).boxed()
    }

    fn void(&self, _: Durable<Posting>, _: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        unreachable!("a comparison voids nothing")
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }

    fn postings(&self, after: Box<str>, limit: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>> {
        let after = after.parse().unwrap_or_default();
        let first = self.by_time.partition_point(|posting| posting.created_time.0 < after);
        let postings: Vec<FoundPosting> = self.by_time.iter().skip(first).take(limit).cloned().collect();
        self.note("postings", postings.len());
        let is_last = first + postings.len() == self.by_time.len();
        let last = postings.last().filter(|_| !is_last).map(|posting| posting.created_time.0 + 1);
        let next = last.map_or_else(Box::default, |time| time.to_string().into());
        ready(Ok(PostingsPage { postings, next, ..PostingsPage::default() })).boxed()
    }

    fn posted_count(&self) -> BoxFuture<'static, Result<Option<u64>, Fault>> {
        self.note("posted_count", 0);
        let posts = matches!(self.silence, Silence::HangsAndPosts(_));
        let further = self.asked.lock().unwrap().calls["posted_count"] % 2;
        let count = u64::try_from(self.posted.len() - if posts { further } else { 0 }).unwrap();
        ready(Ok(self.counts.then_some(count))).boxed()
    }

    fn cursor_at(&self, time: UnixTime) -> Box<str> {
        time.to_string().into()
    }

    fn answers(&self) -> BoxFuture<'static, Result<(), Fault>> {
        ready(if self.silence == Silence::Down { Err(Fault::new("timed out")) } else { Ok(()) }).boxed()
    }

    /// How the last call ended.
    fn health(&self) -> Result<(), Fault> {
        match self.silence {
            Silence::None | Silence::OfKeys => Ok(()),
            Silence::Hangs(_) | Silence::HangsAndPosts(_) | Silence::Down => Err(Fault::new("timed out")),
        }
    }
}

/// Nothing is recorded here.
struct NoDisk;

impl Recorder for NoDisk {
    fn submit(&self, _: Arc<cashier_core::change::Commit>) {}

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        ready(Ok(Loaded::default())).boxed()
    }
}
