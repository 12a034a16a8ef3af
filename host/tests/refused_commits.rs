//! Commits that the database refuses, on a real disk under a real ledger: random batches end with books that are the disk's
//! rows, no ticket of an unwritten commit is confirmed, and nothing that was confirmed rests on one.
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::change::{Body, Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::facts::Facts;
use cashier_core::ids::*;
use cashier_core::money::{Currency, Money};
use cashier_core::notice::ProviderEvent;
use cashier_core::reason::Reason;
use cashier_core::refs::Refs;
use cashier_core::session::Actor;
use cashier_core::status::*;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction, Transaction};
use cashier_host::ledger::{Admission, Ledger, Ticket, Watermark};
use cashier_host::ports::{Entropy, Recorder};
use cashier_host::strand::seal::SealKeys;
use cashier_host::strand::{self, BatchLimits, Strand, StrandSettings};
use proptest::collection::vec;
use proptest::prelude::*;
use rusqlite::Connection;

const NOW: UnixTime = UnixTime(1_779_270_000);
const REFUSED: &str = "refused";
/// A rule of the database that the program does not know.
const RULE: &str = "CREATE TRIGGER rule BEFORE INSERT ON cashier_transaction WHEN NEW.reject_reason = 'refused' \
                    BEGIN SELECT RAISE(ABORT, 'a rule of the database'); END";

struct Fixed;

impl Entropy for Fixed {
    fn bits(&self) -> u128 {
        7
    }
}

/// One decision of a random run; transactions are named by their place among those opened.
#[derive(Debug, Clone)]
enum Step {
    Open {
        key: u8,
        refused: bool,
    },
    Change {
        of: usize,
        refused: bool,
    },
    /// Changes one transaction by what another is.
    Copy {
        from: usize,
        to: usize,
    },
    File {
        event: u8,
        of: usize,
        refused: bool,
    },
    Read {
        of: usize,
    },
}

/// What a decision drafted, or a read showed.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a handful exist at once")]
enum Outcome {
    Nothing,
    Wrote { row: Box<Transaction>, event: Option<EventId>, saw: Option<(TransactionId, u32)> },
    Showed(TransactionId, Option<Aggregate>),
}

struct Rig {
    folder: tempfile::TempDir,
    strand: Arc<Strand>,
    ledger: Ledger,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let watermark = Arc::new(Watermark::new());
        let settings = StrandSettings {
            path: folder.path().join("cashier.db"),
            keys: SealKeys::parse(&format!("1:{}", "11".repeat(32))).unwrap(),
            entropy: Arc::new(Fixed),
            batch: BatchLimits { commits: 4, ..BatchLimits::default() },
        };
        let strand = Arc::new(strand::open(settings, Arc::clone(&watermark) as _).unwrap());
        let admission = Admission::new(Admission::DEFAULT_LIMIT);
        let ledger = Ledger::new(Arc::clone(&strand) as _, watermark, Books::new(), admission);
        Self { folder, strand, ledger }
    }

    fn other_program(&self) -> Connection {
        other_program(&self.folder.path().join("cashier.db"))
    }

    fn step(&self, step: &Step) -> Option<Ticket<Outcome>> {
        let named = |of: usize| TransactionId(u64::try_from(of).unwrap() + 1);
        if let Step::Read { of } = step {
            let id = named(*of);
            let read = |books: &Books| (Outcome::Showed(id, books.aggregate(id)), books.touched(id));
            return self.ledger.read(read).ok();
        }
        let stamp = Stamp { actor: Actor::System, request_id: "r".into(), now: NOW };
        let decision = |draft: &mut Draft<'_>| match step {
            Step::Open { key, refused } => open(draft, *key, *refused),
            Step::Change { of, refused } => change(draft, named(*of), note(*refused), None),
            Step::Copy { from, to } => match draft.aggregate(named(*from)) {
                Some(known) => {
                    let saw = (named(*from), known.transaction.version);
                    change(draft, named(*to), "copied", Some(saw))
                }
                None => Outcome::Nothing,
            },
            Step::File { event, of, refused } => file(draft, *event, named(*of), *refused),
            Step::Read { .. } => Outcome::Nothing,
        };
        self.ledger.decide(&stamp, decision).ok()
    }
}

fn other_program(path: &Path) -> Connection {
    let other = Connection::open(path).unwrap();
    other.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    other
}

fn note(refused: bool) -> &'static str {
    if refused { REFUSED } else { "" }
}

fn open(draft: &mut Draft<'_>, key: u8, refused: bool) -> Outcome {
    let text = format!("key-{key}");
    let books = draft.books_by_key(CustomerId(5), KeySpace::Customer, &text);
    if books.by_key(CustomerId(5), KeySpace::Customer, &text).is_some() {
        return Outcome::Nothing;
    }
    let row = Transaction {
        idempotency_key: text.into(),
        reject_reason: note(refused).into(),
        ..deposit(draft.next_transaction())
    };
    wrote(draft, row, None, None)
}

fn change(draft: &mut Draft<'_>, id: TransactionId, note: &str, saw: Option<(TransactionId, u32)>) -> Outcome {
    let Some(known) = draft.aggregate(id) else { return Outcome::Nothing };
    let row = Transaction { version: known.transaction.version + 1, reject_reason: note.into(), ..known.transaction };
    wrote(draft, row, None, saw)
}

/// An event of a payment with what it changes; one that is known changes nothing.
fn file(draft: &mut Draft<'_>, event: u8, id: TransactionId, refused: bool) -> Outcome {
    let event_id = format!("evt_{event}");
    if draft.known_event(ConfigId(1), &event_id).is_some() {
        return Outcome::Nothing;
    }
    let Some(known) = draft.aggregate(id) else { return Outcome::Nothing };
    let (event, notice) = (draft.next_event(), draft.next_notice());
    draft.store(Body::Notice {
        id: notice,
        received_time: NOW,
        method: "POST".into(),
        path: "/".into(),
        raw_query: "".into(),
        headers_json: "[]".into(),
        sha256: [7; 32],
        body: Arc::from(&b"{}"[..]),
    });
    draft.add([Change::Event(Box::new(ProviderEvent {
        id: event,
        notice_id: notice,
        config_id: ConfigId(1),
        provider: "stripe".into(),
        brand: "ion4".into(),
        event_id: event_id.into(),
        transaction_id: id,
        provider_payment_id: "".into(),
        signature_status: SignatureStatus::Valid,
        processing_status: ProcessingStatus::Processed,
        failure_reason: "".into(),
        update: None,
        module_hash: "00".into(),
        also_verified_by: Box::default(),
        created_time: NOW,
        processed_time: NOW,
    }))]);
    let version = known.transaction.version + 1;
    wrote(draft, Transaction { version, reject_reason: note(refused).into(), ..known.transaction }, Some(event), None)
}

fn wrote(
    draft: &mut Draft<'_>,
    row: Transaction,
    event: Option<EventId>,
    saw: Option<(TransactionId, u32)>,
) -> Outcome {
    draft.add([Change::Transaction(Box::new(row.clone()))]);
    Outcome::Wrote { row: Box::new(row), event, saw }
}

fn deposit(id: TransactionId) -> Transaction {
    let usd = Currency::from_code("USD").unwrap();
    Transaction {
        id,
        customer_id: CustomerId(5),
        login: Login(9),
        kind: TransactionType::Deposit,
        source: Source::Provider,
        provider: "stripe".into(),
        method: "card".into(),
        requested_method: "".into(),
        provider_payment_id: "".into(),
        amount: Money::new(10_000, usd),
        account_currency: usd,
        conversion: None,
        status: TransactionStatus::Created,
        reason: Reason::default(),
        idempotency_key: "".into(),
        has_texts: false,
        stored_bytes: 0,
        approved_by: ManagerId(0),
        approved_time: UnixTime::UNSET,
        processed_by: ManagerId(0),
        processed_time: UnixTime::UNSET,
        reject_reason: "".into(),
        created_time: NOW,
        updated_time: NOW,
        config_id: ConfigId(1),
        brand: "ion4".into(),
        country: "DE".into(),
        sandbox: false,
        server: ServerName::default(),
        reference: Reference::from_random(u128::from(id.0)),
        key_space: KeySpace::Customer,
        expires_time: NOW.plus(86_400),
        refs: Refs::default(),
        facts: Facts::default(),
        first_answer: FirstAnswer::Accepted,
        next_action: NextAction::Redirect,
        refused_seq: Seq(0),
        query_wanted: Seq(0),
        version: 1,
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let refused = || prop::bool::weighted(0.2);
    prop_oneof![
        4 => (0..12_u8, refused()).prop_map(|(key, refused)| Step::Open { key, refused }),
        4 => (0..8_usize, refused()).prop_map(|(of, refused)| Step::Change { of, refused }),
        2 => (0..8_usize, 0..8_usize).prop_map(|(from, to)| Step::Copy { from, to }),
        3 => (0..6_u8, 0..8_usize, refused()).prop_map(|(event, of, refused)| Step::File { event, of, refused }),
        2 => (0..8_usize).prop_map(|of| Step::Read { of }),
    ]
}

fn all(books: &Books) -> BTreeMap<TransactionId, Transaction> {
    books.aggregates().map(|known| (known.transaction.id, known.transaction)).collect()
}

/// Runs the steps in rounds; what a round decides is queued before anything of it is written.
fn run(rounds: &[Vec<Step>]) {
    let runtime = runtime();
    let rig = Rig::new();
    let other = rig.other_program();
    other.execute_batch(RULE).unwrap();
    // A row that the books do not know: the event has been filed before.
    let filed = "INSERT INTO provider_event SELECT 4000000, 1, 1, 'stripe', 'ion4', 'evt_0', 1, '', 1, 1, '', '', '00', 1, 1, ''";
    other.execute(filed, []).unwrap();
    let mut stored: BTreeMap<TransactionId, Transaction> = BTreeMap::new();
    let mut events = Vec::new();
    for steps in rounds {
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let tickets: Vec<_> = steps.iter().filter_map(|step| rig.step(step)).collect();
        assert_eq!(tickets.len(), steps.len(), "the ledger stays open");
        other.execute_batch("ROLLBACK").unwrap();
        for ticket in tickets {
            let Ok(outcome) = runtime.block_on(ticket.durable()) else { continue };
            match outcome.into_inner() {
                Outcome::Nothing => {}
                Outcome::Wrote { row, event, saw } => {
                    assert_ne!(&*row.reject_reason, REFUSED, "confirmed although it was not written");
                    let before = stored.get(&row.id).map_or(0, |known| known.version);
                    assert_eq!(row.version, before + 1, "rests on what was refused: {row:?}");
                    if let Some((id, version)) = saw {
                        assert_eq!(stored.get(&id).map(|known| known.version), Some(version), "saw what was refused");
                    }
                    let bound = stored.values().find(|known| known.idempotency_key == row.idempotency_key);
                    assert!(bound.is_none_or(|known| known.id == row.id), "one transaction under a key");
                    events.extend(event);
                    stored.insert(row.id, *row);
                }
                Outcome::Showed(id, shown) => {
                    let known = stored.get(&id);
                    assert_eq!(shown.map(|known| known.transaction).as_ref(), known, "showed what is not stored");
                }
            }
        }
        assert_eq!(rig.ledger.peek(all).unwrap(), stored, "the books are what was confirmed");
    }
    let known = |books: &Books| books.known_event(ConfigId(1), "evt_0");
    let filed_before = rounds.iter().flatten().any(|step| matches!(step, Step::File { event: 0, .. }));
    if let Some(id) = rig.ledger.peek(known).unwrap() {
        assert!(filed_before);
        assert_eq!(id, EventId(4_000_000), "the row that the disk has under the key");
    }
    let rows = |sql: &str| -> Vec<i64> {
        let mut query = other.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let on_disk = rows("SELECT id FROM provider_event WHERE id < 4000000 ORDER BY id");
    assert!(on_disk.iter().copied().eq(events.iter().map(|id| id.0.cast_signed())), "{on_disk:?} {events:?}");
    assert_eq!(
        rows("SELECT count(*) FROM notice")[0],
        i64::try_from(events.len()).unwrap(),
        "bodies go with their events"
    );
    // The counter of events is behind the row that another program made.
    other.execute("DELETE FROM provider_event WHERE id = 4000000", []).unwrap();
    let loaded = runtime.block_on(rig.strand.reload()).unwrap();
    assert_eq!(all(&loaded.books), stored, "the disk holds what was confirmed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s3_books_are_the_rows_on_disk_and_no_unwritten_commit_is_confirmed(rounds in vec(vec(any_step(), 1..24), 1..4)) {
        run(&rounds);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Takes the steps while another program holds the database, so that they are written in batches of four; whether each was
/// confirmed.
fn confirmed_after_a_hold<const N: usize>(
    rig: &Rig,
    runtime: &tokio::runtime::Runtime,
    steps: &[Step; N],
) -> [bool; N] {
    let other = rig.other_program();
    other.execute_batch(RULE).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tickets = steps.each_ref().map(|step| rig.step(step).unwrap());
    other.execute_batch("ROLLBACK").unwrap();
    tickets.map(|ticket| runtime.block_on(ticket.durable()).is_ok())
}

#[test]
fn s3_the_other_commits_of_a_batch_are_written() {
    let open = |key, refused| Step::Open { key, refused };
    let runtime = runtime();
    let rig = Rig::new();
    let steps = [
        open(1, false),
        open(2, true),
        open(3, false),
        Step::Change { of: 1, refused: false },
        Step::Change { of: 2, refused: false },
        // Beyond the batch of four, in the queue.
        Step::Change { of: 1, refused: false },
        Step::Read { of: 1 },
        Step::Copy { from: 1, to: 0 },
        open(2, false),
        Step::Change { of: 0, refused: false },
    ];
    let epoch = rig.ledger.epoch();
    let confirmed = confirmed_after_a_hold(&rig, &runtime, &steps);
    // `open(2)` found its key bound by what was refused; the last rests on the copy of a refused row.
    let expected = [true, false, true, false, true, false, false, false, false, false];
    assert_eq!(confirmed, expected);
    assert!(rig.ledger.is_open() && rig.ledger.epoch() > epoch, "open, and reported that rows were taken back");
    assert_eq!(rig.ledger.peek(|books| books.aggregate(TransactionId(2)).is_some()), Ok(false));
    let again = [open(2, false), Step::Change { of: 0, refused: false }].map(|step| rig.step(&step).unwrap());
    assert!(again.map(|ticket| runtime.block_on(ticket.durable()).is_ok()).iter().all(|confirmed| *confirmed));
    let loaded = runtime.block_on(rig.strand.reload()).unwrap();
    let versions: Vec<_> = all(&loaded.books).into_values().map(|row| (row.id.0, row.version)).collect();
    assert_eq!(versions, [(1, 2), (3, 2), (4, 1)], "ids of refused rows are not handed out again");
}

#[test]
fn s3_a_row_that_waits_to_be_written_is_in_the_books_though_a_change_of_it_was_refused() {
    let open = |key, refused| Step::Open { key, refused };
    let runtime = runtime();
    let rig = Rig::new();
    // The batch of four holds the refused one; the sixth transaction waits in the queue, as does its change, which rests on the first.
    let steps = [
        open(0, true),
        open(1, false),
        open(2, false),
        open(3, false),
        open(4, false),
        open(5, false),
        Step::Copy { from: 0, to: 5 },
    ];
    let confirmed = confirmed_after_a_hold(&rig, &runtime, &steps);
    assert_eq!(confirmed, [false, true, true, true, true, true, false]);
    let versions = |books: &Books| all(books).into_values().map(|row| (row.id.0, row.version)).collect::<Vec<_>>();
    let shown = rig.ledger.peek(versions).unwrap();
    assert_eq!(shown, [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
    let loaded = runtime.block_on(rig.strand.reload()).unwrap();
    assert_eq!(versions(&loaded.books), shown);
}
