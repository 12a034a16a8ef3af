//! The memory of a transaction and of an event's key in the books, counted by the allocator. The limits are 400 and 150
//! bytes each, all indexes included.
#![cfg(test)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cashier_core::books::{Books, StoredBy};
use cashier_core::change::{Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::facts::{Facts, ProviderFact};
use cashier_core::ids::*;
use cashier_core::money::{Currency, Money};
use cashier_core::operation::BalanceOperation;
use cashier_core::reason::Reason;
use cashier_core::refs::{ProviderRef, Refs};
use cashier_core::session::Actor;
use cashier_core::status::*;
use cashier_core::texts::Texts;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};

/// Counts allocated bytes, with the 8 bytes of bookkeeping and the rounding to 16 that the usual allocator adds.
struct CountingAllocator;

static HELD: AtomicUsize = AtomicUsize::new(0);

fn cost(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

#[expect(unsafe_code, reason = "an allocator can only be written with unsafe; it counts and hands on to the system's")]
// SAFETY: every call goes unchanged to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(cost(layout.size()), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(cost(layout.size()), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Just past the size at which hash tables double: they are emptiest, and a row costs the most.
const ROWS: u64 = 60_000;

/// A typical deposit: accepted, confirmed, credited, found by three ids.
fn credited(id: u64) -> Vec<Change> {
    let usd = Currency::from_code("USD").unwrap();
    let created = UnixTime(1_779_270_000 + id as i64);
    let intent = format!("pi_3Mtw{id:019}");
    let mut facts = Facts::default();
    facts.record(Seq(3 * id), created.plus(1), ProviderFact::Accepted);
    let confirmed = ProviderFact::Confirmed { payment: intent.as_str().into(), minor: 25_000 };
    facts.record(Seq(3 * id + 1), created.plus(60), confirmed);
    let refs: Refs = [("checkout_session", format!("cs_live_a1{id:048}")), ("payment_intent", intent.clone())]
        .iter()
        .map(|(kind, value)| ProviderRef::new(kind, value))
        .collect();
    let transaction = Transaction {
        id: TransactionId(id),
        customer_id: CustomerId(id / 4),
        login: Login(2_000_000 + id / 3),
        kind: TransactionType::Deposit,
        source: Source::Provider,
        provider: "stripe".into(),
        method: "card".into(),
        requested_method: "card".into(),
        provider_payment_id: intent.into(),
        amount: Money::new(25_000, usd),
        account_currency: usd,
        conversion: None,
        status: TransactionStatus::Credited,
        reason: Reason::default(),
        idempotency_key: format!("0f9bb0e7-642d-4b70-b458-{id:012}").into(),
        has_texts: false,
        stored_bytes: 0,
        approved_by: ManagerId(0),
        approved_time: UnixTime::UNSET,
        processed_by: ManagerId(0),
        processed_time: created.plus(61),
        reject_reason: "".into(),
        created_time: created,
        updated_time: created.plus(61),
        config_id: ConfigId(1 + id % 5),
        brand: "ion4".into(),
        country: "DE".into(),
        sandbox: false,
        server: ServerName::default(),
        reference: Reference::from_random(u128::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        key_space: KeySpace::Customer,
        expires_time: created.plus(86_400),
        refs,
        facts,
        first_answer: FirstAnswer::Accepted,
        next_action: NextAction::Redirect,
        refused_seq: Seq(0),
        query_wanted: Seq(0),
        version: 4,
    };
    let operation = BalanceOperation {
        id: OperationId(id),
        transaction_id: TransactionId(id),
        ordinal: 1,
        login: transaction.login,
        trade_order: 9_000_000 + id,
        request_order: 0,
        cmd: OperationCmd::BalanceIn,
        amount: transaction.amount,
        reason: OperationReason::Deposit,
        status: OperationStatus::Posted,
        failure_reason: "".into(),
        created_time: created.plus(60),
        updated_time: created.plus(61),
    };
    vec![Change::Transaction(Box::new(transaction)), Change::Operation(Box::new(operation))]
}

/// The bytes that these tests count are the process's: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_transaction_takes_400_bytes_and_an_event_150() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut books = Books::new();
    let empty = HELD.load(Ordering::Relaxed);
    for id in 1..=ROWS {
        credited(id).into_iter().for_each(|change| books.load(change));
    }
    let with_rows = HELD.load(Ordering::Relaxed);
    for id in 1..=ROWS {
        books.remember_event_key(ConfigId(1), &format!("evt_{id}"), EventId(id));
    }
    let with_events = HELD.load(Ordering::Relaxed);

    let rows = u64::try_from(with_rows - empty).unwrap() / ROWS;
    let events = u64::try_from(with_events - with_rows).unwrap() / ROWS;
    println!("{rows} bytes per transaction, {events} bytes per event, of {ROWS} each");
    assert_eq!(books.transactions() as u64, ROWS);
    assert!(books.unsettled().is_empty() && books.aggregate(TransactionId(ROWS)).is_some());
    assert!(rows <= 400, "{rows} bytes per transaction");
    assert!(events <= 150, "{events} bytes per event");
}

/// Bytes of the return URLs of each deposit.
const URLS: usize = 60;

/// Heap bytes of books after this many deposits with such metadata were opened and credited.
fn held_with(deposits: u64, metadata_json: &str) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    let mut books = Books::new();
    for id in 1..=deposits {
        let changes = credited(id).into_iter().map(|change| match change {
            Change::Transaction(row) => {
                let texts = Texts { comment: "".into(), metadata_json: metadata_json.into() };
                let (has_texts, stored_bytes) = (!texts.is_default(), (URLS + texts.len()).try_into().unwrap());
                Change::Transaction(Box::new(Transaction { has_texts, stored_bytes, ..*row }))
            }
            other => other,
        });
        let stamp = Stamp { actor: Actor::System, request_id: "test".into(), now: UnixTime(1_779_270_000) };
        let mut draft = Draft::new(&books, stamp.now);
        draft.store_texts(TransactionId(id), Texts { metadata_json: metadata_json.into(), ..Texts::default() });
        draft.add(changes);
        let (_, commit) = draft.into_commit(&stamp);
        books.apply(&commit.unwrap());
    }
    assert_eq!(books.transactions() as u64, deposits);
    let held = HELD.load(Ordering::Relaxed) - before;
    let metadata = if metadata_json == "{}" { 0 } else { metadata_json.len() };
    let expected = deposits * u64::try_from(URLS + metadata).unwrap();
    let of = |customer| books.customer_use(customer).stored(StoredBy::Deposits, UnixTime(1_779_270_000)).sum();
    let stored: u64 = (0..=deposits / 4).map(|customer| of(CustomerId(customer))).sum();
    assert_eq!(stored, expected);
    held
}

#[test]
fn b1_books_hold_as_many_bytes_with_16_kib_of_metadata_as_without() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(16 * 1024 - 11));
    assert_eq!(long.len(), 16 * 1024);
    // What is allocated once in a process is not of the books.
    held_with(6_000, "{}");
    let without = held_with(6_000, "{}");
    assert_eq!(held_with(6_000, &long), without);
    assert_eq!(held_with(6_000, r#"{"order":"A-1"}"#), without, "nor does a short one cost a byte");
}
