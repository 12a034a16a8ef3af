//! What a load of every row holds in memory, shows of its way, and does when nobody waits for it any more.

use std::collections::BTreeMap;

use cashier_core::aggregate::Aggregate;
use cashier_core::digest::PostedDigest;
use cashier_core::ids::{OperationId, ServerName, TransactionId};
use cashier_core::operation::OperationKey;
use cashier_core::status::OperationStatus;

use super::*;
use crate::ports::{Loaded, Recorder, UnrecordedOperation};

const TRANSACTIONS: u64 = 600;
const ORPHAN: u64 = TRANSACTIONS + 50;

/// So small that every limit is met.
const LIMITS: BlockLimits = BlockLimits { ids: 4, ahead: 3, lead: 8, waiting: 16 };

/// Rows that a load may hold with these limits. What waits is known once a block is loaded, so that the blocks ahead may add
/// theirs, and they are held themselves.
const HELD_MAX: usize = 16 + 2 * 3 * 4;

/// The transaction of each operation, by the operation's id from 1.
fn layouts() -> Vec<(&'static str, Vec<u64>)> {
    let each = 1..=TRANSACTIONS;
    let scattered = each.clone().map(|id| id * 271 % (TRANSACTIONS + 1)).collect();
    let late = each.clone().flat_map(|id| if id % 5 == 0 { vec![id, id / 2] } else { vec![id] });
    vec![
        ("one soon after each", each.clone().collect()),
        ("all after the last, backwards", each.clone().rev().collect()),
        ("scattered", scattered),
        ("second ones long after the first", late.collect()),
        ("all of one", vec![3; 200]),
        ("first of one far ahead, then of the others", [vec![TRANSACTIONS; 100], each.collect()].concat()),
        ("of none", vec![ORPHAN, 7, ORPHAN, ORPHAN + 1]),
        ("no operation", Vec::new()),
    ]
}

fn operation(id: u64, transaction: u64) -> BalanceOperation {
    let status = [OperationStatus::Posted, OperationStatus::Planned, OperationStatus::Refused][(id % 3) as usize];
    let ordinal = u32::try_from(id).unwrap();
    BalanceOperation {
        id: OperationId(id),
        transaction_id: TransactionId(transaction),
        ordinal,
        status,
        ..plain::credit(1)
    }
}

/// Writes the transactions, every tenth id left out, and the operations of a layout.
fn write(folder: &Path, layout: &[u64]) -> u64 {
    let (strand, listener) = opened(folder);
    let transactions = (1..=TRANSACTIONS).filter(|id| id % 10 != 4);
    let changes = transactions.map(|id| Change::Transaction(Box::new(plain::deposit(id))));
    let operations = (1..).zip(layout).map(|(id, of)| Change::Operation(Box::new(operation(id, *of))));
    let changes: Vec<Change> = changes.chain(operations).collect();
    let rows = changes.len() as u64;
    strand.submit(commit(1, changes, Vec::new()));
    listener.wait_for_synced(1);
    strand.close().unwrap();
    rows
}

#[test]
fn s8_operations_join_their_transactions_within_a_bound_however_their_ids_lie() {
    for (name, layout) in layouts() {
        let folder = tempfile::tempdir().unwrap();
        let rows = write(folder.path(), &layout);
        let progress = LoadProgress::default();
        let mut loaded = Loaded::default();
        read_into(&mut loaded, &folder.path().join("bases/cashier.db"), LIMITS, &progress).unwrap();

        let mut expected: BTreeMap<u64, Aggregate> = (1..=TRANSACTIONS)
            .filter(|id| id % 10 != 4)
            .map(|id| (id, Aggregate { transaction: plain::deposit(id), operations: Vec::new() }))
            .collect();
        let (mut posted, mut unrecorded) = (PostedDigest::default(), Vec::new());
        for (id, of) in (1..).zip(&layout) {
            let Some(aggregate) = expected.get_mut(of) else { continue };
            let operation = operation(id, *of);
            let key = OperationKey::of(&aggregate.transaction.reference, &operation);
            let (login, minor) = (operation.login, operation.amount.minor);
            match operation.status {
                OperationStatus::Posted => posted.count_in(&aggregate.transaction, &operation),
                OperationStatus::Refused => {}
                OperationStatus::Planned | OperationStatus::Unknown => {
                    unrecorded.push(UnrecordedOperation { server: ServerName::default(), key, login, minor });
                }
            }
            aggregate.operations.push(operation);
        }
        assert_eq!(loaded.books.transactions(), expected.len(), "{name}");
        for (found, expected) in loaded.books.aggregates().zip(expected.into_values()) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(loaded.posted, posted, "{name}");
        let sorted = |mut operations: Vec<UnrecordedOperation>| {
            operations.sort_by(|one, other| one.key.cmp(&other.key));
            operations
        };
        assert_eq!(sorted(loaded.unrecorded), sorted(unrecorded), "{name}");
        assert_eq!(progress.loaded(), rows, "{name}: every row counts once");
        assert!(progress.read_ahead_max() <= HELD_MAX, "{name}: {} rows were held", progress.read_ahead_max());
    }
}

/// Gives up the load at a row.
struct Cancelling<'p> {
    rows: Rows,
    at: usize,
    progress: &'p LoadProgress,
}

impl RowSink for Cancelling<'_> {
    fn identity(&mut self, identity: &str) {
        self.rows.identity(identity);
    }

    fn counters(&mut self, counters: Counters, event_keys: u64) {
        self.rows.counters(counters, event_keys);
    }

    fn config(&mut self, row: ProviderConfig) {
        self.rows.config(row);
    }

    fn customer_override(&mut self, row: CustomerOverride) {
        self.rows.customer_override(row);
    }

    fn approval(&mut self, row: Approval) {
        self.rows.approval(row);
    }

    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]) {
        self.rows.transaction(row, operations);
        if self.rows.rows.len() >= self.at {
            self.progress.cancel();
        }
    }

    fn operation(&mut self, row: BalanceOperation) {
        self.rows.operation(row);
    }

    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.rows.event_key(config, event_id, id);
    }

    fn waiting_event(&mut self, row: ProviderEvent, bytes: u64) {
        self.rows.waiting_event(row, bytes);
    }
}

#[test]
fn s8_a_load_that_is_given_up_ends_with_the_block_under_way() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[]);
    for at in [1, 100, 300] {
        let progress = LoadProgress::default();
        let mut sink = Cancelling { rows: Rows::default(), at, progress: &progress };
        let ended = read_into(&mut sink, &folder.path().join("bases/cashier.db"), LIMITS, &progress);
        assert!(ended.unwrap_err().to_string().contains("given up"));
        assert!(sink.rows.rows.len() < at + usize::from(LIMITS.ids), "{} rows after {at}", sink.rows.rows.len());
    }
}

#[test]
fn s8_a_strand_whose_load_was_given_up_closes_and_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[1, 2, 3]);
    let (strand, _listener) = opened(folder.path());
    strand.load_progress().cancel();
    assert!(block_on(strand.reload()).is_err());
    strand.close().unwrap();
    drop(strand);
    let (strand, _listener) = opened(folder.path());
    assert_eq!(block_on(strand.reload()).unwrap().books.transactions(), 540);
    let progress = strand.load_progress();
    assert!(progress.loaded() == 543 && progress.total() >= 543);
}
